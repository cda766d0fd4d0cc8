//! Sockets that whoever starts a node bound for it, as systemd does: those that are taken, and those
//! that are not wanted.

use std::fmt::Display;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::node::{Asked, Home, Node, QUIET, Ran};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What systemd does: two descriptors from the third on, and an environment that says so, for the
/// process that the shell becomes.
const HAND_OVER: &str = "exec 3<&0 4<&1 0</dev/null 1>/dev/null; LISTEN_PID=${PID_OF:-$$} \
                         LISTEN_FDS=2 LISTEN_FDNAMES=dns:dns exec \"$@\"";

/// A node that two sockets are handed to; this process keeps them open, as systemd does.
fn command(home: &Home, first: impl Into<OwnedFd>, second: impl Into<OwnedFd>) -> Command {
    let mut command = Command::new("sh");
    command
        .current_dir(home.path(""))
        .args(["-c", HAND_OVER, "sh", env!("CARGO_BIN_EXE_kedge")])
        .args(["serve", "--config", "kedge.toml"])
        .stdin(Stdio::from(first.into()))
        .stdout(Stdio::from(second.into()))
        .stderr(Stdio::piped());
    command
}

fn start(home: &Home, udp: &UdpSocket, tcp: &TcpListener) -> Node {
    let (udp, tcp) = (udp.try_clone().unwrap(), tcp.try_clone().unwrap());
    Node::of(command(home, udp, tcp).spawn().unwrap())
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::new(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A port that is bound for both, and stays so.
fn bound() -> (UdpSocket, TcpListener, SocketAddr) {
    for _ in 0..16 {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if let Ok(udp) = UdpSocket::bind(address) {
            return (udp, tcp, address);
        }
    }
    panic!("no port is free for both");
}

fn home(address: impl Display + Copy) -> Home {
    let home = Home::new(QUIET);
    let config = format!("[listen]\ndns = [\"{address}\"]\n{QUIET}");
    home.write("kedge.toml", &config);
    home
}

/// Asks over TCP for a name that nobody has, and gives the response code.
fn code_over_tcp(address: SocketAddr) -> u8 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = b"\x00\x18\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x04test\x00\x00\x01\x00\x01";
    stream.write_all(question).unwrap();
    let mut head = [0; 6];
    stream.read_exact(&mut head).unwrap();
    head[5] & 0x0f
}

#[test]
fn sockets_that_are_handed_over_are_answered_on_and_left_as_they_were() {
    let (udp, tcp, address) = bound();
    let home = home(address);
    let mut node = start(&home, &udp, &tcp);
    let said = node.said.join("\n");
    let line = format!("listening on {address} (udp handed over, tcp handed over)");
    assert!(said.contains(&line), "{said}");
    assert_eq!(node.ask("x.test")[0], "NXDOMAIN");
    assert_eq!(code_over_tcp(address), 3);
    node.signal("HUP");
    node.wait_for("reloaded");
    assert_eq!(node.ask("x.test")[0], "NXDOMAIN");
    node.stop();
    // Whoever asks between two nodes is answered by the second one, on both transports.
    let asked = Asked::send(address, "x.test");
    let over_tcp = std::thread::spawn(move || code_over_tcp(address));
    let node = start(&home, &udp, &tcp);
    assert!(asked.is_answered_within(PATIENCE));
    assert_eq!(over_tcp.join().unwrap(), 3);
    node.stop();
}

#[test]
fn several_sockets_of_one_address_are_all_answered_on_and_what_is_missing_is_bound() {
    let shared = |address: SocketAddr| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        UdpSocket::from(socket)
    };
    let first = shared(SocketAddr::from(([127, 0, 0, 1], 0)));
    let address = first.local_addr().unwrap();
    let second = shared(address);
    let home = home(address);
    let node = Node::of(command(&home, first, second).spawn().unwrap());
    let line = format!("listening on {address} (udp handed over, tcp)");
    assert!(
        node.said.contains(&format!("kedge: {line}")),
        "{:?}",
        node.said
    );
    // The kernel deals clients out by their ports.
    for _ in 0..16 {
        assert_eq!(node.ask("x.test")[0], "NXDOMAIN");
    }
    assert_eq!(code_over_tcp(address), 3);
    node.stop();
}

#[test]
fn a_socket_that_nobody_wants_ends_the_start_before_anything_is_made() {
    let (udp, tcp, address) = bound();
    let home = home("127.0.0.1:0");
    let ran = ran(&mut command(&home, udp, tcp));
    assert_eq!(ran.code, 2, "{ran:?}");
    let expected = format!("descriptor 3 (dns) was handed over, bound to udp {address}: expected");
    assert!(ran.err.contains(&expected), "{ran:?}");
    assert!(ran.err.contains("hint: "), "{ran:?}");
    assert!(!home.path("data").exists());
}

#[test]
fn what_is_no_socket_of_the_internet_is_named() {
    let home = home("127.0.0.1:0");
    let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
    let (udp, _, _) = bound();
    let ran = ran(&mut command(&home, here, udp));
    assert_eq!(ran.code, 2, "{ran:?}");
    let expected = "descriptor 3 (dns) was handed over and is no UDP or TCP socket";
    assert!(ran.err.contains(expected), "{ran:?}");
}

#[test]
fn sockets_for_another_process_are_not_looked_at() {
    let (udp, tcp, _) = bound();
    let home = home("127.0.0.1:0");
    let mut command = command(&home, udp, tcp);
    let node = Node::of(command.env("PID_OF", "1").spawn().unwrap());
    assert!(node.said.iter().all(|line| !line.contains("handed over")));
    assert_eq!(node.ask("x.test")[0], "NXDOMAIN");
    node.stop();
}
