//! The one byte encoding that is hashed, signed and stored.
//!
//! Integers are big-endian and of fixed width; byte strings and lists carry a `u32` length; an
//! option is a `0` or `1` byte; an enum is a tag byte. A value has exactly one encoding: decoding
//! refuses everything else, trailing bytes included.

use std::net::IpAddr;

use super::limits::CANONICAL_LIST_MAX;

/// Most stored objects are slots, versions and headers of this size; growing to it in steps costs
/// more than the bytes themselves.
const FORM_BYTES_USUAL: usize = 512;

/// Why bytes are not the canonical form of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ended inside a value.
    #[error("the input ends inside a value, {missing} bytes short")]
    Short {
        /// How many bytes were missing.
        missing: usize,
    },
    /// Bytes follow the value.
    #[error("{count} bytes follow the value")]
    Trailing {
        /// How many bytes were left over.
        count: usize,
    },
    /// A tag byte that names no variant.
    #[error("tag {tag} is not a {what}")]
    Tag {
        /// What was being read.
        what: &'static str,
        /// The byte found.
        tag: u8,
    },
    /// The bytes are of another kind of object.
    #[error("expected a {expected}")]
    Label {
        /// The label that was expected.
        expected: &'static str,
    },
    /// The object is of a version this program does not know.
    #[error("{label} of version {found}; this program reads version {known}")]
    Version {
        /// The object's label.
        label: &'static str,
        /// The version found.
        found: u8,
        /// The newest version this program reads.
        known: u8,
    },
    /// A value outside its bounds, or not in canonical order or form.
    #[error("{what} is not in its canonical form")]
    NotCanonical {
        /// What was being read.
        what: &'static str,
    },
    /// A length above its limit.
    #[error("{what} is longer than {max}")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// Appends canonical bytes to a buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty encoder with room for this many bytes.
    pub fn with_capacity(byte_count: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(byte_count),
        }
    }

    /// The bytes written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Writes a boolean as `0` or `1`.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Writes a 16-bit integer.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes a 64-bit integer.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes bytes whose length the format fixes.
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a length and that many bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.fixed(bytes);
    }

    /// Writes UTF-8 text as bytes.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes a `0` byte, or a `1` byte and the value.
    pub fn option<T: Canonical>(&mut self, value: Option<&T>) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                value.encode(self);
            }
        }
    }

    /// Writes a count and the values in order.
    pub fn list<T: Canonical>(&mut self, values: &[T]) {
        self.count(values.len());
        for value in values {
            value.encode(self);
        }
    }

    /// Writes the length of what follows. Every list and string has a limit far below
    /// `u32::MAX`.
    pub fn count(&mut self, length: usize) {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
    }
}

/// Reads canonical bytes, refusing what [`Encoder`] would not have written.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Ends the reading; an error if bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { count }),
        }
    }

    /// Reads `count` bytes.
    pub fn fixed(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            return Err(DecodeError::Short {
                missing: count - self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(head)
    }

    /// Reads an array of `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::Short {
                missing: N - self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(*head)
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads a boolean.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(DecodeError::Tag {
                what: "boolean",
                tag,
            }),
        }
    }

    /// Reads a 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a byte string of at most `max` bytes.
    pub fn bytes(&mut self, what: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        let length = self.count(what, max)?;
        self.fixed(length)
    }

    /// Reads UTF-8 text of at most `max` bytes.
    pub fn text(&mut self, what: &'static str, max: usize) -> Result<String, DecodeError> {
        let bytes = self.bytes(what, max)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(DecodeError::NotCanonical { what }),
        }
    }

    /// Reads an optional value.
    pub fn option<T: Canonical>(&mut self) -> Result<Option<T>, DecodeError> {
        if self.bool()? {
            T::decode(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Reads a list of at most `max` values.
    pub fn list<T: Canonical>(
        &mut self,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count(what, max.min(CANONICAL_LIST_MAX))?;
        // Every value takes at least one byte, so a lying count cannot reserve more than was sent.
        let mut values = Vec::with_capacity(count.min(self.rest.len()));
        for _ in 0..count {
            values.push(T::decode(self)?);
        }
        Ok(values)
    }

    /// Reads a length of at most `max`.
    pub fn count(&mut self, what: &'static str, max: usize) -> Result<usize, DecodeError> {
        match usize::try_from(self.u32()?) {
            Ok(length) if length <= max => Ok(length),
            _ => Err(DecodeError::TooLong { what, max }),
        }
    }
}

/// A value with one canonical encoding.
pub trait Canonical: Sized {
    /// Appends the value's bytes.
    fn encode(&self, out: &mut Encoder);

    /// Reads a value; never reads past it, never accepts two encodings of it.
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// The number of the family, and the address.
impl Canonical for IpAddr {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::V4(address) => {
                out.u8(4);
                out.fixed(&address.octets());
            }
            Self::V6(address) => {
                out.u8(6);
                out.fixed(&address.octets());
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            4 => Ok(Self::from(input.array::<4>()?)),
            6 => Ok(Self::from(input.array::<16>()?)),
            tag => Err(DecodeError::Tag {
                what: "address",
                tag,
            }),
        }
    }
}

impl Canonical for u64 {
    fn encode(&self, out: &mut Encoder) {
        out.u64(*self);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.u64()
    }
}

/// A canonical value that stands alone: hashed, signed or stored under its own label and version.
pub trait Form: Canonical {
    /// Names the kind of object; the domain of its digests and signatures.
    const LABEL: &'static str;
    /// The version of the encoding.
    const VERSION: u8 = 1;

    /// The object's bytes: label length, label, version, value.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Encoder::with_capacity(FORM_BYTES_USUAL);
        out.u8(u8::try_from(Self::LABEL.len()).unwrap_or(u8::MAX));
        out.fixed(Self::LABEL.as_bytes());
        out.u8(Self::VERSION);
        self.encode(&mut out);
        out.into_bytes()
    }

    /// Reads the object back from all of `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let length = input.u8()?;
        let label = input.fixed(usize::from(length))?;
        if label != Self::LABEL.as_bytes() {
            return Err(DecodeError::Label {
                expected: Self::LABEL,
            });
        }
        let version = input.u8()?;
        if version != Self::VERSION {
            return Err(DecodeError::Version {
                label: Self::LABEL,
                found: version,
                known: Self::VERSION,
            });
        }
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

/// Writes an enum without fields as its tag byte.
macro_rules! tagged {
    ($type:ty, $what:literal, $($variant:path = $tag:literal,)*) => {
        impl Canonical for $type {
            fn encode(&self, out: &mut Encoder) {
                out.u8(match self { $($variant => $tag,)* });
            }

            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                match input.u8()? {
                    $($tag => Ok($variant),)*
                    tag => Err(DecodeError::Tag { what: $what, tag }),
                }
            }
        }
    };
}

pub(crate) use tagged;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Pair(u64, Option<u64>);

    impl Canonical for Pair {
        fn encode(&self, out: &mut Encoder) {
            out.u64(self.0);
            out.option(self.1.as_ref());
        }

        fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
            Ok(Self(input.u64()?, input.option()?))
        }
    }

    impl Form for Pair {
        const LABEL: &'static str = "test/pair";
    }

    #[test]
    fn a_form_comes_back_and_starts_with_its_label_and_version() {
        let pair = Pair(7, Some(9));
        let bytes = pair.to_bytes();
        assert_eq!(&bytes[..11], b"\x09test/pair\x01");
        assert_eq!(Pair::from_bytes(&bytes), Ok(pair));
    }

    #[test]
    fn every_truncation_and_every_extension_is_refused() {
        let mut bytes = Pair(7, Some(9)).to_bytes();
        for length in 0..bytes.len() {
            assert!(
                Pair::from_bytes(&bytes[..length]).is_err(),
                "length {length}"
            );
        }
        bytes.push(0);
        assert_eq!(
            Pair::from_bytes(&bytes),
            Err(DecodeError::Trailing { count: 1 })
        );
    }

    #[test]
    fn a_lying_length_is_refused_without_reserving_it() {
        let mut input = Decoder::new(&[0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(
            input.list::<u64>("list", 10),
            Err(DecodeError::TooLong {
                what: "list",
                max: 10
            })
        );
    }

    #[test]
    fn a_newer_version_says_so() {
        let mut bytes = Pair(7, None).to_bytes();
        bytes[10] = 2;
        assert_eq!(
            Pair::from_bytes(&bytes),
            Err(DecodeError::Version {
                label: "test/pair",
                found: 2,
                known: 1
            })
        );
    }
}
