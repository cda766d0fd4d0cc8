//! Names that a scope marks by pattern: whatever way leads to them, the scope's word holds.

use super::support::talk::Talk;

const MESH: &str = "\
APEX mesh.internal.
SCOPE eu.mesh.internal.
PUT api.eu.mesh.internal. A 10.1.0.10
PUT db.secret.eu.mesh.internal. A 10.66.0.1
PUT *.wild.eu.mesh.internal. A 10.66.0.2
PUT www.eu.mesh.internal. CNAME db.secret.eu.mesh.internal.
PUT mail.eu.mesh.internal. MX 10 db.secret.eu.mesh.internal.
PUT cut.eu.mesh.internal. NS ns.cut.eu.mesh.internal.
PUT ns.cut.eu.mesh.internal. A 10.66.0.3
PUT tree.eu.mesh.internal. DNAME api.eu.mesh.internal.
LET db = uid db.secret.eu.mesh.internal.
LET api = uid api.eu.mesh.internal.
";

fn with(script: &str) -> Talk {
    Talk::with(&format!("{MESH}{script}"))
}

/// What every question comes to, which must show no record that is not for the caller.
fn all_say(talk: &Talk, expected: &str, questions: &[&str]) {
    for question in questions {
        let lines = talk.ask(question);
        assert_eq!(lines[0], expected, "{question}: {lines:?}");
        let shown = lines.iter().find(|line| line.contains("10.66."));
        assert_eq!(shown, None, "{question}: {lines:?}");
    }
}

/// Every way to the entry `db.secret.eu`.
const WAYS: [&str; 12] = [
    "db.secret.eu.mesh.internal.",
    "DB.Secret.eu.mesh.internal. TXT",
    "db.secret.eu.mesh.internal. ANY",
    "db.secret.eu.mesh.internal. CNAME",
    "x.db.secret.eu.mesh.internal.",
    "_view._act.db.secret.eu.mesh.internal.",
    "_act.db.secret.eu.mesh.internal.",
    "_v1._ver.db.secret.eu.mesh.internal.",
    "_gov.db.secret.eu.mesh.internal. TXT",
    "$db._uid.mesh.internal.",
    "_v1._ver.$db._uid.mesh.internal.",
    "www.eu.mesh.internal.",
];

#[test]
fn a_name_is_kept_on_every_way_to_it_by_each_scope_above() {
    for (scope, pattern) in [
        ("eu.mesh.internal.", "**.secret"),
        ("mesh.internal.", "**.secret.eu"),
        ("mesh.internal.", "**.s*t.*"),
    ] {
        for (verdict, code) in [("refuse", "REFUSED ra"), ("challenge", "REFUSED ra")] {
            let policy = format!("POLICY {scope} name+{pattern}={verdict} 0.0.0.0/0=allow");
            let talk = with(&policy);
            all_say(&talk, code, &WAYS);
            // The others are as they were.
            for question in ["api.eu.mesh.internal.", "$api._uid.mesh.internal."] {
                assert_eq!(
                    talk.ask(question)[0],
                    "NOERROR aa ra",
                    "{scope}: {question}"
                );
            }
            all_say(&talk, "NOERROR aa ra", &["mail.eu.mesh.internal. MX"]);
        }
    }
}

#[test]
fn a_hidden_name_is_as_absent_as_one_that_never_was() {
    let policy = "POLICY eu.mesh.internal. name+**.secret=hide 0.0.0.0/0=allow\n";
    let talk = with(policy);
    all_say(&talk, "NXDOMAIN aa ra", &WAYS);
    // A wildcard covers it as it covers what is absent.
    let policy = "PUT *.eu.mesh.internal. A 10.1.0.99\n\
                  POLICY eu.mesh.internal. name+api=hide 0.0.0.0/0=allow\n\
                  RULE eu.mesh.internal. governed-first on=absent,unreachable map=eu.example.com.\n";
    let talk = with(policy);
    for label in ["api", "nope"] {
        let lines = talk.ask(&format!("{label}.eu.mesh.internal."));
        let expected = format!("{label}.eu.mesh.internal. 60 A 10.1.0.99");
        assert_eq!(lines, ["NOERROR aa ra".to_owned(), expected]);
    }
}

#[test]
fn a_hidden_name_never_moves_on_to_legacy_dns() {
    let rule = "RULE mesh.internal. governed-first on=absent,unreachable map=example.com.\n";
    for verdict in ["hide", "refuse", "challenge"] {
        let policy = format!("POLICY eu.mesh.internal. name+**.secret={verdict} 0.0.0.0/0=allow\n");
        let talk = with(&format!("{policy}{rule}"));
        for question in WAYS {
            let lines = talk.ask(question);
            let asked = lines.iter().find(|line| line.starts_with("asked"));
            assert_eq!(asked, None, "{verdict}: {question}: {lines:?}");
        }
        let lines = talk.ask("nope.eu.mesh.internal.");
        assert!(
            lines.iter().any(|line| line.starts_with("asked")),
            "{lines:?}"
        );
    }
}

#[test]
fn what_answers_for_other_names_is_judged_by_its_own() {
    let deny = |pattern: &str| {
        with(&format!(
            "POLICY eu.mesh.internal. name+{pattern}=refuse 0.0.0.0/0=allow"
        ))
    };
    all_say(
        &deny("*.wild"),
        "REFUSED ra",
        &[
            "a.wild.eu.mesh.internal.",
            "a.b.wild.eu.mesh.internal.",
            "*.wild.eu.mesh.internal.",
        ],
    );
    all_say(
        &deny("cut"),
        "REFUSED ra",
        &["cut.eu.mesh.internal.", "www.cut.eu.mesh.internal."],
    );
    all_say(
        &deny("tree"),
        "REFUSED ra",
        &["tree.eu.mesh.internal. DNAME", "x.tree.eu.mesh.internal."],
    );
    // From above, too.
    let talk = with("POLICY mesh.internal. name+*.wild.eu=refuse 0.0.0.0/0=allow");
    all_say(&talk, "REFUSED ra", &["a.b.wild.eu.mesh.internal."]);
}

#[test]
fn a_list_of_open_names_opens_them_by_uid_too_and_no_others() {
    let talk = with(
        "POLICY eu.mesh.internal. name+api=allow\n\
         POLICY mesh.internal. name+**.eu=allow\n",
    );
    for question in ["api.eu.mesh.internal.", "$api._uid.mesh.internal."] {
        let lines = talk.ask(question);
        assert!(lines[0].starts_with("NOERROR"), "{question}: {lines:?}");
    }
    all_say(&talk, "REFUSED ra", &WAYS);
    all_say(&talk, "REFUSED ra", &["nope._uid.mesh.internal."]);
}

#[test]
fn a_version_is_judged_where_and_under_the_name_it_was_made() {
    // Renamed out of the pattern.
    let talk = with(
        "RENAME db.secret.eu.mesh.internal. open.eu.mesh.internal.\n\
         PUT open.eu.mesh.internal. A 10.1.0.30\n\
         POLICY eu.mesh.internal. name+**.secret=refuse 0.0.0.0/0=allow\n",
    );
    assert_eq!(
        talk.ask("open.eu.mesh.internal.")[1],
        "open.eu.mesh.internal. 60 A 10.1.0.30"
    );
    let old = [
        "_v1._ver.open.eu.mesh.internal.",
        "_v1._ver.$db._uid.mesh.internal.",
    ];
    all_say(&talk, "REFUSED ra", &old);
    assert_eq!(
        talk.ask("_v3._ver.open.eu.mesh.internal.")[0],
        "NOERROR aa ra"
    );
    // Moved out of a scope that hides.
    let talk = with(
        "SCOPE pay.eu.mesh.internal.\n\
         PUT a.pay.eu.mesh.internal. A 10.66.0.9\n\
         LET a = uid a.pay.eu.mesh.internal.\n\
         MOVE a.pay.eu.mesh.internal. a.eu.mesh.internal.\n\
         PUT a.eu.mesh.internal. A 10.1.0.31\n\
         POLICY pay.eu.mesh.internal. 10.0.0.0/8=allow 0.0.0.0/0=hide\n",
    );
    let old = [
        "_v1._ver.a.eu.mesh.internal.",
        "_v1._ver.$a._uid.mesh.internal.",
    ];
    all_say(&talk, "NXDOMAIN aa ra", &old);
    assert_eq!(talk.ask("_v3._ver.a.eu.mesh.internal.")[0], "NOERROR aa ra");
    let inside = talk.ask("_v1._ver.a.eu.mesh.internal. from=10.0.0.1");
    assert!(inside[1].ends_with("A 10.66.0.9"), "{inside:?}");
}

#[test]
fn a_redirect_does_not_tell_the_present_name_to_whom_it_is_not_for() {
    for (verdict, code) in [("hide", "NXDOMAIN aa ra"), ("refuse", "REFUSED ra")] {
        let talk = with(&format!(
            "SCOPE pay.eu.mesh.internal.\n\
             MOVE api.eu.mesh.internal. x.pay.eu.mesh.internal.\n\
             POLICY pay.eu.mesh.internal. 10.0.0.0/8=allow 0.0.0.0/0={verdict}\n"
        ));
        for question in [
            "api.eu.mesh.internal.",
            "api.eu.mesh.internal. CNAME",
            "_view._act.api.eu.mesh.internal.",
            "_v1._ver.api.eu.mesh.internal.",
        ] {
            let lines = talk.ask(question);
            assert_eq!(lines[0], code, "{question}");
            let told = lines.iter().find(|line| line.contains("x.pay"));
            assert_eq!(told, None, "{question}: {lines:?}");
            let inside = talk.ask(&format!("{question} from=10.0.0.1"));
            assert!(inside[0].starts_with("NOERROR"), "{question}: {inside:?}");
        }
    }
    // By name within a scope.
    let talk = with(
        "RENAME api.eu.mesh.internal. deep.secret.eu.mesh.internal.\n\
         POLICY eu.mesh.internal. name+**.secret=hide 0.0.0.0/0=allow\n",
    );
    let lines = talk.ask("api.eu.mesh.internal. CNAME");
    assert_eq!(lines, ["NXDOMAIN aa ra", "authority mesh.internal. SOA"]);
}

#[test]
fn sensitivity_is_a_name_together_with_types() {
    let talk = with(
        "PUT api.eu.mesh.internal. TXT \"secret=1\"\n\
         POLICY eu.mesh.internal. name+**.secret=hide type+TXT=refuse 0.0.0.0/0=allow\n",
    );
    assert_eq!(talk.ask("api.eu.mesh.internal.")[0], "NOERROR aa ra");
    all_say(
        &talk,
        "REFUSED ra",
        &["api.eu.mesh.internal. TXT", "api.eu.mesh.internal. ANY"],
    );
    all_say(
        &talk,
        "NXDOMAIN aa ra",
        &["db.secret.eu.mesh.internal. ANY"],
    );
}
