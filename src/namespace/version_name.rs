//! `_v3._ver.<name>`: the name of one version of the entry at a name.

use super::name::{BadName, Name};

/// The label below a name under which its versions answer.
pub const VERSIONS_LABEL: &[u8] = b"_ver";

/// Before the number, in the label of one version.
const NUMBER_PREFIX: &[u8] = b"_v";

/// The name of version `number` of the entry at a name.
pub fn of(name: &Name, number: u64) -> Result<Name, BadName> {
    let label = format!("_v{number}");
    name.child(VERSIONS_LABEL)?.child(label.as_bytes())
}

/// The number and the entry's name, if this is the name of a version.
pub fn parts(name: &Name) -> Option<(u64, Name)> {
    let number = number(name.first_label()?)?;
    let versions = name.parent()?;
    let entry = versions.parent()?;
    (versions.first_label() == Some(VERSIONS_LABEL)).then_some((number, entry))
}

/// The number in the label of one version. One version has one label: no leading zero.
pub fn number(label: &[u8]) -> Option<u64> {
    let digits = label.strip_prefix(NUMBER_PREFIX)?;
    if digits.first() == Some(&b'0') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether a name speaks of versions: only the index knows such names.
pub fn is_about_versions(name: &Name) -> bool {
    name.labels_down().any(|label| label == VERSIONS_LABEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_version_has_one_name_and_comes_back_from_it() {
        for number in [1, 3, 10, u64::MAX] {
            let entry = name("api.eu.mesh.internal.");
            let of_version = of(&entry, number).unwrap();
            let text = format!("_v{number}._ver.api.eu.mesh.internal.");
            assert_eq!(of_version, name(&text));
            assert_eq!(parts(&of_version), Some((number, entry)));
        }
        for other in [
            "_v0._ver.a.",
            "_v03._ver.a.",
            "_v._ver.a.",
            "_vx._ver.a.",
            "v3._ver.a.",
            "_v3._vers.a.",
            "x._v3._ver.a.",
            "_ver.a.",
            "_v3.",
            ".",
            "_v18446744073709551616._ver.a.",
            "_v+3._ver.a.",
        ] {
            assert_eq!(parts(&name(other)), None, "{other}");
        }
        assert!(is_about_versions(&name("x._ver.a.")));
        assert!(!is_about_versions(&name("_verx.a.")));
    }
}
