//! `CouncilCounts`: what the chair counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was counted since the start, and what is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CouncilStats {
    /// Rounds in which it was the turn of an anchor here.
    pub drafted: u64,
    /// Heights that were decided.
    pub decided: u64,
    /// Anchors that contradicted themselves.
    pub evidence: u64,
    /// Scopes that are governed jointly.
    pub scopes: u64,
    /// Heights that are being decided.
    pub sittings: u64,
    /// The highest round of them.
    pub round: u64,
}

#[derive(Debug, Default)]
pub(super) struct CouncilCounts {
    pub(super) drafted: AtomicU64,
    pub(super) decided: AtomicU64,
    pub(super) evidence: AtomicU64,
    pub(super) scopes: AtomicU64,
    pub(super) sittings: AtomicU64,
    pub(super) round: AtomicU64,
}

/// One more.
pub(super) fn raise(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// So many now.
pub(super) fn set(count: &AtomicU64, now: usize) {
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    count.store(now, Ordering::Relaxed);
}

impl CouncilCounts {
    pub(super) fn read(&self) -> CouncilStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CouncilStats {
            drafted: read(&self.drafted),
            decided: read(&self.decided),
            evidence: read(&self.evidence),
            scopes: read(&self.scopes),
            sittings: read(&self.sittings),
            round: read(&self.round),
        }
    }
}
