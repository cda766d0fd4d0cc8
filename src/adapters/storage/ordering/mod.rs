//! `OrderingFile`: what anchors of this node sign while they decide, in a redb file of their own: a vote
//! must not wait for an import, nor be on the disk later than it leaves.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable as _, TableDefinition};

use crate::base::canonical::{Canonical as _, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Doubts, Evidence, Kept, Old, Row};
use crate::service::ports::OrderingStore;

use super::error::StoreError;
use super::mark::{Mark, MarkFile};
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
/// Nothing to what tells this file from any other; random.
const INSTANCE: TableDefinition<'_, (), &[u8]> = TableDefinition::new("instance-1");
/// Nothing to how often it was opened.
const STARTS: TableDefinition<'_, (), u64> = TableDefinition::new("starts-1");
/// Nothing to the time since when it may be an old one, in milliseconds, and why.
const OLD: TableDefinition<'_, (), (u64, &[u8])> = TableDefinition::new("old-1");
/// Scope to the height up to which its seats sit out for that.
const DOUBTED: TableDefinition<'_, &[u8], u64> = TableDefinition::new("doubted-1");
const COUNT_BYTES: usize = 8;
const UID_BYTES: usize = 32;

/// Rows of sittings in one file.
#[derive(Debug)]
pub struct OrderingFile {
    database: Database,
    path: PathBuf,
    doubts: Doubts,
    start: Start,
}

/// Whether this start is counted.
#[derive(Debug)]
enum Start {
    /// What will be written with the first signature.
    Unwritten(Mark),
    /// It is, in the file beside.
    Written(MarkFile),
}

impl OrderingFile {
    /// Opens the file, or creates it. One that is damaged is not begun anew: who forgets what it
    /// signed could sign the opposite. Whether it is the newest there was, the mark beside it says.
    pub fn open(path: &Path, found: &Found) -> Result<Self, StoreError> {
        make_private(path).map_err(|error| naming(path, error))?;
        let database = builder(OPTIONS).create(path);
        let database = database.map_err(|error| opening(path, error))?;
        let is_new = !has_tables(&database)?;
        let beside = Mark::read(path).map_err(|error| naming(path, error))?;
        let own = read_mark(&database)?;
        let signed = BTreeMap::from_iter(if is_new {
            Vec::new()
        } else {
            signed(&database)?
        });
        let is_newer = |mark: &Mark| {
            let mut heights = mark.heights.iter();
            heights.any(|(scope, height)| signed.get(scope) < Some(height))
        };
        let old = match (&own, &beside) {
            (None, None) if is_new && found.is_index_new => None,
            (None, None) if is_new => Some(Old::Lost),
            // A program of before kept no mark.
            (None, None) => None,
            (None, Some(_)) => Some(Old::Behind),
            // A first start may have ended between the two.
            (Some(_), None) if signed.is_empty() => None,
            (Some(_), None) => Some(Old::Unmarked),
            (Some((instance, starts)), Some(mark)) => {
                let is_other = *instance != mark.instance || *starts < mark.starts;
                (is_other || is_newer(mark)).then_some(Old::Behind)
            }
        };
        let mut next = beside.unwrap_or_else(|| Mark {
            instance: own.map_or(found.instance, |(instance, _)| instance),
            starts: 0,
            heights: BTreeMap::new(),
        });
        next.starts = next.starts.max(own.map_or(0, |(_, starts)| starts)) + 1;
        let mut doubts = read_doubts(&database)?;
        if let Some(old) = old {
            doubts.begin(old, found.now);
            for (scope, height) in &next.heights {
                doubts.carry(*scope, *height);
            }
        }
        for (scope, height) in signed {
            let highest = next.heights.entry(scope).or_insert(height);
            *highest = height.max(*highest);
        }
        if is_new {
            // Once it is there, nobody can tell any more that it was missed.
            let txn = begin(&database)?;
            for definition in [JOURNAL, SIGNED, EVIDENCE] {
                drop(txn.open_table(definition)?);
            }
            write_doubts(&txn, &doubts)?;
            txn.commit()?;
        }
        Ok(Self {
            database,
            path: path.to_owned(),
            doubts,
            start: Start::Unwritten(next),
        })
    }

    /// Counts the start before anything is signed in it: a node that cannot write answers all the same.
    fn begun(&mut self) -> Result<&mut MarkFile, StoreError> {
        if let Start::Unwritten(mark) = &self.start {
            // What was found out is here before the mark says that all is well.
            write_start(&self.database, mark, &self.doubts)?;
            let written = MarkFile::write(&self.path, mark.clone());
            let written = written.map_err(|error| naming(&self.path, error))?;
            self.start = Start::Written(written);
        }
        match &mut self.start {
            Start::Written(mark) => Ok(mark),
            Start::Unwritten(_) => Err(naming(&self.path, io::ErrorKind::Other.into())),
        }
    }
}

/// What is known besides when the file is opened.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Whether no scope is held yet: nothing can have been signed.
    pub is_index_new: bool,
    /// What tells a new file from all others; random.
    pub instance: [u8; 32],
    /// The time.
    pub now: Timestamp,
}

/// Its instance and how often it was opened; none of a file that kept no mark yet.
fn read_mark(database: &Database) -> Result<Option<([u8; 32], u64)>, StoreError> {
    let txn = database.begin_read()?;
    let Some(table) = present(txn.open_table(INSTANCE))? else {
        return Ok(None);
    };
    let instance = table.get(())?;
    let instance = instance.and_then(|row| row.value().first_chunk::<32>().copied());
    let starts = txn.open_table(STARTS)?.get(())?.map(|row| row.value());
    Ok(instance.zip(starts))
}

/// A table that a file of an earlier program does not have.
fn present<T>(opened: Result<T, redb::TableError>) -> Result<Option<T>, StoreError> {
    match opened {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write_start(database: &Database, mark: &Mark, doubts: &Doubts) -> Result<(), StoreError> {
    let txn = begin(database)?;
    txn.open_table(INSTANCE)?
        .insert((), mark.instance.as_slice())?;
    txn.open_table(STARTS)?.insert((), mark.starts)?;
    write_doubts(&txn, doubts)?;
    txn.commit()?;
    Ok(())
}

fn write_doubts(txn: &redb::WriteTransaction, doubts: &Doubts) -> Result<(), StoreError> {
    let mut table = txn.open_table(OLD)?;
    if let Some((old, since)) = doubts.old {
        let mut why = Encoder::new();
        old.encode(&mut why);
        why.bool(doubts.is_open);
        table.insert((), (since.as_millis(), why.into_bytes().as_slice()))?;
    }
    let mut table = txn.open_table(DOUBTED)?;
    table.retain(|scope, _| {
        let scope = scope.first_chunk::<UID_BYTES>();
        scope.is_some_and(|uid| {
            let uid = ScopeUid::new(Digest::from_bytes(*uid));
            doubts.up_to.contains_key(&uid)
        })
    })?;
    for (scope, height) in &doubts.up_to {
        table.insert(scope.digest().as_bytes().as_slice(), *height)?;
    }
    Ok(())
}

fn read_doubts(database: &Database) -> Result<Doubts, StoreError> {
    let txn = database.begin_read()?;
    let mut doubts = Doubts::default();
    if let Some(table) = present(txn.open_table(OLD))?
        && let Some(row) = table.get(())?
    {
        let (since, why) = row.value();
        let mut why = Decoder::new(why);
        let old = Old::decode(&mut why).map_err(damaged("old"))?;
        doubts.old = Some((old, Timestamp::from_millis(since)));
        doubts.is_open = why.bool().map_err(damaged("old"))?;
    }
    if let Some(table) = present(txn.open_table(DOUBTED))? {
        for row in table.iter()? {
            let (scope, height) = row?;
            if let Some(scope) = scope.value().first_chunk::<UID_BYTES>() {
                let scope = ScopeUid::new(Digest::from_bytes(*scope));
                doubts.up_to.insert(scope, height.value());
            }
        }
    }
    Ok(doubts)
}

/// The highest height of each scope at which something was signed.
fn signed(database: &Database) -> Result<Vec<(ScopeUid, u64)>, StoreError> {
    let txn = database.begin_read()?;
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
        let is_signed = rows.iter().any(|row| matches!(row, Row::Guard(_)));
        if is_signed {
            self.begun()?;
        }
        let txn = begin(&self.database)?;
        for (definition, holds_guards) in [(SIGNED, true), (JOURNAL, false)] {
            let mut table = txn.open_table(definition)?;
            let mut count = next_count(&table, scope, height)?;
            for row in rows {
                if matches!(row, Row::Guard(_)) != holds_guards {
                    continue;
                }
                let key = row_key(scope, height, count);
                table.insert(key.as_slice(), row.to_bytes().as_slice())?;
                count += 1;
            }
        }
        txn.commit()?;
        if is_signed {
            // Behind the rows, so that it never says more than they do, and before the signature.
            let raised = self.begun()?.raise(scope, height);
            raised.map_err(|error| naming(&self.path, error))?;
        }
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
        signed(&self.database)
    }

    fn doubts(&self) -> Result<Doubts, StoreError> {
        Ok(self.doubts.clone())
    }

    fn doubt(&mut self, doubts: &Doubts) -> Result<(), StoreError> {
        self.doubts = doubts.clone();
        self.begun()?;
        let txn = begin(&self.database)?;
        write_doubts(&txn, doubts)?;
        txn.commit()?;
        Ok(())
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
mod tests;
