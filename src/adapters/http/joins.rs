//! Calls by which nodes get seats in scopes of other nodes: keys, tickets, and what comes of them.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use tokio::time::{Instant, sleep_until};

use crate::base::keys::PublicKey;
use crate::base::limits::{MIRROR_SOURCES_MAX, PEER_ADDRESSES_MAX};
use crate::base::text_form::TextForm as _;
use crate::governance::policy::{Class, Requirement};
use crate::governance::ticket::{Terms, Ticket, TicketRefusal};
use crate::index::replica::ReplicaView as _;
use crate::index::state::ScopeState;
use crate::namespace::name::Name;
use crate::service::changes::Offered;
use crate::service::governor::{Done, Placement};
use crate::service::ports::{Acquaintance, Parts, Store as _};
use crate::service::replicator::MirrorError;

use super::peers::{follow, held, peers, place};
use super::render::{bad_value, read_name};
use super::routes::{Api, Node, Reply, unreadable};
use super::status::Failure;
use super::wire_peers::{InviteBody, JoinBody, JoinView, SeatKeyBody, SeatKeyView, TicketView};

/// How long the node that invited may take to be connected: it may have to dial, and waits between
/// two attempts.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(20);
/// How long whoever joins waits for the block with the seat; it comes later all the same.
const SEAT_PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What another node says of itself: KEY/ID@ADDRESS,ADDRESS.
struct Word {
    vote_key: PublicKey,
    id: PublicKey,
    addresses: Vec<SocketAddr>,
}

impl Word {
    fn read(text: &str) -> Result<Self, Failure> {
        let wrong = |problem: &str| {
            let hint = Some("`kedge join --prepare SCOPE` on the other node prints it");
            Failure::bad(format!("node {text:?}: {problem}"), hint)
        };
        let parts = text.split_once('/').and_then(|(key, rest)| {
            let (id, addresses) = rest.split_once('@')?;
            Some((key, id, addresses))
        });
        let (key, id, addresses) = parts.ok_or_else(|| wrong("expected KEY/ID@ADDRESS,ADDRESS"))?;
        let key_of = |text: &str| text.parse().map_err(|_| wrong("expected two keys"));
        let addresses = addresses.split(',').filter(|address| !address.is_empty());
        Ok(Self {
            vote_key: key_of(key)?,
            id: key_of(id)?,
            addresses: dialled("node", addresses)?,
        })
    }
}

/// Addresses that can be dialled.
fn dialled<'t>(
    what: &str,
    addresses: impl Iterator<Item = &'t str>,
) -> Result<Vec<SocketAddr>, Failure> {
    let mut read = Vec::new();
    for text in addresses {
        let address: SocketAddr = text
            .parse()
            .map_err(|error| bad_value(&format!("{what} address {text:?}"), &error))?;
        if address.ip().is_unspecified() || address.port() == 0 {
            let error = format!("{what} address {text}: expected one that the other node can dial");
            let hint = Some("write the address itself: in the word of --node, or with --at");
            return Err(Failure::bad(error, hint));
        }
        read.push(address);
    }
    if read.len() > PEER_ADDRESSES_MAX {
        let error = format!("{what}: expected at most {PEER_ADDRESSES_MAX} addresses");
        return Err(Failure::bad(error, None));
    }
    Ok(read)
}

pub(super) async fn prepare<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<SeatKeyBody>,
) -> Reply<SeatKeyView> {
    let scope = read_name(&body.scope)?;
    let ourselves = api.operations.ourselves().map_err(Failure::internal)?;
    let key = api.changes.prepare_seat(&scope)?.to_string();
    let addresses: Vec<String> = ourselves
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    Ok(Json(SeatKeyView {
        word: format!("{key}/{}@{}", ourselves.id, addresses.join(",")),
        key,
    }))
}

pub(super) async fn invite<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<InviteBody>,
) -> Reply<TicketView> {
    let name = read_name(&name)?;
    let word = Word::read(&body.node)?;
    if api.replicator.network().is_none() {
        return Err(MirrorError::NoNetwork.into());
    }
    let ourselves = api.operations.ourselves().map_err(Failure::internal)?;
    let own = if body.at.is_empty() {
        let own: Vec<String> = ourselves
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        dialled("this node's", own.iter().map(String::as_str))?
    } else {
        dialled("at", body.at.iter().map(String::as_str))?
    };
    if own.is_empty() && word.addresses.is_empty() {
        let error = "neither of the two nodes listens for the other one";
        let hint = Some("listen.peers in the configuration says where a node listens");
        return Err(Failure::bad(error, hint));
    }
    let offered = Offered {
        host: (ourselves.id, own),
        guest: word.id,
        vote_key: word.vote_key,
        weight: body.weight,
        region: body.region.clone(),
        organisation: body.organisation,
        lifetime_secs: body.lifetime,
        note: body.note,
    };
    let apexes = &api.resolver.setup().apexes;
    let (ticket, done) = api.changes.invite(apexes, &name, offered).await?;
    let Done::Waits {
        proposal, lacks, ..
    } = done
    else {
        return Err(Failure::internal(
            "the seat was decided before it was accepted",
        ));
    };
    let guest = Acquaintance {
        id: word.id,
        addresses: word.addresses,
        region: body.region,
    };
    api.operations.meet(guest).map_err(|error| {
        let waits = "the seat is proposed, but the other node is no peer; `kedge withdraw` it";
        Failure::internal(format!("{waits}: {error}"))
    })?;
    Ok(Json(TicketView {
        not_after: ticket.unverified().not_after.to_string(),
        ticket: ticket.to_text(),
        proposal: proposal.to_string(),
        lacks: lacks.to_string(),
    }))
}

pub(super) async fn join<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<JoinBody>,
) -> Reply<JoinView> {
    let ticket = Ticket::from_text(&body.ticket).map_err(|error| {
        let hint = Some("copy the whole line that `kedge scope invite` printed");
        Failure::bad(format!("the ticket does not decode: {error}"), hint)
    })?;
    let ourselves = api.operations.ourselves().map_err(Failure::internal)?;
    let invitation = api.changes.open_ticket(ticket, &ourselves.id)?;
    let terms = &invitation.terms;
    if api.replicator.network().is_none() {
        return Err(MirrorError::NoNetwork.into());
    }
    fits(&api, terms)?;
    let host = Acquaintance {
        id: terms.host,
        addresses: terms.addresses.clone(),
        region: String::new(),
    };
    api.operations.meet(host).map_err(Failure::internal)?;
    let from = connected(&api, &terms.host).await?;
    let mirrors = follow_down(&api, terms).await?;
    let state = joined(&api, terms)?;
    let pending = api.changes.take_seat_of(&state, &invitation)?;
    let proposal = pending.proposal.digest().to_string();
    api.replicator.lay_at(terms.host, pending).await?;
    let is_seated = seated(&api, terms).await?;
    Ok(Json(JoinView {
        scope: terms.name.to_string(),
        uid: terms.scope.to_string(),
        mirrors,
        from,
        key: terms.vote_key.to_string(),
        weight: terms.weight,
        outcome: if is_seated { "seated" } else { "accepted" }.to_owned(),
        proposal,
        awaits: (!is_seated).then(|| awaits(&state, terms)),
    }))
}

/// Refuses what contradicts what is held, before anything is changed.
fn fits<P: Parts>(api: &Api<P>, terms: &Terms) -> Result<(), Failure> {
    let setup = api.resolver.setup();
    let apex = setup.apexes.iter().find(|apex| apex.name == terms.apex);
    if let Some(apex) = apex.filter(|apex| apex.root != terms.genesis) {
        return Err(TicketRefusal::OtherScope {
            name: apex.name.clone(),
            here: apex.root,
            there: terms.genesis,
        }
        .into());
    }
    let seated = held(api, &terms.scope)?.is_some_and(|state| has_seat(&state, terms));
    if seated {
        return Err(TicketRefusal::Used(terms.vote_key).into());
    }
    Ok(())
}

fn has_seat(state: &ScopeState, terms: &Terms) -> bool {
    state.descriptor.anchors.seat_of(&terms.vote_key).is_some()
}

/// Waits until a peer is connected, and says what it is called.
async fn connected<P: Parts>(api: &Api<P>, id: &PublicKey) -> Result<String, Failure> {
    let end = Instant::now() + CONNECTION_PATIENCE;
    loop {
        let standing = peers(api).into_iter().find(|peer| peer.id == *id);
        match standing {
            Some(peer) if peer.is_connected => return Ok(peer.name),
            standing if Instant::now() >= end => {
                let why = standing.and_then(|peer| peer.last_error);
                let why = why.unwrap_or_else(|| "it did not dial".to_owned());
                let error = format!(
                    "the node that invited, {}, is not connected: {why}",
                    id.short()
                );
                let hint = "the ticket can be used again; `kedge nodes` shows how peers do";
                return Err(Failure::new(StatusCode::BAD_GATEWAY, error, Some(hint)));
            }
            _ => sleep_until(Instant::now() + LOOK_EVERY).await,
        }
    }
}

/// Follows every scope from the apex down to the one of the ticket at the node that invited.
async fn follow_down<P: Parts>(api: &Api<P>, terms: &Terms) -> Result<Vec<String>, Failure> {
    let mut mirrors = Vec::new();
    for labels in terms.apex.label_count()..=terms.name.label_count() {
        let name: Name = terms.name.suffix(labels);
        let genesis = (name == terms.apex).then_some(terms.genesis);
        let (scope, placement) = match genesis {
            Some(genesis) => (genesis, Placement::Apex(name.clone())),
            None => place(api, &name, None)?,
        };
        if name == terms.name && scope != terms.scope {
            return Err(TicketRefusal::OtherScope {
                name,
                here: scope,
                there: terms.scope,
            }
            .into());
        }
        let state = held(api, &scope)?;
        if state.is_some_and(|state| api.changes.sits(&state)) {
            continue;
        }
        let mirror = api.resolver.store().latest().mirror(&scope);
        let mirror = mirror.map_err(|error| unreadable(&error))?;
        let mut sources = mirror.map_or_else(Vec::new, |mirror| mirror.sources);
        if !sources.contains(&terms.host) {
            sources.insert(0, terms.host);
            sources.truncate(MIRROR_SOURCES_MAX);
        }
        // Also one that was followed before: it may be behind.
        follow(api, &name, (scope, placement), sources).await?;
        mirrors.push(name.to_string());
    }
    Ok(mirrors)
}

/// The scope of a ticket, as it is held by now.
fn joined<P: Parts>(api: &Api<P>, terms: &Terms) -> Result<ScopeState, Failure> {
    held(api, &terms.scope)?.ok_or_else(|| {
        let error = format!("{} is not held here, though it was followed", terms.name);
        Failure::not_found(error, Some("`kedge mirror` shows what is followed"))
    })
}

/// Waits a while for the block that holds the seat.
async fn seated<P: Parts>(api: &Api<P>, terms: &Terms) -> Result<bool, Failure> {
    let end = Instant::now() + SEAT_PATIENCE;
    loop {
        if has_seat(&joined(api, terms)?, terms) {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        sleep_until(Instant::now() + LOOK_EVERY).await;
    }
}

/// What a seat that was accepted still needs.
fn awaits(state: &ScopeState, terms: &Terms) -> String {
    let rule = state.descriptor.policy.rule(Class::Governance);
    let mut parts = Vec::new();
    if rule.requirement == Requirement::Approvals {
        let weight = state.descriptor.weight_needed(Class::Governance);
        parts.push(format!("approvals of anchors that weigh {weight} together"));
    }
    if rule.delay_secs > 0 {
        parts.push(format!("{} s after them", rule.delay_secs));
    }
    if parts.is_empty() {
        parts.push("the next block".to_owned());
    }
    format!("{}, until {}", parts.join(", "), terms.not_after)
}
