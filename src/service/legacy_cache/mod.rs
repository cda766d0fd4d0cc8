//! `CachedLegacy`: legacy DNS behind a cache that is bounded in bytes.
//!
//! Equal questions share one exchange, failures are remembered for seconds (RFC 9520), and when
//! the upstream fails an expired answer is better than none (RFC 8767).

mod entry;
mod stats;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion, LegacyReply};

use super::flights::Flights;
use super::ports::{Clock, LegacyDns};
use entry::{Entry, Received};
pub use entry::{
    FAILURE_SECS_FIRST, FAILURE_SECS_MAX, NEGATIVE_TTL_SECS_MAX, STALE_TTL_SECS, TTL_SECS_MAX,
};
use stats::Counters;
pub use stats::LegacyCacheStats;

/// How long an upstream is waited for while a stale answer is at hand (RFC 8767 section 5).
pub const STALE_PATIENCE_MS: u64 = 1_800;
/// Silence over less than this says nothing about the upstream and is not remembered.
pub const BLAME_PATIENCE_MS_MIN: u64 = 1_000;
/// Followers wait this much longer than their leader, whose deadline must come first: it lands
/// the flight for all, while a follower whose time is up would start an exchange for nothing.
const FOLLOWER_GRACE_MS: u64 = 50;
/// An average entry, to size the cache's tables.
const ENTRY_BYTES_TYPICAL: u64 = 768;
/// Below this a shard would hold too few entries to choose well whom to drop.
const SHARD_BYTES_MIN: u64 = 2 << 20;
/// More shards than this gain nothing: a lock is held for a table look-up.
const SHARDS_MAX: u64 = 64;

/// What an exchange gave to all who waited for it.
type Landed = Result<Arc<CacheAnswer>, LegacyFailure>;

/// What a cache is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyCacheSettings {
    /// Memory for answers.
    pub bytes_max: u64,
    /// Questions that may wait for upstreams at the same time, followers included.
    pub waiting_max: usize,
    /// Positive answers are kept at least this long; 0 keeps to their TTL.
    pub ttl_secs_min: u32,
    /// How long after its end an answer may be served when upstreams fail; 0 turns that off.
    pub stale_secs_max: u32,
}

impl Default for LegacyCacheSettings {
    fn default() -> Self {
        Self {
            // Some 80,000 answers.
            bytes_max: 64 << 20,
            // At the usual 50 ms per exchange some 40,000 questions a second.
            waiting_max: 2_048,
            ttl_secs_min: 0,
            // RFC 8767 section 5 advises one to three days.
            stale_secs_max: 86_400,
        }
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheState {
    /// From the cache, fresh.
    Hit {
        /// How long ago it was stored.
        age_secs: u32,
    },
    /// From an upstream, asked for this question.
    Miss,
    /// From an upstream, asked for an equal question that came before.
    Joined,
    /// From the cache, past its time, because the upstreams fail.
    Stale,
}

/// A reply and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheAnswer {
    /// The reply, its TTLs counted down.
    pub reply: LegacyReply,
    /// The upstream that gave it.
    pub upstream: String,
    /// Where it came from this time.
    pub state: CacheState,
}

/// Legacy DNS with a memory.
#[derive(Debug)]
pub struct CachedLegacy<L, C> {
    upstream: L,
    clock: C,
    settings: LegacyCacheSettings,
    entries: Cache<LegacyQuestion, Arc<Entry>, ByBytes>,
    flights: Flights<LegacyQuestion, Landed>,
    waiting: Semaphore,
    /// Raised by each flush, so that answers asked for before it are not kept after it.
    epoch: AtomicU64,
    counters: Counters,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<LegacyQuestion, Arc<Entry>> for ByBytes {
    fn weight(&self, _key: &LegacyQuestion, val: &Arc<Entry>) -> u64 {
        val.bytes()
    }
}

impl<L: LegacyDns, C: Clock> CachedLegacy<L, C> {
    /// An empty cache before `upstream`.
    pub fn new(upstream: L, clock: C, settings: LegacyCacheSettings) -> Self {
        let waiting = settings.waiting_max.min(Semaphore::MAX_PERMITS);
        Self {
            upstream,
            clock,
            settings,
            entries: empty_cache(settings.bytes_max),
            flights: Flights::default(),
            waiting: Semaphore::new(waiting),
            epoch: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    /// The clock that ages what is kept.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// The time by the clock that ages what is kept.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Answers from the cache or from upstream, within about `patience_ms` milliseconds. May be
    /// dropped at any time; others who wait for the same answer still get it.
    pub async fn ask(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> Result<CacheAnswer, LegacyFailure> {
        let now = self.clock.now();
        let entry = self.entries.get(question);
        let mut patience_ms = patience_ms;
        if let Some(entry) = entry {
            if let Some(answer) = entry.fresh(now) {
                self.counters.hit();
                return Ok(answer);
            }
            if let Some(failure) = entry.failure(now) {
                self.counters.failure_hit();
                return self.fall_back(question, failure.clone());
            }
            if entry.stale(now, self.settings.stale_secs_max).is_some() {
                patience_ms = patience_ms.min(STALE_PATIENCE_MS);
            }
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            self.counters.overload();
            return self.fall_back(question, LegacyFailure::Overloaded);
        };
        match self.fly(question, patience_ms).await {
            Ok(answer) => Ok(answer),
            Err(failure) => self.fall_back(question, failure),
        }
    }

    /// What the cache holds and is fresh, without waiting, and the moment at which its TTLs became
    /// what they are. Counted as a hit.
    pub fn fresh(&self, question: &LegacyQuestion) -> Option<(CacheAnswer, Timestamp)> {
        let now = self.clock.now();
        let entry = self.entries.get(question)?;
        let fresh = (entry.fresh(now)?, entry.aged_at(now)?);
        self.counters.hit();
        Some(fresh)
    }

    /// How often it was told to forget.
    pub fn flushes(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What the cache holds, fresh or stale, without asking anybody or being counted.
    pub fn peek(&self, question: &LegacyQuestion) -> Option<CacheAnswer> {
        let now = self.clock.now();
        let entry = self.entries.peek(question)?;
        entry
            .fresh(now)
            .or_else(|| entry.stale(now, self.settings.stale_secs_max))
    }

    /// Forgets everything, or what is known of a name and all names below it. Answers that are
    /// under way are still given, but not kept.
    pub fn flush(&self, name: Option<&Name>) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.upstream.forget();
        match name {
            None => self.entries.clear(),
            Some(name) => self
                .entries
                .retain(|question, _| !question.name.is_within(name)),
        }
    }

    /// Counts since the start, and what is held now.
    pub fn stats(&self) -> LegacyCacheStats {
        LegacyCacheStats {
            entries: self.entries.len(),
            bytes: self.entries.weight(),
            under_way: self.flights.count(),
            waiting: self
                .settings
                .waiting_max
                .saturating_sub(self.waiting.available_permits()),
            ..self.counters.read()
        }
    }

    /// The upstream behind the cache.
    pub fn upstream(&self) -> &L {
        &self.upstream
    }

    async fn fly(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> Result<CacheAnswer, LegacyFailure> {
        let seat = self.flights.join(question);
        let mut leads = false;
        let flight = seat.flight().get_or_init(|| {
            leads = true;
            async {
                let landed = self.lead(question, patience_ms).await;
                seat.land();
                landed
            }
        });
        let limit = Duration::from_millis(patience_ms.saturating_add(FOLLOWER_GRACE_MS));
        let landed = match timeout(limit, flight).await {
            Ok(landed) => landed.clone(),
            Err(_) => Err(LegacyFailure::Timeout),
        };
        let mut answer = Arc::unwrap_or_clone(landed?);
        if !leads {
            self.counters.join();
            answer.state = CacheState::Joined;
        }
        Ok(answer)
    }

    async fn lead(&self, question: &LegacyQuestion, patience_ms: u64) -> Landed {
        // Another flight may have landed between the look into the cache and taking a seat.
        let known = self.entries.peek(question);
        if let Some(answer) = known.and_then(|entry| entry.fresh(self.clock.now())) {
            self.counters.hit();
            return Ok(Arc::new(answer));
        }
        self.counters.exchange();
        let epoch = self.epoch.load(Ordering::SeqCst);
        let exchange = self.upstream.ask(question, patience_ms);
        let outcome = timeout(Duration::from_millis(patience_ms), exchange)
            .await
            .unwrap_or(Err(LegacyFailure::Timeout));
        let now = self.clock.now();
        match outcome {
            Ok(answered) => {
                let received = Received::new(question, answered, now, self.settings.ttl_secs_min);
                self.keep(question, received.entry, epoch);
                Ok(Arc::new(received.answer))
            }
            Err(failure) => {
                if is_worth_keeping(&failure, patience_ms) {
                    let before = self.entries.peek(question);
                    let entry = Entry::failing(question, before.as_deref(), failure.clone(), now);
                    self.keep(question, Some(entry), epoch);
                }
                Err(failure)
            }
        }
    }

    /// Puts an entry in the place of the one before; none only removes that, because a newer
    /// answer, even one that may not be kept, ends the older one.
    fn keep(&self, question: &LegacyQuestion, entry: Option<Entry>, epoch: u64) {
        let fits = |entry: &Entry| entry.bytes() <= self.entries.shard_capacity() / 2;
        match entry.filter(fits) {
            Some(entry) => self.entries.insert(question.clone(), Arc::new(entry)),
            None => drop(self.entries.remove(question)),
        }
        // After the insertion, or a flush in between would miss the entry.
        if self.epoch.load(Ordering::SeqCst) != epoch {
            drop(self.entries.remove(question));
        }
    }

    fn fall_back(
        &self,
        question: &LegacyQuestion,
        failure: LegacyFailure,
    ) -> Result<CacheAnswer, LegacyFailure> {
        // Without an upstream for the name, nobody failed: the name is not to be asked for. And an
        // answer that was found wrong is no silence that an older one may fill.
        let is_silence = !matches!(
            failure,
            LegacyFailure::NoUpstream | LegacyFailure::Bogus { .. }
        );
        let stale = is_silence
            .then(|| self.entries.peek(question))
            .flatten()
            .and_then(|entry| entry.stale(self.clock.now(), self.settings.stale_secs_max));
        match stale {
            Some(answer) => {
                self.counters.stale();
                Ok(answer)
            }
            None => Err(failure),
        }
    }
}

/// Failures of upstreams are remembered; those of our own making pass.
fn is_worth_keeping(failure: &LegacyFailure, patience_ms: u64) -> bool {
    match failure {
        LegacyFailure::Timeout => patience_ms >= BLAME_PATIENCE_MS_MIN,
        LegacyFailure::Unreachable(_)
        | LegacyFailure::Code { .. }
        | LegacyFailure::NoAuthority(_)
        | LegacyFailure::TooCostly(_)
        | LegacyFailure::Bogus { .. } => true,
        LegacyFailure::NoUpstream | LegacyFailure::Overloaded => false,
    }
}

fn empty_cache(bytes_max: u64) -> Cache<LegacyQuestion, Arc<Entry>, ByBytes> {
    let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let items = small(bytes_max / ENTRY_BYTES_TYPICAL).max(1);
    let shards = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
    let options = OptionsBuilder::new()
        .estimated_items_capacity(items)
        .weight_capacity(bytes_max)
        .shards(small(1 << shards.ilog2()))
        .build();
    let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
    match options {
        Ok(options) => Cache::with_options(options, ByBytes, hasher, lifecycle),
        // Only missing capacities are refused, and both are given.
        Err(_) => Cache::with(items, bytes_max, ByBytes, hasher, lifecycle),
    }
}
