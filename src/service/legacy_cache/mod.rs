//! `CachedLegacy`: legacy DNS behind a cache that is bounded in bytes.
//!
//! Equal questions share one exchange, failures are remembered for seconds (RFC 9520), and when
//! the upstream fails an expired answer is better than none (RFC 8767). An absence that comes
//! suddenly where there were records may be a failure of the upstream too.

mod ahead;
mod entry;
mod looking;
mod settings;
mod stats;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion, LegacyReply};

use super::flights::Flights;
use super::ports::{Clock, LegacyAnswered, LegacyDns};
use entry::{Entry, Failed, Received, is_negative};
pub use looking::{Held, HeldReply, Loaded};
pub use settings::{
    FAILURE_SECS_FIRST, FAILURE_SECS_MAX, LegacyCacheRules, LegacyCacheSettings,
    NEGATIVE_TTL_SECS_MAX, STALE_TTL_SECS, TTL_SECS_MAX,
};
use stats::Counters;
pub use stats::{LegacyCacheStats, UpstreamStanding};

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
    /// Why a stale answer stands in for a newer one.
    pub because: Option<LegacyFailure>,
    /// Whether whoever gets it is to have it asked for again, with [`CachedLegacy::renew`].
    pub is_due: bool,
}

/// An answer that was there.
#[derive(Debug)]
pub struct Fresh {
    /// The answer.
    pub answer: CacheAnswer,
    /// When its TTLs became what they are.
    pub since: Timestamp,
    /// From when on the cache wants to hear that it is still asked for.
    pub until: Option<Timestamp>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct CacheFailure {
    /// What failed.
    pub failure: LegacyFailure,
    /// When, if nobody was asked this time because it had failed before (RFC 9520).
    pub remembered: Option<Remembered>,
}

impl From<LegacyFailure> for CacheFailure {
    fn from(failure: LegacyFailure) -> Self {
        Self {
            failure,
            remembered: None,
        }
    }
}

/// A failure that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// How long ago it was.
    pub age_secs: u32,
    /// How long nobody is asked yet.
    pub left_secs: u32,
}

/// Legacy DNS with a memory.
#[derive(Debug)]
pub struct CachedLegacy<L, C> {
    upstream: L,
    clock: C,
    settings: LegacyCacheSettings,
    /// Those in force; the settings hold the first ones.
    rules: ArcSwap<LegacyCacheRules>,
    entries: Cache<LegacyQuestion, Arc<Entry>, ByBytes>,
    flights: Flights<LegacyQuestion, Landed>,
    waiting: Semaphore,
    /// Raised by each flush, so that answers asked for before it are not kept after it.
    epoch: AtomicU64,
    counters: Counters,
}

/// What an exchange is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Somebody waits for the answer.
    Answer,
    /// The answer that is there ends soon.
    Ahead,
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
            rules: ArcSwap::from_pointee(settings.rules),
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

    /// Puts other rules in force, for what comes from now on.
    pub fn set_rules(&self, rules: LegacyCacheRules) {
        self.rules.store(Arc::new(rules));
    }

    /// Answers from the cache or from upstream, within about `patience_ms` milliseconds. May be
    /// dropped at any time; others who wait for the same answer still get it.
    pub async fn ask(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> Result<CacheAnswer, CacheFailure> {
        let now = self.clock.now();
        let entry = self.entries.get(question);
        let mut patience_ms = patience_ms;
        if let Some(entry) = entry {
            if let Some(answer) = self.hit(question, &entry, now) {
                return Ok(answer);
            }
            if let Some(failure) = entry.failure(now) {
                self.counters.failure_hit();
                return self.fall_back(question, failure);
            }
            if entry.stale(now, self.settings.stale_secs_max).is_some() {
                patience_ms = patience_ms.min(STALE_PATIENCE_MS);
            }
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            self.counters.overload();
            return self.fall_back(question, LegacyFailure::Overloaded.into());
        };
        match self.fly(question, patience_ms, Purpose::Answer).await {
            Ok(answer) => Ok(answer),
            Err(failure) => self.fall_back(question, failure.into()),
        }
    }

    /// What the cache holds and is fresh, without waiting. Counted as a hit.
    pub fn fresh(&self, question: &LegacyQuestion) -> Option<Fresh> {
        let now = self.clock.now();
        let entry = self.entries.get(question)?;
        let answer = self.hit(question, &entry, now)?;
        let begin = entry.last_tenth().filter(|begin| now < *begin);
        Some(Fresh {
            answer,
            since: entry.aged_at(now)?,
            until: begin.filter(|_| self.renews(question)),
        })
    }

    fn hit(&self, question: &LegacyQuestion, entry: &Entry, now: Timestamp) -> Option<CacheAnswer> {
        let answer = entry.fresh(now)?;
        self.counters.hit();
        entry.note_asked();
        let is_late = entry.last_tenth().is_some_and(|begin| now >= begin);
        Some(CacheAnswer {
            is_due: is_late && self.renews(question) && entry.falls_due(),
            ..answer
        })
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

    /// Forgets everything, or what is known of a name, and of all names below it if that is wanted.
    /// Answers that are under way are still given, but not kept. How many entries are gone, about.
    pub fn flush(&self, name: Option<&Name>, below: bool) -> usize {
        let before = self.entries.len();
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.upstream.forget();
        match name {
            None => self.entries.clear(),
            Some(name) => self.entries.retain(|question, _| {
                question.name != *name && !(below && question.name.is_within(name))
            }),
        }
        // Again, for who read of it between the first time and now.
        self.epoch.fetch_add(1, Ordering::SeqCst);
        before.saturating_sub(self.entries.len())
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
        purpose: Purpose,
    ) -> Result<CacheAnswer, LegacyFailure> {
        let seat = self.flights.join(question);
        let mut leads = false;
        let flight = seat.flight().get_or_init(|| {
            leads = true;
            async {
                let landed = self.lead(question, patience_ms, purpose).await;
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

    async fn lead(&self, question: &LegacyQuestion, patience_ms: u64, purpose: Purpose) -> Landed {
        // Another flight may have landed between the look into the cache and taking a seat.
        let known = self.entries.peek(question);
        let is_newer = |entry: &Arc<Entry>| purpose == Purpose::Answer || !entry.awaits_renewal();
        let known = known.filter(is_newer);
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
        let rules = self.rules.load();
        match outcome.and_then(|answered| self.believed(question, answered, now)) {
            Ok(answered) => {
                let received = Received::new(question, answered, now, &rules);
                if let (Some(entry), Purpose::Answer) = (&received.entry, purpose) {
                    entry.note_asked();
                }
                self.keep(question, received.entry, epoch);
                Ok(Arc::new(received.answer))
            }
            Err(failure) => {
                // What was asked ahead of time left something that is still good.
                if purpose == Purpose::Answer && is_worth_keeping(&failure, patience_ms) {
                    let before = self.entries.peek(question);
                    let failed = before.as_deref().and_then(Entry::failed);
                    let failed = Failed::next(failed, failure.clone(), now, &rules);
                    let entry = Entry::failing(question, before.as_deref(), failed);
                    self.keep(question, Some(entry), epoch);
                }
                Err(failure)
            }
        }
    }

    /// The reply, unless it is an absence where there were records until just now and that is held
    /// to be a fault of the upstream.
    fn believed(
        &self,
        question: &LegacyQuestion,
        answered: LegacyAnswered,
        now: Timestamp,
    ) -> Result<LegacyAnswered, LegacyFailure> {
        let empty_secs = self.rules.load().empty_secs;
        if empty_secs == 0 || !is_negative(question, &answered.reply) {
            return Ok(answered);
        }
        let before = self.entries.peek(question);
        let Some(before) = before.filter(|entry| entry.had_records(question, now, empty_secs))
        else {
            return Ok(answered);
        };
        let failure = LegacyFailure::SuddenlyEmpty {
            upstream: answered.upstream,
            code: answered.reply.code,
        };
        self.counters.sudden_empty();
        // Once, however often it is asked for while it lasts.
        if before
            .failed()
            .is_none_or(|failed| failed.failure != failure)
        {
            tracing::warn!(name = %question.name, kind = %question.kind, %failure, "an absence is not believed");
        }
        Err(failure)
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
        failure: CacheFailure,
    ) -> Result<CacheAnswer, CacheFailure> {
        // Without an upstream for the name, nobody failed: the name is not to be asked for. And an
        // answer that was found wrong is no silence that an older one may fill.
        let is_silence = !matches!(
            failure.failure,
            LegacyFailure::NoUpstream | LegacyFailure::Bogus { .. }
        );
        let stale = is_silence
            .then(|| self.entries.peek(question))
            .flatten()
            .and_then(|entry| entry.stale(self.clock.now(), self.settings.stale_secs_max));
        match stale {
            Some(answer) => {
                self.counters.stale();
                let because = Some(failure.failure);
                Ok(CacheAnswer { because, ..answer })
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
        | LegacyFailure::SuddenlyEmpty { .. }
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
