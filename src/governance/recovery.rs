//! `Recovery`: what a parent scope says of the recovery of a child whose anchors are lost, and
//! `RecoveryOffer`: who is ready to govern it from then on.
//!
//! A recovery is one block of the child. It is written whole before anybody is asked, so that the
//! parent's word names one state and nothing can be slipped under it: the parent announces the block,
//! and after the child's own delay puts it in force. One more block that the child's old anchors
//! certify in the meantime is their veto, as the announced block follows nothing then.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::{ANCHORS_MAX, OFFER_TEXT_BYTES_MAX};
use crate::base::text_form::TextForm;
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::anchor::SeatSignature;
use super::block::Block;
use super::descriptor::Descriptor;

/// What a scope says of the recovery of a scope below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// The block by which other anchors take over.
    pub block: Digest,
    /// The height of that block.
    pub height: u64,
    /// The time of the block that announced it.
    pub announced: Timestamp,
    /// From when on it may be confirmed: the time of the block.
    pub due: Timestamp,
    /// Whether it is in force. What is stays so.
    pub confirmed: bool,
}

impl Recovery {
    /// Whether it was public for as long as a descriptor asks.
    pub const fn was_public(&self, descriptor: &Descriptor) -> bool {
        let millis = self.due.millis_since(self.announced);
        millis >= descriptor.recovery_delay_secs.saturating_mul(1_000)
    }
}

impl Canonical for Recovery {
    fn encode(&self, out: &mut Encoder) {
        self.block.encode(out);
        out.u64(self.height);
        self.announced.encode(out);
        self.due.encode(out);
        out.bool(self.confirmed);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block: Digest::decode(input)?,
            height: input.u64()?,
            announced: Timestamp::decode(input)?,
            due: Timestamp::decode(input)?,
            confirmed: input.bool()?,
        })
    }
}

/// A block that puts other anchors in the place of lost ones, accepted by these. It holds no secret
/// and is of no use without the parent's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryOffer {
    /// The block.
    block: Block,
    /// The descriptor that it puts in force.
    next: Descriptor,
    /// The acceptance of a quorum of its seats.
    seats: Vec<SeatSignature>,
}

/// Why a block recovers nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecovery {
    /// The scope has no parent, so nobody can speak for it.
    #[error("the scope has no parent that could recover it")]
    NoParent,
    /// Block and descriptor do not belong together.
    #[error("the block and the descriptor are not of one recovery")]
    Apart,
    /// No scope can be governed like this.
    #[error("the descriptor is unusable: {0}")]
    Descriptor(&'static str),
    /// A quorum of the new anchors did not accept their seats.
    #[error("the new anchors did not accept their seats")]
    Seats,
}

impl RecoveryOffer {
    /// Checks that block and descriptor belong together and that the anchors accepted.
    pub fn new(
        block: Block,
        next: Descriptor,
        seats: Vec<SeatSignature>,
    ) -> Result<Self, BadRecovery> {
        let offer = Self { block, next, seats };
        offer.check()?;
        Ok(offer)
    }

    /// Whether it could recover anything: what is read from bytes was not looked at.
    pub fn check(&self) -> Result<(), BadRecovery> {
        let (block, next) = (&self.block, &self.next);
        let belongs = next.scope == Some(block.scope)
            && block.epoch.checked_add(1) == Some(next.epoch)
            && block.next_descriptor == next.digest()
            && block.height > 0;
        if next.parent.is_none() {
            Err(BadRecovery::NoParent)
        } else if !belongs {
            Err(BadRecovery::Apart)
        } else if let Some(fault) = next.fault() {
            Err(BadRecovery::Descriptor(fault))
        } else if !next.seats_accepted(&self.seats) {
            Err(BadRecovery::Seats)
        } else {
            Ok(())
        }
    }

    /// The scope that would be recovered.
    pub const fn scope(&self) -> ScopeUid {
        self.block.scope
    }

    /// The scope that must say so.
    pub const fn parent(&self) -> Option<ScopeUid> {
        self.next.parent
    }

    /// The block.
    pub const fn block(&self) -> &Block {
        &self.block
    }

    /// The descriptor that it puts in force.
    pub const fn next(&self) -> &Descriptor {
        &self.next
    }

    /// What the parent would say of it, from a block of a time on.
    pub fn announced_at(&self, time: Timestamp) -> Recovery {
        Recovery {
            block: self.block.digest(),
            height: self.block.height,
            announced: time,
            due: self.block.time,
            confirmed: false,
        }
    }
}

impl Canonical for RecoveryOffer {
    fn encode(&self, out: &mut Encoder) {
        self.block.encode(out);
        self.next.encode(out);
        out.list(&self.seats);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block: Block::decode(input)?,
            next: Descriptor::decode(input)?,
            seats: input.list("seats", ANCHORS_MAX)?,
        })
    }
}

impl Form for RecoveryOffer {
    const LABEL: &'static str = "kedge/recovery-offer";
}

impl TextForm for RecoveryOffer {
    const PREFIX: &'static str = "kedge-recovery-1:";
    const TEXT_BYTES_MAX: usize = OFFER_TEXT_BYTES_MAX;
}
