//! `JourneyFile`: entries that move from or to scopes of other nodes, in a redb file of its own.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::base::canonical::Form;
use crate::base::digest::Digest;
use crate::index::journey::{Journey, Side};
use crate::service::ports::{JourneyChange, JourneyStore};
use crate::service::resolver::error_chain;

use super::error::StoreError;
use super::store::{OpenOptions, begin, has_tables, open_or_put_aside};
use super::tables::{Bytes, Definition};

/// Side and petition to `Journey`.
const JOURNEY: Definition = TableDefinition::new("journey-1");
/// Memory for pages: the rows are read once, at the start.
const OPTIONS: OpenOptions = OpenOptions {
    cache_bytes: 4 << 20,
};

/// Journeys in one file.
#[derive(Debug)]
pub struct JourneyFile {
    database: Database,
}

impl JourneyFile {
    /// Opens the file, or creates it. One that is damaged is put aside: what left a scope is in the
    /// scope's lineage, and can be brought again.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = open_or_put_aside(path, OPTIONS)?;
        let file = Self { database };
        if !has_tables(&file.database)? {
            file.put(&[])?;
        }
        Ok(file)
    }

    fn all(&self) -> Result<Vec<Journey>, StoreError> {
        let txn = self.database.begin_read()?;
        let journeys = txn.open_table(JOURNEY)?;
        let mut kept = Vec::new();
        for row in journeys.range::<Bytes>(..)? {
            let (key, value) = row?;
            match Journey::from_bytes(value.value()) {
                Ok(journey) if key_of(&journey.key()) == key.value() => kept.push(journey),
                Ok(_) => tracing::warn!("a journey under another one's key is passed over"),
                Err(error) => tracing::warn!(%error, "a damaged journey is passed over"),
            }
        }
        Ok(kept)
    }

    fn put(&self, changes: &[JourneyChange]) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        {
            let mut journeys = txn.open_table(JOURNEY)?;
            for (key, journey) in changes {
                let key = key_of(key);
                match journey {
                    Some(journey) => {
                        drop(journeys.insert(key.as_slice(), journey.to_bytes().as_slice())?);
                    }
                    None => drop(journeys.remove(key.as_slice())?),
                }
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
        self.put(changes).map_err(|error| error_chain(&error))
    }
}
