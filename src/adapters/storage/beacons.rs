//! `BeaconFile`: what anchors of other nodes said, in a redb file of its own.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::governance::beacon::{TakenBack, Testimony};
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{BeaconStore, SaidBefore, WordChange};

use super::error::StoreError;
use super::forms::{OPTIONS, put, read};
use super::store::{begin, has_tables, open_or_put_aside};
use super::tables::Definition;

/// Scope and anchor to `Testimony`.
const WORD: Definition = TableDefinition::new("word-1");
/// Scope and anchor to `TakenBack`, the first that was found.
const TAKEN_BACK: Definition = TableDefinition::new("taken-back-1");
/// Nothing to the time of this node's own last beacons, as `u64`.
const SPOKEN: TableDefinition<'_, (), u64> = TableDefinition::new("spoken-1");

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
}

impl BeaconStore for BeaconFile {
    type Error = StoreError;

    fn load(&self) -> Result<SaidBefore, StoreError> {
        let txn = self.database.begin_read()?;
        let spoken = txn.open_table(SPOKEN)?.get(())?;
        Ok(SaidBefore {
            spoken: spoken.map(|row| Timestamp::from_millis(row.value())),
            words: read(&self.database, WORD, |_, _: &Testimony| true)?,
            evidence: read(&self.database, TAKEN_BACK, |_, _: &TakenBack| true)?,
        })
    }

    fn write(&self, words: &[WordChange], evidence: &[TakenBack]) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        {
            let mut table = txn.open_table(WORD)?;
            for ((scope, anchor), word) in words {
                put(&mut table, &key(scope, anchor), word.as_ref())?;
            }
            let mut table = txn.open_table(TAKEN_BACK)?;
            for taken in evidence {
                let Testimony { beacon, placed } = &taken.first;
                let key = key(&placed.sight.scope, &beacon.unverified().anchor);
                put(&mut table, &key, Some(taken))?;
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
