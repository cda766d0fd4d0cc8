//! `Resolver`: takes resolutions to their end with the store and the legacy cache.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::time::Instant;

use crate::base::time::Timestamp;
use crate::governance::device::Presences;
use crate::index::as_of::{AsOf, AsOfError};
use crate::index::place::Apex;
use crate::namespace::name::Name;
use crate::resolution::answer::{Answer, Outcome, Side, ede};
use crate::resolution::fallback::Rules;
use crate::resolution::instances::{NoServices, Services};
use crate::resolution::legacy::{LegacyCode, LegacyFailure, LegacyQuestion};
use crate::resolution::pipeline::{LegacyOutcome, Realm, Step, Waiting, start};
use crate::resolution::question::Question;
use crate::resolution::trail::Trail;
use crate::resolution::zone::Zone;

use super::audit::Audit;
use super::devices::PresenceTable;
use super::legacy_cache::{CacheAnswer, CacheState, CachedLegacy};
use super::loads::ScopeLoads;
use super::ports::{IndexFailure, Parts, Store};
use super::steps::StepLog;

/// Who may ask, by source address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Who gets any answer at all.
    pub query: Vec<IpNet>,
    /// Who may have names resolved that are not served here.
    pub recurse: Vec<IpNet>,
}

impl Access {
    /// Whether an address may ask anything.
    pub fn may_query(&self, address: IpAddr) -> bool {
        contains(&self.query, address)
    }

    /// Whether an address may ask legacy DNS through us.
    pub fn may_recurse(&self, address: IpAddr) -> bool {
        contains(&self.recurse, address)
    }
}

fn contains(nets: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    nets.iter().any(|net| net.contains(&address))
}

/// What a reload replaces as a whole.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The governed trees.
    pub apexes: Vec<Apex>,
    /// The zones by origin.
    pub zones: BTreeMap<Name, Arc<Zone>>,
    /// The fall-back rules.
    pub rules: Rules,
    /// Suffixes with upstreams of their own.
    pub routes: Vec<Name>,
    /// Who may ask.
    pub access: Access,
    /// How long a question may take in all, in milliseconds.
    pub deadline_ms: u64,
    /// How long a device counts after a proof, in seconds.
    pub presence_secs: u32,
    /// Whether anything can be forwarded, so that RA tells the truth.
    pub forwards: bool,
}

impl Setup {
    /// Whether an address gets names resolved that are not served here. A node without upstreams
    /// offers that to nobody, and says so instead of failing.
    pub fn may_recurse(&self, address: IpAddr) -> bool {
        self.forwards && self.access.may_recurse(address)
    }
}

/// Answers questions from the index, the zones and legacy DNS.
pub struct Resolver<P: Parts> {
    store: Arc<P::Store>,
    setup: ArcSwap<Setup>,
    legacy: ArcSwap<CachedLegacy<P::Legacy, P::Clock>>,
    audit: Audit,
    presences: Arc<PresenceTable>,
    services: Arc<dyn Services + Send>,
    loads: ScopeLoads,
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
    /// Legacy DNS has to be asked.
    Pending(Pending),
}

/// A question that waits for legacy DNS.
#[derive(Debug)]
pub struct Pending {
    question: LegacyQuestion,
    waiting: Box<Waiting>,
    until: Instant,
}

impl<P: Parts> Resolver<P> {
    /// A resolver over a store and an upstream.
    pub fn new(
        store: Arc<P::Store>,
        setup: Setup,
        legacy: CachedLegacy<P::Legacy, P::Clock>,
    ) -> Self {
        Self {
            store,
            setup: ArcSwap::from_pointee(setup),
            legacy: ArcSwap::from_pointee(legacy),
            audit: Audit::off(),
            presences: Arc::default(),
            services: Arc::new(NoServices),
            loads: ScopeLoads::default(),
        }
    }

    /// The same resolver, which answers with the instances of services.
    #[must_use]
    pub fn with_services(self, services: Arc<dyn Services + Send>) -> Self {
        Self { services, ..self }
    }

    /// The same resolver, with a log to report to.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit, ..self }
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
        }
        self.setup.store(Arc::new(setup));
    }

    /// Answers a question, or finds that legacy DNS has to be asked. Never waits.
    pub fn begin(&self, question: Question, trail: &mut Trail) -> Begun {
        let setup = self.setup.load();
        let snapshot = self.store.latest();
        let presences = self.presences.load();
        let realm = self.realm(&setup, &snapshot, &presences);
        let step = guarded(|| start(&realm, question, trail));
        let until = Instant::now() + Duration::from_millis(setup.deadline_ms);
        self.take(step, until)
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
            // Who was where is not kept.
            presences: None,
            // Leases leave no lineage: nobody knows what they were then.
            services: &NoServices,
            loads: None,
        };
        Ok(match start(&realm, question, trail)? {
            Step::Done(answer) => *answer,
            Step::AskLegacy(..) => Answer::empty(Outcome::NotOurs, Side::Legacy),
        })
    }

    /// Takes a waiting question to its end, within its deadline.
    pub async fn finish(&self, pending: Pending, trail: &mut Trail) -> Answer {
        let mut pending = pending;
        loop {
            let Pending {
                question,
                waiting,
                until,
            } = pending;
            let left = until.saturating_duration_since(Instant::now());
            let patience_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            let legacy = self.legacy.load_full();
            let outcome = if patience_ms == 0 {
                LegacyOutcome {
                    reply: Err(LegacyFailure::Timeout),
                    stale: false,
                    note: "the question's deadline passed".to_owned(),
                    steps: Vec::new(),
                }
            } else if trail.is_on() {
                let log = StepLog::default();
                let answered = log.collect(legacy.ask(&question, patience_ms)).await;
                LegacyOutcome {
                    steps: log.take(),
                    ..outcome_of(answered)
                }
            } else {
                outcome_of(legacy.ask(&question, patience_ms).await)
            };
            if let Some(suffix) = waiting.fall_back_suffix() {
                self.audit.consulted(suffix, outcome.reply.is_ok());
            }
            audit(&waiting, &question, &outcome);
            let setup = self.setup.load_full();
            let snapshot = self.store.latest();
            let presences = self.presences.load();
            let realm = self.realm(&setup, &snapshot, &presences);
            let step = guarded(|| waiting.resume(&realm, outcome, trail));
            match self.take(step, until) {
                Begun::Done(answer) => return *answer,
                Begun::Pending(next) => pending = next,
            }
        }
    }

    fn realm<'r>(
        &'r self,
        setup: &'r Setup,
        snapshot: &'r <P::Store as Store>::Snapshot,
        presences: &'r Presences,
    ) -> Realm<'r, <P::Store as Store>::Snapshot> {
        Realm {
            view: snapshot,
            apexes: &setup.apexes,
            zones: &setup.zones,
            rules: &setup.rules,
            routes: &setup.routes,
            presences: Some(presences),
            services: self.services.as_ref(),
            loads: Some(&self.loads),
        }
    }

    /// A failure of the store is SERVFAIL, never an empty answer.
    #[expect(clippy::unused_self, reason = "reads as a step of the resolver")]
    fn take(&self, step: Result<Step, Unanswered<IndexFailure<P>>>, until: Instant) -> Begun {
        let why = match step {
            Ok(Step::Done(answer)) => return Begun::Done(answer),
            Ok(Step::AskLegacy(question, waiting)) => {
                return Begun::Pending(Pending {
                    question,
                    waiting,
                    until,
                });
            }
            Err(Unanswered::Index(error)) => error_chain(&error),
            Err(Unanswered::Panicked) => "reading it panicked".to_owned(),
        };
        tracing::error!(error = %why, "the index could not be read; run `kedge verify`");
        let answer = Answer::empty(Outcome::Failed, Side::Governed);
        Begun::Done(Box::new(
            answer.with_error(ede::OTHER, "the index cannot be read"),
        ))
    }
}

/// Writes a consultation of legacy DNS down, if the rule wants that.
fn audit(waiting: &Waiting, question: &LegacyQuestion, outcome: &LegacyOutcome) {
    let Some(rule) = waiting.audited_by() else {
        return;
    };
    let because = waiting
        .fallen()
        .map_or_else(|| "first".to_owned(), |outcome| outcome.to_string());
    let rcode = match &outcome.reply {
        Ok(reply) if reply.code == LegacyCode::NxDomain => "NXDOMAIN",
        Ok(_) => "NOERROR",
        Err(_) => "none",
    };
    let validated = outcome.reply.as_ref().is_ok_and(|reply| reply.authentic);
    tracing::info!(
        target: "kedge::audit",
        asked = %waiting.asked_name(),
        name = %question.name,
        kind = %question.kind,
        rule = %rule.suffix,
        order = %rule.order,
        because = %because,
        rcode = %rcode,
        validated,
        result = %outcome.note,
        "legacy DNS was consulted under a fall-back rule"
    );
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

fn outcome_of(result: Result<CacheAnswer, LegacyFailure>) -> LegacyOutcome {
    match result {
        Ok(CacheAnswer {
            reply,
            upstream,
            state,
        }) => {
            let note = match state {
                CacheState::Hit { age_secs } => {
                    format!("cache hit, {age_secs} s old, from {upstream}")
                }
                CacheState::Miss => format!("cache miss, asked {upstream}"),
                CacheState::Joined => format!("joined a question under way to {upstream}"),
                CacheState::Stale => format!("upstreams fail; stale answer from {upstream}"),
            };
            LegacyOutcome {
                reply: Ok(reply),
                stale: state == CacheState::Stale,
                note,
                steps: Vec::new(),
            }
        }
        Err(failure) => {
            let note = failure.to_string();
            LegacyOutcome {
                reply: Err(failure),
                stale: false,
                note,
                steps: Vec::new(),
            }
        }
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
