//! `Waiting`: a resolution that waits for legacy DNS, and how it goes on with the reply.

use crate::index::place::apex_of;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::record::Record;
use crate::namespace::rtype::RecordType;
use crate::resolution::answer::{Answer, Outcome, Side, ede};
use crate::resolution::fallback::{Order, Rule};
use crate::resolution::legacy::{Flaw, LegacyCode, LegacyFailure, LegacyQuestion, LegacyReply};
use crate::resolution::trail::{Trail, TrailStep};

use super::attempt::Verdict;
use super::{Plan, Realm, Resolution, Step};

/// What came of a legacy question.
#[derive(Debug)]
pub struct LegacyOutcome {
    /// The reply or the failure.
    pub reply: Result<LegacyReply, LegacyFailure>,
    /// Nobody was asked this time: the failure is one that is remembered (RFC 9520).
    pub remembered: bool,
    /// The reply outlived its TTL and is served because nothing newer is to be had (RFC 8767).
    pub stale: bool,
    /// Cache state or upstream, for people.
    pub note: String,
    /// What was done for it, if anybody reads that.
    pub steps: Vec<String>,
}

/// A resolution that waits for legacy DNS.
#[derive(Debug)]
pub struct Waiting {
    resolution: Resolution,
    plan: Plan,
    question: LegacyQuestion,
}

impl Waiting {
    pub(super) fn new(resolution: Resolution, plan: Plan, question: LegacyQuestion) -> Self {
        Self {
            resolution,
            plan,
            question,
        }
    }

    /// The rule, if it wants this consultation in the audit log.
    pub fn audited_by(&self) -> Option<&Rule> {
        Some(&self.plan.rule).filter(|rule| rule.audit)
    }

    /// The name that the client asked for.
    pub fn asked_name(&self) -> &Name {
        &self.resolution.question.name
    }

    /// What the other side said before legacy DNS was asked in its place.
    pub fn fallen(&self) -> Option<Outcome> {
        self.plan.fallen.as_ref().map(|answer| answer.outcome)
    }

    /// The suffix of the rule under which legacy DNS is consulted; none for names that are its own.
    pub fn fall_back_suffix(&self) -> Option<&Name> {
        let rule = &self.plan.rule;
        let is_fall_back = matches!(rule.order, Order::GovernedFirst | Order::LegacyFirst);
        (is_fall_back || rule.audit).then_some(&rule.suffix)
    }

    /// Goes on with what legacy DNS said.
    pub fn resume<V: IndexView>(
        self,
        realm: &Realm<'_, V>,
        outcome: LegacyOutcome,
        trail: &mut Trail,
    ) -> Result<Step, V::Error> {
        let Self {
            resolution,
            plan,
            question,
        } = self;
        let LegacyOutcome {
            reply,
            remembered,
            stale,
            note,
            steps,
        } = outcome;
        for what in steps {
            trail.note(|| TrailStep::Asked { what });
        }
        trail.note(|| TrailStep::Legacy {
            name: question.name.clone(),
            note,
        });
        let verdict = match reply {
            Ok(reply) if resolution.validated_only && !reply.authentic => {
                // Data that policy will not have is no absence: the other side is not asked.
                let text = "policy demands validated data and this answer is not validated";
                let refusal = Answer::empty(Outcome::LegacyFailed, Side::Legacy);
                return Ok(resolution.finish(refusal.with_error(ede::RRSIGS_MISSING, text)));
            }
            Ok(reply) => judge(realm, &question, reply, stale, trail),
            Err(failure) => Verdict::Answer(Box::new(failed(&failure, remembered))),
        };
        resolution.settle(realm, plan, &question.name, verdict, trail)
    }
}

fn failed(failure: &LegacyFailure, remembered: bool) -> Answer {
    let (outcome, code) = match failure {
        LegacyFailure::NoUpstream | LegacyFailure::NoAuthority(_) => {
            (Outcome::LegacyFailed, ede::NO_REACHABLE_AUTHORITY)
        }
        LegacyFailure::Timeout | LegacyFailure::Unreachable(_) => {
            (Outcome::LegacyFailed, ede::NETWORK_ERROR)
        }
        LegacyFailure::Code { .. }
        | LegacyFailure::SuddenlyEmpty { .. }
        | LegacyFailure::TooCostly(_)
        | LegacyFailure::Overloaded => (Outcome::LegacyFailed, ede::OTHER),
        LegacyFailure::Bogus { flaw, .. } => (Outcome::Bogus, flaw_code(*flaw)),
    };
    let answer = Answer::empty(outcome, Side::Legacy).with_error(code, failure.to_string());
    if remembered {
        return answer.with_error(ede::CACHED_ERROR, "it failed just before");
    }
    answer
}

fn flaw_code(flaw: Flaw) -> u16 {
    match flaw {
        Flaw::Wrong => ede::BOGUS,
        Flaw::Expired => ede::SIGNATURE_EXPIRED,
        Flaw::NotYetValid => ede::SIGNATURE_NOT_YET_VALID,
        Flaw::NoKey => ede::DNSKEY_MISSING,
        Flaw::NoSignature => ede::RRSIGS_MISSING,
        Flaw::NoProof => ede::NSEC_MISSING,
    }
}

/// Follows the reply's own chain; where it enters a name that is answered here, the reply is cut
/// and the chain goes on here.
fn judge<V: IndexView>(
    realm: &Realm<'_, V>,
    question: &LegacyQuestion,
    reply: LegacyReply,
    stale: bool,
    trail: &mut Trail,
) -> Verdict {
    let mut answer = Answer::empty(Outcome::Found, Side::Legacy);
    answer.authentic = reply.authentic && !stale;
    if stale {
        let (code, text) = match reply.code {
            LegacyCode::NoError => (ede::STALE, "no upstream answered; this answer is stale"),
            LegacyCode::NxDomain => (
                ede::STALE_NXDOMAIN,
                "no upstream answered; this absence is stale",
            ),
        };
        answer = answer.with_error(code, text);
    }
    if let Some((kept, target)) = enters_here(realm, question, &reply.answers) {
        let from = question.name.clone();
        trail.note(|| TrailStep::Chain {
            from,
            to: target.clone(),
            by: "legacy CNAME",
        });
        answer.answers = kept;
        return Verdict::Chain(answer, target);
    }
    let has_data = reply
        .answers
        .iter()
        .any(|record| question.kind == RecordType::ANY || record.kind == question.kind);
    if reply.code == LegacyCode::NoError
        && !has_data
        && let Some(target) = left_to_us(question, &reply)
    {
        let from = question.name.clone();
        trail.note(|| TrailStep::Chain {
            from,
            to: target.clone(),
            by: "legacy CNAME",
        });
        answer.answers = reply.answers;
        answer.authorities = reply.authorities;
        answer.authorities.retain(is_proof);
        return Verdict::Chain(answer, target);
    }
    answer.outcome = match reply.code {
        LegacyCode::NxDomain => Outcome::Absent,
        LegacyCode::NoError if has_data => Outcome::Found,
        LegacyCode::NoError => Outcome::NoData,
    };
    answer.answers = reply.answers;
    answer.authorities = reply.authorities;
    answer.additionals = reply.additionals;
    Verdict::Answer(Box::new(answer))
}

/// Whether a record belongs to a proof of absence.
fn is_proof(record: &Record) -> bool {
    // A signature begins with the type that it covers (RFC 4034 section 3.1).
    let kind = match record.rdata.as_bytes().first_chunk::<2>() {
        Some(covered) if record.kind == RecordType::RRSIG => {
            RecordType::new(u16::from_be_bytes(*covered))
        }
        _ => record.kind,
    };
    matches!(kind, RecordType::NSEC | RecordType::NSEC3)
}

/// The part of an answer section up to the alias that leads to a name of this node, and that name.
fn enters_here<V: IndexView>(
    realm: &Realm<'_, V>,
    question: &LegacyQuestion,
    answers: &[Record],
) -> Option<(Vec<Record>, Name)> {
    if matches!(
        question.kind,
        RecordType::CNAME | RecordType::ANY | RecordType::DNAME
    ) {
        return None;
    }
    let mut name = question.name.clone();
    let mut kept = Vec::new();
    for _ in 0..answers.len() {
        let alias = answers
            .iter()
            .find(|record| record.kind == RecordType::CNAME && record.owner == name)?;
        let target = Name::from_wire(alias.rdata.as_bytes()).ok()?;
        let covers = |record: &&Record| {
            record.owner == name
                || (record.kind == RecordType::DNAME && name.is_within(&record.owner))
        };
        kept.extend(answers.iter().filter(covers).cloned());
        if is_answered_here(realm, &question.name, &target) {
            return Some((kept, target));
        }
        name = target;
    }
    None
}

/// The end of a chain that the reply neither answers nor says to hold nothing: without an SOA the
/// rest of the chain was left to us (RFC 1034 section 5.3.3, step 4c).
fn left_to_us(question: &LegacyQuestion, reply: &LegacyReply) -> Option<Name> {
    let is_final = matches!(
        question.kind,
        RecordType::CNAME | RecordType::ANY | RecordType::DNAME
    );
    let mut authorities = reply.authorities.iter();
    if is_final || authorities.any(|record| record.kind == RecordType::SOA) {
        return None;
    }
    let mut name = question.name.clone();
    for _ in 0..reply.answers.len() {
        let mut answers = reply.answers.iter();
        match answers.find(|record| record.kind == RecordType::CNAME && record.owner == name) {
            Some(alias) => name = Name::from_wire(alias.rdata.as_bytes()).ok()?,
            None => break,
        }
    }
    (name != question.name).then_some(name)
}

/// Whether this node answers a name that legacy DNS led to: a governed name, a name of a zone, or
/// one that a rule gives to the index first. Inside one rule's suffix legacy DNS was asked by that
/// rule already.
fn is_answered_here<V: IndexView>(realm: &Realm<'_, V>, asked: &Name, target: &Name) -> bool {
    let by_rule = || {
        realm.rules.for_name(target).is_some_and(|rule| {
            matches!(rule.order, Order::GovernedOnly | Order::GovernedFirst)
                && !asked.is_within(&rule.suffix)
        })
    };
    apex_of(realm.apexes, target).is_some()
        || realm.zones.keys().any(|origin| target.is_within(origin))
        || by_rule()
}
