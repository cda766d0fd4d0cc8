//! Every call in the audit log, and the state of that log.

use axum::Json;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::IncomingStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use crate::service::audit::{AuditState, Event, bounded};
use crate::service::ports::Parts;

use super::routes::{Node, Reply};
use super::status::Failure;

/// The process at the other end of the socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    uid: Option<u32>,
    pid: Option<i32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // A caller that is gone already has no credentials any more.
        let peer = stream.io().peer_cred().ok();
        Self {
            uid: peer.map(|peer| peer.uid()),
            pid: peer.and_then(|peer| peer.pid()),
        }
    }
}

impl Caller {
    /// A command that calls in its own process.
    fn ourselves() -> Self {
        Self {
            uid: Some(rustix::process::getuid().as_raw()),
            pid: Some(rustix::process::getpid().as_raw_nonzero().get()),
        }
    }
}

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
    let caller = request.extensions().get::<ConnectInfo<Caller>>();
    let Caller { uid, pid } = caller.map_or_else(Caller::ourselves, |caller| caller.0);
    let method = bounded(request.method().to_string());
    let path = bounded(request.uri().to_string());
    let mut response = next.run(request).await;
    if response.extensions_mut().remove::<Heartbeat>().is_some() {
        return response;
    }
    let reason = response.extensions_mut().remove::<Reason>();
    api.resolver.audit().note(Event::Call {
        method,
        path,
        uid,
        pid,
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
