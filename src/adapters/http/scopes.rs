//! Calls about scopes, lineages and proposals.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::base::canonical::{Canonical, Decoder};
use crate::base::digest::BadDigest;
use crate::base::text_form::TextForm;
use crate::governance::offer::Offer;
use crate::index::place::{find, scope_name};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::service::changes::ImportDraft;
use crate::service::ports::{Parts, Store};

use super::aside::apart;
use super::caller::Caller;
use super::freshness::freshness;
use super::names::done;
use super::render::{self, read_name};
use super::routes::{Api, Node, Reply, unreadable};
use super::status::Failure;
use super::wire;

/// Blocks in one reply.
const BLOCKS_MAX: usize = 1_000;
/// Blocks when nobody says how many.
const BLOCKS_DEFAULT: usize = 20;

/// Shows those that the caller may see.
pub(super) async fn list<P: Parts>(
    State(api): Node<P>,
    Extension(caller): Extension<Caller>,
) -> Reply<Vec<wire::ScopeView>> {
    let snapshot = api.resolver.store().latest();
    let setup = api.resolver.setup();
    let mut shown: Vec<(Option<Name>, ScopeState)> = Vec::new();
    for no in 0..snapshot.scope_count().map_err(|error| unreadable(&error))? {
        let no = ScopeNo(no);
        let state = snapshot.scope(no).map_err(|error| unreadable(&error))?;
        let name = scope_name(snapshot.as_ref(), &setup.apexes, no);
        let name = name.map_err(|error| unreadable(&error))?;
        let may_see = caller.permission.is_everywhere()
            || name
                .as_ref()
                .is_some_and(|name| caller.permission.covers(name));
        if let Some(state) = state.filter(|_| may_see) {
            shown.push((name, state));
        }
    }
    shown.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Json(
        shown
            .iter()
            .map(|(name, state)| render::scope_view(name.as_ref(), state))
            .collect(),
    ))
}

pub(super) fn scope_at<P: Parts>(api: &Api<P>, text: &str) -> Result<(Name, ScopeState), Failure> {
    let name = read_name(text)?;
    let setup = api.resolver.setup();
    let snapshot = api.resolver.store().latest();
    let hint = Some("`kedge scope list` shows the scopes of this node");
    let place = find(snapshot.as_ref(), &setup.apexes, &name)
        .map_err(|error| Failure::not_found(error.to_string(), hint))?;
    if !place.path.is_empty() {
        return Err(Failure::not_found(format!("{name} is no scope"), hint));
    }
    Ok((name, place.scope))
}

pub(super) async fn show<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
) -> Reply<wire::ScopeView> {
    let (name, state) = scope_at(&api, &name)?;
    let quarantine = api.replicator.quarantine(&state.uid);
    Ok(Json(wire::ScopeView {
        quarantine: quarantine.map(|quarantine| quarantine.to_string()),
        doubted: api.replicator.concern(&state),
        freshness: freshness(&api, &state)?,
        ..render::scope_view(Some(&name), &state)
    }))
}

pub(super) async fn create<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<wire::NewScopeBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&body.name)?;
    let apexes = &api.resolver.setup().apexes;
    let changed = if let Some(text) = body.offer {
        if body.apex || !body.region.is_empty() {
            let hint = "the node that made the offer said where its anchor runs";
            let error = "an offer goes with neither apex nor region";
            return Err(Failure::bad(error.to_owned(), Some(hint)));
        }
        let offer = Offer::from_text(&text).map_err(|error| {
            let hint = Some("`kedge scope offer` prints offers");
            Failure::bad(format!("the offer does not decode: {error}"), hint)
        })?;
        api.changes
            .delegate(apexes, &name, offer, &body.note)
            .await?
    } else if body.apex {
        let changed = api.changes.found_apex(&name, &body.region).await?;
        // The new tree is served from the next question on.
        api.operations.reload().map_err(Failure::internal)?;
        changed
    } else {
        api.changes
            .found_scope(apexes, &name, &body.region, &body.note)
            .await?
    };
    done(&api, &changed).map(Json)
}

pub(super) async fn offer<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<wire::OfferBody>,
) -> Reply<wire::OfferView> {
    let name = read_name(&body.name)?;
    let parent = body.parent.parse().map_err(|error: BadDigest| {
        let hint = "`kedge scope show` on the node that holds the parent prints its uid";
        Failure::bad(format!("parent {:?}: {error}", body.parent), Some(hint))
    })?;
    let offer = api.changes.offer(&name, parent, &body.region)?;
    Ok(Json(wire::OfferView {
        uid: offer.scope_uid().to_string(),
        offer: offer.to_text(),
    }))
}

/// Registers many names at once; the body is an [`ImportDraft`] in canonical bytes.
pub(super) async fn import<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    body: Bytes,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    let mut input = Decoder::new(&body);
    let draft = ImportDraft::decode(&mut input)
        .and_then(|draft| input.finish().map(|()| draft))
        .map_err(|error| Failure::bad(format!("the import does not decode: {error}"), None))?;
    let apexes = &api.resolver.setup().apexes;
    let changed = api.changes.register_all(apexes, &name, draft).await?;
    done(&api, &changed).map(Json)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    /// At most so many blocks.
    #[serde(default)]
    limit: Option<usize>,
    /// From this height downwards.
    #[serde(default)]
    from: Option<u64>,
}

pub(super) async fn log<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Query(query): Query<LogQuery>,
) -> Reply<Vec<wire::BlockView>> {
    let listed = apart(move || {
        let (_, state) = scope_at(&api, &name)?;
        let snapshot = api.resolver.store().latest();
        let setup = api.resolver.setup();
        let count = query.limit.unwrap_or(BLOCKS_DEFAULT).min(BLOCKS_MAX);
        let mut shown = Vec::new();
        let mut next = Some(query.from.unwrap_or(state.height).min(state.height));
        // One block after the other: each may hold an import.
        while let Some(height) = next.filter(|_| shown.len() < count) {
            let link = snapshot.link(state.no, height);
            let link = link.map_err(|error| unreadable(&error))?;
            let Some(link) = link else { break };
            let view = render::block_view(snapshot.as_ref(), &setup.apexes, state.no, &link);
            shown.push(view.map_err(|error| unreadable(&error))?);
            next = height.checked_sub(1);
        }
        Ok(shown)
    });
    listed.await.map(Json)
}
