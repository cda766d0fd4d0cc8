//! Statements and certificates of ours to the engine's, and back.

use arc_malachitebft_core_consensus::{Input as EngineInput, ProposedValue};
use arc_malachitebft_core_types as types;
use types::{
    NilOrVal, Round, SignedMessage, Timeout, TimeoutKind, Validity, ValueOrigin, VoteType,
};

use crate::base::digest::Digest;
use crate::base::keys::Signature;
use crate::governance::anchor::SeatSignature;
use crate::governance::certificate::{Step, Vote};

use super::super::certificates::{PrevoteCertificate, RoundCertificate, RoundKind, RoundVote};
use super::super::electorate::Electorate;
use super::super::journal::{Entry, Judged};
use super::super::statement::{Bid, BySeat, Checked, SeatSigned};
use super::super::timer::{Timer, Wait};
use super::context::{BlockId, Height, Rounds, Seat, SeatBid, SeatVote, Sig};

type SignedVote = types::SignedVote<Rounds>;
type SignedBid = types::SignedProposal<Rounds>;

const fn step_in(step: Step) -> VoteType {
    match step {
        Step::Prevote => VoteType::Prevote,
        Step::Precommit => VoteType::Precommit,
    }
}

const fn step_out(step: VoteType) -> Step {
    match step {
        VoteType::Prevote => Step::Prevote,
        VoteType::Precommit => Step::Precommit,
    }
}

fn value_in(block: Option<Digest>) -> NilOrVal<BlockId> {
    block.map_or(NilOrVal::Nil, |block| NilOrVal::Val(BlockId(block)))
}

fn value_out(value: &NilOrVal<BlockId>) -> Option<Digest> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(block) => Some(block.0),
    }
}

pub(super) fn vote_in(electorate: &Electorate, said: &SeatSigned<Vote>) -> Option<SignedVote> {
    let vote = &said.object;
    let vote = SeatVote {
        height: Height(vote.height),
        round: Round::new(vote.round),
        step: step_in(vote.step),
        value: value_in(vote.block),
        seat: Seat(electorate.seat(&vote.anchor)?),
    };
    Some(SignedMessage::new(vote, Sig(said.signature)))
}

pub(super) fn vote_out(electorate: &Electorate, vote: &SeatVote) -> Option<Vote> {
    let cast = (step_out(vote.step), value_out(&vote.value));
    electorate.vote(vote.seat.0, vote.round.as_u32()?, cast)
}

pub(super) fn signed_vote_out(electorate: &Electorate, vote: &SignedVote) -> Option<Checked<Vote>> {
    let object = vote_out(electorate, &vote.message)?;
    let signature = vote.signature.0;
    let said = SeatSigned { object, signature };
    Some(Checked::new(said, vote.message.seat.0))
}

pub(super) fn bid_in(electorate: &Electorate, said: &SeatSigned<Bid>) -> Option<SignedBid> {
    let bid = &said.object;
    let seat_bid = SeatBid {
        height: Height(bid.height),
        round: Round::new(bid.round()),
        value: BlockId(bid.block),
        valid_round: Round::from(bid.valid_round),
        seat: Seat(electorate.seat(&bid.anchor)?),
    };
    Some(SignedMessage::new(seat_bid, Sig(said.signature)))
}

pub(super) fn bid_out(electorate: &Electorate, bid: &SeatBid) -> Option<Bid> {
    Some(Bid {
        scope: electorate.scope,
        descriptor: electorate.descriptor,
        height: bid.height.0,
        round: bid.round.as_u32()?,
        valid_round: bid.valid_round.as_u32(),
        block: bid.value.0,
        anchor: electorate.at(bid.seat.0)?.id,
    })
}

pub(super) fn signed_bid_out(electorate: &Electorate, bid: &SignedBid) -> Option<Checked<Bid>> {
    let object = bid_out(electorate, &bid.message)?;
    let signature = bid.signature.0;
    Some(Checked::new(
        SeatSigned { object, signature },
        bid.message.seat.0,
    ))
}

pub(super) fn prevotes_in(certificate: &PrevoteCertificate) -> types::PolkaCertificate<Rounds> {
    let signatures = certificate
        .signatures
        .iter()
        .map(|signed| types::PolkaSignature::new(Seat(signed.seat), Sig(signed.signature)));
    types::PolkaCertificate {
        height: Height(certificate.height),
        round: Round::new(certificate.round),
        value_id: BlockId(certificate.block),
        polka_signatures: signatures.collect(),
    }
}

pub(super) fn prevotes_out(polka: &types::PolkaCertificate<Rounds>) -> Option<PrevoteCertificate> {
    let signatures = polka.polka_signatures.iter();
    let signatures = signatures.map(|signed| (signed.address.0, signed.signature.0));
    Some(PrevoteCertificate {
        height: polka.height.0,
        round: polka.round.as_u32()?,
        block: polka.value_id.0,
        signatures: by_seat(signatures),
    })
}

/// In the order of the seats, each once.
fn by_seat(signatures: impl Iterator<Item = (u16, Signature)>) -> Vec<SeatSignature> {
    let mut list: Vec<SeatSignature> = signatures
        .map(|(seat, signature)| SeatSignature { seat, signature })
        .collect();
    list.sort_by_key(|signed| signed.seat);
    list.dedup_by_key(|signed| signed.seat);
    list
}

pub(super) fn round_in(certificate: &RoundCertificate) -> types::RoundCertificate<Rounds> {
    let votes = certificate.votes.iter().map(|vote| types::RoundSignature {
        vote_type: step_in(vote.step),
        value_id: value_in(vote.block),
        address: Seat(vote.seat),
        signature: Sig(vote.signature),
    });
    types::RoundCertificate {
        height: Height(certificate.height),
        round: Round::new(certificate.round),
        cert_type: match certificate.kind {
            RoundKind::Skip => types::RoundCertificateType::Skip,
            RoundKind::Over => types::RoundCertificateType::Precommit,
        },
        round_signatures: votes.collect(),
    }
}

pub(super) fn round_out(round: &types::RoundCertificate<Rounds>) -> Option<RoundCertificate> {
    let votes = round.round_signatures.iter().map(|signed| RoundVote {
        seat: signed.address.0,
        step: step_out(signed.vote_type),
        block: value_out(&signed.value_id),
        signature: signed.signature.0,
    });
    let mut votes: Vec<RoundVote> = votes.collect();
    votes.sort_by_key(|vote| vote.seat);
    votes.dedup_by_key(|vote| vote.seat);
    Some(RoundCertificate {
        height: round.height.0,
        round: round.round.as_u32()?,
        kind: match round.cert_type {
            types::RoundCertificateType::Skip => RoundKind::Skip,
            types::RoundCertificateType::Precommit => RoundKind::Over,
        },
        votes,
    })
}

pub(super) const fn timer_in(timer: Timer) -> Timeout {
    let kind = match timer.wait {
        Wait::Bid => TimeoutKind::Propose,
        Wait::Prevotes => TimeoutKind::Prevote,
        Wait::Precommits => TimeoutKind::Precommit,
        Wait::Repeat => TimeoutKind::Rebroadcast,
    };
    Timeout::new(Round::new(timer.round), kind)
}

/// None for what is never waited for here: nothing happens at a height after it is decided.
pub(super) fn timer_out(timeout: &Timeout) -> Option<Timer> {
    let wait = match timeout.kind {
        TimeoutKind::Propose => Wait::Bid,
        TimeoutKind::Prevote => Wait::Prevotes,
        TimeoutKind::Precommit => Wait::Precommits,
        TimeoutKind::Rebroadcast => Wait::Repeat,
        TimeoutKind::FinalizeHeight(_) => return None,
    };
    let round = timeout.round.as_u32()?;
    Some(Timer { round, wait })
}

pub(super) fn judged_in(electorate: &Electorate, judged: &Judged) -> EngineInput<Rounds> {
    let value = ProposedValue {
        height: Height(electorate.height),
        round: Round::new(judged.round),
        valid_round: Round::from(judged.valid_round),
        proposer: Seat(judged.seat),
        value: BlockId(judged.block),
        validity: Validity::from_bool(judged.valid),
    };
    EngineInput::ProposedValue(value, ValueOrigin::Consensus)
}

pub(super) fn entry_in(electorate: &Electorate, entry: &Entry) -> Option<EngineInput<Rounds>> {
    Some(match entry {
        Entry::Bid(bid) => EngineInput::Proposal(bid_in(electorate, bid)?),
        Entry::Vote(vote) => EngineInput::Vote(vote_in(electorate, vote)?),
        Entry::Judged(judged) => judged_in(electorate, judged),
        Entry::Prevotes(certificate) => EngineInput::PolkaCertificate(prevotes_in(certificate)),
        Entry::TimedOut(timer) => EngineInput::TimeoutElapsed(timer_in(*timer)),
    })
}

/// None for what an engine never journals.
pub(super) fn entry_out(electorate: &Electorate, input: &EngineInput<Rounds>) -> Option<Entry> {
    match input {
        EngineInput::Vote(vote) => {
            let vote = signed_vote_out(electorate, vote)?;
            Some(Entry::Vote(vote.said().clone()))
        }
        EngineInput::Proposal(bid) => {
            let bid = signed_bid_out(electorate, bid)?;
            Some(Entry::Bid(bid.said().clone()))
        }
        EngineInput::PolkaCertificate(polka) => prevotes_out(polka).map(Entry::Prevotes),
        EngineInput::TimeoutElapsed(timeout) => timer_out(timeout).map(Entry::TimedOut),
        EngineInput::ProposedValue(value, _) => Some(Entry::Judged(Judged {
            round: value.round.as_u32()?,
            valid_round: value.valid_round.as_u32(),
            seat: value.proposer.0,
            block: value.value.0,
            valid: value.validity.is_valid(),
        })),
        EngineInput::StartHeight(..)
        | EngineInput::RoundCertificate(_)
        | EngineInput::Propose(_)
        | EngineInput::SyncValueResponse(_) => None,
    }
}
