//! Clients of DNS over QUIC that break its rules, stall, flood or take back what they asked.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::node::{Home, Node};
use super::client::{Client, ask, closed, framed, question, run, say, take_back};
use super::{NAME, counter, home, kdig, until_zero};

const PROTOCOL_ERROR: Option<u64> = Some(2);
const EXCESSIVE_LOAD: Option<u64> = Some(4);

/// Does something to a node that must go on to answer, and to say nothing of it.
fn abuse(what: impl AsyncFnOnce(&Client)) {
    let home = home();
    let node = home.serve();
    run(async { what(&Client::new(&home, &node)).await });
    goes_on(&home, &node);
    node.stop();
}

fn goes_on(home: &Home, node: &Node) {
    let said = kdig(home, node, &[NAME, "A"]);
    assert!(said.contains("10.1.0.10"), "{said}");
    let warned = node.said.iter().find(|line| line.contains("WARN"));
    assert!(warned.is_none(), "{warned:?}");
}

#[test]
fn what_is_no_query_ends_the_connection() {
    let good = question(0, NAME, &[]);
    let mut reply = good.clone();
    reply[2] |= 0x80;
    let streams = [
        // IDs are 0.
        framed(&question(1, NAME, &[])),
        // One query a stream.
        framed(&good).repeat(2),
        [&framed(&good)[..], &[0]].concat(),
        // The whole of it, and no less than a header.
        framed(&good)[..20].to_vec(),
        Vec::new(),
        framed(&[0; 11]),
        // More than any message.
        vec![0xff; 70_000],
        // edns-tcp-keepalive.
        framed(&question(0, NAME, &[0, 11, 0, 0])),
        framed(&reply),
    ];
    abuse(async |client| {
        for stream in &streams {
            let connection = client.connect().await.unwrap();
            let (mut sending, _receiving) = say(&connection, stream).await.unwrap();
            drop(sending.finish());
            let start = &stream[..stream.len().min(20)];
            assert_eq!(closed(&connection).await, PROTOCOL_ERROR, "{start:?}");
        }
    });
}

#[test]
fn another_protocol_is_not_spoken() {
    let home = home();
    let node = home.serve();
    run(async {
        for protocol in [&b"dot"[..], b"h3"] {
            let client = Client::offering(&home, &node, protocol);
            let refused = client.connect().await.unwrap_err().to_string();
            assert!(
                refused.contains("120"),
                "no_application_protocol: {refused}"
            );
        }
    });
    goes_on(&home, &node);
    node.stop();
}

#[test]
fn a_query_without_an_end_ends_the_connection_after_a_while() {
    abuse(async |client| {
        for sent in [framed(&question(0, NAME, &[])), vec![0, 40, 0], Vec::new()] {
            let connection = client.connect().await.unwrap();
            let stream = say(&connection, &sent).await.unwrap();
            let code = closed(&connection).await;
            // A stream that nothing was sent on does not exist for the other end.
            let expected = if sent.is_empty() {
                Some(0)
            } else {
                PROTOCOL_ERROR
            };
            assert_eq!(code, expected, "{sent:?}");
            drop(stream);
        }
    });
}

#[test]
fn who_only_takes_back_loses_the_connection_and_who_asks_as_often_does_not() {
    abuse(async |client| {
        let connection = client.connect().await.unwrap();
        let query = question(0, NAME, &[]);
        for _ in 0..150 {
            take_back(&connection).await.unwrap();
            ask(&connection, &query).await.unwrap();
        }
        for _ in 0..10_000 {
            if take_back(&connection).await.is_err() {
                break;
            }
        }
        assert_eq!(closed(&connection).await, EXCESSIVE_LOAD);
    });
}

#[test]
fn streams_that_are_open_hold_up_the_others_of_their_connection_alone() {
    abuse(async |client| {
        let query = question(0, NAME, &[]);
        let held = client.connect().await.unwrap();
        let mut streams = Vec::new();
        // As many as a client may have; each is a part of a query.
        for _ in 0..100 {
            streams.push(say(&held, &framed(&query)[..9]).await.unwrap());
        }
        let one_more = timeout(Duration::from_millis(200), held.open_bi()).await;
        assert!(one_more.is_err(), "more than 100 streams");
        assert!(
            timeout(Duration::from_millis(200), held.open_uni())
                .await
                .is_err(),
            "a stream one way"
        );
        let other = client.connect().await.unwrap();
        ask(&other, &query).await.unwrap();
        assert_eq!(closed(&held).await, PROTOCOL_ERROR);
    });
}

#[test]
fn long_queries_without_an_end_are_not_all_kept() {
    abuse(async |client| {
        let connection = client.connect().await.unwrap();
        let long = framed(&vec![0; 65_535]);
        let mut streams = Vec::new();
        for _ in 0..8 {
            let Ok(stream) = say(&connection, &long[..65_000]).await else {
                break;
            };
            streams.push(stream);
        }
        assert_eq!(closed(&connection).await, EXCESSIVE_LOAD);
    });
}

#[test]
fn who_does_nothing_is_dropped_in_time_whatever_keeps_the_connection_alive() {
    abuse(async |client| {
        let idle = client.connect().await.unwrap();
        let pinging = client.connect_pinging().await;
        let codes = tokio::join!(closed(&idle), closed(&pinging));
        assert_eq!(codes, (Some(0), Some(0)));
    });
}

#[test]
fn idle_clients_make_room_for_others() {
    abuse(async |client| {
        let query = question(0, NAME, &[]);
        let mut held = Vec::new();
        // As many as one client may have, and one more, which is let in.
        for _ in 0..128 {
            held.push(client.connect().await.unwrap());
        }
        let late = client.connect().await.unwrap();
        ask(&late, &query).await.unwrap();
        // The first one was told that it ends; the last one stays.
        assert_eq!(closed(&held[0]).await, EXCESSIVE_LOAD);
        assert!(held[127].close_reason().is_none());
    });
}

/// The datagram that says that a handshake took too long; the crate lets it pass the limit.
const END_BYTES: usize = 150;

/// What comes back for datagrams that are each sent from a socket of its own, until the handshakes
/// are over that began with them.
async fn replies(server: SocketAddr, datagrams: &[Vec<u8>]) -> Vec<usize> {
    // A handshake may take 5 seconds.
    let end = Instant::now() + Duration::from_secs(8);
    let mut sockets = Vec::new();
    for bytes in datagrams {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(bytes, server).await.unwrap();
        sockets.push(socket);
    }
    let counting = sockets.into_iter().map(|socket| async move {
        let (mut count, mut bytes) = (0, [0; 2_048]);
        while let Ok(length) = timeout_at(end, socket.recv(&mut bytes)).await {
            count += length.unwrap();
        }
        count
    });
    join_all(counting).await
}

#[test]
fn handshakes_that_nobody_goes_on_with_are_few_and_repeat_little_to_whoever_they_name() {
    let home = home();
    let node = home.serve();
    let server = super::listener(&node);
    let datagrams = run(async { Client::new(&home, &node).beginnings(400) });
    // Somebody asks while they last.
    let counts = std::thread::scope(|scope| {
        let counting = scope.spawn(|| run(replies(server, &datagrams)));
        for _ in 0..3 {
            let said = kdig(&home, &node, &[NAME, "A"]);
            assert!(said.contains("10.1.0.10"), "{said}");
        }
        counting.join().unwrap()
    });
    let (sent, came): (usize, usize) = (datagrams.iter().map(Vec::len).sum(), counts.iter().sum());
    // Some are answered with a handshake, at most three times what was sent, and told that it is over;
    // all others with less than they sent.
    let pairs = || datagrams.iter().zip(&counts);
    let is_bounded = pairs().all(|(datagram, count)| 3 * datagram.len() + END_BYTES >= *count);
    assert!(is_bounded, "{counts:?}");
    let longer = pairs().filter(|(datagram, count)| datagram.len() < **count);
    let longer = longer.count();
    println!("{sent} octets were sent, {came} came back, more than was sent to {longer}");
    assert!(longer <= 16, "{longer} of {counts:?}");
    assert!(came < sent, "{came} of {sent}");
    let retried = counter(&home, "kedge_quic_retries_total");
    // Those that the socket had no room for are lost, and nothing is said of them.
    assert!(retried > 100, "{retried}");
    until_zero(&home, "kedge_connections{transport=\"quic\"}");
    goes_on(&home, &node);
    node.stop();
}

#[test]
fn datagrams_that_are_no_handshake_are_answered_with_little_or_nothing() {
    let home = home();
    let node = home.serve();
    let server = super::listener(&node);
    let mut begun = run(async { Client::new(&home, &node).beginnings(1) }).remove(0);
    let mut of_another_version = begun.clone();
    of_another_version[1..5].copy_from_slice(&[0x0a; 4]);
    let short = vec![0xc0, 0x0a, 0x0a, 0x0a, 0x0a, 0, 0];
    let mut damaged = begun.clone();
    *damaged.last_mut().unwrap() ^= 1;
    begun.truncate(600);
    let datagrams = [
        of_another_version,
        short,
        begun,
        vec![0x40; 1_200],
        vec![0; 7],
        damaged,
    ];
    let counts = run(replies(server, &datagrams));
    // The first two are told which version is spoken; of what cannot be read nothing is said.
    assert!(counts[0] > 0 && counts[0] < 60, "{counts:?}");
    assert!(counts[1] > 0 && counts[1] <= 15, "{counts:?}");
    assert_eq!(counts[2..], [0, 0, 0, 0], "{counts:?}");
    goes_on(&home, &node);
    node.stop();
}
