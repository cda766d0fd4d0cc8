//! `kedge move`: entries that move between scopes of several nodes.

use hyper::Method;
use serde::Serialize;

use crate::adapters::http::wire_moves::{BringBody, MoveView, RefuseBody};

use super::args_peer::MoveCommand;
use super::connect::{Place, segment};
use super::exit::Failure;
use super::output::show;

pub(super) fn run(place: &Place, what: MoveCommand) -> Result<(), Failure> {
    match what {
        MoveCommand::List => {
            let views: Vec<MoveView> =
                place.with_client(|client| async move { Ok(client.get("/moves").await?) })?;
            show(place.json, &views, |views| {
                views.iter().flat_map(move_lines).collect()
            })
        }
        MoveCommand::Admit { id } => decide(place, (&id, "admit"), &()),
        MoveCommand::Refuse { id, reason } => {
            decide(place, (&id, "refuse"), &RefuseBody { reason })
        }
        MoveCommand::Bring { name, why } => {
            let path = format!("/names/{}/bring", segment(&name));
            post(place, &path, &BringBody { note: why.note })
        }
        MoveCommand::Cancel { id } => decide(place, (&id, "cancel"), &()),
    }
}

fn decide<B: Serialize>(place: &Place, (id, word): (&str, &str), body: &B) -> Result<(), Failure> {
    post(place, &format!("/moves/{}/{word}", segment(id)), body)
}

fn post<B: Serialize>(place: &Place, path: &str, body: &B) -> Result<(), Failure> {
    let view: MoveView = place
        .with_client(|client| async move { Ok(client.send(Method::POST, path, body).await?) })?;
    show(place.json, &view, move_lines)
}

fn move_lines(view: &MoveView) -> Vec<String> {
    let id: String = view.id.chars().take(16).collect();
    let mut lines = vec![format!(
        "{id} {} {}: {} -> {}",
        view.side, view.stage, view.from, view.to
    )];
    if !view.said.is_empty() {
        lines.push(format!("  {}", view.said));
    }
    lines.push(format!(
        "  entry {}, asked for by key {}",
        view.uid, view.author
    ));
    if let Some(peer) = &view.peer {
        lines.push(format!("  the other node: {peer}"));
    }
    if !view.note.is_empty() {
        lines.push(format!("  note: {}", view.note));
    }
    lines.push(format!(
        "  since {}, asked for until {}",
        view.changed, view.not_after
    ));
    lines
}
