//! What anchors on several nodes decide together: proposals that are laid before them, and the blocks
//! that are drafted and judged for a sitting. Nothing is sealed here; what a sitting decides comes back
//! as a block to be followed.

use std::cmp::Reverse;

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::descriptor::Descriptor;
use crate::index::admission::Candidate;
use crate::index::drafting::{draft, judge};
use crate::index::lineage::{Agenda, LinkError};
use crate::index::pending::{Leaning, Pending, PendingView};
use crate::index::recovery::draft_recovery;
use crate::index::refusal::Refusal;
use crate::index::staging::preview;
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::transition::TransitionError;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::Tender;
use crate::replication::wire::{PENDING_BYTES_MAX, TENDER_BYTES_USUAL};
use crate::service::ports::{Clock, Store};

use super::follow::held_still;
use super::queue::{Answered, ChangeError, Done};
use super::waiting::{Hope, can_wait, hope, verified, wait};
use super::{Writer, Writing, failure, number_of, refused};

/// Outlines read at a time.
const PAGE_ROWS: usize = 256;
/// What a vote with its reason adds to a block.
const VOTE_BYTES_USUAL: usize = 512;
/// Proposals that wait for anchors and are said again at a time.
const RIPE_SHOWN_MAX: usize = 16;
/// Proposals that wait for votes and are said again at a time.
const OPEN_SHOWN_MAX: usize = 64;

impl<S: Store, C: Clock> Writer<S, C> {
    /// Whether seats here govern a scope together with others.
    pub(super) fn is_joint(&self, state: &ScopeState) -> bool {
        let council = self.council.as_ref();
        council.is_some_and(|council| council.is_joint(state))
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
        if candidate.proposal.signed().byte_count() > PENDING_BYTES_MAX {
            let what = "a proposal has at most 1 MiB; import in parts";
            return Ok(Err(Refusal::Joint(what).into()));
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

    /// Takes what other anchors laid before all, in one transaction. If that fails each has its own, so
    /// that what fails takes nothing else with it.
    pub(super) fn hear_all(&self, heard: &[(PublicKey, Pending)]) -> Vec<Answered> {
        if heard.is_empty() {
            return Vec::new();
        }
        let now = self.clock.now();
        let together = self.store.write(|txn| {
            let each = heard
                .iter()
                .map(|(_, pending)| self.hear(txn, pending, now));
            each.collect::<Result<Vec<_>, _>>()
        });
        let taken = together.unwrap_or_else(|_| {
            let each = heard.iter().map(|(_, pending)| {
                let alone = self.store.write(|txn| self.hear(txn, pending, now));
                alone.unwrap_or_else(|error| (Err(failure(&error)), false))
            });
            each.collect()
        });
        let mut answered = Vec::with_capacity(heard.len());
        for ((done, is_new), (peer, pending)) in taken.into_iter().zip(heard) {
            if let (true, Some(council)) = (is_new, &self.council) {
                council.was_new(peer, pending);
            }
            answered.push(done);
        }
        answered
    }

    /// Takes what another anchor laid before all: the proposal, if it is new, and every vote of it
    /// that is. Where seats here hold a quorum it is decided at once. Gives also whether one waits now
    /// that did not before.
    fn hear<T: Writing<S>>(
        &self,
        txn: &mut T,
        heard: &Pending,
        now: Timestamp,
    ) -> Result<(Answered, bool), LinkError<S::Error>> {
        let uid = heard.proposal.unverified().scope;
        let no = number_of(txn, &uid)?;
        let state = txn.scope(no).map_err(LinkError::Store)?;
        let state = state.filter(|state| self.weight_held(&state.descriptor) > 0);
        let state = state.ok_or(LinkError::UnknownScope(uid))?;
        let is_joint = self.is_joint(&state);
        if let Some(refusal) = held_still::<S, T>(txn, &state, is_joint)? {
            return Ok((Err(refusal.into()), false));
        }
        let candidate = verified(heard)?;
        let digest = candidate.proposal.digest();
        let known = txn.pending(no, &digest).map_err(LinkError::Store)?;
        if known.is_none() && !is_joint {
            // Seats here hold a quorum: the other anchors need them, and not the other way round.
            let decided = self.seal_all(txn, no, &[candidate], now)?.pop();
            return Ok((decided.unwrap_or(Err(ChangeError::Stopping)), false));
        }
        if known.is_none() {
            // What came to it is checked one by one below: junk in a seat's place would keep the
            // anchor's own signature out.
            let bare = Candidate {
                approvals: Vec::new(),
                seats: Vec::new(),
                ..candidate
            };
            let laid = self.lay_one(txn, &state, &bare, now)?;
            if laid.is_err() {
                return Ok((laid, false));
            }
        }
        let mut done = Done::Heard(uid);
        for vote in heard.approvals.iter().chain(&heard.contradictions) {
            let about = vote.unverified();
            if (about.scope, about.proposal) != (uid, digest) {
                continue;
            }
            // What is known already, or does not count, changes nothing.
            done = unless_refused(self.vote(txn, vote, now))?.unwrap_or(done);
        }
        for seat in &heard.seats {
            let seated = self.seat(txn, (uid, digest), seat.clone(), now);
            done = unless_refused(seated)?.unwrap_or(done);
        }
        Ok((Ok(done), known.is_none()))
    }

    /// Drafts the next block of a joint scope from what waits in it, for an anchor to offer.
    pub(super) fn draft_joint(&self, uid: ScopeUid, anchor: AnchorId) -> Answered {
        let now = self.clock.now();
        let block = self.tried(|txn| {
            let no = number_of(txn, &uid)?;
            let candidates = agenda(txn, no, now).map_err(LinkError::Store)?;
            let agenda = Agenda {
                candidates: &candidates,
                late: &[],
            };
            let made = draft(txn, no, agenda, (anchor, now))?;
            Ok(made.block.map(|block| (block, made.body)))
        })?;
        let tender = block.and_then(|(block, body)| Tender::new(block, body));
        Ok(Done::Drafted(tender.map(Box::new)))
    }

    /// Whether a block that an anchor offered may be decided next.
    pub(super) fn judge_joint(&self, tender: &Tender) -> Answered {
        let uid = tender.block().scope;
        let valid = self.tried(|txn| {
            let no = number_of(txn, &uid)?;
            match judge(txn, no, tender.block(), tender.body()) {
                Ok(()) => Ok(true),
                Err(LinkError::Store(error)) => Err(LinkError::Store(error)),
                Err(error) => {
                    tracing::debug!(%error, "a block is not fit");
                    Ok(false)
                }
            }
        });
        valid.map(Done::Judged)
    }

    /// The block by which a descriptor would take over a scope at a time.
    pub(super) fn draft_recovery(
        &self,
        uid: ScopeUid,
        next: &Descriptor,
        due: Timestamp,
    ) -> Answered {
        let block = self.tried(|txn| {
            let no = number_of(txn, &uid)?;
            draft_recovery(txn, no, next, due)
        })?;
        Ok(Done::RecoveryDrafted(Box::new(block)))
    }

    /// Does something in a transaction that is given up.
    fn tried<R>(
        &self,
        work: impl FnOnce(&mut S::Txn<'_>) -> Result<R, LinkError<S::Error>>,
    ) -> Result<R, ChangeError> {
        let mut made = None;
        let result: Result<(), _> = self.store.write(|txn| {
            made = Some(work(txn)?);
            Err(refused(0, Refusal::NoChange))
        });
        match (made, result) {
            (Some(made), _) => Ok(made),
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
    let no = number_of(txn, &uid)?;
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

/// A refusal changes nothing; a failure ends the transaction. Gives what was decided.
fn unless_refused<E: std::error::Error>(
    done: Result<Answered, LinkError<E>>,
) -> Result<Option<Done>, LinkError<E>> {
    match done {
        Ok(Ok(decided @ Done::Decided { .. })) => Ok(Some(decided)),
        Ok(_) | Err(LinkError::Refused { .. } | LinkError::UnknownScope(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What waits in a joint scope, as far as it concerns the chair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Some of what could be decided now.
    pub ripe: Vec<Digest>,
    /// Some of what still needs votes.
    pub open: Vec<Digest>,
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
        Found::Ripe(candidate) if waiting.ripe.len() < RIPE_SHOWN_MAX => {
            waiting.ripe.push(candidate.proposal.digest());
        }
        Found::Open(proposal) if waiting.open.len() < OPEN_SHOWN_MAX => {
            waiting.open.push(proposal);
        }
        Found::Ripe(_) | Found::Open(_) => {}
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
        let votes = candidate.approvals.len() + candidate.seats.len();
        byte_count += candidate.proposal.signed().byte_count() + votes * VOTE_BYTES_USUAL;
        byte_count <= TENDER_BYTES_USUAL
    };
    let count = ripe.iter().take_while(fits).count();
    // A larger one comes alone.
    ripe.truncate(count.max(1));
    Ok(ripe)
}

/// A proposal that waits.
enum Found {
    Ripe(Box<Candidate>),
    /// It still needs votes.
    Open(Digest),
    /// It contradicts what was decided.
    Hopeless(Digest),
}

/// Shows what waits for the anchors of a scope, or for votes, and not for time.
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
            if now > outline.not_after {
                continue;
            }
            if leaning == Leaning::Open {
                show(Found::Open(*proposal));
                continue;
            }
            let pending = view.pending(no, proposal)?;
            let Some(Ok(candidate)) = pending.map(|pending| pending.candidate()) else {
                continue;
            };
            match hope(view, no, &candidate, (leaning, now))? {
                Hope::Ripe => show(Found::Ripe(Box::new(candidate))),
                Hope::Waits => {}
                Hope::None => show(Found::Hopeless(*proposal)),
            }
        }
        match page.last() {
            Some((key, _)) => after = *key,
            None => return Ok(()),
        }
    }
}
