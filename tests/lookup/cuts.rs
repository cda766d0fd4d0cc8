//! Zone cuts: referrals, glue, DS, and the plain cases of RFC 1034 section 4.3.2.

use super::zones::{check, zone};

const EXAMPLE: &str = "
example. NS ns.example.
example. MX 10 mail.example.
ns.example. A 192.0.2.53
mail.example. A 192.0.2.25
www.example. A 192.0.2.80
www.example. AAAA 2001:db8::80
www.example. TXT \"a longer text than any address\"
alias.example. CNAME www.example.
out.example. CNAME www.example.net.
a.b.c.example. TXT \"deep\"
child.example. NS ns.child.example.
child.example. NS ns.example.
child.example. NS ns.elsewhere.test.
child.example. DS 1 8 2 00000000000000000000000000000000000000000000000000000000000000aa
ns.child.example. A 192.0.2.54
ns.child.example. AAAA 2001:db8::54
plain.example. NS ns.elsewhere.test.
";

const CHILD_NS: &str = "child.example. NS ns.child.example., child.example. NS \
                        ns.elsewhere.test., child.example. NS ns.example.";

#[test]
fn the_cases_of_rfc_1034_section_4_3_2_hold() {
    check(
        &zone("example.", EXAMPLE),
        &[
            ("www.example. A", "www.example. A 192.0.2.80"),
            ("WWW.EXAMPLE. AAAA", "www.example. AAAA 2001:db8::80"),
            ("www.example. MX", "no data"),
            ("nope.example. A", "absent"),
            ("x.www.example. A", "absent"),
            ("example. MX", "example. MX 10 mail.example."),
            ("example. NS", "example. NS ns.example."),
            ("example. A", "no data"),
            (
                "alias.example. A",
                "alias.example. CNAME www.example. -> www.example.",
            ),
            ("alias.example. CNAME", "alias.example. CNAME www.example."),
            (
                "out.example. A",
                "out.example. CNAME www.example.net. -> www.example.net.",
            ),
            ("x.alias.example. A", "absent"),
            ("c.example. A", "no data"),
            ("b.c.example. TXT", "no data"),
            ("a.b.c.example. TXT", "a.b.c.example. TXT \"deep\""),
            ("x.b.c.example. TXT", "absent"),
        ],
    );
}

#[test]
fn a_cut_refers_to_other_servers_with_ds_and_glue() {
    let ds = "child.example. DS 1 8 2 \
              00000000000000000000000000000000000000000000000000000000000000AA";
    let referral = format!(
        "referral {CHILD_NS}, {ds} glue ns.child.example. A 192.0.2.54, \
         ns.child.example. AAAA 2001:db8::54, ns.example. A 192.0.2.53"
    );
    let zone = zone("example.", EXAMPLE);
    for question in [
        "child.example. A",
        "child.example. NS",
        "child.example. SOA",
        "child.example. ANY",
        "www.child.example. A",
        "a.b.child.example. TXT",
        "ns.child.example. A",
        "x.child.example. DS",
    ] {
        let got = super::zones::found(&zone, question).to_uppercase();
        // The order of name servers is that of their wire bytes.
        let mut got: Vec<&str> = got
            .split([',', ' '])
            .filter(|word| !word.is_empty())
            .collect();
        let expected = referral.to_uppercase();
        let mut wanted: Vec<&str> = expected
            .split([',', ' '])
            .filter(|word| !word.is_empty())
            .collect();
        got.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(got, wanted, "{question}");
    }
}

#[test]
fn ds_is_answered_above_the_cut() {
    let zone = zone("example.", EXAMPLE);
    let got = super::zones::found(&zone, "child.example. DS");
    assert!(got.starts_with("child.example. DS 1 8 2"), "{got}");
    check(
        &zone,
        &[
            ("plain.example. DS", "no data"),
            ("example. DS", "no data"),
            (
                "x.plain.example. A",
                "referral plain.example. NS ns.elsewhere.test.",
            ),
        ],
    );
}

#[test]
fn any_is_answered_with_one_small_set() {
    check(
        &zone("example.", EXAMPLE),
        &[
            ("www.example. ANY", "www.example. A 192.0.2.80"),
            ("alias.example. ANY", "alias.example. CNAME www.example."),
            ("c.example. ANY", "no data"),
            ("nope.example. ANY", "absent"),
        ],
    );
}
