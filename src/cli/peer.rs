//! `kedge node`, `kedge nodes` and `kedge mirror`.

use hyper::Method;

use crate::adapters::http::wire_peers::{MirrorBody, MirrorView, NodeView, PeerView};

use super::args_peer::{MirrorArgs, NodeCommand};
use super::connect::{Place, segment};
use super::exit::Failure;
use super::local::usage;
use super::output::show;

pub(super) fn node(place: &Place, what: &NodeCommand) -> Result<(), Failure> {
    match what {
        NodeCommand::Id => {
            let view: NodeView =
                place.with_client(|client| async move { Ok(client.get("/node").await?) })?;
            show(place.json, &view, |view| vec![view.word.clone()])
        }
    }
}

pub(super) fn nodes(place: &Place) -> Result<(), Failure> {
    let views: Vec<PeerView> =
        place.with_client(|client| async move { Ok(client.get("/peers").await?) })?;
    show(place.json, &views, |views| {
        views.iter().flat_map(peer_lines).collect()
    })
}

fn peer_lines(peer: &PeerView) -> Vec<String> {
    let state = match (peer.connected, peer.rtt_us) {
        (true, Some(rtt)) => format!("connected, {}.{:03} ms", rtt / 1_000, rtt % 1_000),
        (true, None) => "connected".to_owned(),
        (false, _) => "not connected".to_owned(),
    };
    let region = match peer.region.as_str() {
        "" => String::new(),
        region => format!(" in {region}"),
    };
    let by = if peer.by_ticket {
        ", known by a ticket"
    } else {
        ""
    };
    let mut lines = vec![format!("{}{region}: {state}{by}", peer.name)];
    lines.push(format!("  id {}", peer.id));
    if !peer.addresses.is_empty() {
        lines.push(format!("  dialled at {}", peer.addresses.join(", ")));
    }
    if let Some(version) = peer.version {
        lines.push(format!("  speaks version {version}, {}", peer.software));
    }
    if let Some(heard) = &peer.heard {
        lines.push(format!("  heard {heard}"));
    }
    if peer.mirrors > 0 {
        lines.push(format!(
            "  {} scope(s) followed there, {} block(s) behind",
            peer.mirrors, peer.behind
        ));
    }
    lines.push(format!(
        "  {} request(s) answered, {} turned down, {} complaint(s)",
        peer.answered, peer.refused, peer.complaints
    ));
    if let Some(error) = &peer.last_error {
        lines.push(format!("  last trouble: {error}"));
    }
    lines
}

pub(super) fn mirror(place: &Place, args: MirrorArgs) -> Result<(), Failure> {
    let Some(scope) = args.scope else {
        return list(place);
    };
    if args.stop {
        let path = format!("/mirrors/{}/stop", segment(&scope));
        let view: MirrorView = place.with_client(|client| async move {
            Ok(client.send(Method::POST, &path, &()).await?)
        })?;
        return show(place.json, &view, |view| {
            vec![format!(
                "{} is followed no longer; it stays at height {}",
                view.scope, view.height
            )]
        });
    }
    if args.from.is_empty() {
        let hint = Some("`kedge nodes` shows the peers; --stop ends it");
        return Err(usage("--from PEER says where the scope is followed", hint));
    }
    let body = MirrorBody {
        from: args.from,
        genesis: args.genesis,
    };
    let path = format!("/mirrors/{}", segment(&scope));
    let view: MirrorView = place
        .with_client(|client| async move { Ok(client.send(Method::PUT, &path, &body).await?) })?;
    show(place.json, &view, mirror_lines)
}

fn list(place: &Place) -> Result<(), Failure> {
    let views: Vec<MirrorView> =
        place.with_client(|client| async move { Ok(client.get("/mirrors").await?) })?;
    show(place.json, &views, |views| {
        views.iter().flat_map(mirror_lines).collect()
    })
}

fn mirror_lines(view: &MirrorView) -> Vec<String> {
    let block: String = view.block.chars().take(16).collect();
    let mut lines = vec![format!(
        "{} of {}: height {}, block {block}",
        view.scope,
        view.from.join(", "),
        view.height
    )];
    if let (Some(from), Some(heard)) = (&view.heard_from, &view.heard) {
        let there = view.height_there;
        lines.push(format!("  {from} has height {there}, heard {heard}"));
    }
    if let Some(fresh) = &view.freshness {
        let state = fresh.state.as_deref().unwrap_or("governed here, too");
        lines.push(format!("  {state}: {}", fresh.said));
    }
    if let Some(height) = view.forked {
        lines.push(format!("  forked at height {height} and frozen"));
    }
    if let Some(error) = &view.error {
        lines.push(format!("  last trouble: {error}"));
    }
    lines
}
