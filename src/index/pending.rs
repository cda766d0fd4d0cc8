//! `Pending`: a proposal that waits for approvals on this node, and what came to it. Rows of this
//! kind are no part of the lineage: what counts of them is in the block that decides.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::ANCHORS_MAX;
use crate::base::signed::{NotVerified, Signed};
use crate::base::time::Timestamp;
use crate::governance::anchor::SeatSignature;
use crate::governance::approval::{Approval, voter};
use crate::governance::descriptor::Descriptor;
use crate::governance::op::Op;
use crate::governance::proposal::Proposal;

use super::admission::Candidate;
use super::ballot::Taken;
use super::refusal::Refusal;
use super::state::ScopeNo;

/// A proposal that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The proposal.
    pub proposal: Signed<Proposal>,
    /// Approvals and objections, at most one an anchor.
    pub approvals: Vec<Signed<Approval>>,
    /// Votes that say the opposite of one in `approvals` on the same impact, at most one an
    /// anchor: evidence, recorded once the proposal is decided.
    pub contradictions: Vec<Signed<Approval>>,
    /// Signatures that accept seats, in the order of the seats.
    pub seats: Vec<SeatSignature>,
    /// When it came here, by this node's clock.
    pub received: Timestamp,
}

/// Reads of waiting proposals.
pub trait PendingView {
    /// What reading and writing can fail with.
    type Failure;

    /// A waiting proposal.
    fn pending(&self, scope: ScopeNo, proposal: &Digest) -> Result<Option<Pending>, Self::Failure>;

    /// Up to `count` waiting proposals of all scopes that come after `after`, in the order of
    /// scopes and digests.
    #[expect(clippy::type_complexity, reason = "rows are keys and values")]
    fn all_pending(
        &self,
        after: Option<&(ScopeNo, Digest)>,
        count: usize,
    ) -> Result<Vec<((ScopeNo, Digest), Pending)>, Self::Failure>;
}

/// Writes of waiting proposals.
pub trait PendingStore: PendingView {
    /// Writes or removes a waiting proposal.
    fn put_pending(
        &mut self,
        scope: ScopeNo,
        proposal: &Digest,
        pending: Option<&Pending>,
    ) -> Result<(), Self::Failure>;
}

impl Pending {
    /// A candidate begins to wait.
    pub fn new(candidate: &Candidate, received: Timestamp) -> Self {
        Self {
            proposal: candidate.proposal.signed().clone(),
            // A forged vote must not stand in the way of the anchor's own.
            approvals: candidate
                .approvals
                .iter()
                .filter(|vote| Signed::clone(vote).verify().is_ok())
                .cloned()
                .collect(),
            contradictions: Vec::new(),
            seats: candidate.seats.clone(),
            received,
        }
    }

    /// What could be decided now.
    pub fn candidate(&self) -> Result<Candidate, NotVerified> {
        Ok(Candidate {
            proposal: self.proposal.clone().verify()?,
            approvals: self.approvals.clone(),
            seats: self.seats.clone(),
            withdrawal: None,
        })
    }

    /// Takes a vote. An anchor votes once on one impact: the same vote again is refused, the
    /// opposite one is evidence. On another impact than before it may vote anew.
    ///
    /// `impact` is the present one; without one, nothing can be approved.
    pub fn take(
        &mut self,
        descriptor: &Descriptor,
        impact: Option<&Digest>,
        time: Timestamp,
        signed: &Signed<Approval>,
    ) -> Result<Taken, Refusal> {
        let motion = self
            .candidate()
            .map_err(|_| Refusal::Signature("proposal"))?
            .motion();
        let vote = signed.unverified();
        let anchor = voter(descriptor, &motion, time, vote).ok_or(Refusal::NoVoice)?;
        if signed.clone().verify().is_err() {
            return Err(Refusal::Signature("vote"));
        }
        // An objection to what cannot be in force names no impact that could be compared.
        if let Some(is) = impact
            && *is != vote.impact
        {
            return Err(Refusal::Impact { is: *is });
        }
        // Of keys that were rotated away nothing counts any more.
        let seated = |other: &Signed<Approval>| {
            let key = other.unverified().anchor;
            descriptor.anchors.seat_of(&key).is_some()
        };
        self.approvals.retain(seated);
        self.contradictions.retain(seated);
        let same_anchor = |other: &Signed<Approval>| other.unverified().anchor == vote.anchor;
        let Some(before) = self.approvals.iter_mut().find(|other| same_anchor(other)) else {
            self.approvals.push(signed.clone());
            return Ok(Taken::Counts);
        };
        if before.unverified().impact != vote.impact {
            *before = signed.clone();
            return Ok(Taken::Counts);
        }
        if before.unverified().yes == vote.yes || self.contradictions.iter().any(same_anchor) {
            return Err(Refusal::Voted(anchor.id));
        }
        self.contradictions.push(signed.clone());
        Ok(Taken::Evidence(anchor.id))
    }

    /// The descriptor that the proposal would put in force.
    pub fn next(&self) -> Option<&Descriptor> {
        let ops = &self.proposal.unverified().ops;
        ops.iter().find_map(|op| match op {
            Op::Reconfigure { next } => Some(next.as_ref()),
            _ => None,
        })
    }

    /// Takes the signature of an anchor that accepts its seat.
    pub fn seat(&mut self, seat: SeatSignature) -> Result<(), Refusal> {
        let next = self
            .next()
            .ok_or(Refusal::Descriptor("the proposal gives no seats"))?;
        if next.accepted(std::slice::from_ref(&seat)).is_none() {
            return Err(Refusal::Signature("seat"));
        }
        if let Err(at) = self
            .seats
            .binary_search_by_key(&seat.seat, |held| held.seat)
        {
            self.seats.insert(at, seat);
        }
        Ok(())
    }
}

impl Canonical for Pending {
    fn encode(&self, out: &mut Encoder) {
        self.proposal.encode(out);
        out.list(&self.approvals);
        out.list(&self.contradictions);
        out.list(&self.seats);
        self.received.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            proposal: Signed::decode(input)?,
            approvals: input.list("approvals", ANCHORS_MAX)?,
            contradictions: input.list("contradictions", ANCHORS_MAX)?,
            seats: input.list("seats", ANCHORS_MAX)?,
            received: Timestamp::decode(input)?,
        })
    }
}

impl Form for Pending {
    const LABEL: &'static str = "kedge/pending";
}
