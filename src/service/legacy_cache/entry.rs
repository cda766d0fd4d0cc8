//! `Entry`: what is kept for one question, how long, and at what weight.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::base::time::{Timestamp, Ttl};
use crate::namespace::record::Record;
use crate::namespace::rtype::RecordType;
use crate::resolution::legacy::{LegacyCode, LegacyFailure, LegacyQuestion, LegacyReply};
use crate::service::ports::LegacyAnswered;

use super::looking::{Held, HeldReply};
use super::settings::{LegacyCacheRules, STALE_TTL_SECS};
use super::{CacheAnswer, CacheFailure, CacheState, Remembered};

/// What an allocation costs beside its bytes.
const ALLOCATION_BYTES: usize = 16;
/// What the cache's own tables cost per entry, their free places included.
const PLACE_BYTES: usize = 192;

/// What is known of a question: a good reply, or that asking fails, or both.
#[derive(Debug)]
pub(super) struct Entry {
    good: Option<Good>,
    failed: Option<Failed>,
    /// Memory held, about.
    bytes: u64,
    /// How often it was asked for, as far as the cache was.
    asked: AtomicU32,
    /// Whether somebody was told to ask for it again before it ends.
    is_renewed: AtomicBool,
}

#[derive(Debug, Clone)]
struct Good {
    /// With the TTLs it had when it was stored.
    reply: LegacyReply,
    upstream: String,
    stored: Timestamp,
    /// How long it is fresh; no record of the answer and authority sections lives shorter.
    life_secs: u32,
}

/// That asking failed, and how long nobody tries again.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: LegacyFailure,
    since: Timestamp,
    secs: u32,
}

impl Failed {
    /// A failure, remembered twice as long as the one before if it follows on that. One that was
    /// over for longer than any failure is remembered says nothing about this one.
    pub(super) fn next(
        before: Option<&Self>,
        failure: LegacyFailure,
        now: Timestamp,
        rules: &LegacyCacheRules,
    ) -> Self {
        let follows = before.filter(|before| {
            let age_secs = age_secs(before.since, now);
            age_secs.is_some_and(|age| age <= before.secs.saturating_add(rules.failure_secs_max))
        });
        let secs = follows.map_or(rules.failure_secs, |before| before.secs.saturating_mul(2));
        Self {
            failure,
            since: now,
            secs: secs.min(rules.failure_secs_max),
        }
    }
}

/// An upstream's reply as it is handed out, and as it may be kept.
pub(super) struct Received {
    /// The answer to those who waited for it.
    pub(super) answer: CacheAnswer,
    /// None if the reply may not be kept.
    pub(super) entry: Option<Entry>,
}

impl Received {
    /// Limits the TTLs of a reply and decides whether it can be kept.
    pub(super) fn new(
        question: &LegacyQuestion,
        answered: LegacyAnswered,
        now: Timestamp,
        rules: &LegacyCacheRules,
    ) -> Self {
        let LegacyAnswered {
            mut reply,
            upstream,
        } = answered;
        let life_secs = limit_ttls(question, &mut reply, rules);
        for section in [
            &mut reply.answers,
            &mut reply.authorities,
            &mut reply.additionals,
        ] {
            section.shrink_to_fit();
        }
        let answer = CacheAnswer {
            reply: reply.clone(),
            upstream: upstream.clone(),
            state: CacheState::Miss,
            because: None,
            is_due: false,
        };
        let good = Good {
            reply,
            upstream,
            stored: now,
            life_secs,
        };
        Self {
            answer,
            entry: (life_secs > 0).then(|| Entry::new(question, Some(good), None)),
        }
    }
}

impl Entry {
    fn new(question: &LegacyQuestion, good: Option<Good>, failed: Option<Failed>) -> Self {
        let held = good.as_ref().map_or(0, |good| {
            reply_bytes(&good.reply) + good.upstream.len() + ALLOCATION_BYTES
        });
        let excuse = failed.as_ref().map_or(0, |failed| match &failed.failure {
            LegacyFailure::Unreachable(text) | LegacyFailure::NoAuthority(text) => {
                text.len() + ALLOCATION_BYTES
            }
            LegacyFailure::Code { upstream, rcode } => {
                upstream.len() + rcode.len() + 2 * ALLOCATION_BYTES
            }
            LegacyFailure::Bogus { text, .. }
            | LegacyFailure::SuddenlyEmpty { upstream: text, .. } => text.len() + ALLOCATION_BYTES,
            _ => 0,
        });
        let fixed = size_of::<Self>() + PLACE_BYTES + 2 * ALLOCATION_BYTES;
        let bytes = fixed + question.name.as_wire().len() + held + excuse;
        Self {
            good,
            failed,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            asked: AtomicU32::new(0),
            is_renewed: AtomicBool::new(false),
        }
    }

    /// A failure beside what was good before.
    pub(super) fn failing(
        question: &LegacyQuestion,
        before: Option<&Self>,
        failed: Failed,
    ) -> Self {
        let good = before.and_then(|entry| entry.good.clone());
        Self::new(question, good, Some(failed))
    }

    /// The last failure since the last good reply, over or not.
    pub(super) fn failed(&self) -> Option<&Failed> {
        self.failed.as_ref()
    }

    /// Whether there were records until so many seconds ago, or still are.
    pub(super) fn had_records(
        &self,
        question: &LegacyQuestion,
        now: Timestamp,
        within_secs: u32,
    ) -> bool {
        self.good.as_ref().is_some_and(|good| {
            let age_secs = age_secs(good.stored, now);
            let until_secs = good.life_secs.saturating_add(within_secs);
            age_secs.is_some_and(|age| age < until_secs) && !is_negative(question, &good.reply)
        })
    }

    /// Memory held, about.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The reply with the TTLs it has left, if it is fresh.
    pub(super) fn fresh(&self, now: Timestamp) -> Option<CacheAnswer> {
        let good = self.good.as_ref()?;
        let age_secs = age_secs(good.stored, now)?;
        if age_secs >= good.life_secs {
            return None;
        }
        let left = |record: &Record| record.ttl.as_secs().saturating_sub(age_secs);
        let aged = |records: &[Record]| retimed(records, left).collect();
        let additionals = retimed(&good.reply.additionals, left);
        Some(CacheAnswer {
            reply: LegacyReply {
                answers: aged(&good.reply.answers),
                authorities: aged(&good.reply.authorities),
                // They do not bound the life of the answer, so some may be over.
                additionals: additionals
                    .filter(|record| record.ttl != Ttl::ZERO)
                    .collect(),
                ..head(&good.reply)
            },
            upstream: good.upstream.clone(),
            state: CacheState::Hit { age_secs },
            because: None,
            is_due: false,
        })
    }

    /// When the good reply came.
    pub(super) fn stored(&self) -> Option<Timestamp> {
        self.good.as_ref().map(|good| good.stored)
    }

    /// All that is known, for people.
    pub(super) fn held(&self, question: LegacyQuestion, now: Timestamp) -> Held {
        Held {
            question,
            reply: self.good.as_ref().map(|good| HeldReply {
                reply: good.reply.clone(),
                upstream: good.upstream.clone(),
                stored: good.stored,
                life_secs: good.life_secs,
                age_secs: age_secs(good.stored, now),
            }),
            failure: self.failure(now),
            asked: self.asked.load(Ordering::Relaxed),
            bytes: self.bytes,
        }
    }

    /// Counts that it was asked for.
    pub(super) fn note_asked(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// When the last tenth of its life begins.
    pub(super) fn last_tenth(&self) -> Option<Timestamp> {
        let good = self.good.as_ref()?;
        Some(good.stored.plus_millis(u64::from(good.life_secs) * 900))
    }

    /// Whether it is to be asked for again in the last tenth of its life, as it was asked for more than
    /// once. Says so once.
    pub(super) fn falls_due(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > 1 && !self.is_renewed.swap(true, Ordering::Relaxed)
    }

    /// Whether it still waits for what it said was due.
    pub(super) fn awaits_renewal(&self) -> bool {
        self.is_renewed.load(Ordering::Relaxed)
    }

    /// Lets it say again that it is due.
    pub(super) fn not_renewed(&self) {
        self.is_renewed.store(false, Ordering::Relaxed);
    }

    /// The moment at which the TTLs that the reply has left became what they are.
    pub(super) fn aged_at(&self, now: Timestamp) -> Option<Timestamp> {
        let good = self.good.as_ref()?;
        let secs = age_secs(good.stored, now)?;
        Some(good.stored.plus_millis(u64::from(secs) * 1_000))
    }

    /// The reply past its time, if it is not too old (RFC 8767).
    pub(super) fn stale(&self, now: Timestamp, stale_secs_max: u32) -> Option<CacheAnswer> {
        let good = self.good.as_ref()?;
        let over_secs = age_secs(good.stored, now)?.checked_sub(good.life_secs)?;
        if over_secs >= stale_secs_max {
            return None;
        }
        let renewed = |records: &[Record]| retimed(records, |_| STALE_TTL_SECS).collect();
        Some(CacheAnswer {
            reply: LegacyReply {
                answers: renewed(&good.reply.answers),
                authorities: renewed(&good.reply.authorities),
                additionals: renewed(&good.reply.additionals),
                ..head(&good.reply)
            },
            upstream: good.upstream.clone(),
            state: CacheState::Stale,
            because: None,
            is_due: false,
        })
    }

    /// Why asking again now would be of no use.
    pub(super) fn failure(&self, now: Timestamp) -> Option<CacheFailure> {
        let failed = self.failed.as_ref()?;
        let age_secs = age_secs(failed.since, now)?;
        let left_secs = failed.secs.checked_sub(age_secs).filter(|left| *left > 0)?;
        Some(CacheFailure {
            failure: failed.failure.clone(),
            remembered: Some(Remembered {
                age_secs,
                left_secs,
            }),
        })
    }
}

/// Code and flag, without records.
fn head(reply: &LegacyReply) -> LegacyReply {
    LegacyReply {
        code: reply.code,
        authentic: reply.authentic,
        answers: Vec::new(),
        authorities: Vec::new(),
        additionals: Vec::new(),
    }
}

/// Whole seconds from `stored` to `now`. None if the clock went back behind `stored`: the age is
/// then unknown, and an age of zero would keep the entry for as long as the clock went back.
fn age_secs(stored: Timestamp, now: Timestamp) -> Option<u32> {
    let millis = now.as_millis().checked_sub(stored.as_millis())?;
    Some(u32::try_from(millis / 1000).unwrap_or(u32::MAX))
}

fn retimed(records: &[Record], secs: impl Fn(&Record) -> u32) -> impl Iterator<Item = Record> {
    records.iter().map(move |record| Record {
        ttl: Ttl::from_secs(secs(record)),
        ..record.clone()
    })
}

/// Brings every TTL into its bounds and returns how long the reply may be kept; 0 for not at all.
fn limit_ttls(question: &LegacyQuestion, reply: &mut LegacyReply, rules: &LegacyCacheRules) -> u32 {
    let negative = is_negative(question, reply);
    let (min, max) = if negative {
        (0, rules.negative_ttl_secs_max)
    } else {
        let max = rules.ttl_secs_max;
        (rules.ttl_secs_min.min(max), max)
    };
    let mut proven = !negative;
    for record in &mut reply.authorities {
        if negative && record.kind == RecordType::SOA {
            // RFC 2308 section 5: the lesser of the SOA's TTL and its last field.
            let minimum = soa_minimum(record).unwrap_or(0);
            record.ttl = Ttl::from_secs(record.ttl.as_secs().min(minimum));
            proven = true;
        }
    }
    let answers = reply.answers.iter_mut().chain(&mut reply.authorities);
    let mut life_secs = max;
    for record in answers {
        record.ttl = Ttl::from_secs(record.ttl.as_secs().clamp(min, max));
        life_secs = life_secs.min(record.ttl.as_secs());
    }
    for record in &mut reply.additionals {
        record.ttl = Ttl::from_secs(record.ttl.as_secs().clamp(min, max));
    }
    // An absence without SOA has no stated life and is not kept (RFC 2308 section 5).
    if proven { life_secs } else { 0 }
}

/// NXDOMAIN or NODATA (RFC 2308 section 2). A lone CNAME without SOA is no absence: the upstream
/// only left the rest of the chain to us.
pub(super) fn is_negative(question: &LegacyQuestion, reply: &LegacyReply) -> bool {
    let has = |records: &[Record], kind| records.iter().any(|record| record.kind == kind);
    reply.code == LegacyCode::NxDomain
        || reply.answers.is_empty()
        || (question.kind != RecordType::ANY
            && !has(&reply.answers, question.kind)
            && has(&reply.authorities, RecordType::SOA))
}

fn soa_minimum(record: &Record) -> Option<u32> {
    let bytes = record.rdata.as_bytes().last_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}

fn reply_bytes(reply: &LegacyReply) -> usize {
    let sections = [&reply.answers, &reply.authorities, &reply.additionals];
    let record_bytes = |record: &Record| {
        size_of::<Record>()
            + record.owner.as_wire().len()
            + record.rdata.as_bytes().len()
            + 2 * ALLOCATION_BYTES
    };
    let sections = sections.into_iter();
    sections
        .map(|section| ALLOCATION_BYTES + section.iter().map(record_bytes).sum::<usize>())
        .sum()
}
