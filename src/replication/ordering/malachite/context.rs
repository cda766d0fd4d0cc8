//! Our types as the engine wants to see them. Nothing of these is stored, signed or sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_malachitebft_core_types as types;
use types::{NilOrVal, Round, SignedExtension, VoteType, VotingPower};

use crate::base::digest::Digest;
use crate::base::keys::{PublicKey, Signature};

use super::super::electorate::Electorate;

/// The types and the proposers of one height.
#[derive(Debug, Clone)]
pub(super) struct Rounds {
    pub(super) electorate: Arc<Electorate>,
}

/// A height.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Height(pub(super) u64);

/// A seat, which is an address to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat(pub(super) u16);

/// A block by its digest, which is value and identity in one: the engine never sees the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BlockId(pub(super) Digest);

/// An anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Voter {
    seat: Seat,
    key: PublicKey,
    weight: VotingPower,
}

/// The anchors; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Voters {
    first: Voter,
    all: Arc<[Voter]>,
}

/// A vote without its place, which the electorate knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeatVote {
    pub(super) height: Height,
    pub(super) round: Round,
    pub(super) step: VoteType,
    pub(super) value: NilOrVal<BlockId>,
    pub(super) seat: Seat,
}

/// A bid without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeatBid {
    pub(super) height: Height,
    pub(super) round: Round,
    pub(super) value: BlockId,
    pub(super) valid_round: Round,
    pub(super) seat: Seat,
}

/// Blocks are not sent in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoPart;

/// Waits are ours; the engine only names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NoWaits;

/// Signatures are made and checked outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ed25519;

/// A signature with the order that the engine asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sig(pub(super) Signature);

impl Voters {
    pub(super) fn of(electorate: &Electorate) -> Option<Self> {
        let voters = electorate
            .anchors
            .iter()
            .zip(0..)
            .map(|(anchor, seat)| Voter {
                seat: Seat(seat),
                key: anchor.vote_key,
                weight: u64::from(anchor.weight),
            });
        let all: Arc<[Voter]> = voters.collect();
        let first = all.first().cloned()?;
        Some(Self { first, all })
    }
}

impl SeatVote {
    const fn of(
        step: VoteType,
        (height, round): (Height, Round),
        value: NilOrVal<BlockId>,
        seat: Seat,
    ) -> Self {
        Self {
            height,
            round,
            step,
            value,
            seat,
        }
    }
}

impl types::Context for Rounds {
    type Address = Seat;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = SeatBid;
    type Validator = Voter;
    type ValidatorSet = Voters;
    type Timeouts = NoWaits;
    type Value = BlockId;
    type Vote = SeatVote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, validator_set: &'a Voters, _: Height, round: Round) -> &'a Voter {
        let seat = self.electorate.proposer(round.as_u32().unwrap_or_default());
        let proposer = validator_set.all.get(usize::from(seat));
        proposer.unwrap_or(&validator_set.first)
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: BlockId,
        pol_round: Round,
        address: Seat,
    ) -> SeatBid {
        SeatBid {
            height,
            round,
            value,
            valid_round: pol_round,
            seat: address,
        }
    }

    fn new_prevote(
        &self,
        height: Height,
        round: Round,
        value_id: NilOrVal<BlockId>,
        address: Seat,
    ) -> SeatVote {
        SeatVote::of(VoteType::Prevote, (height, round), value_id, address)
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        value_id: NilOrVal<BlockId>,
        address: Seat,
    ) -> SeatVote {
        SeatVote::of(VoteType::Precommit, (height, round), value_id, address)
    }
}

impl types::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl types::Address for Seat {}

impl types::Value for BlockId {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

impl types::Validator<Rounds> for Voter {
    fn address(&self) -> &Seat {
        &self.seat
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> VotingPower {
        self.weight
    }
}

impl types::ValidatorSet<Rounds> for Voters {
    fn count(&self) -> usize {
        self.all.len()
    }

    fn total_voting_power(&self) -> VotingPower {
        self.all.iter().map(|voter| voter.weight).sum()
    }

    fn get_by_address(&self, address: &Seat) -> Option<&Voter> {
        self.all.get(usize::from(address.0))
    }

    fn get_by_index(&self, index: usize) -> Option<&Voter> {
        self.all.get(index)
    }
}

impl types::Vote<Rounds> for SeatVote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.step
    }

    fn validator_address(&self) -> &Seat {
        &self.seat
    }

    fn extension(&self) -> Option<&SignedExtension<Rounds>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Rounds>> {
        None
    }

    fn extend(self, _: SignedExtension<Rounds>) -> Self {
        self
    }
}

impl types::Proposal<Rounds> for SeatBid {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &BlockId {
        &self.value
    }

    fn take_value(self) -> BlockId {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.valid_round
    }

    fn validator_address(&self) -> &Seat {
        &self.seat
    }
}

impl types::ProposalPart<Rounds> for NoPart {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

impl types::Timeouts<Rounds> for NoWaits {
    fn duration_for(&self, _: types::Timeout) -> Duration {
        Duration::ZERO
    }
}

impl types::SigningScheme for Ed25519 {
    type DecodingError = String;
    type Signature = Sig;
    type PublicKey = PublicKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Sig, String> {
        let bytes = bytes.try_into().map_err(|_| "64 bytes".to_owned())?;
        Ok(Sig(Signature::from_bytes(bytes)))
    }

    fn encode_signature(signature: &Sig) -> Vec<u8> {
        signature.0.as_bytes().to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, String> {
        let bytes = bytes.try_into().map_err(|_| "32 bytes".to_owned())?;
        PublicKey::from_bytes(bytes).map_err(|error| error.to_string())
    }

    fn encode_public_key(public_key: &PublicKey) -> Vec<u8> {
        public_key.as_bytes().to_vec()
    }
}

impl Ord for Sig {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_bytes().cmp(other.0.as_bytes())
    }
}

impl PartialOrd for Sig {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
