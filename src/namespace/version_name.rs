//! `_v3._ver.<name>`: the name of one version of the entry at a name, by its number or by a tag.

use std::fmt;
use std::str::FromStr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::limits::LABEL_BYTES_MAX;

use super::name::{BadName, Name};

/// The label below a name under which its versions answer.
pub const VERSIONS_LABEL: &[u8] = b"_ver";

/// A word for one version of an entry, such as `stable`; it can be given to another version later.
/// Letters in lower case, digits and hyphens, a letter first; nothing that reads like a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

/// Text that is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a letter, then letters in lower case, digits and hyphens, at most {TAG_BYTES_MAX}, \
     and not v with a number"
)]
pub struct BadTag;

/// With the underscore before it, a tag is a label.
const TAG_BYTES_MAX: usize = LABEL_BYTES_MAX - 1;

/// Tags that one entry may carry: each version repeats them.
pub const TAGS_MAX: usize = 16;

/// A tag and the version that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: Tag,
    /// The number of the version.
    pub number: u64,
}

/// Which version of an entry is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one with this number.
    Number(u64),
    /// The one that has this tag now.
    Tagged(Tag),
}

impl Which {
    /// Reads the label of one version. One version has one number: no leading zero.
    pub fn of_label(label: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(label.strip_prefix(b"_")?).ok()?;
        if let Ok(tag) = text.parse() {
            return Some(Self::Tagged(tag));
        }
        let digits = text.strip_prefix('v')?;
        let is_number = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| is_number);
        number.map(Self::Number)
    }

    /// The name of that version of the entry at a name.
    pub fn name_below(&self, name: &Name) -> Result<Name, BadName> {
        let label = match self {
            Self::Number(number) => format!("_v{number}"),
            Self::Tagged(tag) => format!("_{tag}"),
        };
        name.child(VERSIONS_LABEL)?.child(label.as_bytes())
    }
}

impl FromStr for Which {
    type Err = BadTag;

    /// Reads `3`, `v3` or a tag.
    fn from_str(text: &str) -> Result<Self, BadTag> {
        let digits = text.strip_prefix('v').unwrap_or(text);
        match digits.parse() {
            Ok(number) if !digits.starts_with('+') => Ok(Self::Number(number)),
            _ => text.parse().map(Self::Tagged),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "version {number}"),
            Self::Tagged(tag) => write!(f, "version tagged {tag}"),
        }
    }
}

/// Which version, and the entry's name, if this is the name of a version.
pub fn parts(name: &Name) -> Option<(Which, Name)> {
    let which = Which::of_label(name.first_label()?)?;
    let versions = name.parent()?;
    let entry = versions.parent()?;
    (versions.first_label() == Some(VERSIONS_LABEL)).then_some((which, entry))
}

impl FromStr for Tag {
    type Err = BadTag;

    fn from_str(text: &str) -> Result<Self, BadTag> {
        let usual = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let fits =
            text.len() <= TAG_BYTES_MAX && text.starts_with(|c: char| c.is_ascii_lowercase());
        let numbered = text
            .strip_prefix('v')
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        if fits && text.bytes().all(usual) && !numbered {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadTag)
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Canonical for Tag {
    fn encode(&self, out: &mut Encoder) {
        out.text(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let text = input.text("tag", TAG_BYTES_MAX)?;
        text.parse()
            .map_err(|BadTag| DecodeError::NotCanonical { what: "tag" })
    }
}

/// Whether a name speaks of versions: only the index knows such names.
pub fn is_about_versions(name: &Name) -> bool {
    name.labels_down().any(|label| label == VERSIONS_LABEL)
}

impl Canonical for Tagged {
    fn encode(&self, out: &mut Encoder) {
        self.tag.encode(out);
        out.u64(self.number);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            tag: Tag::decode(input)?,
            number: input.u64()?,
        })
    }
}

/// Reads the tags of an entry: in order, each once.
pub fn read_tags(input: &mut Decoder<'_>) -> Result<Vec<Tagged>, DecodeError> {
    let tags: Vec<Tagged> = input.list("tags", TAGS_MAX)?;
    if tags.is_sorted_by(|a, b| a.tag < b.tag) {
        Ok(tags)
    } else {
        Err(DecodeError::NotCanonical { what: "tags" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_version_has_one_name_and_comes_back_from_it() {
        let entry = name("api.eu.mesh.internal.");
        let tagged = |tag: &str| Which::Tagged(tag.parse().unwrap());
        for (which, label) in [
            (Which::Number(1), "_v1"),
            (Which::Number(u64::MAX), "_v18446744073709551615"),
            (tagged("stable"), "_stable"),
            (tagged("r2026-11"), "_r2026-11"),
            (tagged("v3-rc1"), "_v3-rc1"),
        ] {
            let of_version = which.name_below(&entry).unwrap();
            let text = format!("{label}._ver.api.eu.mesh.internal.");
            assert_eq!(of_version, name(&text));
            assert_eq!(parts(&of_version), Some((which, entry.clone())));
        }
        for other in [
            "_v0._ver.a.",
            "_v03._ver.a.",
            "_v._ver.a.",
            "__x._ver.a.",
            "_a_b._ver.a.",
            "_3._ver.a.",
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
