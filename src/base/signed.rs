//! `Signed<T>` becomes `Verified<T>` in one place only.

use super::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use super::digest::Digest;
use super::keys::{PublicKey, SecretKey, Signature};
use super::limits::PROPOSAL_BYTES_MAX;

/// An object that names its own signer.
pub trait Authored: Form {
    /// The key that must have signed it.
    fn signer(&self) -> PublicKey;
}

/// An object and a signature that nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    object: T,
    signature: Signature,
}

/// An object whose signature by its named signer was checked.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    signed: Signed<T>,
    digest: Digest,
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
    /// The object's own bytes do not give it back; what is sealed must be readable for ever.
    #[error("the object has no canonical form: {0}")]
    Form(DecodeError),
}

impl<T: Authored + PartialEq> Signed<T> {
    /// Signs an object; the key must be the one the object names, or verifying will refuse it.
    pub fn new(object: T, key: &SecretKey) -> Self {
        let signature = key.sign(&object.to_bytes());
        Self { object, signature }
    }

    /// Checks that the object can be read back and that the signature holds, and computes the
    /// object's digest.
    pub fn verify(self) -> Result<Verified<T>, NotVerified> {
        let bytes = self.object.to_bytes();
        let signer = self.object.signer();
        if !signer.verifies(&bytes, &self.signature) {
            return Err(NotVerified::Signature { signer });
        }
        if bytes.len() > PROPOSAL_BYTES_MAX {
            let (what, max) = (T::LABEL, PROPOSAL_BYTES_MAX);
            return Err(NotVerified::Form(DecodeError::TooLong { what, max }));
        }
        match T::from_bytes(&bytes) {
            Ok(read) if read == self.object => {}
            Ok(_) => {
                let what = T::LABEL;
                return Err(NotVerified::Form(DecodeError::NotCanonical { what }));
            }
            Err(error) => return Err(NotVerified::Form(error)),
        }
        Ok(Verified {
            digest: Digest::of_bytes(T::LABEL, &bytes),
            signed: self,
        })
    }

    /// The object, not to be trusted.
    pub fn unverified(&self) -> &T {
        &self.object
    }
}

impl<T> Verified<T> {
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

    /// Gives the object with its signature back.
    pub fn into_signed(self) -> Signed<T> {
        self.signed
    }
}

impl<T: Form> Canonical for Signed<T> {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(&self.object.to_bytes());
        self.signature.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let object = T::from_bytes(input.bytes("signed object", PROPOSAL_BYTES_MAX)?)?;
        Ok(Self {
            object,
            signature: Signature::decode(input)?,
        })
    }
}
