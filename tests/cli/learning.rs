//! Names of scopes that a node does not hold, asked from one that does.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::metrics::get_at;
use super::node::{Home, Node, QUIET};
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
    // What is on the disk is as new as the floor.
    assert_eq!(far.ask(question), stale(&changed));
    let explained = mirror.run(&["explain", "www.eu.mesh.internal"]);
    let explained = explained.good();
    assert!(explained.contains("it is behind: height"), "{explained}");
    far.stop();
    node.stop();
}

/// An answer as it is given when it may not hold any more; and nobody says whether the entry has
/// instances.
fn stale(fresh: &[String]) -> Vec<String> {
    let shorter = |line: &String| line.replace(" 60 A ", " 30 A ");
    let more = ["ede 0", "ede 3"].map(str::to_owned);
    fresh.iter().map(shorter).chain(more).collect()
}

/// What the node counts under a name and its label.
fn counted(home: &Home, sample: &str) -> f64 {
    let (_, told) = get_at(&home.socket(), "/metrics");
    let line = told.lines().find(|line| line.starts_with(sample));
    let line = line.unwrap_or_else(|| panic!("no {sample} in {told}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

const HELD: &str = "kedge_proofs_restored_total{result=\"held\"}";
const REFUSED: &str = "kedge_proofs_restored_total{result=\"refused\"}";
const WRITTEN: &str = "kedge_proofs_kept_total{result=\"written\"}";
const LOST: &str = "kedge_proofs_kept_total{result=\"lost\"}";

#[test]
fn what_was_proven_outlasts_the_node_and_those_who_proved_it() {
    let pair = Pair::new();
    let far = reader(&pair);
    let question = "api.eu.mesh.internal";
    let told = pair.node.ask(question);
    until("the first proof", || {
        (far.ask(question) == told).then_some(())
    });
    let absent = far.ask("nope.eu.mesh.internal");
    until("the writing", || {
        (counted(&pair.mirror, WRITTEN) >= 3.0).then_some(())
    });
    // Nobody is left, and the node ends without a word.
    pair.node.kill();
    far.kill();
    let far = pair.mirror.serve();
    let explained = pair.mirror.run(&["explain", question]);
    let explained = explained.good();
    let from_disk = "from mesh.internal. on: read from the disk, as it was heard last at 2";
    assert!(explained.contains(from_disk), "{explained}");
    assert_eq!(far.ask(question), stale(&told));
    let again = far.ask("nope.eu.mesh.internal");
    assert_eq!(again[0], absent[0], "{again:?}");
    assert!(again.contains(&"ede 19".to_owned()), "{again:?}");
    assert_eq!(far.ask("never.us.mesh.internal"), ["SERVFAIL", "ede 22"]);
    assert!(counted(&pair.mirror, HELD) >= 2.0);
    assert!(counted(&pair.mirror, REFUSED) < 1.0);
    far.stop();
}

#[test]
fn a_damaged_file_of_proofs_is_put_aside() {
    let pair = Pair::new();
    let far = reader(&pair);
    let question = "api.eu.mesh.internal";
    let told = pair.node.ask(question);
    until("the first proof", || {
        (far.ask(question) == told).then_some(())
    });
    far.stop();
    let (file, aside) = ("data/proofs.redb", "data/proofs.redb.damaged");
    let whole = std::fs::read(pair.mirror.path(file)).unwrap();
    let mut headless = whole.clone();
    headless[..64].fill(0x55);
    for damaged in [
        b"no store at all".to_vec(),
        headless,
        whole[..5_000].to_vec(),
    ] {
        std::fs::write(pair.mirror.path(file), &damaged).unwrap();
        let far = pair.mirror.serve();
        assert!(counted(&pair.mirror, REFUSED) >= 1.0, "{}", damaged.len());
        assert_eq!(std::fs::read(pair.mirror.path(aside)).unwrap(), damaged);
        until("the proof", || (far.ask(question) == told).then_some(()));
        let said = far.said.join("\n");
        assert!(said.contains("what was proven before is damaged"), "{said}");
        far.stop();
    }
    // Bytes of rows are another matter: they are not believed, and the node goes on.
    let mut bent = whole;
    for byte in bent.iter_mut().skip(8_192).step_by(61) {
        *byte ^= 0x10;
    }
    std::fs::write(pair.mirror.path(file), bent).unwrap();
    let far = pair.mirror.serve();
    until("the proof", || (far.ask(question) == told).then_some(()));
    assert!(counted(&pair.mirror, REFUSED) >= 1.0);
    far.stop();
    pair.node.stop();
}

#[test]
fn a_full_disk_costs_only_what_it_would_have_kept() {
    let pair = Pair::new();
    let genesis = pair.uid("mesh.internal");
    let rest = format!("{QUIET}[[apex]]\nname = \"mesh.internal\"\ngenesis = \"{genesis}\"\n");
    let origin = peer("origin", &id(&pair.origin), Some(listens(&pair.node)));
    configure(&pair.mirror, None, &origin, &rest);
    // Only the file of proofs is on the full disk, and only the node sees that disk.
    let full = pair.mirror.path("full");
    std::fs::create_dir(&full).unwrap();
    let link = pair.mirror.path("data/proofs.redb");
    std::os::unix::fs::symlink(full.join("proofs.redb"), link).unwrap();
    let script = "mount -t tmpfs -o size=8k tmpfs full && exec \"$0\" serve --config kedge.toml";
    let mut command = Command::new("unshare");
    command.current_dir(pair.mirror.path("."));
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_kedge")]);
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        eprintln!("no mount namespaces here: not tried");
        return;
    }
    let mut far = Node::start(&mut command);
    let question = "api.eu.mesh.internal";
    let told = pair.node.ask(question);
    until("the proof", || (far.ask(question) == told).then_some(()));
    until("the count", || {
        (counted(&pair.mirror, LOST) > 0.0).then_some(())
    });
    pair.mirror.run(&["doctor"]).good();
    far.wait_for("what other nodes prove is not kept; answers go on");
    far.stop();
    pair.node.stop();
}
