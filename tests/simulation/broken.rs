//! Parts that are broken on purpose. Each has to be found, or the seeds prove nothing.

use kedge::base::digest::Digest;
use kedge::base::keys::Signature;
use kedge::governance::certificate::{Step, Vote};
use kedge::governance::policy::Quorum;
use kedge::replication::ordering::{
    Bid, Broken, Checked, Contradiction, Desk, Electorate, Entry, Guard, GuardRow, Input,
    Malachite, Ordering, Output, Refused, SeatSigned, SignGuard,
};

use crate::cluster::Plan;
use crate::seeds::{Fault, plan, run};

/// Forbids nothing and remembers nothing.
#[derive(Debug)]
struct NoGuard;

impl Guard for NoGuard {
    fn begin(_: &[GuardRow]) -> Self {
        Self
    }

    fn ask(&mut self, _: GuardRow) -> Result<Option<GuardRow>, Contradiction> {
        Ok(None)
    }
}

/// Starts again with nothing.
#[derive(Debug)]
struct Amnesiac(Malachite);

impl Ordering for Amnesiac {
    fn begin(
        electorate: &Electorate,
        seat: u16,
        _: &[Entry],
        desk: &mut dyn Desk,
    ) -> Result<(Self, Vec<Output>), Broken> {
        let (inner, outputs) = Malachite::begin(electorate, seat, &[], desk)?;
        Ok((Self(inner), outputs))
    }

    fn step(&mut self, input: Input, desk: &mut dyn Desk) -> Result<Vec<Output>, Broken> {
        self.0.step(input, desk)
    }

    fn round(&self) -> u32 {
        self.0.round()
    }
}

/// Takes half of the weight for a quorum.
#[derive(Debug)]
struct Loose(Malachite);

impl Ordering for Loose {
    fn begin(
        electorate: &Electorate,
        seat: u16,
        journal: &[Entry],
        desk: &mut dyn Desk,
    ) -> Result<(Self, Vec<Output>), Broken> {
        let electorate = Electorate {
            quorum: Quorum::Majority,
            ..electorate.clone()
        };
        let (inner, outputs) = Malachite::begin(&electorate, seat, journal, desk)?;
        Ok((Self(inner), outputs))
    }

    fn step(&mut self, input: Input, desk: &mut dyn Desk) -> Result<Vec<Output>, Broken> {
        self.0.step(input, desk)
    }

    fn round(&self) -> u32 {
        self.0.round()
    }
}

/// Prevotes whatever valid block its round offers, though it is locked on another.
#[derive(Debug)]
struct Unlocked {
    inner: Malachite,
    /// By round, what was offered.
    offers: Vec<(u32, Digest)>,
    valid: Vec<Digest>,
    /// What the engine meant to cast, and what was cast.
    cast: Vec<(Vote, SeatSigned<Vote>)>,
}

/// Signs another vote than the engine meant to cast.
struct Bent<'a> {
    desk: &'a mut dyn Desk,
    offers: &'a [(u32, Digest)],
    valid: &'a [Digest],
    cast: &'a mut Vec<(Vote, SeatSigned<Vote>)>,
}

impl Desk for Bent<'_> {
    fn vote(&mut self, vote: &Vote) -> Result<Signature, Refused> {
        let offered =
            |(round, block): &&(u32, Digest)| *round == vote.round && self.valid.contains(block);
        let other = self.offers.iter().find(offered);
        let (Step::Prevote, None, Some((_, block))) = (vote.step, vote.block, other) else {
            return self.desk.vote(vote);
        };
        let object = Vote {
            block: Some(*block),
            ..vote.clone()
        };
        let signature = self.desk.vote(&object)?;
        self.cast
            .push((vote.clone(), SeatSigned { object, signature }));
        Ok(signature)
    }

    fn bid(&mut self, bid: &Bid) -> Result<Signature, Refused> {
        self.desk.bid(bid)
    }
}

/// Finds out what a vote would be called had an electorate checked it.
fn checked(electorate: &Electorate, said: SeatSigned<Vote>) -> Checked<Vote> {
    electorate.check(said).unwrap()
}

/// The electorate goes along: a bent vote has to be checked like any.
#[derive(Debug)]
struct UnlockedSeat(Unlocked, Electorate);

impl Ordering for UnlockedSeat {
    fn begin(
        electorate: &Electorate,
        seat: u16,
        journal: &[Entry],
        desk: &mut dyn Desk,
    ) -> Result<(Self, Vec<Output>), Broken> {
        let (inner, outputs) = Malachite::begin(electorate, seat, journal, desk)?;
        let unlocked = Unlocked {
            inner,
            offers: Vec::new(),
            valid: Vec::new(),
            cast: Vec::new(),
        };
        Ok((Self(unlocked, electorate.clone()), outputs))
    }

    fn step(&mut self, input: Input, desk: &mut dyn Desk) -> Result<Vec<Output>, Broken> {
        let Self(of, electorate) = self;
        match &input {
            Input::Bid(bid) => of.offers.push((bid.object().round, bid.object().block)),
            Input::Judged(judged) if judged.valid => of.valid.push(judged.block),
            _ => {}
        }
        let mut bent = Bent {
            desk,
            offers: &of.offers,
            valid: &of.valid,
            cast: &mut of.cast,
        };
        let outputs = of.inner.step(input, &mut bent)?;
        let cast = &of.cast;
        let bend = |vote: &Vote| {
            cast.iter()
                .find(|(meant, _)| meant == vote)
                .map(|(_, said)| said)
        };
        let outputs = outputs.into_iter().map(|output| match output {
            Output::Journal(Entry::Vote(vote)) => {
                let said = bend(&vote.object).cloned().unwrap_or(vote);
                Output::Journal(Entry::Vote(said))
            }
            Output::Vote(vote) => match bend(vote.object()) {
                Some(said) => Output::Vote(checked(electorate, said.clone())),
                None => Output::Vote(vote),
            },
            other => other,
        });
        Ok(outputs.collect())
    }

    fn round(&self) -> u32 {
        self.0.inner.round()
    }
}

/// The first seed at which something is found, and what.
fn found<O: Ordering, G: Guard>(
    fault: Fault,
    seeds: u64,
    change: impl Fn(&mut Plan),
) -> Option<(u64, String)> {
    (0..seeds).find_map(|seed| {
        let (mut plan, scope) = plan(seed, Some(fault));
        change(&mut plan);
        let violation = run::<O, G>((plan, scope)).violation?;
        Some((seed, violation))
    })
}

fn often_killed(plan: &mut Plan) {
    plan.kill_permille = 30;
}

#[test]
fn an_engine_that_forgets_is_kept_from_voting_twice_by_the_guard() {
    let (_, violation) = found::<Amnesiac, SignGuard>(Fault::None, 50, often_killed).unwrap();
    assert!(violation.contains("sits out"), "{violation}");
}

#[test]
fn the_simulator_finds_a_broken_guard() {
    let (_, violation) = found::<Amnesiac, NoGuard>(Fault::None, 50, often_killed).unwrap();
    assert!(violation.contains("twice"), "{violation}");
}

#[test]
fn the_simulator_finds_an_old_disk_that_nobody_notices() {
    let unnoticed = |plan: &mut Plan| plan.noticed = false;
    let (_, violation) = found::<Malachite, SignGuard>(Fault::OldDisk, 500, unnoticed).unwrap();
    assert!(violation.contains("twice"), "{violation}");
}

#[test]
fn the_simulator_finds_a_broken_quorum() {
    let (_, violation) = found::<Loose, SignGuard>(Fault::None, 50, |_| {}).unwrap();
    assert!(violation.contains("does not hold"), "{violation}");
}

#[test]
fn the_simulator_finds_a_broken_lock() {
    let slow = |plan: &mut Plan| {
        plan.kills = false;
        plan.kill_permille = 0;
        plan.slow_percent = 35;
        plan.drop_percent = 20;
    };
    let (_, violation) = found::<UnlockedSeat, SignGuard>(Fault::None, 3_000, slow).unwrap();
    assert!(violation.contains("two blocks"), "{violation}");
}
