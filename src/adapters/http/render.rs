//! From values of the core to bodies of the API, and back.

use crate::base::signed::Signed;
use crate::base::time::Ttl;
use crate::governance::block::Fate;
use crate::governance::op::Op;
use crate::index::entry::{Change, Entry, Slot, Version};
use crate::index::history::link_of;
use crate::index::place::{Apex, absolute, scope_name};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::{IndexView, Link};
use crate::namespace::alias;
use crate::namespace::name::Name;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::{Record, RecordSet};
use crate::namespace::rtype::RecordType;
use crate::namespace::version_name::{Tagged, Which};

use super::government;
use super::proposals;
use super::status::Failure;
use super::wire;

/// Changes of one proposal that are listed; an import has thousands.
pub(super) const CHANGES_SHOWN_MAX: usize = 20;

pub(super) fn set(set: &RecordSet) -> wire::Set {
    wire::Set {
        kind: set.kind().to_string(),
        ttl: set.ttl().as_secs(),
        data: set
            .records()
            .iter()
            .map(|rdata| rdata.to_text(set.kind()))
            .collect(),
    }
}

pub(super) fn sets(sets: &[RecordSet]) -> Vec<wire::Set> {
    sets.iter().map(set).collect()
}

fn tags(tags: &[Tagged]) -> Vec<wire::TagView> {
    let view = |tagged: &Tagged| wire::TagView {
        tag: tagged.tag.to_string(),
        version: tagged.number,
    };
    tags.iter().map(view).collect()
}

/// A record as a zone file line.
pub(super) fn record(record: &Record) -> String {
    let Record {
        owner,
        kind,
        ttl,
        rdata,
    } = record;
    format!("{owner} {ttl} IN {kind} {}", rdata.to_text(*kind))
}

/// Record data of a type, relative names completed by the root.
pub(super) fn read_set(
    kind: &str,
    ttl: u32,
    data: &[String],
) -> Result<(RecordType, Option<RecordSet>), Failure> {
    let kind: RecordType = kind.parse().map_err(|error| bad_value("type", &error))?;
    if data.is_empty() {
        return Ok((kind, None));
    }
    let mut records = Vec::with_capacity(data.len());
    for text in data {
        let rdata = Rdata::parse(kind, text, &Name::root())
            .map_err(|error| bad_value(&format!("{kind} data {text:?}"), &error))?;
        records.push(rdata);
    }
    if ttl > Ttl::MAX.as_secs() {
        return Err(bad_value("TTL", &format!("{ttl} is above {}", Ttl::MAX)));
    }
    let set = RecordSet::new(kind, Ttl::from_secs(ttl), records)
        .map_err(|error| bad_value("records", &error))?;
    Ok((kind, Some(set)))
}

pub(super) fn read_name(text: &str) -> Result<Name, Failure> {
    alias::parse_either(text).map_err(|error| bad_name(text, &error))
}

/// Which version is meant: a number, also with a v before it, or a tag.
pub(super) fn read_which(text: &str) -> Result<Which, Failure> {
    text.parse()
        .map_err(|error| bad_value(&format!("version {text:?}"), &error))
}

pub(super) fn bad_name(text: &str, error: &alias::BadAlias) -> Failure {
    let hint = "write a DNS name such as api.eu.mesh.internal, or an alias such as \
                internal@mesh.eu/api";
    Failure::bad(format!("{text:?}: {error}"), Some(hint))
}

pub(super) fn bad_value(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::bad(format!("{what}: {error}"), None)
}

pub(super) fn name_view<V: IndexView>(
    view: &V,
    apexes: &[Apex],
    (name, scope): (&Name, &Name),
    slot: &Slot,
) -> Result<wire::NameView, V::Error> {
    let mut shown = wire::NameView {
        name: name.to_string(),
        alias: alias::of_name(name),
        scope: scope.to_string(),
        state: "empty".into(),
        uid: None,
        version: None,
        time: None,
        sets: Vec::new(),
        tags: Vec::new(),
        to: None,
        below: slot.below,
        at: None,
    };
    let state = match &slot.entry {
        None => return Ok(shown),
        Some(Entry::Bound(head)) => {
            shown.uid = Some(head.uid.to_string());
            shown.version = Some(head.number);
            shown.time = Some(head.time.to_string());
            shown.sets = sets(&head.sets);
            shown.tags = tags(&head.tags);
            "bound"
        }
        Some(Entry::Moved(redirect)) => {
            shown.uid = redirect.uid.map(|uid| uid.to_string());
            if let Some(no) = view.scope_no(&redirect.scope)? {
                let to = absolute(view, apexes, no, &redirect.path)?;
                shown.to = to.map(|to| to.to_string());
            }
            "moved"
        }
        Some(Entry::Delegated(child)) => {
            shown.uid = Some(child.to_string());
            "delegated"
        }
        Some(Entry::Retired { .. }) => "retired",
        Some(Entry::Reserved { uid, .. }) => {
            shown.uid = Some(uid.to_string());
            "reserved"
        }
    };
    state.clone_into(&mut shown.state);
    Ok(shown)
}

pub(super) fn version_view<V: IndexView>(
    view: &V,
    apexes: &[Apex],
    version: &Version,
) -> Result<wire::VersionView, V::Error> {
    let no = view.scope_no(&version.scope)?;
    let (name, scope) = match no {
        Some(no) => (
            absolute(view, apexes, no, &version.path)?,
            scope_name(view, apexes, no)?,
        ),
        None => (None, None),
    };
    let change = match &version.change {
        Change::Registered => "registered".to_owned(),
        Change::Updated => "updated".to_owned(),
        Change::Tagged => "tagged".to_owned(),
        Change::Renamed { from } => format!("renamed from {from}"),
        Change::Moved { from } => format!("moved from scope {}", from.short()),
        Change::Retired => "retired".to_owned(),
    };
    let link = link_of(view, version)?;
    let proposal = link.as_ref().and_then(|link| {
        let mut proposals = link.body.decided.iter().map(|decided| &decided.proposal);
        let made = proposals.find(|proposal| proposal.digest() == version.proposal);
        made.map(Signed::unverified)
    });
    Ok(wire::VersionView {
        version: version.number,
        change,
        time: version.time.to_string(),
        name: name.map_or_else(|| version.path.to_string(), |name| name.to_string()),
        scope: scope.map_or_else(|| version.scope.to_string(), |name| name.to_string()),
        height: link.as_ref().map(|link| link.block.height),
        proposal: version.proposal.to_string(),
        author: proposal.map(|proposal| proposal.author.to_string()),
        note: proposal.map(|proposal| proposal.note.clone()),
        digest: version.digest().to_string(),
        sets: sets(&version.sets),
        tags: tags(&version.tags),
    })
}

pub(super) fn scope_view(name: Option<&Name>, state: &ScopeState) -> wire::ScopeView {
    let descriptor = &state.descriptor;
    wire::ScopeView {
        name: name.map_or_else(|| "(unnamed)".to_owned(), ToString::to_string),
        uid: state.uid.to_string(),
        epoch: descriptor.epoch,
        height: state.height,
        head: state.head.to_string(),
        time: state.head_time.to_string(),
        descriptor: state.descriptor_digest.to_string(),
        state_root: state.state_root.to_string(),
        entries: state.live,
        anchors: descriptor
            .anchors
            .anchors()
            .iter()
            .map(|anchor| wire::AnchorView {
                id: anchor.id.to_string(),
                key: anchor.vote_key.to_string(),
                weight: anchor.weight,
                region: anchor.region.clone(),
                organisation: anchor.organisation.clone(),
                trust: state.tally(&anchor.id).trust(),
            })
            .collect(),
        quorum_weight: descriptor.quorum_weight(),
        quorum: descriptor.policy.quorum.to_string(),
        policy: government::policy_view(&descriptor.policy),
        grants: descriptor
            .grants
            .iter()
            .map(government::grant_view)
            .collect(),
        quarantine: None,
        doubted: None,
        freshness: None,
    }
}

/// A change as verb and name.
pub(super) fn op_line(scope: Option<&Name>, op: &Op) -> String {
    let name = op
        .path()
        .zip(scope)
        .and_then(|(path, top)| path.to_name(top).ok());
    let line = name.map_or_else(
        || op.verb().to_owned(),
        |name| format!("{} {name}", op.verb()),
    );
    match op {
        Op::Recover { offer, .. } => {
            let keys = offer.next().anchors.anchors().iter();
            let keys: Vec<String> = keys.map(|anchor| anchor.vote_key.short()).collect();
            let due = offer.block().time;
            format!("{line} by {} from {due} on", keys.join(", "))
        }
        _ => line,
    }
}

pub(super) fn block_view<V: IndexView>(
    view: &V,
    apexes: &[Apex],
    no: ScopeNo,
    link: &Link,
) -> Result<wire::BlockView, V::Error> {
    let scope = scope_name(view, apexes, no)?;
    let decided = link.body.decided.iter().map(|decided| {
        let proposal = decided.proposal.unverified();
        wire::ProposalView {
            id: crate::base::digest::Digest::of(proposal).to_string(),
            class: proposal.class.to_string(),
            author: proposal.author.to_string(),
            note: proposal.note.clone(),
            changes: proposal
                .ops
                .iter()
                .take(CHANGES_SHOWN_MAX)
                .map(|op| op_line(scope.as_ref(), op))
                .collect(),
            change_count: proposal.ops.len(),
            fate: match &decided.fate {
                Fate::Passed => "passed".to_owned(),
                Fate::Rejected => "rejected".to_owned(),
                Fate::Withdrawn(_) => "withdrawn".to_owned(),
            },
            reason: match &decided.fate {
                Fate::Withdrawn(withdrawal) => Some(withdrawal.unverified().reason.clone()),
                Fate::Passed | Fate::Rejected => None,
            },
            votes: decided.approvals.iter().map(proposals::vote_view).collect(),
        }
    });
    Ok(wire::BlockView {
        recovered: link.body.recovered.is_some(),
        scope: scope
            .as_ref()
            .map_or_else(|| link.block.scope.to_string(), ToString::to_string),
        height: link.block.height,
        block: link.block.digest().to_string(),
        prev: link.block.prev.to_string(),
        time: link.block.time.to_string(),
        epoch: link.block.epoch,
        state_root: link.block.state_root.to_string(),
        signatures: link.certificate.signatures.len(),
        proposals: decided.collect(),
        late_votes: link
            .body
            .late
            .iter()
            .map(proposals::late_vote_view)
            .collect(),
    })
}
