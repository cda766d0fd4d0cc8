//! What a simulated node keeps when it is killed: an index of real blocks, and rows.

use std::collections::BTreeMap;

use kedge::base::digest::Digest;
use kedge::base::time::Timestamp;
use kedge::governance::anchor::AnchorId;
use kedge::governance::certificate::Certificate;
use kedge::index::admission::Candidate;
use kedge::index::drafting::{draft, is_early, judge};
use kedge::index::lineage::{Agenda, replay};
use kedge::index::memory::MemoryIndex;
use kedge::index::state::{ScopeNo, ScopeState};
use kedge::index::view::{IndexView, Link};
use kedge::replication::ordering::{Kept, Message, Row, Tender};

/// The only scope of a simulated cluster.
pub(crate) const SCOPE: ScopeNo = ScopeNo(0);

/// Everything that survives a kill.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) index: MemoryIndex,
    /// By height.
    pub(crate) rows: BTreeMap<u64, Vec<Row>>,
    /// Proposals that wait.
    pub(crate) pool: BTreeMap<Digest, Candidate>,
    /// How often the node started.
    pub(crate) starts: u64,
    /// Up to which height votes may be missing here.
    pub(crate) doubted: Option<u64>,
}

/// What is kept beside the disk and is not restored with it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside {
    pub(crate) starts: u64,
    /// The highest height at which a vote was signed.
    pub(crate) mark: u64,
}

/// What the index says of a block.
pub(crate) enum Verdict {
    Valid(bool),
    Early,
}

impl Disk {
    pub(crate) fn new(index: MemoryIndex) -> Self {
        Self {
            index,
            rows: BTreeMap::new(),
            pool: BTreeMap::new(),
            starts: 0,
            doubted: None,
        }
    }

    pub(crate) fn state(&self) -> ScopeState {
        let Ok(state) = self.index.scope(SCOPE);
        state.unwrap()
    }

    pub(crate) fn height(&self) -> u64 {
        self.state().height
    }

    /// Who packed the last block.
    pub(crate) fn last_proposer(&self) -> AnchorId {
        self.link(self.height()).unwrap().block.proposer
    }

    pub(crate) fn link(&self, height: u64) -> Option<Link> {
        let Ok(link) = self.index.link(SCOPE, height);
        link
    }

    /// A decided height, for who is behind.
    pub(crate) fn decided(&self, height: u64) -> Option<Message> {
        let Link {
            block,
            body,
            certificate,
        } = self.link(height)?;
        Some(Message::Decided(Tender::new(block, body)?, certificate))
    }

    /// Takes note of a start, and of whether the disk is the one that was there before.
    pub(crate) fn start(&mut self, beside: &mut Beside) {
        if self.starts != beside.starts {
            self.doubted = Some(beside.mark);
        }
        beside.starts += 1;
        self.starts = beside.starts;
    }

    pub(crate) fn kept(&self, height: u64) -> Kept {
        let rows = self.rows.get(&height).cloned().unwrap_or_default();
        Kept { rows }
    }

    /// A block of what waits; none if nothing of it can be decided.
    pub(crate) fn draft(&self, proposer: AnchorId, now: Timestamp) -> Option<Tender> {
        let candidates: Vec<Candidate> = self.pool.values().cloned().collect();
        let agenda = Agenda {
            candidates: &candidates,
            late: &[],
        };
        let mut given_up = self.index.clone();
        let drafted = draft(&mut given_up, SCOPE, agenda, (proposer, now)).unwrap();
        Tender::new(drafted.block?, drafted.body)
    }

    pub(crate) fn judge(&self, tender: &Tender, now: Timestamp) -> Verdict {
        if is_early(tender.block(), now) {
            return Verdict::Early;
        }
        let mut given_up = self.index.clone();
        Verdict::Valid(judge(&mut given_up, SCOPE, tender.block(), tender.body()).is_ok())
    }

    /// Applies a decided block; whether it follows.
    pub(crate) fn apply(&mut self, tender: &Tender, certificate: &Certificate) -> bool {
        let link = Link {
            block: tender.block().clone(),
            body: tender.body().clone(),
            certificate: certificate.clone(),
        };
        let mut next = self.index.clone();
        if replay(&mut next, SCOPE, &link).is_err() {
            return false;
        }
        self.index = next;
        for decided in &link.body.decided {
            self.pool.remove(&decided.proposal.digest());
        }
        let height = self.height();
        // What was signed stays known for ever; here the height alone forbids more.
        self.rows.retain(|at, _| *at > height);
        true
    }
}
