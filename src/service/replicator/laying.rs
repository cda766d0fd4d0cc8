//! What another anchor lays before this node. It is looked at before the writer is asked: what is known,
//! forged, or proposed by nobody who may, costs a look and no more.

use crate::base::keys::PublicKey;
use crate::base::signed::Signed;
use crate::governance::anchor::SeatSignature;
use crate::governance::approval::Approval;
use crate::index::admission::{acceptable, authorised, undecided};
use crate::index::pending::{Pending, PendingView};
use crate::index::state::ScopeState;
use crate::index::transition::TransitionError;
use crate::replication::pull::Complaint;
use crate::replication::wire::{Reply, Request, Turned};
use crate::service::governor::Work;
use crate::service::ports::{Clock, IndexFailure, Parts, Store};

use super::{MirrorError, Replicator};

/// What there is to try of what a peer laid.
enum News {
    None,
    /// The peer has had its share.
    TooMuch,
    Some(Box<Pending>),
}

impl<P: Parts> Replicator<P> {
    /// Has the governor take what is new of what another anchor laid before all. Whoever laid it says
    /// it again, so nobody waits here.
    pub(super) fn laid(&self, peer: &PublicKey, heard: Pending) -> Result<Reply, IndexFailure<P>> {
        let scope = heard.proposal.unverified().scope;
        let Some(state) = self.shown(peer, &scope)? else {
            return Ok(Reply::Turned(Turned::NotHeld));
        };
        if self.council.weight_held(&state.descriptor) == 0 {
            return Ok(Reply::Turned(Turned::NotHeld));
        }
        let byte_count = heard.proposal.byte_count();
        let news = match self.news(peer, &state, heard)? {
            News::None => return Ok(Reply::Heard),
            News::TooMuch => return Ok(Reply::Turned(Turned::TooMuch)),
            News::Some(news) => news,
        };
        if !self.council.may_try(peer, byte_count) {
            return Ok(Reply::Turned(Turned::TooMuch));
        }
        Ok(match self.governor.queue(Work::Hear(*peer, news)) {
            Ok(_) => Reply::Heard,
            Err(_) => Reply::Turned(Turned::Failing),
        })
    }

    /// Lays a proposal before the node of an anchor of a scope in which this node has no say yet, and
    /// before all others that are connected.
    pub async fn lay_at(&self, peer: PublicKey, pending: Pending) -> Result<(), MirrorError> {
        let network = self.network().ok_or(MirrorError::NoNetwork)?;
        let request = Request::Lay(Box::new(pending));
        let complaint = match network.ask(peer, request.clone()).await {
            Ok(Reply::Heard) => {
                network.tell(request);
                return Ok(());
            }
            Ok(_) => {
                let complaint = Complaint::Unasked("another reply than was asked for");
                network.complain(&peer, &complaint);
                complaint.to_string()
            }
            Err(failure) => failure.to_string(),
        };
        Err(MirrorError::Peers {
            complaints: vec![complaint],
        })
    }

    fn news(
        &self,
        peer: &PublicKey,
        state: &ScopeState,
        heard: Pending,
    ) -> Result<News, IndexFailure<P>> {
        let snapshot = self.store.latest();
        let known = snapshot.pending(state.no, &heard.proposal.digest())?;
        if known.is_none() {
            if !self.council.may_check(peer, 1) {
                return Ok(News::TooMuch);
            }
            let Ok(proposal) = heard.proposal.clone().verify() else {
                return Ok(News::None);
            };
            let time = state.next_time(self.clock.now());
            if acceptable(state, proposal.object(), time).is_err()
                || authorised(state, proposal.object(), time).is_err()
            {
                return Ok(News::None);
            }
            match undecided(snapshot.as_ref(), state, &proposal) {
                Ok(()) => {}
                Err(TransitionError::Refused(_)) => return Ok(News::None),
                Err(TransitionError::View(error)) => return Err(error),
            }
        }
        let votes = unknown_votes(state, known.as_ref(), &heard);
        let seats = unknown_seats(known.as_ref(), &heard);
        if known.is_some() && votes.is_empty() && seats.is_empty() {
            return Ok(News::None);
        }
        if !self.council.may_check(peer, votes.len() + seats.len()) {
            return Ok(News::TooMuch);
        }
        let holds = |vote: &Signed<Approval>| vote.clone().verify().is_ok();
        let next = heard.next();
        let accepts = |seat: &SeatSignature| {
            next.is_some_and(|next| next.accepted(std::slice::from_ref(seat)).is_some())
        };
        let approvals: Vec<Signed<Approval>> = votes.into_iter().filter(holds).collect();
        let seats: Vec<SeatSignature> = seats.into_iter().filter(accepts).collect();
        if known.is_some() && approvals.is_empty() && seats.is_empty() {
            return Ok(News::None);
        }
        Ok(News::Some(Box::new(Pending {
            approvals,
            contradictions: Vec::new(),
            seats,
            ..heard
        })))
    }
}

/// Votes on this proposal by who has a seat that are not known yet, in the order in which they came.
fn unknown_votes(
    state: &ScopeState,
    known: Option<&Pending>,
    heard: &Pending,
) -> Vec<Signed<Approval>> {
    let digest = heard.proposal.digest();
    let is_known = |vote: &Approval| {
        let held = known.into_iter();
        let mut held = held.flat_map(|known| known.approvals.iter().chain(&known.contradictions));
        held.any(|held| {
            let held = held.unverified();
            (held.anchor, held.impact, held.yes) == (vote.anchor, vote.impact, vote.yes)
        })
    };
    let votes = heard.approvals.iter().chain(&heard.contradictions);
    votes
        .filter(|vote| {
            let vote = vote.unverified();
            (vote.scope, vote.proposal) == (state.uid, digest)
                && state.descriptor.anchors.seat_of(&vote.anchor).is_some()
                && !is_known(vote)
        })
        .cloned()
        .collect()
}

/// Signatures of seats that nobody accepted yet, as far as is known here.
fn unknown_seats(known: Option<&Pending>, heard: &Pending) -> Vec<SeatSignature> {
    let is_known = |seat: &SeatSignature| {
        known.is_some_and(|known| known.seats.iter().any(|held| held.seat == seat.seat))
    };
    let seats = heard.seats.iter();
    seats.filter(|seat| !is_known(seat)).cloned().collect()
}
