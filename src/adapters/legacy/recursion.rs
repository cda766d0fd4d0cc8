//! `Recursion`: legacy DNS from its root down, validated here.
//!
//! hickory's recursor finds the servers and asks them; hickory's validator judges what it is given
//! one name at a time. Aliases are not followed here: the reply ends with the CNAME, and the next
//! name is a question of its own, under its own rule.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_resolver::net::NetError;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name as HickoryName, Record, RecordType as HickoryType};
use hickory_resolver::proto::serialize::binary::BinDecodable;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::namespace::rtype::RecordType;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion};
use crate::service::ports::{LegacyAnswered, LegacyDns};
use crate::service::steps::note_step;

use super::account::Account;
use super::names::{NSEC3_ITERATIONS_INSECURE, OneName};
use super::reply;
use super::roots::{BadRecursion, RecursionPlan, anchors};
use super::veil::covered;
use super::verdict::{Standing, flaw, judge, suspect};

/// Questions that are resolved at the same time; each holds a socket or two.
const RECURSIONS_MAX: usize = 1_024;
/// Answers to one question that are validated: one that is bogus, and others that other servers give in
/// place of what made it so. Each takes one message more, and the keys that no authority vouched for.
const OPINIONS_MAX: u32 = 4;
/// More iterations are not even counted.
const NSEC3_ITERATIONS_MAX: u16 = 150;
/// Judgements of record sets that are remembered.
const JUDGEMENTS_KEPT_MAX: usize = 65_536;
/// A failed validation is tried again soon (RFC 4035 section 4.7).
const BOGUS_KEPT: Duration = Duration::from_secs(30);
/// Who answered, in the words of the cache.
const SOURCE: &str = "the authorities";

/// Legacy DNS by recursion. Cheap to ask from many tasks at once; must be asked inside a tokio
/// runtime with time and I/O.
pub struct Recursion {
    plan: Arc<RecursionPlan>,
    anchors: Arc<TrustAnchors>,
    engine: ArcSwap<Engine>,
    places: Semaphore,
}

/// hickory's parts with all that they remember.
struct Engine {
    plain: OneName,
    validator: Option<DnssecDnsHandle<OneName>>,
}

/// An answer that may be given.
struct Judged {
    message: Message,
    authentic: bool,
}

impl Recursion {
    /// Makes ready for questions; nothing is sent yet.
    pub fn new(plan: RecursionPlan) -> Result<Self, BadRecursion> {
        if plan.roots.is_empty() {
            let path = "the plan".to_owned();
            return Err(BadRecursion::NoRoots { path });
        }
        if let Some(root) = plan.roots.iter().find(|root| !plan.may_ask(**root)) {
            return Err(BadRecursion::DeniedRoot(*root));
        }
        let anchors = match &plan.anchors {
            Some(text) => anchors(text).map_err(|reason| BadRecursion::Anchors {
                path: "trust-anchors".to_owned(),
                reason,
            })?,
            None => TrustAnchors::default(),
        };
        let (plan, anchors) = (Arc::new(plan), Arc::new(anchors));
        let engine = Engine::new(&plan, &anchors)?;
        Ok(Self {
            engine: ArcSwap::from_pointee(engine),
            places: Semaphore::new(RECURSIONS_MAX),
            plan,
            anchors,
        })
    }

    async fn resolve(&self, question: &LegacyQuestion) -> Result<LegacyAnswered, LegacyFailure> {
        let name = HickoryName::from_bytes(question.name.as_wire())
            .map_err(|error| LegacyFailure::NoAuthority(error.to_string()))?;
        let query = Query::query(name, HickoryType::from(question.kind.code()));
        let engine = self.engine.load_full();
        let validator = engine
            .validator
            .as_ref()
            .filter(|_| self.validates(question));
        let judged = match validator {
            Some(validator) => validated(validator, &query).await?,
            None => unvalidated(&engine.plain, &query).await?,
        };
        read(question, judged)
    }

    /// Whether this question's answer is validated.
    fn validates(&self, question: &LegacyQuestion) -> bool {
        if !self.plan.validates {
            return false;
        }
        if question.checking_disabled {
            note_step(|| "not validated: the client set CD".to_owned());
            return false;
        }
        if let Some(suffix) = self.plan.negative_anchor(&question.name) {
            note_step(|| format!("not validated: {suffix} is a negative trust anchor"));
            return false;
        }
        true
    }
}

impl LegacyDns for Recursion {
    async fn ask(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> Result<LegacyAnswered, LegacyFailure> {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(LegacyFailure::Overloaded);
        };
        let account = Account::new(self.plan.queries_max);
        let work = account.pay(self.resolve(question));
        let outcome = timeout(Duration::from_millis(patience_ms), Box::pin(work))
            .await
            .unwrap_or(Err(LegacyFailure::Timeout));
        if outcome.is_err()
            && let Some(bogus) = account.bogus()
        {
            return Err(bogus);
        }
        if outcome.is_err() && account.is_overdrawn() {
            return Err(LegacyFailure::TooCostly(self.plan.queries_max));
        }
        match outcome {
            // Keys that could not be had do not make a zone bogus.
            Err(LegacyFailure::NoAuthority(_) | LegacyFailure::Bogus { .. })
                if account.ends_in_silence() =>
            {
                Err(LegacyFailure::Timeout)
            }
            other => other,
        }
    }

    fn forget(&self) {
        match Engine::new(&self.plan, &self.anchors) {
            Ok(engine) => self.engine.store(Arc::new(engine)),
            // It was made from the same parts before.
            Err(error) => tracing::error!(%error, "recursion keeps what it knows"),
        }
    }
}

impl Engine {
    fn new(plan: &Arc<RecursionPlan>, anchors: &Arc<TrustAnchors>) -> Result<Self, BadRecursion> {
        let plain = OneName::new(plan)?;
        let validator = plan.validates.then(|| {
            DnssecDnsHandle::with_trust_anchor(plain.clone(), Arc::clone(anchors))
                .nsec3_iteration_limits(Some(NSEC3_ITERATIONS_INSECURE), Some(NSEC3_ITERATIONS_MAX))
                .validation_cache_size(JUDGEMENTS_KEPT_MAX)
                .negative_validation_ttl(Duration::ZERO..=BOGUS_KEPT)
        });
        Ok(Self { plain, validator })
    }
}

async fn unvalidated(plain: &OneName, query: &Query) -> Result<Judged, LegacyFailure> {
    let message = plain
        .resolve(query)
        .await
        .map_err(|error| failure(&error))?;
    Ok(Judged {
        message,
        authentic: false,
    })
}

/// Validates an answer; if it is bogus, also one that another server gives in place of what made it
/// so.
async fn validated(
    validator: &DnssecDnsHandle<OneName>,
    query: &Query,
) -> Result<Judged, LegacyFailure> {
    let mut opinions = 1;
    loop {
        let judged = judge(validator, query).await;
        let (message, found) = judged.map_err(|error| failure(&error))?;
        note_step(|| match found {
            Standing::Secure => "validated: secure".to_owned(),
            Standing::Insecure => "validated: insecure, the zone is not signed".to_owned(),
            Standing::Bogus => "validated: bogus".to_owned(),
        });
        if found != Standing::Bogus {
            return Ok(Judged {
                message,
                authentic: found == Standing::Secure,
            });
        }
        let (flaw, text) = flaw(validator, &message).await;
        let bogus = LegacyFailure::Bogus { flaw, text };
        // Keys that could not be had do not make a zone bogus.
        if !Account::is_in_order() {
            return Err(bogus);
        }
        Account::note_bogus(bogus.clone());
        if opinions == OPINIONS_MAX {
            return Err(bogus);
        }
        opinions += 1;
        let suspect = suspect(validator, message, query.clone()).await;
        let Some(server) = Account::set_aside(&suspect) else {
            return Err(bogus);
        };
        note_step(|| {
            let (name, kind) = (suspect.name.to_lowercase(), suspect.query_type);
            format!("{server} is not believed about {name} {kind}; another server is asked")
        });
    }
}

/// The reply, read from bytes as every other reply is.
fn read(question: &LegacyQuestion, judged: Judged) -> Result<LegacyAnswered, LegacyFailure> {
    let Judged {
        mut message,
        authentic,
    } = judged;
    let unusable = |what: String| LegacyFailure::NoAuthority(what);
    if !matches!(
        message.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    ) {
        return Err(unusable(message.response_code.to_string()));
    }
    message.queries.clear();
    message.additionals.clear();
    let keeps = |row: &Record| row.record_type() != HickoryType::NS;
    message.authorities.retain(keeps);
    message.answers.retain(|row| answers(row, question.kind));
    // Validation gives record sets back in any order.
    message.answers.sort_by_cached_key(place);
    message.authorities.sort_by_cached_key(place);
    let bytes = message
        .to_vec()
        .map_err(|error| unusable(error.to_string()))?;
    let mut reply =
        reply::read(&bytes, question, false).map_err(|error| unusable(error.to_string()))?;
    reply.authentic = authentic;
    Ok(LegacyAnswered {
        reply,
        upstream: SOURCE.to_owned(),
    })
}

/// Whether a record is of the type that was asked for, or an alias on the way to it. What else a
/// server puts among its answers nobody vouches for.
fn answers(row: &Record, asked: RecordType) -> bool {
    let asked = HickoryType::from(asked.code());
    let kind = covered(row).map_or_else(|| row.record_type(), |sig| sig.input().type_covered);
    let is_alias = matches!(kind, HickoryType::CNAME | HickoryType::DNAME);
    is_alias || kind == asked || row.record_type() == asked || asked == HickoryType::ANY
}

/// Where a record stands in its section: a DNAME before the alias made from it, an SOA before
/// proofs, signatures behind what they sign.
fn place(row: &Record) -> (bool, u8, HickoryName, u16, bool) {
    let sig = covered(row);
    let kind = sig.map_or_else(|| row.record_type(), |sig| sig.input().type_covered);
    let is_proof = matches!(kind, HickoryType::NSEC | HickoryType::NSEC3);
    let labels = row.name.num_labels();
    (
        is_proof,
        labels,
        row.name.to_lowercase(),
        u16::from(kind),
        sig.is_some(),
    )
}

fn failure(error: &NetError) -> LegacyFailure {
    match error {
        NetError::Timeout => LegacyFailure::Timeout,
        NetError::Busy => LegacyFailure::Overloaded,
        // Wrong class, wrong letter case: the message is there and cannot be used.
        other => LegacyFailure::NoAuthority(other.to_string()),
    }
}

impl fmt::Debug for Recursion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recursion").field(&self.plan).finish()
    }
}
