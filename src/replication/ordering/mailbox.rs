//! `Mailbox`: everything signed about one height that still matters, for whoever comes by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::canonical::Form as _;
use crate::base::digest::Digest;
use crate::governance::anchor::SeatSignature;
use crate::governance::certificate::{Certificate, Step, Vote};
use crate::governance::descriptor::Descriptor;

use super::certificates::{PrevoteCertificate, RoundCertificate, RoundKind};
use super::electorate::{Electorate, NotChecked};
use super::engine::Input;
use super::guard::Kind;
use super::message::{Evidence, Message};
use super::statement::{Bid, Checked, SeatSigned, Tender};

/// Rounds ahead of the known one in which votes are kept: the engine looks no further either. A
/// round certificate brings the mailbox nearer.
const ROUNDS_AHEAD_MAX: u32 = 10;
/// Rounds that are kept behind the known one: a precommit of one of them may still complete a
/// decision, and nobody who waits that long is waited for.
const ROUNDS_BEHIND_MAX: u32 = 64;
/// Statements kept of one anchor, round and kind: the second convicts it.
const STATEMENTS_MAX: usize = 2;
/// Prevote certificates that are kept: the newest counts, those before may be named by bids.
const PREVOTES_MAX: usize = 4;
/// Bytes of blocks that are kept of what one anchor offers at a height: four of the largest, sixteen
/// of the usual. Of an anchor that offers another one in each of its rounds the oldest are dropped, but
/// for those that a quorum prevoted; who decided a dropped one hands it over with its certificate.
pub const TENDER_BYTES_PER_ANCHOR_MAX: usize = 4 << 20;

/// What came of a message.
#[derive(Debug, Default)]
pub struct Taken {
    /// What an engine should be told, in order.
    pub inputs: Vec<Input>,
    /// A block that was not seen before.
    pub tender: Option<Tender>,
    /// Anchors that contradicted themselves.
    pub evidence: Vec<Evidence>,
    /// The height is decided.
    pub decided: Option<(Tender, Certificate)>,
}

/// The messages of one height. It is bounded, whoever sends: only anchors fill it, two statements
/// for each round and kind.
#[derive(Debug, Clone)]
pub struct Mailbox {
    descriptor: Arc<Descriptor>,
    electorate: Arc<Electorate>,
    round: u32,
    bids: BTreeMap<(u32, u16), Vec<SeatSigned<Bid>>>,
    votes: BTreeMap<(u32, Kind, u16), Vec<SeatSigned<Vote>>>,
    tenders: BTreeMap<Digest, Tender>,
    /// The bytes of each.
    sizes: BTreeMap<Digest, usize>,
    prevotes: BTreeMap<(u32, Digest), PrevoteCertificate>,
    entered: Option<RoundCertificate>,
    decided: Option<(Tender, Certificate)>,
}

impl Mailbox {
    /// An empty mailbox of the height whose voters these are.
    pub fn new(descriptor: Arc<Descriptor>, electorate: Arc<Electorate>) -> Self {
        Self {
            descriptor,
            electorate,
            round: 0,
            bids: BTreeMap::new(),
            votes: BTreeMap::new(),
            tenders: BTreeMap::new(),
            sizes: BTreeMap::new(),
            prevotes: BTreeMap::new(),
            entered: None,
            decided: None,
        }
    }

    /// Checks a message and keeps what is new of it.
    ///
    /// # Errors
    /// If it is not what it claims to be; nothing of it is kept.
    pub fn take(&mut self, message: Message) -> Result<Taken, NotChecked> {
        let mut taken = Taken::default();
        if self.decided.is_some() {
            return Ok(taken);
        }
        match message {
            Message::Bid(bid, tender) => self.take_bid(bid, tender, &mut taken)?,
            Message::Vote(vote) => self.take_vote(vote, &mut taken)?,
            Message::Prevotes(certificate) => self.take_prevotes(certificate, &mut taken)?,
            Message::Round(certificate) => self.take_round(certificate, &mut taken)?,
            Message::Decided(tender, certificate) => {
                self.decide(tender, certificate, &mut taken)?;
            }
        }
        Ok(taken)
    }

    /// Everything, in the order in which who was away can use it: a decision makes the rest
    /// unnecessary, and votes of later rounds are dropped by who does not know the round yet.
    pub fn hand_over(&self) -> Vec<Message> {
        if let Some((tender, certificate)) = self.decided.clone() {
            return vec![Message::Decided(tender, certificate)];
        }
        let bids = self.bids.values().flatten().filter_map(|bid| {
            let tender = self.tenders.get(&bid.object.block)?;
            Some(Message::Bid(bid.clone(), tender.clone()))
        });
        let mut messages: Vec<Message> = self.entered.iter().cloned().map(Message::Round).collect();
        messages.extend(self.prevotes.values().cloned().map(Message::Prevotes));
        messages.extend(bids);
        messages.extend(self.votes.values().flatten().cloned().map(Message::Vote));
        messages
    }

    /// A block that was offered.
    pub fn tender(&self, digest: &Digest) -> Option<&Tender> {
        self.tenders.get(digest)
    }

    /// What a seat offered in a round.
    pub(super) fn bid_of(&self, round: u32, seat: u16) -> Option<Message> {
        let bid = self.bids.get(&(round, seat))?.first()?;
        let tender = self.tenders.get(&bid.object.block)?;
        Some(Message::Bid(bid.clone(), tender.clone()))
    }

    /// The first bid for a block.
    pub fn bid_for(&self, block: &Digest) -> Option<&Bid> {
        let mut bids = self.bids.values().flatten().map(|bid| &bid.object);
        bids.find(|bid| bid.block == *block)
    }

    /// Whether a block is kept that was offered and is alive, or has a quorum of prevotes.
    pub fn has_bid(&self, is_alive: impl Fn(&Digest) -> bool) -> bool {
        let bids = self.bids.values().flatten();
        let offered = bids.map(|bid| bid.object.block).filter(is_alive);
        let certified = self.prevotes.keys().map(|(_, block)| *block);
        let mut blocks = offered.chain(certified);
        blocks.any(|block| self.tenders.contains_key(&block))
    }

    /// Every block that is kept.
    pub fn tenders(&self) -> impl Iterator<Item = &Tender> {
        self.tenders.values()
    }

    /// Keeps a block that was made or stored here.
    pub(super) fn keep(&mut self, tender: Tender) {
        let digest = tender.digest();
        if !self.tenders.contains_key(&digest) {
            self.sizes.insert(digest, tender.to_bytes().len());
            self.tenders.insert(digest, tender);
        }
    }

    /// Drops the oldest blocks of a seat that offered more than is kept.
    fn trim(&mut self, seat: u16) {
        let certified = self.prevotes.keys().map(|(_, block)| *block);
        let (mut own, mut needed) = (Vec::new(), BTreeSet::new());
        needed.extend(certified);
        for ((_, by), bids) in &self.bids {
            let blocks = bids.iter().map(|bid| bid.object.block);
            if *by == seat {
                own.extend(blocks);
            } else {
                needed.extend(blocks);
            }
        }
        let (mut seen, mut byte_count) = (BTreeSet::new(), 0);
        // The newest first.
        for block in own.into_iter().rev() {
            let Some(size) = self.sizes.get(&block).filter(|_| seen.insert(block)) else {
                continue;
            };
            byte_count += size;
            if byte_count > TENDER_BYTES_PER_ANCHOR_MAX && !needed.contains(&block) {
                self.sizes.remove(&block);
                self.tenders.remove(&block);
            }
        }
    }

    /// A round is known to be reached: what is far behind is dropped.
    pub(super) fn reach(&mut self, round: u32) {
        if round <= self.round {
            return;
        }
        self.round = round;
        let floor = round.saturating_sub(ROUNDS_BEHIND_MAX);
        self.bids.retain(|(round, _), _| *round >= floor);
        self.votes.retain(|(round, ..), _| *round >= floor);
        let bids = self.bids.values().flatten().map(|bid| bid.object.block);
        let certified = self.prevotes.keys().map(|(_, block)| *block);
        let needed: BTreeSet<Digest> = bids.chain(certified).collect();
        self.tenders.retain(|digest, _| needed.contains(digest));
        self.sizes.retain(|digest, _| needed.contains(digest));
    }

    fn near(&self, round: u32) -> bool {
        let ahead = self.round.saturating_add(ROUNDS_AHEAD_MAX);
        (self.round.saturating_sub(ROUNDS_BEHIND_MAX)..=ahead).contains(&round)
    }

    fn take_bid(
        &mut self,
        bid: SeatSigned<Bid>,
        tender: Tender,
        taken: &mut Taken,
    ) -> Result<(), NotChecked> {
        let round = bid.object.round;
        let Some(seat) = self.electorate.seat(&bid.object.anchor) else {
            return Err(NotChecked::Stranger);
        };
        let held = self.bids.get(&(round, seat)).map_or(&[][..], Vec::as_slice);
        if !self.near(round)
            || held.len() >= STATEMENTS_MAX
            || held.iter().any(|held| held.object == bid.object)
        {
            return Ok(());
        }
        if self.electorate.proposer(round) != seat {
            return Err(NotChecked::Turn);
        }
        if bid.object.block != tender.digest() {
            return Err(NotChecked::Block);
        }
        // Who offers a block again need not have packed it.
        let packed = tender.block().proposer == bid.object.anchor;
        if !packed && bid.object.valid_round.is_none() {
            return Err(NotChecked::Block);
        }
        self.electorate.follows(&tender)?;
        let bid = self.electorate.check(bid)?;
        if !self.tenders.contains_key(&tender.digest()) {
            taken.tender = Some(tender.clone());
            self.keep(tender);
        }
        self.hold_bid(&bid, taken);
        taken.inputs.push(Input::Bid(bid));
        Ok(())
    }

    /// Keeps a bid that was checked, or made here.
    pub(super) fn hold_bid(&mut self, bid: &Checked<Bid>, taken: &mut Taken) {
        let place = (bid.object().round, bid.seat());
        let held = self.bids.entry(place).or_default();
        if held.len() >= STATEMENTS_MAX || held.iter().any(|held| held.object == *bid.object()) {
            return;
        }
        if let Some(first) = held.first() {
            let evidence = Evidence::Bids(first.clone(), bid.said().clone());
            taken.evidence.push(evidence);
        }
        held.push(bid.said().clone());
        self.trim(bid.seat());
    }

    fn take_vote(&mut self, vote: SeatSigned<Vote>, taken: &mut Taken) -> Result<(), NotChecked> {
        let object = &vote.object;
        let seat = self
            .electorate
            .seat(&object.anchor)
            .ok_or(NotChecked::Stranger)?;
        let held = self.votes.get(&(object.round, object.step.into(), seat));
        let held = held.map_or(&[][..], Vec::as_slice);
        let known = held.iter().any(|held| held.object == *object);
        if known || held.len() >= STATEMENTS_MAX || !self.near(object.round) {
            return Ok(());
        }
        let first = held.is_empty();
        let vote = self.electorate.check(vote)?;
        // An engine counts the first one; certificates made here count every one.
        if first {
            taken.inputs.push(Input::Vote(vote.clone()));
        }
        self.hold_vote(&vote, taken);
        Ok(())
    }

    /// Keeps a vote that was checked, or cast here, and finds what it completes.
    pub(super) fn hold_vote(&mut self, vote: &Checked<Vote>, taken: &mut Taken) {
        let object = vote.object();
        let place = (object.round, object.step.into(), vote.seat());
        let held = self.votes.entry(place).or_default();
        if held.len() >= STATEMENTS_MAX || held.iter().any(|held| held.object == *object) {
            return;
        }
        if let Some(first) = held.first() {
            let evidence = Evidence::Votes(first.clone(), vote.said().clone());
            taken.evidence.push(evidence);
        }
        held.push(vote.said().clone());
        if let Some(block) = object.block {
            self.complete(object.round, object.step, block, taken);
        }
    }

    /// Keeps the votes of a certificate. An engine that needs the certificate no more still counts
    /// those that it did not see.
    fn hold_votes(&mut self, votes: &[Checked<Vote>], taken: &mut Taken) {
        for vote in votes {
            let object = vote.object();
            let place = (object.round, object.step.into(), vote.seat());
            if !self.votes.contains_key(&place) {
                taken.inputs.push(Input::Vote(vote.clone()));
            }
            self.hold_vote(vote, taken);
        }
    }

    /// Makes a certificate of votes for one block, once they are enough. A liar's second vote
    /// counts, as in everybody's certificates: else some could decide and others never.
    fn complete(&mut self, round: u32, step: Step, block: Digest, taken: &mut Taken) {
        let of = |seat| (round, Kind::from(step), seat);
        let votes = self.votes.range(of(0)..=of(u16::MAX));
        let signatures: Vec<SeatSignature> = votes
            .filter_map(|((.., seat), held)| {
                let vote = held.iter().find(|vote| vote.object.block == Some(block))?;
                let (seat, signature) = (*seat, vote.signature);
                Some(SeatSignature { seat, signature })
            })
            .collect();
        let weight: u64 = signatures
            .iter()
            .map(|vote| self.electorate.weight(vote.seat))
            .sum();
        if weight < self.electorate.quorum_weight() {
            return;
        }
        let height = self.electorate.height;
        if step == Step::Prevote {
            let new = PrevoteCertificate {
                height,
                round,
                block,
                signatures,
            };
            if !self.prevotes.contains_key(&(round, block)) {
                taken.inputs.push(Input::Prevotes(new.clone()));
                self.hold_prevotes(new);
            }
        } else if let Some(tender) = self.tenders.get(&block).cloned() {
            let certificate = Certificate::of((height, round), block, signatures);
            // Each vote was checked, so this holds; who is told of it checks it again.
            let _ = self.decide(tender, certificate, taken);
        }
    }

    fn take_prevotes(
        &mut self,
        certificate: PrevoteCertificate,
        taken: &mut Taken,
    ) -> Result<(), NotChecked> {
        let place = (certificate.round, certificate.block);
        let old = self
            .prevotes
            .keys()
            .next()
            .is_some_and(|(first, _)| place.0 < *first);
        if self.prevotes.contains_key(&place) || (old && self.prevotes.len() >= PREVOTES_MAX) {
            return Ok(());
        }
        let votes = self.electorate.prevotes(&certificate)?;
        self.hold_prevotes(certificate.clone());
        taken.inputs.push(Input::Prevotes(certificate));
        self.reach(place.0);
        self.hold_votes(&votes, taken);
        Ok(())
    }

    pub(super) fn hold_prevotes(&mut self, certificate: PrevoteCertificate) {
        self.prevotes
            .insert((certificate.round, certificate.block), certificate);
        while self.prevotes.len() > PREVOTES_MAX {
            self.prevotes.pop_first();
        }
    }

    fn take_round(
        &mut self,
        certificate: RoundCertificate,
        taken: &mut Taken,
    ) -> Result<(), NotChecked> {
        if !self.is_newer(&certificate) {
            return Ok(());
        }
        let votes = self.electorate.round_votes(&certificate)?;
        taken.inputs.push(Input::Round(certificate.clone()));
        self.hold_round(certificate);
        self.hold_votes(&votes, taken);
        Ok(())
    }

    fn is_newer(&self, certificate: &RoundCertificate) -> bool {
        let reaches = |of: &RoundCertificate| (of.round, of.kind == RoundKind::Over);
        self.entered
            .as_ref()
            .is_none_or(|held| reaches(held) < reaches(certificate))
    }

    pub(super) fn hold_round(&mut self, certificate: RoundCertificate) {
        if self.is_newer(&certificate) {
            self.reach(certificate.round);
            self.entered = Some(certificate);
        }
    }

    /// Takes a decision, once it holds.
    pub(super) fn decide(
        &mut self,
        tender: Tender,
        certificate: Certificate,
        taken: &mut Taken,
    ) -> Result<(), NotChecked> {
        if self.decided.is_some() {
            return Ok(());
        }
        if !self.electorate.decides(&certificate, &tender) {
            return Err(NotChecked::Block);
        }
        certificate
            .verify(tender.block(), &self.descriptor)
            .map_err(|_| NotChecked::Signature)?;
        self.decided = Some((tender.clone(), certificate.clone()));
        taken.decided = Some((tender, certificate));
        Ok(())
    }
}
