//! `Proposal`: changes to one scope that happen together or not at all.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::keys::PublicKey;
use crate::base::limits::{NOTE_BYTES_MAX, OPS_PER_PROPOSAL_MAX, PRECONDITIONS_MAX};
use crate::base::signed::Authored;
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::op::{Op, Precondition};
use super::policy::Class;

/// Changes to one scope, bound to what the author saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The scope that decides.
    pub scope: ScopeUid,
    /// The class, which is the highest of its changes.
    pub class: Class,
    /// The changes, applied in order.
    pub ops: Vec<Op>,
    /// What must still hold.
    pub preconditions: Vec<Precondition>,
    /// Who signs.
    pub author: PublicKey,
    /// Makes two otherwise equal proposals two.
    pub nonce: u64,
    /// When it was made, by the author's clock.
    pub made: Timestamp,
    /// The last time of a block that may decide it.
    pub not_after: Timestamp,
    /// Why, in the author's words.
    pub note: String,
}

impl Proposal {
    /// The highest class among changes; routine for none.
    pub fn class_of(ops: &[Op]) -> Class {
        ops.iter().map(Op::class).max().unwrap_or(Class::Routine)
    }
}

impl Canonical for Proposal {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.class.encode(out);
        out.list(&self.ops);
        out.list(&self.preconditions);
        self.author.encode(out);
        out.u64(self.nonce);
        self.made.encode(out);
        self.not_after.encode(out);
        out.text(&self.note);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            class: Class::decode(input)?,
            ops: input.list("changes", OPS_PER_PROPOSAL_MAX)?,
            preconditions: input.list("preconditions", PRECONDITIONS_MAX)?,
            author: PublicKey::decode(input)?,
            nonce: input.u64()?,
            made: Timestamp::decode(input)?,
            not_after: Timestamp::decode(input)?,
            note: input.text("note", NOTE_BYTES_MAX)?,
        })
    }
}

impl Form for Proposal {
    const LABEL: &'static str = "kedge/proposal";
    const VERSION: u8 = 5;
}

impl Authored for Proposal {
    fn signer(&self) -> PublicKey {
        self.author
    }
}
