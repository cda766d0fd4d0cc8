//! Peers that name addresses of others: nothing is sent there.

use std::net::UdpSocket;
use std::time::Duration;

use noq::TransportConfig;

use kedge::replication::wire::{Hello, Reply, Request, frame};

use super::node::{Home, QUIET};
use super::peers::{FakePeer, any, configure, id, listens, peer, until};

/// How long a datagram may take on loopback that should not come.
const QUIET_FOR: Duration = Duration::from_secs(1);

/// QUIC with all that has ends send to addresses that they are told.
fn eager() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_multipath_paths(13)
        .max_remote_nat_traversal_addresses(12);
    transport
}

/// A socket of somebody who has nothing to do with it.
fn bystander() -> UdpSocket {
    let socket = UdpSocket::bind(any()).unwrap();
    socket.set_read_timeout(Some(QUIET_FOR)).unwrap();
    socket
}

fn assert_quiet(bystander: &UdpSocket) {
    let heard = bystander.recv_from(&mut [0; 2_048]);
    assert!(heard.is_err(), "a datagram came: {heard:?}");
}

#[test]
fn a_peer_that_dials_cannot_have_datagrams_sent_to_a_third_address() {
    let (home, bystander) = (Home::new(QUIET), bystander());
    home.run(&["init"]).good();
    let fake = FakePeer::speaking(61, eager());
    configure(&home, Some(any()), &peer("fake", &fake.id(), None), QUIET);
    let node = home.serve();
    let connection = fake.dial(&id(&home), listens(&node)).unwrap();
    assert!(matches!(fake.greet(&connection), Some(Reply::Hello(_))));
    let third = bystander.local_addr().unwrap();
    let named = connection.add_nat_traversal_address(third);
    let asked = connection.initiate_nat_traversal_round();
    for _ in 0..10 {
        let heads = frame(&Request::Heads(Vec::new()));
        fake.say(&connection, &heads).unwrap();
    }
    assert_quiet(&bystander);
    assert!(
        named.is_err() && asked.is_err(),
        "the node agreed to be told"
    );
    assert!(!connection.is_multipath_enabled());
    node.stop();
}

#[test]
fn a_peer_that_is_dialled_cannot_have_datagrams_sent_to_a_third_address() {
    let (home, bystander) = (Home::new(QUIET), bystander());
    home.run(&["init"]).good();
    let fake = FakePeer::speaking(62, eager());
    let hello = |request| match request {
        Request::Hello(_) => Some(frame(&Reply::Hello(Hello::of("test")))),
        _ => None,
    };
    fake.serve_naming(hello, Some(bystander.local_addr().unwrap()));
    let at = Some(fake.address());
    configure(&home, None, &peer("fake", &fake.id(), at), QUIET);
    let node = home.serve();
    until("a connection", || {
        let peers = home.json(&["nodes"]);
        let connected = |peer: &serde_json::Value| peer["connected"] == true;
        peers
            .as_array()
            .unwrap()
            .iter()
            .any(connected)
            .then_some(())
    });
    assert_quiet(&bystander);
    node.stop();
}
