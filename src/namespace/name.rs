//! `Name`: an absolute DNS name, lower-cased, as uncompressed wire bytes.
//!
//! Letter case carries no meaning in DNS (RFC 4343), so it is dropped at the border; an answer
//! echoes the case of its question because the question's bytes are copied, not because the name
//! kept it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::labels::{Labels, LabelsDown, canonical_order};
use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX, NAME_LABELS_MAX};
use crate::base::short::ShortBytes;

/// Most names, with the length of the whole being whole words.
const IN_PLACE: usize = 32;

/// An absolute, lower-case DNS name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    wire: ShortBytes<IN_PLACE>,
}

/// Why text or bytes are no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Two dots in a row, or a dot at the start.
    #[error("a label is empty")]
    EmptyLabel,
    /// A label above 63 octets.
    #[error("a label is longer than {LABEL_BYTES_MAX} octets")]
    LabelTooLong,
    /// A name above 255 octets.
    #[error("the name is longer than {NAME_BYTES_MAX} octets")]
    NameTooLong,
    /// A backslash not followed by a character or three digits up to 255.
    #[error("a backslash must be followed by a character or by three digits up to 255")]
    Escape,
    /// A byte outside printable ASCII; international names are written as A-labels.
    #[error("a name is written in ASCII; write international labels in their xn-- form")]
    NotAscii,
    /// A name without a final dot where no origin is known.
    #[error("the name is relative and there is no origin")]
    Relative,
    /// No text at all.
    #[error("the name is empty")]
    Empty,
    /// Wire bytes that end early, go on after the root, or use compression.
    #[error("the bytes are no uncompressed name")]
    Wire,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self {
            wire: [0].as_slice().into(),
        }
    }

    /// Builds a name from labels, leftmost first.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, BadName> {
        let mut wire = Vec::with_capacity(32);
        for label in labels {
            push_label(&mut wire, label)?;
        }
        Self::close(wire)
    }

    /// Reads a name that fills all of `wire`; lower-cases it.
    pub fn from_wire(wire: &[u8]) -> Result<Self, BadName> {
        let (name, rest) = Self::split_from_wire(wire)?;
        if rest.is_empty() {
            Ok(name)
        } else {
            Err(BadName::Wire)
        }
    }

    /// Reads an uncompressed name from the front of `wire` and returns what follows it.
    pub fn split_from_wire(wire: &[u8]) -> Result<(Self, &[u8]), BadName> {
        let mut rest = wire;
        let mut used = 0;
        loop {
            let (&length, tail) = rest.split_first().ok_or(BadName::Wire)?;
            used += 1;
            if length == 0 {
                rest = tail;
                break;
            }
            let length = usize::from(length);
            if length > LABEL_BYTES_MAX {
                return Err(BadName::Wire);
            }
            rest = tail.get(length..).ok_or(BadName::Wire)?;
            used += length;
            if used >= NAME_BYTES_MAX {
                return Err(BadName::NameTooLong);
            }
        }
        let bytes = wire.get(..used).ok_or(BadName::Wire)?;
        // Length octets are at most 63 and thus never upper-case letters.
        Ok((
            Self {
                wire: bytes.to_ascii_lowercase().into(),
            },
            rest,
        ))
    }

    /// Reads master-file text (RFC 1035 section 5.1); a name without a final dot is completed by
    /// `origin`, and `@` is the origin itself.
    pub fn parse(text: &[u8], origin: Option<&Self>) -> Result<Self, BadName> {
        match text {
            b"" => return Err(BadName::Empty),
            b"@" => return origin.cloned().ok_or(BadName::Relative),
            b"." => return Ok(Self::root()),
            _ => {}
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::with_capacity(LABEL_BYTES_MAX);
        let mut rest = text;
        let mut absolute = false;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match byte {
                b'.' => {
                    push_label(&mut wire, &label)?;
                    label.clear();
                    absolute = rest.is_empty();
                }
                b'\\' => {
                    let (byte, tail) = unescape(rest).ok_or(BadName::Escape)?;
                    label.push(byte);
                    rest = tail;
                }
                0x21..=0x7e => label.push(byte),
                _ => return Err(BadName::NotAscii),
            }
        }
        if absolute {
            return Self::close(wire);
        }
        push_label(&mut wire, &label)?;
        let origin = origin.ok_or(BadName::Relative)?;
        if wire.len() + origin.wire.len() > NAME_BYTES_MAX {
            return Err(BadName::NameTooLong);
        }
        wire.extend_from_slice(&origin.wire);
        Ok(Self { wire: wire.into() })
    }

    /// Reads what a person types: a missing final dot is added.
    pub fn parse_typed(text: &str) -> Result<Self, BadName> {
        Self::parse(text.as_bytes(), Some(&Self::root()))
    }

    fn close(mut wire: Vec<u8>) -> Result<Self, BadName> {
        wire.push(0);
        if wire.len() > NAME_BYTES_MAX {
            return Err(BadName::NameTooLong);
        }
        Ok(Self { wire: wire.into() })
    }

    /// The wire bytes, root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.wire
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.len() == 1
    }

    /// The labels, leftmost first, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels::new(&self.wire)
    }

    /// The labels, from the root side to the left.
    pub fn labels_down(&self) -> LabelsDown<'_> {
        LabelsDown::new(&self.wire)
    }

    /// How many labels there are, the root not counted.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The leftmost label.
    pub fn first_label(&self) -> Option<&[u8]> {
        self.labels().next()
    }

    /// Whether the leftmost label is `*` (RFC 4592).
    pub fn is_wildcard(&self) -> bool {
        self.first_label() == Some(b"*")
    }

    /// The name without its leftmost label; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let (&length, tail) = self.wire.split_first()?;
        if length == 0 {
            return None;
        }
        tail.get(usize::from(length)..)
            .map(|wire| Self { wire: wire.into() })
    }

    /// The name with a label before it.
    pub fn child(&self, label: &[u8]) -> Result<Self, BadName> {
        let mut wire = Vec::with_capacity(self.wire.len() + label.len() + 1);
        push_label(&mut wire, label)?;
        wire.extend_from_slice(&self.wire);
        if wire.len() > NAME_BYTES_MAX {
            return Err(BadName::NameTooLong);
        }
        Ok(Self { wire: wire.into() })
    }

    /// The last `count` labels as a name.
    #[must_use]
    pub fn suffix(&self, count: usize) -> Self {
        let skip = self.label_count().saturating_sub(count);
        let mut rest: &[u8] = &self.wire;
        for _ in 0..skip {
            rest = match rest.split_first() {
                Some((&length, tail)) => tail.get(usize::from(length)..).unwrap_or(&[0]),
                None => &[0],
            };
        }
        Self { wire: rest.into() }
    }

    /// Whether this name is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        // A byte suffix is a label suffix only if it starts where a label starts.
        let Some(start) = self.wire.len().checked_sub(ancestor.wire.len()) else {
            return false;
        };
        if self.wire.get(start..) != Some(&ancestor.wire) {
            return false;
        }
        let mut at = 0;
        while at < start {
            match self.wire.get(at) {
                Some(&length) => at += 1 + usize::from(length),
                None => return false,
            }
        }
        at == start
    }

    /// This name with its suffix `from` replaced by `to` (RFC 6672 section 2.2).
    pub fn rebase(&self, from: &Self, to: &Self) -> Result<Self, BadName> {
        let keep = self
            .wire
            .len()
            .checked_sub(from.wire.len())
            .ok_or(BadName::Relative)?;
        let mut wire = self.wire.get(..keep).unwrap_or_default().to_vec();
        wire.extend_from_slice(&to.wire);
        if wire.len() > NAME_BYTES_MAX {
            return Err(BadName::NameTooLong);
        }
        Ok(Self { wire: wire.into() })
    }
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), BadName> {
    match u8::try_from(label.len()) {
        Ok(0) => Err(BadName::EmptyLabel),
        Ok(length) if label.len() <= LABEL_BYTES_MAX => {
            wire.push(length);
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
            if wire.len() >= NAME_BYTES_MAX {
                Err(BadName::NameTooLong)
            } else {
                Ok(())
            }
        }
        _ => Err(BadName::LabelTooLong),
    }
}

/// Reads what follows a backslash: one character, or three decimal digits (RFC 1035 section 5.1).
pub fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let value = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            Some((u8::try_from(value).ok()?, rest))
        }
        [b'0'..=b'9', ..] | [] => None,
        [byte, rest @ ..] => Some((*byte, rest)),
    }
}

/// Writes a label so that [`Name::parse`] reads it back.
pub fn write_label(out: &mut impl fmt::Write, label: &[u8]) -> fmt::Result {
    for &byte in label {
        match byte {
            b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                write!(out, "\\{}", char::from(byte))?;
            }
            0x21..=0x7e => out.write_char(char::from(byte))?,
            _ => write!(out, "\\{byte:03}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            write_label(f, label)?;
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::parse_typed(text)
    }
}

impl Ord for Name {
    /// The canonical order of RFC 4034 section 6.1: label by label from the root.
    fn cmp(&self, other: &Self) -> Ordering {
        canonical_order(&self.wire, &other.wire)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Canonical for Name {
    fn encode(&self, out: &mut Encoder) {
        out.fixed(&self.wire);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        const WHAT: &str = "name";
        let mut wire = Vec::with_capacity(32);
        for _ in 0..=NAME_LABELS_MAX {
            let length = input.u8()?;
            wire.push(length);
            if length == 0 {
                if wire.len() > NAME_BYTES_MAX || wire.iter().any(u8::is_ascii_uppercase) {
                    break;
                }
                return Ok(Self { wire: wire.into() });
            }
            if usize::from(length) > LABEL_BYTES_MAX {
                break;
            }
            wire.extend_from_slice(input.fixed(usize::from(length))?);
        }
        Err(DecodeError::NotCanonical { what: WHAT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn text_comes_back_lower_case_with_its_escapes() {
        for (typed, shown) in [
            ("API.Eu.Mesh.Internal", "api.eu.mesh.internal."),
            (".", "."),
            ("a\\.b.c.", "a\\.b.c."),
            ("a\\007b.", "a\\007b."),
            ("\\065.", "a."),
        ] {
            assert_eq!(name(typed).to_string(), shown);
            assert_eq!(name(shown), name(typed));
        }
    }

    #[test]
    fn what_is_no_name_is_refused_for_the_right_reason() {
        let long_label = "a".repeat(64);
        let long_name = "abcdefg.".repeat(32);
        for (text, reason) in [
            ("", BadName::Empty),
            ("a..b", BadName::EmptyLabel),
            (".a", BadName::EmptyLabel),
            ("a\\", BadName::Escape),
            ("a\\25", BadName::Escape),
            ("a\\256", BadName::Escape),
            ("a b", BadName::NotAscii),
            ("é", BadName::NotAscii),
            (long_label.as_str(), BadName::LabelTooLong),
            (long_name.as_str(), BadName::NameTooLong),
        ] {
            assert_eq!(text.parse::<Name>(), Err(reason), "{text}");
        }
        assert_eq!(Name::parse(b"a", None), Err(BadName::Relative));
    }

    #[test]
    fn the_longest_name_is_allowed() {
        let text = format!(
            "{}.{}.{}.{}.",
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(61)
        );
        assert_eq!(name(&text).as_wire().len(), NAME_BYTES_MAX);
        assert_eq!(
            "1.".repeat(127).parse::<Name>().unwrap().label_count(),
            NAME_LABELS_MAX
        );
    }

    #[test]
    fn names_sort_in_canonical_order() {
        // The example of RFC 4034 section 6.1.
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "z.a.example.",
            "zabc.a.example.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let names: Vec<Name> = sorted.iter().map(|text| name(text)).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn within_means_whole_labels() {
        assert!(name("a.example.").is_within(&name("example.")));
        assert!(name("example.").is_within(&name("example.")));
        assert!(name("a.").is_within(&Name::root()));
        assert!(!name("badexample.").is_within(&name("example.")));
        // A length octet inside a label must not look like a label's start.
        assert!(!name("x\\007example.").is_within(&name("example.")));
    }

    #[test]
    fn a_suffix_is_replaced_as_a_dname_does() {
        let got = name("a.b.old.example.")
            .rebase(&name("old.example."), &name("new.test."))
            .unwrap();
        assert_eq!(got, name("a.b.new.test."));
        assert_eq!(name("a.b.c.").suffix(2), name("b.c."));
        assert_eq!(name("a.b.c.").suffix(9), name("a.b.c."));
    }

    #[test]
    fn wire_bytes_are_checked_and_lower_cased() {
        assert_eq!(Name::from_wire(b"\x01A\x00").unwrap(), name("a."));
        for bad in [&b""[..], b"\x01", b"\x01a", b"\xc0\x00", b"\x01a\x00x"] {
            assert!(Name::from_wire(bad).is_err(), "{bad:?}");
        }
    }
}
