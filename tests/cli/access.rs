//! Access graphs and verbs, from a policy file to what clients are told.

use super::node::{Home, Ran};

const SCOPE: &str = "eu.mesh.internal";

fn home() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    home
}

/// Puts the present policy with other access tests in force.
pub(super) fn set(home: &Home, more: &str) -> Ran {
    let present = home.run(&["scope", "policy", SCOPE]);
    let policy = present.good();
    let policy = policy
        .replace("access = []\n", "")
        .replace("challenge = \"\"\n", "");
    home.write("policy.toml", &format!("{more}\n{policy}"));
    home.run(&["scope", "policy", SCOPE, "--file", "policy.toml"])
}

pub(super) fn graph(tests: &str) -> String {
    format!("challenge = \"see https://id.example/\"\naccess = [\n{tests}\n]")
}

#[test]
fn a_graph_of_tests_is_put_in_force_and_shown_again() {
    let home = home();
    let tests = r#"
        { name = "office", when = "source 127.0.0.0/8", then = "verbs", else = "next" },
        { when = "transport tcp", then = "restrict", else = "hide" },
        { name = "verbs", when = "class write", then = "challenge", else = "allow" },"#;
    let put = set(&home, &graph(tests));
    assert!(put.good().starts_with("committed"), "{put:?}");
    let shown = home.run(&["scope", "policy", SCOPE]);
    let again = shown.good().to_owned();
    assert!(again.contains("when = \"class write\""), "{again}");
    home.write("again.toml", &again);
    let same = home.run(&["scope", "policy", SCOPE, "--file", "again.toml"]);
    assert_eq!(same.good(), again, "the same policy is no change");

    let node = home.serve();
    let ask = |name: &str| node.ask(name);
    assert_eq!(ask("api.eu.mesh.internal")[0], "NOERROR aa");
    assert_eq!(ask("_view._act.api.eu.mesh.internal")[0], "NOERROR aa");
    assert_eq!(ask("_pay._act.api.eu.mesh.internal"), ["REFUSED", "ede 18"]);
    let explain = |arguments: &[&str]| {
        let name = ["explain", "api.eu.mesh.internal"];
        home.json(&[&name[..], arguments].concat())
    };
    let outside = explain(&["--from", "192.0.2.1"]);
    assert_eq!(outside["outcome"], "hidden");
    let outside = explain(&["TXT", "--from", "192.0.2.1", "--transport", "tcp"]);
    assert_eq!(outside["outcome"], "no data");
    let paying = home.json(&["explain", "pay internal@mesh.eu/api"]);
    assert_eq!(paying["outcome"], "refused");
    assert!(
        paying["errors"][0]
            .as_str()
            .unwrap()
            .contains("https://id.example/")
    );
    home.run(&["verify"]).good();
    assert_eq!(ask("_fly._act.api.eu.mesh.internal"), ["REFUSED", "ede 18"]);
    node.stop();
    let audit = home.run(&["audit"]);
    assert!(audit.good().contains("verdict=challenge"), "{audit:?}");
    assert!(audit.good().contains("verdict=refuse"), "{audit:?}");
}

#[test]
fn a_graph_that_cannot_be_is_refused_and_the_old_one_stays() {
    let home = home();
    let before = home.run(&["scope", "policy", SCOPE]).good().to_owned();
    for (tests, words) in [
        (
            r#"{ when = "weather rain", then = "allow" }"#,
            "access test 1",
        ),
        (
            r#"{ when = "transport tcp", then = "home" }"#,
            "a later test",
        ),
        (
            r#"{ name = "a", when = "transport tcp", then = "a" }"#,
            "leads to itself",
        ),
        (
            r#"{ name = "a", when = "transport tcp", then = "allow" },
               { name = "b", when = "transport udp", then = "a" }"#,
            "leads to itself, back",
        ),
        (
            r#"{ name = "a", when = "transport tcp", then = "allow" },
               { name = "a", when = "transport udp", then = "allow" }"#,
            "two nodes are called",
        ),
    ] {
        let refused = set(&home, &graph(tests));
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.contains(words), "{refused:?}");
    }
    let many = r#"{ when = "transport tcp", then = "next" },"#.repeat(65);
    let refused = set(&home, &graph(&many));
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("at most 64"), "{refused:?}");
    assert_eq!(home.run(&["scope", "policy", SCOPE]).good(), before);
}

#[test]
fn a_scope_has_words_of_its_own() {
    let home = home();
    let present = home.run(&["scope", "policy", SCOPE]);
    let own = present
        .good()
        .replace("[verbs]\n", "[verbs]\nbook = \"write\"\n");
    assert!(own.contains("book"), "{present:?}");
    home.write("policy.toml", &own);
    let put = home.run(&["scope", "policy", SCOPE, "--file", "policy.toml"]);
    assert!(put.good().starts_with("committed"), "{put:?}");
    let node = home.serve();
    let ask = |verb: &str, name: &str| node.ask(&format!("_{verb}._act.{name}"));
    let eu = "api.eu.mesh.internal";
    assert_eq!(ask("book", eu)[0], "NOERROR aa");
    // The list stands in place of the usual words.
    for verb in ["pay", "view", "fly"] {
        assert_eq!(ask(verb, eu), ["REFUSED", "ede 18"], "{verb}");
    }
    let us = "api.us.mesh.internal";
    assert_eq!(ask("pay", us)[0], "NOERROR aa");
    assert_eq!(ask("book", us), ["REFUSED", "ede 18"]);
    let booked = home.json(&["explain", "book internal@mesh.eu/api"]);
    assert_eq!(booked["outcome"], "found", "{booked}");
    let paid = home.json(&["explain", "pay internal@mesh.eu/api"]);
    assert_eq!(paid["outcome"], "refused", "{paid}");
    node.stop();
}

#[test]
fn an_impact_says_whether_more_or_fewer_may_ask() {
    let home = home();
    home.run(&["anchor", "add", SCOPE]).good();
    let narrower = ["--access", "10.0.0.0/8=allow"];
    home.run(&[&["scope", "policy", SCOPE][..], &narrower].concat())
        .good();
    let waiting = home.json(&["pending"]);
    let impact = &waiting[0]["impact"];
    assert_eq!(impact["narrowed"][0], "to ask", "{impact}");
    assert_eq!(impact["widened"].as_array().unwrap().len(), 0);
    let id = waiting[0]["id"].as_str().unwrap();
    home.run(&["approve", id]).good();
    let wider = ["--access", "10.0.0.0/8=allow", "--access", "type SOA=allow"];
    home.run(&[&["scope", "policy", SCOPE][..], &wider].concat())
        .good();
    let waiting = home.json(&["pending"]);
    assert_eq!(waiting[0]["impact"]["widened"][0], "to ask", "{waiting}");
}
