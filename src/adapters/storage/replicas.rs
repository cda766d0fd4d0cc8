//! The tables of scopes that are followed, and of forks.

use redb::{ReadableTable, ReadableTableMetadata as _};

use crate::base::canonical::Form as _;
use crate::index::replica::{Fork, Mirror, ReplicaStore, ReplicaView};
use crate::namespace::scope::ScopeUid;

use super::error::StoreError;
use super::tables::Bytes;
use super::view::{Snapshot, Tables, WriteTables, damaged, read};

impl Snapshot {
    /// How many forks were found.
    pub fn fork_count(&self) -> Result<u64, StoreError> {
        Ok(self.fork.len()?)
    }

    /// How many proposals wait.
    pub fn pending_count(&self) -> Result<u64, StoreError> {
        Ok(self.pending.len()?)
    }
}

impl<T: ReadableTable<Bytes, Bytes>> ReplicaView for Tables<T> {
    type Failure = StoreError;

    fn mirrors(&self) -> Result<Vec<Mirror>, StoreError> {
        let mut found = Vec::new();
        for entry in self.mirror.range::<Bytes>(..)? {
            let (_, value) = entry?;
            found.push(Mirror::from_bytes(value.value()).map_err(damaged("mirror"))?);
        }
        Ok(found)
    }

    fn mirror(&self, scope: &ScopeUid) -> Result<Option<Mirror>, StoreError> {
        let key = scope.digest().as_bytes();
        read(&self.mirror, "mirror", key, Mirror::from_bytes)
    }

    fn fork(&self, scope: &ScopeUid) -> Result<Option<Fork>, StoreError> {
        let key = scope.digest().as_bytes();
        read(&self.fork, "fork", key, Fork::from_bytes)
    }
}

impl ReplicaStore for WriteTables<'_> {
    fn put_mirror(&mut self, scope: &ScopeUid, mirror: Option<&Mirror>) -> Result<(), StoreError> {
        let key = scope.digest().as_bytes().as_slice();
        match mirror {
            Some(mirror) => self.mirror.insert(key, mirror.to_bytes().as_slice())?,
            None => self.mirror.remove(key)?,
        };
        Ok(())
    }

    fn put_fork(&mut self, fork: &Fork) -> Result<(), StoreError> {
        let scope = fork.scope();
        let key = scope.digest().as_bytes().as_slice();
        if self.fork.get(key)?.is_none() {
            self.fork.insert(key, fork.to_bytes().as_slice())?;
        }
        Ok(())
    }
}
