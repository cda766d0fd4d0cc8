//! Writes of the index inside the one write transaction.

use crate::base::canonical::{Encoder, Form};
use crate::governance::descriptor::Descriptor;
use crate::index::changeset::ChangeSet;
use crate::index::state::ScopeNo;
use crate::index::trie::{Node, Prefix, TrieStore};
use crate::index::view::{DecidedAt, IndexTxn, IndexView, Link};
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;

use super::error::StoreError;
use super::keys::{height_key, no_key, node_key, row_bytes, slot_key, version_key};
use super::view::WriteTables;

impl TrieStore for WriteTables<'_> {
    fn put_node(
        &mut self,
        scope: ScopeNo,
        prefix: Prefix,
        node: Option<&Node>,
    ) -> Result<(), StoreError> {
        let key = node_key(scope, prefix);
        match node {
            Some(node) => self
                .trie
                .insert(key.as_slice(), row_bytes(node).as_slice())?,
            None => self.trie.remove(key.as_slice())?,
        };
        Ok(())
    }
}

impl IndexTxn for WriteTables<'_> {
    fn apply(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        for (no, state) in &changes.scopes {
            let key = no_key(*no);
            self.scope
                .insert(key.as_slice(), state.to_bytes().as_slice())?;
            self.scope_no
                .insert(state.uid.digest().as_bytes().as_slice(), key.as_slice())?;
        }
        for (no, slots) in &changes.slots {
            for (path, slot) in slots {
                let key = slot_key(*no, path);
                match slot {
                    Some(slot) => self
                        .slot
                        .insert(key.as_slice(), slot.to_bytes().as_slice())?,
                    None => self.slot.remove(key.as_slice())?,
                };
            }
        }
        for (uid, location) in &changes.locations {
            self.location
                .insert(uid.as_bytes().as_slice(), row_bytes(location).as_slice())?;
        }
        for ((uid, number), version) in &changes.archive {
            let key = version_key(uid, *number);
            self.archive
                .insert(key.as_slice(), version.to_bytes().as_slice())?;
        }
        for (proposal, at) in &changes.decided {
            self.decided
                .insert(proposal.as_bytes().as_slice(), row_bytes(at).as_slice())?;
        }
        Ok(())
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
        let at = DecidedAt {
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
