//! `RedbStore`: opening the file, the one writer, and the latest snapshot.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use redb::{Builder, Database, Durability, ReadableDatabase, StorageBackend};

use crate::base::canonical::DecodeError;
use crate::index::lineage::LinkError;
use crate::service::ports::Store;

use super::error::StoreError;
use super::tables;
use super::view::{Snapshot, WriteTables};

/// Nobody but the owner.
pub(super) const OWNER_ONLY: u32 = 0o600;

/// How the store is opened.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// Memory for cached pages, in bytes; bounds what the index takes whatever its size.
    pub cache_bytes: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
        }
    }
}

/// The index in one redb file.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    latest: ArcSwap<Snapshot>,
    commits: AtomicU64,
}

impl RedbStore {
    /// Opens a store, or creates it. A new store gets its name when it is complete, so that a crash
    /// while it is made leaves nothing behind that could not be opened.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        if exists(path)? {
            return Self::open_at(path, options);
        }
        let unfinished = unfinished(path);
        make_private(&unfinished).map_err(|error| naming(path, error))?;
        let store = match Self::open_at(&unfinished, options) {
            Err(StoreError::Open { .. } | StoreError::Damaged { .. }) => {
                fs::remove_file(&unfinished).map_err(|error| naming(path, error))?;
                make_private(&unfinished).map_err(|error| naming(path, error))?;
                Self::open_at(&unfinished, options)?
            }
            opened => opened?,
        };
        // Another process may have given the name while this one waited for the lock.
        if exists(path)? {
            drop(store);
            fs::remove_file(&unfinished).map_err(|error| naming(path, error))?;
            return Self::open_at(path, options);
        }
        fs::rename(&unfinished, path).map_err(|error| naming(path, error))?;
        sync_directory(path).map_err(|error| naming(path, error))?;
        Ok(store)
    }

    fn open_at(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        let database = builder(options)
            .create(path)
            .map_err(|error| opening(path, error))?;
        Self::over(database, path)
    }

    /// Opens a store over a backend of the caller's: memory, or one that fails on purpose.
    pub fn with_backend(
        backend: impl StorageBackend,
        options: OpenOptions,
    ) -> Result<Self, StoreError> {
        let path = Path::new("(backend)");
        let database = builder(options)
            .create_with_backend(backend)
            .map_err(|error| opening(path, error))?;
        Self::over(database, path)
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    fn over(database: Database, path: &Path) -> Result<Self, StoreError> {
        if let Some(found) = stored_format(&database, path)? {
            known(found, path)?;
        } else {
            // Creates every table, so that readers find them all.
            let txn = begin(&database)?;
            txn.open_table(tables::META)?
                .insert(tables::FORMAT_ROW, tables::FORMAT.to_be_bytes().as_slice())?;
            drop(WriteTables::open(&txn)?);
            drop(txn.open_table(tables::TOKEN)?);
            txn.commit()?;
        }
        let latest = ArcSwap::from_pointee(Snapshot::open(&database.begin_read()?)?);
        Ok(Self {
            database,
            latest,
            commits: AtomicU64::new(0),
        })
    }
}

/// Where a store is made before it gets its name.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// An empty file for its owner only: a store holds hidden names, and secrets of devices.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(false);
    options.mode(OWNER_ONLY).open(path).map(drop)
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|error| naming(path, error))
}

/// The name itself must survive a crash.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

pub(super) fn naming(path: &Path, error: io::Error) -> StoreError {
    opening(path, redb::StorageError::Io(error).into())
}

pub(super) fn builder(options: OpenOptions) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes);
    builder
}

/// Opens a file without which a node can do, or creates it. One that is damaged is put aside and begun
/// anew.
pub(super) fn open_or_put_aside(path: &Path, options: OpenOptions) -> Result<Database, StoreError> {
    let create = || -> Result<_, StoreError> {
        make_private(path).map_err(|error| naming(path, error))?;
        Ok(builder(options).create(path))
    };
    let database = match create()? {
        Err(redb::DatabaseError::Storage(redb::StorageError::Corrupted(why))) => {
            let aside = path.with_extension("redb.damaged");
            tracing::warn!(%why, aside = %aside.display(), "a file is damaged; begun anew");
            fs::rename(path, aside).map_err(|error| naming(path, error))?;
            create()?
        }
        created => created,
    };
    database.map_err(|error| opening(path, error))
}

/// Whether a database was ever written to.
pub(super) fn has_tables(database: &Database) -> Result<bool, StoreError> {
    let txn = database.begin_read()?;
    Ok(txn.list_tables()?.next().is_some())
}

pub(super) fn begin(database: &Database) -> Result<redb::WriteTransaction, StoreError> {
    let mut txn = database.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    // Entries come from outside: a one-phase commit trusts a checksum that is no defence against
    // bytes made to collide.
    txn.set_two_phase_commit(true);
    // A crash is repaired without walking the file, so start-up does not grow with the index.
    txn.set_quick_repair(true);
    Ok(txn)
}

/// The format of the store; none while the file holds nothing at all.
fn stored_format(database: &Database, path: &Path) -> Result<Option<u64>, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged {
        table: "meta",
        source: DecodeError::NotCanonical { what: "format" },
    };
    let txn = database.begin_read()?;
    let meta = match txn.open_table(tables::META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            // Tables without ours are another program's, and not to be written to.
            return match txn.list_tables()?.next() {
                None => Ok(None),
                Some(_) => Err(StoreError::Foreign {
                    path: path.to_owned(),
                }),
            };
        }
        Err(error) => return Err(error.into()),
    };
    let row = meta.get(tables::FORMAT_ROW)?.ok_or(DAMAGED)?;
    match row.value().try_into().map(u64::from_be_bytes) {
        Ok(format) if format > 0 => Ok(Some(format)),
        _ => Err(DAMAGED),
    }
}

/// Whether this program reads the format.
fn known(found: u64, path: &Path) -> Result<(), StoreError> {
    let path = || path.to_owned();
    if found > tables::FORMAT {
        return Err(StoreError::Newer {
            path: path(),
            found,
            known: tables::FORMAT,
        });
    }
    if found < tables::FORMAT_OLDEST {
        return Err(StoreError::Older {
            path: path(),
            found,
            oldest: tables::FORMAT_OLDEST,
        });
    }
    Ok(())
}

pub(super) fn opening(path: &Path, error: redb::DatabaseError) -> StoreError {
    let path = PathBuf::from(path);
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path },
        error => StoreError::Open {
            path,
            source: Box::new(error),
        },
    }
}

impl Store for RedbStore {
    type Error = StoreError;
    type Snapshot = Snapshot;
    type Txn<'t> = WriteTables<'t>;

    fn latest(&self) -> Arc<Snapshot> {
        self.latest.load_full()
    }

    fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    fn write<R>(
        &self,
        change: impl FnOnce(&mut WriteTables<'_>) -> Result<R, LinkError<StoreError>>,
    ) -> Result<R, LinkError<StoreError>> {
        let txn = begin(&self.database).map_err(LinkError::Store)?;
        let mut tables = WriteTables::open(&txn).map_err(LinkError::Store)?;
        let result = change(&mut tables)?;
        drop(tables);
        txn.commit()
            .map_err(|error| LinkError::Store(error.into()))?;
        let reading = self
            .database
            .begin_read()
            .map_err(|error| LinkError::Store(error.into()))?;
        let snapshot = Snapshot::open(&reading).map_err(LinkError::Store)?;
        self.latest.store(Arc::new(snapshot));
        self.commits.fetch_add(1, Ordering::Release);
        Ok(result)
    }
}
