//! What a node does of what its sitting wants, and where it is killed meanwhile.

use kedge::replication::ordering::{
    Action, Actions, Broken, Evidence, Guard, Ordering, Row, Sitting,
};

use crate::cluster::{Cluster, Event};

impl<O: Ordering, G: Guard> Cluster<O, G> {
    /// Stores, then acts; or is killed anywhere in between.
    pub(crate) fn perform(&mut self, node: usize, height: u64, actions: Actions) {
        if !self.nodes[node].runs {
            return;
        }
        let Actions { mut rows, then } = actions;
        let signs = rows.iter().any(|row| matches!(row, Row::Guard(_)));
        let kills = !self.calm() && (!rows.is_empty() || !then.is_empty());
        let killed = kills && self.chance.below(1_000) < self.plan.kill_permille;
        if killed && self.chance.percent(50) {
            rows.truncate(self.chance.below(rows.len() + 1));
        }
        let of = &mut self.nodes[node];
        if signs {
            of.beside.mark = of.beside.mark.max(height);
        }
        if !rows.is_empty() {
            of.disk.rows.entry(height).or_default().extend(rows);
        }
        if killed {
            self.kill(node);
            return;
        }
        for action in then {
            let late = !self.calm() && self.chance.below(1_000) < self.plan.kill_permille;
            if late {
                self.kill(node);
                return;
            }
            self.act(node, action);
        }
        let of = &self.nodes[node];
        if let Some(wakes) = of.sitting.as_ref().and_then(Sitting::wakes_at) {
            let (generation, now) = (of.generation, self.clock(node));
            let at = self.now_ms + wakes.millis_since(now);
            self.at(at, Event::Wake(node, generation));
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        let generation = self.nodes[node].generation;
        match action {
            Action::Make(anchor, round) => {
                self.soon(50, Event::Made(node, generation, anchor, round));
            }
            Action::Judge(tender) => self.soon(30, Event::Judge(node, generation, tender)),
            Action::Publish(message) => {
                for seat in self.nodes[node].seats.clone() {
                    if Some(node) != self.plan.liar {
                        let own = self.scope.anchors[seat];
                        self.oracle.published(&message, &own);
                    }
                }
                for to in (0..self.nodes.len()).filter(|to| *to != node) {
                    self.send(node, to, &message);
                }
            }
            Action::Decided(tender, certificate) => {
                if self.nodes[node].disk.apply(&tender, &certificate) {
                    let height = tender.block().height;
                    self.oracle.applied(node, height, tender.digest());
                    self.nodes[node].sitting = None;
                    self.nodes[node].generation += 1;
                    self.open_if_needed(node);
                } else {
                    self.oracle
                        .violated(format!("node {node} cannot apply what is decided"));
                }
            }
            Action::Evidence(evidence) => {
                self.report.evidence += 1;
                self.convict(&evidence);
            }
            Action::SitsOut(_, Broken::Outdated) if Some(node) == self.plan.restored => {
                self.outdated(node);
            }
            Action::SitsOut(_, why) => {
                let is_forgetful = self.plan.whole && Some(node) == self.plan.restored;
                if Some(node) != self.plan.liar && !is_forgetful {
                    self.oracle.violated(format!("node {node} sits out: {why}"));
                }
            }
        }
    }

    fn convict(&mut self, evidence: &Evidence) {
        let anchor = match evidence {
            Evidence::Votes(vote, _) => vote.object.anchor,
            Evidence::Bids(bid, _) => bid.object.anchor,
        };
        let liar = self.plan.liar.map(|node| &self.nodes[node].seats);
        let lies = |seat: &usize| self.scope.anchors[*seat] == anchor;
        let is_liar = liar.is_some_and(|seats| seats.iter().any(lies));
        if !is_liar && !self.oracle.excuses(&anchor) {
            self.oracle
                .violated(format!("{} is convicted and honest", anchor.short()));
        }
    }
}
