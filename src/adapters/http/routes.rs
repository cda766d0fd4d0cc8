//! The router, and the calls about the node as a whole.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Json, Router};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::base::identity::Identity;
use crate::governance::predicate::Transport;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::resolution::question::Question;
use crate::resolution::trail::Trail;
use crate::service::callers::Callers;
use crate::service::changes::Changes;
use crate::service::devices::Devices;
use crate::service::learner::LearnerStats;
use crate::service::leases::Leases;
use crate::service::moves::Moves;
use crate::service::ports::{Operations, Parts, Store};
use crate::service::replicator::Replicator;
use crate::service::resolver::{Begun, Resolver, error_chain};

use super::aside::apart;
use super::caller::Caller;
use super::render::bad_value;
use super::status::Failure;
use super::wire_peers::LearnedCounts;
use super::{audited, caller, calls, devices, leases, past, peers, render, status, wire};

/// What the calls work on.
pub struct Api<P: Parts> {
    /// Answers questions.
    pub resolver: Arc<Resolver<P>>,
    /// Makes changes.
    pub changes: Arc<Changes<P>>,
    /// Entries that move between scopes of several nodes.
    pub moves: Arc<Moves<P>>,
    /// Devices of private scopes.
    pub devices: Devices<P>,
    /// Takes leases of instances.
    pub leases: Leases,
    /// Who may call from afar.
    pub callers: Arc<Callers>,
    /// Follows scopes of other nodes.
    pub replicator: Arc<Replicator<P>>,
    /// What only the node itself can do.
    pub operations: Arc<dyn Operations>,
}

impl<P: Parts> std::fmt::Debug for Api<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

/// What every call may return.
pub(super) type Reply<T> = Result<Json<T>, Failure>;
/// The state of every call.
pub(super) type Node<P> = State<Arc<Api<P>>>;

/// All calls.
pub fn router<P: Parts>(api: Arc<Api<P>>) -> Router {
    let recorded = Arc::clone(&api);
    let calls = Router::new()
        .nest(wire::PREFIX, calls::routes::<P>(&api).with_state(api))
        .fallback(async || {
            Failure::not_found("there is no such call", Some("docs/API.md lists the calls"))
        });
    calls
        .layer(from_fn_with_state(
            Arc::clone(&recorded),
            caller::known::<P>,
        ))
        .layer(from_fn(status::in_json))
        .layer(from_fn_with_state(recorded, audited::record::<P>))
}

/// A failure to read the index.
pub(super) fn unreadable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::internal(format!(
        "the index could not be read: {}",
        error_chain(error)
    ))
}

pub(super) async fn status<P: Parts>(State(api): Node<P>) -> Reply<wire::StatusView> {
    let setup = api.resolver.setup();
    let snapshot = api.resolver.store().latest();
    let stats = api.resolver.legacy_stats();
    Ok(Json(wire::StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        apexes: setup
            .apexes
            .iter()
            .map(|apex| apex.name.to_string())
            .collect(),
        scopes: snapshot.scope_count().map_err(|error| unreadable(&error))?,
        commits: snapshot
            .commit_count()
            .map_err(|error| unreadable(&error))?,
        zones: setup.zones.len(),
        forwards: setup.forwards,
        learned: learned(&api.resolver.learner().stats()),
        leases: leases::counts(&api),
        cache_entries: stats.entries,
        cache_bytes: stats.bytes,
        audit: api
            .resolver
            .audit()
            .state()
            .map(|state| state.as_ref().into()),
        cache_hits: stats.hits,
        exchanges: stats.exchanges,
    }))
}

const fn learned(stats: &LearnerStats) -> LearnedCounts {
    LearnedCounts {
        scopes: stats.scopes,
        places: stats.places,
        asked: stats.asked,
        learned: stats.learned,
        failed: stats.failed,
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
/// What is to be explained.
pub(super) struct ExplainQuery {
    /// The name, as DNS name or alias.
    pub(super) name: String,
    /// The record type.
    #[serde(rename = "type")]
    kind: String,
    /// The caller it is asked for; 127.0.0.1 unless told.
    from: Option<IpAddr>,
    /// A time, or a height of the scope that decides over the name.
    at: Option<String>,
    /// `udp`, unless told, `tcp` or `tls`.
    transport: Option<String>,
    /// The name of a TSIG key that shall count as having signed it.
    tsig: Option<String>,
    /// Who shall count as the client, by its certificate.
    certificate: Option<String>,
    /// A private scope of which a device shall count as shown.
    pub(super) device: Option<String>,
}

fn key_name(text: &str) -> Result<Name, Failure> {
    text.parse()
        .map_err(|error| bad_value(&format!("tsig {text:?}"), &error))
}

fn identity(text: &str) -> Result<Identity, Failure> {
    text.parse()
        .map_err(|error| bad_value(&format!("certificate {text:?}"), &error))
}

impl ExplainQuery {
    fn from(&self) -> IpAddr {
        self.from.unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }
}

/// The question that is to be explained.
fn asked<P: Parts>(api: &Api<P>, name: Name, query: &ExplainQuery) -> Result<Question, Failure> {
    // A device counts over connections only, and a certificate comes with TLS.
    let usual = match (&query.certificate, &query.device) {
        (Some(_), _) => "tls",
        (None, Some(_)) => "tcp",
        (None, None) => "udp",
    };
    let transport = query.transport.as_deref().unwrap_or(usual);
    let known = |known: &Transport| known.to_string() == transport;
    let transport = Transport::ALL.into_iter().find(known).ok_or_else(|| {
        let words = Transport::ALL.map(|transport| transport.to_string());
        let error = format!(
            "transport {transport:?}: expected one of {}",
            words.join(", ")
        );
        Failure::bad(error, None)
    })?;
    let kind: RecordType =
        query
            .kind
            .parse()
            .map_err(|error: crate::namespace::rtype::BadRecordType| {
                Failure::bad(error.to_string(), None)
            })?;
    let from = query.from();
    Ok(Question {
        name,
        kind,
        recursion_desired: true,
        dnssec_ok: false,
        checking_disabled: false,
        caller: Some(from),
        transport: Some(transport),
        time: Some(api.changes.now()),
        devices: devices::said(api, query.device.as_deref())?,
        key: query.tsig.as_deref().map(key_name).transpose()?,
        certificate: query.certificate.as_deref().map(identity).transpose()?,
        may_recurse: api.resolver.setup().may_recurse(from),
    })
}

pub(super) async fn explain<P: Parts>(
    State(api): Node<P>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ExplainQuery>,
) -> Reply<wire::ExplainView> {
    let name = match past::with_verb(&query.name)? {
        Some(name) => name,
        None => past::Asked::read(&query.name, &api.resolver.setup().apexes)?.dns_name()?,
    };
    let question = asked(&api, name.clone(), &query)?;
    let (kind, from) = (question.kind, query.from());
    let mut trail = Trail::on();
    let mut at = None;
    let is_plain_datagram = question.transport == Some(Transport::Udp)
        && question.key.is_none()
        && question.certificate.is_none()
        && question.devices.is_empty();
    let started = tokio::time::Instant::now();
    let mut answer = if let Some(when) = &query.at {
        let (answer, steps, time) = past::explain(&api, question, when).await?;
        (trail, at) = (steps, Some(time.to_string()));
        answer
    } else {
        match api.resolver.begin(question, &mut trail) {
            Begun::Done(answer) => *answer,
            Begun::Pending(pending) => api.resolver.finish(pending, &mut trail).await,
        }
    };
    let elapsed = started.elapsed();
    let setup = api.resolver.setup();
    let cached = (is_plain_datagram && at.is_none())
        .then(|| setup.keeping(&trail, &answer, from).to_string());
    caller.sight(&setup.apexes).within(&mut answer, &trail)?;
    let section =
        |records: &[crate::namespace::record::Record]| records.iter().map(render::record).collect();
    Ok(Json(wire::ExplainView {
        name: name.to_string(),
        kind: kind.to_string(),
        from: from.to_string(),
        at,
        steps: peers::with_mirrors(&api, trail.steps())?,
        outcome: answer.outcome.to_string(),
        side: answer.side.to_string(),
        authoritative: answer.authoritative,
        authentic: answer.authentic,
        answers: section(&answer.answers),
        authorities: section(&answer.authorities),
        additionals: section(&answer.additionals),
        errors: answer
            .errors
            .iter()
            .map(|e| format!("{} {}", e.code, e.text))
            .collect(),
        cached,
        elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
    }))
}

pub(super) async fn zones<P: Parts>(State(api): Node<P>) -> Reply<Vec<wire::ZoneView>> {
    let setup = api.resolver.setup();
    let shown = setup.zones.values().map(|zone| wire::ZoneView {
        origin: zone.origin().to_string(),
        serial: zone.serial(),
        records: zone.record_count(),
    });
    Ok(Json(shown.collect()))
}

pub(super) async fn doctor<P: Parts>(State(api): Node<P>) -> Reply<Vec<wire::FindingView>> {
    let operations = Arc::clone(&api.operations);
    // A signer may take its time.
    let findings = apart(move || Ok(operations.doctor())).await?;
    let findings = findings.into_iter().map(|finding| wire::FindingView {
        level: finding.level.to_string(),
        what: finding.what,
        message: finding.message,
        hint: finding.hint,
    });
    Ok(Json(findings.collect()))
}

pub(super) async fn verify<P: Parts>(State(api): Node<P>) -> Reply<wire::VerifyView> {
    let operations = Arc::clone(&api.operations);
    // Everything is recomputed: this takes as long as it takes, and must not hold up answers.
    let verified = tokio::task::spawn_blocking(move || operations.verify()).await;
    match verified {
        Ok(Ok(report)) => Ok(Json(wire::VerifyView {
            scopes: report.scopes,
            blocks: report.blocks,
            proposals: report.proposals,
            entries: report.entries,
            crash_only: report.crash_only,
        })),
        Ok(Err(error)) => Err(Failure::bad(
            error,
            Some("the store was changed outside the rules; restore a backup"),
        )),
        Err(error) => Err(Failure::internal(error.to_string())),
    }
}

pub(super) async fn reload<P: Parts>(State(api): Node<P>) -> Reply<Vec<String>> {
    let operations = Arc::clone(&api.operations);
    // Zone files may be large.
    let reloaded = apart(move || Ok(operations.reload())).await?;
    reloaded.map(Json).map_err(|error| {
        let hint = Some("nothing was changed; the old state keeps serving");
        Failure::bad(error, hint)
    })
}
