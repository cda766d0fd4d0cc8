//! `LegacyCacheStats`: what the cache counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts since the start, and what is held now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LegacyCacheStats {
    /// Questions with an entry.
    pub entries: usize,
    /// Memory of all entries, about.
    pub bytes: u64,
    /// Exchanges under way.
    pub under_way: usize,
    /// Questions that wait for them.
    pub waiting: usize,
    /// Answers from fresh entries.
    pub hits: u64,
    /// Questions to upstreams.
    pub exchanges: u64,
    /// Answers from another's exchange.
    pub joined: u64,
    /// Answers past their time.
    pub stale: u64,
    /// Questions not asked because they had failed just before.
    pub failure_hits: u64,
    /// Questions not asked because too many were waiting.
    pub overloads: u64,
    /// Absences that were not believed because there were records until just before.
    pub sudden_empties: u64,
    /// Answers that were asked for again before they ended.
    pub prefetched: u64,
    /// The same, but in vain.
    pub prefetches_failed: u64,
    /// Answers that were to be asked for again when there was no room for that.
    pub prefetches_dropped: u64,
}

/// How an upstream does, as monitoring sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamStanding {
    /// The upstream as it is configured.
    pub upstream: String,
    /// The smoothed time to an answer; none before the first one.
    pub usual: Option<Duration>,
    /// Answers that it gave first.
    pub answered: u64,
    /// Times that it refused, was silent or could not be reached.
    pub failed: u64,
    /// Whether it is asked last for a while.
    pub is_paused: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    hits: AtomicU64,
    exchanges: AtomicU64,
    joined: AtomicU64,
    stale: AtomicU64,
    failure_hits: AtomicU64,
    overloads: AtomicU64,
    sudden_empties: AtomicU64,
    prefetched: AtomicU64,
    prefetches_failed: AtomicU64,
    prefetches_dropped: AtomicU64,
}

fn raise(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn hit(&self) {
        raise(&self.hits);
    }

    pub(super) fn exchange(&self) {
        raise(&self.exchanges);
    }

    pub(super) fn join(&self) {
        raise(&self.joined);
    }

    pub(super) fn stale(&self) {
        raise(&self.stale);
    }

    pub(super) fn failure_hit(&self) {
        raise(&self.failure_hits);
    }

    pub(super) fn overload(&self) {
        raise(&self.overloads);
    }

    pub(super) fn sudden_empty(&self) {
        raise(&self.sudden_empties);
    }

    pub(super) fn prefetched(&self, went_well: bool) {
        raise(if went_well {
            &self.prefetched
        } else {
            &self.prefetches_failed
        });
    }

    pub(super) fn prefetch_dropped(&self) {
        raise(&self.prefetches_dropped);
    }

    /// The counts; what is held now is left at zero.
    pub(super) fn read(&self) -> LegacyCacheStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LegacyCacheStats {
            hits: read(&self.hits),
            exchanges: read(&self.exchanges),
            joined: read(&self.joined),
            stale: read(&self.stale),
            failure_hits: read(&self.failure_hits),
            overloads: read(&self.overloads),
            sudden_empties: read(&self.sudden_empties),
            prefetched: read(&self.prefetched),
            prefetches_failed: read(&self.prefetches_failed),
            prefetches_dropped: read(&self.prefetches_dropped),
            ..LegacyCacheStats::default()
        }
    }
}
