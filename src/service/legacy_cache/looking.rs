//! What the cache holds, shown to people and taken in from them.

use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::resolution::legacy::{LegacyQuestion, LegacyReply};

use super::super::ports::{Clock, LegacyAnswered, LegacyDns};
use super::entry::{Entry, Received};
use super::{CacheFailure, CachedLegacy};

/// What is held for one question.
#[derive(Debug, Clone)]
pub struct Held {
    /// The question.
    pub question: LegacyQuestion,
    /// The last good reply, fresh or past its time.
    pub reply: Option<HeldReply>,
    /// Why nobody is asked at present.
    pub failure: Option<CacheFailure>,
    /// How often it was asked for, as far as the cache saw.
    pub asked: u32,
    /// Memory, about.
    pub bytes: u64,
}

/// A reply that is held.
#[derive(Debug, Clone)]
pub struct HeldReply {
    /// With the TTLs of when it came.
    pub reply: LegacyReply,
    /// The upstream that gave it.
    pub upstream: String,
    /// When it came.
    pub stored: Timestamp,
    /// How long it is fresh from then on.
    pub life_secs: u32,
    /// How old it is; none if the clock went back.
    pub age_secs: Option<u32>,
}

impl HeldReply {
    /// Seconds for which it is fresh.
    pub fn left_secs(&self) -> u32 {
        let age_secs = self.age_secs.unwrap_or(self.life_secs);
        self.life_secs.saturating_sub(age_secs)
    }
}

/// What became of a reply that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// It is held.
    Kept,
    /// What is held, or on its way, is newer.
    Older,
    /// Its time is over, also for a stale answer.
    Over,
    /// It is none that could have been kept, for this reason.
    Unfit(&'static str),
}

impl<L: LegacyDns, C: Clock> CachedLegacy<L, C> {
    /// The questions for which something is held: of a name, or of all, in their order.
    pub fn questions(&self, name: Option<&Name>) -> Vec<LegacyQuestion> {
        let entries = self.entries.iter();
        let questions = entries.map(|(question, _)| question);
        let mut meant: Vec<LegacyQuestion> = questions
            .filter(|question| name.is_none_or(|name| question.name == *name))
            .collect();
        meant.sort_unstable();
        meant
    }

    /// What is held for a question. Asks nobody and is not counted.
    pub fn held(&self, question: &LegacyQuestion) -> Option<Held> {
        let entry = self.entries.peek(question)?;
        Some(entry.held(question.clone(), self.clock.now()))
    }

    /// Takes in a reply that came to some cache at a time. It is never validated, whatever it was
    /// there, and never in the place of something newer.
    pub fn load(
        &self,
        question: &LegacyQuestion,
        answered: LegacyAnswered,
        stored: Timestamp,
    ) -> Loaded {
        let LegacyAnswered {
            mut reply,
            upstream,
        } = answered;
        reply.authentic = false;
        let now = self.clock.now();
        if stored > now {
            return Loaded::Unfit("it comes from the future");
        }
        if question.kind.is_meta() && question.kind != RecordType::ANY {
            return Loaded::Unfit("no answer has such a type");
        }
        if !is_about(question, &reply) {
            return Loaded::Unfit("its answers are about another name");
        }
        let epoch = self.flushes();
        let answered = LegacyAnswered { reply, upstream };
        let received = Received::new(question, answered, stored, &self.rules.load());
        let Some(entry) = received.entry else {
            return Loaded::Unfit("it has no TTL or proves no absence, and is not kept");
        };
        let stale_secs = self.settings.stale_secs_max;
        if entry.fresh(now).is_none() && entry.stale(now, stale_secs).is_none() {
            return Loaded::Over;
        }
        let is_newer = |held: &Entry| held.fresh(now).is_some() || held.stored() >= Some(stored);
        let known = self.entries.peek(question);
        if self.flights.has(question) || known.is_some_and(|held| is_newer(&held)) {
            return Loaded::Older;
        }
        self.keep(question, Some(entry), epoch);
        Loaded::Kept
    }
}

/// Whether the answers begin where the question does: at its name, or at a DNAME above it.
fn is_about(question: &LegacyQuestion, reply: &LegacyReply) -> bool {
    let mut answers = reply.answers.iter();
    reply.answers.is_empty()
        || answers.any(|record| {
            record.owner == question.name
                || (record.kind == RecordType::DNAME && question.name.is_within(&record.owner))
        })
}
