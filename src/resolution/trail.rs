//! `Trail`: the steps that led to an answer, written down only when somebody asked why.

use std::fmt;

use crate::governance::access::Verdict;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;

use super::answer::{ExtendedError, Outcome, Side};
use super::fallback::Order;
use super::keeping::Keeping;

/// One step on the way to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrailStep {
    /// The rule that governs the name.
    Route {
        /// The name asked now.
        name: Name,
        /// The order of the sides.
        order: Order,
        /// Where the order comes from.
        rule: String,
    },
    /// A scope on the path and what it said to the caller.
    Scope {
        /// The scope's name.
        scope: Name,
        /// Its height.
        height: u64,
        /// The epoch of its anchors and its policy.
        epoch: u64,
        /// Its anchors.
        anchors: usize,
        /// Its verdict.
        verdict: Verdict,
        /// The test that led to it; none if there are no tests.
        because: Option<String>,
    },
    /// What a directory held.
    Lookup {
        /// Which side.
        side: Side,
        /// The name looked up.
        name: Name,
        /// The type.
        kind: RecordType,
        /// What was found.
        found: &'static str,
    },
    /// What was chosen of a service's instances.
    Instances {
        /// Whose lease lasts.
        live: usize,
        /// Up.
        up: usize,
        /// Working.
        good: usize,
        /// Shown.
        shown: usize,
        /// Why these.
        why: String,
        /// How near they are; empty if nobody knows.
        near: String,
    },
    /// A redirect, CNAME or DNAME was followed.
    Chain {
        /// From.
        from: Name,
        /// To.
        to: Name,
        /// Why.
        by: &'static str,
    },
    /// One side handed the question to the other.
    FallBack {
        /// Why.
        because: Outcome,
        /// To which side.
        to: Side,
        /// Under which name.
        name: Name,
    },
    /// A hand-over that the policy forbids.
    Kept {
        /// Why.
        reason: &'static str,
    },
    /// Something that was done to answer a legacy question.
    Asked {
        /// Who was asked for what and what came of it, or what was made of it.
        what: String,
    },
    /// Legacy DNS was asked or its cache answered.
    Legacy {
        /// The name.
        name: Name,
        /// Cache state or upstream, and what came back.
        note: String,
    },
    /// Other nodes were asked about a scope that is not held here.
    Peers {
        /// What was wanted.
        what: String,
        /// Who answered, or why nobody did.
        note: String,
    },
}

impl fmt::Display for TrailStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route { name, order, rule } => write!(f, "route    {name} {order} ({rule})"),
            Self::Scope {
                scope,
                height,
                epoch,
                anchors,
                verdict,
                because,
            } => {
                write!(
                    f,
                    "scope    {scope} height {height}, epoch {epoch}, {anchors} anchor(s): {verdict}"
                )?;
                because.iter().try_for_each(|why| write!(f, " ({why})"))
            }
            Self::Lookup {
                side,
                name,
                kind,
                found,
            } => {
                write!(f, "lookup   {side}: {name} {kind}: {found}")
            }
            Self::Instances {
                live,
                up,
                good,
                shown,
                why,
                near,
            } => {
                let draining = live.saturating_sub(*up);
                write!(
                    f,
                    "instance {live} live, {up} up, {good} healthy, {draining} draining; {shown} \
                     shown: {why}"
                )?;
                if near.is_empty() {
                    return Ok(());
                }
                write!(f, " ({near})")
            }
            Self::Chain { from, to, by } => write!(f, "chain    {from} -> {to} ({by})"),
            Self::FallBack { because, to, name } => {
                write!(f, "fallback {because}: ask {to} for {name}")
            }
            Self::Kept { reason } => write!(f, "kept     {reason}"),
            Self::Asked { what } => write!(f, "asked    {what}"),
            Self::Legacy { name, note } => write!(f, "legacy   {name}: {note}"),
            Self::Peers { what, note } => write!(f, "peers    {what}: {note}"),
        }
    }
}

/// Collects steps, or lets them go.
#[derive(Debug, Default)]
pub struct Trail {
    steps: Option<Vec<TrailStep>>,
    /// Kept whether the steps are or not: who denies must be able to say so.
    denied: Option<Denial>,
    /// Kept likewise: the scope that decides over the name.
    scope: Option<ScopeUid>,
    /// Kept likewise: what the client is told beside the answer.
    told: Vec<ExtendedError>,
    /// Kept likewise: what the answer hangs on.
    keeping: Keeping,
}

/// A scope that denied a question by its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// The scope.
    pub scope: ScopeUid,
    /// How.
    pub verdict: Verdict,
}

impl Trail {
    /// Lets every step go, at no cost.
    pub const fn off() -> Self {
        Self {
            steps: None,
            denied: None,
            scope: None,
            told: Vec::new(),
            keeping: Keeping::NEW,
        }
    }

    /// Writes every step down.
    pub const fn on() -> Self {
        Self {
            steps: Some(Vec::new()),
            denied: None,
            scope: None,
            told: Vec::new(),
            keeping: Keeping::NEW,
        }
    }

    /// Notes that a scope denied the question.
    pub fn deny(&mut self, scope: ScopeUid, verdict: Verdict) {
        self.denied = Some(Denial { scope, verdict });
    }

    /// The scope that denied the question, the last if several did.
    pub const fn denied(&self) -> Option<Denial> {
        self.denied
    }

    /// Notes that a scope is entered.
    pub const fn enter(&mut self, scope: ScopeUid) {
        self.scope = Some(scope);
    }

    /// The scope that was entered last.
    pub const fn scope(&self) -> Option<ScopeUid> {
        self.scope
    }

    /// Has the client told something beside the answer.
    pub fn tell(&mut self, code: u16, text: String) {
        self.told.push(ExtendedError { code, text });
    }

    /// What the client is to be told.
    pub fn take_told(&mut self) -> Vec<ExtendedError> {
        std::mem::take(&mut self.told)
    }

    /// What the answer hangs on so far.
    pub const fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// The same, to add to it.
    pub const fn keeping_mut(&mut self) -> &mut Keeping {
        &mut self.keeping
    }

    /// Whether anybody will read the steps.
    pub const fn is_on(&self) -> bool {
        self.steps.is_some()
    }

    /// Notes a step; it is built only when somebody reads it.
    pub fn note(&mut self, step: impl FnOnce() -> TrailStep) {
        if let Some(steps) = &mut self.steps {
            steps.push(step());
        }
    }

    /// The steps so far.
    pub fn steps(&self) -> &[TrailStep] {
        self.steps.as_deref().unwrap_or_default()
    }
}
