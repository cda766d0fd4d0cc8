//! Several anchors on one node, people with keys of their own, and proposals that wait for them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::node::{Home, Ran};

const SCOPE: &str = "eu.mesh.internal";
const API: &str = "api.eu.mesh.internal";

fn quiet() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    home
}

/// The one proposal that waits, by its identifier.
pub(super) fn waiting(home: &Home) -> String {
    let all = home.json(&["pending"]);
    let [one] = all.as_array().unwrap().as_slice() else {
        panic!("not one proposal: {all}");
    };
    one["id"].as_str().unwrap().to_owned()
}

fn nothing_waits(home: &Home) {
    assert_eq!(home.json(&["pending"]), Value::Array(Vec::new()));
}

fn anchors(home: &Home) -> Vec<String> {
    let anchors = home.json(&["anchor", "list", SCOPE]);
    let ids = anchors.as_array().unwrap().iter();
    ids.map(|anchor| anchor["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A home whose scope has three anchors and two of them must approve routine changes.
pub(super) fn council() -> Home {
    let home = quiet();
    home.run(&["anchor", "add", SCOPE, "--region", "us"]).good();
    let more = home.run(&["anchor", "add", SCOPE, "--region", "ap"]);
    assert!(more.good().contains("weight 1; 2 is needed"), "{more:?}");
    home.run(&["approve", &waiting(&home)]).good();
    let rule = ["--routine", "approvals,weight=2"];
    home.run(&[&["scope", "policy", SCOPE][..], &rule].concat())
        .good();
    home.run(&["approve", &waiting(&home)]).good();
    nothing_waits(&home);
    home
}

fn refused(ran: &Ran, code: i32, words: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.err.contains(words), "{ran:?}");
}

#[test]
fn a_change_waits_for_the_second_anchor_and_answers_change_with_its_vote() {
    let home = council();
    let node = home.serve();
    let before = node.ask(API);
    let put = ["name", "put", API, "A", "10.9.9.9", "--note", "new address"];
    let proposed = home.run(&put);
    assert!(
        proposed.good().starts_with("pending in scope"),
        "{proposed:?}"
    );
    assert_eq!(node.ask(API), before, "nothing is in force yet");

    let id = waiting(&home);
    let shown = home.run(&["pending", &id[..12]]);
    let shown = shown.good();
    assert!(shown.contains("1 name(s) answer differently"), "{shown}");
    assert!(shown.contains("note: new address"), "{shown}");
    // A restart loses nothing that waits.
    node.stop();
    let node = home.serve();
    assert_eq!(waiting(&home), id);

    let seats = anchors(&home);
    let approve = |seat: &str| home.run(&["approve", &id, "--anchor", seat, "--reason", "checked"]);
    let voted: Vec<Ran> = seats
        .iter()
        .take(2)
        .map(|seat| approve(&seat[..12]))
        .collect();
    let committed = voted.iter().filter(|ran| ran.out.starts_with("committed"));
    assert_eq!(committed.count(), 1, "{voted:?}");
    assert!(node.ask(API).iter().any(|line| line.contains("10.9.9.9")));
    nothing_waits(&home);
    let log = home.run(&["log", SCOPE, "--limit", "1"]);
    assert!(log.good().contains(": checked"), "{log:?}");
    home.run(&["verify"]).good();
    node.stop();
}

#[test]
fn objections_that_block_reject_for_good_and_their_reasons_stay() {
    let home = council();
    home.run(&["name", "retire", API]).good();
    let id = waiting(&home);
    let author = home.json(&["pending", &id])["author"].clone();
    let others = home.json(&["anchor", "list", SCOPE]);
    let others = others.as_array().unwrap().iter();
    let others: Vec<&str> = others
        .filter(|anchor| anchor["key"] != author)
        .map(|anchor| anchor["id"].as_str().unwrap())
        .collect();
    let reject = |seat: &str| home.run(&["reject", &id, "--anchor", seat, "--reason", "in use"]);
    assert!(reject(others[0]).good().starts_with("pending"));
    refused(&reject(others[0]), 3, "has voted on it");
    let changed_mind = home.run(&["approve", &id, "--anchor", others[0]]);
    refused(&changed_mind, 3, "voted the opposite");
    assert!(reject(others[1]).good().starts_with("rejected"));
    nothing_waits(&home);
    let log = home.run(&["log", SCOPE, "--limit", "2"]);
    assert!(log.good().contains("in use"), "{log:?}");
    assert!(
        log.good().contains("late on proposal"),
        "the evidence: {log:?}"
    );
    let trust = home.run(&["trust", SCOPE]);
    assert!(trust.good().contains("1 contradicted"), "{trust:?}");
    home.run(&["name", "get", API]).good();
    home.run(&["verify"]).good();
}

#[test]
fn what_was_taken_back_is_gone() {
    let home = council();
    home.run(&["name", "retire", API]).good();
    let id = waiting(&home);
    let withdrawn = home.run(&["withdraw", &id, "--reason", "typing error"]);
    assert!(withdrawn.good().starts_with("withdrawn"), "{withdrawn:?}");
    nothing_waits(&home);
    refused(&home.run(&["approve", &id]), 4, "waits here");
    let log = home.run(&["log", SCOPE, "--limit", "1"]);
    assert!(log.good().contains("typing error"), "{log:?}");
    refused(&home.run(&["approve", "ab"]), 2, "too short");
    refused(&home.run(&["approve", "0123456789"]), 4, "waits here");
}

#[test]
fn a_grant_lets_a_key_change_what_it_names_and_no_more() {
    let home = quiet();
    let key = home.run(&["key", "new", "certbot.key"]);
    let key = key.good().trim();
    let names = ["--names", "_acme-challenge.**", "--type", "TXT"];
    let grant = ["grant", "add", SCOPE, "--key", key, "--per-day", "2"];
    home.run(&[&grant[..], &names].concat()).good();
    let change = |name: &str, kind: &str, data: &str| {
        format!(
            "[[change]]\nchange = \"put\"\nname = \"{name}\"\ntype = \"{kind}\"\ndata = ['{data}']\n"
        )
    };
    let propose = |text: &str| {
        home.write("changes.toml", text);
        home.run(&["propose", SCOPE, "changes.toml", "--key", "certbot.key"])
    };
    let token = |token: &str| propose(&change("_acme-challenge.api", "TXT", token));
    assert!(token("\"one\"").good().starts_with("committed"));
    refused(
        &propose(&change("api", "TXT", "\"x\"")),
        3,
        "may not propose",
    );
    refused(
        &propose(&change("_acme-challenge", "A", "10.0.0.1")),
        3,
        "may not",
    );
    assert!(token("\"two\"").good().starts_with("committed"));
    refused(&token("\"three\""), 3, "2 changes a day");
    let node = home.serve();
    let answer = home.json(&["explain", "_acme-challenge.api.eu.mesh.internal", "TXT"]);
    assert!(answer["answers"].to_string().contains("two"), "{answer}");
    node.stop();
    home.run(&["grant", "revoke", SCOPE, "--key", key]).good();
    refused(&token("\"four\""), 3, "may not propose");
    refused(
        &home.run(&["grant", "revoke", SCOPE, "--key", key]),
        4,
        "holds no grant",
    );
    home.run(&["verify"]).good();
}

#[test]
fn a_person_takes_a_seat_and_approves_with_a_key_of_their_own() {
    let home = council();
    let key = home.run(&["key", "new", "carla.key"]);
    let key = key.good().trim();
    assert_eq!(home.run(&["key", "show", "carla.key"]).good().trim(), key);
    home.run(&[
        "anchor",
        "add",
        SCOPE,
        "--key",
        key,
        "--organisation",
        "audit",
    ])
    .good();
    let id = waiting(&home);
    let approved = home.run(&["approve", &id]);
    assert!(
        approved.good().contains("signatures do not reach"),
        "{approved:?}"
    );
    refused(
        &home.run(&["anchor", "accept", &id, "--key", "no.key"]),
        2,
        "no.key",
    );
    let accepted = home.run(&["anchor", "accept", &id, "--key", "carla.key"]);
    assert!(accepted.good().starts_with("committed"), "{accepted:?}");
    assert_eq!(anchors(&home).len(), 4);

    home.run(&["name", "put", API, "A", "10.9.9.9"]).good();
    let id = waiting(&home);
    let approved = home.run(&["approve", &id, "--key", "carla.key", "--reason", "audited"]);
    assert!(approved.good().starts_with("committed"), "{approved:?}");
    let log = home.run(&["log", SCOPE, "--limit", "1"]);
    assert!(log.good().contains("audited"), "{log:?}");
    home.run(&["verify"]).good();
}

#[test]
fn a_proposal_of_many_changes_happens_together_or_not_at_all() {
    let home = quiet();
    let changes = "[[change]]\nchange = \"put\"\nname = \"a\"\ntype = \"A\"\ndata = [\"10.0.0.1\"]\n\
                   [[change]]\nchange = \"put\"\nname = \"a\"\ntype = \"TXT\"\ndata = ['\"x\"']\n\
                   [[change]]\nchange = \"rename\"\nname = \"api\"\nto = \"api2\"\n";
    home.write("changes.toml", changes);
    let shown = home.run(&["propose", SCOPE, "changes.toml", "--dry-run"]);
    let shown = shown.good();
    assert!(
        shown.contains("a.eu.mesh.internal.: no such name -> A TXT"),
        "{shown}"
    );
    assert!(
        shown.contains("api.eu.mesh.internal.: A AAAA -> redirect to"),
        "{shown}"
    );
    nothing_waits(&home);
    let missing = format!("{changes}[[change]]\nchange = \"retire\"\nname = \"nothing\"\n");
    home.write("missing.toml", &missing);
    let refusal = home.run(&["propose", SCOPE, "missing.toml"]);
    refused(&refusal, 4, "no entry at nothing");
    refused(
        &home.run(&["name", "get", "a.eu.mesh.internal"]),
        4,
        "no entry",
    );
    home.run(&["propose", SCOPE, "changes.toml"]).good();
    home.run(&["name", "get", "a.eu.mesh.internal"]).good();
    home.run(&["name", "get", "api2.eu.mesh.internal"]).good();
    home.write(
        "broken.toml",
        "[[change]]\nchange = \"put\"\nname = \"a\"\n",
    );
    refused(
        &home.run(&["propose", SCOPE, "broken.toml"]),
        2,
        "broken.toml",
    );
    home.write("type.toml", &changes.replace("\"A\"", "\"AA\""));
    refused(&home.run(&["propose", SCOPE, "type.toml"]), 2, "change 1");
}

#[test]
fn anchors_are_weighed_rotated_and_removed_by_those_that_are_there() {
    let home = council();
    let seats = anchors(&home);
    let unbalanced = format!("{}=2", &seats[0][..10]);
    home.run(&["anchor", "weigh", SCOPE, &unbalanced]).good();
    home.run(&["approve", &waiting(&home)]).good();
    refused(
        &home.run(&["anchor", "weigh", SCOPE, "zz=1"]),
        4,
        "no anchor",
    );
    refused(
        &home.run(&["anchor", "weigh", SCOPE, "zz"]),
        2,
        "ANCHOR=WEIGHT",
    );
    let key = home.run(&["key", "new", "next.key"]);
    let key = key.good().trim();
    home.run(&["anchor", "rotate", SCOPE, &seats[1], "--key", key])
        .good();
    let id = waiting(&home);
    home.run(&["approve", &id]).good();
    home.run(&["anchor", "accept", &id, "--key", "next.key"])
        .good();
    nothing_waits(&home);
    assert_eq!(anchors(&home), seats, "an anchor stays who it is");
    home.run(&["anchor", "remove", SCOPE, &seats[1]]).good();
    home.run(&["approve", &waiting(&home)]).good();
    assert_eq!(anchors(&home).len(), 2);
    home.run(&["verify"]).good();
}

#[test]
fn earned_weights_are_proposed_approved_and_then_in_force() {
    let home = council();
    home.run(&["scope", "new", "new.us.mesh.internal"]).good();
    let none = home.run(&["trust", "new.us.mesh.internal", "--propose"]);
    refused(&none, 2, "have the weights that they earned");
    let second = |id: &str| {
        let author = home.json(&["pending", id])["author"].clone();
        let all = home.json(&["anchor", "list", SCOPE]);
        let mut all = all.as_array().unwrap().iter();
        let other = all.find(|anchor| anchor["key"] != author);
        other.unwrap()["id"].as_str().unwrap().to_owned()
    };
    // Two decide; the third is never there.
    for last in 1..5 {
        let put = ["name", "put", API, "A", &format!("10.9.9.{last}")];
        home.run(&put).good();
        let id = waiting(&home);
        let approved = home.run(&["approve", &id, "--anchor", &second(&id)]);
        assert!(approved.good().starts_with("committed"), "{approved:?}");
    }
    let weights = |command: &[&str], id: &str, weight: &str| -> BTreeMap<String, u64> {
        let all = home.json(command);
        let all = all.as_array().unwrap().iter();
        let pair = |one: &Value| {
            let id = one[id].as_str().unwrap().to_owned();
            (id, one[weight].as_u64().unwrap())
        };
        all.map(pair).collect()
    };
    let in_force = || weights(&["anchor", "list", SCOPE], "id", "weight");
    let earned = weights(&["trust", SCOPE], "anchor", "earned_weight");
    let mut distinct: Vec<u64> = earned.values().copied().collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 1, "who was there earned more: {earned:?}");

    let propose = ["trust", SCOPE, "--propose", "--note", "as the ledger says"];
    assert!(home.run(&propose).good().starts_with("pending"));
    assert!(in_force().values().all(|weight| *weight == 1), "not yet");
    let id = waiting(&home);
    let shown = home.run(&["pending", &id]);
    assert!(shown.good().contains("the vote of anchor"), "{shown:?}");
    let approved = home.run(&["approve", &id]);
    assert!(approved.good().starts_with("committed"), "{approved:?}");
    assert_eq!(in_force(), earned);
    let total: u64 = earned.values().sum();
    let scope = home.json(&["scope", "show", SCOPE]);
    assert_eq!(scope["quorum_weight"], total * 2 / 3 + 1);
    nothing_waits(&home);
    let log = home.run(&["log", SCOPE, "--limit", "1"]);
    assert!(log.good().contains("as the ledger says"), "{log:?}");
    home.run(&["verify"]).good();
}

#[test]
fn a_majority_is_called_crash_only_wherever_it_shows() {
    let home = council();
    let policy = home.run(&["scope", "policy", SCOPE]);
    let policy = policy.good();
    assert!(policy.contains("quorum = \"bft\""), "{policy}");
    home.write("policy.toml", &policy.replace("\"bft\"", "\"majority\""));
    home.run(&["scope", "policy", SCOPE, "--file", "policy.toml"])
        .good();
    let told = |arguments: &[&str]| {
        let ran = home.run(arguments);
        assert!(ran.good().contains("crash-only"), "{arguments:?}: {ran:?}");
        ran.out
    };
    let id = waiting(&home);
    told(&["pending", &id]);
    home.run(&["approve", &id]).good();
    nothing_waits(&home);
    for arguments in [
        &["scope", "show", SCOPE][..],
        &["scope", "list"],
        &["scope", "policy", SCOPE],
        &["anchor", "list", SCOPE],
        &["explain", API],
        &["verify"],
    ] {
        told(arguments);
    }
    for arguments in [
        &["--json", "scope", "show", SCOPE][..],
        &["--json", "scope", "policy", SCOPE],
        &["--json", "explain", API],
    ] {
        told(arguments);
    }
    // What is shown is read again, and is no other policy.
    home.write("again.toml", &told(&["scope", "policy", SCOPE]));
    told(&["scope", "policy", SCOPE, "--file", "again.toml"]);
    told(&["scope", "policy", SCOPE, "--file", "policy.toml"]);
    nothing_waits(&home);

    home.run(&["name", "put", API, "A", "10.9.9.9"]).good();
    told(&["pending"]);
    told(&["pending", &waiting(&home)]);
    home.write("api.proof", home.run(&["prove", API]).good());
    let apex = home.json(&["scope", "show", "mesh.internal"])["uid"].clone();
    let apex = format!("mesh.internal={}", apex.as_str().unwrap());
    told(&["verify", "api.proof", "--apex", &apex]);
    let node = home.serve();
    let told = node.ask(&format!("_gov.{API} TXT"));
    assert!(
        told.iter().any(|line| line.contains("crash-only")),
        "{told:?}"
    );
    node.stop();
    let other = home.run(&["scope", "show", "us.mesh.internal"]);
    assert!(!other.good().contains("crash-only"), "{other:?}");
}
