//! `PublicKey`, `SecretKey` and `Signature` over ed25519, and `Signer`: who signs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use super::canonical::{Canonical, DecodeError, Decoder, Encoder};
use super::checked::CHECKED;

/// A verifying key: the identity of an anchor, a registrar or an author.
///
/// Any 32 bytes decode, since finding out whether they are a point costs more than all else that
/// is read with them. Bytes that are none verify no signature, and no government may name them:
/// see [`Self::is_usable`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// A signing key; erased from memory on drop and never shown.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// What signs in the name of a public key: a secret key, or somebody else who has it.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public key.
    fn public(&self) -> PublicKey;

    /// Signs a message.
    ///
    /// # Errors
    /// If whoever has the key did not sign; a key that is held here always does.
    fn try_sign(&self, message: &[u8]) -> Result<Signature, NotSigned>;
}

/// A signature that was asked for and not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {} did not sign: {reason}", key.short())]
pub struct NotSigned {
    /// The key.
    pub key: PublicKey,
    /// Why, in the words of whoever has it.
    pub reason: String,
}

/// Text or bytes that are no usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not 64 hexadecimal digits.
    #[error("expected 64 hexadecimal digits")]
    NotHex,
    /// Not a point of the curve, or one of small order that would accept forged signatures.
    #[error("these bytes are no ed25519 key of full order")]
    NotAKey,
}

impl PublicKey {
    /// Bytes that are no point, and so nobody's key.
    pub const NOBODY: Self = Self([0; 32]);

    /// Checks that the bytes are a point of full order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, BadKey> {
        let key = Self(bytes);
        key.is_usable().then_some(key).ok_or(BadKey::NotAKey)
    }

    /// Whether this is a point of full order, the only kind that verifies anything.
    pub fn is_usable(&self) -> bool {
        ed25519_dalek::VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is this key's over `message`, by the strict rule (RFC 8032 with
    /// small-order points refused), on which every node must agree. One that held lately is not
    /// computed again.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        CHECKED.holds((&self.0, &signature.0), message, || {
            ed25519_dalek::VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
                key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0))
                    .is_ok()
            })
        })
    }

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl SecretKey {
    /// The key whose seed is `seed`; 32 bytes of the operating system's randomness.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The matching public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// The seed, for key files and nothing else.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The seed as hexadecimal text, for key files and nothing else.
    pub fn to_seed_text(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::HEXLOWER.encode(self.0.as_bytes()))
    }

    /// Reads the text of a key file.
    pub fn from_seed_text(text: &str) -> Result<Self, BadKey> {
        let bytes = Zeroizing::new(
            data_encoding::HEXLOWER_PERMISSIVE
                .decode(text.trim().as_bytes())
                .map_err(|_| BadKey::NotHex)?,
        );
        let seed: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| BadKey::NotHex)?;
        Ok(Self::from_seed(seed))
    }
}

impl Signature {
    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// A signature that somebody gave, which may be of nothing.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

impl Signer for SecretKey {
    fn public(&self) -> PublicKey {
        Self::public(self)
    }

    fn try_sign(&self, message: &[u8]) -> Result<Signature, NotSigned> {
        Ok(self.sign(message))
    }
}

impl<S: Signer + ?Sized> Signer for Arc<S> {
    fn public(&self) -> PublicKey {
        S::public(self)
    }

    fn try_sign(&self, message: &[u8]) -> Result<Signature, NotSigned> {
        S::try_sign(self, message)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .map_err(|_| BadKey::NotHex)?;
        Self::from_bytes(bytes.try_into().map_err(|_| BadKey::NotHex)?)
    }
}

impl Canonical for PublicKey {
    fn encode(&self, out: &mut Encoder) {
        out.fixed(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl Canonical for Signature {
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
    fn a_signature_holds_for_its_message_and_key_only() {
        let key = SecretKey::from_seed(&[1; 32]);
        let signature = key.sign(b"message");
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        assert!(
            !SecretKey::from_seed(&[2; 32])
                .public()
                .verifies(b"message", &signature)
        );
    }

    #[test]
    fn a_key_of_small_order_is_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(identity), Err(BadKey::NotAKey));
        let decoded = PublicKey::decode(&mut Decoder::new(&identity)).unwrap();
        assert!(!decoded.is_usable());
        // R is the identity and S is zero: the equation holds for every message.
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(!decoded.verifies(b"message", &Signature(forged)));
    }

    #[test]
    fn debug_output_never_holds_the_seed() {
        let key = SecretKey::from_seed(&[7; 32]);
        assert!(!format!("{key:?}").contains(key.to_seed_text().as_str()));
    }
}
