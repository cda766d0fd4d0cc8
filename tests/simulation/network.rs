//! How messages travel between the nodes of a cluster, and how they do not.

use std::cmp::Ordering::{Equal, Greater, Less};

use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::governance::certificate::Step;
use kedge::replication::ordering::{Guard, Message, Ordering, Sitting};

use crate::cluster::{CALM_MS, Cluster, Event, Withheld};
use crate::liar::twist;

impl<O: Ordering, G: Guard> Cluster<O, G> {
    /// Every now and then a node asks another one what it missed.
    pub(crate) fn pull(&mut self, node: usize) {
        self.soon(3_000, Event::Pull(node));
        let peer = self.chance.below(self.nodes.len());
        if peer != node && self.nodes[node].runs {
            self.ask(node, peer);
        }
    }

    /// Whether it could be asked.
    pub(crate) fn ask(&mut self, node: usize, peer: usize) -> bool {
        if !self.nodes[peer].runs || (Some(peer) == self.plan.liar && self.chance.percent(50)) {
            return false;
        }
        let (asks, has) = (
            self.nodes[node].disk.height(),
            self.nodes[peer].disk.height(),
        );
        let of = &self.nodes[peer];
        let messages: Vec<Message> = match has.cmp(&asks) {
            Less => Vec::new(),
            Equal => of
                .sitting
                .as_ref()
                .map_or_else(|| of.disk.kept(has + 1).said(), Sitting::hand_over),
            Greater => (asks + 1..=has)
                .filter_map(|height| of.disk.decided(height))
                .collect(),
        };
        // One stream: in order, or not at all.
        let lost = !self.calm() && self.chance.percent(self.plan.drop_percent);
        if lost || self.is_cut(peer, node) {
            return false;
        }
        let at = self.now_ms + 2 + self.chance.next() % 80;
        for message in messages {
            if !self.is_withheld(peer, node, &message) {
                self.at(at, Event::Deliver(peer, node, Box::new(message)));
            }
        }
        true
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        let until = self.cut.get(&(from, to)).copied().unwrap_or_default();
        self.now_ms < until.min(CALM_MS)
    }

    fn is_withheld(&self, from: usize, to: usize, message: &Message) -> bool {
        let Some(Withheld { silent, deaf }) = self.plan.withheld.filter(|_| !self.calm()) else {
            return false;
        };
        let is_first_prevote = |message: &Message| {
            matches!(message, Message::Vote(vote)
                if vote.object.round == 0 && vote.object.step == Step::Prevote)
        };
        let is_first_bid =
            |message: &Message| matches!(message, Message::Bid(bid, _) if bid.object.round == 0);
        if from == silent {
            return !(is_first_prevote(message) || is_first_bid(message) && to != deaf);
        }
        to == deaf && is_first_bid(message)
    }

    pub(crate) fn send(&mut self, from: usize, to: usize, message: &Message) {
        let message = if Some(from) == self.plan.liar {
            let seat = self.nodes[from].seats[0];
            let blocks = self.blocks.get(&message.height());
            let blocks: Vec<Digest> = blocks.into_iter().flatten().copied().collect();
            let key: &SecretKey = &self.scope.keys[seat];
            let told = twist(message, key, &blocks, &mut self.chance);
            self.report.lies += u64::from(told.as_ref() != Some(message));
            let Some(told) = told else { return };
            told
        } else {
            message.clone()
        };
        if self.is_cut(from, to) || self.is_withheld(from, to, &message) {
            return;
        }
        let disorder = !self.calm();
        if disorder && self.chance.percent(self.plan.drop_percent) {
            return;
        }
        let copies = if disorder && self.chance.percent(5) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let slow = disorder && self.chance.percent(self.plan.slow_percent);
            let up_to = if slow { 4_000 } else { 80 };
            self.soon(up_to, Event::Deliver(from, to, Box::new(message.clone())));
        }
    }
}
