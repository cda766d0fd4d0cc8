//! `IndexView`: consistent reads at one moment; `IndexTxn`: one change in the making.

use std::sync::Arc;

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::governance::block::{Block, Body};
use crate::governance::certificate::{Certificate, Certified};
use crate::governance::descriptor::Descriptor;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::ballot::Ballot;
use super::changeset::ChangeSet;
use super::entry::{Slot, Version};
use super::freshness::Freshness;
use super::state::{Location, ScopeNo, ScopeState};
use super::trie::{self, TrieStore};

/// A proposal that was decided. Proposals of a scope expire roughly in the order in which they are
/// made, so this order keeps what is written together together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision {
    /// The scope.
    pub scope: ScopeNo,
    /// The last time at which it might have been decided.
    pub not_after: Timestamp,
    /// The proposal.
    pub proposal: Digest,
}

/// Where a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockAt {
    /// The scope.
    pub scope: ScopeNo,
    /// The height.
    pub height: u64,
}

/// A block with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The header.
    pub block: Block,
    /// What it decides.
    pub body: Body,
    /// The proof.
    pub certificate: Certificate,
}

impl Link {
    /// Without what it decides.
    pub fn into_certified(self) -> Certified {
        Certified {
            block: self.block,
            certificate: self.certificate,
        }
    }
}

/// Reads of one consistent state of the index.
pub trait IndexView {
    /// What reading can fail with; the memory index never fails.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The number of a scope held here.
    fn scope_no(&self, uid: &ScopeUid) -> Result<Option<ScopeNo>, Self::Error>;

    /// The state of a scope held here.
    fn scope(&self, no: ScopeNo) -> Result<Option<ScopeState>, Self::Error>;

    /// The same for readers that only look; kept between questions where that is sound.
    fn shared_scope(&self, no: ScopeNo) -> Result<Option<Arc<ScopeState>>, Self::Error> {
        Ok(self.scope(no)?.map(Arc::new))
    }

    /// The scope with a UID, if it is held.
    fn scope_of(&self, uid: &ScopeUid) -> Result<Option<ScopeState>, Self::Error> {
        match self.scope_no(uid)? {
            Some(no) => self.scope(no),
            None => Ok(None),
        }
    }

    /// How many scopes are held; their numbers are below it.
    fn scope_count(&self) -> Result<u32, Self::Error>;

    /// Whether a scope is held here, with everything that belongs to it.
    fn holds(&self, _scope: ScopeNo) -> bool {
        true
    }

    /// Whether it is known what stands at a path; everything is, of scopes that are held.
    fn knows(&self, _scope: ScopeNo, _path: &NamePath) -> bool {
        true
    }

    /// How fresh what is held of a scope is, where somebody else decides over it.
    fn freshness(&self, _scope: &ScopeUid) -> Freshness {
        Freshness::Fresh
    }

    /// The slot at a path.
    fn slot(&self, scope: ScopeNo, path: &NamePath) -> Result<Option<Slot>, Self::Error>;

    /// Up to `count` slots at or below `within` that come after `after`, in order.
    fn slots(
        &self,
        scope: ScopeNo,
        within: &NamePath,
        after: Option<&NamePath>,
        count: usize,
    ) -> Result<Vec<(NamePath, Slot)>, Self::Error>;

    /// Where an entry was last bound.
    fn locate(&self, uid: &Uid) -> Result<Option<Location>, Self::Error>;

    /// A version that is no longer the head.
    fn archived(&self, uid: &Uid, number: u64) -> Result<Option<Version>, Self::Error>;

    /// The height at which a proposal was decided.
    fn decided(&self, decision: &Decision) -> Result<Option<u64>, Self::Error>;

    /// The votes on a decided proposal that has not expired.
    fn ballot(&self, decision: &Decision) -> Result<Option<Ballot>, Self::Error>;

    /// The ballots of a scope that close before `time`, in order.
    fn ballots_before(
        &self,
        scope: ScopeNo,
        time: Timestamp,
    ) -> Result<Vec<(Decision, Ballot)>, Self::Error>;

    /// The header of a block of a scope.
    fn header(&self, scope: ScopeNo, height: u64) -> Result<Option<Block>, Self::Error>;

    /// A block of a scope, with its body and certificate.
    fn link(&self, scope: ScopeNo, height: u64) -> Result<Option<Link>, Self::Error>;

    /// The descriptor from which a scope was founded.
    fn genesis(&self, scope: ScopeNo) -> Result<Option<Descriptor>, Self::Error>;

    /// How many blocks of all scopes were ever committed here.
    fn commit_count(&self) -> Result<u64, Self::Error>;

    /// The block that was committed as number `sequence` here.
    fn committed(&self, sequence: u64) -> Result<Option<BlockAt>, Self::Error>;

    /// The root scopes by the name of their apex.
    fn apexes(&self) -> Result<Vec<(Name, ScopeUid)>, Self::Error>;
}

/// A change in the making; nothing of it is visible to others before it is committed whole.
pub trait IndexTxn: IndexView + TrieStore<Failure = <Self as IndexView>::Error> {
    /// Writes staged changes.
    fn apply(&mut self, changes: &ChangeSet) -> Result<(), <Self as IndexView>::Error>;

    /// Writes staged changes and the trie of the scope that decided them, whose counters are those
    /// of `state`. Gives the new state root. Rows and trie have nothing in common, so a store may
    /// write them at the same time.
    fn settle(
        &mut self,
        scope: ScopeNo,
        state: Option<&ScopeState>,
        changes: &ChangeSet,
    ) -> Result<Digest, <Self as IndexView>::Error>
    where
        Self: Sized,
    {
        self.apply(changes)?;
        trie::update(self, scope, &trie::touched_leaves(scope, state, changes))
    }

    /// Appends a block to a scope's lineage and to the order of commits.
    fn append(&mut self, scope: ScopeNo, link: &Link) -> Result<(), <Self as IndexView>::Error>;

    /// Keeps the descriptor from which a scope is founded.
    fn put_genesis(
        &mut self,
        scope: ScopeNo,
        descriptor: &Descriptor,
    ) -> Result<(), <Self as IndexView>::Error>;

    /// Hangs a root scope under an apex.
    fn put_apex(&mut self, apex: &Name, root: &ScopeUid) -> Result<(), <Self as IndexView>::Error>;
}
