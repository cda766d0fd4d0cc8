//! `Resolver`: takes resolutions to their end with the store and the legacy cache.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::base::time::Timestamp;
use crate::index::as_of::{AsOf, AsOfError};
use crate::index::learned::{Wider, WiderError};
use crate::index::view::IndexView as _;
use crate::resolution::answer::{Answer, Outcome, Side, ede};
use crate::resolution::fallback::Rules;
use crate::resolution::governed::Lack;
use crate::resolution::instances::{NoServices, Services};
use crate::resolution::legacy::LegacyQuestion;
use crate::resolution::pipeline::{
    LegacyOutcome, PeerOutcome, Realm, Seeking, Step, Waiting, start,
};
use crate::resolution::question::Question;
use crate::resolution::trail::Trail;
use crate::telemetry::Telemetry;
use crate::telemetry::answers::Account;

use super::accounting::account;
use super::audit::Audit;
use super::consultation::note_consultation;
use super::devices::PresenceTable;
use super::freshness::FreshnessTable;
use super::learner::{Learner, NotLearned, Sight};
use super::legacy_cache::{CacheAnswer, CachedLegacy, LegacyCacheStats};
use super::legacy_outcome::{out_of_time, outcome_of};
use super::loads::ScopeLoads;
use super::ports::{IndexFailure, Parts, Store};
use super::prefetch::Prefetches;
use super::setup::Setup;
use super::stale::Doubts;
use super::standing::Standing;
use super::steps::StepLog;
use super::tallies::{Tallies, Tally};

/// Answers questions from the index, the zones and legacy DNS.
pub struct Resolver<P: Parts> {
    store: Arc<P::Store>,
    setup: ArcSwap<Setup>,
    legacy: ArcSwap<CachedLegacy<P::Legacy, P::Clock>>,
    audit: Audit,
    presences: Arc<PresenceTable>,
    services: Arc<dyn Services + Send + Sync>,
    loads: ScopeLoads,
    learner: Arc<Learner>,
    freshness: Arc<FreshnessTable>,
    /// Setups that were put in force.
    setups: AtomicU64,
    /// Answers of the legacy cache that listeners kept and gave again.
    legacy_hits: Tallies,
    telemetry: Arc<Telemetry>,
    prefetches: Prefetches,
}

impl<P: Parts> std::fmt::Debug for Resolver<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

/// A question as far as it gets without waiting.
#[derive(Debug)]
pub enum Begun {
    /// Answered.
    Done(Box<Answer>),
    /// Legacy DNS or another node has to be asked.
    Pending(Pending),
}

/// A question that waits for legacy DNS or for another node.
#[derive(Debug)]
pub struct Pending {
    wanted: Wanted,
    until: Instant,
    /// What on the way so far may not hold any more.
    doubts: Doubts,
}

/// What a question waits for.
#[derive(Debug)]
enum Wanted {
    Legacy(LegacyQuestion, Box<Waiting>),
    Proof(Lack, Box<Seeking>),
}

/// The index as a question sees it: what is held, and what was learned of the rest.
type View<'v, P> = Wider<'v, <<P as Parts>::Store as Store>::Snapshot, Sight<'v>>;

impl<P: Parts> Resolver<P> {
    /// A resolver over a store and an upstream.
    pub fn new(
        store: Arc<P::Store>,
        setup: Setup,
        legacy: CachedLegacy<P::Legacy, P::Clock>,
    ) -> Self {
        let clock = Arc::new(legacy.clock().clone());
        Self {
            learner: Arc::new(Learner::new(clock)),
            store,
            setup: ArcSwap::from_pointee(setup),
            legacy: ArcSwap::from_pointee(legacy),
            audit: Audit::off(),
            presences: Arc::default(),
            services: Arc::new(NoServices),
            loads: ScopeLoads::default(),
            freshness: Arc::default(),
            setups: AtomicU64::new(0),
            legacy_hits: Tallies::default(),
            telemetry: Arc::default(),
            prefetches: Prefetches::default(),
        }
    }

    /// The same resolver, which answers with the instances of services.
    #[must_use]
    pub fn with_services(self, services: Arc<dyn Services + Send + Sync>) -> Self {
        Self { services, ..self }
    }

    /// The same resolver, which counts here.
    #[must_use]
    pub fn with_telemetry(self, telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry, ..self }
    }

    /// The same resolver, with a log to report to.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// What is learned of scopes that are not held.
    pub const fn learner(&self) -> &Arc<Learner> {
        &self.learner
    }

    /// The scopes that may have been overtaken.
    pub const fn freshness(&self) -> &Arc<FreshnessTable> {
        &self.freshness
    }

    /// Where devices have shown themselves.
    pub fn presences(&self) -> Arc<PresenceTable> {
        Arc::clone(&self.presences)
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// What is in force now.
    pub fn setup(&self) -> Arc<Setup> {
        self.setup.load_full()
    }

    /// The legacy cache in force now.
    pub fn legacy(&self) -> Arc<CachedLegacy<P::Legacy, P::Clock>> {
        self.legacy.load_full()
    }

    /// The time by this node's clock.
    pub fn now(&self) -> Timestamp {
        self.legacy.load().now()
    }

    /// The store.
    pub fn store(&self) -> &Arc<P::Store> {
        &self.store
    }

    /// Puts a new setup in force, and a new upstream if one is given.
    pub fn replace(&self, setup: Setup, legacy: Option<CachedLegacy<P::Legacy, P::Clock>>) {
        if let Some(legacy) = legacy {
            self.legacy.store(Arc::new(legacy));
            self.legacy_hits.begin_anew();
        }
        self.setup.store(Arc::new(setup));
        self.setups.fetch_add(1, Ordering::Release);
    }

    /// What answers are made from now.
    pub fn standing(&self) -> Standing {
        Standing {
            setup: self.setups.load(Ordering::Acquire),
            forgotten: self.legacy.load().flushes(),
            index: (self.store.commits())
                .wrapping_add(self.services.arrivals())
                .wrapping_add(self.freshness.changes()),
        }
    }

    /// What is counted of an answer.
    pub fn account(&self, trail: &Trail, answer: &Answer, rcode: u16) -> Account {
        account(&self.telemetry, (trail, answer, rcode), |scope| {
            let held = self.store.latest().scope_no(scope);
            held.is_ok_and(|no| no.is_some())
        })
    }

    /// Where questions are counted.
    pub const fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Where a thread counts the answers of the legacy cache that it kept and gives again.
    pub fn legacy_hits(&self) -> Tally {
        self.legacy_hits.part()
    }

    /// What the legacy cache counted, with what was answered from answers of it.
    pub fn legacy_stats(&self) -> LegacyCacheStats {
        let mut stats = self.legacy.load().stats();
        stats.hits += self.legacy_hits.sum();
        stats
    }

    /// Answers a question, or finds that legacy DNS or another node has to be asked. Never waits.
    pub fn begin(&self, question: Question, trail: &mut Trail) -> Begun {
        let patience = Duration::from_millis(self.setup.load().deadline_ms);
        let until = Instant::now() + patience;
        let mut begun = self.go_on((false, Doubts::default()), until, |realm| {
            start(realm, question, trail)
        });
        while let Begun::Pending(pending) = begun {
            begun = match pending.wanted {
                // Nobody is waited for in vain.
                Wanted::Proof(lack, seeking) if self.learner.is_silent(&lack) => {
                    let outcome = PeerOutcome {
                        has_learned: false,
                        note: NotLearned::Lately.to_string(),
                    };
                    trail.keeping_mut().never("another node was to be asked");
                    self.go_on((true, pending.doubts), until, |realm| {
                        seeking.resume(realm, (&lack, outcome), trail)
                    })
                }
                Wanted::Legacy(question, waiting) => {
                    // What the cache holds is not waited for.
                    let Some(fresh) = self.legacy.load().fresh(&question) else {
                        let wanted = Wanted::Legacy(question, waiting);
                        return Begun::Pending(Pending { wanted, ..pending });
                    };
                    trail.keeping_mut().ages(fresh.since);
                    if let Some(until) = fresh.until {
                        trail.keeping_mut().lasts_until(until);
                    }
                    self.ask_ahead(&question, &fresh.answer);
                    let outcome = outcome_of(Ok(fresh.answer));
                    self.consulted(&waiting, &question, (&outcome, trail));
                    self.go_on((false, pending.doubts), until, |realm| {
                        waiting.resume(realm, outcome, trail)
                    })
                }
                wanted @ Wanted::Proof(..) => {
                    return Begun::Pending(Pending { wanted, ..pending });
                }
            };
        }
        begun
    }

    /// Counts and writes down that legacy DNS was consulted under a rule that wants that.
    fn consulted(
        &self,
        waiting: &Waiting,
        question: &LegacyQuestion,
        (outcome, trail): (&LegacyOutcome, &mut Trail),
    ) {
        if let Some(suffix) = waiting.fall_back_suffix() {
            self.audit.consulted(suffix, outcome.reply.is_ok());
            trail
                .keeping_mut()
                .never("consultations under a rule are counted");
        }
        note_consultation(waiting, question, outcome);
    }

    /// What the index answered at a time. Zone files, legacy DNS and the rules between them and the
    /// index are as they are now or nowhere, so a chain ends where it leaves the index.
    pub fn look_back(
        &self,
        mut question: Question,
        time: Timestamp,
        trail: &mut Trail,
    ) -> Result<Answer, AsOfError<IndexFailure<P>>> {
        question.recursion_desired = false;
        let setup = self.setup.load();
        let snapshot = self.store.latest();
        let realm = Realm {
            view: &AsOf::new(snapshot.as_ref(), time),
            apexes: &setup.apexes,
            zones: &BTreeMap::new(),
            rules: &Rules::default(),
            routes: &[],
            designated: &[],
            // Who was where is not kept.
            presences: None,
            // Leases leave no lineage: nobody knows what they were then.
            services: &NoServices,
            loads: None,
            asks_peers: false,
        };
        Ok(match start(&realm, question, trail)? {
            Step::Done(answer) => *answer,
            Step::AskLegacy(..) | Step::AskPeers(..) => {
                Answer::empty(Outcome::NotOurs, Side::Legacy)
            }
        })
    }

    /// Takes a waiting question to its end, within its deadline.
    pub async fn finish(&self, pending: Pending, trail: &mut Trail) -> Answer {
        let mut pending = pending;
        trail.keeping_mut().never("it was waited for");
        loop {
            let Pending {
                wanted,
                until,
                doubts,
            } = pending;
            let begun = match wanted {
                Wanted::Legacy(question, waiting) => {
                    let outcome = self.ask_legacy(&question, until, trail.is_on()).await;
                    self.consulted(&waiting, &question, (&outcome, trail));
                    self.go_on((false, doubts), until, |realm| {
                        waiting.resume(realm, outcome, trail)
                    })
                }
                Wanted::Proof(lack, seeking) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let apexes = self.setup.load_full();
                    let learned = self.learner.learn(&lack, &apexes.apexes, left).await;
                    // What nobody could prove now is answered by what is known of it, if anything is.
                    let may_be_stale = learned.is_err();
                    let outcome = PeerOutcome {
                        has_learned: learned.is_ok(),
                        note: learned.unwrap_or_else(|why| why.to_string()),
                    };
                    self.go_on((may_be_stale, doubts), until, |realm| {
                        seeking.resume(realm, (&lack, outcome), trail)
                    })
                }
            };
            match begun {
                Begun::Done(answer) => return *answer,
                Begun::Pending(next) => pending = next,
            }
        }
    }

    async fn ask_legacy(
        &self,
        question: &LegacyQuestion,
        until: Instant,
        is_explained: bool,
    ) -> LegacyOutcome {
        let left = until.saturating_duration_since(Instant::now());
        let patience_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let legacy = self.legacy.load_full();
        if patience_ms == 0 {
            return out_of_time();
        }
        let log = StepLog::default();
        let asked = legacy.ask(question, patience_ms);
        let answered = if is_explained {
            log.collect(asked).await
        } else {
            asked.await
        };
        if let Ok(answer) = &answered {
            self.ask_ahead(question, answer);
        }
        LegacyOutcome {
            steps: log.take(),
            ..outcome_of(answered)
        }
    }

    /// Has an answer that ends soon asked for again.
    fn ask_ahead(&self, question: &LegacyQuestion, answer: &CacheAnswer) {
        if answer.is_due && !self.prefetches.offer(question.clone()) {
            self.legacy.load().not_renewed(question);
        }
    }

    /// What is to be asked for again before it ends.
    pub(super) const fn prefetches(&self) -> &Prefetches {
        &self.prefetches
    }

    /// Takes a resolution as far as it gets without waiting.
    fn go_on(
        &self,
        (may_be_stale, doubts): (bool, Doubts),
        until: Instant,
        step: impl FnOnce(&Realm<'_, View<'_, P>>) -> Result<Step, WiderError<IndexFailure<P>>>,
    ) -> Begun {
        let setup = self.setup.load();
        let snapshot = self.store.latest();
        let presences = self.presences.load();
        let sight = self.learner.sight(may_be_stale);
        let overdue = self.freshness.sight();
        let services = self.learner.services(self.services.as_ref(), &sight);
        let realm = Realm {
            view: &Wider::new(snapshot.as_ref(), &sight).with_overdue(&overdue),
            apexes: &setup.apexes,
            zones: &setup.zones,
            rules: &setup.rules,
            routes: &setup.routes,
            designated: &setup.designated,
            presences: Some(&presences),
            services: &services,
            loads: Some(&self.loads),
            asks_peers: self.learner.can_ask(),
        };
        let taken = guarded(|| step(&realm));
        let doubts = doubts.and(sight.was_stale(), overdue.worst());
        let pending = |wanted| {
            Begun::Pending(Pending {
                wanted,
                until,
                doubts,
            })
        };
        match taken {
            Ok(Step::Done(answer)) => doubts.done(answer, || self.now()),
            Ok(Step::AskLegacy(question, waiting)) => pending(Wanted::Legacy(question, waiting)),
            Ok(Step::AskPeers(lack, seeking)) => pending(Wanted::Proof(lack, seeking)),
            Err(why) => Begun::Done(Box::new(unanswered(why))),
        }
    }
}

/// A failure of the store is SERVFAIL, never an empty answer.
fn unanswered<E: std::error::Error + 'static>(why: Unanswered<WiderError<E>>) -> Answer {
    let answer = Answer::empty(Outcome::Failed, Side::Governed);
    let why = match why {
        Unanswered::Index(WiderError::Unknown) => {
            let text = "what is known of that scope was dropped meanwhile; ask again";
            return answer.with_error(ede::NO_REACHABLE_AUTHORITY, text);
        }
        Unanswered::Index(error) => error_chain(&error),
        Unanswered::Panicked => "reading it panicked".to_owned(),
    };
    tracing::error!(error = %why, "the index could not be read; run `kedge verify`");
    answer.with_error(ede::OTHER, "the index cannot be read")
}

/// Why a step gave nothing.
enum Unanswered<E> {
    /// The index could not be read.
    Index(E),
    /// Something panicked; the store's engine does so on some damaged files.
    Panicked,
}

/// Runs a step so that a panic ends one question and not the loop that serves all.
fn guarded<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<T, Unanswered<E>> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(Unanswered::Index),
        Err(_) => Err(Unanswered::Panicked),
    }
}

/// An error with its sources in one line.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
