//! The whole program with `mode = "recurse"`.

use std::fmt::Write as _;

use super::common::TestNode;
use super::common::client::Client;
use super::common::message::{AD, CD, Message, Query, RD, rcode_text, wire_name};
use super::hierarchy::Hierarchy;

/// A key of the root that nobody uses.
const KEY: &str = ". IN DNSKEY 257 3 13 pH7pkDLOHMTiP9ussxYhenB1n8W+k6CfPFkzrTfOhpvU9zIsn8QOvs2VgB8AR\
                   o2CKm5lz2PnbHlGONTLDKo3lA==\n";
/// The option code of extended errors.
const EXTENDED_ERROR: u16 = 15;

fn node(hierarchy: &Hierarchy, more: &str) -> TestNode {
    let (hints, anchors) = (hierarchy.hints(), hierarchy.anchors());
    TestNode::start(&format!(
        "[legacy]\nmode = \"recurse\"\nroot-hints = \"{}\"\ntrust-anchors = \"{}\"\n\
         allow-servers = [\"127.0.1.0/24\"]\nserver-port = {}\ndeadline-ms = 3000\n{more}",
        hints.display(),
        anchors.display(),
        hierarchy.port
    ))
}

/// Code, AD, extended errors, and answers by type.
fn ask(node: &TestNode, name: &str, kind: u16, flags: u16) -> String {
    let query = Query {
        flags: RD | flags,
        ..Query::new(7, &wire_name(name), kind)
    };
    let bytes = Client::new(node.address()).ask(&query.to_bytes()).unwrap();
    let message = Message::read(&bytes).unwrap();
    let mut line = rcode_text(message.rcode());
    if message.has(AD) {
        line.push_str(" ad");
    }
    let options = message.opt.as_ref().map(|opt| opt.options.as_slice());
    for (code, data) in options.unwrap_or_default() {
        if *code == EXTENDED_ERROR {
            write!(line, " ede{}", u16::from_be_bytes([data[0], data[1]])).unwrap();
        }
    }
    for record in &message.sections[0] {
        write!(line, " {}", record.data).unwrap();
    }
    line
}

#[test]
fn clients_see_ad_extended_errors_and_whole_chains() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let node = node(
        &hierarchy,
        "negative-trust-anchors = [\"wrongds.alpha.\"]\n",
    );
    for (name, flags, expected) in [
        ("www.good.alpha", AD, "NOERROR ad 192.0.2.1"),
        ("www.good.alpha", 0, "NOERROR 192.0.2.1"),
        ("www.good.alpha", AD | CD, "NOERROR 192.0.2.1"),
        ("www.plain.alpha", AD, "NOERROR 192.0.2.2"),
        ("none.good.alpha", AD, "NXDOMAIN ad"),
        (
            "alias.good.alpha",
            AD,
            "NOERROR ad www.secure.beta. 192.0.2.2",
        ),
        (
            "toplain.good.alpha",
            AD,
            "NOERROR www.plain.alpha. 192.0.2.2",
        ),
        ("dangling.good.alpha", AD, "NXDOMAIN ad none.secure.beta."),
        ("tobogus.good.alpha", AD, "SERVFAIL ede6"),
        // The alias led here: the failure is remembered.
        ("www.forged.alpha", AD, "SERVFAIL ede6 ede13"),
        ("www.forged.alpha", CD, "NOERROR 192.0.2.66"),
        ("www.expired.alpha", 0, "SERVFAIL ede7"),
        ("www.stripped.alpha", 0, "SERVFAIL ede10"),
        ("www.wrongds.alpha", AD, "NOERROR 192.0.2.2"),
        ("www.lame.alpha", 0, "SERVFAIL ede22"),
        ("dangling.good.alpha", 0, "NXDOMAIN none.secure.beta."),
        ("www.slow.alpha", 0, "SERVFAIL ede23"),
        // The alias leads to a name of this node, which nobody else is asked for.
        ("into.good.alpha", 0, "NXDOMAIN api.mesh.internal."),
    ] {
        assert_eq!(
            ask(&node, name, 1, flags),
            expected,
            "{name}\n{}",
            node.log()
        );
    }
    assert!(ask(&node, "turn.good.alpha", 1, 0).starts_with("SERVFAIL"));
    let explained = node.run(&["--config", "kedge.toml", "explain", "into.good.alpha"]);
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(
        text.contains("chain    into.good.alpha. -> api.mesh.internal."),
        "{text}"
    );
    assert!(!text.contains("127.0.1.1: internal"), "{text}");
    let explained = node.run(&["--config", "kedge.toml", "explain", "none.expired.alpha"]);
    let text = String::from_utf8(explained.stdout).unwrap();
    for expected in [
        "asked    127.0.1.4: none.expired.alpha. A: no such name",
        "asked    validated: bogus",
        "outcome  bogus",
        "extended error: 7 the signature of",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(
        node.log().contains("resolved from the root down"),
        "{}",
        node.log()
    );
    assert!(!node.log().contains("lookup error"), "{}", node.log());
}

#[test]
fn a_rule_that_demands_validated_data_gets_it_or_fails() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let rules = ["good", "plain", "forged"].map(|zone| {
        format!(
            "[[fallback]]\nsuffix = \"{zone}.mesh.internal.\"\norder = \"governed-first\"\n\
             fall-through-on = [\"absent\"]\nmap-to = \"{zone}.alpha.\"\n\
             require-dnssec = true\naudit = true\n"
        )
    });
    let mut node = node(&hierarchy, &rules.concat());
    for (name, flags, expected) in [
        (
            "www.good.mesh.internal",
            0,
            "NOERROR www.good.alpha. 192.0.2.1",
        ),
        // CD does not lower what the rule demands.
        (
            "www.good.mesh.internal",
            CD,
            "NOERROR www.good.alpha. 192.0.2.1",
        ),
        ("www.plain.mesh.internal", CD, "SERVFAIL ede10"),
        ("www.forged.mesh.internal", CD, "SERVFAIL ede6"),
        // The demand goes with the alias, which is signed, to a name that is not.
        ("toplain.good.mesh.internal", 0, "SERVFAIL ede10"),
        (
            "alias.good.mesh.internal",
            0,
            "NOERROR alias.good.alpha. www.secure.beta. 192.0.2.2",
        ),
        ("none.good.mesh.internal", 0, "NXDOMAIN"),
    ] {
        assert_eq!(
            ask(&node, name, 1, flags),
            expected,
            "{name}\n{}",
            node.log()
        );
    }
    let last = |line: &str| line.contains("name=none.good.alpha.").then_some(());
    node.process().wait_for(last).unwrap();
    let log = node.log();
    let audited = log
        .lines()
        .filter(|line| line.contains("fall-back rule"))
        .count();
    assert_eq!(audited, 7, "{log}");
    for expected in [
        "asked=www.good.mesh.internal. name=www.good.alpha. kind=A rule=good.mesh.internal.",
        "because=absent rcode=NOERROR validated=true",
        "because=absent rcode=none validated=false",
    ] {
        assert!(log.contains(expected), "{expected}\n{log}");
    }
}

#[test]
fn a_route_takes_its_names_out_of_recursion() {
    let Some(hierarchy) = Hierarchy::start() else {
        return;
    };
    let route = "[[legacy.route]]\nsuffix = \"secure.beta.\"\nupstreams = []\n";
    let node = node(&hierarchy, route);
    assert_eq!(ask(&node, "www.good.alpha", 1, AD), "NOERROR ad 192.0.2.1");
    for name in ["www.secure.beta", "alias.good.alpha"] {
        assert_eq!(ask(&node, name, 1, AD), "SERVFAIL ede22", "{name}");
    }
    let explained = node.run(&["--config", "kedge.toml", "explain", "half.good.alpha"]);
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(
        text.contains("chain    half.good.alpha. -> www.secure.beta."),
        "{text}"
    );
    assert!(!text.contains("127.0.1.3"), "{text}");
}

#[test]
fn files_that_cannot_be_used_are_named_by_check() {
    let directory = tempfile::TempDir::new().unwrap();
    let check = |hints: &str, anchors: &str| {
        std::fs::write(directory.path().join("hints"), hints).unwrap();
        std::fs::write(directory.path().join("anchors"), anchors).unwrap();
        let config = "[legacy]\nmode = \"recurse\"\nroot-hints = \"hints\"\n\
                      trust-anchors = \"anchors\"\n";
        std::fs::write(directory.path().join("kedge.toml"), config).unwrap();
        let mut command = super::common::node::program(directory.path());
        let output = command.args(["--config", "kedge.toml", "check"]).output();
        let output = output.unwrap();
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8(both).unwrap()
    };
    let hints = ". 60 NS a.root.\na.root. 60 A 198.41.0.4\n";
    for (hints, anchors, expected) in [
        ("nonsense", "", "hints:1"),
        (". 60 NS a.root.\n", "", "holds no address of a root server"),
        ("a. 60 A 10.0.0.1\n", KEY, "allow-servers"),
        (hints, "", "no key of the root"),
        (
            hints,
            ". IN DS 20326 8 2 E06D44B8\n",
            "DS records are not understood",
        ),
    ] {
        let said = check(hints, anchors);
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
