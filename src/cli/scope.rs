//! `kedge scope` and `kedge log`.

use hyper::Method;

use crate::adapters::http::ClientError;
use crate::adapters::http::wire::{BlockView, NewScopeBody, OfferBody, OfferView, ScopeView};

use super::args::{LogArgs, ScopeCommand};
use super::connect::{Place, segment};
use super::exit::Failure;
use super::governance::{anchor_line, grant_line, policy, policy_text};
use super::join;
use super::lineage;
use super::name::{change, history};
use super::output::show;
use super::propose::vote_line;
use super::recovery;

pub(super) fn run(place: &Place, what: ScopeCommand) -> Result<(), Failure> {
    match what {
        ScopeCommand::New {
            name,
            apex,
            region,
            offer,
            why,
        } => {
            let body = NewScopeBody {
                name,
                apex,
                region,
                offer,
                note: why.note,
            };
            change(place, Method::POST, "/scopes".to_owned(), body)
        }
        ScopeCommand::Offer {
            name,
            parent,
            region,
        } => {
            let body = OfferBody {
                name,
                parent,
                region,
            };
            let view: OfferView = place.with_client(|client| async move {
                Ok(client.send(Method::POST, "/offers", &body).await?)
            })?;
            show(place.json, &view, |view| vec![view.offer.clone()])
        }
        ScopeCommand::Invite(args) => join::invite(place, args),
        ScopeCommand::List => {
            let scopes: Vec<ScopeView> =
                place.with_client(|client| async move { Ok(client.get("/scopes").await?) })?;
            show(place.json, &scopes, |scopes| {
                scopes.iter().map(scope_line).collect()
            })
        }
        ScopeCommand::Show { name } => {
            let scope = fetch(place, &name)?;
            show(place.json, &scope, scope_lines)
        }
        ScopeCommand::Policy(args) => policy(place, args),
        ScopeCommand::Recovery { what } => recovery::run(place, what),
        ScopeCommand::Export { name, file, tree } => lineage::export(place, &name, &file, tree),
        ScopeCommand::Import { file, name, apex } => lineage::import(place, &file, &name, apex),
    }
}

pub(super) fn fetch(place: &Place, name: &str) -> Result<ScopeView, Failure> {
    let path = format!("/scopes/{}", segment(name));
    place.with_client(|client| async move { Ok(client.get(&path).await?) })
}

fn scope_line(scope: &ScopeView) -> String {
    format!(
        "{}  epoch {}  height {}  {} entries  {} anchor(s){}  uid {}",
        scope.name,
        scope.epoch,
        scope.height,
        scope.entries,
        scope.anchors.len(),
        crash_only(&scope.quorum),
        scope.uid
    )
}

/// What is added where a scope is named and its quorum is the weak one.
pub(super) fn crash_only(quorum: &str) -> String {
    if quorum.contains("crash-only") {
        format!(", {quorum}")
    } else {
        String::new()
    }
}

/// The weight that decides, and the rule behind it.
pub(super) fn quorum_line(scope: &ScopeView) -> String {
    format!(
        "decides with weight {} ({})",
        scope.quorum_weight, scope.quorum
    )
}

fn scope_lines(scope: &ScopeView) -> Vec<String> {
    let mut lines = vec![
        scope.name.clone(),
        format!("  uid {}", scope.uid),
        format!(
            "  epoch {}, height {} of {}",
            scope.epoch, scope.height, scope.time
        ),
        format!("  head {}", scope.head),
        format!("  state root {}", scope.state_root),
        format!("  {} live entries", scope.entries),
        format!("  {}", quorum_line(scope)),
    ];
    lines.extend(
        scope
            .anchors
            .iter()
            .map(|anchor| format!("  {}", anchor_line(anchor))),
    );
    lines.extend(scope.freshness.iter().map(|fresh| {
        let state = fresh
            .state
            .as_deref()
            .unwrap_or("governed with other nodes");
        format!("  {state}: {}", fresh.said)
    }));
    let aside = scope.quarantine.iter();
    lines.extend(aside.map(|why| format!("  decided by this node no more: {why}")));
    let doubted = scope.doubted.iter();
    lines.extend(doubted.map(|why| format!("  {why}")));
    lines.extend(
        scope
            .grants
            .iter()
            .map(|grant| format!("  {}", grant_line(grant))),
    );
    lines.extend(
        policy_text(&scope.policy)
            .lines()
            .map(|line| format!("  {line}")),
    );
    lines
}

/// A scope's lineage, or else the history of the entry at a name.
pub(super) fn log(place: &Place, args: &LogArgs) -> Result<(), Failure> {
    let path = format!("/scopes/{}/log?limit={}", segment(&args.name), args.limit);
    let blocks = place.with_client(|client| async move {
        match client.get::<Vec<BlockView>>(&path).await {
            Ok(blocks) => Ok(Some(blocks)),
            Err(ClientError::Node { status: 404, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })?;
    match blocks {
        Some(blocks) => show(place.json, &blocks, |blocks| {
            blocks.iter().flat_map(block_lines).collect()
        }),
        None => history(place, &args.name, Some(args.limit)),
    }
}

fn block_lines(block: &BlockView) -> Vec<String> {
    let digest: String = block.block.chars().take(16).collect();
    let by = if block.recovered {
        "recovered by the scope above".to_owned()
    } else {
        format!("{} signature(s)", block.signatures)
    };
    let mut lines = vec![format!(
        "{} height {} block {digest} {} ({by}, epoch {})",
        block.scope, block.height, block.time, block.epoch
    )];
    for proposal in &block.proposals {
        let id: String = proposal.id.chars().take(16).collect();
        let author: String = proposal.author.chars().take(16).collect();
        let note = if proposal.note.is_empty() {
            String::new()
        } else {
            format!(", note: {}", proposal.note)
        };
        lines.push(format!(
            "  {} proposal {id} by {author} {}{note}",
            proposal.class, proposal.fate
        ));
        lines.extend(
            proposal
                .votes
                .iter()
                .map(|vote| format!("    {}", vote_line(vote))),
        );
        lines.extend(
            proposal
                .reason
                .iter()
                .filter(|reason| !reason.is_empty())
                .map(|reason| format!("    reason: {reason}")),
        );
        lines.extend(
            proposal
                .changes
                .iter()
                .map(|change| format!("    {change}")),
        );
        let hidden = proposal.change_count.saturating_sub(proposal.changes.len());
        if hidden > 0 {
            lines.push(format!("    and {hidden} more"));
        }
    }
    for late in &block.late_votes {
        let id: String = late.proposal.chars().take(16).collect();
        lines.push(format!(
            "  late on proposal {id}: {}",
            vote_line(&late.vote)
        ));
    }
    lines
}
