//! What can go wrong with the store.

use std::path::PathBuf;

use crate::base::canonical::DecodeError;

/// A failure of the store. Never an absence: absence is `None`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer program.
    #[error("{path} has format {found}; this program reads format {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The newest format this program reads.
        known: u64,
    },
    /// The file was written by an older program, before its format was settled.
    #[error("{path} has format {found}; this program reads formats from {oldest} on")]
    Older {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The oldest format this program reads.
        oldest: u64,
    },
    /// The file is a redb file of another program.
    #[error("{path} holds another program's tables")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is no store, or damaged.
    #[error("{path} cannot be opened as a store")]
    Open {
        /// The file.
        path: PathBuf,
        /// What redb says.
        source: Box<redb::DatabaseError>,
    },
    /// A row does not decode.
    #[error("a row of table {table} is damaged")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
    /// redb failed: the disk is full, or reading or writing failed.
    #[error("the store failed")]
    Engine(#[source] Box<redb::Error>),
}

macro_rules! from_redb {
    ($($error:ty,)*) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Engine(Box::new(error.into()))
            }
        })*
    };
}

from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError,
);

impl StoreError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse { .. } => {
                "stop the other kedge, or talk to it: commands reach a running node by its socket"
            }
            Self::Newer { .. } => "run the newer kedge that wrote it; nothing was changed",
            Self::Older { .. } => {
                "run the kedge that wrote it, or move the file away to start anew; nothing was changed"
            }
            Self::Open { .. } | Self::Foreign { .. } => {
                "is this the right file? restore a backup, or move it away to start anew"
            }
            Self::Damaged { .. } => "run `kedge verify`, then restore a backup",
            Self::Engine(_) => "check the disk: free space, permissions, health",
        }
    }
}
