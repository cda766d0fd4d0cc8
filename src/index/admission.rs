//! Whether a proposal may be decided now: who made it, when, how often; and what must still hold.

use crate::base::limits::CLOCK_AHEAD_MILLIS_MAX;
use crate::base::signed::{Signed, Verified};
use crate::base::time::Timestamp;
use crate::governance::anchor::SeatSignature;
use crate::governance::approval::{Approval, Motion};
use crate::governance::grant::Grant;
use crate::governance::op::{Op, Precondition};
use crate::governance::policy::Class;
use crate::governance::proposal::Proposal;
use crate::governance::withdrawal::Withdrawal;

use super::entry::Entry;
use super::refusal::Refusal;
use super::state::{ScopeNo, ScopeState, Usage};
use super::transition::TransitionError;
use super::view::{Decision, IndexView};

const DAY_SECS: u64 = 86_400;

/// A proposal whose signature holds, with what came to it since it was made.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The proposal.
    pub proposal: Verified<Proposal>,
    /// Approvals and objections, not yet checked.
    pub approvals: Vec<Signed<Approval>>,
    /// Signatures that accept seats, not yet checked.
    pub seats: Vec<SeatSignature>,
    /// The author's word that it shall not be decided, not yet checked.
    pub withdrawal: Option<Signed<Withdrawal>>,
}

impl Candidate {
    /// A proposal to which nothing came yet.
    pub const fn new(proposal: Verified<Proposal>) -> Self {
        Self {
            proposal,
            approvals: Vec::new(),
            seats: Vec::new(),
            withdrawal: None,
        }
    }

    /// What its approvals must be about.
    pub fn motion(&self) -> Motion {
        let proposal = self.proposal.object();
        Motion {
            scope: proposal.scope,
            proposal: self.proposal.digest(),
            not_after: proposal.not_after,
        }
    }
}

/// Checks what depends neither on the entries nor on the author: class and times.
pub fn acceptable(state: &ScopeState, proposal: &Proposal, time: Timestamp) -> Result<(), Refusal> {
    if proposal.ops.is_empty() {
        return Err(Refusal::NoChange);
    }
    let is = Proposal::class_of(&proposal.ops);
    if proposal.class != is {
        let said = proposal.class;
        return Err(Refusal::Class { said, is });
    }
    let reconfigures = |op: &&Op| matches!(op, Op::Reconfigure { .. });
    if proposal.ops.iter().filter(reconfigures).count() > 1 {
        let error = "one proposal changes it once";
        return Err(Refusal::Descriptor(error));
    }
    let mut children = Vec::new();
    for op in &proposal.ops {
        if let Op::Delegate { child, .. } = op {
            let uid = child.scope_uid();
            if children.contains(&uid) {
                return Err(Refusal::Descriptor("one proposal delegates a scope once"));
            }
            children.push(uid);
        }
    }
    in_time(state, proposal, is, time)
}

fn in_time(
    state: &ScopeState,
    proposal: &Proposal,
    class: Class,
    time: Timestamp,
) -> Result<(), Refusal> {
    let (made, not_after) = (proposal.made, proposal.not_after);
    if time > not_after {
        return Err(Refusal::Expired { not_after, time });
    }
    if made > time.plus_millis(CLOCK_AHEAD_MILLIS_MAX) {
        return Err(Refusal::Clock { made, time });
    }
    let max = state.descriptor.policy.rule(class).expiry_secs;
    let lifetime_millis = not_after.millis_since(made);
    if lifetime_millis > u64::from(max) * 1_000 {
        let secs = lifetime_millis / 1_000;
        return Err(Refusal::Lifetime { secs, max });
    }
    Ok(())
}

/// Checks that the author may make these changes, and how often. Gives what of its grants is used
/// up then.
pub fn authorised(
    state: &ScopeState,
    proposal: &Proposal,
    time: Timestamp,
) -> Result<Vec<Usage>, Refusal> {
    let (descriptor, class) = (&state.descriptor, proposal.class);
    let mut usage = state.usage.clone();
    if let Some((_, anchor)) = descriptor.anchors.seat_of(&proposal.author) {
        let trust = state.tally(&anchor.id).trust();
        let floor = descriptor.policy.trust_floor;
        // Alone, an anchor has nobody to earn trust from. Governance stays open to all anchors, or
        // nobody could lower a floor that is above everybody.
        let bound = class != Class::Governance && descriptor.anchors.anchors().len() > 1;
        if bound && trust < floor {
            return Err(Refusal::Trust { trust, floor });
        }
        return Ok(usage);
    }
    let day = u32::try_from(time.as_secs() / DAY_SECS).unwrap_or(u32::MAX);
    usage.resize(descriptor.grants.len(), Usage::default());
    let own = |grant: &&Grant| grant.key == proposal.author;
    let first = descriptor.grants.iter().position(|grant| own(&grant));
    for op in &proposal.ops {
        let covering = descriptor.grants.iter().filter(own);
        let quotas = covering.filter(|grant| grant.covers(op)).map(Grant::quota);
        let used = first.and_then(|first| usage.get_mut(first));
        let (Some(max), Some(used)) = (quotas.max(), used) else {
            return Err(Refusal::Author {
                author: proposal.author.short(),
                class,
            });
        };
        // A second grant is no second quota: what a key did under any of them counts.
        used.spend(day, max)?;
    }
    Ok(usage)
}

impl Usage {
    fn spend(&mut self, day: u32, max: u32) -> Result<(), Refusal> {
        if self.day != day {
            *self = Self { day, changes: 0 };
        }
        if self.changes >= max {
            let used = self.changes;
            return Err(Refusal::Quota { used, max });
        }
        self.changes += 1;
        Ok(())
    }
}

/// What keys did, beside the first of their grants of a new epoch: another epoch gives no quota back.
pub(super) fn carried(state: &ScopeState, grants: &[Grant]) -> Vec<Usage> {
    let mut carried = vec![Usage::default(); grants.len()];
    let used = state.descriptor.grants.iter().zip(&state.usage);
    for (before, used) in used.filter(|(_, used)| used.changes > 0) {
        let first = grants.iter().position(|grant| grant.key == before.key);
        if let Some(slot) = first.and_then(|first| carried.get_mut(first)) {
            *slot = *used;
        }
    }
    carried
}

/// Refuses a proposal that was decided before.
pub fn undecided<V: IndexView>(
    view: &V,
    state: &ScopeState,
    proposal: &Verified<Proposal>,
) -> Result<(), TransitionError<V::Error>> {
    match view.decided(&decision(state.no, proposal)) {
        Ok(None) => Ok(()),
        Ok(Some(height)) => Err(Refusal::Repeated { height }.into()),
        Err(error) => Err(TransitionError::View(error)),
    }
}

/// What keeps a proposal from being decided twice.
pub fn decision(scope: ScopeNo, proposal: &Verified<Proposal>) -> Decision {
    Decision {
        scope,
        not_after: proposal.object().not_after,
        proposal: proposal.digest(),
    }
}

/// Checks one precondition.
pub fn require<V: IndexView>(
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
