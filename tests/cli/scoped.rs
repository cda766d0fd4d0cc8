//! Callers whose rights hold for one scope: they see and change nothing of another one.

use super::approvals::{council, waiting};
use super::node::{Home, Node, Ran};
use super::remote::{token, url};

const API: &str = "[api]\nlisten = [\"127.0.0.1:0\"]\n[legacy]\nupstreams = []\n";

/// A command as the holder of a token in a file.
fn by(home: &Home, node: &Node, file: &str, arguments: &[&str]) -> Ran {
    let at = url(node);
    let place = ["--server", &at, "--token-file", file];
    home.run(&[&place[..], arguments].concat())
}

fn denied(ran: &Ran) {
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("beyond the scopes"), "{ran:?}");
}

#[test]
fn what_an_entry_held_before_it_moved_in_is_not_shown() {
    let home = Home::new(API);
    home.run(&["init"]).good();
    let (old, new) = ("db.eu.mesh.internal", "data.us.mesh.internal");
    home.run(&["name", "put", old, "TXT", "of-eu-alone"]).good();
    home.run(&["name", "move", old, new]).good();
    home.run(&["name", "put", new, "TXT", "of-us"]).good();
    let node = home.serve();
    for scope in ["us", "eu"] {
        let below = format!("{scope}.mesh.internal");
        token(
            &home,
            scope,
            &["--right", "read,propose", "--scope", &below],
        );
    }
    let us = |arguments: &[&str]| by(&home, &node, "us", arguments);
    let all = home.run(&["name", "history", new]);
    assert!(all.good().contains(old), "{all:?}");
    let history = us(&["name", "history", new]);
    let shown = history.good();
    assert!(!shown.contains(old), "{shown}");
    assert!(shown.lines().count() >= 2, "{shown}");
    let versions = home.json(&["name", "history", new]);
    let first = versions["versions"].as_array().unwrap().last().unwrap();
    let first = first["version"].to_string();
    let asked = format!("_v{first}._ver.{new}");
    home.run(&["name", "get", &asked]).good();
    denied(&us(&["name", "get", &asked]));
    home.run(&["name", "diff", new, &first]).good();
    denied(&us(&["name", "diff", new, &first]));
    denied(&us(&["name", "undo", new, "--to", &first]));
    us(&["name", "get", new]).good();
    us(&["explain", new, "TXT"]).good();
    // The old name leads elsewhere, which its scope's callers do not follow.
    denied(&by(&home, &node, "eu", &["explain", old, "TXT"]));
    node.stop();
}

#[test]
fn first_digits_of_a_proposal_are_completed_from_what_the_caller_sees() {
    let home = council();
    home.run(&["name", "put", "api.eu.mesh.internal", "A", "10.9.9.9"])
        .good();
    let id = waiting(&home);
    home.configure(API);
    let node = home.serve();
    for scope in ["us", "eu"] {
        let below = format!("{scope}.mesh.internal");
        token(&home, scope, &["--right", "read,vote", "--scope", &below]);
    }
    let shown = by(&home, &node, "eu", &["pending", &id[..12]]);
    assert!(shown.good().contains(&id[..12]), "{shown:?}");
    let elsewhere = by(&home, &node, "us", &["pending", &id[..12]]);
    assert_ne!(elsewhere.code, 0, "{elsewhere:?}");
    let whole = by(&home, &node, "us", &["pending", &id]);
    assert_eq!(whole.code, 3, "{whole:?}");
    let approved = by(&home, &node, "eu", &["approve", &id[..12]]);
    assert!(approved.good().starts_with("committed"), "{approved:?}");
    node.stop();
}
