//! Names of scopes that a node does not hold, asked from one that does.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::node::{Node, QUIET};
use super::peers::{Pair, configure, id, listens, peer, until};

/// A node that holds nothing, trusts the apex of the origin and has it as its peer.
fn reader(pair: &Pair) -> Node {
    let genesis = pair.uid("mesh.internal");
    let rest = format!("{QUIET}[[apex]]\nname = \"mesh.internal\"\ngenesis = \"{genesis}\"\n");
    let origin = peer("origin", &id(&pair.origin), Some(listens(&pair.node)));
    configure(&pair.mirror, None, &origin, &rest);
    pair.mirror.serve()
}

#[test]
fn a_node_that_holds_nothing_answers_by_proofs() {
    let pair = Pair::new();
    let reader = reader(&pair);
    let question = "api.eu.mesh.internal";
    let told = pair.node.ask(question);
    // The first ones come before there is a connection.
    until("the first proof", || {
        (reader.ask(question) == told).then_some(())
    });
    for question in [
        "www.eu.mesh.internal",
        "ledger.payments.eu.mesh.internal HTTPS",
        "nope.eu.mesh.internal",
        "api.us.mesh.internal TXT",
        "_gov.api.eu.mesh.internal TXT",
    ] {
        assert_eq!(reader.ask(question), pair.node.ask(question), "{question}");
    }
    let explained = pair.mirror.run(&["explain", "new.eu.mesh.internal"]);
    let explained = explained.good();
    assert!(
        explained
            .contains("peers    new.eu.mesh.internal., from mesh.internal. on: proven by origin"),
        "{explained}"
    );
    let status = pair.mirror.json(&["status"]);
    assert_eq!(status["scopes"], Value::from(0), "{status}");
    let learned = &status["learned"];
    assert!(learned["scopes"].as_u64() >= Some(3), "{status}");

    // It was proven that there is no such name; that it is made is seen at once.
    let put = ["name", "put", "new.eu.mesh.internal", "A", "10.9.0.1"];
    pair.origin.run(&put).good();
    let seen = ["NOERROR aa", "new.eu.mesh.internal. 60 A 10.9.0.1"];
    until("the change", || {
        (reader.ask("new.eu.mesh.internal") == seen).then_some(())
    });
    // Nothing can be changed here, and nothing was written.
    let refused = pair.mirror.run(&put);
    assert_eq!(refused.code, 4, "{refused:?}");
    pair.mirror.run(&["doctor"]).good();
    pair.mirror.run(&["verify"]).good();

    pair.node.kill();
    assert_eq!(reader.ask("new.eu.mesh.internal"), seen);
    let never = until("the end of the origin", || {
        let said = reader.ask("never.us.mesh.internal");
        (said[0] == "SERVFAIL").then_some(said)
    });
    assert_eq!(never[1], "ede 22", "{never:?}");
    reader.stop();
}

#[test]
fn what_was_proven_is_not_taken_back_over_a_restart() {
    let pair = Pair::new();
    let far = reader(&pair);
    let question = "api.eu.mesh.internal";
    let first = pair.node.ask(question);
    until("the first proof", || {
        (far.ask(question) == first).then_some(())
    });
    let Pair {
        origin,
        mirror,
        node,
    } = pair;
    // What the origin is now comes back later, as a restored disk or a liar would have it.
    node.stop();
    let (data, aside) = (origin.path("data"), origin.path("aside"));
    let copy = |from: &Path, to: &Path| {
        let done = Command::new("cp").arg("-r").args([from, to]).status();
        assert!(done.unwrap().success());
    };
    copy(&data, &aside);
    let node = origin.serve();
    origin
        .run(&["name", "put", question, "A", "10.9.0.9"])
        .good();
    let changed = node.ask(question);
    assert_ne!(changed, first);
    until("the change", || {
        (far.ask(question) == changed).then_some(())
    });
    far.stop();
    node.stop();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&aside, &data);
    let (node, far) = (origin.serve(), mirror.serve());
    assert_eq!(node.ask(question), first);
    until("the connection", || {
        (mirror.json(&["nodes"])[0]["connected"] == true).then_some(())
    });
    let said = far.ask(question);
    assert_eq!(said, ["SERVFAIL", "ede 22"]);
    let explained = mirror.run(&["explain", "www.eu.mesh.internal"]);
    let explained = explained.good();
    assert!(explained.contains("it is behind: height"), "{explained}");
    far.stop();
    node.stop();
}
