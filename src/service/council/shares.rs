//! `Shares`: what one peer may have the council do in a time, whatever it says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::base::bucket::Bucket;
use crate::base::canonical::Form as _;
use crate::base::keys::PublicKey;
use crate::replication::ordering::Message;

/// What one peer may have waiting for the chair: so many units, one and more for each message. It
/// is 64 votes, or some blocks of at most 4 MiB together.
const LANE_UNITS: usize = 64;
const LANE_UNIT_BYTES: usize = 64 << 10;
/// Signatures that are checked for one peer a second, and at once: a twentieth of a processor. A
/// height among four anchors costs a peer about 15, one among 64 about 130.
const CHECKS_PER_SEC: u64 = 1_000;
const CHECKS_AT_ONCE: u64 = 4_000;
/// What the writer tries for one peer in vain a second, and at once, in units of one and more for each
/// proposal: a peer that comes back tells up to 256 that wait.
const TRIALS_PER_SEC: u64 = 16;
const TRIALS_AT_ONCE: u64 = 512;
const TRIAL_UNIT_BYTES: usize = 64 << 10;
/// Bytes of decided blocks that are handed to one peer a second, and at once, because it still spoke
/// of their heights; it can pull them as well.
const HANDED_BYTES_PER_SEC: u64 = 1 << 20;
const HANDED_BYTES_AT_ONCE: u64 = 8 << 20;

const fn trial_units(byte_count: usize) -> usize {
    1 + byte_count / TRIAL_UNIT_BYTES
}

/// The shares of all peers: those of the configuration, since nobody else is heard.
#[derive(Debug)]
pub(super) struct Shares {
    began: Instant,
    of: Mutex<BTreeMap<PublicKey, Share>>,
}

#[derive(Debug)]
struct Share {
    lane: Arc<Semaphore>,
    checks: Bucket,
    trials: Bucket,
    handed: Bucket,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            lane: Arc::new(Semaphore::new(LANE_UNITS)),
            checks: Bucket::new(CHECKS_PER_SEC, CHECKS_AT_ONCE),
            trials: Bucket::new(TRIALS_PER_SEC, TRIALS_AT_ONCE),
            handed: Bucket::new(HANDED_BYTES_PER_SEC, HANDED_BYTES_AT_ONCE),
        }
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            of: Mutex::default(),
        }
    }
}

impl Shares {
    /// Room for a message of a peer among what waits for the chair, if its signatures may be
    /// checked now.
    pub(super) fn room(&self, peer: &PublicKey, message: &Message) -> Option<OwnedSemaphorePermit> {
        let units = 1 + message.to_bytes().len() / LANE_UNIT_BYTES;
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let lane = self.with(peer, |share| Arc::clone(&share.lane));
        let room = lane.try_acquire_many_owned(units).ok()?;
        self.may_check(peer, message.signature_count())
            .then_some(room)
    }

    /// Takes a share of checks of signatures; gives whether there was any.
    pub(super) fn may_check(&self, peer: &PublicKey, count: usize) -> bool {
        self.take(peer, count, |share| &mut share.checks)
    }

    /// Takes a share of the writer's time for a proposal of so many bytes; gives whether there was
    /// any.
    pub(super) fn may_try(&self, peer: &PublicKey, byte_count: usize) -> bool {
        self.take(peer, trial_units(byte_count), |share| &mut share.trials)
    }

    /// Gives back what a trial and its checks took.
    pub(super) fn give_back(&self, peer: &PublicKey, byte_count: usize, checked: usize) {
        let units = |count: usize| u64::try_from(count).unwrap_or(0);
        self.with(peer, |share| {
            share.trials.give_back(units(trial_units(byte_count)));
            share.checks.give_back(units(checked));
        });
    }

    /// Takes a share of what is handed on; gives whether there was any.
    pub(super) fn may_hand(&self, peer: &PublicKey, byte_count: usize) -> bool {
        self.take(peer, byte_count, |share| &mut share.handed)
    }

    fn take(
        &self,
        peer: &PublicKey,
        count: usize,
        of: impl FnOnce(&mut Share) -> &mut Bucket,
    ) -> bool {
        let now = self.began.elapsed();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.with(peer, |share| of(share).take_if_some(now, count))
    }

    fn with<R>(&self, peer: &PublicKey, work: impl FnOnce(&mut Share) -> R) -> R {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        work(of.entry(*peer).or_default())
    }
}
