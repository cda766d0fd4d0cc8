//! Full scans of the store and reads of its tries.

use redb::ReadableTable;

use crate::base::canonical::{DecodeError, Form};
use crate::base::digest::Digest;
use crate::index::entry::Version;
use crate::index::pending::{Outline, Pending, PendingView};
use crate::index::rows::{IndexRows, RowCounts};
use crate::index::state::{Location, ScopeNo};
use crate::index::trie::{Node, Prefix, TrieView};
use crate::index::view::Decision;
use crate::namespace::uid::Uid;

use super::error::StoreError;
use super::keys::{
    decision_key, node_key, pending_key, read_decision_key, read_pending_key, row, version_key,
};
use super::tables::Bytes;
use super::view::{Tables, damaged, read};

impl<T: ReadableTable<Bytes, Bytes>> TrieView for Tables<T> {
    type Failure = StoreError;

    fn node(&self, scope: ScopeNo, prefix: Prefix) -> Result<Option<Node>, StoreError> {
        trie_node(&self.trie, scope, prefix)
    }
}

pub(super) fn trie_node<T: ReadableTable<Bytes, Bytes>>(
    table: &T,
    scope: ScopeNo,
    prefix: Prefix,
) -> Result<Option<Node>, StoreError> {
    read(table, "trie", &node_key(scope, prefix), row)
}

impl<T: ReadableTable<Bytes, Bytes>> IndexRows for Tables<T> {
    fn row_counts(&self) -> Result<RowCounts, StoreError> {
        Ok(RowCounts {
            scopes: self.scope.len()?,
            scope_numbers: self.scope_no.len()?,
            genesis: self.genesis.len()?,
            slots: self.slot.len()?,
            locations: self.location.len()?,
            archived: self.archive.len()?,
            decided: self.decided.len()?,
            ballots: self.ballot.len()?,
            blocks: self.block.len()?,
            bodies: self.body.len()?,
            commits: self.order.len()?,
            apexes: self.apex.len()?,
            trie_nodes: self.trie.len()?,
        })
    }

    fn locations(
        &self,
        after: Option<&Uid>,
        count: usize,
    ) -> Result<Vec<(Uid, Location)>, StoreError> {
        let after = after.map(|uid| uid.as_bytes().to_vec());
        rows_after(&self.location, after.as_deref(), count, |key, value| {
            let uid = key.try_into().map_err(|_| NOT_A_KEY);
            Ok((Uid::from_bytes(uid?), row(value)?))
        })
        .map_err(|error| in_table(error, "location"))
    }

    fn archive(
        &self,
        after: Option<&(Uid, u64)>,
        count: usize,
    ) -> Result<Vec<((Uid, u64), Version)>, StoreError> {
        let after = after.map(|(uid, number)| version_key(uid, *number));
        rows_after(&self.archive, after.as_deref(), count, |key, value| {
            let (uid, number) = key.split_first_chunk::<16>().ok_or(NOT_A_KEY)?;
            let number = number.try_into().map_err(|_| NOT_A_KEY)?;
            let key = (Uid::from_bytes(*uid), u64::from_be_bytes(number));
            Ok((key, Version::from_bytes(value)?))
        })
        .map_err(|error| in_table(error, "archive"))
    }

    fn decisions(
        &self,
        after: Option<&Decision>,
        count: usize,
    ) -> Result<Vec<(Decision, u64)>, StoreError> {
        let after = after.map(decision_key);
        rows_after(&self.decided, after.as_deref(), count, |key, value| {
            let decision = read_decision_key(key).ok_or(NOT_A_KEY)?;
            Ok((decision, row(value)?))
        })
        .map_err(|error| in_table(error, "decided"))
    }
}

impl<T: ReadableTable<Bytes, Bytes>> PendingView for Tables<T> {
    type Failure = StoreError;

    fn pending(&self, scope: ScopeNo, proposal: &Digest) -> Result<Option<Pending>, StoreError> {
        let key = pending_key(scope, proposal);
        read(&self.pending, "pending", &key, Pending::from_bytes)
    }

    fn all_pending(
        &self,
        after: Option<&(ScopeNo, Digest)>,
        count: usize,
    ) -> Result<Vec<((ScopeNo, Digest), Pending)>, StoreError> {
        let after = after.map(|(scope, proposal)| pending_key(*scope, proposal));
        rows_after(&self.pending, after.as_deref(), count, |key, value| {
            let key = read_pending_key(key).ok_or(NOT_A_KEY)?;
            Ok((key, Pending::from_bytes(value)?))
        })
        .map_err(|error| in_table(error, "pending"))
    }

    fn outlines(
        &self,
        after: Option<&(ScopeNo, Digest)>,
        count: usize,
    ) -> Result<Vec<((ScopeNo, Digest), Outline)>, StoreError> {
        let after = after.map(|(scope, proposal)| pending_key(*scope, proposal));
        rows_after(&self.outline, after.as_deref(), count, |key, value| {
            let key = read_pending_key(key).ok_or(NOT_A_KEY)?;
            Ok((key, row(value)?))
        })
        .map_err(|error| in_table(error, "outline"))
    }
}

const NOT_A_KEY: DecodeError = DecodeError::NotCanonical { what: "key" };

/// A row that does not decode, or a table that cannot be read.
enum ScanError {
    Row(DecodeError),
    Store(StoreError),
}

fn in_table(error: ScanError, table: &'static str) -> StoreError {
    match error {
        ScanError::Row(source) => damaged(table)(source),
        ScanError::Store(error) => error,
    }
}

fn rows_after<T, R>(
    table: &T,
    after: Option<&[u8]>,
    count: usize,
    decode: impl Fn(&[u8], &[u8]) -> Result<R, DecodeError>,
) -> Result<Vec<R>, ScanError>
where
    T: ReadableTable<Bytes, Bytes>,
{
    let engine = |error: redb::StorageError| ScanError::Store(error.into());
    let start = after.unwrap_or_default();
    let mut rows = Vec::new();
    for entry in table.range(start..).map_err(engine)? {
        let (key, value) = entry.map_err(engine)?;
        if after == Some(key.value()) {
            continue;
        }
        if rows.len() >= count {
            break;
        }
        rows.push(decode(key.value(), value.value()).map_err(ScanError::Row)?);
    }
    Ok(rows)
}
