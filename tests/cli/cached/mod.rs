//! The cache of legacy answers, before upstreams that fail, lose names and are slow.

mod holding;
mod scripted;
mod upstreams;

use std::process::Command;
use std::time::Duration;

use scripted::{Says, Scripted};

use super::access;
use super::node::{Asked, Home, Node, run};
use super::peers::until;

/// Longer than any answer that is there takes, and shorter than what a prefetch has left.
const LONG: Duration = Duration::from_millis(150);

/// What dig prints of an answer.
fn dig(node: &Node, arguments: &[&str]) -> String {
    let port = node.address.port().to_string();
    let mut dig = Command::new("dig");
    dig.args(["@127.0.0.1", "-p", &port, "+tries=1", "+time=20"]);
    run(dig.args(arguments)).good().to_owned()
}

#[test]
fn a_failure_is_remembered_and_told_with_its_cause() {
    let upstream = Scripted::start(Says::Failure);
    let config = upstream.config("failure-secs = 200\nfailure-max-secs = 300\n");
    let home = Home::new(&config);
    let node = home.serve();
    let first = dig(&node, &["www.example.com"]);
    assert!(first.contains("status: SERVFAIL"), "{first}");
    assert!(!first.contains("EDE: 13"), "{first}");
    let asked = upstream.asked();
    let second = dig(&node, &["www.example.com"]);
    for expected in ["status: SERVFAIL", "EDE: 13 (Cached Error)", "EDE: 0"] {
        assert!(second.contains(expected), "{expected}: {second}");
    }
    assert_eq!(upstream.asked(), asked, "nobody is asked again");
    let said = home.run(&["explain", "www.example.com"]);
    assert!(
        said.good().contains("nobody is asked for another"),
        "{said:?}"
    );
    // Another question of the same name is one of its own.
    dig(&node, &["www.example.com", "AAAA"]);
    assert!(upstream.asked() > asked);
    // What a scope says is its word and nobody's failure.
    let everybody = r#"{ when = "source 127.0.0.0/8", then = "refuse", else = "allow" },"#;
    access::set(&home, &access::graph(everybody)).good();
    for _ in 0..2 {
        let refused = dig(&node, &["api.eu.mesh.internal"]);
        assert!(refused.contains("REFUSED"), "{refused}");
        assert!(
            refused.contains("EDE: 18") && !refused.contains("EDE: 13"),
            "{refused}"
        );
    }
    node.stop();
}

#[test]
fn a_reload_puts_the_rules_in_force_and_keeps_the_cache() {
    let upstream = Scripted::start(Says::Address(200));
    let home = Home::new(&upstream.config(""));
    let node = home.serve();
    assert_eq!(node.ask("a.example")[1], "a.example. 200 A 192.0.2.44");
    home.configure(&upstream.config("ttl-max-secs = 9\n"));
    home.run(&["reload"]).good();
    assert_eq!(node.ask("b.example")[1], "b.example. 9 A 192.0.2.44");
    let asked = upstream.asked();
    assert!(node.ask("a.example")[1].starts_with("a.example. "));
    assert_eq!(upstream.asked(), asked);
    home.configure(&upstream.config("ttl-max-secs = 0\n"));
    let refused = home.run(&["reload"]);
    assert!(
        refused.err.contains("cache.ttl-max-secs: 0: expected 1 to"),
        "{refused:?}"
    );
    node.stop();
}

#[test]
fn records_that_vanish_suddenly_are_served_on() {
    for (rules, vanishes) in [("empty-secs = 3600\n", false), ("", true)] {
        let upstream = Scripted::start(Says::Address(1));
        let home = Home::new(&upstream.config(rules));
        let mut node = home.serve();
        assert!(dig(&node, &["www.example.com"]).contains("192.0.2.44"));
        upstream.now_says(Says::NoName);
        let later = until("an answer after the end of the TTL", || {
            let answer = dig(&node, &["www.example.com"]);
            let is_later = answer.contains("NXDOMAIN") || answer.contains("EDE: 3");
            is_later.then_some(answer)
        });
        assert_eq!(later.contains("NXDOMAIN"), vanishes, "{later}");
        if !vanishes {
            assert!(later.contains("30\tIN\tA\t192.0.2.44"), "{later}");
            node.wait_for("an absence is not believed");
            let said = home.run(&["explain", "www.example.com"]);
            let why = "answered NXDOMAIN, without records, for what had records until just now";
            assert!(said.good().contains(why), "{said:?}");
            // A name that never was is not there.
            assert!(dig(&node, &["new.example.com"]).contains("NXDOMAIN"));
        }
        node.stop();
    }
}

/// While the upstream thinks about a question that was asked ahead of time, the old answer is given; without
/// that somebody waits for the upstream.
#[test]
fn nobody_waits_for_a_name_that_is_asked_for_often() {
    for (rules, waits) in [("prefetch = true\n", false), ("prefetch = false\n", true)] {
        let upstream = Scripted::start(Says::Address(4));
        let home = Home::new(&upstream.config(rules));
        let node = home.serve();
        assert_eq!(node.ask("hot.example")[0], "NOERROR ra");
        upstream.now_says(Says::Later(4));
        let mut waiting = Vec::new();
        until("a second question to the upstream", || {
            let asked = Asked::send(node.address, "hot.example");
            if upstream.asked() < 2 && asked.is_answered_within(LONG) {
                return None;
            }
            waiting.push(asked);
            (upstream.asked() == 2).then_some(())
        });
        // The upstream says nothing yet.
        let more = Asked::send(node.address, "hot.example");
        let is_answered = more.is_answered_within(LONG);
        assert_eq!(is_answered, !waits, "{rules}");
        upstream.let_go();
        let renewed = until("the new answer", || {
            let answer = node.ask("hot.example");
            answer[1].starts_with("hot.example. 4 ").then_some(answer)
        });
        assert_eq!(renewed[0], "NOERROR ra");
        assert_eq!(upstream.asked(), 2);
        node.stop();
    }
}
