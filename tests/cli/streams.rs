//! Many questions over one connection, over TCP and TLS, by other people's clients.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::node::{Home, Node, run};
use super::tls;
use super::upstream::Upstream;

const NAME: &str = "api.eu.mesh.internal";
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens a connection: plain, or under TLS with the authority of the third argument.
const CLIENT: &str = "\
import socket, ssl, sys
import dns.message, dns.query, dns.edns, dns.flags
stream = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20)
if sys.argv[2:]:
    context = ssl.create_default_context(cafile=sys.argv[2])
    stream = context.wrap_socket(stream, server_hostname='dns.example')
def send(name, kind='A', **wishes):
    question = dns.message.make_query(name, kind, **wishes)
    dns.query.send_tcp(stream, question)
    return question
def receive():
    return dns.query.receive_tcp(stream)[0]
";

/// A Python program with dnspython, in a process of its own.
struct Python {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Python {
    fn start(script: &str, arguments: &[String]) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-u", "-c", &format!("{CLIENT}{script}")])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").unwrap()
    }

    fn end(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

/// A home with TLS and an upstream, and the arguments of clients over TCP and over TLS.
struct Both {
    home: Home,
    node: Node,
}

impl Both {
    fn serve(upstream: &Upstream) -> Self {
        let home = tls::home_with(&format!("{}deadline-ms = 30000\n", upstream.config()));
        let node = home.serve();
        Self { home, node }
    }

    fn clients(&self) -> [Vec<String>; 2] {
        let ca = self.home.path("ca.pem").display().to_string();
        let secure = tls::secure(&self.node).port().to_string();
        [vec![self.node.address.port().to_string()], vec![secure, ca]]
    }
}

#[test]
fn a_question_that_waits_holds_up_none_behind_it() {
    const SCRIPT: &str = "
slow = send('slow' + sys.argv[1] + '.example.com')
quick = [send('api.eu.mesh.internal') for _ in range(40)]
for question in quick:
    reply = receive()
    assert question.is_response(reply) and reply.answer, reply
print('quick ones are answered')
reply = receive()
assert slow.is_response(reply), reply
print(reply.answer[0][0])
";
    let upstream = Upstream::start_slow();
    let both = Both::serve(&upstream);
    for client in both.clients() {
        let mut python = Python::start(SCRIPT, &client);
        upstream.came.recv().unwrap();
        assert_eq!(python.line(), "quick ones are answered");
        upstream.let_go();
        assert_eq!(python.line(), "192.0.2.44");
        python.end();
    }
    both.node.stop();
}

#[test]
fn thousands_of_questions_in_a_row_are_all_answered() {
    const SCRIPT: &str = "
import struct
def framed(question):
    wire = question.to_wire()
    return struct.pack('!H', len(wire)) + wire
questions = {}
for number in range(5_000):
    name = 'api.eu.mesh.internal' if number % 2 else 'nope%d.mesh.internal' % number
    question = dns.message.make_query(name, 'A', id=number)
    questions[number] = question
import threading
threading.Thread(target=lambda: stream.sendall(b''.join(map(framed, questions.values())))).start()
for _ in range(5_000):
    reply = receive()
    question = questions.pop(reply.id)
    assert question.is_response(reply)
    assert reply.rcode() == (0 if reply.id % 2 else 3), reply
assert not questions
print('all')
";
    let upstream = Upstream::start();
    let both = Both::serve(&upstream);
    // Under TLS this client cannot send and receive at the same time.
    let [plain, _] = both.clients();
    let mut python = Python::start(SCRIPT, &plain);
    assert_eq!(python.line(), "all");
    python.end();
    both.node.stop();
}

#[test]
fn the_longest_message_is_read_and_the_next_one_too() {
    const SCRIPT: &str = "
import struct
question = dns.message.make_query('api.eu.mesh.internal', 'A').to_wire()
padding = 65535 - len(question) - 11 - 4
opt = struct.pack('!BHHIHHH', 0, 41, 1232, 0, padding + 4, 12, padding)
long = question[:11] + bytes([1]) + question[12:] + opt + bytes(padding)
assert len(long) == 65535
stream.sendall(bytes([255, 255]) + long)
reply = receive()
assert reply.rcode() == 0 and reply.answer, reply
length = len(reply.to_wire())
send('mesh.internal', 'SOA')
assert receive().answer
print(length)
";
    let upstream = Upstream::start();
    let both = Both::serve(&upstream);
    for client in both.clients() {
        let mut python = Python::start(SCRIPT, &client);
        let length: usize = python.line().parse().unwrap();
        // Only under TLS is the reply padded, and there to one block.
        assert_eq!(length == 468, client.len() == 2, "{length}");
        python.end();
    }
    both.node.stop();
}

#[test]
fn what_is_no_question_ends_the_connection_and_what_is_malformed_does_not() {
    const SCRIPT: &str = "
import struct
# A name that ends nowhere.
broken = b'\\x00\\x07' + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + b'\\x3fabc'
stream.sendall(struct.pack('!H', len(broken)) + broken)
reply = receive()
assert reply.id == 7 and reply.rcode() == 1, reply
question = send('api.eu.mesh.internal')
assert question.is_response(receive())
question.flags |= dns.flags.QR
dns.query.send_tcp(stream, question)
send('api.eu.mesh.internal')
assert stream.recv(1) == b'', 'a reply was answered'
print('ended')
";
    let upstream = Upstream::start();
    let both = Both::serve(&upstream);
    for client in both.clients() {
        let mut python = Python::start(SCRIPT, &client);
        assert_eq!(python.line(), "ended");
        python.end();
    }
    both.node.stop();
}

#[test]
fn kdig_asks_one_question_after_another_over_a_connection() {
    let upstream = Upstream::start();
    let both = Both::serve(&upstream);
    let ask = |port: u16, transport: &str| {
        let mut kdig = Command::new("kdig");
        kdig.args([
            "@127.0.0.1",
            "-p",
            &port.to_string(),
            transport,
            "+keepopen",
        ]);
        kdig.args([NAME, "A", "www.example.com", "A", "nope.mesh.internal", "A"]);
        run(&mut kdig).good().to_owned()
    };
    let ports = [
        (both.node.address.port(), "+tcp"),
        (tls::secure(&both.node).port(), "+tls"),
    ];
    for (port, transport) in ports {
        let said = ask(port, transport);
        assert_eq!(said.matches("status: NOERROR").count(), 2, "{said}");
        assert_eq!(said.matches("status: NXDOMAIN").count(), 1, "{said}");
        assert!(said.contains("192.0.2.44"), "{said}");
    }
    both.node.stop();
}

#[test]
fn who_asks_is_told_how_long_a_connection_may_be_idle() {
    let upstream = Upstream::start();
    let both = Both::serve(&upstream);
    let dig = |arguments: &[&str]| {
        let mut dig = Command::new("dig");
        dig.arg("@127.0.0.1").args(arguments).args([NAME, "A"]);
        run(&mut dig).good().to_owned()
    };
    let plain = both.node.address.port().to_string();
    let secure = tls::secure(&both.node).port().to_string();
    let told = "TCP KEEPALIVE: 10.0 secs";
    for (arguments, is_told) in [
        (["-p", &plain, "+tcp", "+keepalive"], true),
        (["-p", &secure, "+tls", "+keepalive"], true),
        (["-p", &plain, "+tcp", "+nokeepalive"], false),
        (["-p", &plain, "+notcp", "+keepalive"], false),
    ] {
        let said = dig(&arguments);
        assert!(said.contains("status: NOERROR"), "{said}");
        assert_eq!(said.contains(told), is_told, "{arguments:?}: {said}");
        assert_eq!(said.contains("KEEPALIVE"), is_told, "{said}");
    }
    // A refusal says it too, and is padded as well.
    let said = dig(&["-p", &plain, "+tcp", "+keepalive", "-c", "CH"]);
    assert!(said.contains("REFUSED") && said.contains(told), "{said}");
    both.node.stop();
}

#[test]
fn refusals_under_tls_are_as_long_as_answers() {
    let upstream = Upstream::start();
    let both = Both::serve(&upstream);
    let kdig = |arguments: &[&str]| {
        let port = tls::secure(&both.node).port().to_string();
        let mut kdig = Command::new("kdig");
        kdig.args(["@127.0.0.1", "-p", &port, "+tls"])
            .args(arguments);
        run(&mut kdig).good().to_owned()
    };
    for (arguments, status) in [
        (["+padding=128", "-c", "IN", NAME], "NOERROR"),
        (["+padding=128", "-c", "CH", "version.bind"], "REFUSED"),
        (
            ["+padding=128", "-c", "IN", "nope.mesh.internal"],
            "NXDOMAIN",
        ),
    ] {
        let said = kdig(&arguments);
        assert!(said.contains(status), "{said}");
        assert!(said.contains("Received 468 B"), "{said}");
    }
    // Only for who pads.
    let said = kdig(&["+nopadding", "-c", "CH", "version.bind"]);
    assert!(!said.contains("PADDING"), "{said}");
    both.node.stop();
}

#[test]
fn questions_that_wait_when_the_node_is_stopped_are_answered_and_no_more_are_taken() {
    const SCRIPT: &str = "
slow = send('slow' + sys.argv[1] + '.example.com')
quick = send('api.eu.mesh.internal')
assert quick.is_response(receive())
print('under way')
reply = receive()
assert slow.is_response(reply) and reply.answer, reply
assert stream.recv(1) == b''
print('answered and ended')
";
    let upstream = Upstream::start_slow();
    let mut both = Both::serve(&upstream);
    let clients = both.clients();
    let mut pythons = clients.map(|client| Python::start(SCRIPT, &client));
    for python in &mut pythons {
        assert_eq!(python.line(), "under way");
    }
    both.node.signal("TERM");
    both.node.wait_for("stopping");
    upstream.let_go();
    upstream.let_go();
    for python in &mut pythons {
        assert_eq!(python.line(), "answered and ended");
    }
    pythons.into_iter().for_each(Python::end);
    assert!(both.node.wait().success());
}

#[test]
fn a_half_closed_connection_is_answered_to_its_end() {
    let upstream = Upstream::start_slow();
    let both = Both::serve(&upstream);
    let mut stream = TcpStream::connect(both.node.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = [0, 34, 0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    stream.write_all(&head).unwrap();
    stream
        .write_all(b"\x04slow\x07example\x03com\x00\x00\x01\x00\x01")
        .unwrap();
    // A second one that never becomes whole.
    stream.write_all(&[0, 34, 0]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    upstream.came.recv().unwrap();
    upstream.let_go();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(usize::from(all[1]) + 2, all.len());
    assert_eq!(all[2..4], [0, 9]);
    both.node.stop();
}
