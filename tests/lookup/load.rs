//! How much a scope is asked, as a signal: counted by this node, a question once.

use super::support::talk::Talk;

const MESH: &str = "\
APEX mesh.internal.
SCOPE eu.mesh.internal.
PUT api.eu.mesh.internal. A 10.1.0.10
PUT mail.eu.mesh.internal. MX 10 api.eu.mesh.internal.
PUT top.mesh.internal. A 10.1.0.1
POLICY eu.mesh.internal. load+3=allow 0.0.0.0/0=challenge
";

#[test]
fn a_scope_that_is_asked_too_much_challenges_until_it_is_asked_less() {
    let mut talk = Talk::with(MESH);
    let ask = |talk: &Talk| talk.ask("api.eu.mesh.internal.")[0].clone();
    // The addresses beside an answer are not asked for once more.
    assert_eq!(talk.ask("mail.eu.mesh.internal. MX")[0], "NOERROR aa ra");
    assert_eq!([ask(&talk), ask(&talk)], ["NOERROR aa ra", "NOERROR aa ra"]);
    assert_eq!(talk.ask("api.eu.mesh.internal."), ["REFUSED ra", "ede 18"]);
    // Other scopes are not busy.
    assert_eq!(talk.ask("top.mesh.internal.")[0], "NOERROR aa ra");
    talk.then("PASS-TIME 1s");
    assert_eq!(ask(&talk), "REFUSED ra", "the second before was busy");
    talk.then("PASS-TIME 2s");
    assert_eq!(ask(&talk), "NOERROR aa ra");
}
