//! `Ballot`: who voted on a decided proposal, until it expires; then it is counted once more for
//! those who did not.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::Digest;
use crate::base::limits::ANCHORS_MAX;
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::approval::{Approval, Motion, voter};
use crate::governance::trust::Ledger;

use super::changeset::Stage;
use super::refusal::Refusal;
use super::state::{ScopeNo, ScopeState};
use super::transition::TransitionError;
use super::view::{Decision, IndexView};

/// What became of a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It counts.
    Counts,
    /// It contradicts an earlier one and was kept as evidence.
    Evidence(AnchorId),
}

/// One anchor's vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// Who.
    pub anchor: AnchorId,
    /// Yes or no.
    pub yes: bool,
    /// The impact that was shown.
    pub impact: Digest,
    /// Whether it also signed the opposite.
    pub contradicted: bool,
}

/// The votes on a decided proposal that needed approvals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// The height at which it was decided.
    pub height: u64,
    /// Whether it passed.
    pub passed: bool,
    /// The anchors that could vote, in the order of their ids.
    pub eligible: Vec<AnchorId>,
    /// The votes, in the order in which they were recorded.
    pub votes: Vec<Cast>,
}

impl Ballot {
    /// Records a vote and keeps the ledger. The same vote again is refused and changes nothing;
    /// the opposite one is evidence and recorded once.
    pub fn record(
        &mut self,
        anchor: AnchorId,
        vote: &Approval,
        ledger: &mut Ledger,
    ) -> Result<Taken, Refusal> {
        if !self.eligible.contains(&anchor) {
            return Err(Refusal::NoVoice);
        }
        let tally = ledger.entry(anchor).or_default();
        if let Some(cast) = self.votes.iter_mut().find(|cast| cast.anchor == anchor) {
            if cast.yes == vote.yes || cast.impact != vote.impact || cast.contradicted {
                return Err(Refusal::Voted(anchor));
            }
            cast.contradicted = true;
            tally.contradicted = tally.contradicted.saturating_add(1);
            return Ok(Taken::Evidence(anchor));
        }
        let side = if vote.yes == self.passed {
            &mut tally.aligned
        } else {
            &mut tally.contested
        };
        *side = side.saturating_add(1);
        self.votes.push(Cast {
            anchor,
            yes: vote.yes,
            impact: vote.impact,
            contradicted: false,
        });
        Ok(Taken::Counts)
    }

    /// The proposal expired: whoever could vote and did not has missed it.
    pub fn close(&self, ledger: &mut Ledger) {
        for anchor in &self.eligible {
            if !self.votes.iter().any(|cast| cast.anchor == *anchor) {
                let tally = ledger.entry(*anchor).or_default();
                tally.missed = tally.missed.saturating_add(1);
            }
        }
    }
}

/// Closes the ballots of proposals that expired before `time`, and counts who missed them.
pub(super) fn close_ballots<V: IndexView>(
    stage: &mut Stage<'_, V>,
    state: &ScopeState,
    time: Timestamp,
) -> Result<(), V::Error> {
    let closed = stage.ballots_before(state.no, time)?;
    if closed.is_empty() {
        return Ok(());
    }
    let mut after = state.clone();
    for (decision, ballot) in closed {
        ballot.close(&mut after.ledger);
        stage.put_ballot(decision, None);
    }
    stage.put_scope(after);
    Ok(())
}

/// Records a vote on a proposal that was decided before and has not expired.
pub(super) fn stage_late<V: IndexView>(
    stage: &mut Stage<'_, V>,
    scope: ScopeNo,
    signed: &Signed<Approval>,
    time: Timestamp,
) -> Result<Taken, TransitionError<V::Error>> {
    let vote = signed.unverified();
    let decision = Decision {
        scope,
        not_after: vote.not_after,
        proposal: vote.proposal,
    };
    let view = TransitionError::View;
    let mut state = stage
        .scope(scope)
        .map_err(view)?
        .ok_or(Refusal::NoProposal)?;
    let mut ballot = stage
        .ballot(&decision)
        .map_err(view)?
        .ok_or(Refusal::NoProposal)?;
    let motion = Motion {
        scope: state.uid,
        proposal: decision.proposal,
        not_after: decision.not_after,
    };
    let anchor = voter(&state.descriptor, &motion, time, vote)
        .ok_or(Refusal::NoVoice)?
        .id;
    if signed.clone().verify().is_err() {
        return Err(Refusal::Signature("vote").into());
    }
    let taken = ballot.record(anchor, vote, &mut state.ledger)?;
    stage.put_scope(state);
    stage.put_ballot(decision, Some(ballot));
    Ok(taken)
}

impl Canonical for Cast {
    fn encode(&self, out: &mut Encoder) {
        self.anchor.encode(out);
        out.bool(self.yes);
        self.impact.encode(out);
        out.bool(self.contradicted);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            anchor: AnchorId::decode(input)?,
            yes: input.bool()?,
            impact: Digest::decode(input)?,
            contradicted: input.bool()?,
        })
    }
}

impl Canonical for Ballot {
    fn encode(&self, out: &mut Encoder) {
        out.u64(self.height);
        out.bool(self.passed);
        out.list(&self.eligible);
        out.list(&self.votes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: input.u64()?,
            passed: input.bool()?,
            eligible: input.list("eligible anchors", ANCHORS_MAX)?,
            votes: input.list("votes of a ballot", ANCHORS_MAX)?,
        })
    }
}
