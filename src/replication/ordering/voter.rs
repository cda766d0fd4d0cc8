//! `Voter`: one seat of this node in a sitting, with its engine, its guard and its timers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::canonical::Form;
use crate::base::keys::{Signature, Signer};
use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::certificate::Vote;

use super::electorate::Electorate;
use super::engine::{Broken, Desk, Input, Ordering, Output, Refused};
use super::guard::{Guard, GuardRow};
use super::journal::{Entry, Row};
use super::mailbox::Taken;
use super::message::Evidence;
use super::statement::Bid;
use super::timer::Timer;

/// One seat of this node.
#[derive(Debug)]
pub(super) struct Voter<O, G> {
    pub(super) seat: u16,
    pub(super) anchor: AnchorId,
    signer: Arc<dyn Signer>,
    guard: G,
    /// None once it sits out: it says nothing more at this height.
    engine: Option<O>,
    pub(super) timers: BTreeMap<Timer, Timestamp>,
    /// The round for which a block was asked.
    pub(super) wanted: Option<u32>,
}

/// What an engine did, and the guard's new rows.
pub(super) struct Done {
    pub(super) outputs: Vec<Output>,
    pub(super) rows: Vec<GuardRow>,
}

impl<O: Ordering, G: Guard> Voter<O, G> {
    /// A seat that takes no part.
    pub(super) fn absent(seat: u16, anchor: AnchorId, signer: Arc<dyn Signer>) -> Self {
        Self {
            seat,
            anchor,
            signer,
            guard: G::begin(&[]),
            engine: None,
            timers: BTreeMap::new(),
            wanted: None,
        }
    }

    /// Starts from what was signed before, also what a torn write left in the journal alone.
    pub(super) fn remember(&mut self, guarded: &[GuardRow], rows: &[Row]) {
        let own = rows.iter().filter_map(|row| match row {
            Row::Entry(anchor, entry) if *anchor == self.anchor => self.own(entry),
            _ => None,
        });
        let known: Vec<GuardRow> = guarded.iter().copied().chain(own).collect();
        self.guard = G::begin(&known);
    }

    /// Whether something that came was signed by this seat, and is not known to have been.
    pub(super) fn is_news(&self, taken: &Taken) -> bool {
        let is_unknown = |row: GuardRow| row.anchor == self.anchor && !self.guard.knows(&row);
        let is_said = taken.inputs.iter().any(|input| match input {
            Input::Bid(bid) => is_unknown(GuardRow::of_bid(bid.object())),
            Input::Vote(vote) => is_unknown(GuardRow::of_vote(vote.object())),
            _ => false,
        });
        // Of two statements that contradict each other one is not known to the guard.
        let is_convicted = |evidence: &Evidence| match evidence {
            Evidence::Votes(vote, _) => vote.object.anchor == self.anchor,
            Evidence::Bids(bid, _) => bid.object.anchor == self.anchor,
        };
        let is_decided = taken.decided.as_ref().is_some_and(|(_, certificate)| {
            let mut signed = certificate.signatures.iter();
            let is_signed = signed.any(|signature| signature.seat == self.seat);
            is_signed && is_unknown(GuardRow::of_precommit(self.anchor, certificate))
        });
        is_said || is_decided || taken.evidence.iter().any(is_convicted)
    }

    /// Brings the engine to where its journal ends.
    pub(super) fn begin(
        &mut self,
        electorate: &Electorate,
        guarded: &[GuardRow],
        journal: &[Entry],
    ) -> Result<Done, Broken> {
        self.guard = G::begin(guarded);
        let mut rows = Vec::new();
        let mut said: Vec<GuardRow> = journal.iter().filter_map(|entry| self.own(entry)).collect();
        // What was journaled and not guarded is what a torn write left; it was never sent.
        for row in &said {
            rows.extend(self.guard.ask(*row).map_err(Refused::from)?);
        }
        let mut pen = Pen {
            guard: &mut self.guard,
            signer: self.signer.as_ref(),
            rows,
        };
        let (engine, outputs) = O::begin(electorate, self.seat, journal, &mut pen)?;
        let rows = pen.rows;
        said.extend(&rows);
        let forgotten = |row: &GuardRow| row.anchor == self.anchor && !said.contains(row);
        if guarded.iter().any(forgotten) {
            return Err(Broken::Forgotten);
        }
        self.engine = Some(engine);
        Ok(Done { outputs, rows })
    }

    /// Whether an entry is what this seat said.
    pub(super) fn said(&self, entry: &Entry) -> bool {
        self.own(entry).is_some()
    }

    /// What an entry says that this seat signed.
    fn own(&self, entry: &Entry) -> Option<GuardRow> {
        let row = match entry {
            Entry::Bid(bid) => GuardRow::of_bid(&bid.object),
            Entry::Vote(vote) => GuardRow::of_vote(&vote.object),
            Entry::Judged(_) | Entry::Prevotes(_) | Entry::TimedOut(_) => return None,
        };
        (row.anchor == self.anchor).then_some(row)
    }

    /// Tells the engine something; none if the seat sits out.
    pub(super) fn step(&mut self, input: Input) -> Option<Result<Done, Broken>> {
        let engine = self.engine.as_mut()?;
        let mut pen = Pen {
            guard: &mut self.guard,
            signer: self.signer.as_ref(),
            rows: Vec::new(),
        };
        let result = engine.step(input, &mut pen);
        let rows = pen.rows;
        Some(result.map(|outputs| Done { outputs, rows }))
    }

    /// Takes no part from here on.
    pub(super) fn sit_out(&mut self) {
        self.engine = None;
        self.timers.clear();
        self.wanted = None;
    }

    /// The round it is in; none if it sits out.
    pub(super) fn round(&self) -> Option<u32> {
        self.engine.as_ref().map(O::round)
    }
}

/// Signs what the guard lets pass.
struct Pen<'a, G> {
    guard: &'a mut G,
    signer: &'a dyn Signer,
    rows: Vec<GuardRow>,
}

impl<G: Guard> Pen<'_, G> {
    fn sign(&mut self, row: GuardRow, bytes: &[u8]) -> Result<Signature, Refused> {
        let new = self.guard.ask(row)?;
        let signature = self.signer.try_sign(bytes)?;
        self.rows.extend(new);
        Ok(signature)
    }
}

impl<G: Guard> Desk for Pen<'_, G> {
    fn vote(&mut self, vote: &Vote) -> Result<Signature, Refused> {
        self.sign(GuardRow::of_vote(vote), &vote.to_bytes())
    }

    fn bid(&mut self, bid: &Bid) -> Result<Signature, Refused> {
        self.sign(GuardRow::of_bid(bid), &bid.to_bytes())
    }
}
