//! Proposals that wait: for approvals, for seats to be accepted, for a delay to be over.

use crate::base::digest::Digest;
use crate::base::limits::{PENDING_BYTES_MAX, PENDING_PER_AUTHOR_MAX, PENDING_PER_SCOPE_MAX};
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::governance::anchor::SeatSignature;
use crate::governance::approval::Approval;
use crate::index::admission::Candidate;
use crate::index::ballot::Taken;
use crate::index::lineage::{Agenda, LinkError, seal};
use crate::index::pending::{Leaning, Outline, Pending, PendingView};
use crate::index::refusal::Refusal;
use crate::index::staging::preview;
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::transition::TransitionError;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{Clock, Store};

use super::follow::held_still;
use super::queue::{Answered, ChangeError, Done, Tending};
use super::{Writer, Writing, committed, number_of, refused};

/// Outlines read at a time.
const PAGE_ROWS: usize = 256;

/// Whether time or other people can still help a proposal that is refused now.
pub(super) const fn can_wait(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Approvals { .. } | Refusal::Delayed { .. } | Refusal::Seats
    )
}

/// Keeps a candidate until it can be decided; within the limits of its scope and author.
pub(super) fn wait<S: Store, T: Writing<S>>(
    txn: &mut T,
    no: ScopeNo,
    candidate: &Candidate,
    lacks: Refusal,
    now: Timestamp,
) -> Result<Answered, LinkError<S::Error>> {
    let proposal = candidate.proposal.digest();
    let present = txn.pending(no, &proposal).map_err(LinkError::Store)?;
    if present.is_none() {
        if let Some(full) = no_room::<S, T>(txn, no, candidate)? {
            return Ok(Err(full.into()));
        }
        let pending = Pending::new(candidate, now);
        txn.put_pending(no, &proposal, Some(&pending))
            .map_err(LinkError::Store)?;
    }
    Ok(Ok(Done::Waits {
        scope: no,
        proposal,
        lacks,
    }))
}

impl<S: Store, C: Clock> Writer<S, C> {
    /// Does what came for a waiting proposal, and decides it if it can be now.
    pub(super) fn tend<T: Writing<S>>(
        &self,
        txn: &mut T,
        tending: Tending,
        now: Timestamp,
    ) -> Result<Answered, LinkError<S::Error>> {
        match tending {
            Tending::Vote(vote) => self.vote(txn, &vote, now),
            Tending::Seat {
                scope,
                proposal,
                seat,
            } => self.seat(txn, (scope, proposal), seat, now),
            Tending::Withdraw(withdrawal) => {
                let about = withdrawal.unverified();
                let (no, pending) = waiting::<S, T>(txn, about.scope, &about.proposal)?;
                let mut candidate = verified(&pending)?;
                candidate.withdrawal = Some(withdrawal);
                self.one(txn, no, candidate, now).map(Ok)
            }
        }
    }

    pub(super) fn seat<T: Writing<S>>(
        &self,
        txn: &mut T,
        (scope, proposal): (ScopeUid, Digest),
        seat: SeatSignature,
        now: Timestamp,
    ) -> Result<Answered, LinkError<S::Error>> {
        let (no, mut pending) = waiting::<S, T>(txn, scope, &proposal)?;
        pending.seat(seat).map_err(|refusal| refused(0, refusal))?;
        self.settle(txn, no, &proposal, &pending, now)
    }

    pub(super) fn vote<T: Writing<S>>(
        &self,
        txn: &mut T,
        signed: &Signed<Approval>,
        now: Timestamp,
    ) -> Result<Answered, LinkError<S::Error>> {
        let vote = signed.unverified();
        let no = number_of(txn, &vote.scope)?;
        let pending = txn.pending(no, &vote.proposal).map_err(LinkError::Store)?;
        let Some(mut pending) = pending else {
            return self.record(txn, no, std::slice::from_ref(signed), now);
        };
        let candidate = verified(&pending)?;
        let impact = match preview(txn, no, &candidate, now) {
            Ok(preview) => Some(preview.impact.digest()),
            Err(TransitionError::View(error)) => return Err(LinkError::Store(error)),
            // It cannot be in force as things are; objections are welcome all the same.
            Err(TransitionError::Refused(refusal)) if vote.yes => {
                return Err(refused(0, refusal));
            }
            Err(TransitionError::Refused(_)) => None,
        };
        let state = txn.scope(no).map_err(LinkError::Store)?;
        let state = state.ok_or(LinkError::UnknownScope(vote.scope))?;
        let time = state.next_time(now);
        let taken = pending
            .take(&state.descriptor, impact.as_ref(), time, signed)
            .map_err(|refusal| refused(0, refusal))?;
        match taken {
            Taken::Counts => self.settle(txn, no, &vote.proposal, &pending, now),
            Taken::Evidence(anchor) => {
                txn.put_pending(no, &vote.proposal, Some(&pending))
                    .map_err(LinkError::Store)?;
                Ok(Err(Refusal::Contradiction(anchor).into()))
            }
        }
    }

    /// Keeps what came for a waiting proposal and decides it if it can be now.
    fn settle<T: Writing<S>>(
        &self,
        txn: &mut T,
        no: ScopeNo,
        proposal: &Digest,
        pending: &Pending,
        now: Timestamp,
    ) -> Result<Answered, LinkError<S::Error>> {
        txn.put_pending(no, proposal, Some(pending))
            .map_err(LinkError::Store)?;
        let candidate = verified(pending)?;
        let done = match self.seal_all(txn, no, &[candidate], now)?.pop() {
            Some(Err(ChangeError::Refused(lacks))) => Ok(Done::Waits {
                scope: no,
                proposal: *proposal,
                lacks,
            }),
            Some(answered) => answered,
            None => Err(ChangeError::Stopping),
        };
        if matches!(done, Ok(Done::Decided { .. })) && !pending.contradictions.is_empty() {
            // The ballot is open now: the evidence can be recorded.
            drop(self.record(txn, no, &pending.contradictions, now)?);
        }
        Ok(done)
    }

    /// Records votes on proposals that were decided before.
    fn record<T: Writing<S>>(
        &self,
        txn: &mut T,
        no: ScopeNo,
        late: &[Signed<Approval>],
        now: Timestamp,
    ) -> Result<Answered, LinkError<S::Error>> {
        let state = txn.scope(no).map_err(LinkError::Store)?;
        let Some(state) = state else {
            return Ok(Err(Refusal::NoProposal.into()));
        };
        let is_joint = self.is_joint(&state);
        if let Some(refusal) = held_still::<S, T>(txn, &state, is_joint)? {
            return Ok(Err(refusal.into()));
        }
        if is_joint {
            return Ok(Err(Refusal::Joint("late votes are not recorded").into()));
        }
        let keys = self.keyring.seats(&state.descriptor);
        let candidates = &[];
        let sealed = seal(txn, no, Agenda { candidates, late }, &keys, now)?;
        Ok(match (sealed.late.into_iter().next(), sealed.link) {
            (Some(Ok(Taken::Counts)), Some(link)) => Ok(Done::Recorded(committed(no, &link))),
            (Some(Ok(Taken::Evidence(anchor))), Some(_)) => {
                Err(Refusal::Contradiction(anchor).into())
            }
            (Some(Err(refusal)), _) => Err(refusal.into()),
            _ => Err(ChangeError::Stopping),
        })
    }

    /// Decides what waited for its time, and gives up what expired.
    pub(super) fn ripen<T: Writing<S>>(
        &self,
        txn: &mut T,
        now: Timestamp,
    ) -> Result<Done, LinkError<S::Error>> {
        let (mut decided, mut expired) = (0, 0);
        let mut after = None;
        loop {
            let page = txn.outlines(after.as_ref(), PAGE_ROWS);
            let page = page.map_err(LinkError::Store)?;
            for ((no, proposal), outline) in &page {
                let is_joint = |state: &ScopeState| self.is_joint(state);
                let due = due(txn, (*no, proposal), outline, (now, &is_joint));
                match due.map_err(LinkError::Store)? {
                    None => {}
                    Some(Due::Expired) => {
                        tracing::info!(%proposal, "a proposal expired before it was approved");
                        txn.put_pending(*no, proposal, None)
                            .map_err(LinkError::Store)?;
                        expired += 1;
                    }
                    Some(Due::Ripe(pending)) => {
                        let done = self.settle(txn, *no, proposal, &pending, now)?;
                        decided += usize::from(matches!(done, Ok(Done::Decided { .. })));
                    }
                }
            }
            match page.last() {
                Some((key, _)) => after = Some(*key),
                None => return Ok(Done::Ripened { decided, expired }),
            }
        }
    }
}

/// What time has to do with a waiting proposal.
enum Due {
    /// It cannot be decided any more.
    Expired,
    /// It can be decided now.
    Ripe(Box<Pending>),
}

/// Whether anything that waits is due, for a timer that must not write for nothing.
///
/// `is_joint` says of which scopes other nodes' anchors decide, too: those are not the timer's.
pub fn any_due<V>(
    view: &V,
    now: Timestamp,
    is_joint: &dyn Fn(&ScopeState) -> bool,
) -> Result<bool, <V as IndexView>::Error>
where
    V: IndexView + PendingView<Failure = <V as IndexView>::Error>,
{
    let mut after = None;
    loop {
        let page = view.outlines(after.as_ref(), PAGE_ROWS)?;
        for ((no, proposal), outline) in &page {
            if due(view, (*no, proposal), outline, (now, is_joint))?.is_some() {
                return Ok(true);
            }
        }
        match page.last() {
            Some((key, _)) => after = Some(*key),
            None => return Ok(false),
        }
    }
}

/// Most proposals wait for people: only those that votes could decide are read.
fn due<V>(
    view: &V,
    (no, proposal): (ScopeNo, &Digest),
    outline: &Outline,
    (now, is_joint): (Timestamp, &dyn Fn(&ScopeState) -> bool),
) -> Result<Option<Due>, <V as IndexView>::Error>
where
    V: IndexView + PendingView<Failure = <V as IndexView>::Error>,
{
    if now > outline.not_after {
        return Ok(Some(Due::Expired));
    }
    let Some(state) = view.scope(no)? else {
        return Ok(None);
    };
    let leaning = outline.leaning(&state.descriptor);
    if leaning == Leaning::Open || is_joint(&state) {
        return Ok(None);
    }
    let Some(pending) = view.pending(no, proposal)? else {
        return Ok(None);
    };
    // A signature that does not hold will not hold later either.
    let Ok(candidate) = pending.candidate() else {
        return Ok(None);
    };
    let is_ripe = hope(view, no, &candidate, (leaning, now))? == Hope::Ripe;
    Ok(is_ripe.then(|| Due::Ripe(Box::new(pending))))
}

/// What can become of a proposal whose votes could decide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hope {
    /// It can be decided now.
    Ripe,
    /// Time or other people can still help it.
    Waits,
    /// It contradicts what was decided.
    None,
}

pub(super) fn hope<V: IndexView>(
    view: &V,
    no: ScopeNo,
    candidate: &Candidate,
    (leaning, now): (Leaning, Timestamp),
) -> Result<Hope, V::Error> {
    if leaning == Leaning::Fails {
        return Ok(Hope::Ripe);
    }
    match preview(view, no, candidate, now) {
        Ok(preview) if preview.lacks.is_none() => Ok(Hope::Ripe),
        Ok(_) => Ok(Hope::Waits),
        Err(TransitionError::Refused(refusal)) if can_wait(&refusal) => Ok(Hope::Waits),
        Err(TransitionError::Refused(_)) => Ok(Hope::None),
        Err(TransitionError::View(error)) => Err(error),
    }
}

fn waiting<S: Store, T: Writing<S>>(
    txn: &T,
    scope: ScopeUid,
    proposal: &Digest,
) -> Result<(ScopeNo, Pending), LinkError<S::Error>> {
    let no = number_of(txn, &scope)?;
    let pending = txn.pending(no, proposal).map_err(LinkError::Store)?;
    let pending = pending.ok_or_else(|| refused(0, Refusal::NoProposal))?;
    Ok((no, pending))
}

pub(super) fn verified<E: std::error::Error>(pending: &Pending) -> Result<Candidate, LinkError<E>> {
    let candidate = pending.candidate();
    candidate.map_err(|_| refused(0, Refusal::Signature("proposal")))
}

/// Why a scope takes no more waiting proposals of an author.
fn no_room<S: Store, T: Writing<S>>(
    txn: &T,
    no: ScopeNo,
    candidate: &Candidate,
) -> Result<Option<Refusal>, LinkError<S::Error>> {
    let author = candidate.proposal.object().author;
    let (mut count, mut of_author) = (0, 0);
    let own_bytes = candidate.proposal.signed().byte_count();
    let mut byte_count = u64::try_from(own_bytes).unwrap_or(u64::MAX);
    let mut after = Some((no, Digest::ZERO));
    loop {
        let page = txn.outlines(after.as_ref(), PAGE_ROWS);
        let page = page.map_err(LinkError::Store)?;
        for ((scope, _), outline) in &page {
            if *scope == no {
                count += 1;
                byte_count = byte_count.saturating_add(outline.byte_count);
                of_author += usize::from(outline.author == author);
            }
        }
        match page.last() {
            Some((key, _)) if key.0 == no => after = Some(*key),
            _ => break,
        }
    }
    let bytes_max = u64::try_from(PENDING_BYTES_MAX).unwrap_or(u64::MAX);
    let full = |what, max| Some(Refusal::PendingFull { what, max });
    Ok(if of_author >= PENDING_PER_AUTHOR_MAX {
        full("proposals of one author", PENDING_PER_AUTHOR_MAX)
    } else if count >= PENDING_PER_SCOPE_MAX {
        full("proposals of one scope", PENDING_PER_SCOPE_MAX)
    } else if byte_count > bytes_max {
        full("bytes of proposals of one scope", PENDING_BYTES_MAX)
    } else {
        None
    })
}
