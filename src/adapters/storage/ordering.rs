//! `OrderingFile`: what anchors of this node sign while they decide, in a redb file of their own: a vote
//! must not wait for an import, nor be on the disk later than it leaves.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable as _, TableDefinition};

use crate::base::canonical::Form;
use crate::base::digest::Digest;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Evidence, Kept, Row};
use crate::service::ports::OrderingStore;

use super::error::StoreError;
use super::store::{OpenOptions, begin, builder, has_tables, make_private, naming, opening};
use super::tables::{Bytes, Definition};
use super::view::damaged;

/// Scope, height and a count to `Row`: what a sitting goes on from, until its height is decided.
const JOURNAL: Definition = TableDefinition::new("journal-1");
/// The same of what was signed; kept for ever.
const SIGNED: Definition = TableDefinition::new("signed-1");
/// The digest of an `Evidence` to it; kept for ever.
const EVIDENCE: Definition = TableDefinition::new("evidence-1");
/// Memory for pages: what is read is read once, when a height begins.
const OPTIONS: OpenOptions = OpenOptions {
    cache_bytes: 8 << 20,
};
const COUNT_BYTES: usize = 8;
const UID_BYTES: usize = 32;

/// Rows of sittings in one file.
#[derive(Debug)]
pub struct OrderingFile {
    database: Database,
}

impl OrderingFile {
    /// Opens the file, or creates it. One that is damaged is not begun anew: who forgets what it
    /// signed could sign the opposite.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|error| naming(path, error))?;
        let database = builder(OPTIONS).create(path);
        let database = database.map_err(|error| opening(path, error))?;
        let file = Self { database };
        if !has_tables(&file.database)? {
            let txn = begin(&file.database)?;
            for definition in [JOURNAL, SIGNED, EVIDENCE] {
                drop(txn.open_table(definition)?);
            }
            txn.commit()?;
        }
        Ok(file)
    }
}

type Rows<'t> = redb::Table<'t, Bytes, Bytes>;

fn row_key(scope: &ScopeUid, height: u64, count: u64) -> Vec<u8> {
    let mut key = scope.digest().as_bytes().to_vec();
    key.extend_from_slice(&height.to_be_bytes());
    key.extend_from_slice(&count.to_be_bytes());
    key
}

/// The count of the last row of a height, and one more.
fn next_count(rows: &Rows<'_>, scope: &ScopeUid, height: u64) -> Result<u64, StoreError> {
    let (first, last) = (row_key(scope, height, 0), row_key(scope, height, u64::MAX));
    let mut range = rows.range::<&[u8]>(first.as_slice()..=last.as_slice())?;
    let Some(row) = range.next_back() else {
        return Ok(0);
    };
    let (key, _) = row?;
    let count = key.value().last_chunk::<COUNT_BYTES>().copied();
    Ok(count.map_or(0, u64::from_be_bytes).saturating_add(1))
}

impl OrderingStore for OrderingFile {
    type Error = StoreError;

    fn load(&self, scope: &ScopeUid, height: u64) -> Result<Kept, StoreError> {
        let txn = self.database.begin_read()?;
        let (first, last) = (row_key(scope, height, 0), row_key(scope, height, u64::MAX));
        let mut kept = Kept::default();
        for (definition, name) in [(SIGNED, "signed"), (JOURNAL, "journal")] {
            let table = txn.open_table(definition)?;
            for row in table.range::<&[u8]>(first.as_slice()..=last.as_slice())? {
                let (_, value) = row?;
                // A row that does not read could be a vote: the anchor must not vote past it.
                let row = Row::from_bytes(value.value());
                kept.rows.push(row.map_err(damaged(name))?);
            }
        }
        Ok(kept)
    }

    fn append(&mut self, scope: &ScopeUid, height: u64, rows: &[Row]) -> Result<(), StoreError> {
        let txn = begin(&self.database)?;
        for (definition, is_signed) in [(SIGNED, true), (JOURNAL, false)] {
            let mut table = txn.open_table(definition)?;
            let mut count = next_count(&table, scope, height)?;
            for row in rows {
                if matches!(row, Row::Guard(_)) != is_signed {
                    continue;
                }
                let key = row_key(scope, height, count);
                table.insert(key.as_slice(), row.to_bytes().as_slice())?;
                count += 1;
            }
        }
        txn.commit()?;
        Ok(())
    }

    fn forget(&mut self, scope: &ScopeUid, height: u64) -> Result<(), StoreError> {
        let (first, last) = (row_key(scope, 0, 0), row_key(scope, height, u64::MAX));
        let txn = begin(&self.database)?;
        {
            let mut journal = txn.open_table(JOURNAL)?;
            journal.retain_in::<&[u8], _>(first.as_slice()..=last.as_slice(), |_, _| false)?;
        }
        txn.commit()?;
        Ok(())
    }

    fn signed(&self) -> Result<Vec<(ScopeUid, u64)>, StoreError> {
        let txn = self.database.begin_read()?;
        let table = txn.open_table(SIGNED)?;
        let mut found = Vec::new();
        let mut end: Option<Vec<u8>> = None;
        loop {
            // From the end: the last row of a scope, then what is before its first.
            let last = match &end {
                None => table.last()?,
                Some(end) => table
                    .range::<&[u8]>(..end.as_slice())?
                    .next_back()
                    .transpose()?,
            };
            let Some((key, _)) = last else {
                return Ok(found);
            };
            let key = key.value();
            let (Some(scope), Some(height)) = (
                key.first_chunk::<{ UID_BYTES }>(),
                key.get(UID_BYTES..)
                    .and_then(|rest| rest.first_chunk::<8>()),
            ) else {
                return Ok(found);
            };
            let scope = ScopeUid::new(Digest::from_bytes(*scope));
            found.push((scope, u64::from_be_bytes(*height)));
            end = Some(row_key(&scope, 0, 0));
        }
    }

    fn keep_evidence(&mut self, evidence: &Evidence) -> Result<(), StoreError> {
        let digest = Digest::of(evidence);
        let txn = begin(&self.database)?;
        {
            let mut kept = txn.open_table(EVIDENCE)?;
            kept.insert(digest.as_bytes().as_slice(), evidence.to_bytes().as_slice())?;
        }
        txn.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::SecretKey;
    use crate::base::time::Timestamp;
    use crate::governance::anchor::AnchorId;
    use crate::replication::ordering::{GuardRow, Kind, Timer, Wait};

    #[test]
    fn what_was_signed_stays_and_the_rest_goes_with_its_height() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ordering.redb");
        let scope = ScopeUid::new(Digest::of_bytes("test", b"scope"));
        let anchor = AnchorId::of_first_key(&SecretKey::from_seed(&[1; 32]).public());
        let guard = |round| {
            Row::Guard(GuardRow {
                anchor,
                round,
                kind: Kind::Prevote,
                value: None,
            })
        };
        let timer = |round| {
            let wait = Wait::Bid;
            Row::Timer(anchor, Timer { round, wait }, Timestamp::from_millis(7))
        };
        let mut file = OrderingFile::open(&path).unwrap();
        file.append(&scope, 3, &[timer(0), guard(0)]).unwrap();
        file.append(&scope, 3, &[guard(1), timer(1)]).unwrap();
        file.append(&scope, 4, &[timer(9)]).unwrap();
        drop(file);
        let mut file = OrderingFile::open(&path).unwrap();
        let rows = file.load(&scope, 3).unwrap().rows;
        assert_eq!(rows, [guard(0), guard(1), timer(0), timer(1)]);
        file.forget(&scope, 3).unwrap();
        assert_eq!(file.load(&scope, 3).unwrap().rows, [guard(0), guard(1)]);
        assert_eq!(file.load(&scope, 4).unwrap().rows, [timer(9)]);
        let other = ScopeUid::new(Digest::of_bytes("test", b"other"));
        file.append(&other, 8, &[guard(0)]).unwrap();
        let mut signed = file.signed().unwrap();
        signed.sort_by_key(|(_, height)| *height);
        assert_eq!(signed, [(scope, 3), (other, 8)]);
        assert!(file.load(&other, 3).unwrap().rows.is_empty());
    }
}
