//! `Secret`: 32 bytes that are shared by two and shown to nobody else.

use std::fmt;

use zeroize::Zeroizing;

use super::canonical::{Canonical, DecodeError, Decoder, Encoder};
use super::digest::Digest;

/// A symmetric secret; erased from memory on drop, never shown, compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// A secret of 32 unpredictable bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret that follows from this one and public bytes, under a label of its own.
    #[must_use]
    pub fn derive(&self, label: &str, public: &[u8]) -> Self {
        let mut material = Zeroizing::new(Vec::with_capacity(self.0.len() + public.len()));
        material.extend_from_slice(self.0.as_slice());
        material.extend_from_slice(public);
        Self::new(blake3::derive_key(label, &material))
    }

    /// A digest that may be shown: nothing leads back from it, nor from it to another label's.
    pub fn shown_as(&self, label: &str) -> Digest {
        Digest::from_bytes(*self.derive(label, &[]).0)
    }

    /// What only a holder of this secret can say about bytes. A secret is used for one purpose:
    /// derive one first.
    pub fn code(&self, bytes: &[u8]) -> Digest {
        Digest::keyed(&self.0, bytes)
    }

    /// Whether `code` is this secret's over `bytes`, in a time that does not depend on where they
    /// differ.
    pub fn vouches(&self, bytes: &[u8], code: &Digest) -> bool {
        // The comparison of BLAKE3's own type is of constant time.
        blake3::keyed_hash(&self.0, bytes) == blake3::Hash::from_bytes(*code.as_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        blake3::Hash::from_bytes(*self.0) == blake3::Hash::from_bytes(*other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Canonical for Secret {
    fn encode(&self, out: &mut Encoder) {
        out.fixed(self.0.as_slice());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_holds_for_its_secret_and_bytes_only() {
        let secret = Secret::new([1; 32]);
        let code = secret.code(b"bytes");
        assert!(secret.vouches(b"bytes", &code));
        assert!(!secret.vouches(b"byte", &code));
        assert!(!Secret::new([2; 32]).vouches(b"bytes", &code));
        assert!(!secret.derive("a", b"").vouches(b"bytes", &code));
    }

    #[test]
    fn labels_and_public_bytes_lead_to_other_secrets() {
        let secret = Secret::new([1; 32]);
        let derived = secret.derive("a", b"x");
        assert!(derived == secret.derive("a", b"x"));
        assert!(derived != secret.derive("b", b"x") && derived != secret.derive("a", b"y"));
        assert_ne!(secret.shown_as("a"), secret.shown_as("b"));
    }

    #[test]
    fn debug_output_holds_nothing_of_it() {
        assert_eq!(format!("{:?}", Secret::new([7; 32])), "Secret");
    }
}
