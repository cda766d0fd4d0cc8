//! `Block` and `Body`: one link of a scope's lineage.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::{ANCHORS_MAX, LATE_VOTES_MAX, PROPOSALS_PER_COMMIT_MAX};
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::anchor::{AnchorId, SeatSignature};
use super::approval::Approval;
use super::descriptor::Descriptor;
use super::proposal::Proposal;
use super::withdrawal::Withdrawal;

/// The header of a block. It holds no round and no certificate, so a block that is proposed again
/// keeps its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The scope.
    pub scope: ScopeUid,
    /// The epoch of the descriptor that elects its voters.
    pub epoch: u64,
    /// 0 at genesis, one more with each block.
    pub height: u64,
    /// The digest of the block before; zero at genesis.
    pub prev: Digest,
    /// The descriptor that elects the voters of this block.
    pub descriptor: Digest,
    /// The descriptor from the next block on.
    pub next_descriptor: Digest,
    /// The last block before this one that changed the descriptor; zero if none did.
    pub prev_epoch_block: Digest,
    /// When it was proposed; later than the block before.
    pub time: Timestamp,
    /// The anchor that packed it.
    pub proposer: AnchorId,
    /// The digest of the body.
    pub body_root: Digest,
    /// The root of the scope's state after the block.
    pub state_root: Digest,
}

impl Block {
    /// The block's digest, which certificates and the next block name.
    pub fn digest(&self) -> Digest {
        Digest::of(self)
    }
}

impl Canonical for Block {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        out.u64(self.epoch);
        out.u64(self.height);
        self.prev.encode(out);
        self.descriptor.encode(out);
        self.next_descriptor.encode(out);
        self.prev_epoch_block.encode(out);
        self.time.encode(out);
        self.proposer.encode(out);
        self.body_root.encode(out);
        self.state_root.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            epoch: input.u64()?,
            height: input.u64()?,
            prev: Digest::decode(input)?,
            descriptor: Digest::decode(input)?,
            next_descriptor: Digest::decode(input)?,
            prev_epoch_block: Digest::decode(input)?,
            time: Timestamp::decode(input)?,
            proposer: AnchorId::decode(input)?,
            body_root: Digest::decode(input)?,
            state_root: Digest::decode(input)?,
        })
    }
}

impl Form for Block {
    const LABEL: &'static str = "kedge/block";
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its changes are in force.
    Passed,
    /// Objections left too little weight to approve it; nothing changed.
    Rejected,
    /// Its author took it back; nothing changed.
    Withdrawn(Signed<Withdrawal>),
}

/// A proposal and what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The proposal.
    pub proposal: Signed<Proposal>,
    /// What became of it.
    pub fate: Fate,
    /// The approvals and objections that were counted; none where the author's signature is
    /// enough.
    pub approvals: Vec<Signed<Approval>>,
    /// Signatures of anchors that accept their seats in the descriptor it puts in force.
    pub seats: Vec<SeatSignature>,
}

impl Canonical for Fate {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Passed => out.u8(0),
            Self::Rejected => out.u8(1),
            Self::Withdrawn(withdrawal) => {
                out.u8(2);
                withdrawal.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Passed),
            1 => Ok(Self::Rejected),
            2 => Signed::decode(input).map(Self::Withdrawn),
            tag => Err(DecodeError::Tag { what: "fate", tag }),
        }
    }
}

impl Canonical for Decided {
    fn encode(&self, out: &mut Encoder) {
        self.proposal.encode(out);
        self.fate.encode(out);
        out.list(&self.approvals);
        out.list(&self.seats);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            proposal: Signed::decode(input)?,
            fate: Fate::decode(input)?,
            approvals: input.list("approvals", ANCHORS_MAX)?,
            seats: input.list("seats", ANCHORS_MAX)?,
        })
    }
}

/// What a block decides, in order; empty at genesis.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    /// The proposals in the order in which they are applied.
    pub decided: Vec<Decided>,
    /// Votes on proposals that were decided before and have not expired.
    pub late: Vec<Signed<Approval>>,
    /// The descriptor that the parent scope puts in force, in place of anything that is decided:
    /// the anchors are lost.
    pub recovered: Option<Box<Descriptor>>,
}

impl Body {
    /// The body of the block that recovers a scope.
    pub fn of_recovery(next: Descriptor) -> Self {
        Self {
            recovered: Some(Box::new(next)),
            ..Self::default()
        }
    }

    /// The proposals whose changes are in force, in order.
    pub fn passed(&self) -> impl DoubleEndedIterator<Item = &Decided> {
        self.decided
            .iter()
            .filter(|decided| decided.fate == Fate::Passed)
    }
}

impl Canonical for Body {
    fn encode(&self, out: &mut Encoder) {
        out.list(&self.decided);
        out.list(&self.late);
        out.option(self.recovered.as_deref());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            decided: input.list("proposals of a block", PROPOSALS_PER_COMMIT_MAX)?,
            late: input.list("late votes", LATE_VOTES_MAX)?,
            recovered: input.option()?.map(Box::new),
        })
    }
}

impl Form for Body {
    const LABEL: &'static str = "kedge/body";
    const VERSION: u8 = 3;
}
