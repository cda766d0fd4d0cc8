//! The query log: what is in it, and that nobody waits for it.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

use serde_json::Value;

use super::metrics::get_at;
use super::node::{Home, Node, program};
use super::peers::until;

const FORWARDS_NOTHING: &str = "[legacy]\nupstreams = []\n";

fn logging(to: &str, more: &str) -> Home {
    Home::new(&format!(
        "{FORWARDS_NOTHING}[query-log]\nto = \"{to}\"\n{more}"
    ))
}

/// The lines of a file, once there are so many.
fn lines(home: &Home, file: &str, count: usize) -> Vec<Value> {
    let path = home.path(file);
    until(&format!("{count} lines in {file}"), || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let whole = text.lines().filter(|_| text.ends_with('\n'));
        let lines: Vec<Value> = whole
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(lines.len() <= count, "{lines:#?}");
        (lines.len() == count).then_some(lines)
    })
}

fn metric(home: &Home, line: &str) -> bool {
    get_at(&home.socket(), "/metrics")
        .1
        .contains(&format!("\n{line}\n"))
}

#[test]
fn each_question_is_a_line_with_its_reason_also_when_its_answer_was_kept() {
    let home = logging("q.jsonl", "");
    let node = home.serve();
    for name in [
        "api.eu.mesh.internal",
        "none.eu.mesh.internal",
        "www.example.com",
    ] {
        for _ in 0..3 {
            node.ask(name);
        }
    }
    // What is no printable ASCII is escaped in the name, and again in the string.
    node.ask("a\\\"\\010.eu.mesh.internal TXT");
    let written = lines(&home, "q.jsonl", 10);
    let of = |name: &str| -> Vec<&Value> {
        written.iter().filter(|line| line["name"] == name).collect()
    };
    let api = of("api.eu.mesh.internal.");
    assert_eq!(api.len(), 3);
    for line in &api {
        assert_eq!(line["client"], "127.0.0.1");
        assert_eq!(
            (&line["transport"], &line["type"]),
            (&"udp".into(), &"A".into())
        );
        assert_eq!(
            (&line["rcode"], &line["route"]),
            (&"NOERROR".into(), &"governed".into())
        );
        assert_eq!(
            (&line["outcome"], &line["ttl"]),
            (&"found".into(), &30.into())
        );
        assert_eq!(line["scope"], "eu.mesh.internal.");
        assert_eq!(line["why"], "governed-only (default of an apex)");
        assert!(
            line["bytes"].as_u64() > Some(40) && line["us"].is_u64(),
            "{line}"
        );
        line["time"]
            .as_str()
            .unwrap()
            .parse::<kedge::base::time::Timestamp>()
            .unwrap();
    }
    assert!(api.iter().any(|line| line["kept"] == true), "{api:#?}");
    assert_eq!(of("none.eu.mesh.internal.")[0]["outcome"], "absent");
    let refused = of("www.example.com.");
    assert_eq!(refused[0]["route"], "refused");
    assert_eq!(refused[0]["outcome"], "not ours");
    assert_eq!(of("a\\\"\\010.eu.mesh.internal.").len(), 1, "{written:#?}");
    assert!(metric(&home, "kedge_query_log_lines_total 10"));
    node.stop();
}

#[test]
fn what_waited_for_an_upstream_and_what_cannot_be_read_are_lines_too() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let upstream = silent.local_addr().unwrap();
    let home = Home::new(&format!(
        "[legacy]\nupstreams = [\"{upstream}\"]\ndeadline-ms = 300\n\
         [query-log]\nto = \"q.jsonl\"\nclient-bits-v4 = 8\n"
    ));
    let node = home.serve();
    assert_eq!(node.ask("www.example.com")[0], "SERVFAIL ra");
    let server = node.address;
    let mut dig = Command::new("dig");
    dig.arg(format!("@{}", server.ip()));
    dig.args(["-p", &server.port().to_string(), "+tcp", "+opcode=2", "x."]);
    dig.output().unwrap();
    let written = lines(&home, "q.jsonl", 2);
    let [waited, refused] = written.as_slice() else {
        panic!("{written:#?}")
    };
    assert_eq!(waited["route"], "legacy");
    assert_eq!(waited["outcome"], "legacy failed");
    assert_eq!(waited["client"], "127.0.0.0/8");
    assert!(waited["us"].as_u64() >= Some(200_000), "{waited}");
    let why = waited["why"].as_str().unwrap();
    assert!(why.starts_with("legacy-only (default); "), "{why}");
    assert_eq!(refused["why"], "not-implemented");
    assert_eq!(refused["transport"], "tcp");
    node.stop();
}

#[test]
fn one_of_so_many_is_written() {
    let home = logging("q.jsonl", "sample = 10\n");
    let node = home.serve();
    for _ in 0..100 {
        node.ask("api.eu.mesh.internal");
    }
    // Each thread counts by itself and begins with a line, so a few more are possible.
    let path = home.path("q.jsonl");
    let text = until("lines", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        (text.lines().count() >= 10).then_some(text)
    });
    let threads = std::thread::available_parallelism().unwrap().get();
    assert!(text.lines().count() <= 10 + threads, "{text}");
    node.stop();
}

#[test]
fn a_file_that_was_renamed_is_left_at_a_reload_and_the_log_can_be_switched() {
    let home = logging("q.jsonl", "");
    let mut node = home.serve();
    node.ask("api.eu.mesh.internal");
    lines(&home, "q.jsonl", 1);
    std::fs::rename(home.path("q.jsonl"), home.path("q.1")).unwrap();
    node.signal("HUP");
    node.wait_for("reloaded");
    node.ask("api.eu.mesh.internal");
    lines(&home, "q.jsonl", 1);
    lines(&home, "q.1", 1);
    // A file that cannot be opened changes nothing.
    home.configure(&format!(
        "{FORWARDS_NOTHING}[query-log]\nto = \"no/such/q\"\n"
    ));
    let ran = home.run(&["reload"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("no/such/q"), "{ran:?}");
    node.ask("api.eu.mesh.internal");
    lines(&home, "q.jsonl", 2);
    home.configure(FORWARDS_NOTHING);
    home.run(&["reload"]).good();
    node.ask("api.eu.mesh.internal");
    node.stop();
    lines(&home, "q.jsonl", 2);
}

#[test]
fn a_log_that_cannot_be_opened_is_told_at_the_start() {
    let home = logging("no/such/q", "");
    let ran = home.run(&["serve"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(
        ran.err.contains("no/such/q") && ran.err.contains("hint: "),
        "{ran:?}"
    );
}

#[test]
fn a_full_disk_costs_lines_and_no_answers() {
    let home = logging("/dev/full", "");
    let node = home.serve();
    for _ in 0..5 {
        assert_eq!(node.ask("api.eu.mesh.internal")[0], "NOERROR aa");
    }
    until("five lost lines", || {
        metric(&home, "kedge_query_log_lost_total{reason=\"write\"} 5").then_some(())
    });
    assert!(metric(&home, "kedge_query_log_failing 1"));
    node.stop();
}

/// A node that writes its log to standard output, which is a pipe.
fn piped(home: &Home) -> (Node, std::process::ChildStdout) {
    let mut command = program(&home.path(""));
    command.args(["serve", "--config", "kedge.toml"]);
    Node::start_piped(&mut command)
}

#[test]
fn a_reader_that_stops_or_goes_away_costs_lines_and_no_answers() {
    let home = logging("stdout", "");
    let (node, output) = piped(&home);
    node.ask("api.eu.mesh.internal");
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["name"], "api.eu.mesh.internal.");
    // Nobody reads; a pipe holds some hundred lines.
    for _ in 0..2_000 {
        assert_eq!(node.ask("api.eu.mesh.internal")[0], "NOERROR aa");
    }
    drop(output);
    until("lines that found no reader", || {
        let text = get_at(&home.socket(), "/metrics").1;
        text.contains("\nkedge_query_log_failing 1\n").then_some(())
    });
    assert_eq!(node.ask("api.eu.mesh.internal")[0], "NOERROR aa");
    node.stop();
}

#[test]
fn a_node_whose_log_nobody_reads_stops_all_the_same() {
    let home = logging("stdout", "");
    let (mut node, mut output) = piped(&home);
    for _ in 0..2_000 {
        node.ask("api.eu.mesh.internal");
    }
    node.signal("TERM");
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    assert!(node.wait().success(), "{:?}", node.said);
    let whole = rest.split_inclusive(|byte| *byte == b'\n');
    let lines = whole.filter(|line| serde_json::from_slice::<Value>(line).is_ok());
    assert_eq!(lines.count(), 2_000, "what waited was written");
}
