//! `MemoryStore`: the index in memory, whose reads fail when told to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kedge::base::digest::Digest;
use kedge::base::time::Timestamp;
use kedge::governance::block::Block;
use kedge::governance::descriptor::Descriptor;
use kedge::governance::device::{DeviceId, DeviceRecord};
use kedge::index::ballot::Ballot;
use kedge::index::changeset::ChangeSet;
use kedge::index::devices::{DeviceRow, DeviceStore, DeviceView};
use kedge::index::entry::{Slot, Version};
use kedge::index::lineage::LinkError;
use kedge::index::memory::MemoryIndex;
use kedge::index::pending::{Outline, Pending, PendingStore, PendingView};
use kedge::index::replica::{Fork, Mirror, ReplicaStore, ReplicaView};
use kedge::index::rows::{IndexRows, RowCounts};
use kedge::index::state::{Location, ScopeNo, ScopeState};
use kedge::index::trie::{Node, Prefix, TrieStore, TrieView};
use kedge::index::view::{BlockAt, Decision, IndexTxn, IndexView, Link};
use kedge::namespace::name::Name;
use kedge::namespace::path::NamePath;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;
use kedge::service::ports::Store;

/// Reads that succeed before the first that fails; never, by default.
const NEVER: u64 = u64::MAX;

/// A read that failed on purpose.
#[derive(Debug, thiserror::Error)]
#[error("a page cannot be read")]
pub struct Unreadable;

/// An index whose reads can be made to fail.
#[derive(Debug, Clone)]
pub struct Brittle {
    index: MemoryIndex,
    reads_left: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl Brittle {
    fn read<T>(&self, value: Result<T, std::convert::Infallible>) -> Result<T, Unreadable> {
        let left = self.reads_left.load(Ordering::SeqCst);
        if left == 0 {
            self.failed.store(true, Ordering::SeqCst);
            return Err(Unreadable);
        }
        if left != NEVER {
            self.reads_left.store(left - 1, Ordering::SeqCst);
        }
        match value {
            Ok(value) => Ok(value),
            Err(never) => match never {},
        }
    }
}

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    latest: Mutex<Arc<Brittle>>,
    commits: AtomicU64,
    reads_left: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
    writes: AtomicU64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        let reads_left = Arc::new(AtomicU64::new(NEVER));
        let failed = Arc::default();
        let first = Brittle {
            index: MemoryIndex::new(),
            reads_left: Arc::clone(&reads_left),
            failed: Arc::clone(&failed),
        };
        Self {
            latest: Mutex::new(Arc::new(first)),
            commits: AtomicU64::new(0),
            reads_left,
            failed,
            writes: AtomicU64::new(0),
        }
    }
}

impl MemoryStore {
    /// Changes that were tried so far, done or given up.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Lets so many more reads succeed.
    pub fn fail_after(&self, reads: u64) {
        self.reads_left.store(reads, Ordering::SeqCst);
    }

    /// Lets every read succeed again.
    pub fn mend(&self) {
        self.fail_after(NEVER);
    }

    /// Whether a read failed since this was asked last.
    pub fn take_failed(&self) -> bool {
        self.failed.swap(false, Ordering::SeqCst)
    }
}

impl Store for MemoryStore {
    type Error = Unreadable;
    type Snapshot = Brittle;
    type Txn<'t> = Brittle;

    fn latest(&self) -> Arc<Brittle> {
        Arc::clone(&self.latest.lock().unwrap())
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    fn write<R>(
        &self,
        change: impl FnOnce(&mut Brittle) -> Result<R, LinkError<Unreadable>>,
    ) -> Result<R, LinkError<Unreadable>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let mut next = Brittle::clone(&self.latest());
        let result = change(&mut next)?;
        *self.latest.lock().unwrap() = Arc::new(next);
        self.commits.fetch_add(1, Ordering::SeqCst);
        Ok(result)
    }
}

impl IndexView for Brittle {
    type Error = Unreadable;

    fn scope_no(&self, uid: &ScopeUid) -> Result<Option<ScopeNo>, Unreadable> {
        self.read(self.index.scope_no(uid))
    }

    fn scope(&self, no: ScopeNo) -> Result<Option<ScopeState>, Unreadable> {
        self.read(self.index.scope(no))
    }

    fn scope_count(&self) -> Result<u32, Unreadable> {
        self.read(self.index.scope_count())
    }

    fn slot(&self, scope: ScopeNo, path: &NamePath) -> Result<Option<Slot>, Unreadable> {
        self.read(self.index.slot(scope, path))
    }

    fn slots(
        &self,
        scope: ScopeNo,
        within: &NamePath,
        after: Option<&NamePath>,
        count: usize,
    ) -> Result<Vec<(NamePath, Slot)>, Unreadable> {
        self.read(self.index.slots(scope, within, after, count))
    }

    fn locate(&self, uid: &Uid) -> Result<Option<Location>, Unreadable> {
        self.read(self.index.locate(uid))
    }

    fn archived(&self, uid: &Uid, number: u64) -> Result<Option<Version>, Unreadable> {
        self.read(self.index.archived(uid, number))
    }

    fn decided(&self, decision: &Decision) -> Result<Option<u64>, Unreadable> {
        self.read(self.index.decided(decision))
    }

    fn ballot(&self, decision: &Decision) -> Result<Option<Ballot>, Unreadable> {
        self.read(self.index.ballot(decision))
    }

    fn ballots_before(
        &self,
        scope: ScopeNo,
        time: Timestamp,
    ) -> Result<Vec<(Decision, Ballot)>, Unreadable> {
        self.read(self.index.ballots_before(scope, time))
    }

    fn header(&self, scope: ScopeNo, height: u64) -> Result<Option<Block>, Unreadable> {
        self.read(self.index.header(scope, height))
    }

    fn link(&self, scope: ScopeNo, height: u64) -> Result<Option<Link>, Unreadable> {
        self.read(self.index.link(scope, height))
    }

    fn genesis(&self, scope: ScopeNo) -> Result<Option<Descriptor>, Unreadable> {
        self.read(self.index.genesis(scope))
    }

    fn commit_count(&self) -> Result<u64, Unreadable> {
        self.read(self.index.commit_count())
    }

    fn committed(&self, sequence: u64) -> Result<Option<BlockAt>, Unreadable> {
        self.read(self.index.committed(sequence))
    }

    fn apexes(&self) -> Result<Vec<(Name, ScopeUid)>, Unreadable> {
        self.read(self.index.apexes())
    }
}

impl PendingView for Brittle {
    type Failure = Unreadable;

    fn pending(&self, scope: ScopeNo, proposal: &Digest) -> Result<Option<Pending>, Unreadable> {
        self.read(self.index.pending(scope, proposal))
    }

    fn all_pending(
        &self,
        after: Option<&(ScopeNo, Digest)>,
        count: usize,
    ) -> Result<Vec<((ScopeNo, Digest), Pending)>, Unreadable> {
        self.read(self.index.all_pending(after, count))
    }

    fn outlines(
        &self,
        after: Option<&(ScopeNo, Digest)>,
        count: usize,
    ) -> Result<Vec<((ScopeNo, Digest), Outline)>, Unreadable> {
        self.read(self.index.outlines(after, count))
    }
}

impl PendingStore for Brittle {
    fn put_pending(
        &mut self,
        scope: ScopeNo,
        proposal: &Digest,
        pending: Option<&Pending>,
    ) -> Result<(), Unreadable> {
        let put = self.index.put_pending(scope, proposal, pending);
        self.read(put)
    }
}

impl DeviceView for Brittle {
    type Failure = Unreadable;

    fn devices(&self, scope: &ScopeUid) -> Result<Vec<DeviceRow>, Unreadable> {
        self.read(self.index.devices(scope))
    }
}

impl DeviceStore for Brittle {
    fn put_device(
        &mut self,
        scope: &ScopeUid,
        device: &DeviceId,
        record: Option<&DeviceRecord>,
    ) -> Result<(), Unreadable> {
        let put = self.index.put_device(scope, device, record);
        self.read(put)
    }
}

impl ReplicaView for Brittle {
    type Failure = Unreadable;

    fn mirrors(&self) -> Result<Vec<Mirror>, Unreadable> {
        self.read(self.index.mirrors())
    }

    fn mirror(&self, scope: &ScopeUid) -> Result<Option<Mirror>, Unreadable> {
        self.read(self.index.mirror(scope))
    }

    fn fork(&self, scope: &ScopeUid) -> Result<Option<Fork>, Unreadable> {
        self.read(self.index.fork(scope))
    }
}

impl ReplicaStore for Brittle {
    fn put_mirror(&mut self, scope: &ScopeUid, mirror: Option<&Mirror>) -> Result<(), Unreadable> {
        let put = self.index.put_mirror(scope, mirror);
        self.read(put)
    }

    fn put_fork(&mut self, fork: &Fork) -> Result<(), Unreadable> {
        let put = self.index.put_fork(fork);
        self.read(put)
    }
}

impl TrieView for Brittle {
    type Failure = Unreadable;

    fn node(&self, scope: ScopeNo, prefix: Prefix) -> Result<Option<Node>, Unreadable> {
        self.read(self.index.node(scope, prefix))
    }
}

impl TrieStore for Brittle {
    fn put_node(
        &mut self,
        scope: ScopeNo,
        prefix: Prefix,
        node: Option<&Node>,
    ) -> Result<(), Unreadable> {
        let put = self.index.put_node(scope, prefix, node);
        self.read(put)
    }
}

impl IndexTxn for Brittle {
    fn apply(&mut self, changes: &ChangeSet) -> Result<(), Unreadable> {
        let applied = self.index.apply(changes);
        self.read(applied)
    }

    fn append(&mut self, scope: ScopeNo, link: &Link) -> Result<(), Unreadable> {
        let appended = self.index.append(scope, link);
        self.read(appended)
    }

    fn put_genesis(&mut self, scope: ScopeNo, descriptor: &Descriptor) -> Result<(), Unreadable> {
        let put = self.index.put_genesis(scope, descriptor);
        self.read(put)
    }

    fn put_apex(&mut self, apex: &Name, root: &ScopeUid) -> Result<(), Unreadable> {
        let put = self.index.put_apex(apex, root);
        self.read(put)
    }
}

impl IndexRows for Brittle {
    fn row_counts(&self) -> Result<RowCounts, Unreadable> {
        self.read(self.index.row_counts())
    }

    fn locations(
        &self,
        after: Option<&Uid>,
        count: usize,
    ) -> Result<Vec<(Uid, Location)>, Unreadable> {
        self.read(self.index.locations(after, count))
    }

    fn archive(
        &self,
        after: Option<&(Uid, u64)>,
        count: usize,
    ) -> Result<Vec<((Uid, u64), Version)>, Unreadable> {
        self.read(self.index.archive(after, count))
    }

    fn decisions(
        &self,
        after: Option<&Decision>,
        count: usize,
    ) -> Result<Vec<(Decision, u64)>, Unreadable> {
        self.read(self.index.decisions(after, count))
    }
}
