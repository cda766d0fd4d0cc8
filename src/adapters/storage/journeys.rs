//! `JourneyFile`: entries that move from or to scopes of other nodes, in a redb file of its own.

use std::path::Path;

use redb::{Database, TableDefinition};

use crate::base::digest::Digest;
use crate::index::journey::{Journey, Side};
use crate::service::ports::{JourneyChange, JourneyStore};
use crate::service::resolver::error_chain;

use super::error::StoreError;
use super::forms::{OPTIONS, put, read};
use super::store::{begin, has_tables, open_or_put_aside};
use super::tables::Definition;

/// Side and petition to `Journey`.
const JOURNEY: Definition = TableDefinition::new("journey-1");

/// Journeys in one file.
#[derive(Debug)]
pub struct JourneyFile {
    database: Database,
}

impl JourneyFile {
    /// Opens the file, or creates it. One that is damaged is put aside: that an entry left stands in the
    /// scope's lineage.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = open_or_put_aside(path, OPTIONS)?;
        let file = Self { database };
        if !has_tables(&file.database)? {
            file.commit(&[])?;
        }
        Ok(file)
    }

    fn all(&self) -> Result<Vec<Journey>, StoreError> {
        read(&self.database, JOURNEY, |key, journey: &Journey| {
            key_of(&journey.key()) == key
        })
    }

    fn commit(&self, changes: &[JourneyChange]) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        {
            let mut journeys = txn.open_table(JOURNEY)?;
            for (key, journey) in changes {
                put(&mut journeys, &key_of(key), journey.as_ref())?;
            }
        }
        txn.commit()?;
        Ok(())
    }
}

fn key_of((side, petition): &(Side, Digest)) -> Vec<u8> {
    let side = match side {
        Side::Leaves => 0,
        Side::Comes => 1,
    };
    [&[side], petition.as_bytes().as_slice()].concat()
}

impl JourneyStore for JourneyFile {
    fn load(&self) -> Result<Vec<Journey>, String> {
        self.all().map_err(|error| error_chain(&error))
    }

    fn write(&self, changes: &[JourneyChange]) -> Result<(), String> {
        self.commit(changes).map_err(|error| error_chain(&error))
    }
}
