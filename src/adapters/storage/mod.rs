//! The index in redb: one file, one writer, snapshots for readers.

mod error;
mod store;
mod tables;
mod view;

pub use error::StoreError;
pub use store::{OpenOptions, RedbStore};
pub use view::{Snapshot, WriteTables};
