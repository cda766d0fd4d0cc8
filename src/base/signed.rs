//! `Signed<T>` becomes `Verified<T>` in one place only.

use std::sync::Arc;

use super::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use super::digest::Digest;
use super::keys::{NotSigned, PublicKey, Signature, Signer};
use super::limits::PROPOSAL_BYTES_MAX;

/// An object that names its own signer.
pub trait Authored: Form {
    /// The key that must have signed it.
    fn signer(&self) -> PublicKey;
}

/// An object, the bytes that were signed and a signature that nobody has checked yet. The bytes
/// are the object's own: they were decoded to it, or were seen to give it back.
#[derive(Debug)]
pub struct Signed<T> {
    object: Arc<T>,
    bytes: Arc<[u8]>,
    signature: Signature,
}

/// An object whose signature by its named signer was checked, or made here by that signer.
#[derive(Debug)]
pub struct Verified<T> {
    signed: Signed<T>,
    digest: Digest,
}

/// Why an object could not be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// It is too long, or its own bytes do not give it back; what is sealed must be readable for
    /// ever.
    #[error("the object has no canonical form: {0}")]
    Form(#[from] DecodeError),
    /// The key at hand is not the one that the object names.
    #[error("the object is to be signed by key {signer}")]
    OtherKey {
        /// The key that should sign.
        signer: PublicKey,
    },
    /// Whoever has the key did not sign.
    #[error(transparent)]
    Signer(#[from] NotSigned),
}

/// Why an object is not taken as its signer's word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// The signature is not the signer's.
    #[error("the signature is not by key {signer}")]
    Signature {
        /// The key that should have signed.
        signer: PublicKey,
    },
}

impl<T: Authored + PartialEq> Signed<T> {
    /// Signs an object; the key must be the one the object names, or verifying will refuse it.
    ///
    /// # Errors
    /// If the object is too long, if its bytes do not give it back, or if the signer does not sign.
    pub fn new<K: Signer + ?Sized>(object: T, key: &K) -> Result<Self, SigningError> {
        let bytes = object.to_bytes();
        let what = T::LABEL;
        if bytes.len() > PROPOSAL_BYTES_MAX {
            let max = PROPOSAL_BYTES_MAX;
            return Err(DecodeError::TooLong { what, max }.into());
        }
        if T::from_bytes(&bytes)? != object {
            return Err(DecodeError::NotCanonical { what }.into());
        }
        Ok(Self {
            signature: key.try_sign(&bytes)?,
            object: Arc::new(object),
            bytes: bytes.into(),
        })
    }
}

impl<T: Authored> Signed<T> {
    /// An object that is known from elsewhere, and a signature that came by itself.
    pub fn of_parts(object: T, signature: Signature) -> Self {
        Self {
            bytes: object.to_bytes().into(),
            object: Arc::new(object),
            signature,
        }
    }

    /// The signature alone.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Checks that the signature holds, and computes the object's digest.
    pub fn verify(self) -> Result<Verified<T>, NotVerified> {
        let signer = self.object.signer();
        if !signer.verifies(&self.bytes, &self.signature) {
            return Err(NotVerified::Signature { signer });
        }
        Ok(Verified::of(self))
    }

    /// The object's digest; signatures are not part of it.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(T::LABEL, &self.bytes)
    }

    /// How long the signed bytes are.
    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// The object, not to be trusted.
    pub fn unverified(&self) -> &T {
        &self.object
    }
}

impl<T: Authored> Verified<T> {
    /// Signs an object in its signer's name. What this node signed itself is not checked again.
    ///
    /// # Errors
    /// As [`Signed::new`], and if the key is another one.
    pub fn sign<K: Signer + ?Sized>(object: T, key: &K) -> Result<Self, SigningError>
    where
        T: PartialEq,
    {
        let signer = object.signer();
        if signer != key.public() {
            return Err(SigningError::OtherKey { signer });
        }
        Ok(Self::of(Signed::new(object, key)?))
    }

    fn of(signed: Signed<T>) -> Self {
        Self {
            digest: signed.digest(),
            signed,
        }
    }

    /// The object.
    pub fn object(&self) -> &T {
        &self.signed.object
    }

    /// The object's digest; signatures are not part of it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The object with its signature, for storing and passing on.
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }
}

// A clone shares the object: proposals are large and go through many hands.
impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self {
            object: Arc::clone(&self.object),
            bytes: Arc::clone(&self.bytes),
            signature: self.signature,
        }
    }
}

impl<T> Clone for Verified<T> {
    fn clone(&self) -> Self {
        Self {
            signed: self.signed.clone(),
            digest: self.digest,
        }
    }
}

// Canonical bytes are equal exactly when the objects are.
impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.signature == other.signature
    }
}

impl<T> Eq for Signed<T> {}

impl<T> PartialEq for Verified<T> {
    fn eq(&self, other: &Self) -> bool {
        self.signed == other.signed
    }
}

impl<T> Eq for Verified<T> {}

impl<T: Form> Canonical for Signed<T> {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(&self.bytes);
        self.signature.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bytes = input.bytes("signed object", PROPOSAL_BYTES_MAX)?;
        Ok(Self {
            object: Arc::new(T::from_bytes(bytes)?),
            bytes: bytes.into(),
            signature: Signature::decode(input)?,
        })
    }
}
