//! `Seated`: the sitting of one scope, and what of it has to wait for the time.

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::replication::ordering::{Hearing, Sitting, Tender};

/// Between two looks at a block of a time that has not come.
const EARLY_MS: u64 = 500;

/// One height of one scope that is being decided.
#[derive(Debug)]
pub(super) struct Seated {
    pub(super) height: u64,
    /// The block before.
    pub(super) prev: Digest,
    pub(super) sitting: Sitting,
    /// While others are heard before seats here vote.
    pub(super) hearing: Option<Hearing>,
    /// Blocks to be judged, and when.
    early: Vec<(Timestamp, Tender)>,
}

impl Seated {
    pub(super) const fn new(
        (height, prev): (u64, Digest),
        sitting: Sitting,
        hearing: Option<Hearing>,
    ) -> Self {
        Self {
            height,
            prev,
            sitting,
            hearing,
            early: Vec::new(),
        }
    }

    /// Has a block judged a little later.
    pub(super) fn put_off(&mut self, tender: Tender, now: Timestamp) {
        self.early.push((now.plus_millis(EARLY_MS), tender));
    }

    /// A block whose time may have come.
    pub(super) fn take_early(&mut self, now: Timestamp) -> Option<Tender> {
        let at = self.early.iter().position(|(at, _)| *at <= now)?;
        Some(self.early.swap_remove(at).1)
    }

    /// When there is something to do; none while only messages can change anything.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        let early = self.early.iter().map(|(at, _)| *at).min();
        let hearing = self.hearing.map(|hearing| hearing.until());
        let times = [self.sitting.wakes_at(), early, hearing];
        times.into_iter().flatten().min()
    }
}
