//! The outcome table of the design under all four orders.

use super::support::talk::Talk;

/// A governed suffix that legacy DNS knows under another name, with one name for each outcome.
const WORLD: &str = "\
APEX mesh.internal.
SCOPE eu.mesh.internal.
PUT api.eu.mesh.internal. A 10.0.0.7
PUT text.eu.mesh.internal. TXT \"no address\"
PUT deep.ent.eu.mesh.internal. A 10.0.0.8
PUT old.eu.mesh.internal. A 10.0.0.9
RENAME old.eu.mesh.internal. new.eu.mesh.internal.
PUT a.tree.eu.mesh.internal. A 10.0.0.10
RENAME tree.eu.mesh.internal. grove.eu.mesh.internal. subtree
PUT gone.eu.mesh.internal. A 10.0.0.11
RETIRE gone.eu.mesh.internal.
SCOPE denied.mesh.internal.
PUT x.denied.mesh.internal. A 10.0.0.12
POLICY denied.mesh.internal. 0.0.0.0/0=refuse
SCOPE hidden.mesh.internal.
PUT x.hidden.mesh.internal. A 10.0.0.13
POLICY hidden.mesh.internal. 0.0.0.0/0=hide
ELSEWHERE far.mesh.internal.
";

/// Names below `mesh.internal.` with their outcome, and what each order makes of them: `G` is the
/// governed side's reply, `L` the legacy side's. The orders are governed-only, governed-first,
/// legacy-first and legacy-only, all with `fall-through-on = ["absent", "unreachable"]`.
const TABLE: &[Row] = &[
    Row {
        outcome: "found",
        label: "api.eu",
        governed: "NOERROR aa ra | api.eu.mesh.internal. 60 A 10.0.0.7",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "no data",
        label: "text.eu",
        governed: "NOERROR aa ra | authority mesh.internal. SOA",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "no data at an empty non-terminal",
        label: "ent.eu",
        governed: "NOERROR aa ra | authority mesh.internal. SOA",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "absent",
        label: "nope.eu",
        governed: "NXDOMAIN aa ra | authority mesh.internal. SOA",
        orders: ["G", "L", "L", "L"],
    },
    Row {
        outcome: "moved",
        label: "old.eu",
        governed: "NOERROR aa ra | old.eu.mesh.internal. 60 CNAME new.eu.mesh.internal. \
                   | new.eu.mesh.internal. 60 A 10.0.0.9",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "moved with its subtree",
        label: "a.tree.eu",
        governed: "NOERROR aa ra | tree.eu.mesh.internal. 60 DNAME grove.eu.mesh.internal. \
                   | a.tree.eu.mesh.internal. 60 CNAME a.grove.eu.mesh.internal. \
                   | a.grove.eu.mesh.internal. 60 A 10.0.0.10",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "retired",
        label: "gone.eu",
        governed: "NXDOMAIN aa ra | authority mesh.internal. SOA",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "below a retired name",
        label: "x.gone.eu",
        governed: "NXDOMAIN aa ra | authority mesh.internal. SOA",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "denied by policy",
        label: "x.denied",
        governed: "REFUSED ra | ede 18",
        orders: ["G", "G", "G", "L"],
    },
    Row {
        outcome: "absent in a scope that denies",
        label: "nope.denied",
        governed: "REFUSED ra | ede 18",
        orders: ["G", "G", "G", "L"],
    },
    Row {
        outcome: "hidden by policy",
        label: "x.hidden",
        governed: "NXDOMAIN aa ra | authority mesh.internal. SOA",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "absent in a scope that hides",
        label: "nope.hidden",
        governed: "NXDOMAIN aa ra | authority mesh.internal. SOA",
        orders: ["G", "G", "L", "L"],
    },
    Row {
        outcome: "in an unreachable scope",
        label: "x.far",
        governed: "SERVFAIL ra | ede 22",
        orders: ["G", "L", "L", "L"],
    },
];

struct Row {
    outcome: &'static str,
    label: &'static str,
    governed: &'static str,
    orders: [&'static str; 4],
}

const ORDERS: [&str; 4] = [
    "governed-only",
    "governed-first",
    "legacy-first",
    "legacy-only",
];

fn under(order: &str, settings: &str) -> Talk {
    let rule = format!("RULE mesh.internal. {order} map=corp.example. {settings}\n");
    let mut talk = Talk::with(&format!("{WORLD}{rule}"));
    for row in TABLE {
        let owner = format!("{}.corp.example.", row.label);
        let record = format!("  {owner} 300 A 192.0.2.1\n");
        talk.then(&format!("UPSTREAM {owner} A -> NOERROR\n{record}"));
    }
    talk
}

/// What is expected of a row, with `G` and `L` spelt out.
fn expected(row: &Row, side: &str) -> String {
    if side == "G" {
        return row.governed.to_owned();
    }
    let label = row.label;
    format!(
        "NOERROR aa ra | {label}.mesh.internal. 60 CNAME {label}.corp.example. \
         | {label}.corp.example. 300 A 192.0.2.1 | asked {label}.corp.example. A"
    )
}

fn judge(settings: &str, sides: impl Fn(&Row) -> [&'static str; 4]) {
    let mut faults = Vec::new();
    for (index, order) in ORDERS.iter().enumerate() {
        let talk = under(order, settings);
        for row in TABLE {
            let got = talk
                .ask(&format!("{}.mesh.internal.", row.label))
                .join(" | ");
            let expected = expected(row, sides(row)[index]);
            if got != expected {
                let outcome = row.outcome;
                faults.push(format!("{outcome}, {order}: got {got}\n  not {expected}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_outcome_meets_every_order() {
    judge("on=absent,unreachable", |row| row.orders);
}

#[test]
fn without_a_listed_outcome_the_first_side_has_the_last_word() {
    judge("", |row| [row.orders[0], "G", row.orders[2], "L"]);
}

#[test]
fn an_outcome_that_is_not_listed_does_not_move_on() {
    judge("on=absent", |row| match row.outcome {
        "absent" => ["G", "L", "L", "L"],
        _ => ["G", "G", row.orders[2], "L"],
    });
    judge("on=unreachable", |row| match row.outcome {
        "in an unreachable scope" => ["G", "L", "L", "L"],
        _ => ["G", "G", row.orders[2], "L"],
    });
}

/// What legacy DNS says to `api.corp.example.`, and the reply under `legacy-first`.
const LEGACY_FAILS: &[(&str, &str, &str)] = &[
    (
        "legacy absent",
        "NXDOMAIN",
        "NOERROR aa ra | api.eu.mesh.internal. 60 A 10.0.0.7 | asked api.eu.corp.example. A",
    ),
    (
        "legacy out of reach",
        "TIMEOUT",
        "NOERROR aa ra | api.eu.mesh.internal. 60 A 10.0.0.7 | asked api.eu.corp.example. A",
    ),
    (
        "legacy failing",
        "SERVFAIL",
        "NOERROR aa ra | api.eu.mesh.internal. 60 A 10.0.0.7 | asked api.eu.corp.example. A",
    ),
    (
        "legacy without data",
        "NOERROR",
        "NOERROR aa ra | api.eu.mesh.internal. 60 CNAME api.eu.corp.example. \
         | authority . SOA | asked api.eu.corp.example. A",
    ),
];

#[test]
fn what_legacy_dns_lacks_is_looked_up_in_the_index() {
    for (what, code, expected) in LEGACY_FAILS {
        let mut talk = under("legacy-first", "on=absent,unreachable");
        talk.then(&format!("UPSTREAM api.eu.corp.example. A -> {code}"));
        super::check(&talk, what, "api.eu.mesh.internal.", expected);
    }
}

#[test]
fn what_legacy_dns_lacks_stays_so_unless_the_rule_lists_it() {
    for (code, expected) in [
        (
            "NXDOMAIN",
            "NXDOMAIN aa ra | api.eu.mesh.internal. 60 CNAME api.eu.corp.example. \
             | authority . SOA | asked api.eu.corp.example. A",
        ),
        (
            "TIMEOUT",
            "SERVFAIL ra | ede 23 | asked api.eu.corp.example. A",
        ),
        (
            "NONE",
            "SERVFAIL ra | ede 22 | asked api.eu.corp.example. A",
        ),
        (
            "SERVFAIL",
            "SERVFAIL ra | ede 0 | asked api.eu.corp.example. A",
        ),
    ] {
        let mut talk = under("legacy-first", "");
        talk.then(&format!("UPSTREAM api.eu.corp.example. A -> {code}"));
        super::check(&talk, code, "api.eu.mesh.internal.", expected);
    }
}

/// Where neither side has the name the first side's word stands, but a failure is never hidden
/// by the other side's absence.
#[test]
fn neither_side_knows_a_name() {
    for (order, code, expected) in [
        (
            "governed-first",
            "NXDOMAIN",
            "NXDOMAIN aa ra | authority mesh.internal. SOA | asked nope.eu.corp.example. A",
        ),
        (
            "governed-first",
            "TIMEOUT",
            "SERVFAIL ra | ede 23 | asked nope.eu.corp.example. A",
        ),
        (
            "legacy-first",
            "NXDOMAIN",
            "NXDOMAIN ra | authority . SOA | asked nope.eu.corp.example. A",
        ),
        (
            "legacy-first",
            "TIMEOUT",
            "SERVFAIL ra | ede 23 | asked nope.eu.corp.example. A",
        ),
    ] {
        let mut talk = under(order, "on=absent,unreachable");
        talk.then(&format!("UPSTREAM nope.eu.corp.example. A -> {code}"));
        let what = format!("{order} with {code}");
        super::check(&talk, &what, "nope.eu.mesh.internal.", expected);
    }
}

/// A retired name of the second side is no absence either, and whom the index refuses is not sent to
/// legacy DNS first.
#[test]
fn the_index_denies_what_legacy_dns_lacks() {
    for (label, expected) in [
        (
            "gone.eu",
            "NXDOMAIN aa ra | authority mesh.internal. SOA | asked gone.eu.corp.example. A",
        ),
        ("x.denied", "REFUSED ra | ede 18"),
    ] {
        let mut talk = under("legacy-first", "on=absent");
        talk.then(&format!("UPSTREAM {label}.corp.example. A -> NXDOMAIN"));
        super::check(&talk, label, &format!("{label}.mesh.internal."), expected);
    }
}

/// Settings under which a caller who may not know of a name must see the same as if it were not
/// there, whatever legacy DNS says. Where a rule hands absence to a legacy side that is out of
/// reach, absence shows as a failure and a hidden name cannot.
const UNSEEN: &[(&str, &str, &[&str])] = &[
    (
        "governed-only",
        "on=absent,unreachable",
        &["NXDOMAIN", "TIMEOUT"],
    ),
    ("governed-first", "", &["NXDOMAIN", "TIMEOUT"]),
    ("governed-first", "on=absent,unreachable", &["NXDOMAIN"]),
    ("legacy-first", "", &["NXDOMAIN", "TIMEOUT", "NOERROR"]),
    (
        "legacy-first",
        "on=absent,unreachable",
        &["NXDOMAIN", "TIMEOUT", "NOERROR"],
    ),
    ("legacy-only", "", &["NXDOMAIN", "TIMEOUT", "NOERROR"]),
];

#[test]
fn a_hidden_name_looks_like_an_absent_one() {
    for (order, settings, codes) in UNSEEN {
        for code in *codes {
            let mut talk = under(order, settings);
            for label in ["x.hidden", "x.absent"] {
                talk.then(&format!("UPSTREAM {label}.corp.example. A -> {code}"));
            }
            let seen = |label: &str| {
                let lines = talk.ask(&format!("{label}.mesh.internal."));
                // What legacy DNS was asked does not show to the client.
                let shown = lines.iter().filter(|line| !line.starts_with("asked"));
                let shown: Vec<String> = shown.map(|line| line.replace(label, "LABEL")).collect();
                shown
            };
            let what = format!("{order} {settings} with {code}");
            assert_eq!(seen("x.hidden"), seen("x.absent"), "{what}");
        }
    }
}

#[test]
fn a_store_that_cannot_be_read_is_a_failure_wherever_it_happens() {
    for order in ["governed-only", "governed-first", "legacy-first"] {
        let mut talk = under(order, "on=absent,unreachable");
        for label in ["api.eu", "nope.eu", "old.eu", "a.tree.eu", "gone.eu"] {
            if order == "legacy-first" {
                talk.then(&format!("UPSTREAM {label}.corp.example. A -> NXDOMAIN"));
            }
            let question = format!("{label}.mesh.internal.");
            let good = talk.ask(&question);
            let mut failures = 0;
            // Each read in turn is the one that fails.
            for reads in 0.. {
                talk.world.store.fail_after(reads);
                let got = talk.ask(&question);
                let whole = !talk.world.store.take_failed();
                talk.world.store.mend();
                if whole {
                    break;
                }
                let asked = got.iter().any(|line| line.starts_with("asked"));
                assert_eq!(got[0], "SERVFAIL ra", "{order}, {label}, read {reads}");
                assert!(
                    !got.iter()
                        .any(|line| line.contains(" A ") && !line.contains("asked"))
                );
                assert!(
                    !asked || order == "legacy-first",
                    "{order}, {label}: asked {got:?}"
                );
                failures += 1;
            }
            assert!(failures > 3, "{label}: {failures} reads");
            if order != "legacy-first" {
                assert_eq!(
                    talk.ask(&question)[0],
                    good[0],
                    "{order}, {label}: not mended"
                );
            }
        }
    }
}
