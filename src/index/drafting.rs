//! A block before it has a certificate: drafted from proposals, or judged as somebody drafted it.

use std::collections::BTreeMap;

use crate::base::canonical::Form;
use crate::base::digest::Digest;
use crate::base::limits::{CLOCK_AHEAD_MILLIS_MAX, LATE_VOTES_MAX, PROPOSALS_PER_COMMIT_MAX};
use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::block::{Block, Body, Decided, Fate};
use crate::governance::op::Op;

use super::admission::Candidate;
use super::ballot::{Taken, close_ballots, stage_late};
use super::changeset::{ChangeSet, Stage};
use super::lineage::{Agenda, LinkError, state_of};
use super::refusal::Refusal;
use super::staging::stage_one;
use super::state::{ScopeNo, ScopeState};
use super::transition::TransitionError;
use super::view::IndexTxn;

/// What a block of an agenda would be.
#[derive(Debug)]
pub struct Drafted {
    /// The block; none when everything was refused.
    pub block: Option<Block>,
    /// What it decides.
    pub body: Body,
    /// One outcome per candidate, in order. A candidate beyond the last is for the next block.
    pub outcomes: Vec<Result<(), Refusal>>,
    /// One outcome per late vote, in order.
    pub late: Vec<Result<Taken, Refusal>>,
    pub(super) scopes: Scopes,
}

/// Drafts the next block of a scope, for other anchors to vote on. The transaction holds parts of
/// it and must be given up.
pub fn draft<T: IndexTxn>(
    txn: &mut T,
    scope: ScopeNo,
    agenda: Agenda<'_>,
    (proposer, now): (AnchorId, Timestamp),
) -> Result<Drafted, LinkError<T::Error>> {
    let state = state_of(txn, scope)?;
    let time = state.next_time(now);
    draft_next(txn, &state, agenda, (proposer, time))
}

/// Whether a block that somebody drafted may be decided next, by the rules and in the order in
/// which it will be replayed. The transaction holds parts of it and must be given up.
pub fn judge<T: IndexTxn>(
    txn: &mut T,
    scope: ScopeNo,
    block: &Block,
    body: &Body,
) -> Result<(), LinkError<T::Error>> {
    let state = state_of(txn, scope)?;
    check(txn, &state, block, body).map(|_| ())
}

/// Whether a block is of a time that has not come: not wrong, but not to be voted for yet.
pub fn is_early(block: &Block, now: Timestamp) -> bool {
    block.time > now.plus_millis(CLOCK_AHEAD_MILLIS_MAX)
}

/// Drafts the block and writes what it changes, but for the scopes.
pub(super) fn draft_next<T: IndexTxn>(
    txn: &mut T,
    state: &ScopeState,
    agenda: Agenda<'_>,
    (proposer, time): (AnchorId, Timestamp),
) -> Result<Drafted, LinkError<T::Error>> {
    let Staged {
        changes,
        body,
        outcomes,
        late,
    } = stage_block(txn, state, agenda, time)?;
    let mut drafted = Drafted {
        block: None,
        scopes: Scopes::new(),
        body,
        outcomes,
        late,
    };
    if drafted.body != Body::default() {
        let (scopes, state_root) = settle(txn, state.no, changes)?;
        let packed = (proposer, time);
        drafted.block = Some(next_block(
            state,
            &scopes,
            packed,
            &drafted.body,
            state_root,
        ));
        drafted.scopes = scopes;
    }
    Ok(drafted)
}

/// Stages what a block decides, again, and compares; writes what it changes, but for the scopes.
pub(super) fn check<T: IndexTxn>(
    txn: &mut T,
    state: &ScopeState,
    block: &Block,
    body: &Body,
) -> Result<Scopes, LinkError<T::Error>> {
    let height = block.height;
    let mut candidates = Vec::with_capacity(body.decided.len());
    for decided in &body.decided {
        let proposal = decided
            .proposal
            .clone()
            .verify()
            .map_err(|_| LinkError::Signature { height })?;
        let withdrawal = match &decided.fate {
            Fate::Withdrawn(withdrawal) => Some(withdrawal.clone()),
            Fate::Passed | Fate::Rejected => None,
        };
        candidates.push(Candidate {
            proposal,
            approvals: decided.approvals.clone(),
            seats: decided.seats.clone(),
            withdrawal,
        });
    }
    let agenda = Agenda {
        candidates: &candidates,
        late: &body.late,
    };
    let Staged {
        changes,
        body: staged,
        outcomes,
        late,
    } = stage_block(txn, state, agenda, block.time)?;
    let refused = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
    let refused = refused.or_else(|| late.iter().find_map(|outcome| outcome.as_ref().err()));
    if let Some(refusal) = refused {
        return Err(LinkError::Refused {
            height,
            refusal: refusal.clone(),
        });
    }
    if staged != *body {
        return Err(LinkError::Header {
            height,
            field: "body",
        });
    }
    let (scopes, state_root) = settle(txn, state.no, changes)?;
    let packed = (block.proposer, block.time);
    let expected = next_block(state, &scopes, packed, body, state_root);
    check_header(block, &expected, state)?;
    Ok(scopes)
}

/// A block's writes and body, and what became of each part of the agenda.
struct Staged {
    changes: ChangeSet,
    body: Body,
    outcomes: Vec<Result<(), Refusal>>,
    late: Vec<Result<Taken, Refusal>>,
}

/// Stages candidates one over the other; a refused one leaves no trace.
fn stage_block<T: IndexTxn>(
    txn: &T,
    state: &ScopeState,
    agenda: Agenda<'_>,
    time: Timestamp,
) -> Result<Staged, LinkError<T::Error>> {
    let height = state.height + 1;
    let mut stage = Stage::new(txn);
    let mut body = Body::default();
    close_ballots(&mut stage, state, time).map_err(LinkError::Store)?;
    let mut late = Vec::with_capacity(agenda.late.len());
    for vote in agenda.late.iter().take(LATE_VOTES_MAX) {
        match stage_late(&mut stage, state.no, vote, time) {
            Ok(taken) => {
                body.late.push(vote.clone());
                late.push(Ok(taken));
            }
            Err(TransitionError::Refused(refusal)) => late.push(Err(refusal)),
            Err(TransitionError::View(error)) => return Err(LinkError::Store(error)),
        }
    }
    let mut outcomes = Vec::with_capacity(agenda.candidates.len());
    for candidate in agenda.candidates.iter().take(PROPOSALS_PER_COMMIT_MAX) {
        match stage_one(&stage, state.no, (height, time), candidate) {
            Ok((changes, decided)) => {
                stage.merge(changes);
                body.decided.push(decided);
                outcomes.push(Ok(()));
            }
            Err(TransitionError::Refused(refusal)) => outcomes.push(Err(refusal)),
            Err(TransitionError::View(error)) => return Err(LinkError::Store(error)),
        }
        // A new epoch begins with the next block; nothing may follow it in this one.
        let last = body
            .decided
            .last()
            .filter(|_| matches!(outcomes.last(), Some(Ok(()))));
        if last.is_some_and(begins_epoch) {
            break;
        }
    }
    Ok(Staged {
        changes: stage.into_changes(),
        body,
        outcomes,
        late,
    })
}

fn begins_epoch(decided: &Decided) -> bool {
    let ops = &decided.proposal.unverified().ops;
    decided.fate == Fate::Passed && ops.iter().any(|op| matches!(op, Op::Reconfigure { .. }))
}

/// The scopes that a block changes, as they will be.
pub(super) type Scopes = BTreeMap<ScopeNo, ScopeState>;

/// Writes what is staged but for the scopes, whose heads are not known yet; gives these back with
/// the state root.
pub(super) fn settle<T: IndexTxn>(
    txn: &mut T,
    scope: ScopeNo,
    mut changes: ChangeSet,
) -> Result<(Scopes, Digest), LinkError<T::Error>> {
    let scopes = std::mem::take(&mut changes.scopes);
    let root = txn.settle(scope, scopes.get(&scope), &changes);
    Ok((scopes, root.map_err(LinkError::Store)?))
}

pub(super) fn next_block(
    state: &ScopeState,
    scopes: &Scopes,
    (proposer, time): (AnchorId, Timestamp),
    body: &Body,
    state_root: Digest,
) -> Block {
    let next_descriptor = scopes
        .get(&state.no)
        .map_or(state.descriptor_digest, |changed| changed.descriptor_digest);
    Block {
        scope: state.uid,
        epoch: state.descriptor.epoch,
        height: state.height + 1,
        prev: state.head,
        descriptor: state.descriptor_digest,
        next_descriptor,
        prev_epoch_block: state.last_epoch_block,
        time,
        proposer,
        body_root: Digest::of_bytes(Body::LABEL, &body.to_bytes()),
        state_root,
    }
}

fn check_header<E: std::error::Error>(
    block: &Block,
    expected: &Block,
    state: &ScopeState,
) -> Result<(), LinkError<E>> {
    let field = if block.scope != expected.scope {
        "scope"
    } else if block.height != expected.height {
        "height"
    } else if block.prev != expected.prev {
        "predecessor"
    } else if block.epoch != expected.epoch || block.descriptor != expected.descriptor {
        "descriptor"
    } else if block.time <= state.head_time {
        "time"
    } else if block.body_root != expected.body_root {
        "body root"
    } else if block.state_root != expected.state_root {
        "state root"
    } else if block != expected {
        "epoch link"
    } else if state.descriptor.anchors.get(&block.proposer).is_none() {
        "proposer"
    } else {
        return Ok(());
    };
    Err(LinkError::Header {
        height: block.height,
        field,
    })
}
