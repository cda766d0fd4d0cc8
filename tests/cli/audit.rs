//! The audit log of a running node: what it holds, and what it finds wrong with itself.

use serde_json::Value;

use super::node::{Home, Ran};
use super::upstream::Upstream;

const CONFIG: &str = "[legacy]\nupstreams = []\n";

fn home() -> Home {
    let home = Home::new(CONFIG);
    home.run(&["init"]).good();
    home
}

/// Every record, oldest first.
fn records(home: &Home) -> Vec<Value> {
    let records = home.json(&["audit", "--limit", "100000"]);
    records.as_array().unwrap().clone()
}

fn of_kind<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records
        .iter()
        .filter(|record| record["kind"] == kind)
        .collect()
}

fn verify(home: &Home) -> Ran {
    home.run(&["audit", "verify"])
}

#[test]
fn calls_changes_refusals_and_the_ends_of_a_node_are_recorded() {
    let home = home();
    let node = home.serve();
    let put = home.json(&["name", "put", "new.eu.mesh.internal", "A", "10.0.0.1"]);
    let stale = ["--if-version", "9"];
    let mut refused = vec!["name", "put", "new.eu.mesh.internal", "A", "10.0.0.2"];
    refused.extend(stale);
    assert_eq!(home.run(&refused).code, 3);
    home.run(&["reload"]).good();
    home.run(&["name", "get", "nope.eu.mesh.internal"]);
    let head = home.json(&["status"])["audit"]["head"].clone();
    node.stop();
    verify(&home).good();
    let all = records(&home);
    assert_eq!(of_kind(&all, "start").len(), 1);
    assert_eq!(all.last().unwrap()["kind"], "stop");
    assert_eq!(of_kind(&all, "reload").len(), 1);
    let committed = of_kind(&all, "committed");
    assert!(
        committed
            .iter()
            .any(|record| record["block"] == put["block"]
                && record["height"] == put["height"]
                && record["scope"].as_str().unwrap().len() == 64),
        "{committed:?}"
    );
    let refusals = of_kind(&all, "refused");
    assert!(
        refusals[0]["reason"].as_str().unwrap().contains("version"),
        "{refusals:?}"
    );
    let calls = of_kind(&all, "call");
    let call = |status: u16| calls.iter().find(|call| call["status"] == status).unwrap();
    // The command ran as the user that this test runs as.
    let uid: u32 = std::fs::metadata("/proc/self")
        .map(|own| std::os::unix::fs::MetadataExt::uid(&own))
        .unwrap();
    let changed = call(200);
    assert_eq!(changed["uid"], uid);
    assert!(changed["pid"].as_i64().unwrap() > 0, "{changed}");
    let missing = call(404);
    assert_eq!(missing["method"], "GET");
    assert_eq!(missing["path"], "/v1/names/nope.eu.mesh.internal");
    assert!(missing["error"].as_str().unwrap().contains("no entry"));
    assert!(call(409)["error"].as_str().unwrap().contains("version"));
    // The head that `status` showed is in the log; another one is not.
    let noted = head.as_str().unwrap();
    home.run(&["audit", "verify", "--head", noted]).good();
    let other = "ab".repeat(32);
    let ran = home.run(&["audit", "verify", "--head", &other]);
    assert_eq!(ran.code, 6, "{ran:?}");
    // Commands without a node are recorded, too.
    home.run(&["name", "put", "alone.eu.mesh.internal", "A", "10.0.0.1"])
        .good();
    let later = records(&home);
    assert_eq!(later.len(), all.len() + 2, "{later:?}");
    verify(&home).good();
}

#[test]
fn a_denial_is_recorded_by_scope_and_network() {
    let home = home();
    home.run(&[
        "scope",
        "policy",
        "us.mesh.internal",
        "--access",
        "127.0.0.0/8=refuse",
    ])
    .good();
    home.run(&[
        "scope",
        "policy",
        "payments.eu.mesh.internal",
        "--access",
        "127.0.0.0/8=hide",
    ])
    .good();
    let node = home.serve();
    for _ in 0..3 {
        assert_eq!(node.ask("api.us.mesh.internal")[0], "REFUSED");
    }
    let hidden = node.ask("ledger.payments.eu.mesh.internal");
    assert_eq!(hidden[0], "NXDOMAIN aa");
    // Asking for the log writes what was counted.
    let all = records(&home);
    let denied = of_kind(&all, "denied");
    let us = home.json(&["scope", "show", "us.mesh.internal"]);
    let row = denied
        .iter()
        .find(|record| record["scope"] == us["uid"])
        .unwrap();
    assert_eq!(row["verdict"], "refuse");
    assert_eq!(row["source"], "127.0.0.0/24");
    assert_eq!(row["count"], 3);
    assert!(denied.iter().any(|record| record["verdict"] == "hide"));
    node.stop();
    verify(&home).good();
}

#[test]
fn consultations_under_a_rule_are_counted_and_plain_forwarding_is_not() {
    let upstream = Upstream::start();
    let rule = "[[fallback]]\nsuffix = \"eu.mesh.internal\"\norder = \"governed-first\"\n\
                fall-through-on = [\"absent\"]\nmap-to = \"eu.example.com\"\n";
    let home = Home::new(&format!("{}{rule}", upstream.config()));
    home.run(&["init"]).good();
    let node = home.serve();
    for _ in 0..2 {
        assert_eq!(node.ask("www.eu.mesh.internal")[0], "NOERROR aa ra");
        node.ask("nope.eu.mesh.internal");
        node.ask("www.example.com");
    }
    let all = records(&home);
    let consulted = of_kind(&all, "consulted");
    let count: u64 = consulted
        .iter()
        .map(|record| record["count"].as_u64().unwrap())
        .sum();
    assert_eq!(count, 2, "{consulted:?}");
    assert!(
        consulted
            .iter()
            .all(|record| record["suffix"] == "eu.mesh.internal."),
        "{consulted:?}"
    );
    node.stop();
}

#[test]
fn an_edited_a_removed_and_a_swapped_record_are_named() {
    let home = home();
    for count in 0..3 {
        let name = format!("n{count}.eu.mesh.internal");
        home.run(&["name", "put", &name, "A", "10.0.0.1"]).good();
    }
    let log = home.path("data/audit.log");
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.len() / 2;
    let edited = lines[at].replacen("\"seq\":", "\"seq\" :", 1);
    let mut removed = lines.clone();
    removed.remove(at);
    let mut swapped = lines.clone();
    swapped.swap(at, at + 1);
    let mut changed = lines.clone();
    changed[at] = &edited;
    for tampered in [changed, removed, swapped] {
        std::fs::write(&log, format!("{}\n", tampered.join("\n"))).unwrap();
        let ran = verify(&home);
        assert_eq!(ran.code, 6, "{ran:?}");
        let named = format!("audit.log:{}: ", at + 1);
        assert!(ran.err.contains(&named), "{named}: {ran:?}");
    }
    std::fs::write(&log, &text).unwrap();
    verify(&home).good();
}

#[test]
fn a_killed_node_leaves_a_chain_that_holds_and_goes_on() {
    let home = home();
    for round in 0..3 {
        let node = home.serve();
        let name = format!("n{round}.eu.mesh.internal");
        home.run(&["name", "put", &name, "A", "10.0.0.1"]).good();
        if round == 1 {
            // What waits is on the disk before the kill.
            records(&home);
        }
        node.kill();
        verify(&home).good();
    }
    // A batch that was cut off in the middle of a line.
    let log = home.path("data/audit.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend_from_slice(b"{\"seq\":9999,\"ti");
    std::fs::write(&log, bytes).unwrap();
    verify(&home).good();
    let node = home.serve();
    node.stop();
    verify(&home).good();
    assert_eq!(of_kind(&records(&home), "recovered").len(), 1);
}

#[test]
fn a_full_disk_stops_no_answer_and_leaves_a_gap() {
    let home = Home::new(&format!("{CONFIG}[audit]\nfile = \"full/audit.log\"\n"));
    home.run(&["init"]).good();
    let log = home.path("full/audit.log");
    std::fs::remove_file(&log).unwrap();
    // A device that has never room.
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    let node = home.serve();
    assert_eq!(node.ask("db.eu.mesh.internal")[0], "NOERROR aa");
    home.run(&["name", "put", "new.eu.mesh.internal", "A", "10.0.0.1"])
        .good();
    assert_eq!(node.ask("new.eu.mesh.internal")[0], "NOERROR aa");
    drop(home.run(&["audit"]));
    let doctor = home.run(&["doctor"]);
    assert_eq!(doctor.code, 6, "{doctor:?}");
    assert!(
        doctor
            .out
            .contains("audit log: it cannot be written: No space left"),
        "{doctor:?}"
    );
    let status = home.json(&["status"]);
    assert!(status["audit"]["lost"].as_u64().unwrap() > 1, "{status}");
    assert_eq!(status["audit"]["head"], Value::Null);
    // There is room again.
    std::fs::remove_file(&log).unwrap();
    let gaps = records(&home);
    let gaps = of_kind(&gaps, "gap");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0]["because"].as_str().unwrap().contains("No space"));
    let doctor = home.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(doctor.out.contains("warn  audit log"), "{doctor:?}");
    node.stop();
    verify(&home).good();
}

#[test]
fn another_file_is_never_written_over_and_a_log_can_be_left_out() {
    let home = Home::new(&format!("{CONFIG}[audit]\nfile = \"notes.txt\"\n"));
    home.write("notes.txt", "mine\n");
    let node = home.serve();
    assert_eq!(node.ask("db.eu.mesh.internal")[0], "NOERROR aa");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.out.contains("is no audit log"), "{doctor:?}");
    node.stop();
    let text = std::fs::read_to_string(home.path("notes.txt")).unwrap();
    assert_eq!(text, "mine\n");
    let ran = verify(&home);
    assert_eq!(ran.code, 6, "{ran:?}");
    home.configure(&format!("{CONFIG}[audit]\nenabled = false\n"));
    assert_eq!(home.json(&["status"])["audit"], Value::Null);
    assert_eq!(verify(&home).code, 2);
    assert!(!home.path("data/audit.log").exists());
}

#[test]
fn records_are_shown_from_a_time_on_and_at_most_so_many() {
    let home = home();
    home.run(&["name", "put", "a.eu.mesh.internal", "A", "10.0.0.1"])
        .good();
    let all = records(&home);
    assert!(all.len() > 4, "{all:?}");
    let two = home.json(&["audit", "--limit", "2"]);
    assert_eq!(two.as_array().unwrap(), &all[all.len() - 2..]);
    let time = all[all.len() - 1]["time"].as_str().unwrap();
    let since = home.json(&["audit", "--since", time]);
    assert!(since.as_array().unwrap().len() < all.len());
    let none = home.json(&["audit", "--since", "2999"]);
    assert_eq!(none.as_array().unwrap().len(), 0);
    let wrong = home.run(&["audit", "--since", "yesterday"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let said = home.run(&["audit", "--limit", "1"]);
    assert!(said.good().contains(" call "), "{said:?}");
}
