//! `OneName`: hickory's recursor as the validator asks it, one name at a time, with what is kept of
//! the answers.
//!
//! The recursor keeps who serves which zone. Answers are kept here, where another one can be had in
//! place of one that does not hold.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, DnsResponseStream};
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{DnsRequest, DnsResponse, Message, OpCode, Query};
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::recursor::{
    DnssecPolicy, QNameMinimization, Recursor, RecursorError, RecursorOptions,
};
use hickory_resolver::{PoolContext, ResponseCache, TtlBounds, TtlConfig};
use tokio::time::Instant;

use super::account::Account;
use super::authorities::Authorities;
use super::cuts::Cuts;
use super::denial::sift;
use super::mark::{server_of, unmark};
use super::roots::{BadRecursion, RecursionPlan};
use super::veil::{is_proof, unveil};

/// Answers are accepted over UDP up to this size; below the smallest common path MTU less headers
/// (DNS flag day 2020).
pub(super) const UDP_ANSWER_BYTES_MAX: u16 = 1_232;
/// Zones whose servers are remembered, and servers.
const ZONES_KEPT_MAX: usize = 16_384;
/// Steps from name servers to the names of their servers and on; hickory counts labels too, so
/// that its own default fails every reverse name of IPv6, which has 34.
const SERVER_STEPS_MAX: u8 = 64;
/// More iterations make a proof of absence insecure (RFC 9276 section 3.2; what others allow).
pub(super) const NSEC3_ITERATIONS_INSECURE: u16 = 50;
/// Of the messages that recursion keeps, the recursor has one part, answers have the other.
const SHARES: u64 = 2;

/// Resolves one name as it stands in the DNS, unvalidated, aliases not followed.
#[derive(Clone)]
pub(super) struct OneName {
    recursor: Arc<Recursor<Authorities>>,
    kept: ResponseCache,
    cuts: Cuts,
    authorities: Authorities,
}

impl OneName {
    pub(super) fn new(plan: &Arc<RecursionPlan>) -> Result<Self, BadRecursion> {
        let share = plan.messages_kept_max / SHARES;
        let options = RecursorOptions {
            ns_cache_size: ZONES_KEPT_MAX,
            response_cache_size: share,
            cache_policy: servers_only(),
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
        let cuts = Cuts::new();
        let authorities = Authorities::new(Arc::clone(plan), cuts.clone());
        // Asks for signatures and judges nothing: judging is for the names, not for the search.
        let policy = DnssecPolicy::ValidationDisabled;
        let recursor = Recursor::new(&plan.roots, policy, None, options, authorities.clone())
            .map_err(|error| BadRecursion::Engine(error.to_string()))?;
        Ok(Self {
            recursor: Arc::new(recursor),
            kept: ResponseCache::new(share, TtlConfig::default()),
            cuts,
            authorities,
        })
    }

    pub(super) fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    pub(super) fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    pub(super) fn pool_context(&self) -> Arc<PoolContext> {
        Arc::clone(self.recursor.pool_context())
    }

    pub(super) async fn resolve(&self, query: &Query) -> Result<Message, NetError> {
        let now = Instant::now();
        let kept = self.kept.get(query, now.into_std());
        let kept = kept.filter(|found| {
            let server = marked(found);
            !server.is_some_and(|server| Account::is_aside(query, server))
        });
        let found = if let Some(found) = kept {
            found
        } else {
            let found = self.find(query, now).await;
            // What no authority says is asked for again; the recursor keeps servers.
            let is_kept = query.query_type() != RecordType::NS
                && found.as_ref().map_or(true, |message| message.authoritative);
            if is_kept {
                self.kept
                    .insert(query.clone(), found.clone(), now.into_std());
            }
            found
        };
        if let Some(server) = marked(&found) {
            Account::came_from(query, server);
        }
        let found = match found {
            Ok(found) => found,
            Err(NetError::Dns(DnsError::NoRecordsFound(absence))) => absent(absence),
            Err(error) => return Err(error),
        };
        Ok(plain(found, query))
    }

    /// What the recursor finds; else what other servers of the zone say; else what a server without
    /// authority says.
    async fn find(&self, query: &Query, now: Instant) -> Result<Message, NetError> {
        let accepted_all = Account::has_accepted_hearsay();
        let mut found = self.ask(query, now).await;
        if is_useless(&found)
            && let Some(other) = self.detour(query).await
        {
            found = whole(query, other);
        }
        // What the recursor learnt when it looked for a zone's servers, it has at once.
        let is_servers = query.query_type() == RecordType::NS;
        if is_useless(&found) && (is_servers || !accepted_all && Account::accept_hearsay()) {
            found = self.ask(query, now).await;
        }
        found
    }

    async fn ask(&self, query: &Query, now: Instant) -> Result<Message, NetError> {
        let now = now.into_std();
        let found = self.recursor.resolve(query.clone(), now, true).await;
        match found {
            Ok(found) => whole(query, Ok(found)),
            Err(RecursorError::Net(error)) => Err(error),
            // What the library calls an absence although nobody said so.
            Err(RecursorError::Negative(data)) if !data.is_no_records_found() => Err(nobody()),
            Err(other) => whole(query, Err(NetError::from(other))),
        }
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

fn nobody() -> NetError {
    NetError::from("a server answered with records of other zones only")
}

/// Whether there is nothing to be given, nor an absence.
fn is_useless(found: &Result<Message, NetError>) -> bool {
    !matches!(
        found,
        Ok(_) | Err(NetError::Dns(DnsError::NoRecordsFound(_)))
    )
}

/// A finding as it is kept: with the time for which it holds, and not without what was said.
fn whole(query: &Query, found: Result<Message, NetError>) -> Result<Message, NetError> {
    let is_servers = query.query_type() == RecordType::NS;
    match found {
        Ok(found) if !is_servers && found.answers.is_empty() && holds_only_marks(&found) => {
            Err(nobody())
        }
        // The library loses for how long an absence holds (RFC 2308 section 5).
        Err(NetError::Dns(DnsError::NoRecordsFound(mut absence))) => {
            let soa = absence.soa.as_ref();
            absence.negative_ttl = soa.map(|soa| soa.ttl.min(soa.data.minimum));
            Err(NetError::Dns(DnsError::NoRecordsFound(absence)))
        }
        other => other,
    }
}

/// The recursor forgets at once what is not about servers of zones.
fn servers_only() -> TtlConfig {
    let mut options = ResolverOpts::default();
    options.positive_max_ttl = Some(Duration::ZERO);
    options.negative_max_ttl = Some(Duration::ZERO);
    let mut policy = TtlConfig::from_opts(&options);
    policy.with_query_type_ttl_bounds(RecordType::NS, TtlBounds::default());
    policy
}

/// The server whose mark a finding bears.
fn marked(found: &Result<Message, NetError>) -> Option<IpAddr> {
    match found {
        Ok(message) => message.authorities.iter().find_map(server_of),
        Err(NetError::Dns(DnsError::NoRecordsFound(absence))) => {
            let mut rows = absence.authorities.iter().flat_map(|rows| rows.iter());
            rows.find_map(server_of)
        }
        Err(_) => None,
    }
}

/// Whether everything else was of other zones, and taken out.
fn holds_only_marks(message: &Message) -> bool {
    let is_mark = |row| server_of(row).is_some();
    !message.authorities.is_empty() && message.authorities.iter().all(is_mark)
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

/// A finding as the validator gets it.
fn plain(mut found: Message, query: &Query) -> Message {
    unmark(&mut found.authorities);
    unveil(&mut found.answers, query);
    let mut message = Message::response(0, OpCode::Query);
    message.metadata.response_code = found.metadata.response_code;
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
    sift(&mut message, query, NSEC3_ITERATIONS_INSECURE);
    message
}
