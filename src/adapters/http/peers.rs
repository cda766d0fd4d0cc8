//! Calls about other nodes, and about scopes that are followed there.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::base::digest::BadDigest;
use crate::base::keys::PublicKey;
use crate::base::limits::MIRROR_SOURCES_MAX;
use crate::index::entry::Entry;
use crate::index::place::{find, scope_name};
use crate::index::recovery::announced_of;
use crate::index::replica::{Mirror, ReplicaView};
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::resolution::trail::TrailStep;
use crate::service::governor::Placement;
use crate::service::ports::{Ourselves, Parts, PeerStanding, Store};
use crate::service::replicator::{MirrorError, Standing, Wish};

use super::freshness;
use super::render::{bad_value, read_name};
use super::routes::{Api, Node, Reply, unreadable};
use super::status::Failure;
use super::wire_peers::{MirrorBody, MirrorView, NodeView, PeerView};

pub(super) async fn node<P: Parts>(State(api): Node<P>) -> Reply<NodeView> {
    let Ourselves {
        id,
        addresses,
        region,
    } = api.operations.ourselves().map_err(Failure::internal)?;
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Ok(Json(NodeView {
        word: format!("{id}@{}", addresses.join(",")),
        id: id.to_string(),
        addresses,
        region,
    }))
}

pub(super) fn peers<P: Parts>(api: &Api<P>) -> Vec<PeerStanding> {
    let network = api.replicator.network();
    network.map(|network| network.peers()).unwrap_or_default()
}

/// What the peers are called here.
pub(super) fn names<P: Parts>(api: &Api<P>) -> BTreeMap<PublicKey, String> {
    let peers = peers(api).into_iter();
    peers.map(|peer| (peer.id, peer.name)).collect()
}

pub(super) async fn list<P: Parts>(State(api): Node<P>) -> Reply<Vec<PeerView>> {
    let snapshot = api.resolver.store().latest();
    let mirrors = snapshot.mirrors().map_err(|error| unreadable(&error))?;
    let met = api.operations.met();
    let mut shown = Vec::new();
    for peer in peers(&api) {
        let (mut followed, mut behind) = (0u64, 0u64);
        for mirror in mirrors.iter().filter(|m| m.sources.contains(&peer.id)) {
            followed += 1;
            let standing = api.replicator.standing(&mirror.scope);
            if standing.heard.is_some_and(|(from, _)| from == peer.id) {
                let held = held(&api, &mirror.scope)?;
                let height = held.map_or(0, |state| state.height);
                behind = behind.saturating_add(standing.height_there.saturating_sub(height));
            }
        }
        shown.push(PeerView {
            name: peer.name,
            id: peer.id.to_string(),
            region: peer.region,
            addresses: peer.addresses.iter().map(ToString::to_string).collect(),
            connected: peer.is_connected,
            version: peer.version,
            software: peer.software,
            rtt_us: peer.rtt_us,
            heard: peer.heard.map(|time| time.to_string()),
            mirrors: followed,
            behind,
            answered: peer.answered,
            refused: peer.refused,
            complaints: peer.complaints,
            last_error: peer.last_error,
            by_ticket: met.contains(&peer.id),
        });
    }
    shown.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(shown))
}

pub(super) fn held<P: Parts>(
    api: &Api<P>,
    scope: &ScopeUid,
) -> Result<Option<ScopeState>, Failure> {
    let state = api.resolver.store().latest().scope_of(scope);
    state.map_err(|error| unreadable(&error))
}

pub(super) async fn mirrors<P: Parts>(State(api): Node<P>) -> Reply<Vec<MirrorView>> {
    let mirrors = api.resolver.store().latest().mirrors();
    let mirrors = mirrors.map_err(|error| unreadable(&error))?;
    let views = mirrors.iter().map(|mirror| view(&api, mirror));
    let mut views: Vec<MirrorView> = views.collect::<Result<_, _>>()?;
    views.sort_by(|a, b| a.scope.cmp(&b.scope));
    Ok(Json(views))
}

fn view<P: Parts>(api: &Api<P>, mirror: &Mirror) -> Result<MirrorView, Failure> {
    let snapshot = api.resolver.store().latest();
    let state = held(api, &mirror.scope)?;
    let name = match &state {
        Some(state) => scope_name(snapshot.as_ref(), &api.resolver.setup().apexes, state.no),
        None => Ok(None),
    };
    let name = name.map_err(|error| unreadable(&error))?;
    let known = names(api);
    let called = |id: &PublicKey| known.get(id).cloned().unwrap_or_else(|| id.to_string());
    let standing = api.replicator.standing(&mirror.scope);
    let fork = snapshot.fork(&mirror.scope);
    let fork = fork.map_err(|error| unreadable(&error))?;
    let fresh = match &state {
        Some(state) => freshness::freshness(api, state)?,
        None => None,
    };
    Ok(MirrorView {
        scope: name.map_or_else(|| mirror.scope.to_string(), |name| name.to_string()),
        uid: mirror.scope.to_string(),
        from: mirror.sources.iter().map(called).collect(),
        since: mirror.since.to_string(),
        height: state.as_ref().map_or(0, |state| state.height),
        block: state.map_or_else(String::new, |state| state.head.to_string()),
        heard_from: standing.heard.as_ref().map(|(from, _)| called(from)),
        heard: standing.heard.map(|(_, time)| time.to_string()),
        height_there: standing.height_there,
        error: standing.error,
        forked: fork.map(|fork| fork.height()),
        freshness: fresh,
    })
}

pub(super) async fn mirror<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<MirrorBody>,
) -> Reply<MirrorView> {
    let name = read_name(&name)?;
    let sources = sources(&api, &body.from)?;
    let (scope, placement) = place(&api, &name, body.genesis.as_deref())?;
    follow(&api, &name, (scope, placement), sources).await?;
    let mirror = followed(&api, &scope)?;
    view(&api, &mirror).map(Json)
}

/// Follows a scope at peers from now on, and serves it.
pub(super) async fn follow<P: Parts>(
    api: &Api<P>,
    name: &Name,
    (scope, placement): (ScopeUid, Placement),
    sources: Vec<PublicKey>,
) -> Result<(), Failure> {
    let is_apex = matches!(placement, Placement::Apex(_));
    if let Some(state) = held(api, &scope)?
        && api.changes.governs(&state)
    {
        return Err(MirrorError::Governed.into());
    }
    let wish = Wish {
        scope,
        placement,
        sources,
    };
    api.replicator.mirror(wish).await?;
    let setup = api.resolver.setup();
    if is_apex && !setup.apexes.iter().any(|apex| apex.name == *name) {
        // The new tree is served from the next question on.
        api.operations.reload().map_err(|error| {
            let done = "the scope is followed, but it is not served before the next reload";
            Failure::internal(format!("{done}: {error}"))
        })?;
    }
    Ok(())
}

pub(super) async fn stop<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
) -> Reply<MirrorView> {
    let name = read_name(&name)?;
    let (scope, _) = place(&api, &name, None)?;
    let mirror = followed(&api, &scope)?;
    let view = view(&api, &mirror)?;
    api.replicator.unfollow(scope).await?;
    Ok(Json(view))
}

fn followed<P: Parts>(api: &Api<P>, scope: &ScopeUid) -> Result<Mirror, Failure> {
    let mirror = api.resolver.store().latest().mirror(scope);
    let mirror = mirror.map_err(|error| unreadable(&error))?;
    mirror.ok_or_else(|| {
        let hint = Some("`kedge mirror` shows what is followed");
        Failure::not_found("this scope is followed nowhere", hint)
    })
}

fn sources<P: Parts>(api: &Api<P>, from: &[String]) -> Result<Vec<PublicKey>, Failure> {
    if from.is_empty() || from.len() > MIRROR_SOURCES_MAX {
        let error = format!("expected 1 to {MIRROR_SOURCES_MAX} peers to follow it at");
        return Err(Failure::bad(error, Some("`kedge nodes` shows the peers")));
    }
    if api.replicator.network().is_none() {
        return Err(MirrorError::NoNetwork.into());
    }
    let peers = peers(api);
    let known = |text: &String| {
        let same = |peer: &&PeerStanding| peer.name == *text || peer.id.to_string() == *text;
        let peer = peers.iter().find(same).map(|peer| peer.id);
        peer.ok_or_else(|| {
            let hint =
                Some("`kedge nodes` shows the peers; [[peer]] in the configuration adds one");
            Failure::not_found(format!("{text:?} is no peer of this node"), hint)
        })
    };
    from.iter().map(known).collect()
}

/// Which scope a name means, and where it belongs here.
pub(super) fn place<P: Parts>(
    api: &Api<P>,
    name: &Name,
    genesis: Option<&str>,
) -> Result<(ScopeUid, Placement), Failure> {
    let setup = api.resolver.setup();
    if let Some(text) = genesis {
        let uid = text
            .parse()
            .map_err(|error: BadDigest| bad_value("genesis", &error))?;
        return Ok((uid, Placement::Apex(name.clone())));
    }
    if let Some(apex) = setup.apexes.iter().find(|apex| apex.name == *name) {
        return Ok((apex.root, Placement::Apex(name.clone())));
    }
    let hint = "--genesis UID makes an apex; a scope below one needs its parent here first";
    let placement = api.changes.placement(&setup.apexes, name);
    let placement = placement.map_err(|error| Failure::not_found(error.to_string(), Some(hint)))?;
    let Placement::Below { parent, label } = &placement else {
        return Err(Failure::not_found(
            format!("{name} is no scope"),
            Some(hint),
        ));
    };
    let path = NamePath::empty().child(label);
    let slot = api.resolver.store().latest().slot(*parent, &path);
    match slot
        .map_err(|error| unreadable(&error))?
        .and_then(|slot| slot.entry)
    {
        Some(Entry::Delegated(uid)) => Ok((uid, placement)),
        _ => Err(Failure::not_found(
            format!("{name} is no scope: its parent, as it is held here, delegates no such label"),
            Some(hint),
        )),
    }
}

/// The steps of an answer, with what is known of scopes that are followed or forked, or could be.
pub(super) fn with_mirrors<P: Parts>(
    api: &Api<P>,
    steps: &[TrailStep],
) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::with_capacity(steps.len());
    for step in steps {
        lines.push(step.to_string());
        if let TrailStep::Scope { scope, .. } = step {
            lines.extend(about_scope(api, scope)?);
        }
    }
    Ok(lines)
}

fn about_scope<P: Parts>(api: &Api<P>, name: &Name) -> Result<Vec<String>, Failure> {
    let snapshot = api.resolver.store().latest();
    let Ok(place) = find(snapshot.as_ref(), &api.resolver.setup().apexes, name) else {
        return Ok(Vec::new());
    };
    let uid = place.scope.uid;
    let mut lines = Vec::new();
    let quorum = place.scope.descriptor.policy.quorum;
    if quorum.is_crash_only() {
        lines.push(format!("quorum   {name} decides by {quorum}"));
    }
    let announced = announced_of(snapshot.as_ref(), &place.scope);
    if let Some(said) = announced.map_err(|error| unreadable(&error))? {
        lines.push(format!(
            "recovery {name}: the scope above announced that other anchors take over from {} on, by block {}",
            said.due,
            said.block.short()
        ));
    }
    let mirror = snapshot.mirror(&uid);
    if let Some(mirror) = mirror.map_err(|error| unreadable(&error))? {
        let from = view(api, &mirror)?.from.join(", ");
        let state = level(api, &api.replicator.standing(&uid), place.scope.height);
        lines.push(format!("mirror   {name} of {from}: {state}"));
    }
    if let Some(view) = freshness::freshness(api, &place.scope)? {
        lines.push(freshness::line(&name.to_string(), &view));
    }
    let fork = snapshot.fork(&uid);
    if let Some(fork) = fork.map_err(|error| unreadable(&error))? {
        let (held, other) = fork.blocks();
        let height = fork.height();
        lines.push(format!(
            "frozen   {name} forked at height {height}: {held} is held, {other} is elsewhere"
        ));
    }
    if let Some(quarantine) = api.replicator.quarantine(&uid) {
        lines.push(format!("aside    {name} is not decided here: {quarantine}"));
    }
    if let Some(concern) = api.replicator.concern(&place.scope) {
        lines.push(format!("doubted  {name}: {concern}"));
    }
    Ok(lines)
}

/// How a scope does by the word of where it is followed.
fn level<P: Parts>(api: &Api<P>, standing: &Standing, height: u64) -> String {
    let Some((from, time)) = standing.heard else {
        return match &standing.error {
            Some(error) => format!("not heard since the start: {error}"),
            None => "not heard since the start".to_owned(),
        };
    };
    let called = names(api).remove(&from).unwrap_or_else(|| from.short());
    let ago = api.changes.now().millis_since(time);
    let heard = format!("{called} heard {}.{:03} s ago", ago / 1_000, ago % 1_000);
    match (
        &standing.error,
        standing.height_there.saturating_sub(height),
    ) {
        (Some(error), _) => format!("{heard}; since then: {error}"),
        (None, 0) => format!("{heard}, level with it"),
        (None, behind) => format!("{heard}, {behind} block(s) behind it"),
    }
}

impl From<MirrorError> for Failure {
    fn from(error: MirrorError) -> Self {
        let text = error.to_string();
        let (status, hint) = match error {
            MirrorError::Change(change) => return change.into(),
            MirrorError::Store(_) => return Self::internal(text),
            MirrorError::NoNetwork => (
                StatusCode::SERVICE_UNAVAILABLE,
                "a serving node with listen.peers or [[peer]] in its configuration does",
            ),
            MirrorError::Peers { .. } => (
                StatusCode::BAD_GATEWAY,
                "nothing was changed that did not follow; `kedge nodes` shows how peers do",
            ),
            MirrorError::Forked { .. } => (
                StatusCode::CONFLICT,
                "it is frozen here; `kedge doctor` names both blocks",
            ),
            MirrorError::Governed => (
                StatusCode::CONFLICT,
                "take the scope's keys out of the keys directory first, if it shall be a mirror",
            ),
        };
        Self::new(status, text, Some(hint))
    }
}
