//! `Electorate`: who votes at one height, with which weight, and whose turn it is to propose.

use crate::base::digest::Digest;
use crate::base::keys::Signature;
use crate::governance::anchor::{Anchor, AnchorId};
use crate::governance::certificate::{Certificate, Step, Vote};
use crate::governance::descriptor::Descriptor;
use crate::governance::policy::Quorum;
use crate::namespace::scope::ScopeUid;

use super::certificates::{PrevoteCertificate, RoundCertificate, RoundKind};
use super::message::Message;
use super::statement::{BySeat, Checked, SeatSigned, Tender};

/// Rounds after which the rotation starts again: it is computed step by step, and no height comes
/// near it.
const ROTATION_MAX: u32 = 4_096;

/// The voters of one height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Electorate {
    /// The scope.
    pub scope: ScopeUid,
    /// The digest of the descriptor, which votes name.
    pub descriptor: Digest,
    /// The height that is decided.
    pub height: u64,
    /// The block before.
    pub prev: Digest,
    /// How much weight decides.
    pub quorum: Quorum,
    /// The anchors, by seat.
    pub anchors: Vec<Anchor>,
    /// The seat that proposes first.
    pub first: u16,
}

/// Why something that claims to be of this height is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotChecked {
    /// Of another scope, height or descriptor.
    #[error("it is about another scope, height or descriptor")]
    Elsewhere,
    /// Nobody with a seat.
    #[error("its signer has no seat")]
    Stranger,
    /// The signature is not the anchor's.
    #[error("a signature does not hold")]
    Signature,
    /// It is another anchor's turn.
    #[error("it is not the signer's turn to propose")]
    Turn,
    /// Too little weight, or a seat out of order.
    #[error("its votes hold too little weight")]
    Weight,
    /// The block is not the one that was signed, or does not follow the block before.
    #[error("the block is not the one that was signed")]
    Block,
}

impl Electorate {
    /// The voters that a certified descriptor gives to the height after `prev`, a block at
    /// `height - 1` that `last_proposer` packed. Who proposed last proposes first: nobody has to
    /// wait for another one.
    pub fn new(
        descriptor: &Descriptor,
        (height, prev): (u64, Digest),
        last_proposer: &AnchorId,
    ) -> Self {
        let anchors = descriptor.anchors.anchors().to_vec();
        let last = anchors
            .iter()
            .position(|anchor| anchor.id == *last_proposer);
        // Its seat may be gone: then the heaviest is first, the earliest of equals.
        let heaviest = || {
            (0..anchors.len())
                .rev()
                .max_by_key(|at| anchors.get(*at).map(|a| a.weight))
        };
        let first = last.or_else(heaviest).unwrap_or_default();
        Self {
            scope: descriptor.scope_uid(),
            descriptor: descriptor.digest(),
            height,
            prev,
            quorum: descriptor.policy.quorum,
            first: u16::try_from(first).unwrap_or_default(),
            anchors,
        }
    }

    /// The sum of all weights.
    pub fn total_weight(&self) -> u64 {
        self.anchors
            .iter()
            .map(|anchor| u64::from(anchor.weight))
            .sum()
    }

    /// The least weight that decides.
    pub fn quorum_weight(&self) -> u64 {
        self.quorum.needed(self.total_weight())
    }

    /// The least weight among which somebody is honest.
    pub fn honest_weight(&self) -> u64 {
        match self.quorum {
            Quorum::Bft => self.total_weight() / 3 + 1,
            Quorum::Majority => 1,
        }
    }

    /// The anchor of a seat.
    pub fn at(&self, seat: u16) -> Option<&Anchor> {
        self.anchors.get(usize::from(seat))
    }

    /// The seat of an anchor.
    pub fn seat(&self, id: &AnchorId) -> Option<u16> {
        let seat = self.anchors.iter().position(|anchor| anchor.id == *id)?;
        u16::try_from(seat).ok()
    }

    /// The weight of a seat; 0 for a stranger.
    pub fn weight(&self, seat: u16) -> u64 {
        self.at(seat).map_or(0, |anchor| u64::from(anchor.weight))
    }

    /// The seat whose turn it is: first who proposed the last block, then everybody in turn, the
    /// heavier the more often (smooth weighted round robin: each gains its weight, the richest
    /// pays the total).
    pub fn proposer(&self, round: u32) -> u16 {
        if round == 0 {
            return self.first;
        }
        let total = i128::from(self.total_weight());
        let mut credit: Vec<i128> = vec![0; self.anchors.len()];
        let mut turn = usize::from(self.first);
        for at in 0..=(round % ROTATION_MAX) {
            for (credit, anchor) in credit.iter_mut().zip(&self.anchors) {
                *credit += i128::from(anchor.weight);
            }
            if at > 0 {
                let richest = (0..credit.len())
                    .rev()
                    .max_by_key(|at| credit.get(*at).copied());
                turn = richest.unwrap_or_default();
            }
            if let Some(credit) = credit.get_mut(turn) {
                *credit -= total;
            }
        }
        u16::try_from(turn).unwrap_or_default()
    }

    /// Checks that a statement is of this height and its anchor's.
    pub fn check<T: BySeat>(&self, said: SeatSigned<T>) -> Result<Checked<T>, NotChecked> {
        if said.object.place() != (self.scope, self.descriptor, self.height) {
            return Err(NotChecked::Elsewhere);
        }
        let seat = self
            .seat(&said.object.anchor())
            .ok_or(NotChecked::Stranger)?;
        let anchor = self.at(seat).ok_or(NotChecked::Stranger)?;
        if !anchor
            .vote_key
            .verifies(&said.object.to_bytes(), &said.signature)
        {
            return Err(NotChecked::Signature);
        }
        Ok(Checked::new(said, seat))
    }

    /// Checks that a block could be the one of this height, as far as its header says. Whether its
    /// body may be decided is for the index.
    pub fn follows(&self, tender: &Tender) -> Result<(), NotChecked> {
        let block = tender.block();
        let place = (block.scope, block.descriptor, block.height, block.prev);
        if place != (self.scope, self.descriptor, self.height, self.prev) {
            return Err(NotChecked::Block);
        }
        self.seat(&block.proposer)
            .map(|_| ())
            .ok_or(NotChecked::Block)
    }

    /// The vote that a seat cast, rebuilt from a certificate; unsigned.
    pub fn vote(
        &self,
        seat: u16,
        round: u32,
        (step, block): (Step, Option<Digest>),
    ) -> Option<Vote> {
        Some(Vote {
            scope: self.scope,
            descriptor: self.descriptor,
            height: self.height,
            round,
            step,
            block,
            anchor: self.at(seat)?.id,
        })
    }

    /// The prevotes of a certificate, checked, if they hold a quorum.
    pub fn prevotes(
        &self,
        certificate: &PrevoteCertificate,
    ) -> Result<Vec<Checked<Vote>>, NotChecked> {
        let PrevoteCertificate {
            height,
            round,
            block,
            signatures,
        } = certificate;
        let votes = signatures.iter().map(|signed| {
            let vote = self.vote(signed.seat, *round, (Step::Prevote, Some(*block)));
            (vote, signed.signature)
        });
        self.weigh(*height, votes, self.quorum_weight())
    }

    /// The votes of a certificate, checked, if they are reason enough to enter its round.
    pub fn round_votes(
        &self,
        certificate: &RoundCertificate,
    ) -> Result<Vec<Checked<Vote>>, NotChecked> {
        let needed = match certificate.kind {
            RoundKind::Skip => self.honest_weight(),
            RoundKind::Over => self.quorum_weight(),
        };
        let over = certificate.kind == RoundKind::Over;
        if over
            && certificate
                .votes
                .iter()
                .any(|vote| vote.step != Step::Precommit)
        {
            return Err(NotChecked::Weight);
        }
        let votes = certificate.votes.iter().map(|cast| {
            let vote = self.vote(cast.seat, certificate.round, (cast.step, cast.block));
            (vote, cast.signature)
        });
        self.weigh(certificate.height, votes, needed)
    }

    /// Checks that anchors of this height signed a message, of whatever round: what nobody with a seat
    /// signed is no reason to begin anything.
    pub fn vouches(&self, message: &Message) -> Result<(), NotChecked> {
        match message {
            Message::Bid(bid, tender) => {
                let bid = self.check(bid.clone())?;
                if self.proposer(bid.object().round) != bid.seat() {
                    return Err(NotChecked::Turn);
                }
                self.follows(tender)
            }
            Message::Vote(vote) => self.check(vote.clone()).map(|_| ()),
            Message::Prevotes(certificate) => self.prevotes(certificate).map(|_| ()),
            Message::Round(certificate) => self.round_votes(certificate).map(|_| ()),
            Message::Decided(tender, certificate) => {
                if !self.decides(certificate, tender) {
                    return Err(NotChecked::Block);
                }
                let Certificate { round, block, .. } = certificate;
                let votes = certificate.signatures.iter().map(|signed| {
                    let vote = self.vote(signed.seat, *round, (Step::Precommit, Some(*block)));
                    (vote, signed.signature)
                });
                self.weigh(certificate.height, votes, self.quorum_weight())
                    .map(|_| ())
            }
        }
    }

    fn weigh(
        &self,
        height: u64,
        votes: impl Iterator<Item = (Option<Vote>, Signature)>,
        needed: u64,
    ) -> Result<Vec<Checked<Vote>>, NotChecked> {
        if height != self.height {
            return Err(NotChecked::Elsewhere);
        }
        let mut checked: Vec<Checked<Vote>> = Vec::new();
        let mut weight = 0;
        for (vote, signature) in votes {
            let object = vote.ok_or(NotChecked::Stranger)?;
            let vote = self.check(SeatSigned { object, signature })?;
            if checked
                .last()
                .is_some_and(|last| last.seat() >= vote.seat())
            {
                return Err(NotChecked::Weight);
            }
            weight += self.weight(vote.seat());
            checked.push(vote);
        }
        if weight < needed {
            return Err(NotChecked::Weight);
        }
        Ok(checked)
    }

    /// Whether a certificate names this height and a block that follows.
    pub fn decides(&self, certificate: &Certificate, tender: &Tender) -> bool {
        self.follows(tender).is_ok()
            && certificate.height == self.height
            && certificate.block == tender.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::SecretKey;
    use crate::governance::anchor::AnchorGroup;
    use crate::governance::policy::Policy;

    fn electorate(weights: &[u32], last: usize) -> Electorate {
        let anchors = weights.iter().zip(1..).map(|(weight, seed)| Anchor {
            weight: *weight,
            ..Anchor::new(SecretKey::from_seed(&[seed; 32]).public(), "")
        });
        let group = AnchorGroup::new(anchors.collect()).unwrap();
        let last = group.anchors()[last].id;
        let descriptor = Descriptor::genesis(None, [0; 16], group, Policy::default());
        Electorate::new(&descriptor, (1, Digest::ZERO), &last)
    }

    #[test]
    fn who_proposed_last_is_first_and_then_everybody_has_a_turn() {
        let electorate = electorate(&[1, 1, 1, 1], 2);
        let turns: Vec<u16> = (0..8).map(|round| electorate.proposer(round)).collect();
        assert_eq!(turns[0], 2);
        for four in turns.chunks(4) {
            let once: std::collections::BTreeSet<&u16> = four.iter().collect();
            assert_eq!(once.len(), 4, "{turns:?}");
        }
    }

    #[test]
    fn the_heavier_propose_more_often() {
        let electorate = electorate(&[5, 5, 5, 5], 0);
        let heavy = Electorate {
            anchors: electorate
                .anchors
                .iter()
                .zip([4, 3, 2, 1])
                .map(|(anchor, weight)| Anchor {
                    weight,
                    ..anchor.clone()
                })
                .collect(),
            ..electorate
        };
        let mut turns = [0; 4];
        for round in 0..10 {
            turns[usize::from(heavy.proposer(round))] += 1;
        }
        assert_eq!(turns, [4, 3, 2, 1]);
    }

    #[test]
    fn a_proposer_whose_seat_is_gone_is_followed_by_the_heaviest() {
        let of = electorate(&[1, 1, 1], 0);
        let gone = AnchorId::of_first_key(&SecretKey::from_seed(&[99; 32]).public());
        let group = AnchorGroup::new(of.anchors.clone()).unwrap();
        let descriptor = Descriptor::genesis(None, [0; 16], group, Policy::default());
        let electorate = Electorate::new(&descriptor, (1, Digest::ZERO), &gone);
        assert_eq!(electorate.first, 0);
    }
}
