//! `Pending`: a proposal that waits for approvals on this node, and what came to it. Rows of this
//! kind are no part of the lineage: what counts of them is in the block that decides.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::limits::ANCHORS_MAX;
use crate::base::signed::{NotVerified, Signed};
use crate::base::time::Timestamp;
use crate::governance::anchor::SeatSignature;
use crate::governance::approval::{Approval, voter};
use crate::governance::descriptor::Descriptor;
use crate::governance::op::Op;
use crate::governance::policy::{Class, Requirement};
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

/// What is known of a waiting proposal without reading it: a proposal may be large, and all of
/// them are looked over for each that comes, and by the timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Who proposed it.
    pub author: PublicKey,
    /// The care it needs.
    pub class: Class,
    /// The last time of a block that may decide it.
    pub not_after: Timestamp,
    /// How many bytes it has.
    pub byte_count: u64,
    /// Who voted, and how; at most one an anchor.
    pub votes: Vec<Vote>,
}

/// A key's word on a waiting proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The key.
    pub anchor: PublicKey,
    /// Whether it approves.
    pub yes: bool,
}

/// What votes could decide, as far as their words go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaning {
    /// Nothing yet.
    Open,
    /// The proposal may pass.
    Passes,
    /// It cannot pass any more.
    Fails,
}

impl Outline {
    /// What the votes could decide under a descriptor.
    pub fn leaning(&self, descriptor: &Descriptor) -> Leaning {
        if descriptor.policy.rule(self.class).requirement == Requirement::Author {
            return Leaning::Passes;
        }
        let weight = |yes: bool| -> u64 {
            let votes = self.votes.iter().filter(|vote| vote.yes == yes);
            let anchors = votes.filter_map(|vote| descriptor.anchors.seat_of(&vote.anchor));
            anchors.map(|(_, anchor)| u64::from(anchor.weight)).sum()
        };
        let needed = descriptor.weight_needed(self.class);
        let total = descriptor.anchors.total_weight();
        if total.saturating_sub(weight(false)) < needed {
            Leaning::Fails
        } else if weight(true) >= needed {
            Leaning::Passes
        } else {
            Leaning::Open
        }
    }
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

    /// The same of their outlines.
    #[expect(clippy::type_complexity, reason = "rows are keys and values")]
    fn outlines(
        &self,
        after: Option<&(ScopeNo, Digest)>,
        count: usize,
    ) -> Result<Vec<((ScopeNo, Digest), Outline)>, Self::Failure>;
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

    /// What is looked over in its place.
    pub fn outline(&self) -> Outline {
        let proposal = self.proposal.unverified();
        let votes = self.approvals.iter().map(Signed::unverified);
        let vote = |vote: &Approval| Vote {
            anchor: vote.anchor,
            yes: vote.yes,
        };
        Outline {
            author: proposal.author,
            class: proposal.class,
            not_after: proposal.not_after,
            byte_count: u64::try_from(self.proposal.byte_count()).unwrap_or(u64::MAX),
            votes: votes.map(vote).collect(),
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

impl Canonical for Vote {
    fn encode(&self, out: &mut Encoder) {
        self.anchor.encode(out);
        out.bool(self.yes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            anchor: PublicKey::decode(input)?,
            yes: input.bool()?,
        })
    }
}

impl Canonical for Outline {
    fn encode(&self, out: &mut Encoder) {
        self.author.encode(out);
        self.class.encode(out);
        self.not_after.encode(out);
        out.u64(self.byte_count);
        out.list(&self.votes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            author: PublicKey::decode(input)?,
            class: Class::decode(input)?,
            not_after: Timestamp::decode(input)?,
            byte_count: input.u64()?,
            votes: input.list("votes", ANCHORS_MAX)?,
        })
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
