//! `BeaconFile`: what anchors of other nodes said, in a redb file of its own.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::base::canonical::Form;
use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::governance::beacon::{TakenBack, Testimony};
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{BeaconStore, SaidBefore, WordChange};

use super::error::StoreError;
use super::store::{OpenOptions, begin, has_tables, open_or_put_aside};
use super::tables::{Bytes, Definition};

/// Scope and anchor to `Testimony`.
const WORD: Definition = TableDefinition::new("word-1");
/// Scope and anchor to `TakenBack`, the first that was found.
const TAKEN_BACK: Definition = TableDefinition::new("taken-back-1");
/// Nothing to the time of this node's own last beacons, as `u64`.
const SPOKEN: TableDefinition<'_, (), u64> = TableDefinition::new("spoken-1");
/// Memory for pages: the rows are read once, at the start.
const OPTIONS: OpenOptions = OpenOptions {
    cache_bytes: 4 << 20,
};

/// Words and evidence in one file.
#[derive(Debug)]
pub struct BeaconFile {
    database: Database,
}

fn key(scope: &ScopeUid, anchor: &PublicKey) -> Vec<u8> {
    [scope.digest().as_bytes().as_slice(), anchor.as_bytes()].concat()
}

impl BeaconFile {
    /// Opens the file, or creates it. One that is damaged is put aside: anchors are heard again then.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = open_or_put_aside(path, OPTIONS)?;
        let file = Self { database };
        if !has_tables(&file.database)? {
            file.write(&[], &[])?;
        }
        Ok(file)
    }

    fn rows<T: Form>(&self, table: Definition) -> Result<Vec<T>, StoreError> {
        let txn = self.database.begin_read()?;
        let table = txn.open_table(table)?;
        let mut kept = Vec::new();
        for row in table.range::<Bytes>(..)? {
            let (_, value) = row?;
            match T::from_bytes(value.value()) {
                Ok(value) => kept.push(value),
                Err(error) => {
                    tracing::warn!(%error, "a damaged word of an anchor is passed over");
                }
            }
        }
        Ok(kept)
    }
}

impl BeaconStore for BeaconFile {
    type Error = StoreError;

    fn load(&self) -> Result<SaidBefore, StoreError> {
        let txn = self.database.begin_read()?;
        let spoken = txn.open_table(SPOKEN)?.get(())?;
        Ok(SaidBefore {
            spoken: spoken.map(|row| Timestamp::from_millis(row.value())),
            words: self.rows(WORD)?,
            evidence: self.rows(TAKEN_BACK)?,
        })
    }

    fn write(&self, words: &[WordChange], evidence: &[TakenBack]) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        {
            let mut table = txn.open_table(WORD)?;
            for ((scope, anchor), word) in words {
                let key = key(scope, anchor);
                match word {
                    Some(word) => drop(table.insert(key.as_slice(), word.to_bytes().as_slice())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
            let mut table = txn.open_table(TAKEN_BACK)?;
            for taken in evidence {
                let Testimony { beacon, placed } = &taken.first;
                let key = key(&placed.sight.scope, &beacon.unverified().anchor);
                drop(table.insert(key.as_slice(), taken.to_bytes().as_slice())?);
            }
            txn.open_table(SPOKEN)?;
        }
        txn.commit()?;
        Ok(())
    }

    fn speak(&self, time: Timestamp) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        drop(txn.open_table(SPOKEN)?.insert((), time.as_millis())?);
        txn.commit()?;
        Ok(())
    }
}
