//! `Name`: labels from the leaf to the top, with what a generator of zones needs.

use std::fmt::Write as _;

use super::common::Chance;

/// The longest name on the wire (RFC 1035 section 2.3.4).
const BYTES_MAX: usize = 255;

/// A name in small letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) Vec<Vec<u8>>);

impl Name {
    /// Plain text without escapes.
    pub(crate) fn plain(text: &str) -> Self {
        let labels = text.split('.').filter(|label| !label.is_empty());
        Self(labels.map(|label| label.as_bytes().to_vec()).collect())
    }

    /// The name one label below.
    pub(crate) fn child(&self, label: &[u8]) -> Self {
        let mut labels = vec![label.to_vec()];
        labels.extend_from_slice(&self.0);
        Self(labels)
    }

    /// The name without its first label.
    pub(crate) fn parent(&self) -> Self {
        Self(self.0.get(1..).unwrap_or_default().to_vec())
    }

    /// Whether it is the other name or below.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.ends_with(&other.0)
    }

    /// Whether it is below the other name.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        self.0.len() > other.0.len() && self.is_within(other)
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.0.first().is_some_and(|label| label == b"*")
    }

    pub(crate) fn fits(&self) -> bool {
        self.0.iter().map(|label| label.len() + 1).sum::<usize>() < BYTES_MAX
    }

    /// Master file text; letters in random case.
    pub(crate) fn text(&self, chance: &mut Chance) -> String {
        if self.0.is_empty() {
            return ".".into();
        }
        let mut text = String::new();
        for label in &self.0 {
            for byte in mixed(label, chance) {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'*' => {
                        text.push(char::from(byte));
                    }
                    _ => write!(text, "\\{byte:03}").unwrap(),
                }
            }
            text.push('.');
        }
        text
    }

    /// Master file text in small letters, as messages are read.
    pub(crate) fn small(&self) -> String {
        self.text(&mut Chance::new(0)).to_ascii_lowercase()
    }

    /// Wire form; letters in random case.
    pub(crate) fn wire(&self, chance: &mut Chance) -> Vec<u8> {
        let mut wire = Vec::new();
        for label in &self.0 {
            wire.push(u8::try_from(label.len()).unwrap());
            wire.extend(mixed(label, chance));
        }
        wire.push(0);
        wire
    }
}

fn mixed(label: &[u8], chance: &mut Chance) -> Vec<u8> {
    if chance.percent(60) {
        return label.to_vec();
    }
    label
        .iter()
        .map(|byte| {
            if chance.percent(50) {
                byte.to_ascii_uppercase()
            } else {
                *byte
            }
        })
        .collect()
}
