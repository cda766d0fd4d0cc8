//! Whether a scope that is followed is fresh, by the signed word of its anchors.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use kedge::base::keys::SecretKey;
use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::beacon::Beacon;
use kedge::replication::wire::{BeaconRow, Hello, Reply, Request, Turned, frame};

use super::council::{Council, NODES};
use super::metrics::get_at;
use super::node::{Home, Node, QUIET};
use super::peers::{FakePeer, any, configure, id, listens, peer, until};

const APEX: &str = "mesh.internal";
const NAME: &str = "on.mesh.internal";
const DEMO: &str = "[legacy]\nupstreams = []\n";

/// Anchors are heard each second, and missed after a few.
fn pace(stale_secs: u32, expire_secs: u32) -> String {
    format!(
        "[freshness]\nbeacon-secs = 1\nstale-secs = {stale_secs}\nexpire-secs = {expire_secs}\n"
    )
}

/// A node that decides over the demo, and one that follows it.
struct Followed {
    origin: Home,
    mirror: Home,
    at_origin: Node,
    at_mirror: Node,
}

impl Followed {
    /// With these words in the mirror's configuration.
    fn new(pace_of_mirror: &str, more_peers: &str) -> Self {
        let (origin, mirror) = (Home::new(DEMO), Home::new(QUIET));
        origin.run(&["init"]).good();
        mirror.run(&["init"]).good();
        let rest = format!("{DEMO}{}", pace(60, 0));
        let to_mirror = peer("mirror", &id(&mirror), None);
        configure(&origin, Some(any()), &to_mirror, &rest);
        let at_origin = origin.serve();
        let at = listens(&at_origin);
        configure(&origin, Some(at), &to_mirror, &rest);
        let peers = peer("origin", &id(&origin), Some(at)) + more_peers;
        configure(&mirror, None, &peers, &format!("{QUIET}{pace_of_mirror}"));
        let at_mirror = mirror.serve();
        follow(&mirror, "origin", &origin);
        put(&origin, NAME, "10.9.0.1");
        Self {
            origin,
            mirror,
            at_origin,
            at_mirror,
        }
    }
}

/// Has a node follow the apex at a peer, and trust its root.
fn follow(home: &Home, from: &str, origin: &Home) {
    let shown = origin.json(&["scope", "show", APEX]);
    let genesis = shown["uid"].as_str().unwrap();
    let words = ["mirror", APEX, "--from", from, "--genesis", genesis];
    home.run(&words).good();
}

fn put(home: &Home, name: &str, address: &str) {
    home.run(&["name", "put", name, "A", address]).good();
}

/// What a node says of the apex that it follows.
fn freshness(home: &Home) -> Value {
    home.json(&["mirror"])[0]["freshness"].clone()
}

fn is(home: &Home, state: &str) -> Value {
    until(&format!("{APEX} to be {state}"), || {
        let now = freshness(home);
        (now["state"] == state && now["confirmed"].is_string()).then_some(now)
    })
}

fn answers(node: &Node, question: &str, said: &[&str]) {
    until(&format!("{question}: {said:?}"), || {
        (node.ask(question) == said).then_some(())
    });
}

fn doctored(home: &Home, words: &str) -> bool {
    let said = home.run(&["doctor"]);
    said.out.contains(words)
}

#[test]
fn a_mirror_is_fresh_while_its_anchor_is_idle_then_stale_then_expired() {
    let Followed {
        origin,
        mirror,
        at_origin,
        at_mirror,
    } = Followed::new(&pace(3, 8), "");
    let seen = ["NOERROR aa", "on.mesh.internal. 60 A 10.9.0.1"];
    answers(&at_mirror, NAME, &seen);
    // Nothing happens for longer than something may be unconfirmed.
    let since = is(&mirror, "fresh")["confirmed"].clone();
    let since: Timestamp = since.as_str().unwrap().parse().unwrap();
    // Only what is fresh then counts: on a busy machine a beacon may come late.
    until(
        "to be fresh after more than five seconds of idleness",
        || {
            let now = is(&mirror, "fresh");
            assert_eq!((&now["weight"], &now["needed"]), (&1.into(), &1.into()));
            let confirmed: Timestamp = now["confirmed"].as_str().unwrap().parse().unwrap();
            (confirmed.millis_since(since) > 5_000).then_some(())
        },
    );
    assert_eq!(at_mirror.ask(NAME), seen);
    let explained = mirror.run(&["explain", NAME]);
    let line = "fresh    mesh.internal. confirmed ";
    assert!(explained.good().contains(line), "{explained:?}");
    mirror.run(&["doctor"]).good();

    at_origin.kill();
    is(&mirror, "stale");
    let stale = ["NOERROR aa", "on.mesh.internal. 30 A 10.9.0.1", "ede 3"];
    answers(&at_mirror, NAME, &stale);
    answers(&at_mirror, NAME, &["SERVFAIL", "ede 22"]);
    is(&mirror, "expired");
    assert!(doctored(&mirror, "expired, confirmed by its anchors last"));
    assert_ne!(mirror.run(&["doctor"]).code, 0);
    // Nothing that is held may be answered from.
    let monitored = |path: &str| get_at(&mirror.socket(), path).1;
    let not_ready = "not ready: all of the 1 scope(s) that are held are expired\n";
    assert_eq!(monitored("/ready"), not_ready);
    let line = "\nkedge_scope_freshness{scope=\"mesh.internal.\"} 2\n";
    assert!(monitored("/metrics").contains(line));
    let shown = mirror.run(&["scope", "show", APEX]);
    assert!(shown.good().contains("  expired: confirmed "), "{shown:?}");

    // What was heard is known after a restart: it is not fresh again by that.
    at_mirror.stop();
    let at_mirror = mirror.serve();
    answers(&at_mirror, NAME, &["SERVFAIL", "ede 22"]);
    let at_origin = origin.serve();
    answers(&at_mirror, NAME, &seen);
    is(&mirror, "fresh");
    assert_eq!(get_at(&mirror.socket(), "/ready").1, "ready\n");
    at_mirror.stop();
    at_origin.stop();
}

#[test]
fn a_source_that_withholds_blocks_is_noticed() {
    let homes = [Home::new(DEMO), Home::new(QUIET), Home::new(QUIET)];
    let [origin, between, last] = &homes;
    for home in &homes {
        home.run(&["init"]).good();
    }
    let fast = pace(60, 0);
    let to_both = peer("between", &id(between), None) + &peer("last", &id(last), None);
    configure(origin, Some(any()), &to_both, &format!("{DEMO}{fast}"));
    let at_origin = origin.serve();
    let to_origin = peer("origin", &id(origin), Some(listens(&at_origin)));
    let peers = to_origin.clone() + &peer("last", &id(last), None);
    configure(between, Some(any()), &peers, &format!("{QUIET}{fast}"));
    let at_between = between.serve();
    let to_between = peer("between", &id(between), Some(listens(&at_between)));
    let slow = format!("{QUIET}{}", pace(4, 0));
    configure(last, None, &to_between, &slow);
    let at_last = last.serve();
    follow(between, "origin", origin);
    follow(last, "between", origin);
    put(origin, NAME, "10.9.0.1");
    let seen = ["NOERROR aa", "on.mesh.internal. 60 A 10.9.0.1"];
    answers(&at_last, NAME, &seen);
    // The anchor's word comes by way of the node between.
    is(last, "fresh");

    between.run(&["mirror", APEX, "--stop"]).good();
    put(origin, NAME, "10.9.0.2");
    is(last, "stale");
    let stale = ["NOERROR aa", "on.mesh.internal. 30 A 10.9.0.1", "ede 3"];
    answers(&at_last, NAME, &stale);
    let absent = at_last.ask("no.mesh.internal");
    assert_eq!(absent[0], "NXDOMAIN aa", "{absent:?}");
    assert_eq!(absent[2], "ede 19", "{absent:?}");
    // By its source's word alone, nothing is missing.
    let followed = last.json(&["mirror"])[0].clone();
    assert_eq!(followed["height_there"], followed["height"], "{followed}");
    assert_eq!(followed["error"], Value::Null, "{followed}");
    let said = last.run(&["explain", NAME]);
    assert!(
        said.good().contains("stale    mesh.internal. confirmed "),
        "{said:?}"
    );
    assert!(doctored(last, "stale, confirmed by its anchors last"));

    // Any peer may bring what the anchor says.
    configure(last, None, &(to_between + &to_origin), &slow);
    last.run(&["reload"]).good();
    let height = followed["height"].as_u64().unwrap() + 1;
    until("the anchor's height", || {
        (freshness(last)["ahead"] == height).then_some(())
    });
    assert_eq!(freshness(last)["state"], "stale");
    follow(between, "origin", origin);
    let seen = ["NOERROR aa", "on.mesh.internal. 60 A 10.9.0.2"];
    answers(&at_last, NAME, &seen);
    is(last, "fresh");
    for node in [at_last, at_between, at_origin] {
        node.stop();
    }
}

#[test]
fn an_anchor_that_takes_back_what_it_said_is_convicted_for_ever() {
    let Followed {
        origin,
        mirror,
        at_origin,
        at_mirror,
    } = Followed::new(&pace(60, 0), "");
    let (data, aside) = (origin.path("data"), origin.path("aside"));
    let copy = |from: &Path, to: &Path| {
        let done = Command::new("cp").arg("-r").args([from, to]).status();
        assert!(done.unwrap().success());
    };
    at_origin.stop();
    copy(&data, &aside);
    let at_origin = origin.serve();
    let before = is(&mirror, "fresh")["confirmed"].clone();
    put(&origin, NAME, "10.9.0.2");
    answers(
        &at_mirror,
        NAME,
        &["NOERROR aa", "on.mesh.internal. 60 A 10.9.0.2"],
    );
    until("its word after that", || {
        (freshness(&mirror)["confirmed"] != before).then_some(())
    });
    until("its word on that height", || {
        let explained = mirror.run(&["mirror"]);
        explained.good().contains("weight 1 of the 1").then_some(())
    });
    until("two more periods", || {
        let now: Timestamp = freshness(&mirror)["confirmed"].as_str()?.parse().ok()?;
        let before: Timestamp = before.as_str()?.parse().ok()?;
        (now.millis_since(before) > 3_000).then_some(())
    });
    at_origin.stop();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&aside, &data);
    let at_origin = origin.serve();
    until("the evidence", || {
        doctored(&mirror, "it takes back what it said of scope").then_some(())
    });
    assert_ne!(mirror.run(&["doctor"]).code, 0);
    at_origin.stop();
    at_mirror.stop();
    let at_mirror = mirror.serve();
    assert!(doctored(&mirror, "it takes back what it said of scope"));
    at_mirror.stop();
}

/// The key that decides over the apex.
fn anchor_key(origin: &Home) -> SecretKey {
    let anchors = origin.json(&["anchor", "list", APEX]);
    let public = anchors[0]["key"].as_str().unwrap().to_owned();
    let files = std::fs::read_dir(origin.path("data/keys")).unwrap();
    let keys = files.filter_map(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).ok()?;
        SecretKey::from_seed_text(text.trim()).ok()
    });
    let mut keys = keys.filter(|key| key.public().to_string() == public);
    keys.next().unwrap()
}

/// A peer that says of each anchor that is asked for what `said` makes of it.
fn brings(
    number: u8,
    said: impl Fn() -> Signed<Beacon> + Send + Sync + Clone + 'static,
) -> FakePeer {
    let fake = FakePeer::new(number);
    fake.serve(move |request| {
        Some(frame(&match request {
            Request::Hello(_) => Reply::Hello(Hello::of("test")),
            Request::Beacons(_) => Reply::Beacons(vec![BeaconRow {
                beacon: said(),
                places: Vec::new(),
            }]),
            _ => Reply::Turned(Turned::NotHeld),
        }))
    });
    fake
}

#[test]
fn forged_words_and_words_from_the_future_are_not_taken() {
    let spare = Followed::new(&pace(60, 0), "");
    let key = anchor_key(&spare.origin);
    let beacon = |time| Beacon {
        anchor: key.public(),
        time,
        scope_count: 1,
        root: kedge::base::digest::Digest::ZERO,
    };
    let time = Timestamp::from_millis(4_000_000_000_000);
    let future = Signed::new(beacon(time), &key).unwrap();
    let forged = Signed::new(beacon(time), &SecretKey::from_seed(&[9; 32])).unwrap();
    is(&spare.mirror, "fresh");
    // Two of them, as one that lied is left alone for a while.
    for (number, beacon, words) in [
        (71, forged, "a beacon that its anchor did not sign"),
        (
            74,
            future,
            "its beacons are not taken: the last one was of 2096-",
        ),
    ] {
        let fake = brings(number, move || beacon.clone());
        let origin = peer(
            "origin",
            &id(&spare.origin),
            Some(listens(&spare.at_origin)),
        );
        let peers = origin + &peer("fake", &fake.id(), Some(fake.address()));
        let rest = format!("{QUIET}{}", pace(60, 0));
        configure(&spare.mirror, None, &peers, &rest);
        spare.mirror.run(&["reload"]).good();
        until(words, || doctored(&spare.mirror, words).then_some(()));
        assert_eq!(freshness(&spare.mirror)["state"], "fresh");
        configure(
            &spare.mirror,
            None,
            &peer(
                "origin",
                &id(&spare.origin),
                Some(listens(&spare.at_origin)),
            ),
            &rest,
        );
        spare.mirror.run(&["reload"]).good();
    }
    spare.at_mirror.stop();
    spare.at_origin.stop();
}

#[test]
fn three_of_four_anchors_confirm_by_way_of_one_of_their_nodes() {
    let mut council = Council::with(&pace(60, 0));
    let mirror = Home::new(QUIET);
    mirror.run(&["init"]).good();
    let home = &council.homes[0];
    let written = std::fs::read_to_string(home.path("kedge.toml")).unwrap();
    home.write(
        "kedge.toml",
        &(written + &peer("mirror", &id(&mirror), None)),
    );
    home.run(&["reload"]).good();
    let (first, at) = council.reached_at(0);
    let rest = format!("{QUIET}{}", pace(4, 0));
    configure(&mirror, None, &peer("n0", &first, Some(at)), &rest);
    let node = mirror.serve();
    follow(&mirror, "n0", home);
    let now = is(&mirror, "fresh");
    assert_eq!(now["needed"], 3, "{now}");
    // What its own node is told of the others is shown there, too.
    let shown = home.json(&["scope", "show", APEX]);
    assert!(shown["freshness"]["confirmed"].is_string(), "{shown}");
    council.put(1, "on", "10.9.0.1").good();
    answers(
        &node,
        NAME,
        &["NOERROR aa", "on.mesh.internal. 60 A 10.9.0.1"],
    );
    council.kill(NODES - 1);
    council.kill(NODES - 2);
    is(&mirror, "stale");
    answers(
        &node,
        NAME,
        &["NOERROR aa", "on.mesh.internal. 30 A 10.9.0.1", "ede 3"],
    );
    council.start(NODES - 1);
    is(&mirror, "fresh");
    node.stop();
    council.start(NODES - 2);
    council.end();
}
