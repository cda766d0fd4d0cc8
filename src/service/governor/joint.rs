//! What anchors on several nodes decide together: proposals that are laid before them, and the blocks
//! that are drafted and judged for a sitting. Nothing is sealed here; what a sitting decides comes back
//! as a block to be followed.

use std::cmp::Reverse;

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::descriptor::Descriptor;
use crate::index::admission::Candidate;
use crate::index::drafting::{draft, judge};
use crate::index::lineage::{Agenda, LinkError};
use crate::index::pending::{Leaning, Pending, PendingStore as _, PendingView};
use crate::index::refusal::Refusal;
use crate::index::staging::preview;
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::transition::TransitionError;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::Tender;
use crate::replication::wire::TENDER_BYTES_USUAL;
use crate::service::ports::{Clock, Store};

use super::follow::held_still;
use super::queue::{Answered, ChangeError, Done};
use super::waiting::{can_wait, verified, wait};
use super::{Writer, Writing, failure, refused};

/// Outlines read at a time.
const PAGE_ROWS: usize = 256;

impl<S: Store, C: Clock> Writer<S, C> {
    /// Whether seats here govern a scope together with others.
    pub(super) fn is_joint(&self, descriptor: &Descriptor) -> bool {
        let council = self.council.as_ref();
        council.is_some_and(|council| council.is_joint(descriptor))
    }

    /// Keeps candidates that the anchors of a joint scope may decide.
    pub(super) fn lay_before<T: Writing<S>>(
        &self,
        txn: &mut T,
        state: &ScopeState,
        candidates: &[Candidate],
        now: Timestamp,
    ) -> Result<Vec<Answered>, LinkError<S::Error>> {
        let mut answered = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            answered.push(self.lay_one(txn, state, candidate, now)?);
        }
        Ok(answered)
    }

    fn lay_one<T: Writing<S>>(
        &self,
        txn: &mut T,
        state: &ScopeState,
        candidate: &Candidate,
        now: Timestamp,
    ) -> Result<Answered, LinkError<S::Error>> {
        if candidate.withdrawal.is_some() {
            return Ok(Err(Refusal::Joint("a proposal cannot be taken back").into()));
        }
        let lacks = match preview(txn, state.no, candidate, now) {
            Ok(preview) => preview.lacks,
            Err(TransitionError::Refused(refusal)) => return Ok(Err(refusal.into())),
            Err(TransitionError::View(error)) => return Err(LinkError::Store(error)),
        };
        let lacks = match lacks {
            None => Refusal::Quorum {
                weight: self.weight_held(&state.descriptor),
                needed: state.descriptor.quorum_weight(),
            },
            Some(lacks) if can_wait(&lacks) => lacks,
            Some(refusal) => return Ok(Err(refusal.into())),
        };
        wait::<S, T>(txn, state.no, candidate, lacks, now)
    }

    fn weight_held(&self, descriptor: &Descriptor) -> u64 {
        let council = self.council.as_ref();
        council.map_or(0, |council| council.weight_held(descriptor))
    }

    /// Takes what another anchor laid before all: the proposal, if it is new, and every vote of it
    /// that is.
    pub(super) fn hear<T: Writing<S>>(
        &self,
        txn: &mut T,
        heard: &Pending,
        now: Timestamp,
    ) -> Result<Answered, LinkError<S::Error>> {
        let uid = heard.proposal.unverified().scope;
        let no = txn.scope_no(&uid).map_err(LinkError::Store)?;
        let no = no.ok_or(LinkError::UnknownScope(uid))?;
        let state = txn.scope(no).map_err(LinkError::Store)?;
        let state = state.filter(|state| self.is_joint(&state.descriptor));
        let state = state.ok_or(LinkError::UnknownScope(uid))?;
        if let Some(refusal) = held_still::<S, T>(txn, &state, self.is_joint(&state.descriptor))? {
            return Ok(Err(refusal.into()));
        }
        let candidate = verified(heard)?;
        let digest = candidate.proposal.digest();
        if txn
            .pending(no, &digest)
            .map_err(LinkError::Store)?
            .is_none()
        {
            let laid = self.lay_one(txn, &state, &candidate, now)?;
            if laid.is_err() {
                return Ok(laid);
            }
        }
        for vote in heard.approvals.iter().chain(&heard.contradictions) {
            // What is known already, or does not count, changes nothing.
            unless_refused(self.vote(txn, vote, now))?;
        }
        for seat in &heard.seats {
            unless_refused(self.seat(txn, (uid, digest), seat.clone(), now))?;
        }
        Ok(Ok(Done::Heard(uid)))
    }

    /// Drafts the next block of a joint scope from what waits in it, for an anchor to offer. What can
    /// never be decided any more is given up.
    pub(super) fn draft_joint(&self, uid: ScopeUid, anchor: AnchorId) -> Answered {
        let now = self.clock.now();
        let mut drafted = None;
        let result = self.store.write(|txn| -> Result<(), LinkError<S::Error>> {
            let no = txn.scope_no(&uid).map_err(LinkError::Store)?;
            let no = no.ok_or(LinkError::UnknownScope(uid))?;
            let candidates = agenda(txn, no, now).map_err(LinkError::Store)?;
            let proposals: Vec<Digest> = candidates
                .iter()
                .map(|candidate| candidate.proposal.digest())
                .collect();
            let agenda = Agenda {
                candidates: &candidates,
                late: &[],
            };
            let made = draft(txn, no, agenda, (anchor, now))?;
            let hopeless: Vec<Digest> = made
                .outcomes
                .iter()
                .zip(proposals)
                .filter(|(outcome, _)| outcome.as_ref().is_err_and(|refusal| !can_wait(refusal)))
                .map(|(_, digest)| digest)
                .collect();
            drafted = Some((no, made.block.map(|block| (block, made.body)), hopeless));
            // Gives the transaction up; what it made is in `drafted`.
            Err(refused(0, Refusal::NoChange))
        });
        let Some((no, block, hopeless)) = drafted else {
            return Err(result
                .err()
                .map_or(ChangeError::Stopping, |error| failure(&error)));
        };
        if !hopeless.is_empty() {
            self.give_up(no, &hopeless)?;
        }
        let tender = block.and_then(|(block, body)| Tender::new(block, body));
        Ok(Done::Drafted(tender.map(Box::new)))
    }

    fn give_up(&self, no: ScopeNo, proposals: &[Digest]) -> Result<(), ChangeError> {
        let result = self.store.write(|txn| {
            for proposal in proposals {
                tracing::info!(%proposal, "a proposal that waited contradicts what was decided");
                txn.put_pending(no, proposal, None)
                    .map_err(LinkError::Store)?;
            }
            Ok(())
        });
        result.map_err(|error| failure(&error))
    }

    /// Whether a block that an anchor offered may be decided next.
    pub(super) fn judge_joint(&self, tender: &Tender) -> Answered {
        let uid = tender.block().scope;
        let mut judged = None;
        let result = self.store.write(|txn| -> Result<(), LinkError<S::Error>> {
            let no = txn.scope_no(&uid).map_err(LinkError::Store)?;
            let no = no.ok_or(LinkError::UnknownScope(uid))?;
            judged = match judge(txn, no, tender.block(), tender.body()) {
                Ok(()) => Some(true),
                Err(LinkError::Store(error)) => return Err(LinkError::Store(error)),
                Err(error) => {
                    tracing::debug!(%error, "a block is not fit");
                    Some(false)
                }
            };
            // Gives the transaction up.
            Err(refused(0, Refusal::NoChange))
        });
        match (judged, result) {
            (Some(valid), _) => Ok(Done::Judged(valid)),
            (None, Err(error)) => Err(failure(&error)),
            (None, Ok(())) => Err(ChangeError::Stopping),
        }
    }
}

/// Gives up what waits in a joint scope and contradicts what was decided.
pub(super) fn give_up_hopeless<S: Store, T: Writing<S>>(
    txn: &mut T,
    uid: ScopeUid,
    now: Timestamp,
) -> Result<Done, LinkError<S::Error>> {
    let no = txn.scope_no(&uid).map_err(LinkError::Store)?;
    let no = no.ok_or(LinkError::UnknownScope(uid))?;
    let mut hopeless = Vec::new();
    let shown = each(txn, no, now, |found| {
        if let Found::Hopeless(proposal) = found {
            hopeless.push(proposal);
        }
    });
    shown.map_err(LinkError::Store)?;
    for proposal in &hopeless {
        tracing::info!(%proposal, "a proposal that waited contradicts what was decided");
        txn.put_pending(no, proposal, None)
            .map_err(LinkError::Store)?;
    }
    Ok(Done::Noted)
}

/// A refusal changes nothing; a failure ends the transaction.
fn unless_refused<E: std::error::Error>(
    done: Result<Answered, LinkError<E>>,
) -> Result<(), LinkError<E>> {
    match done {
        Ok(_) | Err(LinkError::Refused { .. } | LinkError::UnknownScope(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What waits in a joint scope, as far as it concerns the chair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Something could be decided now.
    pub ripe: bool,
    /// Something contradicts what was decided.
    pub hopeless: bool,
}

/// What waits in a joint scope.
pub fn look_at_waiting<V>(
    view: &V,
    no: ScopeNo,
    now: Timestamp,
) -> Result<Waiting, <V as IndexView>::Error>
where
    V: IndexView + PendingView<Failure = <V as IndexView>::Error>,
{
    let mut waiting = Waiting::default();
    each(view, no, now, |found| match found {
        Found::Ripe(_) => waiting.ripe = true,
        Found::Hopeless(_) => waiting.hopeless = true,
    })?;
    Ok(waiting)
}

/// What waits in a scope and could be decided now: governance first, then by a digest that nobody
/// chooses, as much as a block that is offered may hold.
fn agenda<V>(
    view: &V,
    no: ScopeNo,
    now: Timestamp,
) -> Result<Vec<Candidate>, <V as IndexView>::Error>
where
    V: IndexView + PendingView<Failure = <V as IndexView>::Error>,
{
    let mut ripe = Vec::new();
    each(view, no, now, |found| {
        if let Found::Ripe(candidate) = found {
            ripe.push(*candidate);
        }
    })?;
    let prev = view.scope(no)?.map_or(Digest::ZERO, |state| state.head);
    ripe.sort_by_cached_key(|candidate| {
        let digest = candidate.proposal.digest();
        let rank = [prev.as_bytes().as_slice(), digest.as_bytes()].concat();
        (
            Reverse(candidate.proposal.object().class),
            Digest::of_bytes("kedge/agenda", &rank),
        )
    });
    let mut byte_count = 0;
    let fits = |candidate: &&Candidate| {
        byte_count += candidate.proposal.signed().byte_count();
        byte_count <= TENDER_BYTES_USUAL
    };
    let count = ripe.iter().take_while(fits).count();
    // A larger one comes alone.
    ripe.truncate(count.max(1));
    Ok(ripe)
}

/// A proposal that waits for nothing but the anchors.
enum Found {
    Ripe(Box<Candidate>),
    /// It contradicts what was decided.
    Hopeless(Digest),
}

/// Shows what waits for the anchors of a scope, and not for people or time.
fn each<V>(
    view: &V,
    no: ScopeNo,
    now: Timestamp,
    mut show: impl FnMut(Found),
) -> Result<(), <V as IndexView>::Error>
where
    V: IndexView + PendingView<Failure = <V as IndexView>::Error>,
{
    let Some(state) = view.scope(no)? else {
        return Ok(());
    };
    let mut after = (no, Digest::ZERO);
    loop {
        let page = view.outlines(Some(&after), PAGE_ROWS)?;
        for ((scope, proposal), outline) in &page {
            if *scope != no {
                return Ok(());
            }
            let leaning = outline.leaning(&state.descriptor);
            if now > outline.not_after || leaning == Leaning::Open {
                continue;
            }
            let pending = view.pending(no, proposal)?;
            let Some(Ok(candidate)) = pending.map(|pending| pending.candidate()) else {
                continue;
            };
            match preview(view, no, &candidate, now) {
                _ if leaning == Leaning::Fails => show(Found::Ripe(Box::new(candidate))),
                Ok(preview) if preview.lacks.is_none() => show(Found::Ripe(Box::new(candidate))),
                Ok(_) => {}
                Err(TransitionError::Refused(refusal)) if can_wait(&refusal) => {}
                Err(TransitionError::Refused(_)) => show(Found::Hopeless(*proposal)),
                Err(TransitionError::View(error)) => return Err(error),
            }
        }
        match page.last() {
            Some((key, _)) => after = *key,
            None => return Ok(()),
        }
    }
}
