//! `Recursion`: legacy DNS from its root down, validated here.
//!
//! hickory's recursor finds the servers and asks them; hickory's validator judges what it is given
//! one name at a time. Aliases are not followed here: the reply ends with the CNAME, and the next
//! name is a question of its own, under its own rule.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, DnsResponseStream, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Message, OpCode, Query, ResponseCode,
};
use hickory_resolver::proto::rr::{Name as HickoryName, Record, RecordType as HickoryType};
use hickory_resolver::proto::serialize::binary::BinDecodable;
use hickory_resolver::recursor::{
    DnssecPolicy, QNameMinimization, Recursor, RecursorError, RecursorOptions,
};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::namespace::rtype::RecordType;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion};
use crate::service::ports::{LegacyAnswered, LegacyDns};
use crate::service::steps::note_step;

use super::authorities::{Account, Authorities};
use super::reply;
use super::roots::{BadRecursion, RecursionPlan, anchors};
use super::veil::{covered, is_proof, unveil};
use super::verdict::{Standing, flaw, standing, wildcard_holds};

/// Questions that are resolved at the same time; each holds a socket or two.
const RECURSIONS_MAX: usize = 1_024;
/// Answers are accepted over UDP up to this size; below the smallest common path MTU less headers
/// (DNS flag day 2020).
const UDP_ANSWER_BYTES_MAX: u16 = 1_232;
/// Zones whose servers are remembered, and servers.
const ZONES_KEPT_MAX: usize = 16_384;
/// Steps from name servers to the names of their servers and on; hickory counts labels too, so
/// that its own default fails every reverse name of IPv6, which has 34.
const SERVER_STEPS_MAX: u8 = 64;
/// More iterations make a proof of absence insecure (RFC 9276 section 3.2; what others allow).
const NSEC3_ITERATIONS_INSECURE: u16 = 50;
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

/// Resolves one name as it stands in the DNS, unvalidated, aliases not followed.
#[derive(Clone)]
struct OneName {
    recursor: Arc<Recursor<Authorities>>,
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
        let options = RecursorOptions {
            ns_cache_size: ZONES_KEPT_MAX,
            response_cache_size: plan.messages_kept_max,
            ns_recursion_limit: SERVER_STEPS_MAX,
            allow_server: plan.allowed.clone(),
            deny_server: plan.denied.clone(),
            case_randomization: true,
            edns_payload_len: UDP_ANSWER_BYTES_MAX,
            // Servers exist that deny empty non-terminals (RFC 9156 section 2.3).
            qname_minimization: QNameMinimization::Relaxed,
            ..RecursorOptions::default()
        };
        // Nothing to allow against, and the library refuses that.
        let options = if options.deny_server.is_empty() {
            RecursorOptions {
                allow_server: Vec::new(),
                ..options
            }
        } else {
            options
        };
        let servers = Authorities::new(Arc::clone(plan));
        // Asks for signatures and judges nothing: judging is for the names, not for the search.
        let policy = DnssecPolicy::ValidationDisabled;
        let recursor = Recursor::new(&plan.roots, policy, None, options, servers)
            .map_err(|error| BadRecursion::Engine(error.to_string()))?;
        let plain = OneName {
            recursor: Arc::new(recursor),
        };
        let validator = plan.validates.then(|| {
            DnssecDnsHandle::with_trust_anchor(plain.clone(), Arc::clone(anchors))
                .nsec3_iteration_limits(Some(NSEC3_ITERATIONS_INSECURE), Some(NSEC3_ITERATIONS_MAX))
                .validation_cache_size(JUDGEMENTS_KEPT_MAX)
                .negative_validation_ttl(Duration::ZERO..=BOGUS_KEPT)
        });
        Ok(Self { plain, validator })
    }
}

impl DnsHandle for OneName {
    type Response = DnsResponseStream;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> DnsResponseStream {
        let names = self.clone();
        DnsResponseStream::from(Box::pin(async move {
            let Some(query) = request.queries.first().cloned() else {
                return Err(NetError::from("a request without a question"));
            };
            let message = names.resolve(&query).await?;
            DnsResponse::from_message(message).map_err(NetError::from)
        }))
    }
}

impl OneName {
    async fn resolve(&self, query: &Query) -> Result<Message, NetError> {
        let now = Instant::now().into_std();
        let found = self.recursor.resolve(query.clone(), now, true).await;
        let mut found = found.map_err(|error| match error {
            RecursorError::Net(error) => error,
            // What the library calls an absence although nobody said so.
            RecursorError::Negative(data) if !data.is_no_records_found() => {
                NetError::from("a server answered with records of other zones only")
            }
            other => NetError::from(other),
        })?;
        unveil(&mut found.answers, query);
        let mut message = Message::response(0, OpCode::Query);
        message.add_query(query.clone());
        message.add_answers(found.answers.iter().cloned());
        // Beside an answer only the proof of a wildcard matters; the rest nobody asked for.
        let is_answer = !found.answers.is_empty();
        let authorities = found.authorities.iter();
        message.add_authorities(
            authorities
                .filter(|row| !is_answer || is_proof(row))
                .cloned(),
        );
        Ok(message)
    }
}

async fn unvalidated(plain: &OneName, query: &Query) -> Result<Judged, LegacyFailure> {
    let message = match plain.resolve(query).await {
        Ok(message) => message,
        Err(NetError::Dns(DnsError::NoRecordsFound(absence))) => absent(absence),
        Err(error) => return Err(failure(&error)),
    };
    Ok(Judged {
        message,
        authentic: false,
    })
}

async fn validated(
    validator: &DnssecDnsHandle<OneName>,
    query: &Query,
) -> Result<Judged, LegacyFailure> {
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_set_dnssec_ok = true;
    let answer = validator
        .lookup(query.clone(), options)
        .first_answer()
        .await;
    let (message, found) = match answer {
        Ok(response) => {
            let message = response.into_message();
            let found = standing(&message, query);
            (message, found)
        }
        Err(NetError::Dns(DnsError::Nsec {
            response, proof, ..
        })) => {
            let message = response.into_message();
            let found = match proof {
                Proof::Insecure => Standing::Insecure,
                _ if wildcard_holds(&message, query) => Standing::Secure,
                _ => Standing::Bogus,
            };
            (message, found)
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(absence))) => {
            (absent(absence), Standing::Insecure)
        }
        Err(error) => return Err(failure(&error)),
    };
    note_step(|| match found {
        Standing::Secure => "validated: secure".to_owned(),
        Standing::Insecure => "validated: insecure, the zone is not signed".to_owned(),
        Standing::Bogus => "validated: bogus".to_owned(),
    });
    if found == Standing::Bogus {
        let (flaw, text) = flaw(validator, &message, options).await;
        return Err(LegacyFailure::Bogus { flaw, text });
    }
    Ok(Judged {
        message,
        authentic: found == Standing::Secure,
    })
}

/// The message of an absence, which the library takes apart.
fn absent(absence: NoRecords) -> Message {
    let mut message = Message::response(0, OpCode::Query);
    message.metadata.response_code = absence.response_code;
    let authorities = absence.authorities.iter().flat_map(|rows| rows.iter());
    message.add_authorities(authorities.cloned());
    if let Some(soa) = absence.soa {
        let soa = soa.into_record_of_rdata();
        if !message.authorities.contains(&soa) {
            message.add_authority(soa);
        }
    }
    message
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
