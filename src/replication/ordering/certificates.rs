//! Certificates within a height: what lets an anchor catch up with rounds it did not see.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form, tagged};
use crate::base::digest::Digest;
use crate::base::keys::Signature;
use crate::base::limits::ANCHORS_MAX;
use crate::governance::anchor::SeatSignature;
use crate::governance::certificate::Step;

/// Prevotes of one round for one block that together hold the quorum weight: the block may be
/// voted for again in later rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrevoteCertificate {
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// The block.
    pub block: Digest,
    /// The prevotes, in the order of the seats.
    pub signatures: Vec<SeatSignature>,
}

/// What votes of a round say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundKind {
    /// Somebody honest is in it: who is behind may enter it.
    Skip,
    /// A quorum precommitted in it, whatever: the next one may begin.
    Over,
}

/// One vote of a round certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundVote {
    /// Who voted.
    pub seat: u16,
    /// Which of the two votes.
    pub step: Step,
    /// The block, or none for nil.
    pub block: Option<Digest>,
    /// The signature of the vote.
    pub signature: Signature,
}

/// Votes of one round that are reason enough to enter it, or the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundCertificate {
    /// The height.
    pub height: u64,
    /// The round of the votes.
    pub round: u32,
    /// What they say.
    pub kind: RoundKind,
    /// The votes, one a seat, in the order of the seats.
    pub votes: Vec<RoundVote>,
}

tagged!(
    RoundKind,
    "kind of round certificate",
    Self::Skip = 0,
    Self::Over = 1,
);

impl Canonical for PrevoteCertificate {
    fn encode(&self, out: &mut Encoder) {
        out.u64(self.height);
        out.u32(self.round);
        self.block.encode(out);
        out.list(&self.signatures);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: input.u64()?,
            round: input.u32()?,
            block: Digest::decode(input)?,
            signatures: input.list("prevotes", ANCHORS_MAX)?,
        })
    }
}

impl Canonical for RoundVote {
    fn encode(&self, out: &mut Encoder) {
        out.u16(self.seat);
        self.step.encode(out);
        out.option(self.block.as_ref());
        self.signature.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            seat: input.u16()?,
            step: Step::decode(input)?,
            block: input.option()?,
            signature: Signature::decode(input)?,
        })
    }
}

impl Canonical for RoundCertificate {
    fn encode(&self, out: &mut Encoder) {
        out.u64(self.height);
        out.u32(self.round);
        self.kind.encode(out);
        out.list(&self.votes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: input.u64()?,
            round: input.u32()?,
            kind: RoundKind::decode(input)?,
            votes: input.list("votes of a round", ANCHORS_MAX)?,
        })
    }
}

impl Form for PrevoteCertificate {
    const LABEL: &'static str = "kedge/prevotes";
}

impl Form for RoundCertificate {
    const LABEL: &'static str = "kedge/round";
}
