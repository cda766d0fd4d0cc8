//! `FloorFile`: how far scopes of other nodes were proven to be, in a redb file of its own.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::base::canonical::Form;
use crate::index::floor::Floor;
use crate::service::ports::{FloorChange, FloorStore};

use super::error::StoreError;
use super::store::{OpenOptions, begin, has_tables, open_or_put_aside};
use super::tables::{Bytes, Definition};

/// Scope to `Floor`.
const FLOOR: Definition = TableDefinition::new("floor-1");
/// Memory for pages: the rows are read once, at the start.
const OPTIONS: OpenOptions = OpenOptions {
    cache_bytes: 4 << 20,
};

/// Floors in one file.
#[derive(Debug)]
pub struct FloorFile {
    database: Database,
}

impl FloorFile {
    /// Opens the file, or creates it. One that is damaged is put aside: what others prove is believed
    /// then as by a node that is new.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = open_or_put_aside(path, OPTIONS)?;
        let file = Self { database };
        if !has_tables(&file.database)? {
            file.write(&[])?;
        }
        Ok(file)
    }
}

impl FloorStore for FloorFile {
    type Error = StoreError;

    fn load(&self) -> Result<Vec<Floor>, StoreError> {
        let txn = self.database.begin_read()?;
        let floors = txn.open_table(FLOOR)?;
        let mut kept = Vec::new();
        for row in floors.range::<Bytes>(..)? {
            let (key, value) = row?;
            match Floor::from_bytes(value.value()) {
                Ok(floor) if floor.scope.digest().as_bytes().as_slice() == key.value() => {
                    kept.push(floor);
                }
                Ok(_) => tracing::warn!("a floor under another scope's key is passed over"),
                Err(error) => tracing::warn!(%error, "a damaged floor is passed over"),
            }
        }
        Ok(kept)
    }

    fn write(&self, changes: &[FloorChange]) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        {
            let mut floors = txn.open_table(FLOOR)?;
            for (scope, floor) in changes {
                let key = scope.digest().as_bytes().as_slice();
                match floor {
                    Some(floor) => drop(floors.insert(key, floor.to_bytes().as_slice())?),
                    None => drop(floors.remove(key)?),
                }
            }
        }
        txn.commit()?;
        Ok(())
    }
}
