//! The examples of RFC 4592, word for word, and what follows from them.

use super::zones::{check, zone};

/// RFC 4592 section 2.2.1.
const EXAMPLE: &str = "
example. NS ns.example.com.
example. NS ns.example.net.
*.example. TXT \"this is a wildcard\"
*.example. MX 10 host1.example.
sub.*.example. TXT \"this is not a wildcard\"
host1.example. A 192.0.2.1
_ssh._tcp.host1.example. SRV 0 0 22 host1.example.
_ssh._tcp.host2.example. SRV 0 0 22 host2.example.
subdel.example. NS ns.example.com.
subdel.example. NS ns.example.net.
";

#[test]
fn the_examples_of_rfc_4592_section_2_2_1_hold() {
    check(
        &zone("example.", EXAMPLE),
        &[
            ("host3.example. MX", "host3.example. MX 10 host1.example."),
            ("host3.example. A", "no data"),
            (
                "foo.bar.example. TXT",
                "foo.bar.example. TXT \"this is a wildcard\"",
            ),
            ("host1.example. MX", "no data"),
            ("sub.*.example. MX", "no data"),
            ("_telnet._tcp.host1.example. SRV", "absent"),
            (
                "host.subdel.example. A",
                "referral subdel.example. NS ns.example.com., subdel.example. NS ns.example.net.",
            ),
            ("ghost.*.example. MX", "absent"),
        ],
    );
}

#[test]
fn the_closest_enclosers_of_rfc_4592_section_3_3_1_hold() {
    check(
        &zone("example.", EXAMPLE),
        &[
            (
                "host3.example. TXT",
                "host3.example. TXT \"this is a wildcard\"",
            ),
            ("_telnet._tcp.host1.example. TXT", "absent"),
            ("_dns._udp.host2.example. TXT", "absent"),
            (
                "_telnet._tcp.host3.example. TXT",
                "_telnet._tcp.host3.example. TXT \"this is a wildcard\"",
            ),
            (
                "_chat._udp.host3.example. TXT",
                "_chat._udp.host3.example. TXT \"this is a wildcard\"",
            ),
            ("foobar.*.example. TXT", "absent"),
        ],
    );
}

#[test]
fn a_wildcard_asked_by_its_own_name_is_an_ordinary_name() {
    check(
        &zone("example.", EXAMPLE),
        &[
            ("*.example. TXT", "*.example. TXT \"this is a wildcard\""),
            ("*.example. A", "no data"),
            (
                "sub.*.example. TXT",
                "sub.*.example. TXT \"this is not a wildcard\"",
            ),
        ],
    );
}

#[test]
fn a_wildcard_may_be_an_alias_or_only_a_name_between() {
    let aliases = zone(
        "example.",
        "*.a.example. CNAME target.example.
         *.w.example. CNAME other.w.example.
         x.*.ent.example. A 192.0.2.1",
    );
    check(
        &aliases,
        &[
            (
                "x.a.example. A",
                "x.a.example. CNAME target.example. -> target.example.",
            ),
            ("x.a.example. CNAME", "x.a.example. CNAME target.example."),
            ("x.a.example. ANY", "x.a.example. CNAME target.example."),
            // `*.ent` exists without data, so it is a source without data: RFC 4592 section 2.2.3.
            ("y.ent.example. A", "no data"),
            ("ent.example. A", "no data"),
            (
                "other.w.example. A",
                "other.w.example. CNAME other.w.example. -> other.w.example.",
            ),
        ],
    );
}

#[test]
fn a_wildcard_does_not_reach_over_a_name_that_exists() {
    let nested = zone(
        "example.",
        "*.example. A 192.0.2.1
         deep.ent.example. TXT \"x\"
         *.inner.example. A 192.0.2.2",
    );
    check(
        &nested,
        &[
            ("other.example. A", "other.example. A 192.0.2.1"),
            ("ent.example. A", "no data"),
            ("x.ent.example. A", "absent"),
            ("deep.ent.example. A", "no data"),
            ("x.inner.example. A", "x.inner.example. A 192.0.2.2"),
            ("inner.example. A", "no data"),
            ("a.b.c.example. A", "a.b.c.example. A 192.0.2.1"),
        ],
    );
}
