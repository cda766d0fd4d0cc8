//! More TCP connections than there is room for.

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
    stream.set_read_timeout(Some(patience)).unwrap();
    stream
        .write_all(&question(name))
        .map_err(|error| error.kind())?;
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

#[test]
fn one_client_gets_so_many_connections_and_others_are_served() {
    let home = Home::new(QUIET);
    let node = home.serve();
    let mut held: Vec<TcpStream> = (0..PER_CLIENT).map(|_| connect(&node, 1)).collect();
    let last = held.last_mut().unwrap();
    assert_eq!(ask(last, "x.test", PATIENCE).unwrap()[0], "NXDOMAIN");
    let refused = ask(&mut connect(&node, 1), "x.test", PATIENCE).unwrap_err();
    let ends = [
        ErrorKind::UnexpectedEof,
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
    ];
    assert!(ends.contains(&refused), "{refused:?}");
    let other = ask(&mut connect(&node, 2), "x.test", PATIENCE);
    assert_eq!(other.unwrap()[0], "NXDOMAIN");
    // All that were let in still work.
    for stream in &mut held {
        assert_eq!(ask(stream, "x.test", PATIENCE).unwrap()[0], "NXDOMAIN");
    }
    node.stop();
}

#[test]
fn a_full_house_keeps_the_next_waiting_and_forwards_all_the_same() {
    // With 240 files in all, 120 are for connections, an eighth of them for one client.
    const ROOM: u8 = 120;
    const EACH: u8 = ROOM / 8;
    let upstream = Upstream::start();
    let home = Home::new(&upstream.config());
    let mut shell = Command::new("sh");
    let kedge = program(&home.path("")).get_program().to_owned();
    let line = "ulimit -n 240 && exec \"$0\" serve --config kedge.toml";
    shell
        .args(["-c", line])
        .arg(kedge)
        .current_dir(home.path(""));
    let mut node = Node::start(&mut shell);
    let mut held: Vec<TcpStream> = (0..ROOM)
        .map(|number| connect(&node, 10 + number / EACH))
        .collect();
    for stream in &mut held {
        let reply = ask(stream, "x.test", PATIENCE).unwrap();
        assert_eq!(reply[0], "NXDOMAIN ra");
    }
    let mut next = connect(&node, 4);
    let waits = ask(&mut next, "x.test", SILENCE).unwrap_err();
    assert!(
        matches!(waits, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{waits:?}"
    );
    // Questions over UDP, and those that need a socket of their own, are answered.
    assert_eq!(node.ask("www.example.com")[0], "NOERROR ra");
    drop(held.pop());
    let mut length = [0; 2];
    next.set_read_timeout(Some(PATIENCE)).unwrap();
    next.read_exact(&mut length).unwrap();
    assert_ne!(length, [0, 0]);
    assert!(
        node.said
            .iter()
            .any(|line| line.contains("few files may be open"))
    );
    node.signal("TERM");
    drop(held);
    drop(next);
    assert!(node.wait().success());
}

#[test]
fn the_soft_limit_of_open_files_is_raised() {
    let home = Home::new(QUIET);
    let mut shell = Command::new("sh");
    let kedge = program(&home.path("")).get_program().to_owned();
    let line = "ulimit -S -n 100 && exec \"$0\" serve --config kedge.toml";
    shell
        .args(["-c", line])
        .arg(kedge)
        .current_dir(home.path(""));
    let node = Node::start(&mut shell);
    let mut held: Vec<TcpStream> = (0..PER_CLIENT).map(|_| connect(&node, 5)).collect();
    for stream in &mut held {
        assert_eq!(ask(stream, "x.test", PATIENCE).unwrap()[0], "NXDOMAIN");
    }
    node.stop();
}
