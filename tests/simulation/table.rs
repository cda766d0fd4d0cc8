//! A scope of some anchors and blocks that decide nothing, for tests that need no index.

use std::sync::Arc;

use kedge::base::digest::Digest;
use kedge::base::keys::{SecretKey, Signer};
use kedge::base::time::Timestamp;
use kedge::governance::anchor::{Anchor, AnchorGroup, AnchorId};
use kedge::governance::block::{Block, Body};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::policy::{Pace, Policy, Quorum};
use kedge::replication::ordering::{Opening, Standing, Tender, Waits};

use crate::world::key;

/// Anchors of one scope.
pub(crate) struct Table {
    pub(crate) descriptor: Arc<Descriptor>,
    /// By seat.
    pub(crate) keys: Vec<SecretKey>,
    pub(crate) pace: Pace,
}

pub(crate) const PREV: Digest = Digest::ZERO;
pub(crate) const HEIGHT: u64 = 1;

impl Table {
    pub(crate) fn new(weights: &[u32], quorum: Quorum) -> Self {
        let keys: Vec<SecretKey> = (1..).take(weights.len()).map(key).collect();
        let anchors = keys.iter().zip(weights).map(|(key, weight)| Anchor {
            weight: *weight,
            ..Anchor::new(key.public(), "")
        });
        let policy = Policy {
            quorum,
            cap_weight: false,
            ..Policy::default()
        };
        let group = AnchorGroup::new(anchors.collect()).unwrap();
        let seat = |anchor: &Anchor| {
            let of = |key: &&SecretKey| key.public() == anchor.vote_key;
            keys.iter().find(of).unwrap().clone()
        };
        let by_seat = group.anchors().iter().map(seat).collect();
        let descriptor = Descriptor::genesis(None, [7; 16], group, policy);
        Self {
            descriptor: Arc::new(descriptor),
            keys: by_seat,
            pace: Pace::Interactive,
        }
    }

    pub(crate) fn anchor(&self, seat: usize) -> AnchorId {
        self.descriptor.anchors.anchors()[seat].id
    }

    /// A sitting with these seats here; seat `first` proposed last.
    pub(crate) fn opening(&self, seats: &[usize], first: usize) -> Opening {
        let signer = |seat: &usize| -> Arc<dyn Signer> { Arc::new(self.keys[*seat].clone()) };
        Opening {
            descriptor: Arc::clone(&self.descriptor),
            height: HEIGHT,
            prev: PREV,
            last_proposer: self.anchor(first),
            signers: seats.iter().map(signer).collect(),
            standing: Standing::Proven,
            waits: Waits::of(self.pace),
        }
    }

    /// A block of a seat.
    pub(crate) fn tender(&self, anchor: AnchorId, time: Timestamp) -> Tender {
        let body = Body::default();
        let block = Block {
            scope: self.descriptor.scope_uid(),
            epoch: 0,
            height: HEIGHT,
            prev: PREV,
            descriptor: self.descriptor.digest(),
            next_descriptor: self.descriptor.digest(),
            prev_epoch_block: Digest::ZERO,
            time,
            proposer: anchor,
            body_root: Digest::of(&body),
            state_root: Digest::ZERO,
        };
        Tender::new(block, body).unwrap()
    }
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}
