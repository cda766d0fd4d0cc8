//! `Digest`: BLAKE3 under a domain label.

use std::fmt;
use std::str::FromStr;

use super::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};

/// A 256-bit BLAKE3 digest in derive-key mode; equal bytes under two labels never collide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct BadDigest;

impl Digest {
    /// The digest of nothing: an empty subtree, the predecessor of a genesis block.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest of a standing object, under its own label.
    pub fn of<T: Form>(object: &T) -> Self {
        Self::of_bytes(T::LABEL, &object.to_bytes())
    }

    /// The digest of bytes under a label.
    pub fn of_bytes(label: &str, bytes: &[u8]) -> Self {
        Self(blake3::derive_key(label, bytes))
    }

    /// The keyed digest of bytes that have a fixed shape; cheaper than a label for short inputs.
    pub fn keyed(key: &[u8; 32], bytes: &[u8]) -> Self {
        Self(*blake3::keyed_hash(key, bytes).as_bytes())
    }

    /// A digest taken from stored or received bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

/// A digest of bytes that come in parts.
#[derive(Debug, Clone)]
pub struct DigestStream(Box<blake3::Hasher>);

impl DigestStream {
    /// Nothing yet, under a label.
    pub fn new(label: &str) -> Self {
        Self(Box::new(blake3::Hasher::new_derive_key(label)))
    }

    /// The next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything so far, as [`Digest::of_bytes`] gives it for the same bytes.
    pub fn digest(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .map_err(|_| BadDigest)?;
        bytes.try_into().map(Self).map_err(|_| BadDigest)
    }
}

impl Canonical for Digest {
    fn encode(&self, out: &mut Encoder) {
        out.fixed(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_under_two_labels_differ() {
        assert_ne!(Digest::of_bytes("a", b"x"), Digest::of_bytes("b", b"x"));
    }

    #[test]
    fn bytes_in_parts_have_the_digest_of_the_whole() {
        let mut stream = DigestStream::new("a");
        stream.push(b"x");
        stream.push(b"yz");
        assert_eq!(stream.digest(), Digest::of_bytes("a", b"xyz"));
    }

    #[test]
    fn text_comes_back() {
        let digest = Digest::of_bytes("a", b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("12".parse::<Digest>(), Err(BadDigest));
    }
}
