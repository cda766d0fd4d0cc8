//! Tables of the small files beside the index, in which each row is a form.

use redb::{Database, ReadableDatabase};

use crate::base::canonical::Form;

use super::error::StoreError;
use super::store::OpenOptions;
use super::tables::{Bytes, Definition};

/// Memory for pages: the rows are read once, at the start.
pub(super) const OPTIONS: OpenOptions = OpenOptions {
    cache_bytes: 4 << 20,
};

/// Every row of a table that is whole and under a key of its own.
pub(super) fn read<T: Form>(
    database: &Database,
    table: Definition,
    is_own: impl Fn(&[u8], &T) -> bool,
) -> Result<Vec<T>, StoreError> {
    let txn = database.begin_read()?;
    let rows = txn.open_table(table)?;
    let mut kept = Vec::new();
    for row in rows.range::<Bytes>(..)? {
        let (key, value) = row?;
        match T::from_bytes(value.value()) {
            Ok(value) if is_own(key.value(), &value) => kept.push(value),
            Ok(_) => tracing::warn!(
                form = T::LABEL,
                "a row under another one's key is passed over"
            ),
            Err(error) => tracing::warn!(form = T::LABEL, %error, "a damaged row is passed over"),
        }
    }
    Ok(kept)
}

/// Writes a row, or removes it.
pub(super) fn put<T: Form>(
    table: &mut redb::Table<'_, Bytes, Bytes>,
    key: &[u8],
    value: Option<&T>,
) -> Result<(), StoreError> {
    match value {
        Some(value) => drop(table.insert(key, value.to_bytes().as_slice())?),
        None => drop(table.remove(key)?),
    }
    Ok(())
}
