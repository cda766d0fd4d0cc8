//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use kedge::base::digest::Digest;
use kedge::governance::anchor::AnchorId;
use kedge::replication::ordering::{GuardRow, Kind, Message};

/// One signature: who, at which height, in which round, of which kind.
type Place = (AnchorId, u64, u32, Kind);

/// Everything that was ever decided or signed.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    chain: BTreeMap<u64, Digest>,
    heads: BTreeMap<usize, u64>,
    signed: BTreeMap<Place, Option<Digest>>,
    /// Who may sign twice, having lost what would show it; one below a third of the weight.
    forgetful: BTreeSet<AnchorId>,
    /// How often that was.
    pub(crate) twice: u64,
    /// What went wrong first; nothing if all is well.
    pub(crate) violation: Option<String>,
    pub(crate) rounds_max: u32,
}

impl Oracle {
    /// One that counts what some do whose disk and all beside it are replaced.
    pub(crate) fn excusing(forgetful: BTreeSet<AnchorId>) -> Self {
        Self {
            forgetful,
            ..Self::default()
        }
    }

    pub(crate) fn excuses(&self, anchor: &AnchorId) -> bool {
        self.forgetful.contains(anchor)
    }

    pub(crate) fn violated(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// A node applied a block: it is the one that everybody has at that height, and the next one.
    pub(crate) fn applied(&mut self, node: usize, height: u64, block: Digest) {
        let known = *self.chain.entry(height).or_insert(block);
        if known != block {
            self.violated(format!("two blocks at height {height}"));
        }
        let head = self.heads.entry(node).or_default();
        if height != *head + 1 {
            let head = *head;
            self.violated(format!("node {node} went from {head} to {height}"));
        }
        self.heads.insert(node, height);
    }

    /// A node started: what it read before is still there.
    pub(crate) fn started(&mut self, node: usize, height: u64, restored: bool) {
        let head = self.heads.entry(node).or_default();
        if height < *head && !restored {
            let head = *head;
            self.violated(format!("node {node} had height {head} and has {height}"));
        }
        self.heads.insert(node, height);
    }

    /// An honest anchor let a signature out.
    pub(crate) fn published(&mut self, message: &Message, own: &AnchorId) {
        let (row, height) = match message {
            Message::Bid(bid, _) => (GuardRow::of_bid(&bid.object), bid.object.height),
            Message::Vote(vote) => (GuardRow::of_vote(&vote.object), vote.object.height),
            _ => return,
        };
        // A repeated bid of somebody else is not its own word.
        if row.anchor != *own {
            return;
        }
        self.rounds_max = self.rounds_max.max(row.round);
        let place = (row.anchor, height, row.round, row.kind);
        let first = *self.signed.entry(place).or_insert(row.value);
        if first != row.value && self.forgetful.contains(&row.anchor) {
            self.twice += 1;
        } else if first != row.value {
            let (kind, round) = (row.kind, row.round);
            self.violated(format!(
                "an honest {kind:?} twice in round {round} of {height}"
            ));
        }
    }

    pub(crate) fn chain(&self) -> &BTreeMap<u64, Digest> {
        &self.chain
    }
}
