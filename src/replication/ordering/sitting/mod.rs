//! `Sitting`: one height of one scope, from the first sign of work until it is decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::digest::Digest;
use crate::base::keys::Signature;
use crate::base::time::Timestamp;
use crate::governance::anchor::{AnchorId, SeatSignature};
use crate::governance::certificate::Certificate;

use super::electorate::{Electorate, NotChecked};
use super::engine::{Broken, Input, Ordering, Output};
use super::guard::{Guard, SignGuard};
use super::journal::{Judged, Row};
use super::mailbox::{Mailbox, Taken};
use super::malachite::Malachite;
use super::message::Message;
use super::statement::Tender;
use super::terms::{Action, Actions, Kept, NotTaken, Opening, Standing};
use super::timer::{Timer, Wait, Waits};
use super::voter::{Done, Voter};
use super::work::{For, Work};

mod reopening;

/// One height of one scope.
#[derive(Debug)]
pub struct Sitting<O = Malachite, G = SignGuard> {
    electorate: Arc<Electorate>,
    waits: Waits,
    mailbox: Mailbox,
    voters: Vec<Voter<O, G>>,
    /// Blocks that were handed out to be judged, and what was said of them.
    verdicts: BTreeMap<Digest, Option<bool>>,
    over: bool,
}

impl<O: Ordering, G: Guard> Sitting<O, G> {
    /// Opens a height, or opens it again with what an earlier run stored.
    pub fn open(opening: Opening, kept: &Kept, now: Timestamp) -> (Self, Actions) {
        let place = (opening.height, opening.prev);
        let electorate = Electorate::new(&opening.descriptor, place, &opening.last_proposer);
        let electorate = Arc::new(electorate);
        let mut sitting = Self {
            mailbox: Mailbox::new(Arc::clone(&opening.descriptor), Arc::clone(&electorate)),
            waits: opening.waits,
            voters: Vec::new(),
            verdicts: BTreeMap::new(),
            over: false,
            electorate,
        };
        let mut work = Work::at(now);
        let mut recalled = Vec::new();
        for row in &kept.rows {
            match row {
                Row::Tender(tender) => sitting.mailbox.keep(tender.clone()),
                Row::Timer(anchor, timer, at) => {
                    work.started.insert((*anchor, *timer), *at);
                }
                Row::Entry(_, entry) => recalled.push((entry, sitting.recall(entry, &mut work))),
                Row::Guard(_) => {}
            }
        }
        let takes_part = match opening.standing {
            Standing::Proven => true,
            Standing::Doubted(up_to) => up_to.is_some_and(|up_to| opening.height > up_to),
        };
        for signer in opening.signers {
            if let Some((seat, anchor)) = opening.descriptor.anchors.seat_of(&signer.public()) {
                sitting.voters.push(Voter::absent(seat, anchor.id, signer));
            }
        }
        sitting.remember(kept);
        if takes_part {
            sitting.begin(kept, &mut work);
            sitting.share(kept, &recalled, &mut work);
        }
        sitting.ask_again(&mut work);
        let actions = sitting.finish(work);
        (sitting, actions)
    }

    /// Takes a message from anybody.
    ///
    /// # Errors
    /// If it is not what it claims to be; who sent it lied, or is of another time.
    pub fn receive(&mut self, message: Message, now: Timestamp) -> Result<Actions, NotTaken> {
        if self.over {
            return Ok(Actions::default());
        }
        let mut work = Work::at(now);
        let taken = self.mailbox.take(message)?;
        self.compare(&taken, &mut work);
        self.take_in(taken, For::All, &mut work);
        Ok(self.finish(work))
    }

    /// Whether a block may be decided, as the index says.
    pub fn judged(&mut self, block: &Digest, valid: bool, now: Timestamp) -> Actions {
        let mut work = Work::at(now);
        if self.over || self.verdicts.get(block) != Some(&None) {
            return Actions::default();
        }
        self.verdicts.insert(*block, Some(valid));
        if let Some(judged) = self.verdict_on(block, valid) {
            work.queue.push_back((For::All, Input::Judged(judged)));
        }
        self.finish(work)
    }

    /// Offers a block that was asked for.
    ///
    /// # Errors
    /// If it was not, or not any more.
    pub fn propose(
        &mut self,
        (anchor, round): (AnchorId, u32),
        tender: Tender,
        now: Timestamp,
    ) -> Result<Actions, NotTaken> {
        let wants =
            |voter: &&mut Voter<O, G>| voter.anchor == anchor && voter.wanted == Some(round);
        let voter = self.voters.iter_mut().find(wants);
        let voter = voter.ok_or(NotTaken::NotWanted)?;
        self.electorate.follows(&tender)?;
        if self.over || tender.block().proposer != anchor {
            return Err(NotTaken::NotWanted);
        }
        voter.wanted = None;
        let (seat, block) = (voter.seat, tender.digest());
        let mut work = Work::at(now);
        work.entries.push(Row::Tender(tender.clone()));
        self.mailbox.keep(tender);
        self.verdicts.insert(block, Some(true));
        work.queue
            .push_back((For::Only(seat), Input::Propose(round, block)));
        let judged = Judged {
            round,
            valid_round: None,
            seat,
            block,
            valid: true,
        };
        work.queue
            .push_back((For::AllBut(seat), Input::Judged(judged)));
        Ok(self.finish(work))
    }

    /// Blocks that were asked for and not offered, while the others still wait for them.
    pub fn wanted(&self) -> Vec<(AnchorId, u32)> {
        let voters = self.voters.iter().filter(|_| !self.over);
        let wanted = voters.filter_map(|voter| {
            let round = voter.wanted?;
            let wait = Wait::Bid;
            let is_awaited = voter.timers.contains_key(&Timer { round, wait });
            is_awaited.then_some((voter.anchor, round))
        });
        wanted.collect()
    }

    /// Does what timers that ran out want; one each time, so that it follows on what the one before
    /// changed.
    pub fn due(&mut self, now: Timestamp) -> Actions {
        let mut work = Work::at(now);
        let next = |voter: &Voter<O, G>| {
            let timers = voter.timers.iter().filter(|(_, at)| **at <= now);
            let first = timers.min_by_key(|(timer, at)| (**at, **timer))?;
            Some((*first.1, *first.0, voter.seat))
        };
        let first = self.voters.iter().filter_map(next).min();
        if let Some((_, timer, seat)) = first.filter(|_| !self.over) {
            let mut voters = self.voters.iter_mut();
            if let Some(voter) = voters.find(|voter| voter.seat == seat) {
                voter.timers.remove(&timer);
            }
            if timer.wait == Wait::Repeat {
                let own = self.mailbox.bid_of(timer.round, seat);
                work.then.extend(own.map(Action::Publish));
            }
            work.queue
                .push_back((For::Only(seat), Input::TimedOut(timer)));
        }
        self.finish(work)
    }

    /// When [`Self::due`] has something to do; none while only messages can change anything.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let timers = self.voters.iter().flat_map(|voter| voter.timers.values());
        timers.min().copied().filter(|_| !self.over)
    }

    /// Everything that is known, for whoever was away.
    pub fn hand_over(&self) -> Vec<Message> {
        self.mailbox.hand_over()
    }

    /// Whether a block was offered that the index did not find unfit, or that a quorum prevoted.
    pub fn has_live_bid(&self) -> bool {
        let is_alive = |block: &Digest| self.verdicts.get(block) != Some(&Some(false));
        self.mailbox.has_bid(is_alive)
    }

    /// Whether the height is decided.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// The round that each seat here is in; none for one that sits out.
    pub fn rounds(&self) -> impl Iterator<Item = (AnchorId, Option<u32>)> {
        let voters = self.voters.iter();
        voters.map(|voter| (voter.anchor, voter.round()))
    }

    /// A seat here that is shown what it signed and does not know has forgotten more: an old disk, or
    /// another node with its key. No seat here says anything more.
    fn compare(&mut self, taken: &Taken, work: &mut Work) {
        if self.voters.iter().any(|voter| voter.is_news(taken)) {
            for at in 0..self.voters.len() {
                self.follow(at, Err(Broken::Outdated), work);
            }
        }
    }

    fn verdict_on(&self, block: &Digest, valid: bool) -> Option<Judged> {
        let bid = self.mailbox.bid_for(block)?;
        Some(Judged {
            round: bid.round,
            valid_round: bid.valid_round,
            seat: self.electorate.seat(&bid.anchor)?,
            block: *block,
            valid,
        })
    }

    fn known_verdict(&self, block: &Digest) -> Option<Judged> {
        let valid = (*self.verdicts.get(block)?)?;
        self.verdict_on(block, valid)
    }

    /// What a message brought: for the seats here, and for the caller.
    fn take_in(&mut self, taken: Taken, to: For, work: &mut Work) {
        let Taken {
            inputs,
            tender,
            evidence,
            decided,
        } = taken;
        for input in inputs {
            // A certificate that was completed here is news for everybody.
            let whole = matches!(input, Input::Prevotes(_) | Input::Round(_));
            // A block that is offered again was judged before; who starts again is told again.
            let judged = match &input {
                Input::Bid(bid) => self.known_verdict(&bid.object().block),
                _ => None,
            };
            work.queue
                .push_back((if whole { For::All } else { to }, input));
            let judged = judged.map(|judged| (to, Input::Judged(judged)));
            work.queue.extend(judged);
        }
        if let Some(tender) = tender {
            work.entries.push(Row::Tender(tender.clone()));
            if self.verdicts.insert(tender.digest(), None).is_none() {
                work.then.push(Action::Judge(tender));
            }
        }
        let evidence = evidence.into_iter().map(Action::Evidence);
        work.then.extend(evidence);
        if let Some((tender, certificate)) = decided {
            self.close(tender, certificate, work);
        }
    }

    fn close(&mut self, tender: Tender, certificate: Certificate, work: &mut Work) {
        if !self.over {
            self.over = true;
            work.then.push(Action::Decided(tender, certificate));
        }
    }

    /// Works until nothing is left to tell anybody here.
    fn finish(&mut self, mut work: Work) -> Actions {
        while let Some((to, input)) = work.queue.pop_front() {
            for at in 0..self.voters.len() {
                let Some(voter) = self.voters.get_mut(at) else {
                    continue;
                };
                if self.over || !to.is_for(voter.seat) {
                    continue;
                }
                if let Some(done) = voter.step(input.clone()) {
                    self.follow(at, done, &mut work);
                }
            }
        }
        let round = self.voters.iter().filter_map(Voter::round).max();
        self.mailbox.reach(round.unwrap_or_default());
        // A decision ends the sitting: what others need for theirs is said before.
        work.then.sort_by_key(Action::is_last);
        let mut rows = work.entries;
        rows.extend(work.guards);
        rows.extend(work.timers);
        Actions {
            rows,
            then: work.then,
        }
    }

    fn follow(&mut self, at: usize, done: Result<Done, Broken>, work: &mut Work) {
        let Some(voter) = self.voters.get_mut(at) else {
            return;
        };
        match done {
            Ok(done) => {
                work.guards.extend(done.rows.into_iter().map(Row::Guard));
                for output in done.outputs {
                    self.output(at, output, work);
                }
            }
            Err(broken) => {
                voter.sit_out();
                let action = Action::SitsOut(voter.anchor, broken);
                work.then.push(action);
            }
        }
    }

    fn output(&mut self, at: usize, output: Output, work: &mut Work) {
        let Some(voter) = self.voters.get_mut(at) else {
            return;
        };
        let (seat, anchor) = (voter.seat, voter.anchor);
        let mut taken = Taken::default();
        match output {
            Output::Journal(entry) => work.entries.push(Row::Entry(anchor, entry)),
            Output::Wanted(round) => {
                // After a start, what was offered before is offered again.
                if let Some(bid) = self.mailbox.bid_of(round, seat) {
                    work.then.push(Action::Publish(bid));
                } else {
                    voter.wanted = Some(round);
                    work.then.push(Action::Make(anchor, round));
                }
            }
            Output::Start(timer) => {
                let kept = work.started.get(&(anchor, timer)).copied();
                // What is stored was measured by a clock that may have been set since.
                let longest = work.now.plus_millis(self.waits.millis(timer));
                let runs_out = kept.map_or(longest, |kept| kept.min(longest));
                voter.timers.insert(timer, runs_out);
                let row = Row::Timer(anchor, timer, runs_out);
                work.timers.extend(kept.is_none().then_some(row));
            }
            Output::Stop(timer) => {
                voter.timers.remove(&timer);
            }
            Output::StopAll => voter.timers.clear(),
            Output::Bid(bid) => {
                if let Some(tender) = self.mailbox.tender(&bid.object().block).cloned() {
                    self.mailbox.hold_bid(&bid, &mut taken);
                    taken.inputs.insert(0, Input::Bid(bid.clone()));
                    let message = Message::Bid(bid.said().clone(), tender);
                    work.then.push(Action::Publish(message));
                }
            }
            Output::Vote(vote) => {
                self.mailbox.hold_vote(&vote, &mut taken);
                taken.inputs.insert(0, Input::Vote(vote.clone()));
                let message = Message::Vote(vote.said().clone());
                work.then.push(Action::Publish(message));
            }
            Output::Prevotes(certificate) => {
                self.mailbox.hold_prevotes(certificate.clone());
                work.queue
                    .push_back((For::AllBut(seat), Input::Prevotes(certificate.clone())));
                work.then
                    .push(Action::Publish(Message::Prevotes(certificate)));
            }
            Output::Round(certificate) => {
                self.mailbox.hold_round(certificate.clone());
                work.queue
                    .push_back((For::AllBut(seat), Input::Round(certificate.clone())));
                work.then.push(Action::Publish(Message::Round(certificate)));
            }
            Output::Decided {
                round,
                block,
                precommits,
            } => self.conclude(at, (round, block), precommits, work),
        }
        self.take_in(taken, For::AllBut(seat), work);
    }

    /// An engine decided. What it says is checked like anybody's certificate.
    fn conclude(
        &mut self,
        at: usize,
        (round, block): (u32, Digest),
        precommits: Vec<(u16, Signature)>,
        work: &mut Work,
    ) {
        let mut signatures: Vec<SeatSignature> = precommits
            .into_iter()
            .map(|(seat, signature)| SeatSignature { seat, signature })
            .collect();
        signatures.sort_by_key(|signed| signed.seat);
        let certificate = Certificate::of((self.electorate.height, round), block, signatures);
        let mut taken = Taken::default();
        let result = match self.mailbox.tender(&block).cloned() {
            Some(tender) => self.mailbox.decide(tender, certificate, &mut taken),
            None => Err(NotChecked::Block),
        };
        if let Err(error) = result {
            let broken = Broken::Failed(format!("what it decided does not hold: {error}"));
            self.follow(at, Err(broken), work);
        }
        self.take_in(taken, For::All, work);
    }
}
