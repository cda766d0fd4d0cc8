//! `kedge scope invite` and `kedge join`.

use std::io::Read as _;

use hyper::Method;

use crate::adapters::http::wire_peers::{
    InviteBody, JoinBody, JoinView, SeatKeyBody, SeatKeyView, TicketView,
};
use crate::base::limits::TICKET_TEXT_BYTES_MAX;

use super::args_peer::{InviteArgs, JoinArgs};
use super::connect::{Place, segment};
use super::exit::Failure;
use super::governance::seconds;
use super::local::usage;
use super::output::{complain, show};

pub(super) fn invite(place: &Place, args: InviteArgs) -> Result<(), Failure> {
    let lifetime = args.ttl.as_deref().map(|text| {
        let hint = Some("seconds, or a number with s, m, h or d, such as 1h");
        seconds(text).ok_or_else(|| usage(format!("--ttl {text:?}: expected a time"), hint))
    });
    let body = InviteBody {
        node: args.node,
        weight: args.weight,
        region: args.region,
        organisation: args.organisation,
        lifetime: lifetime.transpose()?,
        at: args.at,
        note: args.why.note,
    };
    let path = format!("/scopes/{}/invitations", segment(&args.name));
    let view: TicketView = place
        .with_client(|client| async move { Ok(client.send(Method::POST, &path, &body).await?) })?;
    if !place.json {
        let id: String = view.proposal.chars().take(16).collect();
        complain(&format!(
            "kedge: proposal {id} waits until {}: {}",
            view.not_after, view.lacks
        ));
    }
    show(place.json, &view, |view| vec![view.ticket.clone()])
}

pub(super) fn join(place: &Place, args: JoinArgs) -> Result<(), Failure> {
    if let Some(scope) = args.prepare {
        let body = SeatKeyBody { scope };
        let view: SeatKeyView = place.with_client(|client| async move {
            Ok(client.send(Method::POST, "/seat-keys", &body).await?)
        })?;
        return show(place.json, &view, |view| vec![view.word.clone()]);
    }
    let Some(ticket) = args.ticket else {
        let hint = Some("`kedge scope invite` on the other node prints it; - reads standard input");
        return Err(usage("a ticket, or --prepare SCOPE, is missing", hint));
    };
    let body = JoinBody {
        ticket: whole(ticket)?,
    };
    let view: JoinView = place.with_client(|client| async move {
        Ok(client.send(Method::POST, "/joins", &body).await?)
    })?;
    show(place.json, &view, join_lines)
}

/// The ticket of a command line, or that of standard input.
fn whole(ticket: String) -> Result<String, Failure> {
    if ticket != "-" {
        return Ok(ticket);
    }
    let mut text = String::new();
    // The prefix and a line end on top; what is longer does not decode.
    let most = u64::try_from(TICKET_TEXT_BYTES_MAX).unwrap_or(u64::MAX) + 64;
    let read = std::io::stdin().take(most).read_to_string(&mut text);
    read.map_err(|error| usage(format!("standard input: {error}"), None))?;
    Ok(text)
}

fn join_lines(view: &JoinView) -> Vec<String> {
    let mut lines: Vec<String> = view
        .mirrors
        .iter()
        .map(|scope| format!("{scope} is followed at {}", view.from))
        .collect();
    lines.push(match &view.awaits {
        None => format!(
            "{} has an anchor here, of weight {}: key {}",
            view.scope, view.weight, view.key
        ),
        Some(awaits) => {
            let id: String = view.proposal.chars().take(16).collect();
            format!(
                "the seat in {} is accepted; proposal {id} awaits {awaits}",
                view.scope
            )
        }
    });
    lines
}
