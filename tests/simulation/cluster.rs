//! Nodes, a network and a clock of one seed: everything that happens, happens in one order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kedge::base::digest::Digest;
use kedge::base::time::Timestamp;
use kedge::governance::anchor::AnchorId;
use kedge::replication::ordering::{
    Actions, Guard, Hearing, Message, Ordering, SeatSigned, Sitting, Tender,
};

use crate::chance::Chance;
use crate::disk::{Beside, Disk, Verdict};
use crate::oracle::Oracle;
use crate::scope::{Scope, submission};

/// What one seed is about.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// By node, the seats that it holds; none of a mirror.
    pub(crate) nodes: Vec<Vec<usize>>,
    pub(crate) liar: Option<usize>,
    /// Whose disk is replaced by an old one.
    pub(crate) restored: Option<usize>,
    /// Whether all that was kept beside the disk is replaced with it.
    pub(crate) whole: bool,
    /// What is kept from whom, so that one node decides and nobody hears of it.
    pub(crate) withheld: Option<Withheld>,
    /// Whether an old disk is noticed, and others are heard after a start.
    pub(crate) noticed: bool,
    pub(crate) drop_percent: usize,
    /// Of a thousand steps, how many end in a kill.
    pub(crate) kill_permille: usize,
    /// Whether nodes are killed between steps.
    pub(crate) kills: bool,
    /// Messages that take seconds.
    pub(crate) slow_percent: usize,
    pub(crate) submissions: u64,
}

/// The one disorder that only the lock of the others survives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Withheld {
    /// It is heard when it prevotes for the first block of a height, and not again before it is calm: it
    /// decides alone.
    pub(crate) silent: usize,
    /// The first block of a height does not reach it: it precommits nothing, and the round ends.
    pub(crate) deaf: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) violation: Option<String>,
    pub(crate) blocks: u64,
    pub(crate) events: u64,
    pub(crate) kills: u64,
    pub(crate) lies: u64,
    pub(crate) evidence: u64,
    pub(crate) restores: u64,
    /// Votes that a node gave once more and otherwise, whose whole directory was replaced.
    pub(crate) twice: u64,
    /// Nodes that others showed what they forgot.
    pub(crate) shown: u64,
    pub(crate) rounds_max: u32,
}

/// Disorder ends; from here on everything must come to its end.
pub(crate) const CALM_MS: u64 = 20_000;
/// Until here.
const END_MS: u64 = CALM_MS + 600_000;

/// What happens at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    Deliver(usize, usize, Box<Message>),
    Wake(usize, u64),
    Made(usize, u64, AnchorId, u32),
    Judge(usize, u64, Tender),
    Kill(usize),
    Start(usize),
    HeardOut(usize, u64),
    Snapshot(usize),
    Restore(usize),
    Split,
    Submit(u64),
    Pull(usize),
}

/// A node, killed or running.
pub(crate) struct Node<O, G> {
    pub(crate) seats: Vec<usize>,
    pub(crate) disk: Disk,
    pub(crate) old: Option<(Disk, Beside)>,
    pub(crate) beside: Beside,
    pub(crate) skew_ms: u64,
    pub(crate) runs: bool,
    /// While others are heard before it votes.
    pub(crate) hearing: Option<Hearing>,
    /// Others were heard since it started.
    pub(crate) heard: bool,
    /// The highest height that somebody spoke of.
    pub(crate) claimed: u64,
    pub(crate) sitting: Option<Sitting<O, G>>,
    /// Rises with every sitting, so that what was meant for an earlier one is known.
    pub(crate) generation: u64,
}

/// The whole world of a seed.
pub(crate) struct Cluster<O, G> {
    pub(crate) plan: Plan,
    pub(crate) scope: Scope,
    pub(crate) nodes: Vec<Node<O, G>>,
    pub(crate) queue: BTreeMap<(u64, u64), Event>,
    pub(crate) order: u64,
    pub(crate) now_ms: u64,
    pub(crate) chance: Chance,
    pub(crate) oracle: Oracle,
    /// Pairs that do not hear each other, until when.
    pub(crate) cut: BTreeMap<(usize, usize), u64>,
    pub(crate) blocks: BTreeMap<u64, BTreeSet<Digest>>,
    pub(crate) submitted: Vec<Digest>,
    pub(crate) pending: VecDeque<(usize, u64, Actions)>,
    pub(crate) report: Report,
}

impl<O: Ordering, G: Guard> Cluster<O, G> {
    pub(crate) fn new(plan: Plan, scope: Scope) -> Self {
        let mut chance = Chance::new(plan.seed ^ 0x005e_ed00);
        let nodes = plan.nodes.iter().map(|seats| Node {
            seats: seats.clone(),
            disk: Disk::new(scope.index.clone()),
            old: None,
            beside: Beside::default(),
            skew_ms: chance.next() % 240_000,
            runs: false,
            hearing: None,
            heard: false,
            claimed: 0,
            sitting: None,
            generation: 0,
        });
        let nodes = nodes.collect();
        let forgetful = plan.restored.filter(|_| plan.whole);
        let seats = forgetful.iter().flat_map(|node| &plan.nodes[*node]);
        let oracle = Oracle::excusing(seats.map(|seat| scope.anchors[*seat]).collect());
        Self {
            nodes,
            plan,
            scope,
            queue: BTreeMap::new(),
            order: 0,
            now_ms: 0,
            chance,
            oracle,
            cut: BTreeMap::new(),
            blocks: BTreeMap::new(),
            submitted: Vec::new(),
            pending: VecDeque::new(),
            report: Report::default(),
        }
    }

    /// Lets everything happen.
    pub(crate) fn run(mut self) -> Report {
        self.prepare();
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now_ms = at;
            self.report.events += 1;
            self.happen(event);
            self.settle();
            if self.oracle.violation.is_some() || self.done() {
                break;
            }
            if at > END_MS {
                let all = self.where_all_are();
                self.oracle
                    .violated(format!("it does not come to an end: {all}"));
            }
        }
        self.report.blocks = u64::try_from(self.oracle.chain().len()).unwrap();
        self.report.rounds_max = self.oracle.rounds_max;
        self.report.twice = self.oracle.twice;
        self.report.violation = self.oracle.violation;
        self.report
    }

    fn prepare(&mut self) {
        for node in 0..self.nodes.len() {
            self.at(0, Event::Start(node));
            let first = self.chance.next() % 3_000;
            self.at(first, Event::Pull(node));
        }
        for number in 0..self.plan.submissions {
            let at = self.chance.next() % (CALM_MS / 2);
            self.at(at, Event::Submit(number));
        }
        for _ in 0..3 {
            let at = self.chance.next() % CALM_MS;
            self.at(at, Event::Split);
        }
        for node in 0..self.nodes.len() {
            if self.plan.kills && self.chance.percent(40) {
                let at = self.chance.next() % CALM_MS;
                self.at(at, Event::Kill(node));
            }
        }
        if let Some(node) = self.plan.restored {
            let old = self.chance.next() % (CALM_MS / 2);
            let later = old + self.chance.next() % (CALM_MS / 2);
            self.at(old, Event::Snapshot(node));
            self.at(later, Event::Restore(node));
        }
    }

    /// Everything that was submitted is decided everywhere, and no disorder is left.
    fn done(&self) -> bool {
        let complete = |node: &Node<O, G>| node.disk.pool.is_empty();
        let all = u64::try_from(self.submitted.len()).unwrap() == self.plan.submissions;
        let head = self.oracle.chain().len();
        let whole = |node: &Node<O, G>| usize::try_from(node.disk.height()).unwrap() == head;
        all && self.now_ms > CALM_MS && self.honest().all(|node| complete(node) && whole(node))
    }

    /// For people who look for the reason.
    fn where_all_are(&self) -> String {
        let nodes = self.nodes.iter().map(|node| {
            let rounds = node.sitting.as_ref().map(|sitting| {
                let rounds = sitting.rounds().map(|(_, round)| round);
                rounds.collect::<Vec<_>>()
            });
            let said =
                node.sitting
                    .iter()
                    .flat_map(Sitting::hand_over)
                    .map(|message| match message {
                        Message::Vote(SeatSigned { object, .. }) => {
                            let block = object.block.map(|block| block.short());
                            format!(
                                "{} {:?} {} {block:?}",
                                object.round,
                                object.step,
                                object.anchor.short()
                            )
                        }
                        Message::Bid(bid, _) => {
                            let (round, valid) = (bid.object.round, bid.object.valid_round);
                            format!("{round} bid {valid:?} {}", bid.object.block.short())
                        }
                        Message::Prevotes(of) => {
                            format!("{} prevotes {}", of.round, of.block.short())
                        }
                        Message::Round(of) => format!("{} {:?}", of.round, of.kind),
                        Message::Decided(..) => "decided".to_owned(),
                    });
            let said: Vec<_> = said.collect();
            let wakes = node.sitting.as_ref().and_then(Sitting::wakes_at);
            let debug = format!("{:?}", node.sitting);
            let voters = debug
                .find("voters:")
                .and_then(|from| debug.get(from..))
                .map(str::to_owned);
            let rounds = (rounds, wakes, said, voters);
            let waiting = node.disk.pool.len();
            let (height, doubted) = (node.disk.height(), node.disk.doubted);
            format!("height {height}, {waiting} waiting, doubted {doubted:?}, rounds {rounds:#?}")
        });
        format!("{:?}\n{}", self.plan, nodes.collect::<Vec<_>>().join("\n"))
    }

    fn honest(&self) -> impl Iterator<Item = &Node<O, G>> {
        let liar = self.plan.liar;
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(move |(at, _)| Some(*at) != liar)
            .map(|(_, node)| node)
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.insert((at, self.order), event);
    }

    pub(crate) fn soon(&mut self, up_to_ms: u64, event: Event) {
        let at = self.now_ms + 1 + self.chance.next() % up_to_ms;
        self.at(at, event);
    }

    pub(crate) fn calm(&self) -> bool {
        self.now_ms >= CALM_MS
    }

    pub(crate) fn clock(&self, node: usize) -> Timestamp {
        let millis = self.now_ms + self.nodes[node].skew_ms;
        self.scope.founded.plus_millis(millis)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver(from, to, message) => self.deliver(from, to, *message),
            Event::Wake(node, generation) => self.wake(node, generation),
            Event::Made(node, generation, anchor, round) => {
                self.made(node, generation, (anchor, round));
            }
            Event::Judge(node, generation, tender) => self.judge(node, generation, tender),
            Event::Kill(node) => self.kill(node),
            Event::Start(node) => self.start(node),
            Event::HeardOut(node, generation) => self.hear_out(node, generation),
            Event::Snapshot(node) => {
                let of = &mut self.nodes[node];
                of.old = Some((of.disk.clone(), of.beside));
            }
            Event::Restore(node) => self.restore(node),
            Event::Split => self.split(),
            Event::Submit(number) => self.submit(number),
            Event::Pull(node) => self.pull(node),
        }
    }

    fn submit(&mut self, number: u64) {
        let author = self.scope.keys[self.chance.below(self.scope.keys.len())].clone();
        let candidate = submission(&self.scope, number, &author);
        let digest = candidate.proposal.digest();
        self.submitted.push(digest);
        for node in 0..self.nodes.len() {
            self.nodes[node].disk.pool.insert(digest, candidate.clone());
            self.open_if_needed(node);
        }
    }

    fn split(&mut self) {
        let until = self.now_ms + self.chance.next() % 5_000;
        let side: Vec<bool> = self.nodes.iter().map(|_| self.chance.percent(50)).collect();
        let one_way = self.chance.percent(30);
        for from in 0..self.nodes.len() {
            for to in 0..self.nodes.len() {
                if side[from] != side[to] && !(one_way && side[from]) {
                    self.cut.insert((from, to), until);
                }
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: Message) {
        if !self.nodes[to].runs {
            return;
        }
        let (height, head) = (message.height(), self.nodes[to].disk.height());
        if height <= head {
            let decided = self.nodes[to].disk.decided(height);
            if let Some(decided) = decided.filter(|_| !matches!(message, Message::Decided(..))) {
                self.send(to, from, &decided);
            }
            return;
        }
        if height > head + 1 {
            self.nodes[to].claimed = self.nodes[to].claimed.max(height - 1);
            self.ask(to, from);
            return;
        }
        if self.nodes[to].sitting.is_none() {
            self.open(to);
            self.settle();
        }
        let now = self.clock(to);
        let Some(sitting) = self.nodes[to].sitting.as_mut() else {
            return;
        };
        match sitting.receive(message, now) {
            Ok(actions) => self.pending.push_back((to, height, actions)),
            Err(error) if Some(from) != self.plan.liar => {
                // An honest node passes on what a liar said only after it was checked.
                self.oracle
                    .violated(format!("node {to} refuses what {from} says: {error}"));
            }
            Err(_) => {}
        }
    }

    fn wake(&mut self, node: usize, generation: u64) {
        let now = self.clock(node);
        let of = &mut self.nodes[node];
        let height = of.disk.height() + 1;
        if let Some(sitting) = of.sitting.as_mut().filter(|_| of.generation == generation) {
            let actions = sitting.due(now);
            self.pending.push_back((node, height, actions));
        }
    }

    fn made(&mut self, node: usize, generation: u64, (anchor, round): (AnchorId, u32)) {
        let now = self.clock(node);
        let of = &mut self.nodes[node];
        if of.generation != generation {
            return;
        }
        let Some(tender) = of.disk.draft(anchor, now) else {
            return;
        };
        let height = tender.block().height;
        self.blocks
            .entry(height)
            .or_default()
            .insert(tender.digest());
        if let Some(sitting) = of.sitting.as_mut()
            && let Ok(actions) = sitting.propose((anchor, round), tender, now)
        {
            self.pending.push_back((node, height, actions));
        }
    }

    fn judge(&mut self, node: usize, generation: u64, tender: Tender) {
        let now = self.clock(node);
        let of = &mut self.nodes[node];
        if of.generation != generation {
            return;
        }
        match of.disk.judge(&tender, now) {
            Verdict::Early => self.soon(1_000, Event::Judge(node, generation, tender)),
            Verdict::Valid(valid) => {
                let height = tender.block().height;
                if let Some(sitting) = of.sitting.as_mut() {
                    let actions = sitting.judged(&tender.digest(), valid, now);
                    self.pending.push_back((node, height, actions));
                }
            }
        }
    }

    pub(crate) fn settle(&mut self) {
        while let Some((node, height, actions)) = self.pending.pop_front() {
            self.perform(node, height, actions);
        }
    }
}
