//! Devices: each proves itself to a private scope by a value that changes with every proof.
//!
//! A device and the table of its scope share a chain of secret values. What the device presents is
//! a handle made from the present value, so nothing that others see stays the same. After a proof
//! both go on to the next value; the one before counts until the next is shown, as the answer may
//! have been lost. Older values are those of a copy.

mod challenge;
mod file;
mod presence;
mod proof;
mod record;

use std::fmt;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::Digest;
use crate::base::secret::Secret;

pub use self::challenge::{Asked, Challenge, Challenges, NoChallenge};
pub use self::file::{DeviceFile, Server};
pub use self::presence::{Presences, Present, Shown};
pub use self::proof::{DeviceProof, Statement};
pub use self::record::{Chain, Death, DeviceRecord, DeviceState, Finding};

/// Names a device in the table of its scope and nowhere else: the device does not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceId([u8; 16]);

impl DeviceId {
    const FIRST: Self = Self([0; 16]);
    const LAST: Self = Self([0xff; 16]);

    /// An identity from unpredictable bytes.
    pub fn new(seed: &[u8; 32]) -> Self {
        let (head, _) = seed.split_at(16);
        let mut id = [0; 16];
        id.copy_from_slice(head);
        Self(id)
    }

    /// An identity taken from the table.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// What people and the audit log call the device: ten digits of a digest.
    pub fn short(&self) -> String {
        let digest = Digest::of_bytes("kedge/device-short/1", &self.0);
        digest.to_string().chars().take(SHORT_DIGITS).collect()
    }
}

/// Two devices of one scope in sixty-four meet by chance once in 2^29 tables.
const SHORT_DIGITS: usize = 10;

impl Canonical for DeviceId {
    fn encode(&self, out: &mut Encoder) {
        out.fixed(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self)
    }
}

/// What a device presents in place of a name: public, and another one after each proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(Digest);

impl Handle {
    /// The handle of a value of a chain.
    pub fn of(value: &Secret) -> Self {
        Self(value.shown_as("kedge/device-handle/1"))
    }

    /// A handle that was received.
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.0.short())
    }
}

impl Canonical for Handle {
    fn encode(&self, out: &mut Encoder) {
        self.0.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Digest::decode(input).map(Self)
    }
}

/// Thirty-two unpredictable bytes that are used once: of the node in a challenge, of the device in
/// its proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// Bytes that nobody could foresee.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

impl Canonical for Nonce {
    fn encode(&self, out: &mut Encoder) {
        out.fixed(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self)
    }
}

#[cfg(test)]
mod tests;
