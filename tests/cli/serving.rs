//! A node from its first start to its end: what it creates, answers, reloads and finishes.

use std::os::unix::fs::MetadataExt as _;

use super::node::{Asked, Home, QUIET, program, run};
use super::upstream::Upstream;

const ZONE: &str = "\
$TTL 300
@ SOA ns mail 1 3600 600 86400 300
@ NS ns
ns A 192.0.2.53
www A 192.0.2.80
";

fn mode(home: &Home, file: &str) -> u32 {
    let metadata = std::fs::metadata(home.path(file));
    metadata
        .unwrap_or_else(|error| panic!("{file}: {error}"))
        .mode()
        & 0o777
}

#[test]
fn a_first_start_in_an_empty_directory_answers_from_all_three_sides() {
    let upstream = Upstream::start();
    let config = format!("{}[zones]\ndirectory = \"zones\"\n", upstream.config());
    let home = Home::new(&config);
    home.write("zones/legacy.example.zone", ZONE);
    let node = home.serve();
    for (question, expected) in [
        (
            "db.eu.mesh.internal",
            vec!["NOERROR aa ra", "db.eu.mesh.internal. 30 A 10.1.0.20"],
        ),
        (
            "www.legacy.example",
            vec!["NOERROR aa ra", "www.legacy.example. 300 A 192.0.2.80"],
        ),
        (
            "docs.mesh.internal",
            vec![
                "NOERROR aa ra",
                "docs.mesh.internal. 30 CNAME www.legacy.example.",
                "www.legacy.example. 300 A 192.0.2.80",
            ],
        ),
        (
            "www.example.com",
            vec!["NOERROR ra", "www.example.com. 300 A 192.0.2.44"],
        ),
        (
            "nope.mesh.internal",
            vec!["NXDOMAIN aa ra", "authority mesh.internal. SOA"],
        ),
    ] {
        assert_eq!(node.ask(question), expected, "{question}");
    }
    assert_eq!(mode(&home, "data/keys"), 0o700);
    assert_eq!(mode(&home, "data/admin.sock"), 0o600);
    let keys: Vec<_> = std::fs::read_dir(home.path("data/keys")).unwrap().collect();
    assert_eq!(keys.len(), 4, "a key for each scope of the demo");
    for key in keys {
        let key = key.unwrap().path();
        let mode = std::fs::metadata(&key).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", key.display());
    }
    assert_eq!(mode(&home, "data"), 0o700, "the store is nobody else's");
    node.stop();
    assert!(!home.path("data/admin.sock").exists());
}

#[test]
fn a_start_says_what_it_does_and_what_to_try() {
    let home = Home::new("[legacy]\nupstreams = []\n");
    let node = home.serve();
    let said = node.said.join("\n");
    assert!(
        said.contains("created the demo apex mesh.internal."),
        "{said}"
    );
    assert!(said.contains("listening on 127.0.0.1:"), "{said}");
    node.stop();
    let again = home.serve();
    assert!(
        !again.said.join("\n").contains("created"),
        "{:?}",
        again.said
    );
}

#[test]
fn a_reload_with_a_broken_zone_keeps_the_old_and_a_mended_one_is_served() {
    let home = Home::new(&format!("{QUIET}[zones]\ndirectory = \"zones\"\n"));
    home.write("zones/corp.example.zone", ZONE);
    let mut node = home.serve();
    let www = |address: &str| {
        let record = format!("www.corp.example. 300 A {address}");
        vec!["NOERROR aa".to_owned(), record]
    };
    assert_eq!(node.ask("www.corp.example"), www("192.0.2.80"));
    // A new zone beside a broken one must not come in by halves either.
    home.write(
        "zones/corp.example.zone",
        &ZONE.replace("192.0.2.80", "192.0.2.800"),
    );
    home.write("zones/new.example.zone", ZONE);
    node.signal("HUP");
    let line = node.wait_for("reload failed, nothing changed");
    assert!(line.contains("corp.example.zone:5"), "{line}");
    assert_eq!(node.ask("www.corp.example"), www("192.0.2.80"));
    assert_eq!(node.ask("www.new.example")[0], "REFUSED", "half a reload");
    let by_command = home.run(&["reload"]);
    assert_ne!(by_command.code, 0);
    assert!(
        by_command.err.contains("corp.example.zone:5"),
        "{by_command:?}"
    );
    home.write(
        "zones/corp.example.zone",
        &ZONE.replace("192.0.2.80", "192.0.2.81"),
    );
    node.signal("HUP");
    node.wait_for("reloaded");
    assert_eq!(node.ask("www.corp.example"), www("192.0.2.81"));
    assert_eq!(node.ask("www.new.example")[0], "NOERROR aa");
    node.stop();
}

#[test]
fn a_reload_with_a_broken_configuration_keeps_the_old() {
    let home = Home::new(QUIET);
    let mut node = home.serve();
    home.configure("[legacy]\nupstreams = [\"nowhere\"]\n");
    node.signal("HUP");
    let line = node.wait_for("reload failed, nothing changed");
    assert!(line.contains("legacy.upstreams"), "{line}");
    let upstream = Upstream::start();
    home.configure(&format!("[demo]\nenabled = false\n{}", upstream.config()));
    node.signal("HUP");
    node.wait_for("reloaded");
    assert_eq!(node.ask("www.example.com")[0], "NOERROR ra");
}

#[test]
fn a_question_that_waits_when_the_node_is_stopped_is_still_answered() {
    let upstream = Upstream::start_slow();
    let home = Home::new(&format!("[demo]\nenabled = false\n{}", upstream.config()));
    let mut node = home.serve();
    let asked = Asked::send(node.address, "slow.example.com");
    upstream.came.recv().unwrap();
    node.signal("TERM");
    node.wait_for("stopping");
    upstream.let_go();
    let expected = ["NOERROR ra", "slow.example.com. 300 A 192.0.2.44"];
    assert_eq!(asked.reply(), expected);
    assert!(node.wait().success());
}

#[test]
fn an_interrupt_ends_a_node_in_good_order_too() {
    let home = Home::new(QUIET);
    let mut node = home.serve();
    node.signal("INT");
    assert!(node.wait().success());
    assert!(!home.socket().exists());
}

#[test]
fn a_second_node_on_the_same_data_is_told_so() {
    let home = Home::new(QUIET);
    let node = home.serve();
    let second = home.run(&["serve"]);
    assert_eq!(second.code, 5, "{second:?}");
    assert!(
        second.err.contains("in use by another process"),
        "{second:?}"
    );
    assert!(second.err.contains("hint: "), "{second:?}");
    assert_eq!(
        node.ask("x.test")[0],
        "NXDOMAIN",
        "the first is not disturbed"
    );
    let status = home.run(&["status"]);
    status.good();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let first = Home::new(QUIET);
    let node = first.serve();
    let second = Home::new(QUIET);
    let config = format!("[listen]\ndns = [\"{}\"]\n{QUIET}", node.address);
    second.write("kedge.toml", &config);
    let ran = second.run(&["serve"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains(&node.address.to_string()), "{ran:?}");
    assert!(
        ran.err.contains("hint: another server listens there"),
        "{ran:?}"
    );
    assert!(
        !second.path("data").exists(),
        "nothing is made before the port is ours"
    );
}

#[test]
fn logs_in_json_are_json_to_the_last_line() {
    let home = Home::new(&format!(
        "{QUIET}[log]\nformat = \"json\"\nlevel = \"debug\"\n"
    ));
    let mut node = home.serve();
    node.ask("x.test");
    node.signal("TERM");
    assert!(node.wait().success());
    for line in &node.said {
        let value: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(value.is_ok(), "{line}");
    }
}

#[test]
fn a_socket_left_by_a_crash_does_not_stop_the_next_node() {
    let home = Home::new(QUIET);
    home.serve().kill();
    assert!(home.socket().exists());
    let status = home.run(&["status"]);
    status.good();
    home.serve().stop();
}

#[test]
fn serving_is_what_happens_without_a_command() {
    let home = Home::new(QUIET);
    let mut command = program(&home.path(""));
    command.args(["--config", "kedge.toml"]);
    let node = super::node::Node::start(&mut command);
    assert_eq!(node.ask("x.test")[0], "NXDOMAIN");
    node.stop();
    let version = run(program(&home.path("")).arg("--version"));
    assert_eq!(
        version.good(),
        concat!("kedge ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_rule_that_is_audited_leaves_a_line_for_each_consultation() {
    let upstream = Upstream::start();
    let rule = "[[fallback]]\nsuffix = \"SUFFIX\"\norder = \"governed-first\"\n\
                fall-through-on = [\"absent\"]\nmap-to = \"SUFFIX.example.com\"\n";
    let audited = rule.replace("SUFFIX", "eu.mesh.internal") + "audit = true\n";
    let silent = rule.replace("SUFFIX", "us.mesh.internal");
    let home = Home::new(&format!("{}{silent}{audited}", upstream.config()));
    let mut node = home.serve();
    for region in ["us", "eu"] {
        let reply = node.ask(&format!("web.{region}.mesh.internal"));
        assert_eq!(reply[0], "NOERROR aa ra", "{region}: {reply:?}");
    }
    let line = node.wait_for("legacy DNS was consulted");
    assert!(line.contains("web.eu.mesh.internal.example.com."), "{line}");
    node.stop();
}
