//! `kedge propose`, `pending`, `approve`, `reject` and `withdraw`.

use std::io::Read as _;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use hyper::Method;
use serde::Deserialize;

use crate::adapters::clock::SystemClock;
use crate::adapters::http::wire::DoneView;
use crate::adapters::http::wire_proposals::{
    ChangeBody, DraftBody, DraftView, ImpactView, SignedBody, VoteBody, VoteView, WaitingView,
};
use crate::base::canonical::{Canonical, Decoder, Encoder, Form as _};
use crate::base::keys::Signer;
use crate::base::signed::Signed;
use crate::governance::approval::Approval;
use crate::governance::op::Op;
use crate::governance::proposal::Proposal;
use crate::governance::withdrawal::Withdrawal;
use crate::index::impact::Impact;
use crate::service::ports::Clock as _;

use super::args_governance::{ProposeArgs, VoteArgs, WithdrawArgs};
use super::connect::{Place, segment};
use super::exit::{Code, Failure};
use super::key::{not_signed, read_key};
use super::local::usage;
use super::name::{change, done_line};
use super::output::show;
use super::scope::crash_only;

/// Changes in one file; a proposal holds fewer.
const DRAFT_BYTES_MAX: u64 = 64 << 20;
/// Digits of a whole digest.
const ID_DIGITS: usize = 64;

/// A file of changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    #[serde(default)]
    change: Vec<ChangeBody>,
}

pub(super) fn propose(place: &Place, args: ProposeArgs) -> Result<(), Failure> {
    let changes = read_changes(&args.file)?;
    let key = args.by.signer()?;
    let body = DraftBody {
        scope: args.scope,
        changes,
        author: key.as_ref().map(|key| key.public().to_string()),
        note: args.why.note,
    };
    if args.dry_run {
        let draft: DraftView = place.with_client(|client| async move {
            Ok(client.send(Method::POST, "/drafts", &body).await?)
        })?;
        return show(place.json, &draft.impact, impact_lines);
    }
    let Some(key) = key else {
        return change(place, Method::POST, "/proposals".to_owned(), body);
    };
    let done: DoneView = place.with_client(|client| async move {
        let draft: DraftView = client.send(Method::POST, "/drafts", &body).await?;
        let bytes = draft.proposal.unwrap_or_default();
        let proposal = Proposal::from_bytes(&decode64(&bytes)?).map_err(|error| strange(&error))?;
        if proposal.author != key.public() {
            return Err(strange(&"it drafted for another key"));
        }
        let signed = Signed::new(proposal, &key).map_err(|error| not_signed(&error))?;
        let reply = client.send_bytes("/proposals/signed", encoded(&signed));
        Ok(reply.await?)
    })?;
    show(place.json, &done, |done| vec![done_line(done)])
}

fn read_changes(file: &Path) -> Result<Vec<ChangeBody>, Failure> {
    let shown = file.display();
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .take(DRAFT_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .and_then(|open| open.take(DRAFT_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| usage(format!("{shown}: {error}"), None))?;
    let hint = "write [[change]] tables: change = \"put\", name, type, data; or remove, tag, retire, rename";
    let draft: Draft =
        toml::from_str(&text).map_err(|error| usage(format!("{shown}: {error}"), Some(hint)))?;
    if draft.change.is_empty() {
        return Err(usage(format!("{shown} holds no change"), Some(hint)));
    }
    Ok(draft.change)
}

pub(super) fn pending(place: &Place, id: Option<&str>) -> Result<(), Failure> {
    let Some(id) = id else {
        let waiting: Vec<WaitingView> =
            place.with_client(|client| async move { Ok(client.get("/proposals").await?) })?;
        return show(place.json, &waiting, |waiting| {
            waiting.iter().map(waiting_line).collect()
        });
    };
    let waiting = fetch(place, id)?;
    show(place.json, &waiting, |waiting| {
        let mut lines = vec![waiting_line(waiting)];
        lines.push(format!(
            "  made {}, expires {}",
            waiting.made, waiting.not_after
        ));
        lines.push(format!("  by {}", waiting.author));
        if !waiting.note.is_empty() {
            lines.push(format!("  note: {}", waiting.note));
        }
        lines.extend(waiting.changes.iter().map(|change| format!("  {change}")));
        let hidden = waiting.change_count.saturating_sub(waiting.changes.len());
        if hidden > 0 {
            lines.push(format!("  and {hidden} more changes"));
        }
        lines.extend(waiting.impact.iter().flat_map(impact_lines));
        lines.extend(
            waiting
                .votes
                .iter()
                .map(|vote| format!("  {}", vote_line(vote))),
        );
        lines
    })
}

/// The digits of a proposal that callers of some scopes only have to give whole, completed from
/// what such a caller is shown.
fn whole_id(place: &Place, id: &str) -> Result<String, Failure> {
    if place.remote.is_none() || id.len() >= ID_DIGITS {
        return Ok(id.to_owned());
    }
    let waiting: Vec<WaitingView> =
        place.with_client(|client| async move { Ok(client.get("/proposals").await?) })?;
    let digits = id.to_ascii_lowercase();
    let mut meant = waiting
        .into_iter()
        .map(|waiting| waiting.id)
        .filter(|id| id.starts_with(&digits));
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            let error = format!("several waiting proposals begin with {id}");
            Err(usage(error, Some("give more digits")))
        }
        // Why there is none is the node's to say.
        (None, _) => Ok(id.to_owned()),
    }
}

fn fetch(place: &Place, id: &str) -> Result<WaitingView, Failure> {
    let path = format!("/proposals/{}", segment(&whole_id(place, id)?));
    place.with_client(|client| async move { Ok(client.get(&path).await?) })
}

fn waiting_line(waiting: &WaitingView) -> String {
    let id: String = waiting.id.chars().take(16).collect();
    format!(
        "{id} {} {} in scope {}{}: {}",
        waiting.class,
        if waiting.change_count == 1 {
            waiting.changes.first().cloned().unwrap_or_default()
        } else {
            format!("{} changes", waiting.change_count)
        },
        waiting.scope,
        crash_only(&waiting.quorum),
        waiting.lacks
    )
}

fn impact_lines(impact: &ImpactView) -> Vec<String> {
    let mut lines = vec![format!(
        "  impact {}: {} name(s) answer differently, {} entries changed, {} new, {} delegation(s)",
        impact.digest.chars().take(16).collect::<String>(),
        impact.name_count,
        impact.entries,
        impact.registered,
        impact.delegations
    )];
    lines.extend(impact.names.iter().map(|name| format!("    {name}")));
    lines.extend(impact.tags.iter().map(|tag| format!("    tag {tag}")));
    let hidden = impact.name_count.saturating_sub(impact.names.len());
    if hidden > 0 {
        lines.push(format!("    and {hidden} more names"));
    }
    if impact.kept_secs > 0 {
        let secs = impact.kept_secs;
        lines.push(format!(
            "    resolvers may keep what was answered before for {secs} s"
        ));
    }
    lines.extend(
        impact
            .widened
            .iter()
            .map(|what| format!("    more may: {what}")),
    );
    lines.extend(
        impact
            .narrowed
            .iter()
            .map(|what| format!("    fewer may: {what}")),
    );
    lines
}

pub(super) fn vote_line(vote: &VoteView) -> String {
    let key: String = vote.key.chars().take(16).collect();
    let said = if vote.yes { "approved" } else { "rejected" };
    let reason = if vote.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", vote.reason)
    };
    format!("{said} by {key} at {}{reason}", vote.time)
}

pub(super) fn vote(place: &Place, yes: bool, args: VoteArgs) -> Result<(), Failure> {
    if let Some(key) = args.by.signer()? {
        return vote_with(place, &args.id, yes, key.as_ref(), args.reason);
    }
    let verb = if yes { "approve" } else { "reject" };
    let path = format!("/proposals/{}/{verb}", segment(&whole_id(place, &args.id)?));
    let body = VoteBody {
        anchors: args.anchor,
        reason: args.reason,
    };
    change(place, Method::POST, path, body)
}

/// Votes with a key that the node does not hold. What is signed is computed here, from the bytes
/// of the proposal and of the impact.
fn vote_with(
    place: &Place,
    id: &str,
    yes: bool,
    key: &dyn Signer,
    reason: String,
) -> Result<(), Failure> {
    let waiting = fetch(place, id)?;
    let signed = proposal_of(&waiting)?;
    let proposal = signed.unverified();
    let impact = match waiting
        .impact
        .as_ref()
        .and_then(|impact| impact.bytes.as_ref())
    {
        Some(bytes) => {
            let impact = Impact::from_bytes(&decode64(bytes)?);
            Some(impact.map_err(|error| strange(&error))?.digest())
        }
        None => None,
    };
    if yes && impact.is_none() {
        let error = format!("there is no impact to approve: {}", waiting.lacks);
        return Err(Failure::new(Code::Refused, error, None));
    }
    let approval = Approval {
        scope: proposal.scope,
        proposal: signed.digest(),
        not_after: proposal.not_after,
        impact: impact.unwrap_or(crate::base::digest::Digest::ZERO),
        yes,
        time: SystemClock.now(),
        reason,
        anchor: key.public(),
    };
    let signed = Signed::new(approval, key).map_err(|error| not_signed(&error))?;
    change(place, Method::POST, "/votes".to_owned(), body(&signed))
}

pub(super) fn withdraw(place: &Place, args: WithdrawArgs) -> Result<(), Failure> {
    let Some(key) = args.by.signer()? else {
        let path = format!(
            "/proposals/{}/withdraw",
            segment(&whole_id(place, &args.id)?)
        );
        let body = VoteBody {
            anchors: Vec::new(),
            reason: args.reason,
        };
        return change(place, Method::POST, path, body);
    };
    let signed = proposal_of(&fetch(place, &args.id)?)?;
    let withdrawal = Withdrawal {
        scope: signed.unverified().scope,
        proposal: signed.digest(),
        reason: args.reason,
        author: key.public(),
    };
    let signed = Signed::new(withdrawal, &key).map_err(|error| not_signed(&error))?;
    change(
        place,
        Method::POST,
        "/withdrawals".to_owned(),
        body(&signed),
    )
}

/// Accepts the seat that a waiting proposal gives to a key.
pub(super) fn accept(
    place: &Place,
    id: &str,
    (file, passphrase): (&Path, Option<&Path>),
) -> Result<(), Failure> {
    let key = read_key(file, passphrase)?;
    let waiting = fetch(place, id)?;
    let signed = proposal_of(&waiting)?;
    let next = signed.unverified().ops.iter().find_map(|op| match op {
        Op::Reconfigure { next } => Some(next),
        _ => None,
    });
    let seats = next.map_or(Ok(Vec::new()), |next| next.accept_seats([&key]));
    let seats = seats.map_err(|error| not_signed(&error))?;
    let Some(seat) = seats.first() else {
        let error = "the proposal gives no seat to this key";
        return Err(Failure::new(Code::Refused, error, None));
    };
    let path = format!("/proposals/{}/seats", segment(&waiting.id));
    change(place, Method::POST, path, body(seat))
}

fn proposal_of(waiting: &WaitingView) -> Result<Signed<Proposal>, Failure> {
    let bytes = decode64(&waiting.signed)?;
    let mut input = Decoder::new(&bytes);
    let signed = Signed::<Proposal>::decode(&mut input)
        .and_then(|signed| input.finish().map(|()| signed))
        .map_err(|error| strange(&error))?;
    // The node is not asked to be believed about what it shows.
    signed.clone().verify().map_err(|error| strange(&error))?;
    Ok(signed)
}

fn decode64(text: &str) -> Result<Vec<u8>, Failure> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|error| strange(&error))
}

fn encoded<T: Canonical>(value: &T) -> Vec<u8> {
    let mut out = Encoder::new();
    value.encode(&mut out);
    out.into_bytes()
}

pub(super) fn body<T: Canonical>(value: &T) -> SignedBody {
    SignedBody {
        signed: BASE64URL_NOPAD.encode(&encoded(value)),
    }
}

pub(super) fn strange(error: &dyn std::fmt::Display) -> Failure {
    let error = format!("the node's reply does not make sense: {error}");
    Failure::new(Code::Failed, error, Some("do not sign what it shows"))
}
