//! `_view._act.<name>`: a name with the verb that says what the caller means to do with it.

use super::name::{BadName, Name};

/// The label below a name under which it answers for a verb.
pub const ACTIONS_LABEL: &[u8] = b"_act";

/// Before the verb, in its label.
const VERB_PREFIX: u8 = b'_';

/// The name that asks for `verb` at a name.
pub fn of(name: &Name, verb: &str) -> Result<Name, BadName> {
    let label = format!("_{verb}");
    name.child(ACTIONS_LABEL)?.child(label.as_bytes())
}

/// The verb and the name it is about, if this is a name with a verb.
pub fn parts(name: &Name) -> Option<(String, Name)> {
    let verb = verb(name.first_label()?)?;
    let actions = name.parent()?;
    let about = actions.parent()?;
    (actions.first_label() == Some(ACTIONS_LABEL)).then_some((verb, about))
}

/// The verb in a label.
pub fn verb(label: &[u8]) -> Option<String> {
    let (prefix, verb) = label.split_first()?;
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let is_verb = *prefix == VERB_PREFIX && !verb.is_empty() && verb.iter().all(usual);
    is_verb
        .then(|| std::str::from_utf8(verb).ok())?
        .map(ToOwned::to_owned)
}

/// Whether a name speaks of verbs: only the index knows such names.
pub fn is_about_actions(name: &Name) -> bool {
    name.labels_down().any(|label| label == ACTIONS_LABEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_goes_before_a_name_and_comes_back() {
        let name: Name = "api.eu.mesh.internal.".parse().unwrap();
        let asked = of(&name, "pay").unwrap();
        assert_eq!(asked, "_pay._act.api.eu.mesh.internal.".parse().unwrap());
        assert_eq!(parts(&asked), Some(("pay".to_owned(), name)));
        for other in [
            "pay._act.a.",
            "_pay.a.",
            "_._act.a.",
            "_act.a.",
            "x._pay._act.a.",
            ".",
        ] {
            assert_eq!(parts(&other.parse().unwrap()), None, "{other}");
        }
    }
}
