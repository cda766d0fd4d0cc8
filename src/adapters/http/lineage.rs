//! Lineages as bytes: exports that leave, and exports that are taken in.

use std::io::{self, Read, Seek as _, Write as _};
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, channel};

use crate::index::export::{Export, ExportError, ExportFault, Framing, RestoreRefusal, Stopped};
use crate::index::view::IndexView;
use crate::service::changes::PlanError;
use crate::service::governor::ChangeError;
use crate::service::ports::{Parts, Spool, SpoolFull, Store};
use crate::service::resolver::error_chain;

use super::aside::apart;
use super::render::read_name;
use super::routes::{Node, Reply, unreadable};
use super::scopes::scope_at;
use super::status::Failure;
use super::stream::pieces;

/// Pieces of an upload that wait for the disk.
const PIECES_WAITING_MAX: usize = 4;
/// Imports that are received at one time: each may take as much of the disk as one may.
const RECEIVING_MAX: usize = 2;

static RECEIVING: Semaphore = Semaphore::const_new(RECEIVING_MAX);

/// What was taken in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RestoredView {
    /// The name of the scope.
    pub scope: String,
    /// Its UID.
    pub uid: String,
    /// Scopes in the export.
    pub scopes: u32,
    /// Links that were added.
    pub added: u64,
    /// Links that were held already.
    pub present: u64,
    /// The height of the scope's last block.
    pub height: u64,
    /// The digest of that block.
    pub block: String,
    /// The state root after it.
    pub state_root: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    /// With every scope that is held below it.
    #[serde(default)]
    tree: bool,
}

/// Writes lineages from one snapshot, while questions and changes go on.
pub(super) async fn export<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Failure> {
    let (_, state) = scope_at(&api, &name)?;
    let snapshot = api.resolver.store().latest();
    let export =
        Export::of(snapshot.as_ref(), state.no, query.tree).map_err(|error| unreadable(&error))?;
    let (sender, body) = pieces();
    tokio::task::spawn_blocking(move || {
        let written = export.write(snapshot.as_ref(), |bytes| {
            let sent = sender.blocking_send(Ok(Bytes::from(bytes)));
            sent.map_err(|_| Stopped)
        });
        match written {
            Ok(_) | Err(ExportError::Stopped) => {}
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(%error, "an export could not be finished; run `kedge verify`");
                // Breaks the body off, so that nobody takes it for whole.
                drop(sender.blocking_send(Err(io::Error::other(error))));
            }
        }
    });
    let content = [(CONTENT_TYPE, "application/octet-stream")];
    Ok((content, Body::new(body)).into_response())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportQuery {
    /// As the root of an apex.
    #[serde(default)]
    pub(super) apex: bool,
}

/// Takes an export in: first whole to the disk, then all of it in one commit.
pub(super) async fn import<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Reply<RestoredView> {
    let name = read_name(&name)?;
    let apexes = &api.resolver.setup().apexes;
    let possible = api.changes.may_take_export(apexes, &name, query.apex);
    let room = match (possible, RECEIVING.try_acquire()) {
        (Ok(()), Ok(room)) => room,
        (possible, _) => {
            drained(body).await;
            possible?;
            let hint = Some("try again when they are done");
            let error = "other imports are being received";
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, error, hint));
        }
    };
    let spool = api.operations.spool().map_err(Failure::internal)?;
    let source = received(body, spool).await?;
    drop(room);
    let taken = api
        .changes
        .take_export(apexes, &name, query.apex, source)
        .await;
    let (committed, restored) = taken?;
    if query.apex && !apexes.iter().any(|apex| apex.name == name) {
        // The new tree is served from the next question on.
        let operations = Arc::clone(&api.operations);
        let reloaded = apart(move || Ok(operations.reload())).await?;
        reloaded.map_err(|error| {
            let done = "the import is done, but it is not served before the next reload";
            Failure::internal(format!("{done}: {error}"))
        })?;
    }
    let snapshot = api.resolver.store().latest();
    let state = snapshot
        .scope(committed.scope)
        .map_err(|error| unreadable(&error))?;
    Ok(Json(RestoredView {
        scope: name.to_string(),
        uid: restored.scope.to_string(),
        scopes: restored.scopes,
        added: restored.added,
        present: restored.present,
        height: committed.height,
        block: committed.block.to_string(),
        state_root: state.map_or_else(String::new, |state| state.state_root.to_string()),
    }))
}

/// Takes a body that is refused to its end: a caller that is still sending would not read why.
async fn drained(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Takes a body to its end, also where it is refused early, as [`drained`] does.
async fn received(mut body: Body, spool: Box<dyn Spool>) -> Result<Box<dyn Read + Send>, Failure> {
    let (sender, pieces) = channel(PIECES_WAITING_MAX);
    let spooling = tokio::task::spawn_blocking(move || spooled(spool, pieces));
    let mut broken = None;
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            // Nobody takes the pieces once one was refused; the rest is still to be read.
            Ok(Ok(bytes)) => drop(sender.send(bytes).await),
            Ok(Err(_)) => {}
            Err(error) => {
                broken = Some(error.to_string());
                break;
            }
        }
    }
    drop(sender);
    let spooled = spooling.await;
    if let Some(error) = broken {
        return Err(Failure::bad(
            format!("the upload broke off: {error}"),
            Some("nothing was changed; try again"),
        ));
    }
    match spooled {
        Ok(Ok(spool)) => Ok(Box::new(spool)),
        Ok(Err(NotSpooled::File(fault))) => {
            let refusal = Arc::new(RestoreRefusal::File(fault));
            Err(PlanError::from(ChangeError::Restore(refusal)).into())
        }
        Ok(Err(NotSpooled::Disk(error))) if SpoolFull::is_why(&error) => {
            let error = "the export is longer than this node takes";
            let hint =
                Some("nothing was changed; [store] import-mib in its configuration bounds it");
            Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, error, hint))
        }
        Ok(Err(NotSpooled::Disk(error))) => Err(Failure::internal(format!(
            "the upload could not be kept: {error}"
        ))),
        Err(error) => Err(Failure::internal(error.to_string())),
    }
}

/// Why an upload is not there to be read.
enum NotSpooled {
    File(ExportFault),
    Disk(io::Error),
}

impl From<ExportFault> for NotSpooled {
    fn from(fault: ExportFault) -> Self {
        Self::File(fault)
    }
}

/// Writes pieces to the disk, as far as they are an export, and goes back to their beginning.
fn spooled(
    mut spool: Box<dyn Spool>,
    mut pieces: Receiver<Bytes>,
) -> Result<Box<dyn Spool>, NotSpooled> {
    let mut framing = Framing::judging();
    while let Some(bytes) = pieces.blocking_recv() {
        framing.push(&bytes, |_, _| Ok::<(), NotSpooled>(()))?;
        spool.write_all(&bytes).map_err(NotSpooled::Disk)?;
    }
    framing.finish()?;
    spool.rewind().map_err(NotSpooled::Disk)?;
    Ok(spool)
}
