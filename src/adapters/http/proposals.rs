//! Calls about proposals that wait for approvals.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use data_encoding::BASE64URL_NOPAD;

use crate::base::canonical::{Canonical, Decoder, Encoder, Form};
use crate::base::signed::Signed;
use crate::governance::approval::Approval;
use crate::governance::policy::Class;
use crate::governance::proposal::Proposal;
use crate::governance::withdrawal::Withdrawal;
use crate::index::impact::{Answers, Impact, NameImpact, Permission, TagImpact};
use crate::index::place::scope_name;
use crate::index::staging::Preview;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::rtype::RecordType;
use crate::service::changes::{Waiting, Wanted};
use crate::service::ports::{Parts, Store};

use super::aside::{apart, apart_until};
use super::caller::Caller;
use super::government::{read_key, reform_lines};
use super::names::done;
use super::render::{CHANGES_SHOWN_MAX, bad_value, op_line, read_name, read_set};
use super::routes::{Api, Node, Reply, unreadable};
use super::status::Failure;
use super::wire;
use super::wire_proposals::{
    ChangeBody, DraftBody, DraftView, ImpactView, LateVoteView, SignedBody, VoteBody, VoteView,
    WaitingView,
};

/// Impacts whose bytes are shown so that approvers can recompute the digest.
const IMPACT_BYTES_SHOWN_MAX: usize = 1 << 20;

/// Shows what changes would do; drafts the proposal for a key that somebody else holds.
pub(super) async fn draft<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<DraftBody>,
) -> Reply<DraftView> {
    let drafted = apart(move || {
        let (scope, wanted) = read_draft(&body)?;
        let apexes = &api.resolver.setup().apexes;
        let plan = api.changes.plan(apexes, &scope, wanted)?;
        let preview = api.changes.simulate(apexes, &scope, plan.clone())?;
        let proposal = match &body.author {
            None => None,
            Some(key) => {
                let author = read_key("author", key)?;
                let proposal = api
                    .changes
                    .draft(apexes, &scope, plan, author, &body.note)?;
                Some(BASE64URL_NOPAD.encode(&proposal.to_bytes()))
            }
        };
        Ok(DraftView {
            proposal,
            impact: impact_view(&scope, &preview.impact),
        })
    });
    drafted.await.map(Json)
}

/// Proposes changes with a key of this node.
pub(super) async fn propose<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<DraftBody>,
) -> Reply<wire::DoneView> {
    let (scope, wanted) = read_draft(&body)?;
    if body.author.is_some() {
        let hint = Some("POST the same to /drafts, sign the proposal and POST it to /proposals");
        return Err(Failure::bad("another key has to sign itself", hint));
    }
    let proposed = apart_until(async move || {
        let apexes = &api.resolver.setup().apexes;
        let plan = api.changes.plan(apexes, &scope, wanted)?;
        let proposed = api
            .changes
            .propose(apexes, &scope, plan, &body.note)
            .await?;
        done(&api, &proposed)
    });
    proposed.await.map(Json)
}

/// Takes a proposal that somebody signed elsewhere; the body is canonical bytes.
pub(super) async fn submit<P: Parts>(State(api): Node<P>, body: Bytes) -> Reply<wire::DoneView> {
    let mut input = Decoder::new(&body);
    let signed = Signed::<Proposal>::decode(&mut input)
        .and_then(|signed| input.finish().map(|()| signed))
        .map_err(|error| Failure::bad(format!("the proposal does not decode: {error}"), None))?;
    let proposal = signed
        .verify()
        .map_err(|error| Failure::bad(error.to_string(), None))?;
    let submitted = api.changes.submit(proposal).await?;
    done(&api, &submitted).map(Json)
}

/// Shows those that the caller may see.
pub(super) async fn list<P: Parts>(
    State(api): Node<P>,
    Extension(caller): Extension<Caller>,
) -> Reply<Vec<WaitingView>> {
    let listed = apart(move || {
        let waiting = api.changes.waiting()?;
        let shown = waiting.iter().map(|waiting| waiting_view(&api, waiting));
        let mut shown: Vec<WaitingView> = shown.collect::<Result<_, _>>()?;
        let permission = &caller.permission;
        shown.retain(|waiting| {
            let scope = waiting.scope.parse::<Name>();
            permission.is_everywhere() || scope.is_ok_and(|scope| permission.covers(&scope))
        });
        Ok(shown)
    });
    listed.await.map(Json)
}

pub(super) async fn show<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
) -> Reply<WaitingView> {
    let found = apart(move || waiting_view(&api, &api.changes.waiting_one(&id)?));
    found.await.map(Json)
}

pub(super) async fn approve<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
    Json(body): Json<VoteBody>,
) -> Reply<wire::DoneView> {
    cast(api, id, true, body).await
}

pub(super) async fn reject<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
    Json(body): Json<VoteBody>,
) -> Reply<wire::DoneView> {
    cast(api, id, false, body).await
}

/// Votes with this node's seats: the proposal is staged, and each seat signs.
async fn cast<P: Parts>(
    api: Arc<Api<P>>,
    id: String,
    yes: bool,
    body: VoteBody,
) -> Reply<wire::DoneView> {
    let voted = apart_until(async move || {
        let vote = (yes, body.reason.as_str());
        let voted = api.changes.vote(&id, &body.anchors, vote).await?;
        done(&api, &voted)
    });
    voted.await.map(Json)
}

pub(super) async fn withdraw<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
    Json(body): Json<VoteBody>,
) -> Reply<wire::DoneView> {
    let withdrawn = api.changes.withdraw(&id, &body.reason).await?;
    done(&api, &withdrawn).map(Json)
}

/// Takes a vote that somebody signed elsewhere.
pub(super) async fn vote<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<SignedBody>,
) -> Reply<wire::DoneView> {
    let vote: Signed<Approval> = read_signed("vote", &body)?;
    let voted = api.changes.take_vote(vote).await?;
    done(&api, &voted).map(Json)
}

/// Takes a withdrawal that the author signed elsewhere.
pub(super) async fn take_back<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<SignedBody>,
) -> Reply<wire::DoneView> {
    let withdrawal: Signed<Withdrawal> = read_signed("withdrawal", &body)?;
    let withdrawn = api.changes.take_withdrawal(withdrawal).await?;
    done(&api, &withdrawn).map(Json)
}

/// Takes the signature of an anchor that accepts its seat.
pub(super) async fn seat<P: Parts>(
    State(api): Node<P>,
    Path(id): Path<String>,
    Json(body): Json<SignedBody>,
) -> Reply<wire::DoneView> {
    let seat = read_signed("seat", &body)?;
    let taken = api.changes.take_seat(&id, seat).await?;
    done(&api, &taken).map(Json)
}

pub(super) fn read_signed<T: Canonical>(what: &str, body: &SignedBody) -> Result<T, Failure> {
    let bytes = BASE64URL_NOPAD
        .decode(body.signed.as_bytes())
        .map_err(|error| bad_value(&format!("the {what} is no base64url"), &error))?;
    let mut input = Decoder::new(&bytes);
    T::decode(&mut input)
        .and_then(|signed| input.finish().map(|()| signed))
        .map_err(|error| bad_value(&format!("the {what} does not decode"), &error))
}

pub(super) fn read_draft(body: &DraftBody) -> Result<(Name, Vec<Wanted>), Failure> {
    let scope = read_name(&body.scope)?;
    let mut wanted = Vec::with_capacity(body.changes.len());
    for (index, change) in body.changes.iter().enumerate() {
        wanted.push(read_change(&scope, change).map_err(|error| error.at(index + 1))?);
    }
    Ok((scope, wanted))
}

fn read_change(scope: &Name, change: &ChangeBody) -> Result<Wanted, Failure> {
    let path = |text: &str| {
        let name = if text == "@" {
            scope.clone()
        } else if text.ends_with('.') {
            read_name(text)?
        } else {
            read_name(&format!("{text}.{scope}"))?
        };
        NamePath::between(&name, scope)
            .ok_or_else(|| Failure::bad(format!("{name} does not lie in scope {scope}"), None))
    };
    Ok(match change {
        ChangeBody::Put {
            name,
            kind,
            ttl,
            data,
        } => {
            let (_, set) = read_set(kind, *ttl, data)?;
            let hint = Some("`remove` takes a record set away");
            let set = set.ok_or_else(|| Failure::bad(format!("{name} {kind}: no data"), hint))?;
            Wanted::Put(path(name)?, set)
        }
        ChangeBody::Remove { name, kind } => {
            let kind: RecordType = kind.parse().map_err(|error| bad_value("type", &error))?;
            Wanted::Remove(path(name)?, kind)
        }
        ChangeBody::Retire { name } => Wanted::Retire(path(name)?),
        ChangeBody::Tag { name, tag, version } => {
            let tag = tag
                .parse()
                .map_err(|error| bad_value(&format!("tag {tag:?}"), &error))?;
            Wanted::Tag(path(name)?, tag, *version)
        }
        ChangeBody::Rename { name, to, subtree } => Wanted::Rename {
            from: path(name)?,
            to: path(to)?,
            subtree: *subtree,
        },
    })
}

fn waiting_view<P: Parts>(api: &Api<P>, waiting: &Waiting) -> Result<WaitingView, Failure> {
    let snapshot = api.resolver.store().latest();
    let scope = scope_name(
        snapshot.as_ref(),
        &api.resolver.setup().apexes,
        waiting.scope,
    )
    .map_err(|error| unreadable(&error))?;
    let proposal = waiting.pending.proposal.unverified();
    let mut signed = Encoder::new();
    waiting.pending.proposal.encode(&mut signed);
    let preview = waiting.preview.as_ref();
    let lacks = match preview {
        Ok(Preview { lacks: None, .. }) => "nothing: it is decided with the next vote".to_owned(),
        Ok(Preview {
            lacks: Some(lacks), ..
        }) => lacks.to_string(),
        Err(refusal) => format!("it cannot be in force as things are: {refusal}"),
    };
    let shown = scope.clone().unwrap_or_else(Name::root);
    let mut changes: Vec<String> = proposal
        .ops
        .iter()
        .take(CHANGES_SHOWN_MAX)
        .map(|op| op_line(Some(&shown), op))
        .collect();
    let state = snapshot.scope(waiting.scope);
    let state = state.map_err(|error| unreadable(&error))?;
    if let (Some(state), Some(next)) = (&state, waiting.pending.next()) {
        changes.extend(reform_lines(&state.descriptor, next));
    }
    let quorum = state.map(|state| state.descriptor.policy.quorum);
    Ok(WaitingView {
        id: waiting.id.to_string(),
        scope: scope.map_or_else(|| proposal.scope.to_string(), |name| name.to_string()),
        quorum: quorum.map_or_else(String::new, |quorum| quorum.to_string()),
        class: proposal.class.to_string(),
        author: proposal.author.to_string(),
        note: proposal.note.clone(),
        made: proposal.made.to_string(),
        not_after: proposal.not_after.to_string(),
        changes,
        change_count: proposal.ops.len(),
        weight: preview.map_or(0, |preview| preview.count.yes_weight()),
        needed: preview.ok().and_then(|preview| preview.needed),
        lacks,
        votes: waiting.pending.approvals.iter().map(vote_view).collect(),
        impact: preview
            .ok()
            .map(|preview| impact_view(&shown, &preview.impact)),
        signed: BASE64URL_NOPAD.encode(&signed.into_bytes()),
    })
}

pub(super) fn vote_view(signed: &Signed<Approval>) -> VoteView {
    let vote = signed.unverified();
    VoteView {
        key: vote.anchor.to_string(),
        yes: vote.yes,
        time: vote.time.to_string(),
        reason: vote.reason.clone(),
        impact: vote.impact.to_string(),
    }
}

pub(super) fn late_vote_view(signed: &Signed<Approval>) -> LateVoteView {
    LateVoteView {
        proposal: signed.unverified().proposal.to_string(),
        vote: vote_view(signed),
    }
}

fn impact_view(scope: &Name, impact: &Impact) -> ImpactView {
    let is_delegation = |answers: &Answers| matches!(answers, Answers::Delegated(_));
    let delegations = impact.names.iter();
    let delegations = delegations.filter(|n| is_delegation(&n.before) || is_delegation(&n.after));
    let bytes = impact.to_bytes();
    ImpactView {
        digest: impact.digest().to_string(),
        name_count: impact.names.len(),
        names: impact
            .names
            .iter()
            .take(CHANGES_SHOWN_MAX)
            .map(|name| name_line(scope, name))
            .collect(),
        tags: impact
            .tags
            .iter()
            .take(CHANGES_SHOWN_MAX)
            .map(|tag| tag_line(scope, tag))
            .collect(),
        entries: impact.entries.len(),
        registered: impact.registered,
        delegations: delegations.count(),
        kept_secs: impact.kept_secs,
        widened: impact.widened.iter().map(permission).collect(),
        narrowed: impact.narrowed.iter().map(permission).collect(),
        descriptor: impact.descriptor.map(|digest| digest.to_string()),
        bytes: (bytes.len() <= IMPACT_BYTES_SHOWN_MAX).then(|| BASE64URL_NOPAD.encode(&bytes)),
    }
}

fn name_line(scope: &Name, impact: &NameImpact) -> String {
    let name = impact.path.to_name(scope);
    let name = name.map_or_else(|_| impact.path.to_string(), |name| name.to_string());
    let (before, after) = (answers(&impact.before), answers(&impact.after));
    let wildcard = impact.path.labels().next_back().is_some_and(|l| l == b"*");
    let below = if wildcard {
        "; so do all names beside it that do not exist"
    } else {
        ""
    };
    if before == after {
        format!("{name}: other {after}{below}")
    } else {
        format!("{name}: {before} -> {after}{below}")
    }
}

fn tag_line(scope: &Name, impact: &TagImpact) -> String {
    let name = impact.path.to_name(scope);
    let name = name.map_or_else(|_| impact.path.to_string(), |name| name.to_string());
    let version = |number: u64| match number {
        0 => "no version".to_owned(),
        number => format!("version {number}"),
    };
    let (before, after) = (version(impact.before), version(impact.after));
    format!("{} of {name}: {before} -> {after}", impact.tag)
}

fn answers(answers: &Answers) -> String {
    match answers {
        Answers::Nothing => "no such name".to_owned(),
        Answers::Empty => "no records".to_owned(),
        Answers::Records { kinds, .. } if kinds.is_empty() => "no records".to_owned(),
        Answers::Records { kinds, cut_off, .. } => {
            let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
            match cut_off {
                0 => kinds.join(" "),
                count => format!("{}, cutting off {count} names below", kinds.join(" ")),
            }
        }
        Answers::Redirect { path, subtree, .. } => {
            let what = if *subtree { "subtree " } else { "" };
            format!("{what}redirect to {path}")
        }
        Answers::Delegated(child) => format!("scope {}", child.short()),
        Answers::Retired => "retired".to_owned(),
    }
}

fn permission(permission: &Permission) -> String {
    match permission {
        Permission::Vote(anchor) => format!("the vote of anchor {}", anchor.short()),
        Permission::Propose(grant) => format!("to propose, by grant {}", grant.short()),
        Permission::Decide(class) => match class {
            Class::Routine => "to decide routine changes".to_owned(),
            Class::Alias => "to decide renames".to_owned(),
            Class::Governance => "to decide over governance".to_owned(),
        },
        Permission::Ask => "to ask".to_owned(),
    }
}
