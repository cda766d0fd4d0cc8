//! More TCP connections than there is room for, and clients that stall.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::node::{Home, Node, QUIET, program};
use super::upstream::Upstream;
use super::wire::{self, Ask};

/// How long a reply may take on a busy machine, below the node's own patience with a silent client.
const PATIENCE: Duration = Duration::from_secs(8);
/// Long enough to see that nothing comes, short enough to wait for it.
const SILENCE: Duration = Duration::from_millis(300);
const PER_CLIENT: usize = 128;

/// A connection from the loopback address `127.0.0.client`.
fn connect(node: &Node, client: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, client), 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&node.address.into()).unwrap();
    socket.into()
}

fn question(name: &str) -> Vec<u8> {
    let ask = Ask {
        name: name.parse().unwrap(),
        kind: "A".parse().unwrap(),
        from: IpAddr::from([127, 0, 0, 1]),
        recursion_desired: true,
        dnssec_ok: false,
        checking_disabled: false,
    };
    let bytes = ask.to_bytes();
    let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(&bytes);
    framed
}

/// What one connection gives to a question within a time: a reply, the end, or nothing yet.
fn ask(stream: &mut TcpStream, name: &str, patience: Duration) -> Result<Vec<String>, ErrorKind> {
    stream
        .write_all(&question(name))
        .map_err(|error| error.kind())?;
    reply(stream, patience)
}

fn reply(stream: &mut TcpStream, patience: Duration) -> Result<Vec<String>, ErrorKind> {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut length = [0; 2];
    stream
        .read_exact(&mut length)
        .map_err(|error| error.kind())?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream
        .read_exact(&mut reply)
        .map_err(|error| error.kind())?;
    Ok(wire::lines(&reply))
}

/// Whether an error is the end of the client's own patience.
fn is_patience(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Whether an error is the end of a connection.
fn is_end(error: ErrorKind) -> bool {
    let ends = [
        ErrorKind::UnexpectedEof,
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
    ];
    ends.contains(&error)
}

/// A client has its reply a moment before the node takes the connection for idle, so two of them may
/// change places.
const NEARLY_FIRST: usize = 8;

/// Which connection was ended, the only one.
fn the_one_that_ended(held: &mut [TcpStream]) -> usize {
    let mut ended = Vec::new();
    for (at, stream) in held.iter_mut().enumerate() {
        match ask(stream, "x.test", PATIENCE) {
            Ok(reply) => assert!(reply[0].starts_with("NXDOMAIN")),
            Err(error) => {
                assert!(is_end(error), "{error:?}");
                ended.push(at);
            }
        }
    }
    assert_eq!(ended.len(), 1, "{ended:?}");
    ended[0]
}

/// Whether a connection on which nothing more comes ends before the client's patience does.
fn ends(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => is_end(error.kind()),
    }
}

/// A node with so many files.
fn serve_with_files(home: &Home, files: &str) -> Node {
    let mut shell = Command::new("sh");
    let kedge = program(&home.path("")).get_program().to_owned();
    let line = format!("ulimit {files} && exec \"$0\" serve --config kedge.toml");
    shell
        .args(["-c", &line])
        .arg(kedge)
        .current_dir(home.path(""));
    Node::start(&mut shell)
}

/// The configuration of a node whose questions wait for long.
fn patient(upstream: &Upstream) -> String {
    format!(
        "[demo]\nenabled = false\n{}deadline-ms = 30000\n",
        upstream.config()
    )
}

#[test]
fn a_client_with_all_it_may_have_loses_the_one_that_was_idle_the_longest() {
    let home = Home::new(QUIET);
    let node = home.serve();
    let mut held: Vec<TcpStream> = (0..PER_CLIENT).map(|_| connect(&node, 1)).collect();
    for stream in &mut held {
        assert_eq!(ask(stream, "x.test", PATIENCE).unwrap()[0], "NXDOMAIN");
    }
    let mut next = connect(&node, 1);
    assert_eq!(ask(&mut next, "x.test", PATIENCE).unwrap()[0], "NXDOMAIN");
    let other = ask(&mut connect(&node, 2), "x.test", PATIENCE);
    assert_eq!(other.unwrap()[0], "NXDOMAIN");
    let ended = the_one_that_ended(&mut held);
    assert!(ended < NEARLY_FIRST, "{ended}");
    node.stop();
}

#[test]
fn a_client_whose_connections_are_all_at_work_gets_no_other() {
    let upstream = Upstream::start_slow();
    let home = Home::new(&patient(&upstream));
    let node = home.serve();
    let mut held: Vec<TcpStream> = (0..PER_CLIENT).map(|_| connect(&node, 1)).collect();
    for stream in &mut held {
        stream.write_all(&question("slow.example.com")).unwrap();
    }
    upstream.came.recv().unwrap();
    // The first is asked for by all of them; each is at work once its second is answered.
    for stream in &mut held {
        let reply = ask(stream, "x.test", PATIENCE).unwrap();
        assert_eq!(reply[0], "NXDOMAIN ra");
    }
    let refused = ask(&mut connect(&node, 1), "x.test", PATIENCE);
    assert!(is_end(refused.unwrap_err()));
    let other = ask(&mut connect(&node, 2), "x.test", PATIENCE);
    assert_eq!(other.unwrap()[0], "NXDOMAIN ra");
    upstream.let_go();
    for stream in &mut held {
        let reply = reply(stream, PATIENCE).unwrap();
        assert_eq!(reply[1], "slow.example.com. 300 A 192.0.2.44");
    }
    node.stop();
}

#[test]
fn a_full_house_makes_room_and_forwards_all_the_same() {
    // With 240 files in all, 120 are for connections, an eighth of them for one client.
    const ROOM: u8 = 120;
    const EACH: u8 = ROOM / 8;
    let upstream = Upstream::start_slow();
    let home = Home::new(&patient(&upstream));
    let mut node = serve_with_files(&home, "-n 240");
    // All but one wait for something.
    let mut held: Vec<TcpStream> = (0..ROOM)
        .map(|number| connect(&node, 10 + number / EACH))
        .collect();
    for stream in held.iter_mut().skip(1) {
        stream.write_all(&question("slow.example.com")).unwrap();
        let reply = ask(stream, "x.test", PATIENCE).unwrap();
        assert_eq!(reply[0], "NXDOMAIN ra");
    }
    let mut next = connect(&node, 4);
    next.write_all(&question("slow.example.com")).unwrap();
    let entered = ask(&mut next, "x.test", PATIENCE).unwrap();
    assert_eq!(entered[0], "NXDOMAIN ra");
    assert!(ends(&mut held[0]));
    held[0] = next;
    // Now all of them do, and who comes next waits for one of them.
    let mut last = connect(&node, 5);
    let waits = ask(&mut last, "x.test", SILENCE).unwrap_err();
    assert!(is_patience(waits), "{waits:?}");
    // Questions over UDP are answered, also those that need a socket of their own.
    (0..50).for_each(|_| upstream.let_go());
    assert_eq!(node.ask("www.example.com")[0], "NOERROR ra");
    assert_eq!(reply(&mut last, PATIENCE).unwrap()[0], "NXDOMAIN ra");
    assert!(
        node.said
            .iter()
            .any(|line| line.contains("few files may be open"))
    );
    node.signal("TERM");
    drop(held);
    drop(last);
    assert!(node.wait().success());
}

#[test]
fn the_soft_limit_of_open_files_is_raised() {
    let home = Home::new(QUIET);
    let node = serve_with_files(&home, "-S -n 100");
    let mut held: Vec<TcpStream> = (0..PER_CLIENT).map(|_| connect(&node, 5)).collect();
    for stream in &mut held {
        assert_eq!(ask(stream, "x.test", PATIENCE).unwrap()[0], "NXDOMAIN");
    }
    node.stop();
}

/// Lets a process open so many files more from now on.
fn set_files_left(node: &Node, count: usize) {
    let open = std::fs::read_dir(format!("/proc/{}/fd", node.id())).unwrap();
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name();
        name.into_string().unwrap().parse::<usize>().unwrap()
    };
    let open: BTreeSet<usize> = open.map(number).collect();
    // A new file gets the lowest free number, which must be below the limit.
    let limit = (0..).filter(|fd| !open.contains(fd)).nth(count).unwrap();
    let status = Command::new("prlimit")
        .args(["--pid", &node.id().to_string()])
        .arg(format!("--nofile={limit}:4096"))
        .status();
    assert!(status.unwrap().success());
}

/// What a process has used of processors, in hundredths of a second.
fn cpu_ticks(node: &Node) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.id())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    ticks(11) + ticks(12)
}

#[test]
fn without_descriptors_the_node_waits_and_then_goes_on() {
    let home = Home::new(QUIET);
    let mut node = home.serve();
    assert_eq!(node.ask("x.test")[0], "NXDOMAIN");
    set_files_left(&node, 0);
    let mut waits = connect(&node, 1);
    waits.write_all(&question("x.test")).unwrap();
    node.wait_for("accepting connections fails");
    let before = cpu_ticks(&node);
    let waiting = reply(&mut waits, Duration::from_secs(2)).unwrap_err();
    assert!(is_patience(waiting), "{waiting:?}");
    let ticks = cpu_ticks(&node) - before;
    assert!(ticks < 40, "{ticks} ticks in two seconds: a busy loop");
    assert_eq!(node.ask("x.test")[0], "NXDOMAIN", "UDP goes on");
    // With two, connections make room for each other.
    set_files_left(&node, 2);
    assert_eq!(reply(&mut waits, PATIENCE).unwrap()[0], "NXDOMAIN");
    let mut held = vec![waits];
    for client in 2..8 {
        let mut next = connect(&node, client);
        let reply = ask(&mut next, "x.test", PATIENCE).unwrap();
        assert_eq!(reply[0], "NXDOMAIN");
        held.push(next);
    }
    set_files_left(&node, 100);
    node.stop();
}

#[test]
fn connections_that_are_reset_before_they_are_accepted_are_nothing() {
    let home = Home::new(QUIET);
    let node = home.serve();
    for _ in 0..2_000 {
        let socket: Socket = connect(&node, 3).into();
        // Closing then resets.
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
    let reply = ask(&mut connect(&node, 3), "x.test", PATIENCE);
    assert_eq!(reply.unwrap()[0], "NXDOMAIN");
    assert!(!node.said.join("\n").contains("accepting"));
    node.stop();
}

#[test]
fn who_sends_a_message_byte_by_byte_is_closed_and_disturbs_nobody() {
    let home = Home::new(QUIET);
    let node = home.serve();
    let mut slow: Vec<TcpStream> = (0..64).map(|_| connect(&node, 6)).collect();
    for stream in &mut slow {
        stream.write_all(&question("x.test")[..7]).unwrap();
    }
    let mut other = connect(&node, 7);
    for _ in 0..100 {
        let reply = ask(&mut other, "x.test", PATIENCE);
        assert_eq!(reply.unwrap()[0], "NXDOMAIN");
    }
    // One goes on, never silent for long and never done.
    let mut last = slow.pop().unwrap();
    last.set_read_timeout(Some(SILENCE)).unwrap();
    let bytes = question(&"y".repeat(60));
    let is_open = |stream: &mut TcpStream, byte: u8| {
        let sent = stream.write_all(&[byte]);
        let waits = stream.read(&mut [0]).map_err(|error| error.kind());
        sent.is_ok() && matches!(waits, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut))
    };
    let closed = bytes.iter().position(|byte| !is_open(&mut last, *byte));
    let sent = u32::try_from(closed.expect("it was let go on")).unwrap();
    assert!(sent * SILENCE < PATIENCE, "{sent} bytes");
    for stream in &mut slow {
        assert!(ends(stream));
    }
    node.stop();
}

#[test]
fn who_takes_no_replies_is_closed() {
    let home = Home::new(QUIET);
    let node = home.serve();
    let mut stream = connect(&node, 8);
    stream.set_write_timeout(Some(SILENCE)).unwrap();
    let questions = question("x.test").repeat(1_000);
    // The node stops to read when its replies are not taken; then it stops to wait.
    let stalled = (0..10_000).find_map(|_| stream.write_all(&questions).err());
    assert!(is_patience(stalled.unwrap().kind()));
    let mut other = connect(&node, 8);
    let reply = ask(&mut other, "x.test", PATIENCE);
    assert_eq!(reply.unwrap()[0], "NXDOMAIN");
    let given_up = (0..100).find_map(|_| match stream.write_all(&questions) {
        Err(error) if is_patience(error.kind()) => None,
        Err(error) => Some(error.kind()),
        Ok(()) => None,
    });
    assert!(is_end(given_up.unwrap()));
    node.stop();
}

#[test]
fn questions_that_wait_are_bounded_by_connection_and_by_client() {
    const OF_ONE: usize = 32;
    const OF_CLIENT: usize = 512;
    let upstream = Upstream::start_slow();
    let home = Home::new(&patient(&upstream));
    let node = home.serve();
    let slow = question("slow.example.com").repeat(OF_ONE);
    let mut held: Vec<TcpStream> = (0..OF_CLIENT / OF_ONE).map(|_| connect(&node, 9)).collect();
    for stream in &mut held {
        stream.write_all(&slow).unwrap();
        // Behind as many as may wait nothing is read.
        let waits = ask(stream, "x.test", SILENCE).unwrap_err();
        assert!(is_patience(waits), "{waits:?}");
    }
    // One connection more of this client, and one of another.
    let mut next = connect(&node, 9);
    let refused = ask(&mut next, "slow.example.com", PATIENCE).unwrap();
    assert_eq!(refused[0], "SERVFAIL");
    let quick = ask(&mut next, "x.test", PATIENCE).unwrap();
    assert_eq!(quick[0], "NXDOMAIN ra");
    let mut other = connect(&node, 10);
    let waits = ask(&mut other, "slow.example.com", SILENCE).unwrap_err();
    assert!(is_patience(waits), "{waits:?}");
    (0..50).for_each(|_| upstream.let_go());
    for stream in &mut held {
        let replies: Vec<String> = (0..=OF_ONE)
            .map(|_| reply(stream, PATIENCE).unwrap().swap_remove(0))
            .collect();
        let late = replies.iter().filter(|code| *code == "NXDOMAIN ra");
        assert_eq!(late.count(), 1, "{replies:?}");
        let answered = replies.iter().filter(|code| *code == "NOERROR ra");
        assert_eq!(answered.count(), OF_ONE, "{replies:?}");
    }
    assert_eq!(reply(&mut other, PATIENCE).unwrap()[0], "NOERROR ra");
    node.stop();
}
