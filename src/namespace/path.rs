//! `NamePath`: labels from a scope or a zone downwards, as bytes that sort like the names.
//!
//! Each label is followed by `0x00`; inside a label `0x00` is written `01 01` and `0x01` is
//! written `01 02`. Byte order is then the canonical order of RFC 4034 section 6.1, and the paths
//! below a path are exactly those that start with its bytes.

use std::fmt;

use super::name::{BadName, Name, write_label};
use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};
use crate::base::short::ShortBytes;

const END: u8 = 0;
const ESCAPE: u8 = 1;
/// Most paths are of one or two labels.
const IN_PLACE: usize = 24;
/// Every byte of a name escaped, and an end byte a label.
const PATH_BYTES_MAX: usize = 2 * NAME_BYTES_MAX;

/// Labels below a scope or zone, topmost first; empty for the scope or zone itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NamePath {
    bytes: ShortBytes<IN_PLACE>,
}

impl NamePath {
    /// The path of the scope or zone itself.
    pub const fn empty() -> Self {
        Self {
            bytes: ShortBytes::new(),
        }
    }

    /// The labels of `name` below `top`, or none if it does not lie there.
    pub fn between(name: &Name, top: &Name) -> Option<Self> {
        if !name.is_within(top) {
            return None;
        }
        let mut path = Self::empty();
        for label in name.labels_down().skip(top.label_count()) {
            path.push(label);
        }
        Some(path)
    }

    /// Adds a label below the last one. The label's bytes are those of a [`Name`].
    pub fn push(&mut self, label: &[u8]) {
        for &byte in label {
            match byte {
                END => self.bytes.extend_from_slice(&[ESCAPE, 1]),
                ESCAPE => self.bytes.extend_from_slice(&[ESCAPE, 2]),
                _ => self.bytes.push(byte),
            }
        }
        self.bytes.push(END);
    }

    /// This path and one label more.
    #[must_use]
    pub fn child(&self, label: &[u8]) -> Self {
        let mut path = self.clone();
        path.push(label);
        path
    }

    /// The path without its last label; none for the empty path.
    pub fn parent(&self) -> Option<Self> {
        let (_, before) = self.bytes.split_last()?;
        let end = before
            .iter()
            .rposition(|&byte| byte == END)
            .map_or(0, |at| at + 1);
        before.get(..end).map(|bytes| Self {
            bytes: bytes.into(),
        })
    }

    /// Every path above this one, nearest first, the empty path last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The labels, topmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = Vec<u8>> {
        let mut labels: Vec<Vec<u8>> = self
            .bytes
            .split(|&byte| byte == END)
            .map(unescape_label)
            .collect();
        labels.pop();
        labels.into_iter()
    }

    /// How many labels there are.
    pub fn label_count(&self) -> usize {
        self.bytes.split(|&byte| byte == END).count() - 1
    }

    /// Whether this is the path of the scope or zone itself.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether this path is `above` or lies below it.
    pub fn is_within(&self, above: &Self) -> bool {
        self.bytes.starts_with(&above.bytes)
    }

    /// This path with its leading `from` replaced by `to`; none if it does not lie there.
    pub fn rebase(&self, from: &Self, to: &Self) -> Option<Self> {
        let rest = self.bytes.strip_prefix(&*from.bytes)?;
        let mut bytes = to.bytes.clone();
        bytes.extend_from_slice(rest);
        Some(Self { bytes })
    }

    /// The bytes that sort like the names.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The absolute name of this path below `top`.
    pub fn to_name(&self, top: &Name) -> Result<Name, BadName> {
        let mut name = top.clone();
        for label in self.labels() {
            name = name.child(&label)?;
        }
        Ok(name)
    }

    /// Checks bytes that claim to be a path's.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut name_length = 1;
        let mut label_length = 0;
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match byte {
                END if label_length == 0 || label_length > LABEL_BYTES_MAX => return None,
                END => {
                    name_length += label_length + 1;
                    label_length = 0;
                    continue;
                }
                ESCAPE => match rest.split_first() {
                    Some((1 | 2, tail)) => rest = tail,
                    _ => return None,
                },
                b'A'..=b'Z' => return None,
                _ => {}
            }
            label_length += 1;
        }
        (label_length == 0 && name_length <= NAME_BYTES_MAX).then(|| Self {
            bytes: bytes.into(),
        })
    }
}

fn unescape_label(escaped: &[u8]) -> Vec<u8> {
    let mut label = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        if byte == ESCAPE {
            label.push(bytes.next().map_or(0, |&byte| byte.wrapping_sub(1)));
        } else {
            label.push(byte);
        }
    }
    label
}

impl fmt::Display for NamePath {
    /// The labels in DNS order without a final dot; `@` for the empty path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("@");
        }
        for (index, label) in self.labels().rev().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            write_label(f, &label)?;
        }
        Ok(())
    }
}

impl fmt::Debug for NamePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamePath({self})")
    }
}

impl Canonical for NamePath {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(&self.bytes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::from_bytes(input.bytes("path", PATH_BYTES_MAX)?)
            .ok_or(DecodeError::NotCanonical { what: "path" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_name() -> impl Strategy<Value = Name> {
        let label = prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..6),
            proptest::collection::vec(0u8..3, 1..4)
        ];
        proptest::collection::vec(label, 0..5)
            .prop_map(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap())
    }

    proptest! {
        #[test]
        fn paths_sort_like_names_and_come_back(a in any_name(), b in any_name()) {
            let (root, pa, pb) = (Name::root(), NamePath::between(&a, &Name::root()).unwrap(),
                NamePath::between(&b, &Name::root()).unwrap());
            prop_assert_eq!(pa.cmp(&pb), a.cmp(&b));
            prop_assert_eq!(pa.to_name(&root).unwrap(), a.clone());
            prop_assert_eq!(NamePath::from_bytes(pa.as_bytes()), Some(pa.clone()));
            prop_assert_eq!(pa.is_within(&pb), a.is_within(&b));
            prop_assert_eq!(pa.label_count(), a.label_count());
        }
    }

    #[test]
    fn ancestors_end_with_the_empty_path() {
        let name: Name = "a.b.c.top.".parse().unwrap();
        let path = NamePath::between(&name, &"top.".parse().unwrap()).unwrap();
        let shown: Vec<String> = path.ancestors().map(|path| path.to_string()).collect();
        assert_eq!(shown, ["b.c", "c", "@"]);
        assert_eq!(path.to_string(), "a.b.c");
    }

    #[test]
    fn bytes_that_no_name_gives_are_refused() {
        for bad in [
            &b"a"[..],
            b"\x00",
            b"a\x00\x00",
            b"\x01\x03\x00",
            b"\x01",
            b"A\x00",
        ] {
            assert_eq!(NamePath::from_bytes(bad), None, "{bad:?}");
        }
    }
}
