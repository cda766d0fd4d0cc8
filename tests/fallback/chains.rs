//! Chains of aliases within a side and from one side to the other, and where they end.

use super::check;
use super::support::talk::Talk;

const MESH: &str = "\
APEX mesh.internal.
SCOPE eu.mesh.internal.
PUT api.eu.mesh.internal. A 10.0.0.7
";

fn with(script: &str) -> Talk {
    Talk::with(&format!("{MESH}{script}"))
}

#[test]
fn a_governed_alias_leads_to_legacy_dns_and_back() {
    let talk = with(
        "\
PUT out.eu.mesh.internal. CNAME www.example.com.
PUT round.eu.mesh.internal. CNAME back.example.com.
UPSTREAM www.example.com. A -> NOERROR ad
  www.example.com. 300 A 192.0.2.1
UPSTREAM back.example.com. A -> NOERROR ad
  back.example.com. 300 CNAME middle.example.com.
  middle.example.com. 300 CNAME api.eu.mesh.internal.
  api.eu.mesh.internal. 300 A 203.0.113.66
",
    );
    check(
        &talk,
        "out",
        "out.eu.mesh.internal.",
        "NOERROR aa ra | out.eu.mesh.internal. 60 CNAME www.example.com. \
         | www.example.com. 300 A 192.0.2.1 | asked www.example.com. A",
    );
    check(
        &talk,
        "AD does not cover the alias before it, which nobody signed",
        "out.eu.mesh.internal. do",
        "NOERROR aa ra | out.eu.mesh.internal. 60 CNAME www.example.com. \
         | www.example.com. 300 A 192.0.2.1 | asked www.example.com. A",
    );
    check(
        &talk,
        "out and back; what legacy DNS says of a governed name is dropped",
        "round.eu.mesh.internal.",
        "NOERROR aa ra | round.eu.mesh.internal. 60 CNAME back.example.com. \
         | back.example.com. 300 CNAME middle.example.com. \
         | middle.example.com. 300 CNAME api.eu.mesh.internal. \
         | api.eu.mesh.internal. 60 A 10.0.0.7 | asked back.example.com. A",
    );
    check(
        &talk,
        "a legacy name that leads here is not ours, and AD does not cover our part",
        "back.example.com. do",
        "NOERROR ra | back.example.com. 300 CNAME middle.example.com. \
         | middle.example.com. 300 CNAME api.eu.mesh.internal. \
         | api.eu.mesh.internal. 60 A 10.0.0.7 | asked back.example.com. A",
    );
    check(
        &talk,
        "AD covers what is all legacy",
        "www.example.com. do",
        "NOERROR ra ad | www.example.com. 300 A 192.0.2.1",
    );
    check(
        &talk,
        "the alias itself is not followed",
        "round.eu.mesh.internal. CNAME",
        "NOERROR aa ra | round.eu.mesh.internal. 60 CNAME back.example.com.",
    );
}

#[test]
fn a_legacy_dname_leads_under_an_apex_and_into_a_zone() {
    let talk = with(
        "\
ZONE corp.example.
  $TTL 300
  @ SOA ns mail 1 2 3 4 5
  @ NS ns
  ns A 192.0.2.53
  www A 192.0.2.80
UPSTREAM api.old.example. A -> NOERROR
  old.example. 300 DNAME eu.mesh.internal.
  api.old.example. 300 CNAME api.eu.mesh.internal.
UPSTREAM www.older.example. A -> NOERROR
  www.older.example. 300 CNAME www.corp.example.
  www.corp.example. 300 A 203.0.113.66
",
    );
    check(
        &talk,
        "DNAME under an apex",
        "api.old.example.",
        "NOERROR ra | old.example. 300 DNAME eu.mesh.internal. \
         | api.old.example. 300 CNAME api.eu.mesh.internal. \
         | api.eu.mesh.internal. 60 A 10.0.0.7 | asked api.old.example. A",
    );
    check(
        &talk,
        "CNAME into a zone file",
        "www.older.example.",
        "NOERROR ra | www.older.example. 300 CNAME www.corp.example. \
         | www.corp.example. 300 A 192.0.2.80 | asked www.older.example. A",
    );
}

#[test]
fn a_legacy_alias_into_a_suffix_that_a_rule_gives_to_the_index_is_continued_here() {
    let script = |order: &str| {
        format!(
            "RULE inside.example. {order} on=absent map=eu.mesh.internal.
UPSTREAM www.example.com. A -> NOERROR
  www.example.com. 300 CNAME api.inside.example.
  api.inside.example. 300 A 203.0.113.66
"
        )
    };
    let here = "NOERROR ra | www.example.com. 300 CNAME api.inside.example. \
                | api.inside.example. 60 CNAME api.eu.mesh.internal. \
                | api.eu.mesh.internal. 60 A 10.0.0.7 | asked www.example.com. A";
    let there = "NOERROR ra | www.example.com. 300 CNAME api.inside.example. \
                 | api.inside.example. 300 A 203.0.113.66 | asked www.example.com. A";
    for (order, expected) in [
        ("governed-only", here),
        ("governed-first", here),
        ("legacy-first", there),
        ("legacy-only", there),
    ] {
        check(&with(&script(order)), order, "www.example.com.", expected);
    }
}

/// Scripts whose chain never ends, with the question that starts it.
const LOOPS: &[(&str, &str, &str)] = &[
    (
        "an alias of itself",
        "PUT self.eu.mesh.internal. CNAME self.eu.mesh.internal.",
        "self.eu.mesh.internal.",
    ),
    (
        "two aliases",
        "PUT a.eu.mesh.internal. CNAME b.eu.mesh.internal.
PUT b.eu.mesh.internal. CNAME a.eu.mesh.internal.",
        "a.eu.mesh.internal.",
    ),
    (
        "governed to legacy to governed",
        "PUT a.eu.mesh.internal. CNAME a.example.com.
UPSTREAM a.example.com. A -> NOERROR
  a.example.com. 300 CNAME a.eu.mesh.internal.",
        "a.eu.mesh.internal.",
    ),
    (
        "legacy to governed to legacy",
        "PUT a.eu.mesh.internal. CNAME a.example.com.
UPSTREAM a.example.com. A -> NOERROR
  a.example.com. 300 CNAME a.eu.mesh.internal.",
        "a.example.com.",
    ),
    (
        "a suffix mapped there and back",
        "RULE eu.mesh.internal. governed-first on=absent map=eu.example.com. depth=8
RULE eu.example.com. governed-first on=absent map=eu.mesh.internal. depth=8
UPSTREAM x.eu.example.com. A -> NOERROR
  x.eu.example.com. 300 CNAME x.eu.mesh.internal.",
        "x.eu.mesh.internal.",
    ),
    (
        "a DNAME that leads back to itself",
        "PUT d.eu.mesh.internal. DNAME e.eu.mesh.internal.
PUT e.eu.mesh.internal. DNAME d.eu.mesh.internal.",
        "x.d.eu.mesh.internal.",
    ),
    (
        "a DNAME that grows the name",
        "PUT d.eu.mesh.internal. DNAME a.d.eu.mesh.internal.",
        "x.d.eu.mesh.internal.",
    ),
];

#[test]
fn a_chain_without_end_is_a_failure_and_carries_no_records() {
    for (what, script, question) in LOOPS {
        let lines = with(script).ask(question);
        assert_eq!(lines[0], "SERVFAIL ra", "{what}: {lines:?}");
        let asked = lines
            .iter()
            .filter(|line| line.starts_with("asked"))
            .count();
        assert!(asked <= 1, "{what}: the same was asked twice: {lines:?}");
        let records = lines.iter().any(|line| line.contains("CNAME"));
        assert!(!records, "{what}: {lines:?}");
    }
}

#[test]
fn a_chain_of_sixteen_aliases_is_followed_and_one_of_seventeen_is_not() {
    for (hops, code) in [(16, "NOERROR aa ra"), (17, "SERVFAIL ra")] {
        let mut script = String::new();
        for hop in 0..hops {
            let next = hop + 1;
            script.push_str(&format!(
                "PUT c{hop}.eu.mesh.internal. CNAME c{next}.eu.mesh.internal.\n"
            ));
        }
        script.push_str(&format!("PUT c{hops}.eu.mesh.internal. A 10.0.0.9\n"));
        let lines = with(&script).ask("c0.eu.mesh.internal.");
        assert_eq!(lines[0], code, "{hops} aliases");
        let shown = lines.iter().any(|line| line.contains("10.0.0.9"));
        assert_eq!(shown, code.starts_with("NOERROR"), "{hops} aliases");
    }
}

#[test]
fn a_dname_that_makes_a_name_too_long_says_so() {
    let long = "a".repeat(60);
    let talk = with(&format!(
        "PUT d.eu.mesh.internal. DNAME {long}.{long}.{long}.example.com.\n"
    ));
    let lines = talk.ask(&format!("{}.d.eu.mesh.internal.", "b".repeat(63)));
    assert_eq!(lines[0], "YXDOMAIN aa ra");
    assert!(lines[1].contains("DNAME"), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn without_recursion_a_chain_ends_where_this_node_does() {
    let talk = with(
        "\
PUT out.eu.mesh.internal. CNAME www.example.com.
PUT in.eu.mesh.internal. CNAME api.eu.mesh.internal.
RULE us.mesh.internal. governed-first on=absent map=us.example.com.
RULE both.example. legacy-first on=absent,unreachable map=eu.mesh.internal.
",
    );
    let absent = "NXDOMAIN aa | authority mesh.internal. SOA";
    for (what, question, expected) in [
        ("not ours", "www.example.com.", "REFUSED | ede 20"),
        (
            "half a chain is an answer",
            "out.eu.mesh.internal.",
            "NOERROR aa | out.eu.mesh.internal. 60 CNAME www.example.com.",
        ),
        (
            "a whole chain",
            "in.eu.mesh.internal.",
            "NOERROR aa | in.eu.mesh.internal. 60 CNAME api.eu.mesh.internal. \
             | api.eu.mesh.internal. 60 A 10.0.0.7",
        ),
        (
            "absent here is all there is to say",
            "x.us.mesh.internal.",
            absent,
        ),
        ("legacy first", "api.both.example.", "REFUSED | ede 20"),
    ] {
        check(
            &talk,
            what,
            &format!("{question} from=192.0.2.99"),
            expected,
        );
        // RD=0 from a client that may: the same, but RA tells that it might ask.
        let expected = expected.replacen(" |", " ra |", 1);
        check(&talk, what, &format!("{question} rd=0"), &expected);
    }
}

#[test]
fn a_refusal_on_the_way_leaves_nothing_of_the_chain() {
    let talk = with(
        "\
SCOPE secret.mesh.internal.
PUT x.secret.mesh.internal. A 10.9.9.9
PUT to.eu.mesh.internal. CNAME x.secret.mesh.internal.
POLICY secret.mesh.internal. 10.0.0.0/8=allow 0.0.0.0/0=refuse
UPSTREAM sly.example. A -> NOERROR
  sly.example. 300 CNAME x.secret.mesh.internal.
",
    );
    check(
        &talk,
        "governed",
        "to.eu.mesh.internal.",
        "REFUSED ra | ede 18",
    );
    check(
        &talk,
        "from legacy DNS",
        "sly.example.",
        "REFUSED ra | ede 18 | asked sly.example. A",
    );
    check(
        &talk,
        "allowed",
        "to.eu.mesh.internal. from=10.1.1.1",
        "NOERROR aa ra | to.eu.mesh.internal. 60 CNAME x.secret.mesh.internal. \
         | x.secret.mesh.internal. 60 A 10.9.9.9",
    );
}

#[test]
fn a_legacy_chain_that_was_left_to_us_goes_on_name_by_name() {
    let talk = Talk::with(
        "\
UPSTREAM a.example. A -> NOERROR ad
  a.example. 300 CNAME b.example.
UPSTREAM b.example. A -> NOERROR ad
  b.example. 300 CNAME c.example.
UPSTREAM c.example. A -> NOERROR ad
  c.example. 300 A 192.0.2.1
UPSTREAM round.example. A -> NOERROR
  round.example. 300 CNAME round2.example.
UPSTREAM round2.example. A -> NOERROR
  round2.example. 300 CNAME round.example.
",
    );
    let chain = "a.example. 300 CNAME b.example. | b.example. 300 CNAME c.example.";
    let asked = "asked a.example. A | asked b.example. A | asked c.example. A";
    check(
        &talk,
        "AD covers a chain whose every part was validated",
        "a.example. do",
        &format!("NOERROR ra ad | {chain} | c.example. 300 A 192.0.2.1 | {asked}"),
    );
    check(
        &talk,
        "a loop ends",
        "round.example.",
        "SERVFAIL ra | ede 0 | asked round.example. A | asked round2.example. A",
    );
}
