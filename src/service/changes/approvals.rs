//! Proposals that people propose, look at, approve, reject and take back.

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::signed::{Signed, Verified};
use crate::base::time::Timestamp;
use crate::governance::anchor::{Anchor, SeatSignature};
use crate::governance::approval::Approval;
use crate::governance::op::{Op, Precondition};
use crate::governance::proposal::Proposal;
use crate::governance::withdrawal::Withdrawal;
use crate::index::admission::Candidate;
use crate::index::pending::{Pending, PendingView};
use crate::index::place::Apex;
use crate::index::refusal::Refusal;
use crate::index::staging::{Preview, preview};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::transition::TransitionError;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::service::governor::{ChangeError, Done, Tending, Work, any_due};
use crate::service::keyring::{Draft, KeyringError, proposal};
use crate::service::ports::{Clock, Parts, Randomness, Store};
use crate::service::resolver::error_chain;

use super::{Changes, PlanError};

/// Rows read at a time; each may hold a large proposal.
const PAGE_ROWS: usize = 16;
/// Outlines read at a time.
const PAGE_OUTLINES: usize = 256;

/// The least digits by which a proposal is named.
const ID_DIGITS_MIN: usize = 6;

/// A proposal that waits, as it stands now.
#[derive(Debug)]
pub struct Waiting {
    /// The scope.
    pub scope: ScopeNo,
    /// The proposal's digest.
    pub id: Digest,
    /// The proposal and what came to it.
    pub pending: Pending,
    /// What it would change and lacks; or why it cannot be in force as things are.
    pub preview: Result<Preview, Refusal>,
}

/// Why an identifier names no waiting proposal.
#[derive(Debug, thiserror::Error)]
pub enum NoProposal {
    /// None begins like this.
    #[error("no proposal that begins with {0:?} waits here")]
    Unknown(String),
    /// Several begin like this.
    #[error("several proposals begin with {0:?}")]
    Several(String),
    /// Too short to mean one.
    #[error("{0:?} is too short; give at least {ID_DIGITS_MIN} hexadecimal digits")]
    Short(String),
    /// This node has no key that could vote on it.
    #[error("{0}")]
    NoSeat(String),
}

impl<P: Parts> Changes<P> {
    /// Drafts changes for a key that somebody else holds; it has to sign the proposal. Shows what
    /// it would change.
    pub fn draft(
        &self,
        apexes: &[Apex],
        scope: &Name,
        (ops, preconditions): (Vec<Op>, Vec<Precondition>),
        author: PublicKey,
        note: &str,
    ) -> Result<Proposal, PlanError> {
        let place = self.scope_at(apexes, scope)?;
        let draft = Draft {
            ops,
            preconditions,
            note: note.to_owned(),
            nonce: self.randomness.u64(),
        };
        Ok(proposal(&place.scope, draft, author, self.clock.now()))
    }

    /// Proposes changes with the key of this node's first seat.
    pub async fn propose(
        &self,
        apexes: &[Apex],
        scope: &Name,
        (ops, preconditions): (Vec<Op>, Vec<Precondition>),
        note: &str,
    ) -> Result<Done, PlanError> {
        let place = self.scope_at(apexes, scope)?;
        self.decide(&place.scope, ops, preconditions, note).await
    }

    /// What changes would do, by whomever they were proposed.
    pub fn simulate(
        &self,
        apexes: &[Apex],
        scope: &Name,
        (ops, preconditions): (Vec<Op>, Vec<Precondition>),
    ) -> Result<Preview, PlanError> {
        let place = self.scope_at(apexes, scope)?;
        let draft = Draft {
            ops,
            preconditions,
            note: String::new(),
            nonce: 0,
        };
        let candidate = self.keyring.author(&place.scope, draft, self.clock.now())?;
        self.preview(place.scope.no, &candidate)
    }

    /// Takes a proposal that somebody signed elsewhere: decides it, or keeps it if it may wait.
    pub async fn submit(&self, proposal: Verified<Proposal>) -> Result<Done, PlanError> {
        let mut candidate = Candidate::new(proposal);
        candidate.seats = self.keyring.accept(&candidate.proposal.object().ops)?;
        let work = Work::Decide(Box::new(candidate));
        self.commit(work).await
    }

    /// Every proposal that waits here.
    pub fn waiting(&self) -> Result<Vec<Waiting>, PlanError> {
        let mut found = Vec::new();
        let snapshot = self.store.latest();
        let mut after = None;
        loop {
            let page = snapshot.all_pending(after.as_ref(), PAGE_ROWS);
            let page = page.map_err(|error| ChangeError::Store(error_chain(&error)))?;
            match page.last() {
                Some((key, _)) => after = Some(*key),
                None => return Ok(found),
            }
            for ((scope, id), pending) in page {
                found.push(self.look(scope, id, pending)?);
            }
        }
    }

    /// The waiting proposal whose digest begins with `id`.
    pub fn waiting_one(&self, id: &str) -> Result<Waiting, PlanError> {
        let (scope, digest) = self.find_waiting(id)?;
        let pending = self.store.latest().pending(scope, &digest);
        let pending = pending.map_err(|error| ChangeError::Store(error_chain(&error)))?;
        let pending = pending.ok_or_else(|| NoProposal::Unknown(id.to_owned()))?;
        self.look(scope, digest, pending)
    }

    /// The scope of that proposal; nothing of it is staged.
    pub fn scope_of_waiting(&self, id: &Digest) -> Result<ScopeNo, PlanError> {
        self.find_waiting(&id.to_string()).map(|(scope, _)| scope)
    }

    fn find_waiting(&self, id: &str) -> Result<(ScopeNo, Digest), PlanError> {
        if id.len() < ID_DIGITS_MIN {
            return Err(NoProposal::Short(id.to_owned()).into());
        }
        let snapshot = self.store.latest();
        let (mut found, mut after) = (None, None);
        loop {
            let page = snapshot.outlines(after.as_ref(), PAGE_OUTLINES);
            let page = page.map_err(|error| ChangeError::Store(error_chain(&error)))?;
            match page.last() {
                Some((key, _)) => after = Some(*key),
                None => break,
            }
            for ((scope, digest), _) in page {
                if digest.to_string().starts_with(&id.to_ascii_lowercase()) {
                    if found.is_some() {
                        return Err(NoProposal::Several(id.to_owned()).into());
                    }
                    found = Some((scope, digest));
                }
            }
        }
        found.ok_or_else(|| NoProposal::Unknown(id.to_owned()).into())
    }

    /// Approves or rejects with this node's seats: those whose identity begins with one of
    /// `anchors`, or all of them.
    pub async fn vote(
        &self,
        id: &str,
        anchors: &[String],
        (yes, reason): (bool, &str),
    ) -> Result<Done, PlanError> {
        let waiting = self.waiting_one(id)?;
        let impact = match (&waiting.preview, yes) {
            (Ok(preview), _) => preview.impact.digest(),
            (Err(refusal), true) => return Err(refusal.clone().into()),
            (Err(_), false) => Digest::ZERO,
        };
        let candidate = waiting
            .pending
            .candidate()
            .map_err(|_| Refusal::Signature("proposal"))?;
        let mut done = None;
        for seat in self.seats_of(waiting.scope, anchors)? {
            if let Some(vote) = self.approval(&candidate, impact, (yes, reason), seat.vote_key)? {
                let work = Work::Tend(Box::new(Tending::Vote(vote)));
                match self.governor.commit(work).await {
                    Ok(more) => done = Some(more),
                    // With several seats, the others of this node may have voted before.
                    Err(ChangeError::Refused(Refusal::Voted(_))) if anchors.is_empty() => {}
                    Err(error) => return Err(error.into()),
                }
                if let Some(decided @ Done::Decided { .. }) = done {
                    return Ok(decided);
                }
            }
        }
        let voted = "every seat of this node has voted on it";
        let done = done.ok_or_else(|| NoProposal::NoSeat(voted.to_owned()))?;
        self.await_anchors(done).await
    }

    /// Takes a vote that somebody signed elsewhere; it may be on a proposal decided before.
    pub async fn take_vote(&self, vote: Signed<Approval>) -> Result<Done, PlanError> {
        let work = Work::Tend(Box::new(Tending::Vote(vote)));
        self.commit(work).await
    }

    /// Takes the signature of an anchor that accepts its seat.
    pub async fn take_seat(&self, id: &str, seat: SeatSignature) -> Result<Done, PlanError> {
        let waiting = self.waiting_one(id)?;
        let tending = Tending::Seat {
            scope: waiting.pending.proposal.unverified().scope,
            proposal: waiting.id,
            seat,
        };
        let work = Work::Tend(Box::new(tending));
        self.commit(work).await
    }

    /// Takes a proposal back that a seat of this node authored.
    pub async fn withdraw(&self, id: &str, reason: &str) -> Result<Done, PlanError> {
        let waiting = self.waiting_one(id)?;
        let proposal = waiting.pending.proposal.unverified();
        let withdrawal = Withdrawal {
            scope: proposal.scope,
            proposal: waiting.id,
            reason: reason.to_owned(),
            author: proposal.author,
        };
        let signed = self.keyring.sign(withdrawal);
        self.take_withdrawal(signed.ok_or(Refusal::NotAuthor)??)
            .await
    }

    /// Takes a withdrawal that the author signed elsewhere.
    pub async fn take_withdrawal(&self, signed: Signed<Withdrawal>) -> Result<Done, PlanError> {
        let work = Work::Tend(Box::new(Tending::Withdraw(signed)));
        self.commit(work).await
    }

    /// Decides what waited for its time; for a timer to call. Nothing is queued when nothing is due.
    pub async fn ripen(&self) -> Result<(), PlanError> {
        let council = self.council.as_ref();
        let is_joint = |state: &ScopeState| council.is_some_and(|c| c.is_joint(state));
        let due = any_due(self.store.latest().as_ref(), self.clock.now(), &is_joint);
        if due.map_err(|error| ChangeError::Store(error_chain(&error)))? {
            self.governor.commit(Work::Ripen).await?;
        }
        Ok(())
    }

    pub(super) fn preview(
        &self,
        scope: ScopeNo,
        candidate: &Candidate,
    ) -> Result<Preview, PlanError> {
        let snapshot = self.store.latest();
        preview(snapshot.as_ref(), scope, candidate, self.clock.now()).map_err(
            |error| match error {
                TransitionError::Refused(refusal) => refusal.into(),
                TransitionError::View(error) => ChangeError::Store(error_chain(&error)).into(),
            },
        )
    }

    /// A vote of a seat of this node; none without its key.
    pub(super) fn approval(
        &self,
        candidate: &Candidate,
        impact: Digest,
        (yes, reason): (bool, &str),
        anchor: PublicKey,
    ) -> Result<Option<Signed<Approval>>, KeyringError> {
        let motion = candidate.motion();
        let approval = Approval {
            scope: motion.scope,
            proposal: motion.proposal,
            not_after: motion.not_after,
            impact,
            yes,
            time: self.clock.now(),
            reason: reason.to_owned(),
            anchor,
        };
        self.keyring.sign(approval).transpose()
    }

    fn look(&self, scope: ScopeNo, id: Digest, pending: Pending) -> Result<Waiting, PlanError> {
        let candidate = pending
            .candidate()
            .map_err(|_| Refusal::Signature("proposal"))?;
        let preview = match self.preview(scope, &candidate) {
            Ok(preview) => Ok(preview),
            Err(PlanError::Change(ChangeError::Refused(refusal))) => Err(refusal),
            Err(error) => return Err(error),
        };
        Ok(Waiting {
            scope,
            id,
            pending,
            preview,
        })
    }

    /// This node's seats in a scope whose identities begin like one of `wanted`, or all of them.
    fn seats_of(&self, scope: ScopeNo, wanted: &[String]) -> Result<Vec<Anchor>, PlanError> {
        let state = self.store.latest().scope(scope);
        let state = state.map_err(|error| ChangeError::Store(error_chain(&error)))?;
        let state = state.ok_or(Refusal::NoProposal)?;
        let held = self.keyring.seats(&state.descriptor);
        let anchors = &state.descriptor.anchors;
        let held: Vec<&Anchor> = held
            .iter()
            .filter_map(|key| anchors.seat_of(&key.public()))
            .map(|(_, anchor)| anchor)
            .collect();
        for id in wanted {
            if !held
                .iter()
                .any(|anchor| anchor.id.to_string().starts_with(id))
            {
                let error = format!("this node holds no key of an anchor {id:?} of the scope");
                return Err(NoProposal::NoSeat(error).into());
            }
        }
        if held.is_empty() {
            let error = "this node holds no key of an anchor of the scope".to_owned();
            return Err(NoProposal::NoSeat(error).into());
        }
        let chosen = held.into_iter().filter(|anchor| {
            let id = anchor.id.to_string();
            wanted.is_empty() || wanted.iter().any(|wanted| id.starts_with(wanted))
        });
        Ok(chosen.cloned().collect())
    }

    /// When this node's clock says it is.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
