//! `MemoryIndex`: the index in ordered maps; the model for tests, fuzzing and verification.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::governance::block::Block;
use crate::governance::descriptor::Descriptor;
use crate::governance::device::{DeviceId, DeviceRecord};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::ballot::Ballot;
use super::changeset::ChangeSet;
use super::devices::{DeviceRow, DeviceStore, DeviceView};
use super::entry::{Slot, Version};
use super::pending::{Outline, Pending, PendingStore, PendingView};
use super::replica::{Fork, Mirror, ReplicaStore, ReplicaView};
use super::rows::{IndexRows, RowCounts};
use super::state::{Location, ScopeNo, ScopeState};
use super::trie::{Node, Prefix, TrieStore, TrieView};
use super::view::{BlockAt, Decision, IndexTxn, IndexView, Link};

/// The whole index in memory. It never fails, and a clone is a snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemoryIndex {
    scopes: BTreeMap<ScopeNo, ScopeState>,
    slots: BTreeMap<(ScopeNo, NamePath), Slot>,
    locations: BTreeMap<Uid, Location>,
    archive: BTreeMap<(Uid, u64), Version>,
    decided: BTreeMap<Decision, u64>,
    ballots: BTreeMap<Decision, Ballot>,
    pending: BTreeMap<(ScopeNo, Digest), Pending>,
    devices: BTreeMap<(ScopeUid, DeviceId), DeviceRecord>,
    mirrors: BTreeMap<ScopeUid, Mirror>,
    forks: BTreeMap<ScopeUid, Fork>,
    links: BTreeMap<(ScopeNo, u64), Link>,
    order: Vec<BlockAt>,
    genesis: BTreeMap<ScopeNo, Descriptor>,
    apexes: BTreeMap<Name, ScopeUid>,
    trie: BTreeMap<(ScopeNo, Prefix), Node>,
}

impl MemoryIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }
}

impl IndexView for MemoryIndex {
    type Error = Infallible;

    fn scope_no(&self, uid: &ScopeUid) -> Result<Option<ScopeNo>, Infallible> {
        Ok(self
            .scopes
            .values()
            .find(|state| state.uid == *uid)
            .map(|state| state.no))
    }

    fn scope(&self, no: ScopeNo) -> Result<Option<ScopeState>, Infallible> {
        Ok(self.scopes.get(&no).cloned())
    }

    fn scope_count(&self) -> Result<u32, Infallible> {
        Ok(self.scopes.keys().next_back().map_or(0, |no| no.0 + 1))
    }

    fn slot(&self, scope: ScopeNo, path: &NamePath) -> Result<Option<Slot>, Infallible> {
        Ok(self.slots.get(&(scope, path.clone())).cloned())
    }

    fn slots(
        &self,
        scope: ScopeNo,
        within: &NamePath,
        after: Option<&NamePath>,
        count: usize,
    ) -> Result<Vec<(NamePath, Slot)>, Infallible> {
        let start = match after {
            Some(after) => Bound::Excluded((scope, after.clone())),
            None => Bound::Included((scope, within.clone())),
        };
        Ok(self
            .slots
            .range((start, Bound::Unbounded))
            .take_while(|((no, path), _)| *no == scope && path.is_within(within))
            .take(count)
            .map(|((_, path), slot)| (path.clone(), slot.clone()))
            .collect())
    }

    fn locate(&self, uid: &Uid) -> Result<Option<Location>, Infallible> {
        Ok(self.locations.get(uid).cloned())
    }

    fn archived(&self, uid: &Uid, number: u64) -> Result<Option<Version>, Infallible> {
        Ok(self.archive.get(&(*uid, number)).cloned())
    }

    fn decided(&self, decision: &Decision) -> Result<Option<u64>, Infallible> {
        Ok(self.decided.get(decision).copied())
    }

    fn ballot(&self, decision: &Decision) -> Result<Option<Ballot>, Infallible> {
        Ok(self.ballots.get(decision).cloned())
    }

    fn ballots_before(
        &self,
        scope: ScopeNo,
        time: Timestamp,
    ) -> Result<Vec<(Decision, Ballot)>, Infallible> {
        let ballots = self.ballots.iter();
        let closed = |decision: &Decision| decision.scope == scope && decision.not_after < time;
        Ok(ballots
            .filter(|(decision, _)| closed(decision))
            .map(|(decision, ballot)| (*decision, ballot.clone()))
            .collect())
    }

    fn header(&self, scope: ScopeNo, height: u64) -> Result<Option<Block>, Infallible> {
        let link = self.links.get(&(scope, height));
        Ok(link.map(|link| link.block.clone()))
    }

    fn link(&self, scope: ScopeNo, height: u64) -> Result<Option<Link>, Infallible> {
        Ok(self.links.get(&(scope, height)).cloned())
    }

    fn genesis(&self, scope: ScopeNo) -> Result<Option<Descriptor>, Infallible> {
        Ok(self.genesis.get(&scope).cloned())
    }

    fn commit_count(&self) -> Result<u64, Infallible> {
        Ok(u64::try_from(self.order.len()).unwrap_or(u64::MAX))
    }

    fn committed(&self, sequence: u64) -> Result<Option<BlockAt>, Infallible> {
        Ok(usize::try_from(sequence)
            .ok()
            .and_then(|at| self.order.get(at))
            .copied())
    }

    fn apexes(&self) -> Result<Vec<(Name, ScopeUid)>, Infallible> {
        Ok(self
            .apexes
            .iter()
            .map(|(name, uid)| (name.clone(), *uid))
            .collect())
    }
}

impl PendingView for MemoryIndex {
    type Failure = Infallible;

    fn pending(&self, scope: ScopeNo, proposal: &Digest) -> Result<Option<Pending>, Infallible> {
        Ok(self.pending.get(&(scope, *proposal)).cloned())
    }

    fn all_pending(
        &self,
        after: Option<&(ScopeNo, Digest)>,
        count: usize,
    ) -> Result<Vec<((ScopeNo, Digest), Pending)>, Infallible> {
        Ok(rows_after(&self.pending, after, count))
    }

    fn outlines(
        &self,
        after: Option<&(ScopeNo, Digest)>,
        count: usize,
    ) -> Result<Vec<((ScopeNo, Digest), Outline)>, Infallible> {
        let rows = rows_after(&self.pending, after, count).into_iter();
        Ok(rows
            .map(|(key, pending)| (key, pending.outline()))
            .collect())
    }
}

impl PendingStore for MemoryIndex {
    fn put_pending(
        &mut self,
        scope: ScopeNo,
        proposal: &Digest,
        pending: Option<&Pending>,
    ) -> Result<(), Infallible> {
        match pending {
            Some(pending) => self.pending.insert((scope, *proposal), pending.clone()),
            None => self.pending.remove(&(scope, *proposal)),
        };
        Ok(())
    }
}

impl DeviceView for MemoryIndex {
    type Failure = Infallible;

    fn devices(&self, scope: &ScopeUid) -> Result<Vec<DeviceRow>, Infallible> {
        let rows = self.devices.iter();
        let of_scope = rows.filter(|((of, _), _)| of == scope);
        let row = |((_, device), record): (&(ScopeUid, DeviceId), &DeviceRecord)| {
            (*device, record.clone())
        };
        Ok(of_scope.map(row).collect())
    }
}

impl DeviceStore for MemoryIndex {
    fn put_device(
        &mut self,
        scope: &ScopeUid,
        device: &DeviceId,
        record: Option<&DeviceRecord>,
    ) -> Result<(), Infallible> {
        match record {
            Some(record) => self.devices.insert((*scope, *device), record.clone()),
            None => self.devices.remove(&(*scope, *device)),
        };
        Ok(())
    }
}

impl ReplicaView for MemoryIndex {
    type Failure = Infallible;

    fn mirrors(&self) -> Result<Vec<Mirror>, Infallible> {
        Ok(self.mirrors.values().cloned().collect())
    }

    fn mirror(&self, scope: &ScopeUid) -> Result<Option<Mirror>, Infallible> {
        Ok(self.mirrors.get(scope).cloned())
    }

    fn fork(&self, scope: &ScopeUid) -> Result<Option<Fork>, Infallible> {
        Ok(self.forks.get(scope).cloned())
    }
}

impl ReplicaStore for MemoryIndex {
    fn put_mirror(&mut self, scope: &ScopeUid, mirror: Option<&Mirror>) -> Result<(), Infallible> {
        match mirror {
            Some(mirror) => self.mirrors.insert(*scope, mirror.clone()),
            None => self.mirrors.remove(scope),
        };
        Ok(())
    }

    fn put_fork(&mut self, fork: &Fork) -> Result<(), Infallible> {
        self.forks.entry(fork.scope()).or_insert(fork.clone());
        Ok(())
    }
}

impl TrieView for MemoryIndex {
    type Failure = Infallible;

    fn node(&self, scope: ScopeNo, prefix: Prefix) -> Result<Option<Node>, Infallible> {
        Ok(self.trie.get(&(scope, prefix)).cloned())
    }
}

impl TrieStore for MemoryIndex {
    fn put_node(
        &mut self,
        scope: ScopeNo,
        prefix: Prefix,
        node: Option<&Node>,
    ) -> Result<(), Infallible> {
        match node {
            Some(node) => self.trie.insert((scope, prefix), node.clone()),
            None => self.trie.remove(&(scope, prefix)),
        };
        Ok(())
    }
}

impl IndexRows for MemoryIndex {
    fn row_counts(&self) -> Result<RowCounts, Infallible> {
        Ok(RowCounts {
            scopes: count(self.scopes.len()),
            scope_numbers: count(self.scopes.len()),
            genesis: count(self.genesis.len()),
            slots: count(self.slots.len()),
            locations: count(self.locations.len()),
            archived: count(self.archive.len()),
            decided: count(self.decided.len()),
            ballots: count(self.ballots.len()),
            blocks: count(self.links.len()),
            bodies: count(self.links.len()),
            commits: count(self.order.len()),
            apexes: count(self.apexes.len()),
            trie_nodes: count(self.trie.len()),
        })
    }

    fn locations(
        &self,
        after: Option<&Uid>,
        count: usize,
    ) -> Result<Vec<(Uid, Location)>, Infallible> {
        Ok(rows_after(&self.locations, after, count))
    }

    fn archive(
        &self,
        after: Option<&(Uid, u64)>,
        count: usize,
    ) -> Result<Vec<((Uid, u64), Version)>, Infallible> {
        Ok(rows_after(&self.archive, after, count))
    }

    fn decisions(
        &self,
        after: Option<&Decision>,
        count: usize,
    ) -> Result<Vec<(Decision, u64)>, Infallible> {
        Ok(rows_after(&self.decided, after, count))
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn rows_after<K: Ord + Clone, R: Clone>(
    rows: &BTreeMap<K, R>,
    after: Option<&K>,
    count: usize,
) -> Vec<(K, R)> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    rows.range((start, Bound::Unbounded))
        .take(count)
        .map(|(key, row)| (key.clone(), row.clone()))
        .collect()
}

impl IndexTxn for MemoryIndex {
    fn apply(&mut self, changes: &ChangeSet) -> Result<(), Infallible> {
        for (no, state) in &changes.scopes {
            self.scopes.insert(*no, state.clone());
        }
        for (no, slots) in &changes.slots {
            for (path, slot) in slots {
                let key = (*no, path.clone());
                match slot {
                    Some(slot) => self.slots.insert(key, slot.clone()),
                    None => self.slots.remove(&key),
                };
            }
        }
        self.locations
            .extend(changes.locations.iter().map(|(uid, at)| (*uid, at.clone())));
        self.archive.extend(
            changes
                .archive
                .iter()
                .map(|(key, version)| (*key, version.clone())),
        );
        self.decided.extend(
            changes
                .decided
                .iter()
                .map(|(decision, height)| (*decision, *height)),
        );
        for (decision, ballot) in &changes.ballots {
            match ballot {
                Some(ballot) => self.ballots.insert(*decision, ballot.clone()),
                None => self.ballots.remove(decision),
            };
        }
        Ok(())
    }

    fn append(&mut self, scope: ScopeNo, link: &Link) -> Result<(), Infallible> {
        let height = link.block.height;
        self.links.insert((scope, height), link.clone());
        self.order.push(BlockAt { scope, height });
        Ok(())
    }

    fn put_genesis(&mut self, scope: ScopeNo, descriptor: &Descriptor) -> Result<(), Infallible> {
        self.genesis.insert(scope, descriptor.clone());
        Ok(())
    }

    fn put_apex(&mut self, apex: &Name, root: &ScopeUid) -> Result<(), Infallible> {
        self.apexes.insert(apex.clone(), *root);
        Ok(())
    }
}
