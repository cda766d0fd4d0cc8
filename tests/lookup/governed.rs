//! The governed index as a directory: government, wildcards, delegations, redirects.

use super::support::talk::Talk;

const MESH: &str = "\
APEX mesh.internal.
SCOPE eu.mesh.internal.
SCOPE pay.eu.mesh.internal.
PUT api.eu.mesh.internal. A 10.1.0.10
PUT x.ent.eu.mesh.internal. A 10.1.0.11
PUT *.wild.eu.mesh.internal. A 10.1.0.12
PUT ledger.pay.eu.mesh.internal. A 10.1.8.10
";

fn with(script: &str) -> Talk {
    Talk::with(&format!("{MESH}{script}"))
}

/// The words of a `_gov` answer without values that only a machine reads.
fn government(talk: &Talk, question: &str) -> String {
    let lines = talk.ask(&format!("{question} TXT"));
    let Some(text) = lines.get(1).filter(|_| lines[0] == "NOERROR aa ra") else {
        return lines[0].clone();
    };
    let words = text.split('"').filter(|word| word.contains('='));
    let kept = words.filter_map(|word| {
        let (key, value) = word.split_once('=')?;
        Some(match key {
            "scope-uid" | "uid" | "head" | "policy" => key.to_owned(),
            _ => format!("{key}={value}"),
        })
    });
    kept.collect::<Vec<_>>().join(" ")
}

#[test]
fn government_tells_who_decides_over_a_name() {
    let mut talk = with("PUT api.eu.mesh.internal. A 10.1.0.13\n");
    let eu = "height=6 head epoch=0 policy anchors=1 quorum=1 of 1, more than 2/3";
    for (question, expected) in [
        (
            "_gov.api.eu.mesh.internal.",
            format!("scope=eu.mesh.internal. scope-uid uid version=2 {eu}"),
        ),
        (
            "_gov.ent.eu.mesh.internal.",
            format!("scope=eu.mesh.internal. scope-uid {eu}"),
        ),
        (
            "_gov.eu.mesh.internal.",
            format!("scope=eu.mesh.internal. scope-uid {eu}"),
        ),
        ("_gov.nope.eu.mesh.internal.", "NXDOMAIN aa ra".to_owned()),
        ("_gov._gov.eu.mesh.internal.", "NXDOMAIN aa ra".to_owned()),
        ("x._gov.eu.mesh.internal.", "NXDOMAIN aa ra".to_owned()),
    ] {
        let got = government(&talk, question);
        // Heights are compared where a test makes them differ, below.
        let heightless = |text: &str| {
            let words = text.split(' ').filter(|word| !word.starts_with("height="));
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(heightless(&got), heightless(&expected), "{question}");
    }
    let height = |talk: &Talk| {
        let text = government(talk, "_gov.eu.mesh.internal.");
        let word = text.split(' ').find(|word| word.starts_with("height="));
        word.and_then(|word| word[7..].parse::<u64>().ok()).unwrap()
    };
    let before = height(&talk);
    talk.then("PUT api.eu.mesh.internal. A 10.1.0.14\nPUT x.us.mesh.internal. A 10.2.0.1");
    assert_eq!(height(&talk), before + 1, "only this scope's changes count");
    talk.then("POLICY eu.mesh.internal. 0.0.0.0/0=refuse");
    assert_eq!(
        government(&talk, "_gov.api.eu.mesh.internal."),
        "REFUSED ra"
    );
}

/// Names with what a caller gets under a policy that refuses at one scope.
#[test]
fn every_scope_on_the_path_has_its_say() {
    let questions = [
        "mesh.internal. NS",
        "api.eu.mesh.internal.",
        "ledger.pay.eu.mesh.internal.",
    ];
    for (scope, codes) in [
        ("mesh.internal.", ["REFUSED ra", "REFUSED ra", "REFUSED ra"]),
        (
            "eu.mesh.internal.",
            ["NOERROR aa ra", "REFUSED ra", "REFUSED ra"],
        ),
        (
            "pay.eu.mesh.internal.",
            ["NOERROR aa ra", "NOERROR aa ra", "REFUSED ra"],
        ),
    ] {
        let talk = with(&format!(
            "POLICY {scope} 10.0.0.0/8=allow 0.0.0.0/0=refuse\n"
        ));
        for (question, code) in questions.iter().zip(codes) {
            let told = talk.ask(question);
            assert_eq!(told[0], code, "{scope} refuses: {question}");
            let allowed = talk.ask(&format!("{question} from=10.0.0.1"));
            assert_eq!(allowed[0], "NOERROR aa ra", "{scope} allows: {question}");
        }
    }
}

#[test]
fn a_governed_wildcard_answers_as_a_zone_file_s_does() {
    let talk = with("PUT y.*.odd.eu.mesh.internal. A 10.1.0.15\n");
    for (question, expected) in [
        (
            "any.wild.eu.mesh.internal.",
            "NOERROR aa ra | any.wild.eu.mesh.internal. 60 A 10.1.0.12",
        ),
        (
            "a.b.wild.eu.mesh.internal.",
            "NOERROR aa ra | a.b.wild.eu.mesh.internal. 60 A 10.1.0.12",
        ),
        (
            "any.wild.eu.mesh.internal. TXT",
            "NOERROR aa ra | authority mesh.internal. SOA",
        ),
        (
            "wild.eu.mesh.internal.",
            "NOERROR aa ra | authority mesh.internal. SOA",
        ),
        (
            "x.odd.eu.mesh.internal.",
            "NOERROR aa ra | authority mesh.internal. SOA",
        ),
        // A wildcard ends where its scope does.
        (
            "x.pay.eu.mesh.internal.",
            "NXDOMAIN aa ra | authority mesh.internal. SOA",
        ),
    ] {
        assert_eq!(talk.ask(question).join(" | "), expected, "{question}");
    }
}

#[test]
fn a_moved_name_leads_straight_to_the_present_place() {
    let talk = with(
        "\
SCOPE us.mesh.internal.
RENAME api.eu.mesh.internal. a.eu.mesh.internal.
RENAME a.eu.mesh.internal. b.eu.mesh.internal.
MOVE b.eu.mesh.internal. c.us.mesh.internal.
RENAME c.us.mesh.internal. d.us.mesh.internal.
MOVE d.us.mesh.internal. e.pay.eu.mesh.internal.
",
    );
    for old in ["api.eu", "a.eu", "b.eu", "c.us", "d.us"] {
        let lines = talk.ask(&format!("{old}.mesh.internal."));
        let expected = [
            "NOERROR aa ra".to_owned(),
            format!("{old}.mesh.internal. 60 CNAME e.pay.eu.mesh.internal."),
            "e.pay.eu.mesh.internal. 60 A 10.1.0.10".to_owned(),
        ];
        assert_eq!(lines, expected, "{old}");
    }
}

#[test]
fn a_moved_name_whose_entry_ended_leads_to_nothing() {
    let mut talk = with(
        "\
RENAME api.eu.mesh.internal. a.eu.mesh.internal.
RENAME a.eu.mesh.internal. b.eu.mesh.internal.
RETIRE b.eu.mesh.internal.
RULE eu.mesh.internal. governed-first on=absent,unreachable map=eu.example.com.
",
    );
    for old in ["api", "a", "b"] {
        let lines = talk.ask(&format!("{old}.eu.mesh.internal."));
        assert_eq!(lines[0], "NXDOMAIN aa ra", "{old}: {lines:?}");
        let asked = lines.iter().any(|line| line.starts_with("asked"));
        assert!(!asked, "{old}: {lines:?}");
    }
    // Another entry at the last place is another entry: the old names do not lead to it by UID,
    // only by the place they went to.
    talk.then("PUT b.eu.mesh.internal. A 10.66.0.1");
    assert_eq!(talk.ask("b.eu.mesh.internal.")[0], "NOERROR aa ra");
}

#[test]
fn the_top_of_an_apex_has_an_soa_that_counts_every_commit_and_name_servers() {
    let mut talk = with("");
    let serial = |talk: &Talk| {
        let lines = talk.ask("mesh.internal. SOA");
        let word = lines[1].split(' ').nth(5).unwrap().to_owned();
        word.parse::<u32>().unwrap()
    };
    let before = serial(&talk);
    talk.then("PUT api.eu.mesh.internal. A 10.1.0.20");
    assert_eq!(serial(&talk), before + 1);
    let ns = talk.ask("mesh.internal. NS");
    assert_eq!(ns[1], "mesh.internal. 60 NS ns.mesh.internal.");
    talk.then("PUT mesh.internal. NS ns1.example.com.");
    let ns = talk.ask("mesh.internal. NS");
    assert_eq!(
        ns[1..],
        ["mesh.internal. 60 NS ns1.example.com.".to_owned()]
    );
    let soa = talk.ask("mesh.internal. SOA");
    assert!(soa[1].contains("SOA ns1.example.com."), "{soa:?}");
}

#[test]
fn a_name_server_below_an_apex_is_a_cut() {
    let talk = with(
        "\
PUT sub.eu.mesh.internal. NS ns.sub.eu.mesh.internal.
PUT ns.sub.eu.mesh.internal. A 10.1.0.53
",
    );
    let lines = talk.ask("www.sub.eu.mesh.internal.").join(" | ");
    assert_eq!(
        lines,
        "NOERROR ra | authority sub.eu.mesh.internal. NS | additional ns.sub.eu.mesh.internal. A"
    );
}
