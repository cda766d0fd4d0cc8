//! `DeviceProof`: what a device sends to show that it is where its chain is.

use std::net::IpAddr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::base::text_form::TextForm;
use crate::namespace::scope::ScopeUid;

use super::{Handle, Nonce};

/// What a proof is about. Every part is compared with what the node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The private scope.
    pub scope: ScopeUid,
    /// The handle of the device's present value.
    pub handle: Handle,
    /// The node's challenge.
    pub nonce: Nonce,
    /// What the device adds to the next value.
    pub entropy: Nonce,
    /// The address that shall count as the device's, as the challenge named it.
    pub address: IpAddr,
}

impl Statement {
    /// The value that follows once this statement is accepted.
    pub fn next(&self, value: &Secret) -> Secret {
        let public = [*self.nonce.as_bytes(), *self.entropy.as_bytes()].concat();
        value.derive("kedge/device-step/1", &public)
    }

    /// What the node answers: only who has the next value can say it, so the device knows that the
    /// node has gone on, and no other server can make it go on alone.
    pub fn seal(&self, value: &Secret) -> Digest {
        answer_key(&self.next(value)).code(&self.to_bytes())
    }

    /// Whether an answer is the node's.
    pub fn is_sealed(&self, value: &Secret, seal: &Digest) -> bool {
        answer_key(&self.next(value)).vouches(&self.to_bytes(), seal)
    }
}

fn answer_key(next: &Secret) -> Secret {
    next.derive("kedge/device-answer/1", &[])
}

/// A statement with the codes that vouch for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceProof {
    /// What is said.
    pub statement: Statement,
    /// By the value of the chain: the device is where it says it is.
    pub code: Digest,
    /// By the key that stays the same: this is the device or a copy of it, wherever its chain is.
    /// Without it anybody who saw an old handle could have a device taken for copied.
    pub mark: Digest,
}

impl DeviceProof {
    /// The proof of a holder of both secrets.
    pub fn new(statement: Statement, value: &Secret, mark: &Secret) -> Self {
        let bytes = statement.to_bytes();
        Self {
            code: code_key(value).code(&bytes),
            mark: mark_key(mark).code(&bytes),
            statement,
        }
    }

    /// Whether it comes from a device or a copy of it.
    pub(super) fn is_marked(&self, mark: &Secret) -> bool {
        mark_key(mark).vouches(&self.statement.to_bytes(), &self.mark)
    }

    /// Whether its maker has a value of a chain.
    pub(super) fn is_coded(&self, value: &Secret) -> bool {
        code_key(value).vouches(&self.statement.to_bytes(), &self.code)
    }
}

fn code_key(value: &Secret) -> Secret {
    value.derive("kedge/device-code/1", &[])
}

fn mark_key(mark: &Secret) -> Secret {
    mark.derive("kedge/device-mark/1", &[])
}

impl Canonical for Statement {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.handle.encode(out);
        self.nonce.encode(out);
        self.entropy.encode(out);
        self.address.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            handle: Handle::decode(input)?,
            nonce: Nonce::decode(input)?,
            entropy: Nonce::decode(input)?,
            address: decode_address(input)?,
        })
    }
}

/// An IPv4 address has one form: not the one mapped into IPv6.
fn decode_address(input: &mut Decoder<'_>) -> Result<IpAddr, DecodeError> {
    let address = IpAddr::decode(input)?;
    if address == address.to_canonical() {
        Ok(address)
    } else {
        Err(DecodeError::NotCanonical { what: "address" })
    }
}

impl Form for Statement {
    const LABEL: &'static str = "kedge/device-statement";
}

impl Canonical for DeviceProof {
    fn encode(&self, out: &mut Encoder) {
        self.statement.encode(out);
        self.code.encode(out);
        self.mark.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            statement: Statement::decode(input)?,
            code: Digest::decode(input)?,
            mark: Digest::decode(input)?,
        })
    }
}

impl Form for DeviceProof {
    const LABEL: &'static str = "kedge/device-proof";
}

impl TextForm for DeviceProof {
    const PREFIX: &'static str = "kedge-device-proof-1:";
    /// Seven parts of at most 32 bytes; base64 makes them a third longer.
    const TEXT_BYTES_MAX: usize = 512;
}
