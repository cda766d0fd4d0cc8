//! What never leaves the node: private names, special-use names, questions nobody may ask.

use super::check;
use super::support::talk::Talk;

/// Names that must not be asked of anybody, with the reply that stands for them.
const KEPT: &[(&str, &str)] = &[
    (
        "x.mesh.internal.",
        "NXDOMAIN aa ra | authority mesh.internal. SOA",
    ),
    ("other.internal.", "NXDOMAIN ra | authority internal. SOA"),
    ("printer.local.", "NXDOMAIN ra | authority local. SOA"),
    ("x.test.", "NXDOMAIN ra | authority test. SOA"),
    ("x.invalid.", "NXDOMAIN ra | authority invalid. SOA"),
    ("hidden.onion.", "NXDOMAIN ra | authority onion. SOA"),
    ("x.alt.", "NXDOMAIN ra | authority alt. SOA"),
    ("x.home.arpa.", "NXDOMAIN ra | authority home.arpa. SOA"),
    ("home.arpa.", "NOERROR ra | authority home.arpa. SOA"),
    ("localhost.", "NOERROR ra | localhost. 10800 A 127.0.0.1"),
    (
        "a.localhost.",
        "NOERROR ra | a.localhost. 10800 A 127.0.0.1",
    ),
    (
        "1.0.0.10.in-addr.arpa. PTR",
        "NXDOMAIN ra | authority 10.in-addr.arpa. SOA",
    ),
    (
        "1.1.20.172.in-addr.arpa. PTR",
        "NXDOMAIN ra | authority 20.172.in-addr.arpa. SOA",
    ),
    (
        "1.1.168.192.in-addr.arpa. PTR",
        "NXDOMAIN ra | authority 168.192.in-addr.arpa. SOA",
    ),
];

#[test]
fn names_that_mean_nothing_outside_are_answered_here() {
    let talk = Talk::with("APEX mesh.internal.\n");
    for (name, expected) in KEPT {
        check(&talk, "asked by a client", name, expected);
    }
}

#[test]
fn no_alias_carries_such_a_name_out() {
    for (question, _) in KEPT {
        let (target, kind) = question.split_once(' ').unwrap_or((question, "A"));
        let talk = Talk::with(&format!(
            "APEX mesh.internal.
PUT alias.mesh.internal. CNAME {target}
UPSTREAM alias.example. {kind} -> NOERROR
  alias.example. 300 CNAME {target}
RULE mapped.mesh.internal. governed-first on=absent map={target}
"
        ));
        for name in ["alias.mesh.internal.", "x.mapped.mesh.internal."] {
            let lines = talk.ask(&format!("{name} {kind}"));
            let asked = lines.iter().any(|line| line.starts_with("asked"));
            assert!(!asked, "{name} to {target}: {lines:?}");
        }
    }
}

#[test]
fn a_legacy_alias_to_a_special_name_is_not_followed_by_asking() {
    let talk = Talk::with(
        "\
UPSTREAM alias.example. A -> NOERROR
  alias.example. 300 CNAME printer.local.
",
    );
    check(
        &talk,
        "the rest of the chain is answered here",
        "alias.example.",
        "NXDOMAIN ra | alias.example. 300 CNAME printer.local. | authority local. SOA \
         | asked alias.example. A",
    );
}

#[test]
fn a_route_that_somebody_wrote_is_asked_for_special_names() {
    let talk = Talk::with(
        "\
ROUTE 10.in-addr.arpa.
UPSTREAM 1.0.0.10.in-addr.arpa. PTR -> NOERROR
  1.0.0.10.in-addr.arpa. 300 PTR host.corp.example.
",
    );
    check(
        &talk,
        "routed",
        "1.0.0.10.in-addr.arpa. PTR",
        "NOERROR ra | 1.0.0.10.in-addr.arpa. 300 PTR host.corp.example. \
         | asked 1.0.0.10.in-addr.arpa. PTR",
    );
    let root = Talk::with("ROUTE .\n");
    check(
        &root,
        "a route for everything is no route for private names",
        "x.test.",
        "NXDOMAIN ra | authority test. SOA",
    );
}

#[test]
fn a_zone_file_speaks_for_a_special_name() {
    let talk = Talk::with(
        "\
ZONE test.
  $TTL 300
  @ SOA ns mail 1 2 3 4 5
  @ NS ns
  ns A 192.0.2.53
  www A 192.0.2.80
",
    );
    check(
        &talk,
        "zone",
        "www.test.",
        "NOERROR aa ra | www.test. 300 A 192.0.2.80",
    );
    check(
        &talk,
        "zone",
        "x.test.",
        "NXDOMAIN aa ra | authority test. SOA",
    );
}

const ZONES: &str = "\
ZONE corp.example.
  $TTL 300
  @ SOA ns mail 1 2 3 4 5
  @ NS ns
  ns A 192.0.2.53
  www A 192.0.2.80
  out CNAME www.example.com.
  child NS ns.child
  child DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000
  ns.child A 192.0.2.54
ZONE child.corp.example.
  $TTL 300
  @ SOA ns mail 1 2 3 4 5
  @ NS ns
  ns A 192.0.2.54
";

#[test]
fn a_zone_is_never_asked_of_legacy_dns() {
    let talk = Talk::with(ZONES);
    for (what, question, expected) in [
        (
            "found",
            "www.corp.example.",
            "NOERROR aa ra | www.corp.example. 300 A 192.0.2.80",
        ),
        (
            "absent",
            "nope.corp.example.",
            "NXDOMAIN aa ra | authority corp.example. SOA",
        ),
        (
            "no data",
            "www.corp.example. MX",
            "NOERROR aa ra | authority corp.example. SOA",
        ),
        (
            "the zone below speaks for itself",
            "nope.child.corp.example.",
            "NXDOMAIN aa ra | authority child.corp.example. SOA",
        ),
        (
            "DS belongs to the zone above",
            "child.corp.example. DS",
            "NOERROR aa ra | child.corp.example. 300 DS 1 8 2 \
             0000000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "DS of the topmost zone here",
            "corp.example. DS",
            "NOERROR aa ra | authority corp.example. SOA",
        ),
    ] {
        let got = talk.ask(question).join(" | ");
        assert_eq!(
            got.to_lowercase(),
            expected.to_lowercase(),
            "{what}: {question}"
        );
    }
}

#[test]
fn a_client_without_recursion_gets_what_is_served_here_and_no_more() {
    let talk = Talk::with(ZONES);
    for (question, expected) in [
        (
            "www.corp.example.",
            "NOERROR aa | www.corp.example. 300 A 192.0.2.80",
        ),
        (
            "out.corp.example.",
            "NOERROR aa | out.corp.example. 300 CNAME www.example.com.",
        ),
        ("www.example.com.", "REFUSED | ede 20"),
        ("localhost.", "NOERROR | localhost. 10800 A 127.0.0.1"),
    ] {
        check(
            &talk,
            "from outside",
            &format!("{question} from=203.0.113.9"),
            expected,
        );
    }
}

#[test]
fn an_outage_is_bridged_by_what_was_heard_before() {
    let mut talk = Talk::with(
        "\
UPSTREAM www.example.com. A -> NOERROR ad
  www.example.com. 300 A 192.0.2.1
UPSTREAM nope.example.com. A -> NXDOMAIN
",
    );
    talk.ask("www.example.com.");
    talk.ask("www.example.com. do");
    talk.ask("nope.example.com.");
    talk.then("BREAK-LEGACY\nPASS-TIME 1h");
    check(
        &talk,
        "stale data are not validated any more",
        "www.example.com. do",
        "NOERROR ra | www.example.com. 30 A 192.0.2.1 | ede 3 | asked www.example.com. A",
    );
    check(
        &talk,
        "stale",
        "www.example.com.",
        "NOERROR ra | www.example.com. 30 A 192.0.2.1 | ede 3 | asked www.example.com. A",
    );
    check(
        &talk,
        "a stale absence",
        "nope.example.com.",
        "NXDOMAIN ra | authority . SOA | ede 19 | asked nope.example.com. A",
    );
    talk.then("PASS-TIME 2d");
    check(
        &talk,
        "too old",
        "www.example.com.",
        "SERVFAIL ra | ede 23 | asked www.example.com. A",
    );
}
