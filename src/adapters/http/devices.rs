//! Calls about devices of private scopes: by the devices, and by who governs the scope.

use std::net::IpAddr;

use axum::extract::{Path, State};
use axum::{Extension, Json};

use crate::base::digest::Digest;
use crate::base::limits::{DEVICE_NOTE_BYTES_MAX, DEVICE_SERVER_BYTES_MAX, DEVICE_SERVERS_MAX};
use crate::base::text_form::TextForm;
use crate::governance::device::{Asked, DeviceProof, DeviceState, Handle, Server};
use crate::index::devices::DeviceRow;
use crate::namespace::scope::ScopeUid;
use crate::service::ports::Parts;

use super::government::at_most;
use super::render::bad_value;
use super::routes::{Api, Node, Reply};
use super::scopes::scope_at;
use super::status::Failure;
use super::wire_devices::{
    ChallengeBody, ChallengeView, DeviceView, EnrolBody, EnrolledView, ProofBody, ProofView,
    RenewBody, RevokedView,
};

/// A body about devices: a proof, or a few servers. Devices are not trusted with more.
pub(super) const DEVICE_BODY_BYTES_MAX: usize = 16 << 10;

/// Where the other end of a connection is; none over the admin socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// The address that counts: the connection's own, or over the admin socket the one that is named.
fn address(peer: Option<Extension<Peer>>, named: Option<IpAddr>) -> Result<IpAddr, Failure> {
    match (peer, named) {
        (Some(Extension(Peer(peer))), None) => Ok(peer),
        (Some(Extension(Peer(peer))), Some(named)) if peer == named => Ok(peer),
        (Some(_), Some(_)) => {
            let error = "a device counts where its connection comes from";
            Err(Failure::bad(error, Some("leave the address out")))
        }
        (None, Some(named)) => Ok(named.to_canonical()),
        (None, None) => {
            let error = "the admin socket does not say where the device is";
            Err(Failure::bad(error, Some("say it with an address")))
        }
    }
}

pub(super) async fn challenge<P: Parts>(
    State(api): Node<P>,
    peer: Option<Extension<Peer>>,
    Json(body): Json<ChallengeBody>,
) -> Reply<ChallengeView> {
    let scope: ScopeUid = digits("scope", &body.scope)?;
    let handle = Handle::new(digits::<Digest>("handle", &body.handle)?);
    let address = address(peer, body.address)?;
    let asked = Asked {
        scope,
        handle,
        address,
    };
    let given = api.devices.challenge(asked)?;
    Ok(Json(ChallengeView {
        nonce: given.nonce.to_string(),
        address,
        until: given.until.to_string(),
    }))
}

pub(super) async fn prove<P: Parts>(
    State(api): Node<P>,
    peer: Option<Extension<Peer>>,
    Json(body): Json<ProofBody>,
) -> Reply<ProofView> {
    let proof = DeviceProof::from_text(&body.proof).map_err(|error| bad_value("proof", &error))?;
    let address = peer.map_or(proof.statement.address, |Extension(Peer(peer))| {
        peer.to_canonical()
    });
    let presence_secs = api.resolver.setup().presence_secs;
    let proved = api.devices.prove(proof, address, presence_secs).await?;
    Ok(Json(ProofView {
        seal: proved.seal.to_string(),
        address,
        until: proved.until.to_string(),
    }))
}

pub(super) async fn list<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
) -> Reply<Vec<DeviceView>> {
    let (_, state) = scope_at(&api, &name)?;
    let rows = api.devices.list(&state.uid)?;
    let shown = rows.iter().map(|row| view(&api, &state.uid, row));
    Ok(Json(shown.collect()))
}

fn view<P: Parts>(api: &Api<P>, scope: &ScopeUid, (device, record): &DeviceRow) -> DeviceView {
    let presences = api.resolver.presences().load().clone();
    let until = presences.until(scope, device, api.resolver.now());
    let (state, since, proofs) = match &record.state {
        DeviceState::Live(chain) => {
            let since = (chain.steps > 0).then_some(chain.since);
            ("live".to_owned(), since, chain.steps)
        }
        DeviceState::Dead { why, since } => (why.to_string(), Some(*since), 0),
    };
    DeviceView {
        id: device.short(),
        note: record.note.clone(),
        state,
        enrolled: record.enrolled.to_string(),
        since: since.map(|since| since.to_string()),
        proofs,
        present_until: until.map(|until| until.to_string()),
    }
}

pub(super) async fn enrol<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<EnrolBody>,
) -> Reply<EnrolledView> {
    let (_, state) = scope_at(&api, &name)?;
    at_most("bytes of note", body.note.len(), DEVICE_NOTE_BYTES_MAX)?;
    if body.note.contains(char::is_control) {
        return Err(Failure::bad("a note has no control characters", None));
    }
    let servers = read_servers(body.servers)?;
    let (device, file) = api.devices.enrol(state.uid, body.note, servers).await?;
    Ok(Json(EnrolledView {
        id: device.short(),
        file: file.to_text(),
    }))
}

pub(super) async fn renew<P: Parts>(
    State(api): Node<P>,
    Path((name, id)): Path<(String, String)>,
    Json(body): Json<RenewBody>,
) -> Reply<EnrolledView> {
    let (_, state) = scope_at(&api, &name)?;
    let servers = read_servers(body.servers)?;
    let (device, file) = api.devices.renew(state.uid, &id, servers).await?;
    Ok(Json(EnrolledView {
        id: device.short(),
        file: file.to_text(),
    }))
}

pub(super) async fn revoke<P: Parts>(
    State(api): Node<P>,
    Path((name, id)): Path<(String, String)>,
) -> Reply<RevokedView> {
    let (_, state) = scope_at(&api, &name)?;
    let device = api.devices.revoke(state.uid, &id).await?;
    Ok(Json(RevokedView { id: device.short() }))
}

/// Scopes of which a question shall count as showing a device.
pub(super) fn said<P: Parts>(api: &Api<P>, scope: Option<&str>) -> Result<Vec<ScopeUid>, Failure> {
    Ok(match scope {
        None => Vec::new(),
        Some(text) => match text.parse() {
            Ok(uid) => vec![uid],
            Err(_) => vec![scope_at(api, text)?.1.uid],
        },
    })
}

fn read_servers(servers: Vec<String>) -> Result<Vec<Server>, Failure> {
    at_most("servers", servers.len(), DEVICE_SERVERS_MAX)?;
    let longest = servers.iter().map(String::len).max().unwrap_or_default();
    at_most("bytes of a server", longest, DEVICE_SERVER_BYTES_MAX)?;
    Ok(servers.into_iter().map(Server).collect())
}

fn digits<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| bad_value(what, &error))
}
