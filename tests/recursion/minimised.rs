//! Names are asked for label by label (RFC 9156): what servers learn by it, and those that deny a
//! name which only has names below it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use kedge::adapters::legacy::recursion::Recursion;
use kedge::adapters::legacy::roots::RecursionPlan;
use tokio::net::UdpSocket;

use super::common::message::{AA, header, wire_name};
use super::{ask, line};

/// The root's server, and that of `alpha.`.
const ROOT: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 21);
const ALPHA: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 22);
/// Ports that are tried until one is free at both addresses.
const PORTS_MAX: usize = 5;
const RESPONSE: u16 = 0x8000;
const NXDOMAIN: u16 = 3;
const HEADER_BYTES: usize = 12;
const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;

/// What a server was asked, as `name type`.
type Asked = Arc<Mutex<Vec<String>>>;

/// The code and the records of the three sections.
type Said = (u16, [Vec<Vec<u8>>; 3]);

fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = wire_name(owner);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 60]);
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

fn root(_: &str, _: u16) -> Said {
    let referral = record("alpha", NS, &wire_name("ns.alpha"));
    let glue = record("ns.alpha", A, &ALPHA.octets());
    (0, [Vec::new(), vec![referral], vec![glue]])
}

/// Holds `www.ent.alpha.` and says that there is no `ent.alpha.`, as it must not.
fn alpha(name: &str, kind: u16) -> Said {
    let mut soa = [wire_name("ns.alpha"), wire_name("host.alpha")].concat();
    soa.extend([0, 0, 0, 60].repeat(5));
    let soa = vec![record("alpha", SOA, &soa)];
    let found = |data: &[u8]| (0, [vec![record(name, kind, data)], Vec::new(), Vec::new()]);
    match (name, kind) {
        ("www.ent.alpha", A) => found(&[192, 0, 2, 7]),
        ("ns.alpha", A) => found(&ALPHA.octets()),
        ("alpha", NS) => found(&wire_name("ns.alpha")),
        ("www.ent.alpha" | "ns.alpha" | "alpha", _) => (0, [Vec::new(), soa, Vec::new()]),
        _ => (NXDOMAIN, [Vec::new(), soa, Vec::new()]),
    }
}

/// The name of a question in lower case, its type, and where it ends.
fn question(bytes: &[u8]) -> (String, u16, usize) {
    let (mut labels, mut at) = (Vec::new(), HEADER_BYTES);
    while bytes[at] > 0 {
        let end = at + 1 + usize::from(bytes[at]);
        let label = bytes[at + 1..end].to_ascii_lowercase();
        labels.push(String::from_utf8(label).unwrap());
        at = end;
    }
    let kind = u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]);
    (labels.join("."), kind, at + 5)
}

async fn serve(socket: UdpSocket, asked: Asked, answer: fn(&str, u16) -> Said) {
    let mut bytes = [0; 4_096];
    loop {
        let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
        let (name, kind, end) = question(&bytes[..length]);
        asked.lock().unwrap().push(format!("{name} {kind}"));
        let (code, sections) = answer(&name, kind);
        let count = |number: usize| u16::try_from(sections[number].len()).unwrap();
        let id = u16::from_be_bytes([bytes[0], bytes[1]]);
        let counts = [1, count(0), count(1), count(2)];
        let mut reply = header(id, RESPONSE | AA | code, counts);
        // The question as it came, whatever the case of its letters.
        reply.extend(&bytes[HEADER_BYTES..end]);
        reply.extend(sections.concat().concat());
        socket.send_to(&reply, from).await.unwrap();
    }
}

async fn servers() -> (u16, UdpSocket, UdpSocket) {
    for _ in 0..PORTS_MAX {
        let root = UdpSocket::bind((ROOT, 0)).await.unwrap();
        let port = root.local_addr().unwrap().port();
        if let Ok(alpha) = UdpSocket::bind((ALPHA, port)).await {
            return (port, root, alpha);
        }
    }
    panic!("no port is free at {ROOT} and {ALPHA}");
}

#[tokio::test]
async fn a_denied_empty_name_hides_nothing_below_it_and_the_root_hears_one_label() {
    let (port, root_socket, alpha_socket) = servers().await;
    let (at_root, at_alpha) = (Asked::default(), Asked::default());
    let recursion = Recursion::new(RecursionPlan {
        roots: vec![ROOT.into()],
        validates: false,
        allowed: vec!["127.0.1.0/24".parse().unwrap()],
        port,
        ..RecursionPlan::default()
    })
    .unwrap();
    let reply = tokio::select! {
        reply = ask(&recursion, "www.ent.alpha A") => reply.unwrap(),
        () = serve(root_socket, Arc::clone(&at_root), root) => panic!("the root ended"),
        () = serve(alpha_socket, Arc::clone(&at_alpha), alpha) => panic!("the server ended"),
    };
    assert_eq!(line(&reply), "NOERROR www.ent.alpha. A 192.0.2.7");
    let at_alpha = at_alpha.lock().unwrap().clone();
    assert!(
        at_alpha.contains(&format!("ent.alpha {NS}")),
        "{at_alpha:?}"
    );
    let at_root = at_root.lock().unwrap().clone();
    assert!(!at_root.is_empty());
    for asked in at_root {
        let (name, _) = asked.split_once(' ').unwrap();
        assert!(["", "alpha"].contains(&name), "the root was asked {asked}");
    }
}
