//! Nodes that are invited to a seat by a ticket, and tickets that give none.

use serde_json::Value;

use kedge::base::keys::{PublicKey, SecretKey};
use kedge::base::signed::Signed;
use kedge::base::text_form::TextForm as _;
use kedge::governance::ticket::{Invitation, Terms, Ticket};

use super::node::{Home, Node, QUIET, Ran};
use super::peers::{any, configure, id, listens, peer, until};

const SCOPE: &str = "eu.mesh.internal";
const ORIGIN: &str = "[legacy]\nupstreams = []\n";

/// A node that listens for peers and knows none.
fn alone(rest: &str) -> (Home, Node) {
    let home = Home::new(rest);
    home.run(&["init"]).good();
    configure(&home, Some(any()), "", rest);
    let node = home.serve();
    // The same address after a restart.
    configure(&home, Some(listens(&node)), "", rest);
    (home, node)
}

fn prepare(guest: &Home) -> String {
    let ran = guest.run(&["join", "--prepare", SCOPE]);
    ran.good().trim().to_owned()
}

fn invite(host: &Home, word: &str, more: &[&str]) -> String {
    let mut arguments = vec!["scope", "invite", SCOPE, "--node", word];
    arguments.extend(more);
    let ran = host.run(&arguments);
    ran.good().trim().to_owned()
}

fn anchors(home: &Home) -> usize {
    let anchors = home.json(&["anchor", "list", SCOPE]);
    anchors.as_array().unwrap().len()
}

fn put(home: &Home, name: &str, address: &str) -> Ran {
    let name = format!("{name}.{SCOPE}");
    home.run(&["name", "put", &name, "A", address])
}

fn answers(node: &Node, name: &str, address: &str) {
    let question = format!("{name}.{SCOPE}");
    let seen = [
        "NOERROR aa".to_owned(),
        format!("{question}. 60 A {address}"),
    ];
    until(&question, || (node.ask(&question) == seen).then_some(()));
}

/// All that a ticket could change on a node.
fn state(home: &Home) -> [Value; 4] {
    let shown = |arguments: &[&str]| {
        let mut value = home.json(arguments);
        for peer in value.as_array_mut().unwrap() {
            // What time and connections alone change.
            let gone = ["heard", "rtt_us", "answered", "connected", "last_error"];
            for field in gone.into_iter().chain(["freshness"]) {
                peer.as_object_mut().unwrap().remove(field);
            }
        }
        value
    };
    [
        shown(&["scope", "list"]),
        shown(&["mirror"]),
        shown(&["nodes"]),
        shown(&["pending"]),
    ]
}

#[test]
fn a_node_with_a_ticket_decides_with_the_one_that_invited_it() {
    let (origin, host) = alone(ORIGIN);
    let (guest, joined) = alone(QUIET);
    let ticket = invite(&origin, &prepare(&guest), &["--region", "us"]);
    let ran = guest.run(&["join", &ticket]);
    assert!(ran.good().contains(" has an anchor here"), "{ran:?}");
    assert_eq!((anchors(&origin), anchors(&guest)), (2, 2));
    assert_eq!(guest.json(&["mirror"]).as_array().unwrap().len(), 2);
    for home in [&origin, &guest] {
        let nodes = home.run(&["nodes"]);
        assert!(nodes.good().contains("known by a ticket"), "{nodes:?}");
    }
    for (home, name, address) in [
        (&guest, "from-guest", "10.9.0.1"),
        (&origin, "from-host", "10.9.0.2"),
    ] {
        let done = put(home, name, address);
        assert!(done.good().starts_with("committed"), "{done:?}");
        answers(&host, name, address);
        answers(&joined, name, address);
    }
    // The other one is needed from now on, and both know each other also after a restart.
    joined.kill();
    let waits = put(&origin, "waits", "10.9.0.3");
    assert!(waits.good().starts_with("pending"), "{waits:?}");
    host.kill();
    let (host, joined) = (origin.serve(), guest.serve());
    answers(&host, "waits", "10.9.0.3");
    answers(&joined, "waits", "10.9.0.3");
    host.stop();
    joined.stop();
    origin.run(&["verify"]).good();
    guest.run(&["verify"]).good();
}

#[test]
fn what_other_anchors_have_to_approve_is_awaited() {
    let (origin, host) = alone(ORIGIN);
    let (second, at_second) = alone(QUIET);
    let (third, at_third) = alone(QUIET);
    let ticket = invite(&origin, &prepare(&second), &[]);
    second.run(&["join", &ticket]).good();
    let ticket = invite(&second, &prepare(&third), &[]);
    // Every anchor reaches every other one.
    let to_third = peer("third", &id(&third), Some(listens(&at_third)));
    let to_first = peer("first", &id(&origin), Some(listens(&host)));
    configure(&origin, Some(listens(&host)), &to_third, ORIGIN);
    configure(&third, Some(listens(&at_third)), &to_first, QUIET);
    origin.run(&["reload"]).good();
    third.run(&["reload"]).good();
    let ran = third.run(&["join", &ticket]);
    assert!(
        ran.good().contains("awaits approvals of anchors"),
        "{ran:?}"
    );
    let proposal = until("the proposal", || {
        let pending = origin.json(&["pending"]);
        Some(pending[0]["id"].as_str()?.to_owned())
    });
    let done = origin.run(&["approve", &proposal]);
    assert!(done.good().starts_with("committed"), "{done:?}");
    until("the seat", || (anchors(&third) == 3).then_some(()));
    let done = put(&third, "of-three", "10.9.1.1");
    assert!(done.good().starts_with("committed"), "{done:?}");
    for node in [&host, &at_second, &at_third] {
        answers(node, "of-three", "10.9.1.1");
    }
}

/// The same terms, changed, and signed with this key.
fn resigned(ticket: &str, key: &SecretKey, change: impl FnOnce(&mut Terms)) -> String {
    let ticket = Ticket::from_text(ticket).unwrap();
    let mut terms = ticket.unverified().clone();
    change(&mut terms);
    let consent = key.sign(b"something else");
    let signed = Signed::new(Invitation { terms, consent }, key).unwrap();
    Ticket::new(signed).to_text()
}

#[test]
fn a_bad_ticket_is_refused_and_nothing_changes() {
    let (origin, _host) = alone(ORIGIN);
    let (guest, _joined) = alone(QUIET);
    let word = prepare(&guest);
    let brief = invite(&origin, &word, &["--ttl", "1s"]);
    until("the end of the ticket", || {
        let waiting = origin.json(&["pending"]);
        waiting.as_array().unwrap().is_empty().then_some(())
    });
    let (_, place) = word.split_once('/').unwrap();
    let stranger = SecretKey::from_seed(&[7; 32]).public();
    let keyless = invite(&origin, &format!("{stranger}/{place}"), &[]);
    let ticket = invite(&origin, &word, &[]);
    let before = (state(&origin), state(&guest));
    let mine = SecretKey::from_seed(&[8; 32]);
    let heavier = resigned(&ticket, &mine, |terms| terms.weight = 100);
    let (prefix, _) = ticket.split_once(':').unwrap();
    let future = format!("{prefix}:DGtlZGdlL3RpY2tldAIA");
    let cut = &ticket[..ticket.len() - 8];
    for (home, ticket, code, words) in [
        (&guest, "hello", 2, "kedge-ticket-1:"),
        (&guest, cut, 2, "does not decode"),
        (&guest, &future, 2, "of version 2"),
        (&guest, &heavier, 3, "not signed by the anchor"),
        (&guest, &brief, 3, "the ticket ended at"),
        (&guest, &keyless, 3, "which this node does not hold"),
        (&origin, &ticket, 3, "the ticket is for node"),
    ] {
        let ran = home.run(&["join", ticket]);
        assert_eq!(ran.code, code, "{words}: {ran:?}");
        assert!(ran.err.contains(words), "{words}: {ran:?}");
        assert!(ran.err.contains("hint: "), "{ran:?}");
        assert_eq!((state(&origin), state(&guest)), before, "{words}");
    }
    guest.run(&["join", &ticket]).good();
    // The tickets of an epoch are void with it.
    let before = (state(&origin), state(&guest));
    let ran = guest.run(&["join", &ticket]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("the ticket was used"), "{ran:?}");
    assert_eq!((state(&origin), state(&guest)), before);
}

#[test]
fn a_ticket_of_a_key_without_a_seat_gives_none() {
    let (origin, _host) = alone(ORIGIN);
    let (guest, _joined) = alone(QUIET);
    let ticket = invite(&origin, &prepare(&guest), &[]);
    let mine = SecretKey::from_seed(&[8; 32]);
    let own: PublicKey = mine.public();
    let forged = resigned(&ticket, &mine, |terms| terms.author = own);
    let ran = guest.run(&["join", &forged]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("has no seat in the scope"), "{ran:?}");
    assert_eq!(anchors(&origin), 1);
    // Another policy is another epoch.
    let other = ["scope", "policy", SCOPE, "--ttl-max", "600"];
    origin.run(&other).good();
    let ran = guest.run(&["join", &ticket]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("the ticket is of epoch 0"), "{ran:?}");
}

#[test]
fn a_node_is_invited_by_a_word_that_it_can_be_reached_by() {
    let (origin, _host) = alone(ORIGIN);
    let (guest, _joined) = alone(QUIET);
    let word = prepare(&guest);
    let (key, place) = word.split_once('/').unwrap();
    let (node, _) = place.split_once('@').unwrap();
    let itself = format!("{key}/{}@127.0.0.1:1", id(&origin));
    for (word, more, code, words) in [
        (node, ["--weight", "1"], 2, "expected KEY/ID@ADDRESS"),
        (
            &format!("{key}/{node}@0.0.0.0:1"),
            ["--weight", "1"],
            2,
            "can dial",
        ),
        (&word, ["--at", "0.0.0.0:1"], 2, "can dial"),
        (&word, ["--weight", "0"], 2, "weight"),
        (&word, ["--ttl", "soon"], 2, "--ttl"),
        (&word, ["--ttl", "365d"], 3, "the policy allows"),
        (&itself, ["--weight", "1"], 2, "for this node itself"),
    ] {
        let mut arguments = vec!["scope", "invite", SCOPE, "--node", word];
        arguments.extend(more);
        let ran = origin.run(&arguments);
        assert_eq!(ran.code, code, "{words}: {ran:?}");
        assert!(ran.err.contains(words), "{words}: {ran:?}");
        let nodes = origin.json(&["nodes"]);
        assert_eq!(nodes.as_array().unwrap().len(), 0, "{words}");
    }
    assert_eq!(origin.json(&["pending"]).as_array().unwrap().len(), 0);
}
