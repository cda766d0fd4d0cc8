//! What a rule says besides the order: mapping, eligible zones, DNSSEC, depth, audit.

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
fn a_governed_suffix_is_asked_under_its_mapped_name() {
    let talk = with(
        "\
RULE eu.mesh.internal. governed-first on=absent map=eu.example.com.
UPSTREAM www.eu.example.com. A -> NOERROR
  www.eu.example.com. 300 A 192.0.2.7
",
    );
    check(
        &talk,
        "the CNAME is ours",
        "www.eu.mesh.internal.",
        "NOERROR aa ra | www.eu.mesh.internal. 60 CNAME www.eu.example.com. \
         | www.eu.example.com. 300 A 192.0.2.7 | asked www.eu.example.com. A",
    );
}

#[test]
fn a_legacy_suffix_is_looked_up_under_its_mapped_name() {
    let rule = "RULE eu.example.com. legacy-first on=absent,unreachable map=eu.mesh.internal.\n";
    let found = "NOERROR aa ra | api.eu.example.com. 60 CNAME api.eu.mesh.internal. \
                 | api.eu.mesh.internal. 60 A 10.0.0.7 | asked api.eu.example.com. A";
    check(&with(rule), "absent", "api.eu.example.com.", found);
    let broken = with(&format!("{rule}BREAK-LEGACY\n"));
    check(&broken, "out of reach", "api.eu.example.com.", found);
    let first = with("RULE eu.example.com. governed-first on=absent map=eu.mesh.internal.\n");
    check(
        &first,
        "governed first",
        "api.eu.example.com.",
        "NOERROR aa ra | api.eu.example.com. 60 CNAME api.eu.mesh.internal. \
         | api.eu.mesh.internal. 60 A 10.0.0.7",
    );
    let only = with("RULE eu.example.com. governed-only map=eu.mesh.internal.\n");
    check(
        &only,
        "governed only",
        "nope.eu.example.com.",
        "NXDOMAIN aa ra | nope.eu.example.com. 60 CNAME nope.eu.mesh.internal. \
         | authority mesh.internal. SOA",
    );
}

#[test]
fn a_name_that_the_mapping_makes_too_long_stays_here() {
    let long = "a".repeat(60);
    let suffix = format!("{long}.{long}.{long}.{}.example.", "b".repeat(50));
    let script = format!("RULE mesh.internal. governed-first on=absent map={suffix}\n");
    let talk = with(&script);
    let fits = talk.ask("x.mesh.internal.");
    assert!(
        fits.iter().any(|line| line.starts_with("asked")),
        "{fits:?}"
    );
    check(
        &talk,
        "the mapped name has more than 255 octets",
        "nope-nope-nope.eu.mesh.internal.",
        "NXDOMAIN aa ra | authority mesh.internal. SOA",
    );
}

/// Rules for `eu.mesh.internal.`, each with the names that legacy DNS may be asked for.
const ELIGIBLE: &[(&str, &[&str])] = &[
    ("governed-first on=absent", &[]),
    (
        "governed-first on=absent map=eu.example.com.",
        &["nope.eu.example.com."],
    ),
    (
        "governed-first on=absent map=eu.example.com. eligible=com.",
        &["nope.eu.example.com."],
    ),
    (
        "governed-first on=absent map=eu.example.com. eligible=example.org.",
        &[],
    ),
    (
        "governed-first on=absent map=eu.example.com. eligible=us.example.com.",
        &[],
    ),
    // Its own name, where the operator says so: an apex laid over a real domain.
    ("governed-first on=absent eligible=eu.mesh.internal.", &[]),
    ("governed-only on=absent map=eu.example.com.", &[]),
    ("legacy-first on=absent", &[]),
    ("legacy-only", &[]),
    // A mapping onto a governed name would carry private names out.
    ("governed-first on=absent map=us.mesh.internal.", &[]),
    ("legacy-only map=eu.corp.test.", &[]),
];

#[test]
fn no_question_is_handed_out_for_a_name_in_no_eligible_zone() {
    for (rule, wanted) in ELIGIBLE {
        let talk = with(&format!("RULE eu.mesh.internal. {rule}\n"));
        let lines = talk.ask("nope.eu.mesh.internal.");
        let asked: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("asked "))
            .filter_map(|asked| asked.split(' ').next())
            .collect();
        assert_eq!(asked, *wanted, "{rule}: {lines:?}");
    }
}

#[test]
fn an_apex_over_a_real_domain_asks_for_what_its_rule_names() {
    let talk = Talk::with(
        "\
APEX example.com.
PUT api.example.com. A 10.0.0.7
RULE example.com. governed-first on=absent eligible=example.com.
UPSTREAM www.example.com. A -> NOERROR
  www.example.com. 300 A 192.0.2.7
",
    );
    check(
        &talk,
        "overlay",
        "www.example.com.",
        "NOERROR ra | www.example.com. 300 A 192.0.2.7 | asked www.example.com. A",
    );
    let mapped_inside = Talk::with(
        "\
APEX example.com.
PUT api.example.com. A 10.0.0.7
RULE a.example.com. governed-first on=absent map=b.example.com.
",
    );
    check(
        &mapped_inside,
        "a mapping onto a governed name needs an eligible zone",
        "x.a.example.com.",
        "NXDOMAIN aa ra | authority example.com. SOA",
    );
}

#[test]
fn the_first_side_that_may_not_be_asked_is_passed_over() {
    let talk = with("RULE mesh.internal. legacy-first on=absent,unreachable\n");
    check(
        &talk,
        "nothing is eligible, so the index answers",
        "api.eu.mesh.internal.",
        "NOERROR aa ra | api.eu.mesh.internal. 60 A 10.0.0.7",
    );
    let talk = with("RULE mesh.internal. legacy-only\n");
    check(
        &talk,
        "no side",
        "api.eu.mesh.internal.",
        "SERVFAIL ra | ede 0",
    );
}

#[test]
fn a_rule_above_an_apex_does_not_let_its_names_out() {
    for suffix in [".", "internal."] {
        for order in ["legacy-first", "legacy-only", "governed-first"] {
            let talk = with(&format!(
                "RULE {suffix} {order} on=absent,unreachable\nROUTE internal.\n"
            ));
            for name in ["api.eu.mesh.internal.", "nope.eu.mesh.internal."] {
                let lines = talk.ask(name);
                let asked = lines.iter().any(|line| line.starts_with("asked"));
                assert!(!asked, "{suffix} {order}: {lines:?}");
            }
        }
    }
}

#[test]
fn data_that_nobody_validated_is_refused_where_the_rule_demands_it() {
    let script = |flag: &str| {
        format!(
            "RULE eu.mesh.internal. governed-first on=absent map=eu.example.com. dnssec
RULE signed.example. legacy-first on=absent,unreachable map=eu.mesh.internal. dnssec
UPSTREAM www.eu.example.com. A -> NOERROR {flag}
  www.eu.example.com. 300 A 192.0.2.7
UPSTREAM api.signed.example. A -> NXDOMAIN {flag}
"
        )
    };
    let validated = with(&script("ad"));
    check(
        &validated,
        "validated",
        "www.eu.mesh.internal.",
        "NOERROR aa ra | www.eu.mesh.internal. 60 CNAME www.eu.example.com. \
         | www.eu.example.com. 300 A 192.0.2.7 | asked www.eu.example.com. A",
    );
    check(
        &validated,
        "a validated absence moves on",
        "api.signed.example.",
        "NOERROR aa ra | api.signed.example. 60 CNAME api.eu.mesh.internal. \
         | api.eu.mesh.internal. 60 A 10.0.0.7 | asked api.signed.example. A",
    );
    let not = with(&script(""));
    check(
        &not,
        "not validated",
        "www.eu.mesh.internal.",
        "SERVFAIL ra | ede 10 | asked www.eu.example.com. A",
    );
    check(
        &not,
        "an absence that nobody validated is not handed to the index",
        "api.signed.example.",
        "SERVFAIL ra | ede 10 | asked api.signed.example. A",
    );
}

#[test]
fn the_upstream_validates_even_for_a_client_that_does_so_itself() {
    let mut talk =
        with("RULE signed.example. legacy-only dnssec\nRULE plain.example. legacy-only\n");
    talk.then("UPSTREAM a.signed.example. A -> NOERROR ad\n  a.signed.example. 300 A 192.0.2.1\n");
    check(
        &talk,
        "CD is not passed on, so AD can come back",
        "a.signed.example. cd do",
        "NOERROR ra ad | a.signed.example. 300 A 192.0.2.1 | asked a.signed.example. A",
    );
    for (name, cd) in [("b.signed.example.", false), ("b.plain.example.", true)] {
        drop(talk.world.legacy.take_asked());
        drop(
            talk.world
                .explain(&super::support::talk::question_of(&format!("{name} cd"))),
        );
        let asked = talk.world.legacy.take_asked();
        assert_eq!(asked[0].checking_disabled, cd, "{name}");
    }
}

#[test]
fn a_question_is_handed_over_as_often_as_the_rule_allows() {
    // Two names of one chain, each absent here and known to legacy DNS.
    let script = |depth: &str| {
        format!(
            "PUT start.eu.mesh.internal. CNAME a.us.mesh.internal.
RULE us.mesh.internal. governed-first on=absent map=us.example.com. {depth}
UPSTREAM a.us.example.com. A -> NOERROR
  a.us.example.com. 300 CNAME b.us.mesh.internal.
UPSTREAM b.us.example.com. A -> NOERROR
  b.us.example.com. 300 A 192.0.2.9
"
        )
    };
    let once = with(&script("depth=1"));
    let none = with(&script("depth=0"));
    let twice = with(&script("depth=2"));
    let asked = |talk: &Talk| {
        let lines = talk.ask("start.eu.mesh.internal.");
        let count = lines
            .iter()
            .filter(|line| line.starts_with("asked"))
            .count();
        (lines[0].clone(), count)
    };
    assert_eq!(asked(&none), ("NXDOMAIN aa ra".to_owned(), 0));
    assert_eq!(asked(&once), ("NXDOMAIN aa ra".to_owned(), 1));
    assert_eq!(asked(&twice), ("NOERROR aa ra".to_owned(), 2));
}

#[test]
fn a_consultation_is_marked_for_the_audit_log() {
    use kedge::resolution::pipeline::Step;
    for (rule, audited) in [("audit", true), ("", false)] {
        let talk = with(&format!(
            "RULE eu.mesh.internal. governed-first on=absent map=eu.example.com. {rule}\n"
        ));
        match talk.world.first_step("nope.eu.mesh.internal.") {
            Step::AskLegacy(_, waiting) => {
                assert_eq!(waiting.audited_by().is_some(), audited, "{rule}");
            }
            other => panic!("{rule}: {other:?}"),
        }
    }
}

#[test]
fn where_both_sides_hold_a_name_the_order_decides_and_the_trail_says_so() {
    for (order, address, side) in [
        ("governed-first", "10.0.0.7", "governed"),
        ("legacy-first", "192.0.2.1", "legacy"),
    ] {
        let talk = with(&format!(
            "RULE eu.mesh.internal. {order} on=absent map=eu.example.com.
UPSTREAM api.eu.example.com. A -> NOERROR
  api.eu.example.com. 300 A 192.0.2.1
"
        ));
        let lines = talk.ask("api.eu.mesh.internal.");
        let shown = lines.iter().any(|line| line.ends_with(address));
        assert!(shown, "{order}: {lines:?}");
        let trail = talk
            .world
            .explain(&super::support::talk::question_of("api.eu.mesh.internal."));
        assert!(trail[0].contains(order), "{trail:?}");
        let asked = trail.iter().any(|step| step.starts_with("legacy "));
        assert_eq!(asked, side == "legacy", "{order}: {trail:?}");
    }
}
