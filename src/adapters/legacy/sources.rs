//! `Sources`: forwarding for the suffixes that have upstreams, recursion for all other names if it
//! is on.

use std::sync::Arc;

use tokio::time::Instant;

use crate::namespace::name::Name;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion};
use crate::service::legacy_cache::UpstreamStanding;
use crate::service::ports::{LegacyAnswered, LegacyDns};
use crate::telemetry::legacy::{Exchanged, LegacyCounts};

use super::forwarder::{Forwarder, Random};
use super::recursion::Recursion;
use super::roots::{BadRecursion, RecursionPlan};
use super::upstream::{BadPlan, ForwardPlan};

/// Where legacy answers come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourcePlan {
    /// Upstreams; the default group has none if there is recursion.
    pub forward: ForwardPlan,
    /// Recursion for the names without a route.
    pub recursion: Option<RecursionPlan>,
}

impl SourcePlan {
    /// Whether there is any name that can be asked for.
    pub fn asks_anybody(&self) -> bool {
        let mut routes = self.forward.routes.values();
        self.recursion.is_some()
            || !self.forward.default.upstreams.is_empty()
            || routes.any(|group| !group.upstreams.is_empty())
    }
}

/// Why a plan cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSources {
    /// The upstreams.
    #[error(transparent)]
    Forward(#[from] BadPlan),
    /// Recursion.
    #[error(transparent)]
    Recursion(#[from] BadRecursion),
}

/// Legacy DNS from wherever the plan says.
#[derive(Debug)]
pub struct Sources {
    forwarder: Forwarder,
    routes: Vec<Name>,
    recursion: Option<Recursion>,
    counts: Arc<LegacyCounts>,
}

impl Sources {
    /// Makes ready for questions; nothing is sent yet. Upstreams are asked with numbers from `random`.
    pub fn new(plan: SourcePlan, random: Random) -> Result<Self, BadSources> {
        let recursion = plan.recursion.map(Recursion::new).transpose()?;
        Ok(Self {
            routes: plan.forward.routes.keys().cloned().collect(),
            forwarder: Forwarder::new(plan.forward, random)?,
            recursion,
            counts: Arc::default(),
        })
    }

    /// The same, counted here.
    #[must_use]
    pub fn with_counts(self, counts: Arc<LegacyCounts>) -> Self {
        Self { counts, ..self }
    }

    async fn exchange(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> Result<LegacyAnswered, LegacyFailure> {
        match self.recursion_for(question) {
            Some(recursion) => recursion.ask(question, patience_ms).await,
            None => self.forwarder.ask(question, patience_ms).await,
        }
    }

    /// Recursion, if that is where a question goes.
    fn recursion_for(&self, question: &LegacyQuestion) -> Option<&Recursion> {
        let mut routes = self.routes.iter();
        let mut is_routed = || routes.any(|route| question.name.is_within(route));
        self.recursion.as_ref().filter(|_| !is_routed())
    }
}

/// What came of an exchange.
const fn exchanged(outcome: &Result<LegacyAnswered, LegacyFailure>) -> Exchanged {
    match outcome {
        Ok(_) => Exchanged::Answered,
        Err(LegacyFailure::NoUpstream) => Exchanged::NoUpstream,
        Err(LegacyFailure::Timeout) => Exchanged::Timeout,
        Err(LegacyFailure::Unreachable(_)) => Exchanged::Unreachable,
        Err(LegacyFailure::Code { .. } | LegacyFailure::SuddenlyEmpty { .. }) => {
            Exchanged::Unusable
        }
        Err(LegacyFailure::NoAuthority(_) | LegacyFailure::TooCostly(_)) => Exchanged::GivenUp,
        Err(LegacyFailure::Bogus { .. }) => Exchanged::Bogus,
        Err(LegacyFailure::Overloaded) => Exchanged::Overload,
    }
}

/// An exchange under way. One that is given up from outside ran out of time.
struct Timed<'c> {
    counts: &'c LegacyCounts,
    began: Instant,
    how: Exchanged,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.began.elapsed().as_nanos());
        self.counts.ended(self.how, nanos.unwrap_or(u64::MAX));
    }
}

impl LegacyDns for Sources {
    async fn ask(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> Result<LegacyAnswered, LegacyFailure> {
        let mut timed = Timed {
            counts: &self.counts,
            began: Instant::now(),
            how: Exchanged::Timeout,
        };
        let outcome = self.exchange(question, patience_ms).await;
        timed.how = exchanged(&outcome);
        outcome
    }

    /// Recursion answers from its own caches as long as they have something.
    fn can_renew(&self, question: &LegacyQuestion) -> bool {
        self.recursion_for(question).is_none()
    }

    fn upstreams(&self) -> Vec<UpstreamStanding> {
        self.forwarder.standing()
    }

    fn forget(&self) {
        if let Some(recursion) = &self.recursion {
            recursion.forget();
        }
    }
}
