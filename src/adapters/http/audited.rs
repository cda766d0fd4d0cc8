//! Every call in the audit log, and the state of that log.

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::service::audit::{AuditState, Event, NoTime, Record, Wanted, bounded};
use crate::service::ports::Parts;

use super::aside::apart;
use super::caller::{Caller, Counted, Via, Who, via};
use super::government::at_most;
use super::routes::{Node, Reply};
use super::status::Failure;

/// Records that are shown unless told.
const RECORDS_SHOWN: usize = 20;
/// Records that are given at once: some megabytes.
const RECORDS_SHOWN_MAX: usize = 10_000;

/// Why a call failed, for the record.
#[derive(Debug, Clone)]
pub(super) struct Reason(pub(super) String);

/// A call that only says that something is still as it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heartbeat;

/// Records a call when it is answered, unless nothing came of it worth a line.
pub(super) async fn record<P: Parts>(
    State(api): Node<P>,
    request: Request,
    next: Next,
) -> Response {
    let via = via(&request);
    let method = bounded(request.method().to_string());
    let path = bounded(request.uri().to_string());
    let mut response = next.run(request).await;
    let extensions = response.extensions_mut();
    if extensions.remove::<Counted>().is_some() {
        return response;
    }
    if extensions.remove::<Heartbeat>().is_some() {
        return response;
    }
    let reason = extensions.remove::<Reason>();
    let (token, identity) = match extensions.remove::<Caller>().map(|caller| caller.who) {
        Some(Who::Token(id)) => (Some(id.to_string()), None),
        Some(Who::Client(identity)) => (None, Some(identity.to_string())),
        Some(Who::Owner) | None => (None, None),
    };
    let (uid, pid, from) = match via {
        Some(Via::Process { uid, pid }) => (uid, pid, None),
        Some(Via::Tcp { from, .. }) => (None, None, Some(from.ip().to_canonical().to_string())),
        None => (None, None, None),
    };
    api.resolver.audit().note(Event::Call {
        method,
        path,
        uid,
        pid,
        token,
        identity,
        from,
        status: response.status().as_u16(),
        error: reason.map(|Reason(text)| bounded(text)),
    });
    response
}

/// How the audit log is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditView {
    /// Whole batches on the disk.
    pub batches: u64,
    /// The digest of the last one; to be noted elsewhere.
    pub head: Option<String>,
    /// Why nothing can be written at present.
    pub failing: Option<String>,
    /// Events that were lost since the start.
    pub lost: u64,
}

impl From<&AuditState> for AuditView {
    fn from(state: &AuditState) -> Self {
        Self {
            batches: state.head.map_or(0, |head| head.batches),
            head: state.head.map(|head| head.digest.to_string()),
            failing: state.failing.clone(),
            lost: state.lost,
        }
    }
}

/// Which records are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordsQuery {
    /// Only those from this time on, in UTC; it may be cut short.
    #[serde(default)]
    since: Option<String>,
    /// At most so many, the newest.
    #[serde(default = "records_shown")]
    limit: usize,
}

fn records_shown() -> usize {
    RECORDS_SHOWN
}

/// The newest records, after what waits was written.
pub(super) async fn records<P: Parts>(
    State(api): Node<P>,
    Query(query): Query<RecordsQuery>,
) -> Reply<Vec<Record>> {
    at_most("records", query.limit, RECORDS_SHOWN_MAX)?;
    let since = query.since.as_deref().unwrap_or_default().parse();
    let wanted = Wanted {
        since: since.map_err(|error: NoTime| Failure::bad(error.to_string(), None))?,
        count: query.limit,
    };
    let audit = api.resolver.audit().clone();
    let found = apart(move || {
        audit.flush();
        api.operations
            .audit_records(&wanted)
            .map_err(Failure::internal)
    });
    let Some(records) = found.await? else {
        let hint = Some("say `enabled = true` under [audit] to keep one");
        return Err(Failure::not_found("no audit log is kept here", hint));
    };
    Ok(Json(records))
}

/// Writes what waits, and says how the log is then.
pub(super) async fn flush<P: Parts>(State(api): Node<P>) -> Reply<Option<AuditView>> {
    let audit = api.resolver.audit().clone();
    let state = tokio::task::spawn_blocking(move || {
        audit.flush();
        audit.state()
    });
    let state = state
        .await
        .map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Json(state.map(|state| AuditView::from(state.as_ref()))))
}
