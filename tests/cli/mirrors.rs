//! Scopes that one node follows at another, with peers that are of use and peers that are not.

use serde_json::Value;

use kedge::base::canonical::Form as _;
use kedge::base::digest::Digest;
use kedge::namespace::scope::ScopeUid;
use kedge::replication::ordering::{Message, PrevoteCertificate};
use kedge::replication::wire::{Head, Hello, REQUEST_BYTES_MAX, Reply, Request, Turned, frame};

use super::node::{Home, QUIET};
use super::peers::{FakePeer, Pair, any, configure, id, listens, peer, until};

#[test]
fn a_mirror_answers_as_the_origin_does_and_goes_on_without_it() {
    let pair = Pair::new();
    let other = pair.mirror.serve();
    assert_eq!(other.ask("api.eu.mesh.internal")[0], "NXDOMAIN");
    pair.follow(&["eu.mesh.internal", "payments.eu.mesh.internal"]);
    for question in [
        "api.eu.mesh.internal",
        "www.eu.mesh.internal",
        "ledger.payments.eu.mesh.internal HTTPS",
        "nope.eu.mesh.internal",
    ] {
        assert_eq!(other.ask(question), pair.node.ask(question), "{question}");
    }
    // What is not followed is proven.
    let proven = "api.us.mesh.internal";
    assert_eq!(other.ask(proven), pair.node.ask(proven));
    let put = ["name", "put", "new.eu.mesh.internal", "A", "10.9.0.1"];
    pair.origin.run(&put).good();
    let seen = ["NOERROR aa", "new.eu.mesh.internal. 60 A 10.9.0.1"];
    until("the change", || {
        (other.ask("new.eu.mesh.internal") == seen).then_some(())
    });
    let explained = pair.mirror.run(&["explain", "new.eu.mesh.internal"]);
    let explained = explained.good();
    assert!(
        explained.contains("mirror   eu.mesh.internal. of origin: origin heard"),
        "{explained}"
    );
    let refused = pair.mirror.run(&put);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.err.contains("is a mirror on this node"),
        "{refused:?}"
    );
    pair.mirror.run(&["doctor"]).good();
    pair.mirror.run(&["verify"]).good();

    let Pair {
        origin,
        mirror,
        node,
        ..
    } = pair;
    node.kill();
    let gone = until("the end of the origin", || {
        let peers = mirror.json(&["nodes"]);
        (peers[0]["connected"] == Value::Bool(false)).then_some(peers)
    });
    assert!(gone[0]["last_error"].is_string(), "{gone}");
    assert_eq!(other.ask("new.eu.mesh.internal"), seen);
    // While it is away, it changes; a mirror that was away, too, catches up.
    origin
        .run(&["name", "put", "late.eu.mesh.internal", "A", "10.9.0.2"])
        .good();
    other.stop();
    let (node, other) = (origin.serve(), mirror.serve());
    assert_eq!(other.ask("new.eu.mesh.internal"), seen);
    until("what was missed", || {
        (other.ask("late.eu.mesh.internal")[0] == "NOERROR aa").then_some(())
    });
    node.stop();
    other.stop();
    mirror.run(&["verify"]).good();
}

#[test]
fn a_mirror_is_stopped_and_started_again() {
    let pair = Pair::new();
    let other = pair.mirror.serve();
    pair.follow(&["eu.mesh.internal"]);
    let listed = pair.mirror.json(&["mirror"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    pair.mirror
        .run(&["mirror", "eu.mesh.internal", "--stop"])
        .good();
    pair.origin
        .run(&["name", "put", "on.eu.mesh.internal", "A", "10.9.0.3"])
        .good();
    pair.origin
        .run(&["name", "put", "on.mesh.internal", "A", "10.9.0.3"])
        .good();
    until("the followed scope", || {
        (other.ask("on.mesh.internal")[0] == "NOERROR aa").then_some(())
    });
    assert_eq!(other.ask("on.eu.mesh.internal")[0], "NXDOMAIN aa");
    let twice = pair.mirror.run(&["mirror", "eu.mesh.internal", "--stop"]);
    assert_eq!(twice.code, 4, "{twice:?}");
    pair.mirror
        .run(&["mirror", "eu.mesh.internal", "--from", "origin"])
        .good();
    assert_eq!(other.ask("on.eu.mesh.internal")[0], "NOERROR aa");
    other.stop();
    pair.node.stop();
}

#[test]
fn what_cannot_be_followed_is_refused_with_a_reason() {
    let pair = Pair::new();
    let genesis = pair.uid("eu.mesh.internal");
    let offline = pair
        .mirror
        .run(&["mirror", "mesh.internal", "--from", "origin"]);
    assert_eq!(offline.code, 5, "{offline:?}");
    let other = pair.mirror.serve();
    for (arguments, code, words) in [
        (
            &["mesh.internal", "--from", "origin"][..],
            4,
            "--genesis UID",
        ),
        (
            &["mesh.internal", "--from", "nobody", "--genesis", &genesis],
            4,
            "is no peer",
        ),
        // The root of another tree, and a scope that belongs below one.
        (
            &["mesh.internal", "--from", "origin", "--genesis", &genesis],
            5,
            "belongs elsewhere",
        ),
        (
            &["mesh.internal", "--from", "origin", "--genesis", "ff"],
            2,
            "genesis",
        ),
        (&["mesh.internal"], 2, "--from PEER"),
    ] {
        let all: Vec<&str> = ["mirror"].iter().chain(arguments).copied().collect();
        let refused = pair.mirror.run(&all);
        assert_eq!(refused.code, code, "{arguments:?}: {refused:?}");
        assert!(refused.err.contains(words), "{arguments:?}: {refused:?}");
    }
    assert_eq!(
        pair.mirror.json(&["scope", "list"]),
        Value::Array(Vec::new())
    );
    // Whoever decides over a scope does not follow it.
    let own = pair
        .origin
        .run(&["mirror", "mesh.internal", "--from", "mirror"]);
    assert_eq!(own.code, 3, "{own:?}");
    other.stop();
    pair.node.stop();
}

#[test]
fn a_stranger_is_refused_and_a_peer_can_be_added_and_removed() {
    let home = Home::new(QUIET);
    home.run(&["init"]).good();
    let own = id(&home);
    let fake = FakePeer::new(41);
    configure(
        &home,
        Some(any()),
        &peer("other", &id(&home).replace('0', "1"), None),
        QUIET,
    );
    // That id may be no key; then another one is as good.
    let known = FakePeer::new(42);
    configure(&home, Some(any()), &peer("known", &known.id(), None), QUIET);
    let node = home.serve();
    let at = listens(&node);
    let is_closed = |connection: Option<noq::Connection>| match connection {
        None => true,
        Some(connection) => fake.greet(&connection).is_none(),
    };
    assert!(is_closed(fake.dial(&own, at)), "a stranger is taken in");
    let both = peer("known", &known.id(), None) + &peer("fake", &fake.id(), None);
    configure(&home, Some(any()), &both, QUIET);
    home.run(&["reload"]).good();
    let connection = fake.dial(&own, at).unwrap();
    assert!(matches!(fake.greet(&connection), Some(Reply::Hello(_))));
    configure(&home, Some(any()), &peer("known", &known.id(), None), QUIET);
    home.run(&["reload"]).good();
    let why = fake.closed(&connection);
    assert!(why.contains("no peer any more"), "{why}");
    node.stop();
}

/// A node that listens, and a connection of a peer to it, greeted.
fn with_peer(seed: u8) -> (Home, super::node::Node, FakePeer, noq::Connection) {
    let home = Home::new(QUIET);
    home.run(&["init"]).good();
    let fake = FakePeer::new(seed);
    configure(&home, Some(any()), &peer("fake", &fake.id(), None), QUIET);
    let node = home.serve();
    let connection = fake.dial(&id(&home), listens(&node)).unwrap();
    (home, node, fake, connection)
}

#[test]
fn frames_that_are_none_end_the_connection_and_are_counted() {
    let heads = frame(&Request::Heads(Vec::new()));
    let mut future = heads.clone();
    // The version of the form, behind its length, its label's length and its label.
    future[4 + 1 + Request::LABEL.len()] = 2;
    let mut oversized = heads.clone();
    let claimed = u32::try_from(REQUEST_BYTES_MAX + 1).unwrap();
    oversized[..4].copy_from_slice(&claimed.to_be_bytes());
    let truncated = heads[..heads.len() - 1].to_vec();
    let mut trailing = heads.clone();
    trailing[3] += 1;
    trailing.push(0);
    for (seed, bytes) in [
        (50, future),
        (51, oversized),
        (52, truncated),
        (53, trailing),
    ] {
        let (home, node, fake, connection) = with_peer(seed);
        assert!(matches!(fake.greet(&connection), Some(Reply::Hello(_))));
        assert_eq!(
            fake.say(&connection, &heads),
            Some(Reply::Heads(Vec::new()))
        );
        assert_eq!(fake.say(&connection, &bytes), None);
        let why = fake.closed(&connection);
        assert!(why.contains("its request is none"), "{seed}: {why}");
        let peers = home.json(&["nodes"]);
        assert_eq!(peers[0]["complaints"], 1, "{peers}");
        node.stop();
    }
}

#[test]
fn greetings_come_first_once_and_in_a_version_that_both_speak() {
    let (_home, node, fake, connection) = with_peer(60);
    let future = Hello {
        versions: vec![9, 8],
        ..Hello::of("test")
    };
    let reply = fake.say(&connection, &frame(&Request::Hello(future)));
    let known = vec![2, 1];
    assert_eq!(reply, Some(Reply::Turned(Turned::Version { known })));
    fake.closed(&connection);
    node.stop();
    let (_home, node, fake, connection) = with_peer(61);
    let early = fake.say(&connection, &frame(&Request::Heads(Vec::new())));
    assert!(
        matches!(early, None | Some(Reply::Turned(Turned::Greeting))),
        "{early:?}"
    );
    fake.closed(&connection);
    node.stop();
    let (_home, node, fake, connection) = with_peer(62);
    fake.greet(&connection).unwrap();
    assert_eq!(
        fake.greet(&connection),
        Some(Reply::Turned(Turned::Greeting))
    );
    node.stop();
}

#[test]
fn a_flood_is_turned_down_and_then_cut_off_while_questions_go_on() {
    let (home, node, fake, connection) = with_peer(70);
    fake.greet(&connection).unwrap();
    let heads = frame(&Request::Heads(Vec::new()));
    let mut turned = 0;
    for _ in 0..20_000 {
        match fake.say(&connection, &heads) {
            Some(Reply::Heads(_)) => {}
            Some(Reply::Turned(Turned::TooMuch)) => turned += 1,
            None => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(turned > 100, "{turned}");
    let why = fake.closed(&connection);
    assert!(why.contains("asks too much"), "{why}");
    assert_eq!(node.ask("nope.example")[0], "REFUSED");
    let peers = home.json(&["nodes"]);
    assert!(peers[0]["refused"].as_u64().unwrap() > 100, "{peers}");
    // It is let in again later, not now.
    let again = fake.dial(&id(&home), listens(&node));
    assert!(again.is_none_or(|again| fake.greet(&again).is_none()));
    node.stop();
}

/// Anchors that decide many changes say much in a moment, and what is lost of it is waited for.
#[test]
fn words_between_anchors_are_no_flood() {
    let (_home, node, fake, connection) = with_peer(73);
    fake.greet(&connection).unwrap();
    let word = Message::Prevotes(PrevoteCertificate {
        height: 1,
        round: 0,
        block: Digest::ZERO,
        signatures: Vec::new(),
    });
    let word = frame(&Request::Order {
        scope: ScopeUid::new(Digest::of_bytes("test", b"not held")),
        message: Box::new(word),
    });
    for number in 0..1_500 {
        let reply = fake.say(&connection, &word);
        assert_eq!(reply, Some(Reply::Turned(Turned::NotHeld)), "{number}");
    }
    // What is asked beside them has its own share.
    let heads = fake.say(&connection, &frame(&Request::Heads(Vec::new())));
    assert!(matches!(heads, Some(Reply::Heads(_))), "{heads:?}");
    node.stop();
}

/// A mirror whose only peer is a fake one, which answers so.
fn lied_to(
    seed: u8,
    answer: impl Fn(Request) -> Option<Vec<u8>> + Send + Sync + Clone + 'static,
) -> (super::node::Ran, Home) {
    let home = Home::new(QUIET);
    home.run(&["init"]).good();
    let fake = FakePeer::new(seed);
    fake.serve(answer);
    configure(
        &home,
        None,
        &peer("fake", &fake.id(), Some(fake.address())),
        QUIET,
    );
    let node = home.serve();
    let genesis = "7".repeat(64);
    let ran = home.run(&[
        "mirror",
        "mesh.internal",
        "--from",
        "fake",
        "--genesis",
        &genesis,
    ]);
    assert_eq!(home.json(&["scope", "list"]), Value::Array(Vec::new()));
    assert_eq!(home.json(&["mirror"]), Value::Array(Vec::new()));
    node.stop();
    (ran, home)
}

fn hello() -> Vec<u8> {
    frame(&Reply::Hello(Hello {
        versions: vec![1],
        ..Hello::of("test")
    }))
}

#[test]
fn a_lying_peer_is_named_and_nothing_is_written() {
    let scope = ScopeUid::new(Digest::from_bytes([0x77; 32]));
    let heads = move || {
        let block = Digest::from_bytes([1; 32]);
        frame(&Reply::Heads(vec![Head {
            scope,
            height: 9,
            block,
        }]))
    };
    let empty = || {
        let links = kedge::replication::wire::Links {
            genesis: None,
            links: Vec::new(),
        };
        frame(&Reply::Links(Box::new(links)))
    };
    for (seed, links, words) in [
        (80, Some(empty()), "does not give the blocks"),
        (81, Some(frame(&Reply::Heard)), "another reply"),
        (82, Some(vec![0xff; 64]), "is no reply"),
        (83, Some(vec![0x0f, 0xff, 0xff, 0xff, 1]), "is no reply"),
        (84, None, "in time"),
    ] {
        let (ran, _home) = lied_to(seed, move |request| match request {
            Request::Hello(_) => Some(hello()),
            Request::Heads(_) => Some(heads()),
            Request::Links { .. } => links.clone(),
            _ => None,
        });
        assert_eq!(ran.code, 5, "{words}: {ran:?}");
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
}

#[test]
fn a_peer_of_another_version_or_none_is_not_used() {
    for (seed, greeting, words) in [
        (
            90,
            frame(&Reply::Turned(Turned::Version { known: vec![9] })),
            "wire versions",
        ),
        (
            91,
            frame(&Reply::Hello(Hello {
                versions: vec![9],
                ..Hello::of("x")
            })),
            "greet",
        ),
        (92, vec![0; 16], "no reply"),
    ] {
        let (ran, _home) = lied_to(seed, move |request| match request {
            Request::Hello(_) => Some(greeting.clone()),
            _ => None,
        });
        assert_eq!(ran.code, 5, "{ran:?}");
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
}
