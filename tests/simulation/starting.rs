//! How nodes of a cluster end, start again, and begin a height.

use std::sync::Arc;

use kedge::base::keys::Signer;
use kedge::replication::ordering::{
    Guard, Heard, Hearing, Opening, Ordering, Sitting, Standing, Waits,
};

use crate::cluster::{Cluster, Event, Node};

impl<O, G> Node<O, G> {
    fn stop(&mut self) {
        self.runs = false;
        self.sitting = None;
        self.hearing = None;
        self.generation += 1;
    }
}

impl<O: Ordering, G: Guard> Cluster<O, G> {
    pub(crate) fn kill(&mut self, node: usize) {
        if !self.nodes[node].runs {
            return;
        }
        self.report.kills += 1;
        self.nodes[node].stop();
        self.soon(4_000, Event::Start(node));
    }

    pub(crate) fn restore(&mut self, node: usize) {
        let Some((old, beside)) = self.nodes[node].old.take() else {
            return;
        };
        self.report.restores += 1;
        let restored = &mut self.nodes[node];
        restored.stop();
        // People tell it again what waits; the rest it has to find out.
        let pool = std::mem::replace(&mut restored.disk, old).pool;
        restored.disk.pool.extend(pool);
        if self.plan.whole {
            restored.beside = beside;
        } else {
            restored.disk.starts = restored.disk.starts.saturating_sub(1);
        }
        let height = restored.disk.height();
        self.oracle.started(node, height, true);
        self.soon(2_000, Event::Start(node));
    }

    pub(crate) fn start(&mut self, node: usize) {
        if self.nodes[node].runs {
            return;
        }
        let starting = &mut self.nodes[node];
        starting.runs = true;
        starting.disk.start(&mut starting.beside);
        starting.heard = !self.plan.noticed;
        let height = starting.disk.height();
        self.oracle.started(node, height, false);
        self.forget_decided(node);
        let open = self.nodes[node].disk.rows.contains_key(&(height + 1));
        if open {
            self.open(node);
        }
        self.open_if_needed(node);
    }

    /// What an old disk still thinks to be waiting.
    fn forget_decided(&mut self, node: usize) {
        let disk = &mut self.nodes[node].disk;
        for height in 1..=disk.height() {
            for decided in disk.link(height).unwrap().body.decided {
                disk.pool.remove(&decided.proposal.digest());
            }
        }
    }

    pub(crate) fn open_if_needed(&mut self, node: usize) {
        let of = &self.nodes[node];
        if of.runs && of.sitting.is_none() && !of.disk.pool.is_empty() {
            self.open(node);
        }
    }

    pub(crate) fn open(&mut self, node: usize) {
        let now = self.clock(node);
        let of = &mut self.nodes[node];
        let state = of.disk.state();
        let height = state.height + 1;
        let is_heard = of.heard || of.seats.is_empty();
        let standing = match of.disk.doubted {
            _ if !self.plan.noticed => Standing::Proven,
            _ if !is_heard => Standing::Doubted(None),
            None => Standing::Proven,
            up_to => Standing::Doubted(up_to),
        };
        let signer = |seat: &usize| -> Arc<dyn Signer> { Arc::new(self.scope.keys[*seat].clone()) };
        let opening = Opening {
            height,
            prev: state.head,
            last_proposer: of.disk.last_proposer(),
            signers: of.seats.iter().map(signer).collect(),
            standing,
            waits: Waits::of(state.descriptor.policy.pace),
            descriptor: Arc::new(state.descriptor),
        };
        let (sitting, actions) = Sitting::open(opening, &of.disk.kept(height), now);
        of.sitting = Some(sitting);
        of.generation += 1;
        self.pending.push_back((node, height, actions));
        if !is_heard {
            self.nodes[node].hearing = Some(Hearing::begin(now));
            self.recall(node);
        }
    }

    /// Asks all others what they heard, and looks at it later.
    fn recall(&mut self, node: usize) {
        let mut is_reached = false;
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            is_reached |= self.ask(node, peer);
        }
        let now = self.clock(node);
        let of = &mut self.nodes[node];
        if let (Some(hearing), true) = (of.hearing.as_mut(), is_reached) {
            hearing.came(now);
        }
        let wait = of.hearing.map_or(0, |h| h.until().millis_since(now));
        let at = self.now_ms + wait;
        let generation = self.nodes[node].generation;
        self.at(at, Event::HeardOut(node, generation));
    }

    /// Looks at what others said, and votes.
    pub(crate) fn hear_out(&mut self, node: usize, generation: u64) {
        let now = self.clock(node);
        let of = &mut self.nodes[node];
        let is_behind = of.claimed > of.disk.height();
        let Some(hearing) = of.hearing.as_mut().filter(|_| of.generation == generation) else {
            return;
        };
        if hearing.look(false, is_behind, now) == Heard::Again {
            self.recall(node);
            return;
        }
        let height = of.disk.height() + 1;
        let said = of.sitting.as_ref().map(Sitting::hand_over);
        (of.hearing, of.heard) = (None, true);
        self.open(node);
        self.settle();
        for message in said.into_iter().flatten() {
            let sitting = self.nodes[node].sitting.as_mut();
            if let Some(Ok(actions)) = sitting.map(|sitting| sitting.receive(message, now)) {
                self.pending.push_back((node, height, actions));
                self.settle();
            }
        }
    }

    /// Others showed a node what it signed and does not know.
    pub(crate) fn outdated(&mut self, node: usize) {
        self.report.shown += 1;
        let disk = &mut self.nodes[node].disk;
        disk.doubted = disk.doubted.max(Some(disk.height() + 1));
    }
}
