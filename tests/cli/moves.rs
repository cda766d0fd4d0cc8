//! Entries that move from a scope of one node to a scope of another.

use std::str::FromStr as _;
use std::sync::LazyLock;

use serde_json::Value;

use kedge::base::keys::SecretKey;
use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::petition::Petition;
use kedge::namespace::path::NamePath;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;
use kedge::replication::wire::{Plea, PleaAnswer, PleaWord, Reply, Request, Turned, frame};

use super::node::{Home, Node};
use super::peers::{FakePeer, Pair, any, configure, id, listens, peer, until};

const NAME: &str = "svc.eu.mesh.internal";
const THERE: &str = "svc.ap.mesh.internal";

/// The origin governs the demo, and the other node `ap.mesh.internal`; `NAME` has two versions.
pub(super) fn two_regions() -> (Pair, Node) {
    let pair = Pair::new();
    let other = pair.mirror.serve();
    // An entry is taken in where the scope that it leaves is followed.
    pair.follow(&["eu.mesh.internal"]);
    let root = pair.uid("mesh.internal");
    let words = ["scope", "offer", "ap.mesh.internal", "--parent", &root];
    let offer = pair.mirror.run(&words).good().trim().to_owned();
    let words = ["scope", "new", "ap.mesh.internal", "--offer", &offer];
    pair.origin.run(&words).good();
    until("the new scope", || {
        (pair.mirror.run(&["scope", "show", "ap.mesh.internal"]).code == 0).then_some(())
    });
    for address in ["10.9.0.1", "10.9.0.2"] {
        pair.origin.run(&["name", "put", NAME, "A", address]).good();
    }
    (pair, other)
}

/// Begins a move at the origin; gives what it is called by.
fn begin(pair: &Pair, from: &str, to: &str) -> String {
    let begun = pair.origin.json(&["name", "move", from, to]);
    assert_eq!(begun["outcome"], "queued", "{begun}");
    begun["proposal"].as_str().unwrap().to_owned()
}

fn stage(home: &Home, id: &str) -> (String, String) {
    let listed = home.json(&["move", "list"]);
    let listed = listed.as_array().unwrap().iter();
    let mut of_id = listed.filter(|one| one["id"] == id);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of_id.next().map_or_else(
        || ("unknown".to_owned(), String::new()),
        |one| (text(&one["stage"]), text(&one["said"])),
    )
}

fn becomes(home: &Home, id: &str, wanted: &str) {
    until(&format!("{wanted}, not {:?}", stage(home, id)), || {
        (stage(home, id).0 == wanted).then_some(())
    });
}

fn uid(home: &Home, name: &str) -> Value {
    home.json(&["name", "get", name])["uid"].clone()
}

#[test]
fn an_entry_moves_to_another_node_once_it_is_admitted_there() {
    let (pair, other) = two_regions();
    let before = uid(&pair.origin, NAME);
    let id = begin(&pair, NAME, THERE);
    becomes(&pair.mirror, &id, "held");
    becomes(&pair.origin, &id, "held");
    // Nothing changed anywhere until somebody there says so.
    assert_eq!(pair.node.ask(NAME)[0], "NOERROR aa");
    assert_eq!(pair.node.ask(NAME)[1], format!("{NAME}. 60 A 10.9.0.2"));
    assert_eq!(other.ask(THERE)[0], "NXDOMAIN aa");
    let again = pair.origin.run(&["name", "move", NAME, THERE]);
    assert_eq!(again.code, 3, "{again:?}");
    assert!(again.err.contains("on its way already"), "{again:?}");

    pair.mirror.run(&["move", "admit", &id[..12]]).good();
    becomes(&pair.origin, &id, "arrived");
    becomes(&pair.mirror, &id, "arrived");
    assert_eq!(uid(&pair.mirror, THERE), before);
    assert_eq!(
        other.ask(THERE),
        ["NOERROR aa", &format!("{THERE}. 60 A 10.9.0.2")]
    );
    // The old name leads on, at the node that has it and does not hold the new scope.
    let led = [
        "NOERROR aa".to_owned(),
        format!("{NAME}. 60 CNAME {THERE}."),
        format!("{THERE}. 60 A 10.9.0.2"),
    ];
    until("the old name to lead on", || {
        (pair.node.ask(NAME) == led).then_some(())
    });
    // Its history went along.
    let history = pair.mirror.run(&["name", "history", THERE]);
    for line in ["10.9.0.1", "10.9.0.2"] {
        assert!(history.good().contains(line), "{history:?}");
    }
    pair.mirror
        .run(&["name", "undo", THERE, "--to", "1"])
        .good();
    assert_eq!(other.ask(THERE)[1], format!("{THERE}. 60 A 10.9.0.1"));
    for home in [&pair.origin, &pair.mirror] {
        home.run(&["verify"]).good();
    }
    let late = pair.origin.run(&["move", "cancel", &id]);
    assert_eq!(late.code, 3, "{late:?}");
    // And back, for a key that may.
    let key = pair.mirror.json(&["anchor", "list", "ap.mesh.internal"])[0]["key"].clone();
    let words = [
        "grant",
        "add",
        "eu.mesh.internal",
        "--key",
        key.as_str().unwrap(),
    ];
    let words = [&words[..], &["--names", "*", "--deed", "move"]].concat();
    pair.origin.run(&words).good();
    let back = ["name", "move", THERE, "back.eu.mesh.internal"];
    let begun = pair.mirror.json(&back);
    let id = begun["proposal"].as_str().unwrap();
    until("what it waits for", || {
        let said = stage(&pair.origin, id).1;
        said.contains("follow the scope").then_some(())
    });
    let follow = ["mirror", "ap.mesh.internal", "--from", "mirror"];
    pair.origin.run(&follow).good();
    becomes(&pair.mirror, id, "arrived");
    assert_eq!(uid(&pair.origin, "back.eu.mesh.internal"), before);
    other.stop();
    pair.node.stop();
    for home in [&pair.origin, &pair.mirror] {
        home.run(&["verify"]).good();
    }
}

#[test]
fn what_the_other_scope_refuses_stays_where_it_is() {
    let (pair, other) = two_regions();
    let taken = ["name", "put", THERE, "A", "10.8.0.1"];
    pair.mirror.run(&taken).good();
    let id = begin(&pair, NAME, THERE);
    becomes(&pair.origin, &id, "refused");
    assert!(stage(&pair.origin, &id).1.contains("taken"));
    let id = begin(&pair, NAME, "free.ap.mesh.internal");
    becomes(&pair.mirror, &id, "held");
    let refuse = ["move", "refuse", &id, "--reason", "not in this quarter"];
    pair.mirror.run(&refuse).good();
    becomes(&pair.origin, &id, "refused");
    assert_eq!(stage(&pair.origin, &id).1, "not in this quarter");
    // Taken back where it was begun.
    let id = begin(&pair, NAME, "other.ap.mesh.internal");
    becomes(&pair.origin, &id, "held");
    pair.origin.run(&["move", "cancel", &id]).good();
    becomes(&pair.mirror, &id, "cancelled");
    assert_eq!(pair.mirror.run(&["move", "admit", "ffffff"]).code, 4);
    assert_eq!(pair.node.ask(NAME)[1], format!("{NAME}. 60 A 10.9.0.2"));
    assert_eq!(other.ask("free.ap.mesh.internal")[0], "NXDOMAIN aa");
    other.stop();
    pair.node.stop();
}

#[test]
fn a_move_outlives_the_nodes() {
    let (pair, other) = two_regions();
    other.kill();
    let id = begin(&pair, NAME, THERE);
    assert_eq!(stage(&pair.origin, &id).0, "queued");
    let Pair {
        origin,
        mirror,
        node,
    } = pair;
    node.kill();
    let (node, other) = (origin.serve(), mirror.serve());
    becomes(&mirror, &id, "held");
    other.kill();
    let other = mirror.serve();
    // What it had not written down yet is brought again.
    becomes(&mirror, &id, "held");
    mirror.run(&["move", "admit", &id]).good();
    becomes(&origin, &id, "arrived");
    assert_eq!(other.ask(THERE)[0], "NOERROR aa");
    other.stop();
    node.stop();
}

#[test]
fn what_left_is_brought_though_its_node_forgot_the_move() {
    let (pair, other) = two_regions();
    let before = uid(&pair.origin, NAME);
    let (origin, mirror) = (&pair.origin, &pair.mirror);
    let nothing = origin.run(&["move", "bring", NAME]);
    assert_eq!(nothing.code, 4, "{nothing:?}");
    assert!(nothing.err.contains("no entry left"), "{nothing:?}");
    // Between the path that is kept and the entry that leaves there is time to go away.
    let slowly = ["--routine", "approvals,delay=5s"];
    let words = [&["scope", "policy", "eu.mesh.internal"], &slowly[..]].concat();
    origin.run(&words).good();
    let id = begin(&pair, NAME, THERE);
    becomes(mirror, &id, "held");
    mirror.run(&["move", "admit", &id]).good();
    until("the entry to be let go", || {
        stage(origin, &id).1.contains("waits").then_some(())
    });
    other.kill();
    becomes(origin, &id, "left");
    let again = origin.run(&["move", "bring", NAME]);
    assert_eq!(again.code, 3, "{again:?}");
    assert!(again.err.contains("on its way already"), "{again:?}");
    pair.node.stop();
    std::fs::remove_file(origin.path("data/moves.redb")).unwrap();
    let (node, other) = (origin.serve(), mirror.serve());
    assert_eq!(stage(origin, &id).0, "unknown");
    let brought = origin.json(&["move", "bring", NAME, "--note", "its file was lost"]);
    assert_eq!(brought["side"], "leaves", "{brought}");
    let id = brought["id"].as_str().unwrap();
    // The path is kept for that entry still, so nobody has to admit it again.
    becomes(origin, id, "arrived");
    assert_eq!(uid(mirror, THERE), before);
    assert_eq!(other.ask(THERE)[0], "NOERROR aa");
    // Once more says only that it is there.
    let again = origin.json(&["move", "bring", NAME]);
    becomes(origin, again["id"].as_str().unwrap(), "arrived");
    other.stop();
    node.stop();
    for home in [origin, mirror] {
        home.run(&["verify"]).good();
    }
}

/// An hour from the first look on: the same petition is the same bytes.
static NOT_AFTER: LazyLock<Timestamp> = LazyLock::new(|| {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap() + 3_600_000)
});

/// What a peer without a say asks of a scope, signed by a key or by another one.
fn plea((from, to): (&ScopeUid, &ScopeUid), nonce: u64, signer: u8, word: PleaWord) -> Vec<u8> {
    let author = SecretKey::from_seed(&[71; 32]);
    let petition = Petition {
        from: *from,
        from_path: NamePath::empty().child(b"a"),
        uid: Uid::from_bytes([7; 16]),
        to: *to,
        to_path: NamePath::empty().child(format!("n{nonce}").as_bytes()),
        not_after: *NOT_AFTER,
        note: String::new(),
        nonce,
        author: author.public(),
    };
    let mut petition = Signed::new(petition, &author).unwrap();
    if signer != 71 {
        let other = SecretKey::from_seed(&[signer; 32]).sign(b"something else");
        petition = Signed::of_parts(petition.unverified().clone(), other);
    }
    frame(&Request::Plea(Box::new(Plea { petition, word })))
}

#[test]
fn what_peers_ask_for_without_end_or_right_changes_nothing() {
    let rest = "[legacy]\nupstreams = []\n";
    let home = Home::new(rest);
    home.run(&["init"]).good();
    let fake = FakePeer::new(61);
    configure(&home, Some(any()), &peer("fake", &fake.id(), None), rest);
    let node = home.serve();
    let uid_of = |scope: &str| {
        let shown = home.json(&["scope", "show", scope])["uid"].clone();
        ScopeUid::from_str(shown.as_str().unwrap()).unwrap()
    };
    let (from, to) = (uid_of("us.mesh.internal"), uid_of("eu.mesh.internal"));
    let scope = (&from, &to);
    let heights = || home.json(&["scope", "list"]);
    let before = heights();
    let connection = fake.dial(&id(&home), listens(&node)).unwrap();
    fake.greet(&connection).unwrap();
    let say = |bytes: &[u8]| fake.say(&connection, bytes).unwrap();
    let refused = |reply: Reply| match reply {
        Reply::Plea(PleaAnswer::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let forged = say(&plea(scope, 1, 72, PleaWord::Keep));
    assert_eq!(refused(forged), "its signature does not hold");
    let nowhere = ScopeUid::new(kedge::base::digest::Digest::of_bytes("t", b"to"));
    let nowhere = say(&plea((&from, &nowhere), 1, 71, PleaWord::Keep));
    assert_eq!(nowhere, Reply::Turned(Turned::NotHeld));
    let held = Reply::Plea(PleaAnswer::Held);
    assert_eq!(say(&plea(scope, 1, 71, PleaWord::Keep)), held);
    // A passage that proves nothing, for what nobody admitted, and then for what somebody did.
    let junk = || PleaWord::Take(vec![7; 4_096]);
    assert_eq!(say(&plea(scope, 1, 71, junk())), held);
    assert_eq!(heights(), before);
    let listed = home.json(&["move", "list"]);
    let first = listed[0]["id"].as_str().unwrap().to_owned();
    home.run(&["move", "admit", &first]).good();
    let kept = until("the path", || {
        match say(&plea(scope, 1, 71, PleaWord::Keep)) {
            Reply::Plea(PleaAnswer::Kept(_)) => Some(heights()),
            _ => None,
        }
    });
    until("the word on it", || {
        // A peer that asks this often is turned down now and then.
        say(&plea(scope, 1, 71, junk()));
        let said = stage(&home, &first).1;
        (!said.is_empty()).then_some(said)
    });
    assert_eq!(heights(), kept);
    // One peer does not fill the list for all.
    let count = || home.json(&["move", "list"]).as_array().unwrap().len();
    let mut nonce = 2;
    until("as many as one peer may bring", || {
        while nonce < 129 && say(&plea(scope, nonce, 71, PleaWord::Keep)) == held {
            nonce += 1;
        }
        (count() == 128).then_some(())
    });
    for _ in 0..8 {
        let reply = say(&plea(scope, 129, 71, PleaWord::Keep));
        assert_eq!(reply, Reply::Turned(Turned::TooMuch));
    }
    assert_eq!(count(), 128);
    home.run(&["move", "refuse", &first]).good();
    until("the path to be given back", || {
        let shown = home.run(&["name", "get", "n1.eu.mesh.internal"]);
        (shown.code == 4).then_some(())
    });
    node.stop();
    home.run(&["verify"]).good();
}
