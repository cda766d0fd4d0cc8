//! Calls about entries that move between scopes of several nodes.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::base::keys::PublicKey;
use crate::base::limits::NOTE_BYTES_MAX;
use crate::index::journey::{Journey, Side};
use crate::index::place::absolute;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::service::changes::Destination;
use crate::service::moves::MoveError;
use crate::service::ports::{Parts, Store};

use super::names::done;
use super::peers::names;
use super::render::read_name;
use super::routes::{Api, Node, Reply, unreadable};
use super::status::Failure;
use super::wire;
use super::wire_moves::{BringBody, MoveView, RefuseBody};

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        let hint = Some("`kedge move list` shows what is under way");
        match error {
            MoveError::Unknown(error) => Self::not_found(error, hint),
            MoveError::NotNow(error) => Self::new(StatusCode::CONFLICT, error, hint),
            error @ MoveError::TooMany => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string(), hint)
            }
            error @ MoveError::NotKept(_) => Self::internal(error.to_string()),
            MoveError::Change(error) => error.into(),
        }
    }
}

pub(super) async fn relocate<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<wire::RenameBody>,
) -> Reply<wire::DoneView> {
    let (from, to) = (read_name(&name)?, read_name(&body.to)?);
    if body.subtree {
        let error = "a move takes one entry; a subtree is renamed inside its scope";
        return Err(Failure::bad(error, None));
    }
    let apexes = &api.resolver.setup().apexes;
    match api.changes.destination(apexes, &to)? {
        Destination::Here => {
            let moving = api.changes.relocate(apexes, (&from, &to), &body.note);
            done(&api, &moving.await?).map(Json)
        }
        Destination::Elsewhere { scope, path } => {
            let begun = api.moves.begin(apexes, &from, (scope, path), &body.note);
            let id = begun.await?;
            Ok(Json(wire::DoneView {
                outcome: "queued".to_owned(),
                scope: scope.to_string(),
                height: None,
                block: None,
                time: None,
                proposal: Some(id.to_string()),
                lacks: Some(
                    "the other scope must keep a path; `kedge move list` says how it goes"
                        .to_owned(),
                ),
            }))
        }
    }
}

pub(super) async fn bring<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<BringBody>,
) -> Reply<MoveView> {
    let name = read_name(&name)?;
    let apexes = &api.resolver.setup().apexes;
    let id = api.moves.resume(apexes, &name, &body.note).await?;
    let journey = api.moves.list().into_iter().find(|j| j.key().1 == id);
    let journey = journey.ok_or_else(|| Failure::internal("the move is gone".to_owned()))?;
    view(&api, &names(&api), &journey).map(Json)
}

pub(super) async fn list<P: Parts>(State(api): Node<P>) -> Reply<Vec<MoveView>> {
    let mut journeys = api.moves.list();
    journeys.sort_by_key(|journey| (journey.stage.is_over(), journey.changed));
    let peers = names(&api);
    let views = journeys.iter().map(|journey| view(&api, &peers, journey));
    Ok(Json(views.collect::<Result<_, _>>()?))
}

pub(super) async fn admit<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
) -> Reply<MoveView> {
    let journey = api.moves.admit(&id).await?;
    view(&api, &names(&api), &journey).map(Json)
}

pub(super) async fn refuse<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
    Json(body): Json<RefuseBody>,
) -> Reply<MoveView> {
    if body.reason.len() > NOTE_BYTES_MAX {
        let error = format!("a reason has at most {NOTE_BYTES_MAX} bytes");
        return Err(Failure::bad(error, None));
    }
    let journey = api.moves.refuse(&id, &body.reason).await?;
    view(&api, &names(&api), &journey).map(Json)
}

pub(super) async fn cancel<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
) -> Reply<MoveView> {
    let journey = api.moves.cancel(&id).await?;
    view(&api, &names(&api), &journey).map(Json)
}

fn view<P: Parts>(
    api: &Api<P>,
    peers: &BTreeMap<PublicKey, String>,
    journey: &Journey,
) -> Result<MoveView, Failure> {
    let wish = journey.petition.unverified();
    let called = |id: PublicKey| peers.get(&id).cloned().unwrap_or_else(|| id.to_string());
    let side = match journey.side {
        Side::Leaves => "leaves",
        Side::Comes => "comes",
    };
    Ok(MoveView {
        id: journey.key().1.to_string(),
        side: side.to_owned(),
        stage: journey.stage.word().to_owned(),
        said: journey.said.clone(),
        from: named(api, &wish.from, &wish.from_path)?,
        to: named(api, &wish.to, &wish.to_path)?,
        uid: wish.uid.to_string(),
        author: wish.author.to_string(),
        peer: journey.peer.map(called),
        not_after: wish.not_after.to_string(),
        note: wish.note.clone(),
        changed: journey.changed.to_string(),
    })
}

/// A path of a scope by its name, as far as the scope has one here.
fn named<P: Parts>(api: &Api<P>, scope: &ScopeUid, path: &NamePath) -> Result<String, Failure> {
    let snapshot = api.resolver.store().latest();
    let apexes = &api.resolver.setup().apexes;
    let no = snapshot
        .scope_no(scope)
        .map_err(|error| unreadable(&error))?;
    let name: Option<Name> = match no {
        Some(no) => {
            absolute(snapshot.as_ref(), apexes, no, path).map_err(|error| unreadable(&error))?
        }
        None => None,
    };
    Ok(name.map_or_else(
        || format!("{path} in scope {}", scope.short()),
        |name| name.to_string(),
    ))
}
