//! `ProofFile`: what other nodes proved, in a redb file of its own that never holds more than its share.
//!
//! There are two generations of tables. Rows go to the younger one; when that has had its fill, the
//! older one is let go of and becomes the younger. So nothing has to be counted or sorted, neither at
//! the start nor later.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Database, ReadableDatabase, ReadableTable as _, TableDefinition, WriteTransaction};

use crate::base::canonical::Form;
use crate::base::digest::Digest;
use crate::index::proof::{KeptProofs, KeptScope, KeptSlot, Lineage, Part, Unreadable};
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::service::learner::{ProofStore, Unwritten};
use crate::service::resolver::error_chain;

use super::error::StoreError;
use super::forms::OPTIONS;
use super::store::{begin, builder, has_tables, make_private, naming, opening};
use super::tables::Definition;

/// Rows of both generations: as many names as are known in memory, each with its way to the state root.
const BYTES_MAX: u64 = 128 << 20;

/// The younger generation, and the bytes that went to it.
const FILL: TableDefinition<'_, (), (u8, u64)> = TableDefinition::new("fill-1");

/// The tables of one generation.
struct Generation {
    /// Scope to `KeptScope`.
    scope: Definition,
    /// Scope and block to `Lineage`.
    lineage: Definition,
    /// Scope and path to `KeptSlot`.
    slot: Definition,
}

const EVEN: Generation = Generation {
    scope: TableDefinition::new("scope-even-1"),
    lineage: TableDefinition::new("lineage-even-1"),
    slot: TableDefinition::new("slot-even-1"),
};
const ODD: Generation = Generation {
    scope: TableDefinition::new("scope-odd-1"),
    lineage: TableDefinition::new("lineage-odd-1"),
    slot: TableDefinition::new("slot-odd-1"),
};

/// The younger generation and the older one.
const fn generations(young: u8) -> [&'static Generation; 2] {
    if young == 0 {
        [&EVEN, &ODD]
    } else {
        [&ODD, &EVEN]
    }
}

/// What was proven, in one file. After an error it is closed, and opened again by the next write.
#[derive(Debug)]
pub struct ProofFile {
    path: PathBuf,
    bytes_max: u64,
    database: RwLock<Option<Database>>,
}

impl ProofFile {
    /// Opens the file, or creates it. One that is damaged is put aside, and one that cannot be opened is
    /// done without; gives whether either happened.
    pub fn open(path: &Path) -> (Self, bool) {
        Self::bounded(path, BYTES_MAX)
    }

    /// The same with another bound.
    pub fn bounded(path: &Path, bytes_max: u64) -> (Self, bool) {
        let (opened, was_damaged) = open_at(path);
        let database = match opened {
            Ok(database) => Some(database),
            Err(error) => {
                let why = error_chain(&error);
                tracing::error!(why, "what was proven before is not used");
                None
            }
        };
        let has_failed = was_damaged || database.is_none();
        let file = Self {
            path: path.to_owned(),
            bytes_max,
            database: RwLock::new(database),
        };
        (file, has_failed)
    }

    fn read<T: Form>(
        &self,
        table: impl Fn(&'static Generation) -> Definition,
        key: &[u8],
    ) -> Result<Option<T>, Unreadable> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            return Ok(None);
        };
        let bytes = look_up(database, table, key).map_err(|error| Unreadable(Box::new(error)))?;
        let read = bytes.map(|bytes| T::from_bytes(&bytes)).transpose();
        read.map_err(|error| Unreadable(Box::new(error)))
    }
}

fn look_up(
    database: &Database,
    table: impl Fn(&'static Generation) -> Definition,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let txn = database.begin_read()?;
    let fill = txn.open_table(FILL)?.get(())?;
    let (young, _) = fill.map_or((0, 0), |row| row.value());
    for generation in generations(young) {
        if let Some(row) = txn.open_table(table(generation))?.get(key)? {
            return Ok(Some(row.value().to_vec()));
        }
    }
    Ok(None)
}

/// Opens a file, or puts a damaged one aside and begins anew; says whether it did.
fn open_at(path: &Path) -> (Result<Database, StoreError>, bool) {
    let first = attempt(path);
    let why = match first {
        Err(error) if is_damage(&error) => error,
        opened => return (opened, false),
    };
    let aside = path.with_extension("redb.damaged");
    let why = error_chain(&why);
    tracing::warn!(why, aside = %aside.display(), "what was proven before is damaged; begun anew");
    if let Err(error) = std::fs::rename(path, &aside) {
        return (Err(naming(path, error)), true);
    }
    (attempt(path), true)
}

/// Whether a file is wrong itself, and not a disk that is full or may not be read.
fn is_damage(error: &StoreError) -> bool {
    let is_of_bytes = |error: &std::io::Error| {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
    };
    match error {
        StoreError::Open { source, .. } => match source.as_ref() {
            redb::DatabaseError::Storage(redb::StorageError::Io(error)) => is_of_bytes(error),
            redb::DatabaseError::DatabaseAlreadyOpen => false,
            _ => true,
        },
        StoreError::Engine(source) => match source.as_ref() {
            redb::Error::Io(error) => is_of_bytes(error),
            _ => true,
        },
        _ => false,
    }
}

fn attempt(path: &Path) -> Result<Database, StoreError> {
    make_private(path).map_err(|error| naming(path, error))?;
    // The engine panics on some damaged files.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = builder(OPTIONS)
            .create(path)
            .map_err(|error| opening(path, error))?;
        if !has_tables(&database)? {
            let txn = begin(&database)?;
            make_tables(&txn, &EVEN)?;
            make_tables(&txn, &ODD)?;
            txn.open_table(FILL)?;
            txn.commit()?;
        }
        look_up(&database, |generation| generation.scope, &[])?;
        Ok(database)
    }));
    opened.unwrap_or_else(|_| {
        let panicked = std::io::Error::new(std::io::ErrorKind::InvalidData, "reading it panicked");
        Err(naming(path, panicked))
    })
}

fn make_tables(txn: &WriteTransaction, generation: &Generation) -> Result<(), StoreError> {
    let Generation {
        scope,
        lineage,
        slot,
    } = generation;
    for table in [scope, lineage, slot] {
        drop(txn.open_table(*table)?);
    }
    Ok(())
}

fn of_scope(scope: &ScopeUid, rest: &[u8]) -> Vec<u8> {
    [scope.digest().as_bytes().as_slice(), rest].concat()
}

impl KeptProofs for ProofFile {
    fn scope(&self, scope: &ScopeUid) -> Result<Option<KeptScope>, Unreadable> {
        let kept: Option<KeptScope> = self.read(|of| of.scope, &of_scope(scope, &[]))?;
        Ok(kept.filter(|kept| kept.scope == *scope))
    }

    fn lineage(&self, scope: &ScopeUid, head: &Digest) -> Result<Option<Lineage>, Unreadable> {
        self.read(|of| of.lineage, &of_scope(scope, head.as_bytes()))
    }

    fn slot(&self, scope: &ScopeUid, path: &NamePath) -> Result<Option<KeptSlot>, Unreadable> {
        self.read(|of| of.slot, &of_scope(scope, path.as_bytes()))
    }
}

impl ProofStore for ProofFile {
    fn write(&self, parts: &[Part], scopes: &[KeptScope]) -> Result<(), Unwritten> {
        let unwritten = |error: StoreError| Unwritten(Box::new(error));
        let mut held = (self.database.write()).unwrap_or_else(PoisonError::into_inner);
        let database = match held.take() {
            Some(database) => database,
            None => open_at(&self.path).0.map_err(unwritten)?,
        };
        let written = write_all(&database, (parts, scopes), self.bytes_max);
        // The engine takes nothing more after a write that failed: the file is opened anew.
        written.map_err(unwritten)?;
        *held = Some(database);
        Ok(())
    }
}

fn write_all(
    database: &Database,
    (parts, scopes): (&[Part], &[KeptScope]),
    bytes_max: u64,
) -> Result<(), StoreError> {
    let txn = begin(database)?;
    let fill = txn.open_table(FILL)?.get(())?.map(|row| row.value());
    let (mut young, mut bytes) = fill.unwrap_or_default();
    if bytes > bytes_max / 2 {
        (young, bytes) = (1 - young.min(1), 0);
        let [oldest, _] = generations(young);
        for table in [oldest.scope, oldest.lineage, oldest.slot] {
            txn.delete_table(table)?;
        }
        make_tables(&txn, oldest)?;
    }
    let [generation, _] = generations(young);
    for part in parts {
        bytes += write_part(&txn, generation, part)?;
    }
    let mut table = txn.open_table(generation.scope)?;
    for kept in scopes {
        let (key, row) = (of_scope(&kept.scope, &[]), kept.to_bytes());
        if table.insert(key.as_slice(), row.as_slice())?.is_none() {
            bytes += length(&key) + length(&row);
        }
    }
    drop(table);
    txn.open_table(FILL)?.insert((), (young, bytes))?;
    txn.commit()?;
    Ok(())
}

/// Writes what the younger generation does not have. Gives by how many bytes that grew.
fn write_part(
    txn: &WriteTransaction,
    generation: &Generation,
    part: &Part,
) -> Result<u64, StoreError> {
    let mut grown = 0;
    let mut lineages = txn.open_table(generation.lineage)?;
    let key = of_scope(&part.scope, part.head.as_bytes());
    if lineages.get(key.as_slice())?.is_none() {
        let row = part.lineage.to_bytes();
        lineages.insert(key.as_slice(), row.as_slice())?;
        grown += length(&key) + length(&row);
    }
    let mut slots = txn.open_table(generation.slot)?;
    for (path, slot) in &part.slots {
        let (key, row) = (of_scope(&part.scope, path.as_bytes()), slot.to_bytes());
        let before = slots.insert(key.as_slice(), row.as_slice())?;
        let freed = before.map_or(0, |before| length(&key) + length(before.value()));
        grown += (length(&key) + length(&row)).saturating_sub(freed);
    }
    Ok(grown)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
