//! Scopes that may have been overtaken: what is said of them, and to whom.

use kedge::index::freshness::Freshness;

use super::support::talk::Talk;

const MESH: &str = "\
APEX mesh.internal.
SCOPE eu.mesh.internal.
SCOPE db.eu.mesh.internal.
SCOPE us.mesh.internal.
PUT api.eu.mesh.internal. A 10.1.0.10
PUT one.db.eu.mesh.internal. A 10.1.0.11
PUT api.us.mesh.internal. A 10.2.0.10
PUT to.us.mesh.internal. CNAME api.eu.mesh.internal.
PUT old.us.mesh.internal. A 10.2.0.11
MOVE old.us.mesh.internal. new.eu.mesh.internal.
POLICY eu.mesh.internal. 10.0.0.0/8=hide 0.0.0.0/0=allow
RULE mesh.internal. governed-first on=unreachable map=example.com.
";

fn overdue(talk: &Talk, freshness: Freshness) {
    talk.world.overdue("eu.mesh.internal.", freshness);
}

#[test]
fn a_stale_scope_is_served_and_said_to_be_stale() {
    let talk = Talk::with(MESH);
    let names = [
        "api.eu.mesh.internal.",
        "one.db.eu.mesh.internal.",
        "nope.eu.mesh.internal.",
        "to.us.mesh.internal.",
        "old.us.mesh.internal.",
        "api.us.mesh.internal.",
    ];
    let fresh = names.map(|name| talk.ask(name));
    overdue(&talk, Freshness::Stale);
    for (name, fresh) in names.iter().zip(&fresh) {
        let stale = talk.ask(name);
        let is_absent = fresh[0].starts_with("NXDOMAIN");
        let told = if is_absent { "ede 19" } else { "ede 3" };
        if *name == "api.us.mesh.internal." {
            assert_eq!(stale, *fresh, "{name}");
            continue;
        }
        let mut expected: Vec<String> = fresh
            .iter()
            .map(|line| line.replace(". 60 ", ". 30 "))
            .collect();
        expected.push(told.to_owned());
        assert_eq!(stale, expected, "{name}");
    }
    talk.world.overdue("eu.mesh.internal.", Freshness::Fresh);
    assert_eq!(names.map(|name| talk.ask(name)), fresh);
}

#[test]
fn an_expired_scope_is_out_of_reach_and_no_other_one() {
    let mut talk = Talk::with(MESH);
    overdue(&talk, Freshness::Expired);
    assert_eq!(talk.ask("api.us.mesh.internal.")[0], "NOERROR aa ra");
    talk.then("UPSTREAM api.eu.example.com. A -> NOERROR\n  api.eu.example.com. 300 A 192.0.2.7\n");
    let moved_on = talk.ask("api.eu.mesh.internal.");
    assert_eq!(moved_on[0], "NOERROR aa ra", "{moved_on:?}");
    let asked = "asked api.eu.example.com. A".to_owned();
    assert!(moved_on.contains(&asked), "{moved_on:?}");
    talk.then("NO-RULE mesh.internal.\n");
    for name in ["one.db.eu.mesh.internal.", "nope.eu.mesh.internal."] {
        let said = talk.ask(name);
        assert_eq!(said[0], "SERVFAIL ra", "{name}: {said:?}");
        assert!(said.contains(&"ede 22".to_owned()), "{name}: {said:?}");
    }
}

#[test]
fn whoever_is_denied_learns_nothing_of_it() {
    let talk = Talk::with(MESH);
    let question = "api.eu.mesh.internal. from=10.9.9.9";
    let hidden = talk.ask(question);
    assert_eq!(hidden[0], "NXDOMAIN aa ra", "{hidden:?}");
    for freshness in [Freshness::Stale, Freshness::Expired] {
        overdue(&talk, freshness);
        assert_eq!(talk.ask(question), hidden, "{freshness}");
    }
}

#[test]
fn answers_that_are_kept_end_when_a_scope_becomes_stale_or_fresh() {
    let talk = Talk::with(MESH);
    let before = talk.world.standing();
    overdue(&talk, Freshness::Stale);
    let stale = talk.world.standing();
    assert_ne!(before, stale);
    overdue(&talk, Freshness::Stale);
    assert_eq!(talk.world.standing(), stale);
    overdue(&talk, Freshness::Fresh);
    assert_ne!(talk.world.standing(), stale);
}
