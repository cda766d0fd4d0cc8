//! Many seeds, each another disorder.

use kedge::governance::policy::Quorum;
use kedge::replication::ordering::{Guard, Malachite, Ordering, SignGuard};

use crate::chance::Chance;
use crate::cluster::{Cluster, Plan, Report, Withheld};
use crate::scope::Scope;

/// What kind of fault a seed has beside kills, losses and partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Liar,
    /// An old disk beside which there is still what was kept beside the newer one.
    OldDisk,
    /// An old disk with all that was beside it.
    OldDirectory,
    /// One of four nodes decides, and the others do not hear of it.
    Withheld,
}

/// A seed's plan, and its scope.
pub(crate) fn plan(seed: u64, wanted: Option<Fault>) -> (Plan, Scope) {
    let mut chance = Chance::new(seed);
    if wanted == Some(Fault::Withheld) || wanted.is_none() && chance.percent(10) {
        return withheld(seed, &mut chance);
    }
    let count = *chance.pick(&[3, 4, 4, 4, 5, 7]);
    let heavy = chance.percent(40);
    let weights: Vec<u32> = (0..count)
        .map(|_| {
            if heavy {
                1 + u32::from(chance.byte() % 4)
            } else {
                1
            }
        })
        .collect();
    let total: u32 = weights.iter().sum();
    let fault = *chance.pick(&[
        Fault::None,
        Fault::Liar,
        Fault::Liar,
        Fault::OldDisk,
        Fault::OldDirectory,
    ]);
    let fault = wanted.unwrap_or(fault);
    let is_honest = matches!(fault, Fault::None | Fault::OldDisk);
    let quorum = if is_honest && chance.percent(25) {
        Quorum::Majority
    } else {
        Quorum::Bft
    };
    let scope = Scope::new(&weights, quorum);
    // By seat, as the scope has them.
    let weight = |seat: usize| scope.descriptor.anchors.anchors()[seat].weight;
    let mut nodes: Vec<Vec<usize>> = (0..count).map(|seat| vec![seat]).collect();
    if chance.percent(20) && count > 3 {
        let second = nodes.pop().unwrap();
        nodes[0].extend(second);
    }
    let light = |node: &usize| {
        let seats: &[usize] = &nodes[*node];
        seats.len() == 1 && weight(seats[0]) * 3 < total
    };
    let light: Vec<usize> = (0..nodes.len()).filter(light).collect();
    let faulty = (!light.is_empty()).then(|| *chance.pick(&light));
    if chance.percent(25) {
        nodes.push(Vec::new());
    }
    let plan = Plan {
        seed,
        nodes,
        liar: faulty.filter(|_| fault == Fault::Liar),
        restored: faulty.filter(|_| matches!(fault, Fault::OldDisk | Fault::OldDirectory)),
        whole: fault == Fault::OldDirectory,
        withheld: None,
        noticed: true,
        drop_percent: chance.below(25),
        kill_permille: chance.below(15),
        kills: true,
        slow_percent: chance.below(20),
        submissions: 2,
    };
    (plan, scope)
}

/// Four equal anchors and a network that does only this.
fn withheld(seed: u64, chance: &mut Chance) -> (Plan, Scope) {
    let scope = Scope::new(&[1, 1, 1, 1], Quorum::Bft);
    let silent = chance.below(4);
    let deaf = (silent + 1 + chance.below(3)) % 4;
    let plan = Plan {
        seed,
        nodes: (0..4).map(|seat| vec![seat]).collect(),
        liar: None,
        restored: None,
        whole: false,
        withheld: Some(Withheld { silent, deaf }),
        noticed: true,
        drop_percent: chance.below(3),
        kill_permille: 0,
        kills: false,
        slow_percent: 0,
        submissions: 2,
    };
    (plan, scope)
}

pub(crate) fn run<O: Ordering, G: Guard>((plan, scope): (Plan, Scope)) -> Report {
    Cluster::<O, G>::new(plan, scope).run()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds and says what they saw; a seed that goes wrong is named.
fn try_all(seeds: impl Iterator<Item = u64>) {
    let mut sum = Report::default();
    let mut count = 0;
    for seed in seeds {
        let report = run::<Malachite, SignGuard>(plan(seed, None));
        if let Some(violation) = report.violation {
            panic!("KEDGE_SEED={seed}: {violation}");
        }
        count += 1;
        sum.blocks += report.blocks;
        sum.events += report.events;
        sum.kills += report.kills;
        sum.lies += report.lies;
        sum.evidence += report.evidence;
        sum.restores += report.restores;
        sum.twice += report.twice;
        sum.shown += report.shown;
        sum.rounds_max = sum.rounds_max.max(report.rounds_max);
    }
    eprintln!("{count} seeds: {sum:?}");
}

const SEEDS_PER_TEST: u64 = 125;

fn part(part: u64) {
    match number("KEDGE_SEED") {
        Some(seed) if seed / SEEDS_PER_TEST % 8 == part => try_all(seed..=seed),
        Some(_) => {}
        None => try_all(part * SEEDS_PER_TEST..(part + 1) * SEEDS_PER_TEST),
    }
}

macro_rules! parts {
    ($($name:ident = $part:literal,)*) => {
        $(#[test] fn $name() { part($part); })*
    };
}

parts! {
    seeds_decide_one_block_a_height_first_part = 0,
    seeds_decide_one_block_a_height_second_part = 1,
    seeds_decide_one_block_a_height_third_part = 2,
    seeds_decide_one_block_a_height_fourth_part = 3,
    seeds_decide_one_block_a_height_fifth_part = 4,
    seeds_decide_one_block_a_height_sixth_part = 5,
    seeds_decide_one_block_a_height_seventh_part = 6,
    seeds_decide_one_block_a_height_eighth_part = 7,
}

/// `KEDGE_SEEDS=100000 cargo test --release --test simulation long_run -- --ignored --nocapture`
#[test]
#[ignore = "takes as long as it is told to"]
fn a_long_run() {
    try_all(0..number("KEDGE_SEEDS").unwrap_or(10_000));
}
