//! `<uid>._uid.<apex>`: an entry by what never changes.

use super::support::talk::Talk;

const TWO_MESHES: &str = "\
APEX mesh.internal.
SCOPE eu.mesh.internal.
SCOPE pay.eu.mesh.internal.
PUT api.eu.mesh.internal. A 10.1.0.10
PUT ledger.pay.eu.mesh.internal. A 10.1.8.10
PUT www.eu.mesh.internal. CNAME api.eu.mesh.internal.
APEX other.internal.
PUT api.other.internal. A 10.5.0.1
LET api = uid api.eu.mesh.internal.
LET www = uid www.eu.mesh.internal.
LET ledger = uid ledger.pay.eu.mesh.internal.
LET other = uid api.other.internal.
";

fn first(talk: &Talk, question: &str) -> String {
    let lines = talk.ask(question);
    let data = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(" A "))
        .map(|(_, address)| address.to_owned());
    std::iter::once(lines[0].clone())
        .chain(data)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn an_entry_answers_by_its_uid_in_its_own_apex() {
    let talk = Talk::with(TWO_MESHES);
    for (question, expected) in [
        ("$api._uid.mesh.internal.", "NOERROR aa ra 10.1.0.10"),
        ("$ledger._uid.mesh.internal.", "NOERROR aa ra 10.1.8.10"),
        ("$www._uid.mesh.internal.", "NOERROR aa ra 10.1.0.10"),
        ("$api._uid.mesh.internal. TXT", "NOERROR aa ra"),
        ("$other._uid.other.internal.", "NOERROR aa ra 10.5.0.1"),
        ("$other._uid.mesh.internal.", "NXDOMAIN aa ra"),
        ("$api._uid.other.internal.", "NXDOMAIN aa ra"),
        ("$api._uid.eu.mesh.internal.", "NXDOMAIN aa ra"),
        ("x.$api._uid.mesh.internal.", "NXDOMAIN aa ra"),
        ("_uid.mesh.internal.", "NOERROR aa ra"),
        ("nonsense._uid.mesh.internal.", "NXDOMAIN aa ra"),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaa._uid.mesh.internal.",
            "NXDOMAIN aa ra",
        ),
    ] {
        assert_eq!(first(&talk, question), expected, "{question}");
    }
}

#[test]
fn every_scope_above_an_entry_has_its_say_by_uid_too() {
    let cases = [
        ("mesh.internal.", ["REFUSED ra", "REFUSED ra"]),
        ("eu.mesh.internal.", ["REFUSED ra", "REFUSED ra"]),
        (
            "pay.eu.mesh.internal.",
            ["NOERROR aa ra 10.1.0.10", "REFUSED ra"],
        ),
    ];
    for (scope, codes) in cases {
        for (verdict, code) in [("refuse", "REFUSED ra"), ("hide", "NXDOMAIN aa ra")] {
            let mut talk = Talk::with(TWO_MESHES);
            talk.then(&format!("POLICY {scope} 0.0.0.0/0={verdict}"));
            for (uid, expected) in ["$api", "$ledger"].iter().zip(codes) {
                let expected = expected.replace("REFUSED ra", code);
                let question = format!("{uid}._uid.mesh.internal.");
                assert_eq!(
                    first(&talk, &question),
                    expected,
                    "{scope} says {verdict}: {uid}"
                );
            }
        }
    }
}

#[test]
fn another_apex_does_not_tell_by_a_refusal_that_an_entry_exists() {
    let mut talk = Talk::with(TWO_MESHES);
    talk.then("POLICY mesh.internal. 0.0.0.0/0=refuse");
    assert_eq!(first(&talk, "$api._uid.other.internal."), "NXDOMAIN aa ra");
}

#[test]
fn an_entry_that_ended_never_falls_through_by_its_uid() {
    let mut talk = Talk::with(TWO_MESHES);
    talk.then(
        "RETIRE api.eu.mesh.internal.
RULE mesh.internal. governed-first on=absent,unreachable map=example.com.",
    );
    let lines = talk.ask("$api._uid.mesh.internal.");
    assert_eq!(lines, ["NXDOMAIN aa ra", "authority mesh.internal. SOA"]);
    // A retired name that is registered again is another entry.
    talk.then("PUT api.eu.mesh.internal. A 10.1.0.99");
    assert_eq!(first(&talk, "$api._uid.mesh.internal."), "NXDOMAIN aa ra");
}
