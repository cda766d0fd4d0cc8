//! The examples of RFC 6672 and what follows from them.

use super::zones::{check, found, zone};

/// RFC 6672 section 2.2, table 1: question, owner of the DNAME, its target, and the result; an
/// empty one where the DNAME does not apply.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("com.", "example.com.", "example.net.", ""),
    ("example.com.", "example.com.", "example.net.", ""),
    (
        "a.example.com.",
        "example.com.",
        "example.net.",
        "a.example.net.",
    ),
    (
        "a.b.example.com.",
        "example.com.",
        "example.net.",
        "a.b.example.net.",
    ),
    ("ab.example.com.", "b.example.com.", "example.net.", ""),
    (
        "foo.example.com.",
        "example.com.",
        "example.net.",
        "foo.example.net.",
    ),
    (
        "a.x.example.com.",
        "x.example.com.",
        "example.net.",
        "a.example.net.",
    ),
    (
        "a.example.com.",
        "example.com.",
        "y.example.net.",
        "a.y.example.net.",
    ),
    (
        "cyc.example.com.",
        "example.com.",
        "example.com.",
        "cyc.example.com.",
    ),
    (
        "cyc.example.com.",
        "example.com.",
        "c.example.com.",
        "cyc.c.example.com.",
    ),
    ("shortloop.x.x.", "x.", ".", "shortloop.x."),
    ("shortloop.x.", "x.", ".", "shortloop."),
];

#[test]
fn the_substitutions_of_rfc_6672_section_2_2_hold() {
    for (question, owner, target, result) in TABLE {
        let origin = if owner.ends_with("com.") {
            "com."
        } else {
            "x."
        };
        let zone = zone(origin, &format!("{owner} DNAME {target}"));
        let got = found(&zone, &format!("{question} A"));
        if result.is_empty() {
            assert!(!got.contains("->"), "{question} by {owner}: {got}");
            continue;
        }
        let expected = format!("{owner} DNAME {target}, {question} CNAME {result} -> {result}");
        assert_eq!(got, expected, "{question} by {owner}");
    }
}

#[test]
fn a_dname_speaks_for_everything_below_it_and_not_for_itself() {
    let zone = zone(
        "example.",
        "old.example. DNAME new.example.
         old.example. TXT \"moved\"
         *.new.example. A 192.0.2.1",
    );
    check(
        &zone,
        &[
            ("old.example. DNAME", "old.example. DNAME new.example."),
            ("old.example. TXT", "old.example. TXT \"moved\""),
            ("old.example. A", "no data"),
            (
                "x.old.example. A",
                "old.example. DNAME new.example., x.old.example. CNAME x.new.example. \
                 -> x.new.example.",
            ),
            // The CNAME that a DNAME makes is an answer to a question for CNAME too.
            (
                "x.old.example. CNAME",
                "old.example. DNAME new.example., x.old.example. CNAME x.new.example. \
                 -> x.new.example.",
            ),
            (
                "*.old.example. A",
                "old.example. DNAME new.example., *.old.example. CNAME *.new.example. \
                 -> *.new.example.",
            ),
        ],
    );
}

#[test]
fn a_dname_at_the_top_of_a_zone_leaves_the_top_alone() {
    let zone = zone(
        "example.",
        "example. DNAME example.net.\nexample. NS ns.example.net.",
    );
    check(
        &zone,
        &[
            ("example. NS", "example. NS ns.example.net."),
            ("example. A", "no data"),
            (
                "www.example. A",
                "example. DNAME example.net., www.example. CNAME www.example.net. \
                 -> www.example.net.",
            ),
        ],
    );
}

#[test]
fn a_name_that_grows_too_long_is_said_to_be() {
    let long = "a".repeat(63);
    let zone = zone(
        "example.",
        &format!("d.example. DNAME {long}.{long}.{long}.example."),
    );
    let short = found(&zone, &format!("{}.d.example. A", "b".repeat(40)));
    assert!(short.contains("->"), "{short}");
    let beyond = found(&zone, &format!("{}.d.example. A", "b".repeat(63)));
    assert!(beyond.starts_with("too long d.example. DNAME"), "{beyond}");
}

#[test]
fn a_wildcard_dname_applies_as_it_stands() {
    // RFC 6672 section 3.3 discourages it; by RFC 4592 section 4.4 it is no source of synthesis
    // for names further below.
    let zone = zone("example.", "*.w.example. DNAME new.example.");
    check(
        &zone,
        &[
            ("x.w.example. DNAME", "x.w.example. DNAME new.example."),
            ("x.w.example. A", "no data"),
        ],
    );
}
