//! Writes of the index inside the one write transaction.

use std::collections::BTreeMap;
use std::thread::ScopedJoinHandle;

use redb::Table;

use crate::base::canonical::{Encoder, Form};
use crate::base::digest::Digest;
use crate::governance::descriptor::Descriptor;
use crate::index::changeset::ChangeSet;
use crate::index::pending::{Pending, PendingStore};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::trie::{self, Node, Prefix, TrieStore, TrieView};
use crate::index::view::{BlockAt, IndexTxn, IndexView, Link};
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;

use super::error::StoreError;
use super::keys::{
    decision_key, height_key, no_key, node_key, pending_key, row_bytes, slot_key, version_key,
};
use super::scan::trie_node;
use super::tables::Bytes;
use super::view::WriteTables;

/// A change of this many rows is written by several threads: below it starting them costs more.
const ROWS_FOR_THREADS_MIN: usize = 256;

type Rows<'t> = Table<'t, Bytes, Bytes>;

/// The nodes of all tries, apart from the other tables.
struct Trie<'a, 't>(&'a mut Rows<'t>);

impl TrieView for Trie<'_, '_> {
    type Failure = StoreError;

    fn node(&self, scope: ScopeNo, prefix: Prefix) -> Result<Option<Node>, StoreError> {
        trie_node(self.0, scope, prefix)
    }
}

impl TrieStore for Trie<'_, '_> {
    fn put_node(
        &mut self,
        scope: ScopeNo,
        prefix: Prefix,
        node: Option<&Node>,
    ) -> Result<(), StoreError> {
        let key = node_key(scope, prefix);
        match node {
            Some(node) => self.0.insert(key.as_slice(), row_bytes(node).as_slice())?,
            None => self.0.remove(key.as_slice())?,
        };
        Ok(())
    }
}

impl TrieStore for WriteTables<'_> {
    fn put_node(
        &mut self,
        scope: ScopeNo,
        prefix: Prefix,
        node: Option<&Node>,
    ) -> Result<(), StoreError> {
        Trie(&mut self.trie).put_node(scope, prefix, node)
    }
}

fn put_slots(table: &mut Rows<'_>, changes: &ChangeSet) -> Result<(), StoreError> {
    for (no, slots) in &changes.slots {
        for (path, slot) in slots {
            let key = slot_key(*no, path);
            match slot {
                Some(slot) => table.insert(key.as_slice(), slot.to_bytes().as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
    }
    Ok(())
}

fn put_locations(table: &mut Rows<'_>, changes: &ChangeSet) -> Result<(), StoreError> {
    for (uid, location) in &changes.locations {
        table.insert(uid.as_bytes().as_slice(), row_bytes(location).as_slice())?;
    }
    Ok(())
}

fn update_trie(
    table: &mut Rows<'_>,
    scope: ScopeNo,
    state: Option<&ScopeState>,
    changes: &ChangeSet,
) -> Result<Digest, StoreError> {
    let leaves = trie::touched_leaves(scope, state, changes);
    trie::update(&mut Trie(table), scope, &leaves)
}

/// What a thread gave; its panic is the caller's.
fn joined<R>(thread: ScopedJoinHandle<'_, R>) -> R {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl WriteTables<'_> {
    fn put_scopes(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        for (no, state) in &changes.scopes {
            let key = no_key(*no);
            self.scope
                .insert(key.as_slice(), state.to_bytes().as_slice())?;
            self.scope_no
                .insert(state.uid.digest().as_bytes().as_slice(), key.as_slice())?;
        }
        Ok(())
    }

    fn put_archive(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        for ((uid, number), version) in &changes.archive {
            let key = version_key(uid, *number);
            self.archive
                .insert(key.as_slice(), version.to_bytes().as_slice())?;
        }
        Ok(())
    }

    fn put_decided(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        for (decision, height) in &changes.decided {
            let key = decision_key(decision);
            self.decided
                .insert(key.as_slice(), row_bytes(height).as_slice())?;
        }
        for (decision, ballot) in &changes.ballots {
            let key = decision_key(decision);
            match ballot {
                Some(ballot) => self
                    .ballot
                    .insert(key.as_slice(), row_bytes(ballot).as_slice())?,
                None => self.ballot.remove(key.as_slice())?,
            };
        }
        Ok(())
    }
}

impl PendingStore for WriteTables<'_> {
    fn put_pending(
        &mut self,
        scope: ScopeNo,
        proposal: &Digest,
        pending: Option<&Pending>,
    ) -> Result<(), StoreError> {
        let key = pending_key(scope, proposal);
        if let Some(pending) = pending {
            let outline = row_bytes(&pending.outline());
            self.outline.insert(key.as_slice(), outline.as_slice())?;
            self.pending
                .insert(key.as_slice(), pending.to_bytes().as_slice())?;
        } else {
            self.outline.remove(key.as_slice())?;
            self.pending.remove(key.as_slice())?;
        }
        Ok(())
    }
}

impl IndexTxn for WriteTables<'_> {
    fn apply(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        self.put_scopes(changes)?;
        put_slots(&mut self.slot, changes)?;
        put_locations(&mut self.location, changes)?;
        self.put_archive(changes)?;
        self.put_decided(changes)
    }

    fn settle(
        &mut self,
        scope: ScopeNo,
        state: Option<&ScopeState>,
        changes: &ChangeSet,
    ) -> Result<Digest, StoreError> {
        let rows: usize = changes.slots.values().map(BTreeMap::len).sum();
        if rows < ROWS_FOR_THREADS_MIN {
            self.apply(changes)?;
            return update_trie(&mut self.trie, scope, state, changes);
        }
        let (slot, location, trie) = (&mut self.slot, &mut self.location, &mut self.trie);
        // The tables of a transaction are independent; the largest three are written at once.
        let (slots, locations, root) = std::thread::scope(|threads| {
            let thread = std::thread::Builder::new;
            let slots = thread().spawn_scoped(threads, || put_slots(slot, changes));
            let locations = thread().spawn_scoped(threads, || put_locations(location, changes));
            let root = update_trie(trie, scope, state, changes);
            (slots.map(joined), locations.map(joined), root)
        });
        // A thread that could not be started fails the change; nothing of it is committed.
        slots.map_err(redb::StorageError::Io)??;
        locations.map_err(redb::StorageError::Io)??;
        self.put_scopes(changes)?;
        self.put_archive(changes)?;
        self.put_decided(changes)?;
        root
    }

    fn append(&mut self, scope: ScopeNo, link: &Link) -> Result<(), StoreError> {
        let key = height_key(scope, link.block.height);
        let mut header = Encoder::new();
        header.bytes(&link.block.to_bytes());
        header.bytes(&link.certificate.to_bytes());
        self.block
            .insert(key.as_slice(), header.into_bytes().as_slice())?;
        self.body
            .insert(key.as_slice(), link.body.to_bytes().as_slice())?;
        let sequence = self.commit_count()?;
        let at = BlockAt {
            scope,
            height: link.block.height,
        };
        self.order
            .insert(sequence.to_be_bytes().as_slice(), row_bytes(&at).as_slice())?;
        Ok(())
    }

    fn put_genesis(&mut self, scope: ScopeNo, descriptor: &Descriptor) -> Result<(), StoreError> {
        let key = no_key(scope);
        self.genesis
            .insert(key.as_slice(), descriptor.to_bytes().as_slice())?;
        Ok(())
    }

    fn put_apex(&mut self, apex: &Name, root: &ScopeUid) -> Result<(), StoreError> {
        self.apex
            .insert(apex.as_wire(), row_bytes(root).as_slice())?;
        Ok(())
    }
}
