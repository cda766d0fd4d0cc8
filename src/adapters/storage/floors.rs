//! `FloorFile`: how far scopes of other nodes were proven to be, in a redb file of its own.

use std::path::Path;

use redb::{Database, TableDefinition};

use crate::index::floor::Floor;
use crate::service::ports::{FloorChange, FloorStore};

use super::error::StoreError;
use super::forms::{OPTIONS, put, read};
use super::store::{begin, has_tables, open_or_put_aside};
use super::tables::Definition;

/// Scope to `Floor`.
const FLOOR: Definition = TableDefinition::new("floor-1");

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
        read(&self.database, FLOOR, |key, floor: &Floor| {
            floor.scope.digest().as_bytes().as_slice() == key
        })
    }

    fn write(&self, changes: &[FloorChange]) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        {
            let mut floors = txn.open_table(FLOOR)?;
            for (scope, floor) in changes {
                let key = scope.digest().as_bytes().as_slice();
                put(&mut floors, key, floor.as_ref())?;
            }
        }
        txn.commit()?;
        Ok(())
    }
}
