//! Parts that are broken on purpose. Each has to be found, or the seeds prove nothing.

use kedge::governance::policy::Quorum;
use kedge::replication::ordering::{
    Broken, Contradiction, Desk, Electorate, Entry, Guard, GuardRow, Input, Malachite, Ordering,
    Output, SignGuard, Timer, Wait,
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

    fn knows(&self, _: &GuardRow) -> bool {
        true
    }
}

/// Is not surprised by what it does not know.
#[derive(Debug)]
struct Trusting(SignGuard);

impl Guard for Trusting {
    fn begin(rows: &[GuardRow]) -> Self {
        Self(SignGuard::begin(rows))
    }

    fn ask(&mut self, row: GuardRow) -> Result<Option<GuardRow>, Contradiction> {
        self.0.ask(row)
    }

    fn knows(&self, _: &GuardRow) -> bool {
        true
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

/// Begins every round as if there had been none before it: without a lock, and without a block that
/// others prevoted for.
#[derive(Debug)]
struct Unlocked {
    electorate: Electorate,
    seat: u16,
    inner: Malachite,
}

impl Ordering for Unlocked {
    fn begin(
        electorate: &Electorate,
        seat: u16,
        journal: &[Entry],
        desk: &mut dyn Desk,
    ) -> Result<(Self, Vec<Output>), Broken> {
        let (inner, outputs) = Malachite::begin(electorate, seat, journal, desk)?;
        let electorate = electorate.clone();
        Ok((
            Self {
                electorate,
                seat,
                inner,
            },
            outputs,
        ))
    }

    fn step(&mut self, input: Input, desk: &mut dyn Desk) -> Result<Vec<Output>, Broken> {
        match input {
            Input::TimedOut(timer) if timer.wait == Wait::Precommits => {
                self.inner = Malachite::begin(&self.electorate, self.seat, &[], desk)?.0;
                let mut outputs = Vec::new();
                for round in 0..=timer.round {
                    let timer = Timer { round, ..timer };
                    outputs = self.inner.step(Input::TimedOut(timer), desk)?;
                }
                Ok(outputs)
            }
            other => self.inner.step(other, desk),
        }
    }

    fn round(&self) -> u32 {
        self.inner.round()
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
    let (_, violation) = found::<Malachite, Trusting>(Fault::OldDisk, 500, unnoticed).unwrap();
    assert!(violation.contains("twice"), "{violation}");
}

/// How often a node whose whole directory was replaced voted twice, and was shown what it forgot.
fn forgotten<G: Guard>(change: impl Fn(&mut Plan)) -> (u64, u64) {
    let (mut twice, mut shown) = (0, 0);
    for seed in 0..300 {
        let (mut plan, scope) = plan(seed, Some(Fault::OldDirectory));
        change(&mut plan);
        let report = run::<Malachite, G>((plan, scope));
        assert_eq!(report.violation, None, "seed {seed}");
        twice += report.twice;
        shown += report.shown;
    }
    (twice, shown)
}

#[test]
fn others_show_a_node_what_its_old_directory_forgot() {
    let heard = forgotten::<SignGuard>(|_| {});
    let unheard = forgotten::<Trusting>(|plan| plan.noticed = false);
    eprintln!(
        "300 old directories, voted twice and shown: {heard:?}, with nobody heard: {unheard:?}"
    );
    assert!(heard.0 * 10 <= unheard.0, "{heard:?} {unheard:?}");
    // Without it one is only shown what contradicts it already.
    assert!(heard.1 > unheard.1, "{heard:?} {unheard:?}");
}

#[test]
fn the_simulator_finds_a_broken_quorum() {
    let (_, violation) = found::<Loose, SignGuard>(Fault::None, 50, |_| {}).unwrap();
    assert!(violation.contains("does not hold"), "{violation}");
}

#[test]
fn the_simulator_finds_a_lock_that_does_not_hold() {
    let (_, violation) = found::<Unlocked, SignGuard>(Fault::Withheld, 50, |_| {}).unwrap();
    assert!(violation.contains("two blocks"), "{violation}");
}

#[test]
fn the_lock_holds_where_one_node_decided_unheard() {
    assert_eq!(
        found::<Malachite, SignGuard>(Fault::Withheld, 200, |_| {}),
        None
    );
}
