//! What a sitting starts from, and what it wants done.

use std::sync::Arc;

use crate::base::digest::Digest;
use crate::base::keys::Signer;
use crate::governance::anchor::AnchorId;
use crate::governance::certificate::Certificate;
use crate::governance::descriptor::Descriptor;

use super::electorate::NotChecked;
use super::engine::Broken;
use super::guard::GuardRow;
use super::journal::{Entry, Row};
use super::message::{Evidence, Message};
use super::statement::Tender;
use super::timer::Waits;

/// What a sitting is about, and who of it is here.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The certified descriptor that elects the voters.
    pub descriptor: Arc<Descriptor>,
    /// The height to decide.
    pub height: u64,
    /// The block before.
    pub prev: Digest,
    /// Who packed the block before.
    pub last_proposer: AnchorId,
    /// Whoever signs for seats here; keys without a seat are ignored.
    pub signers: Vec<Arc<dyn Signer>>,
    /// Whether the stored guard rows are known to be the newest.
    pub standing: Standing,
    /// How long to wait.
    pub waits: Waits,
}

/// What a node knows of the age of its guard rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They are the newest there ever were.
    Proven,
    /// The disk may be an old one. At heights up to this, votes may have left the node that are not
    /// on the disk: its seats sit out, until a certificate carries them over. None if not even that
    /// is known: only another key can vote again.
    Doubted(Option<u64>),
}

/// What an earlier run stored for the height, each in the order in which it was stored.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Rows of every kind.
    pub rows: Vec<Row>,
}

impl Kept {
    /// What was signed.
    pub(super) fn guarded(&self) -> Vec<GuardRow> {
        let guards = self.rows.iter().filter_map(|row| match row {
            Row::Guard(row) => Some(*row),
            _ => None,
        });
        guards.collect()
    }

    /// What was said of the height, as far as it is stored: for whoever asks when nothing is open.
    pub fn said(&self) -> Vec<Message> {
        let tender = |digest: &Digest| {
            let mut rows = self.rows.iter();
            rows.find_map(|row| match row {
                Row::Tender(tender) if tender.digest() == *digest => Some(tender.clone()),
                _ => None,
            })
        };
        let said = self.rows.iter().filter_map(|row| match row {
            Row::Entry(_, Entry::Bid(bid)) => {
                let tender = tender(&bid.object.block)?;
                Some(Message::Bid(bid.clone(), tender))
            }
            Row::Entry(_, Entry::Vote(vote)) => Some(Message::Vote(vote.clone())),
            _ => None,
        });
        said.collect()
    }
}

/// What follows from one step: first the rows, durable and together; then the rest, in order.
#[derive(Debug, Default)]
#[must_use]
pub struct Actions {
    /// To be stored together before anything else is done.
    pub rows: Vec<Row>,
    /// To be done in order.
    pub then: Vec<Action>,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Action {
    /// Make a block for a round, packed by this anchor, and [`Sitting::propose`](super::Sitting::propose) it; or let the
    /// round pass.
    Make(AnchorId, u32),
    /// Find out whether a block may be decided, and say so with [`Sitting::judged`](super::Sitting::judged). One that is
    /// only too early is judged later.
    Judge(Tender),
    /// Tell every other anchor.
    Publish(Message),
    /// The block is decided: apply it. The sitting is over.
    Decided(Tender, Certificate),
    /// Keep this for ever.
    Evidence(Evidence),
    /// A seat says nothing more at this height.
    SitsOut(AnchorId, Broken),
}

impl Action {
    /// Whether the sitting is over with it.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Decided(..))
    }
}

/// Why something is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// A message is not what it claims to be.
    #[error(transparent)]
    NotChecked(#[from] NotChecked),
    /// A block was proposed that nobody asked for.
    #[error("no block of this anchor is wanted in this round")]
    NotWanted,
}
