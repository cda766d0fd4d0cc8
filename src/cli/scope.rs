//! `kedge scope` and `kedge log`.

use hyper::Method;

use crate::adapters::http::ClientError;
use crate::adapters::http::wire::{
    AccessRule, BlockView, NewScopeBody, OfferBody, OfferView, Policy, PolicyBody, ScopeView,
};

use super::args::{LogArgs, PolicyArgs, ScopeCommand};
use super::connect::{Place, segment};
use super::exit::Failure;
use super::lineage;
use super::local::usage;
use super::name::{change, history};
use super::output::show;

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
        ScopeCommand::Export { name, file, tree } => lineage::export(place, &name, &file, tree),
        ScopeCommand::Import { file, name, apex } => lineage::import(place, &file, &name, apex),
    }
}

fn fetch(place: &Place, name: &str) -> Result<ScopeView, Failure> {
    let path = format!("/scopes/{}", segment(name));
    place.with_client(|client| async move { Ok(client.get(&path).await?) })
}

fn scope_line(scope: &ScopeView) -> String {
    format!(
        "{}  epoch {}  height {}  {} entries  {} anchor(s)  uid {}",
        scope.name,
        scope.epoch,
        scope.height,
        scope.entries,
        scope.anchors.len(),
        scope.uid
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
        format!(
            "  decides with weight {} ({})",
            scope.quorum_weight, scope.quorum
        ),
    ];
    for anchor in &scope.anchors {
        let region = if anchor.region.is_empty() {
            "-"
        } else {
            &anchor.region
        };
        lines.push(format!(
            "  anchor {} weight {} region {region}",
            anchor.key, anchor.weight
        ));
    }
    lines.extend(
        policy_text(&scope.policy)
            .lines()
            .map(|line| format!("  {line}")),
    );
    lines
}

/// A policy as TOML, which `--file` reads back.
fn policy_text(policy: &Policy) -> String {
    toml::to_string(policy).unwrap_or_default()
}

fn policy(place: &Place, args: PolicyArgs) -> Result<(), Failure> {
    let present = fetch(place, &args.name)?.policy;
    let mut wanted = match &args.file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| usage(format!("{}: {error}", path.display()), None))?;
            toml::from_str(&text)
                .map_err(|error| usage(format!("{}: {error}", path.display()), None))?
        }
        None => present.clone(),
    };
    wanted.ttl_min = args.ttl_min.unwrap_or(wanted.ttl_min);
    wanted.ttl_max = args.ttl_max.unwrap_or(wanted.ttl_max);
    wanted.entries_max = args.entries_max.unwrap_or(wanted.entries_max);
    if args.open {
        wanted.access.clear();
    }
    if !args.access.is_empty() {
        wanted.access = args
            .access
            .iter()
            .map(|rule| access(rule))
            .collect::<Result<_, _>>()?;
    }
    if wanted == present {
        return show(place.json, &present, |policy| {
            policy_text(policy).lines().map(ToOwned::to_owned).collect()
        });
    }
    let body = PolicyBody {
        policy: wanted,
        note: args.why.note,
    };
    change(
        place,
        Method::PUT,
        format!("/scopes/{}/policy", segment(&args.name)),
        body,
    )
}

fn access(rule: &str) -> Result<AccessRule, Failure> {
    let hint = Some("for example --access 10.0.0.0/8=allow --access ::/0=hide");
    let (source, verdict) = rule
        .split_once('=')
        .ok_or_else(|| usage(format!("{rule:?} is no access rule"), hint))?;
    Ok(AccessRule {
        source: source.to_owned(),
        verdict: verdict.to_owned(),
    })
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
    let mut lines = vec![format!(
        "{} height {} block {digest} {} ({} signature(s), epoch {})",
        block.scope, block.height, block.time, block.signatures, block.epoch
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
            "  {} proposal {id} by {author}, {} approval(s){note}",
            proposal.class, proposal.approvals
        ));
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
    lines
}
