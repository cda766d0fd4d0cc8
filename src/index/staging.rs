//! Staging: a proposal tried on a copy of the state, before anything is in force. What a block
//! decides and what people are shown before they approve comes from here alone.

use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::approval::{Count, count};
use crate::governance::block::{Decided, Fate};
use crate::governance::descriptor::Descriptor;
use crate::governance::op::Op;
use crate::governance::policy::Requirement;

use super::admission::{Candidate, acceptable, authorised, decision, require, undecided};
use super::ballot::Ballot;
use super::changeset::{ChangeSet, Stage};
use super::impact::Impact;
use super::refusal::Refusal;
use super::state::{ScopeNo, ScopeState, Usage};
use super::transition::{Occasion, Transition, TransitionError};
use super::view::IndexView;

/// A proposal as it stands: what it would change and what it still lacks.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What it would change.
    pub impact: Impact,
    /// The votes that count now.
    pub count: Count,
    /// The weight of approvals that decides; none if the author's word is enough.
    pub needed: Option<u64>,
    /// Why it is not decided yet; none if it can be now.
    pub lacks: Option<Refusal>,
}

/// Stages a candidate for the block at `height` and `time`. The stage holds all writes of it.
pub(super) fn stage_one<V: IndexView>(
    base: &Stage<'_, V>,
    scope: ScopeNo,
    (height, time): (u64, Timestamp),
    candidate: &Candidate,
) -> Result<(ChangeSet, Decided), TransitionError<V::Error>> {
    let state = state_for(base, scope, candidate)?;
    let proposal = candidate.proposal.object();
    acceptable(&state, proposal, time)?;
    undecided(base, &state, &candidate.proposal)?;
    let mut stage = Stage::new(base);
    let usage = authorised(&state, proposal, time);
    let decided = if let Some(decided) = ended(&state, candidate, time)? {
        // What came to nothing was proposed all the same. An author who may no longer propose
        // neither keeps it from ending nor has a quota to use up.
        if let Ok(usage) = usage {
            stage.put_scope(ScopeState {
                usage,
                ..state.clone()
            });
        }
        decided
    } else {
        apply(&mut stage, &state, candidate, time, usage?)?;
        let Weighed { needed, count, .. } = weigh(base, &state, stage.changes(), candidate, time)?;
        if let Some(refusal) = lacks(&state, candidate, &count, needed, time) {
            return Err(refusal.into());
        }
        Decided {
            proposal: candidate.proposal.signed().clone(),
            fate: Fate::Passed,
            approvals: count.counted,
            seats: candidate.seats.clone(),
        }
    };
    keep_ballot(&mut stage, &state, height, candidate, &decided)?;
    stage.put_decided(decision(scope, &candidate.proposal), height);
    Ok((stage.into_changes(), decided))
}

/// Shows what a candidate would change if it were decided now, and what it lacks.
///
/// # Errors
/// If it cannot be in force whoever approves: the refusal says why.
pub fn preview<V: IndexView>(
    view: &V,
    scope: ScopeNo,
    candidate: &Candidate,
    now: Timestamp,
) -> Result<Preview, TransitionError<V::Error>> {
    let base = Stage::new(view);
    let state = state_for(&base, scope, candidate)?;
    let time = state.next_time(now);
    acceptable(&state, candidate.proposal.object(), time)?;
    let usage = authorised(&state, candidate.proposal.object(), time)?;
    undecided(&base, &state, &candidate.proposal)?;
    let mut stage = Stage::new(&base);
    apply(&mut stage, &state, candidate, time, usage)?;
    let Weighed {
        needed,
        count,
        impact,
    } = weigh(&base, &state, stage.changes(), candidate, time)?;
    let lacks = lacks(&state, candidate, &count, needed, time);
    let impact = match impact {
        Some(impact) => impact,
        None => {
            Impact::between(&base, scope, &stage.into_changes()).map_err(TransitionError::View)?
        }
    };
    Ok(Preview {
        impact,
        count,
        needed,
        lacks,
    })
}

fn state_for<V: IndexView>(
    base: &Stage<'_, V>,
    scope: ScopeNo,
    candidate: &Candidate,
) -> Result<ScopeState, TransitionError<V::Error>> {
    let uid = candidate.proposal.object().scope;
    base.scope(scope)
        .map_err(TransitionError::View)?
        .filter(|state| state.uid == uid)
        .ok_or_else(|| Refusal::UnknownScope(uid).into())
}

/// A withdrawn or rejected candidate as the block records it. Neither needs what the proposal
/// demands of the state.
fn ended(
    state: &ScopeState,
    candidate: &Candidate,
    time: Timestamp,
) -> Result<Option<Decided>, Refusal> {
    let proposal = candidate.proposal.object();
    let decided = |fate, approvals| Decided {
        proposal: candidate.proposal.signed().clone(),
        fate,
        approvals,
        seats: Vec::new(),
    };
    if let Some(signed) = &candidate.withdrawal {
        let withdrawal = signed.unverified();
        let about = (withdrawal.scope, withdrawal.proposal);
        if withdrawal.author != proposal.author || about != (state.uid, candidate.proposal.digest())
        {
            return Err(Refusal::NotAuthor);
        }
        if signed.clone().verify().is_err() {
            return Err(Refusal::Signature("withdrawal"));
        }
        return Ok(Some(decided(Fate::Withdrawn(signed.clone()), Vec::new())));
    }
    let descriptor = &state.descriptor;
    if descriptor.policy.rule(proposal.class).requirement == Requirement::Author {
        return Ok(None);
    }
    let count = count(
        descriptor,
        &candidate.motion(),
        None,
        time,
        &candidate.approvals,
    );
    let left = descriptor.anchors.total_weight() - count.no_weight();
    let rejected = left < descriptor.weight_needed(proposal.class);
    Ok(rejected.then(|| decided(Fate::Rejected, count.counted)))
}

fn apply<V: IndexView>(
    stage: &mut Stage<'_, Stage<'_, V>>,
    state: &ScopeState,
    candidate: &Candidate,
    time: Timestamp,
    usage: Vec<Usage>,
) -> Result<(), TransitionError<V::Error>> {
    let proposal = candidate.proposal.object();
    for precondition in &proposal.preconditions {
        require(stage, state, precondition)?;
    }
    let occasion = Occasion {
        scope: state.no,
        proposal: candidate.proposal.digest(),
        time,
    };
    let state = ScopeState {
        usage,
        ..state.clone()
    };
    let mut transition = Transition::begin(stage, occasion, state);
    for op in &proposal.ops {
        transition.apply(op)?;
    }
    transition.finish();
    Ok(())
}

/// What approvals weigh up: the weight needed and the impact they must name.
struct Weighed {
    needed: Option<u64>,
    count: Count,
    impact: Option<Impact>,
}

fn weigh<V: IndexView>(
    base: &Stage<'_, V>,
    state: &ScopeState,
    changes: &ChangeSet,
    candidate: &Candidate,
    time: Timestamp,
) -> Result<Weighed, TransitionError<V::Error>> {
    let class = candidate.proposal.object().class;
    let descriptor = &state.descriptor;
    if descriptor.policy.rule(class).requirement == Requirement::Author {
        return Ok(Weighed {
            needed: None,
            count: Count::default(),
            impact: None,
        });
    }
    let impact = Impact::between(base, state.no, changes).map_err(TransitionError::View)?;
    let motion = candidate.motion();
    let digest = impact.digest();
    Ok(Weighed {
        needed: Some(descriptor.weight_needed(class)),
        count: count(
            descriptor,
            &motion,
            Some(&digest),
            time,
            &candidate.approvals,
        ),
        impact: Some(impact),
    })
}

/// What a candidate that could be in force still waits for.
fn lacks(
    state: &ScopeState,
    candidate: &Candidate,
    count: &Count,
    needed: Option<u64>,
    time: Timestamp,
) -> Option<Refusal> {
    let proposal = candidate.proposal.object();
    if let Some(needed) = needed {
        let weight = count.yes_weight();
        let Some(reached) = count.reached(needed) else {
            return Some(Refusal::Approvals { weight, needed });
        };
        let delay_secs = state.descriptor.policy.rule(proposal.class).delay_secs;
        let until = reached
            .max(proposal.made)
            .plus_millis(u64::from(delay_secs) * 1_000);
        if delay_secs > 0 && until > time {
            return Some(Refusal::Delayed { until });
        }
    }
    let next = proposal.ops.iter().find_map(|op| match op {
        Op::Reconfigure { next } => Some(next),
        _ => None,
    })?;
    (!seats_taken(&state.descriptor, next, candidate, count)).then_some(Refusal::Seats)
}

/// Whether the anchors of the next epoch take their seats: each new key by its signature, and
/// together with those that approved a quorum of the new weights, so that a typing error cannot
/// leave a scope without a voice.
fn seats_taken(now: &Descriptor, next: &Descriptor, candidate: &Candidate, count: &Count) -> bool {
    let Some(accepted) = next.accepted(&candidate.seats) else {
        return false;
    };
    let takes = |id: &AnchorId| accepted.contains(id);
    let stays = |id: &AnchorId| {
        let key = |of: &Descriptor| of.anchors.get(id).map(|anchor| anchor.vote_key);
        key(now) == key(next)
    };
    let approved = |id: &AnchorId| stays(id) && count.yes.iter().any(|(yes, ..)| yes == id);
    let anchors = next.anchors.anchors().iter();
    let held = anchors.clone().filter(|a| takes(&a.id) || approved(&a.id));
    let weight: u64 = held.map(|anchor| u64::from(anchor.weight)).sum();
    let mut new = anchors.filter(|anchor| !stays(&anchor.id));
    new.all(|anchor| takes(&anchor.id)) && weight >= next.quorum_weight()
}

/// Opens the ballot of a proposal that was voted on, so that late votes find it.
fn keep_ballot<V: IndexView>(
    stage: &mut Stage<'_, Stage<'_, V>>,
    state: &ScopeState,
    height: u64,
    candidate: &Candidate,
    decided: &Decided,
) -> Result<(), TransitionError<V::Error>> {
    let class = candidate.proposal.object().class;
    let voted = state.descriptor.policy.rule(class).requirement == Requirement::Approvals;
    if !voted || matches!(decided.fate, Fate::Withdrawn(_)) {
        return Ok(());
    }
    let anchors = &state.descriptor.anchors;
    let mut ballot = Ballot {
        height,
        passed: decided.fate == Fate::Passed,
        eligible: anchors.anchors().iter().map(|anchor| anchor.id).collect(),
        votes: Vec::new(),
    };
    let mut after = stage
        .scope(state.no)
        .map_err(TransitionError::View)?
        .unwrap_or_else(|| state.clone());
    for signed in &decided.approvals {
        let vote = signed.unverified();
        if let Some((_, anchor)) = anchors.seat_of(&vote.anchor) {
            ballot.record(anchor.id, vote, &mut after.ledger)?;
        }
    }
    stage.put_scope(after);
    stage.put_ballot(decision(state.no, &candidate.proposal), Some(ballot));
    Ok(())
}
