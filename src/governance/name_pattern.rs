//! `NamePattern`: which names of a scope, as grants and access tests mean them.

use std::fmt;
use std::str::FromStr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};
use crate::namespace::path::NamePath;

/// Labels of one pattern: bounds the work of matching one.
const PATTERN_LABELS_MAX: usize = 16;

/// One place of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Any number of labels, none included.
    Any,
    /// One label; a `*` in it stands for any bytes, none included.
    Like(Vec<u8>),
}

/// Which names of a scope: labels relative to it as DNS writes them, lowest first; `*` stands for
/// any bytes inside a label, `**` for any number of labels. `**` alone is every name, `@` the
/// scope's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    /// Topmost first, as paths are.
    parts: Vec<Part>,
}

/// Text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected labels below the scope, lowest first, such as api, *.web or _acme-challenge.**; \
     ** at most twice"
)]
pub struct BadPattern;

/// More would make matching slow and means nothing that two do not.
const ANY_PARTS_MAX: usize = 2;

impl NamePattern {
    /// Every name of the scope.
    pub fn every() -> Self {
        Self {
            parts: vec![Part::Any],
        }
    }

    /// Its parts, topmost first.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether labels, topmost first, are one of these names.
    pub fn matches<L: AsRef<[u8]>>(&self, labels: &[L]) -> bool {
        matches_parts(&self.parts, labels)
    }

    /// Whether a path is one of these names.
    pub fn matches_path(&self, path: &NamePath) -> bool {
        let labels: Vec<Vec<u8>> = path.labels().collect();
        self.matches(&labels)
    }
}

/// Matched piece by piece between the `**`, leftmost first, as `is_like` does inside a label: no
/// name makes this try more than labels times parts.
fn matches_parts<L: AsRef<[u8]>>(parts: &[Part], labels: &[L]) -> bool {
    let mut pieces = parts.split(|part| *part == Part::Any);
    let Some(mut rest) = pieces.next().and_then(|first| after(first, labels)) else {
        return false;
    };
    let mut pieces: Vec<&[Part]> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let found = (0..=rest.len()).find_map(|at| after(piece, rest.get(at..)?));
        match found {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    let end = rest.len().checked_sub(last.len());
    end.and_then(|end| rest.get(end..))
        .is_some_and(|tail| after(last, tail).is_some())
}

/// What follows the labels that parts without `**` match.
fn after<'l, L: AsRef<[u8]>>(parts: &[Part], labels: &'l [L]) -> Option<&'l [L]> {
    let (head, behind) = labels.split_at_checked(parts.len())?;
    let like = |(part, label): (&Part, &L)| match part {
        Part::Like(like) => is_like(like, label.as_ref()),
        Part::Any => false,
    };
    parts.iter().zip(head).all(like).then_some(behind)
}

/// Whether a label is like another one in which `*` stands for any bytes.
fn is_like(like: &[u8], label: &[u8]) -> bool {
    let mut pieces = like.split(|&byte| byte == b'*');
    let Some(mut rest) = pieces.next().and_then(|first| label.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&[u8]> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) =
            (0..=rest.len()).find(|&at| rest.get(at..).is_some_and(|tail| tail.starts_with(piece)))
        else {
            return false;
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

impl FromStr for NamePattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if text == "@" {
            return Ok(Self { parts: Vec::new() });
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(BadPattern);
        }
        let part = |label: &str| {
            let usual = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'@' | b'/');
            if label == "**" {
                Ok(Part::Any)
            } else if label.is_empty()
                || label.len() > LABEL_BYTES_MAX
                || label.contains("**")
                || !label.bytes().all(usual)
            {
                Err(BadPattern)
            } else {
                Ok(Part::Like(label.to_ascii_lowercase().into_bytes()))
            }
        };
        let parts: Vec<Part> = text.rsplit('.').map(part).collect::<Result<_, _>>()?;
        let any = parts.iter().filter(|part| **part == Part::Any).count();
        if parts.len() > PATTERN_LABELS_MAX || any > ANY_PARTS_MAX {
            return Err(BadPattern);
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parts.is_empty() {
            return f.write_str("@");
        }
        for (index, part) in self.parts.iter().rev().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            match part {
                Part::Any => f.write_str("**")?,
                Part::Like(like) => f.write_str(&String::from_utf8_lossy(like))?,
            }
        }
        Ok(())
    }
}

impl Canonical for NamePattern {
    fn encode(&self, out: &mut Encoder) {
        out.text(&self.to_string());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        const NOT_CANONICAL: DecodeError = DecodeError::NotCanonical {
            what: "name pattern",
        };
        let text = input.text("name pattern", NAME_BYTES_MAX)?;
        let pattern: Self = text.parse().map_err(|_| NOT_CANONICAL)?;
        if pattern.to_string() == text {
            Ok(pattern)
        } else {
            Err(NOT_CANONICAL)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::name::Name;

    fn matches(pattern: &str, name: &str) -> bool {
        let name: Name = format!("{name}.").trim_start_matches("@.").parse().unwrap();
        let path = NamePath::between(&name, &Name::root()).unwrap();
        pattern.parse::<NamePattern>().unwrap().matches_path(&path)
    }

    #[test]
    fn patterns_match_labels_and_never_more() {
        assert!(matches("**", "a.b.c") && matches("**", "a"));
        assert!(matches("api", "api") && !matches("api", "x.api") && !matches("api", "api2"));
        assert!(matches("*.web", "a.web") && !matches("*.web", "web"));
        assert!(!matches("*.web", "a.b.web"), "* is one label");
        assert!(matches("**.web", "a.b.web") && matches("**.web", "web"));
        assert!(matches("_acme-challenge.**", "_acme-challenge.a.b"));
        assert!(matches("_acme-challenge.**", "_acme-challenge"));
        assert!(!matches("_acme-challenge.**", "a._acme-challenge.b"));
        assert!(matches("db-*", "db-") && matches("db-*", "db-1") && !matches("db-*", "xdb-1"));
        assert!(matches("a*b*c", "aXbYc") && !matches("a*b*c", "aXcYb"));
        assert!(!matches("ab*bc", "abc"), "pieces do not overlap");
        assert!(matches("API", "api"), "case does not matter");
        assert!(matches("a.**.b.**", "a.x.b") && matches("a.**.b.**", "a.b.b.c"));
        assert!(!matches("a.**.b.**", "a.x.c") && !matches("**.a.b", "b"));
    }

    #[test]
    fn the_scope_itself_is_written_as_at() {
        let own: NamePattern = "@".parse().unwrap();
        assert!(own.matches_path(&NamePath::empty()));
        assert!(!own.matches_path(&NamePath::empty().child(b"a")));
        assert!(NamePattern::every().matches_path(&NamePath::empty()));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "a.",
            "a**",
            "**.a.**.b.**",
            "a b",
            "a\\.b",
            "x/y",
        ] {
            assert_eq!(text.parse::<NamePattern>(), Err(BadPattern), "{text:?}");
        }
        let long = vec!["a"; PATTERN_LABELS_MAX + 1].join(".");
        assert_eq!(long.parse::<NamePattern>(), Err(BadPattern));
    }
}
