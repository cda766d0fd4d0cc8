//! Nodes of two programs: what the older one does not know, it is not asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use kedge::base::time::Timestamp;
use kedge::replication::wire::{BeaconWish, Hello, Reply, Request, Turned, frame};

use super::moves::two_regions;
use super::node::{Home, QUIET};
use super::peers::{FakePeer, any, configure, id, listens, peer, until};

/// How often something was asked, by what it is.
type Asked = Arc<Mutex<BTreeMap<&'static str, usize>>>;

fn kind(request: &Request) -> &'static str {
    match request {
        Request::Hello(_) => "hello",
        Request::Heads(_) => "heads",
        Request::Prove { .. } => "prove",
        Request::Leases(_) => "leases",
        Request::Beacons(_) => "beacons",
        Request::Plea(_) => "plea",
        _ => "other",
    }
}

fn greeting() -> Hello {
    Hello {
        versions: vec![1],
        software: "kedge/0.0.9".to_owned(),
        ..Hello::of("test")
    }
}

/// A peer of a program that speaks the first version only, and what it was asked.
fn older() -> (FakePeer, Asked) {
    let (fake, asked) = (FakePeer::new(72), Asked::default());
    let counted = Arc::clone(&asked);
    fake.serve(move |request| {
        *counted.lock().unwrap().entry(kind(&request)).or_default() += 1;
        let reply = match request {
            Request::Hello(_) => Reply::Hello(greeting()),
            Request::Heads(_) => Reply::Heads(Vec::new()),
            Request::Announce(_) | Request::Leased(_) => Reply::Heard,
            _ => Reply::Turned(Turned::NotHeld),
        };
        Some(frame(&reply))
    });
    (fake, asked)
}

/// What a node says of a peer.
fn standing(home: &Home, name: &str) -> Value {
    let nodes = home.json(&["nodes"]);
    let mut nodes = nodes.as_array().unwrap().iter();
    nodes.find(|node| node["name"] == name).unwrap().clone()
}

#[test]
fn a_peer_of_an_older_version_is_asked_what_it_knows_and_nothing_newer() {
    let (pair, other) = two_regions();
    other.stop();
    let (fake, asked) = older();
    let peers = peer("origin", &id(&pair.origin), Some(listens(&pair.node)))
        + &peer("old", &fake.id(), Some(fake.address()));
    let rest = format!("{QUIET}[freshness]\nbeacon-secs = 1\n");
    configure(&pair.mirror, None, &peers, &rest);
    let other = pair.mirror.serve();
    let mirror = |words: &[&str]| pair.mirror.run(words);
    let both = ["--from", "origin", "--from", "old"];
    mirror(&[&["mirror", "eu.mesh.internal"], &both[..]].concat()).good();
    let count = |what: &str| asked.lock().unwrap().get(what).copied().unwrap_or(0);
    // A name of a scope that is not held here, as soon as there is a peer to ask, and one that is to
    // move to another node.
    until("prove", || {
        other.ask("api.us.mesh.internal");
        (count("prove") > 0).then_some(())
    });
    mirror(&["name", "put", "svc.ap.mesh.internal", "A", "10.9.0.5"]).good();
    let to = "moved.eu.mesh.internal";
    mirror(&["name", "move", "svc.ap.mesh.internal", to]).good();
    let moved = || pair.mirror.json(&["move", "list"])[0].clone();
    until("an answer of the other peer's to the move", || {
        (moved()["stage"] != "queued").then_some(())
    });
    for what in ["heads", "leases"] {
        until(what, || (count(what) > 0).then_some(()));
    }
    // The other one is asked for beacons again and again meanwhile.
    let confirmed = || -> Option<Timestamp> {
        let followed = pair.mirror.json(&["mirror"]);
        followed[0]["freshness"]["confirmed"].as_str()?.parse().ok()
    };
    let before = until("a confirmation", confirmed);
    // An anchor speaks when its scopes change, and otherwise rarely.
    let change = |number: usize| {
        let (name, text) = ("n.eu.mesh.internal", number.to_string());
        pair.origin.run(&["name", "put", name, "TXT", &text]).good();
    };
    let mut numbers = 0..;
    until("the next ones", || {
        numbers.next().map(change);
        (confirmed()? > before.plus_millis(3_000)).then_some(())
    });
    assert_eq!((count("beacons"), count("plea")), (0, 0));
    let old = standing(&pair.mirror, "old");
    assert_eq!(
        (&old["version"], &old["connected"]),
        (&1.into(), &true.into())
    );
    assert_eq!(
        (&old["complaints"], count("hello")),
        (&0.into(), 1),
        "{old}"
    );
    assert_eq!(standing(&pair.mirror, "origin")["version"], 2);
    let said = mirror(&["doctor"]).out;
    let line = "its program is an older one, kedge/0.0.9: version 1 is spoken with it, not 2";
    assert!(said.contains(line), "{said}");
    let shown = mirror(&["nodes"]).out;
    assert!(
        shown.contains("  speaks version 1, kedge/0.0.9\n"),
        "{shown}"
    );
    other.stop();
    pair.node.stop();
}

#[test]
fn a_request_that_is_newer_than_what_was_agreed_on_is_turned_down_and_ends_nothing() {
    let home = Home::new(QUIET);
    home.run(&["init"]).good();
    let fake = FakePeer::new(73);
    configure(&home, Some(any()), &peer("fake", &fake.id(), None), QUIET);
    let node = home.serve();
    let connection = fake.dial(&id(&home), listens(&node)).unwrap();
    let greeted = fake.say(&connection, &frame(&Request::Hello(greeting())));
    let Some(Reply::Hello(hello)) = greeted else {
        panic!("{greeted:?}");
    };
    assert_eq!(hello.versions, [1]);
    let beacons = frame(&Request::Beacons(BeaconWish {
        anchors: Vec::new(),
        scopes: Vec::new(),
    }));
    let turned = fake.say(&connection, &beacons);
    let known = vec![1];
    assert_eq!(turned, Some(Reply::Turned(Turned::Version { known })));
    let heads = fake.say(&connection, &frame(&Request::Heads(Vec::new())));
    assert_eq!(heads, Some(Reply::Heads(Vec::new())));
    let seen = standing(&home, "fake");
    assert_eq!(
        (&seen["version"], &seen["connected"]),
        (&1.into(), &true.into())
    );
    assert_eq!(
        (&seen["complaints"], &seen["refused"]),
        (&0.into(), &1.into())
    );
    // Where both speak the newer one, the same is answered.
    let again = fake.dial(&id(&home), listens(&node)).unwrap();
    fake.greet(&again).unwrap();
    assert_eq!(fake.say(&again, &beacons), Some(Reply::Beacons(Vec::new())));
    node.stop();
}
