//! Calls about names.

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::base::text_form::TextForm;
use crate::governance::block::Fate;
use crate::governance::op::SetChange;
use crate::index::entry::Entry;
use crate::index::history::versions;
use crate::index::place::{NoPlace, Place, apex_of, find, scope_name};
use crate::index::proof::{NoProof, prove};
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::record::RecordSet;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::Which;
use crate::service::changes::{Put, Tagging};
use crate::service::governor::Done;
use crate::service::ports::{Parts, Store};
use crate::service::resolver::error_chain;

use super::aside::apart;
use super::caller::Caller;
use super::render::{self, read_name};
use super::routes::{Api, Node, Reply, unreadable};
use super::status::Failure;
use super::wire;

/// Versions in one reply.
const VERSIONS_MAX: usize = 1_000;

pub(super) fn place_of<P: Parts>(api: &Api<P>, name: &Name) -> Result<Place, Failure> {
    let setup = api.resolver.setup();
    let snapshot = api.resolver.store().latest();
    find(snapshot.as_ref(), &setup.apexes, name).map_err(|error| match &error {
        NoPlace::View(source) => Failure::internal(error_chain(source)),
        _ => Failure::not_found(
            error.to_string(),
            Some("`kedge scope list` shows what is held; `kedge explain` answers any name"),
        ),
    })
}

/// What became of a change.
pub(super) fn done<P: Parts>(api: &Api<P>, done: &Done) -> Result<wire::DoneView, Failure> {
    let (outcome, scope) = match done {
        Done::Decided { at, fate } => {
            let outcome = match fate {
                Fate::Passed => "committed",
                Fate::Rejected => "rejected",
                Fate::Withdrawn(_) => "withdrawn",
            };
            (outcome, Some(at.scope))
        }
        Done::Recorded(at) => ("recorded", Some(at.scope)),
        Done::Waits { scope, .. } => ("pending", Some(*scope)),
        Done::Ripened { .. } => ("ripened", None),
        Done::Followed(_)
        | Done::Noted
        | Done::Device(_)
        | Done::Heard(_)
        | Done::Drafted(_)
        | Done::Judged(_)
        | Done::RecoveryDrafted(_) => ("done", None),
    };
    let setup = api.resolver.setup();
    let snapshot = api.resolver.store().latest();
    let scope = match scope {
        Some(no) => scope_name(snapshot.as_ref(), &setup.apexes, no),
        None => Ok(None),
    };
    let scope = scope.map_err(|error| unreadable(&error))?;
    let (proposal, lacks) = match done {
        Done::Waits {
            proposal, lacks, ..
        } => (Some(proposal.to_string()), Some(lacks.to_string())),
        _ => (None, None),
    };
    Ok(wire::DoneView {
        outcome: outcome.to_owned(),
        scope: scope.map_or_else(String::new, |name| name.to_string()),
        height: done.at().map(|at| at.height),
        block: done.at().map(|at| at.block.to_string()),
        time: done.at().map(|at| at.time.to_string()),
        proposal,
        lacks,
    })
}

pub(super) async fn put<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<wire::PutBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    let (kind, set) = render::read_set(&body.kind, body.ttl, &body.data)?;
    let mut if_version = body.if_version;
    let change = match set {
        None => SetChange::Remove(kind),
        Some(set) if body.add => {
            let (merged, seen) = merged(&api, &name, &set)?;
            // What was read must still stand, or a record added meanwhile would be lost.
            if_version = if_version.or(seen);
            SetChange::Put(merged)
        }
        Some(set) => SetChange::Put(set),
    };
    let put = Put {
        changes: vec![change],
        if_version,
        may_empty: body.may_empty,
        note: body.note,
    };
    let changed = api
        .changes
        .put(&api.resolver.setup().apexes, &name, put)
        .await?;
    done(&api, &changed).map(Json)
}

/// A set with the records that are there already, and the version they were read at.
fn merged<P: Parts>(
    api: &Api<P>,
    name: &Name,
    set: &RecordSet,
) -> Result<(RecordSet, Option<u64>), Failure> {
    let place = place_of(api, name)?;
    let slot = api
        .resolver
        .store()
        .latest()
        .slot(place.scope.no, &place.path)
        .map_err(|error| unreadable(&error))?;
    let Some(Entry::Bound(head)) = slot.and_then(|slot| slot.entry) else {
        return Ok((set.clone(), None));
    };
    let mut records = set.records().to_vec();
    if let Some(present) = head.set(set.kind()) {
        records.extend_from_slice(present.records());
    }
    let merged = RecordSet::new(set.kind(), set.ttl(), records)
        .map_err(|error| Failure::bad(error.to_string(), None))?;
    Ok((merged, Some(head.number)))
}

pub(super) async fn rename<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<wire::RenameBody>,
) -> Reply<wire::DoneView> {
    let (from, to) = (read_name(&name)?, read_name(&body.to)?);
    let apexes = &api.resolver.setup().apexes;
    let changed = api
        .changes
        .rename(apexes, (&from, &to), body.subtree, &body.note)
        .await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn retire<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<wire::RetireBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    let apexes = &api.resolver.setup().apexes;
    let changed = api
        .changes
        .retire(apexes, &name, body.if_version, &body.note)
        .await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn undo<P: Parts>(
    State(api): Node<P>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(body): Json<wire::UndoBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    let mut to = body.to.as_deref().map(render::read_which).transpose()?;
    let setup = api.resolver.setup();
    let apexes = &setup.apexes;
    if !caller.permission.is_everywhere() {
        // What it holds would be read by giving it back.
        let older = api.changes.undone_to(apexes, &name, to.as_ref())?;
        let snapshot = api.resolver.store().latest();
        caller.sight(apexes).allow(snapshot.as_ref(), &older)?;
        to = Some(Which::Number(older.number));
    }
    let changed = api
        .changes
        .restore(apexes, &name, (to, body.if_version), &body.note)
        .await?;
    done(&api, &changed).map(Json)
}

/// Gives a tag to a version of a name, or takes it away.
pub(super) async fn tag<P: Parts>(
    State(api): Node<P>,
    Path((name, tag)): Path<(String, String)>,
    Json(body): Json<wire::TagBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    let tag = tag
        .parse()
        .map_err(|error| render::bad_value(&format!("tag {tag:?}"), &error))?;
    let version = match (&body.version, body.remove) {
        (Some(_), true) => {
            let error = "a tag that is taken away has no version";
            return Err(Failure::bad(error, None));
        }
        (None, true) => None,
        (None, false) => Some(None),
        (Some(text), false) => Some(Some(render::read_which(text)?)),
    };
    let apexes = &api.resolver.setup().apexes;
    let tagging = Tagging {
        tag,
        version,
        if_version: body.if_version,
    };
    let changed = api.changes.tag(apexes, &name, tagging, &body.note).await?;
    done(&api, &changed).map(Json)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    /// At most so many versions.
    #[serde(default)]
    limit: Option<usize>,
}

/// The history of the entry that a name or a UID stands for. A redirect's history is its entry's.
/// Callers of some scopes only see the versions that were made there.
pub(super) async fn history<P: Parts>(
    State(api): Node<P>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Reply<wire::HistoryView> {
    // A version's block may hold an import.
    apart(move || history_of(&api, &caller, (&name, &query)))
        .await
        .map(Json)
}

fn history_of<P: Parts>(
    api: &Api<P>,
    caller: &Caller,
    (name, query): (&str, &HistoryQuery),
) -> Result<wire::HistoryView, Failure> {
    let uid = match name.parse::<Uid>() {
        Ok(uid) => uid,
        Err(_) => uid_at(api, &read_name(name)?)?,
    };
    let snapshot = api.resolver.store().latest();
    let setup = api.resolver.setup();
    let count = query.limit.unwrap_or(VERSIONS_MAX).min(VERSIONS_MAX);
    let found = versions(snapshot.as_ref(), &uid, count).map_err(|error| unreadable(&error))?;
    if found.is_empty() {
        return Err(Failure::not_found(
            format!("no entry has the UID {uid}"),
            None,
        ));
    }
    let mut shown = Vec::new();
    for version in &found {
        let (view, apexes) = (snapshot.as_ref(), &setup.apexes);
        let sight = caller.sight(apexes);
        if sight
            .sees(view, version)
            .map_err(|error| unreadable(&error))?
        {
            let version = render::version_view(view, apexes, version);
            shown.push(version.map_err(|error| unreadable(&error))?);
        }
    }
    Ok(wire::HistoryView {
        uid: uid.to_string(),
        versions: shown,
    })
}

/// Proves what the latest state says of a name.
pub(super) async fn proof<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
) -> Reply<wire::ProofView> {
    let name = read_name(&name)?;
    let setup = api.resolver.setup();
    let snapshot = api.resolver.store().latest();
    let apex = apex_of(&setup.apexes, &name).ok_or_else(|| {
        let hint = Some("only governed names can be proven");
        Failure::not_found(format!("{name} lies under no apex of this node"), hint)
    })?;
    let proof = prove(snapshot.as_ref(), &setup.apexes, &name).map_err(|error| match &error {
        NoProof::View(source) => unreadable(source),
        NoProof::NotGoverned(_) | NoProof::NotHeld(_) | NoProof::Reserved(_) => {
            Failure::not_found(error.to_string(), None)
        }
        NoProof::Incomplete(_) | NoProof::TooManyEpochs(_) | NoProof::TooLarge(_) => {
            Failure::internal(error.to_string())
        }
    })?;
    Ok(Json(wire::ProofView {
        apex: apex.name.to_string(),
        root: apex.root.to_string(),
        proof: proof.to_text(),
    }))
}

pub(super) fn uid_at<P: Parts>(api: &Api<P>, name: &Name) -> Result<Uid, Failure> {
    let place = place_of(api, name)?;
    let snapshot = api.resolver.store().latest();
    let slot = snapshot
        .slot(place.scope.no, &place.path)
        .map_err(|error| unreadable(&error))?;
    uid_of(name, slot.and_then(|slot| slot.entry))
}

/// The UID of the entry that a name stands for.
pub(super) fn uid_of(name: &Name, entry: Option<Entry>) -> Result<Uid, Failure> {
    match entry {
        Some(Entry::Bound(head)) => Ok(head.uid),
        Some(Entry::Reserved { uid, .. }) => Ok(uid),
        Some(Entry::Moved(redirect)) => redirect.uid.ok_or_else(|| {
            let error = format!("{name} is a moved subtree; ask for the history of a name in it");
            Failure::not_found(error, None)
        }),
        Some(Entry::Retired { .. }) => Err(Failure::not_found(
            format!("{name} is retired"),
            Some("ask by UID, or see `kedge log SCOPE`"),
        )),
        Some(Entry::Delegated(_)) => Err(Failure::not_found(
            format!("{name} is a scope"),
            Some("`kedge log` shows a scope's lineage"),
        )),
        None => Err(Failure::not_found(
            format!("there is no entry at {name}"),
            None,
        )),
    }
}
