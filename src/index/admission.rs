//! Whether a proposal may be decided now: author, class, approvals, preconditions.

use crate::base::signed::{Signed, Verified};
use crate::governance::approval::{Approval, counted};
use crate::governance::op::Precondition;
use crate::governance::policy::Requirement;
use crate::governance::proposal::Proposal;

use super::entry::Entry;
use super::refusal::Refusal;
use super::state::{ScopeNo, ScopeState};
use super::transition::TransitionError;
use super::view::{Decision, IndexView};

/// A proposal whose signature holds, with the approvals it came with.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The proposal.
    pub proposal: Verified<Proposal>,
    /// Approvals, not yet checked.
    pub approvals: Vec<Signed<Approval>>,
}

/// Checks a candidate for the block at `height` against a view. Gives the approvals that decide it;
/// none where the author's signature is enough. The block keeps these and no others.
pub fn admit<V: IndexView>(
    view: &V,
    state: &ScopeState,
    height: u64,
    candidate: &Candidate,
) -> Result<Vec<Signed<Approval>>, TransitionError<V::Error>> {
    let proposal = candidate.proposal.object();
    let descriptor = &state.descriptor;
    if proposal.ops.is_empty() {
        return Err(Refusal::NoChange.into());
    }
    let is = Proposal::class_of(&proposal.ops);
    if proposal.class != is {
        return Err(Refusal::Class {
            said: proposal.class,
            is,
        }
        .into());
    }
    if !descriptor.may_author(&proposal.author, is) {
        return Err(Refusal::Author {
            author: proposal.author.short(),
            class: is,
        }
        .into());
    }
    if height > proposal.not_after_height {
        return Err(Refusal::Expired {
            not_after: proposal.not_after_height,
            height,
        }
        .into());
    }
    let digest = candidate.proposal.digest();
    let before = view.decided(&decision(state.no, &candidate.proposal));
    if let Some(height) = before.map_err(TransitionError::View)? {
        return Err(Refusal::Repeated { height }.into());
    }
    let mut approvals = Vec::new();
    if descriptor.policy.requirement(is) == Requirement::Approvals {
        let (counted, weight) = counted(descriptor, &digest, height, &candidate.approvals);
        let needed = descriptor.quorum_weight();
        if weight < needed {
            return Err(Refusal::Approvals { weight, needed }.into());
        }
        approvals = counted;
    }
    for precondition in &proposal.preconditions {
        require(view, state, precondition)?;
    }
    Ok(approvals)
}

/// What keeps a proposal from being decided twice.
pub fn decision(scope: ScopeNo, proposal: &Verified<Proposal>) -> Decision {
    Decision {
        scope,
        not_after_height: proposal.object().not_after_height,
        proposal: proposal.digest(),
    }
}

fn require<V: IndexView>(
    view: &V,
    state: &ScopeState,
    precondition: &Precondition,
) -> Result<(), TransitionError<V::Error>> {
    match precondition {
        Precondition::Absent(path) => {
            let slot = view.slot(state.no, path).map_err(TransitionError::View)?;
            if slot.is_some_and(|slot| slot.is_live()) {
                return Err(Refusal::Taken(path.clone()).into());
            }
        }
        Precondition::VersionIs(uid, expected) => {
            let location = view.locate(uid).map_err(TransitionError::View)?;
            let slot = match location.filter(|location| location.scope == state.no) {
                Some(location) => view
                    .slot(state.no, &location.path)
                    .map_err(TransitionError::View)?,
                None => None,
            };
            match slot.and_then(|slot| slot.entry) {
                Some(Entry::Bound(version)) if version.uid == *uid => {
                    if version.number != *expected {
                        let is = version.number;
                        return Err(Refusal::Stale {
                            uid: *uid,
                            expected: *expected,
                            is,
                        }
                        .into());
                    }
                }
                _ => return Err(Refusal::NotHere(*uid).into()),
            }
        }
        Precondition::EpochIs(expected) => {
            let is = state.descriptor.epoch;
            if is != *expected {
                return Err(Refusal::Epoch {
                    expected: *expected,
                    is,
                }
                .into());
            }
        }
    }
    Ok(())
}
