//! `LeaseFile`: leases in a redb file of their own, so that they never wait for the index's writer
//! nor it for them.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::base::canonical::Form;
use crate::index::held_lease::{HeldLease, KeptLease, LeaseChange, LeaseKey};
use crate::service::ports::LeaseStore;

use super::error::StoreError;
use super::store::{OpenOptions, begin, has_tables, open_or_put_aside};
use super::tables::{Bytes, Definition};

/// Service UID and instance to `HeldLease`.
const LEASE: Definition = TableDefinition::new("lease-1");
/// The same key, for leases that ended by themselves while the node was up; no value.
const LAPSED: Definition = TableDefinition::new("lapsed-1");
/// Memory for pages: the rows are read once, at the start.
const OPTIONS: OpenOptions = OpenOptions {
    cache_bytes: 16 << 20,
};

/// Leases in one file.
#[derive(Debug)]
pub struct LeaseFile {
    database: Database,
}

impl LeaseFile {
    /// Opens the file, or creates it. One that is damaged is put aside: leases are announced again
    /// within seconds, and a node without names helps nobody.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = open_or_put_aside(path, OPTIONS)?;
        let file = Self { database };
        // A reader must find the tables. Where they are, nothing is written: a node starts on a
        // full disk, too.
        if !has_tables(&file.database)? {
            file.commit(&[])?;
        }
        Ok(file)
    }

    fn commit(&self, changes: &[LeaseChange]) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        {
            let mut leases = txn.open_table(LEASE)?;
            let mut lapsed = txn.open_table(LAPSED)?;
            for change in changes {
                match change {
                    LeaseChange::Put(key, held) => {
                        let key = key_bytes(key);
                        leases.insert(key.as_slice(), held.to_bytes().as_slice())?;
                        lapsed.remove(key.as_slice())?;
                    }
                    LeaseChange::Lapsed(key) => {
                        lapsed.insert(key_bytes(key).as_slice(), [].as_slice())?;
                    }
                    LeaseChange::Remove(key) => {
                        let key = key_bytes(key);
                        leases.remove(key.as_slice())?;
                        lapsed.remove(key.as_slice())?;
                    }
                }
            }
        }
        txn.commit()?;
        Ok(())
    }
}

fn key_bytes((service, instance): &LeaseKey) -> Vec<u8> {
    let mut key = service.as_bytes().to_vec();
    key.extend_from_slice(instance.as_str().as_bytes());
    key
}

impl LeaseStore for LeaseFile {
    type Error = StoreError;

    fn load(&self) -> Result<Vec<KeptLease>, StoreError> {
        let txn = self.database.begin_read()?;
        let leases = txn.open_table(LEASE)?;
        let lapsed = txn.open_table(LAPSED)?;
        let mut kept = Vec::new();
        for row in leases.range::<Bytes>(..)? {
            let (key, value) = row?;
            match HeldLease::from_bytes(value.value()) {
                Ok(held) if key_bytes(&held.key()) == key.value() => {
                    let lapsed = lapsed.get(key.value())?.is_some();
                    kept.push(KeptLease { held, lapsed });
                }
                // It is announced again, or it is over.
                Ok(_) => tracing::warn!("a lease under another's key is passed over"),
                Err(error) => tracing::warn!(%error, "a damaged lease is passed over"),
            }
        }
        Ok(kept)
    }

    fn write(&mut self, changes: &[LeaseChange]) -> Result<(), StoreError> {
        self.commit(changes)
    }
}
