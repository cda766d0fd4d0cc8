//! Reads and writes of the index as rows: one implementation over snapshots and write tables.

use std::sync::Arc;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, WriteTransaction};

use crate::base::canonical::{DecodeError, Decoder, Form};
use crate::base::time::Timestamp;
use crate::governance::block::{Block, Body};
use crate::governance::certificate::Certificate;
use crate::governance::descriptor::Descriptor;
use crate::index::ballot::Ballot;
use crate::index::entry::{Slot, Version};
use crate::index::state::{Location, ScopeNo, ScopeState};
use crate::index::view::{BlockAt, Decision, IndexView, Link};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::error::StoreError;
use super::kept::Kept;
use super::keys::{
    decision_key, height_key, no_key, read_decision_key, row, slot_key, version_key,
};
use super::tables::{self, Bytes};

/// All tables, opened in one transaction.
pub struct Tables<T> {
    pub(super) scope: T,
    pub(super) scope_no: T,
    pub(super) genesis: T,
    pub(super) slot: T,
    pub(super) location: T,
    pub(super) archive: T,
    pub(super) decided: T,
    pub(super) ballot: T,
    pub(super) pending: T,
    pub(super) outline: T,
    pub(super) device: T,
    pub(super) mirror: T,
    pub(super) fork: T,
    pub(super) block: T,
    pub(super) body: T,
    pub(super) order: T,
    pub(super) apex: T,
    pub(super) trie: T,
    /// Rows that were read already; none where they may still change.
    kept: Option<Kept>,
}

/// The index at one moment.
pub type Snapshot = Tables<ReadOnlyTable<Bytes, Bytes>>;
/// The index inside the one write transaction.
pub type WriteTables<'t> = Tables<Table<'t, Bytes, Bytes>>;

impl<T> std::fmt::Debug for Tables<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

macro_rules! open_tables {
    ($txn:expr, $kept:expr) => {
        Tables {
            kept: $kept,
            scope: $txn.open_table(tables::SCOPE)?,
            scope_no: $txn.open_table(tables::SCOPE_NO)?,
            genesis: $txn.open_table(tables::GENESIS)?,
            slot: $txn.open_table(tables::SLOT)?,
            location: $txn.open_table(tables::LOCATION)?,
            archive: $txn.open_table(tables::ARCHIVE)?,
            decided: $txn.open_table(tables::DECIDED)?,
            ballot: $txn.open_table(tables::BALLOT)?,
            pending: $txn.open_table(tables::PENDING)?,
            outline: $txn.open_table(tables::OUTLINE)?,
            device: $txn.open_table(tables::DEVICE)?,
            mirror: $txn.open_table(tables::MIRROR)?,
            fork: $txn.open_table(tables::FORK)?,
            block: $txn.open_table(tables::BLOCK)?,
            body: $txn.open_table(tables::BODY)?,
            order: $txn.open_table(tables::ORDER)?,
            apex: $txn.open_table(tables::APEX)?,
            trie: $txn.open_table(tables::TRIE)?,
        }
    };
}

impl Snapshot {
    pub(super) fn open(txn: &ReadTransaction) -> Result<Self, StoreError> {
        Ok(open_tables!(txn, Some(Kept::new())))
    }
}

impl<'t> WriteTables<'t> {
    /// Opens every table, creating those that a new store lacks.
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(open_tables!(txn, None))
    }
}

pub(super) fn damaged(table: &'static str) -> impl Fn(DecodeError) -> StoreError {
    move |source| StoreError::Damaged { table, source }
}

pub(super) fn read<T, R>(
    table: &T,
    name: &'static str,
    key: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<R, DecodeError>,
) -> Result<Option<R>, StoreError>
where
    T: ReadableTable<Bytes, Bytes>,
{
    match table.get(key)? {
        Some(row) => decode(row.value()).map(Some).map_err(damaged(name)),
        None => Ok(None),
    }
}

/// A header and its certificate.
fn certified(bytes: &[u8]) -> Result<(Block, Certificate), DecodeError> {
    let mut input = Decoder::new(bytes);
    let block = Block::from_bytes(input.bytes("block", bytes.len())?)?;
    let certificate = Certificate::from_bytes(input.bytes("certificate", bytes.len())?)?;
    input.finish()?;
    Ok((block, certificate))
}

impl<T: ReadableTable<Bytes, Bytes>> IndexView for Tables<T> {
    type Error = StoreError;

    fn scope_no(&self, uid: &ScopeUid) -> Result<Option<ScopeNo>, StoreError> {
        let read = || read(&self.scope_no, "scope-no", uid.digest().as_bytes(), row);
        match &self.kept {
            Some(kept) => kept.number(uid, read),
            None => read(),
        }
    }

    fn scope(&self, no: ScopeNo) -> Result<Option<ScopeState>, StoreError> {
        read(&self.scope, "scope", &no_key(no), ScopeState::from_bytes)
    }

    fn shared_scope(&self, no: ScopeNo) -> Result<Option<Arc<ScopeState>>, StoreError> {
        match &self.kept {
            Some(kept) => kept.scope(no, || self.scope(no)),
            None => Ok(self.scope(no)?.map(Arc::new)),
        }
    }

    fn scope_count(&self) -> Result<u32, StoreError> {
        // Numbers are given in order and never taken back.
        Ok(u32::try_from(self.scope.len()?).unwrap_or(u32::MAX))
    }

    fn slot(&self, scope: ScopeNo, path: &NamePath) -> Result<Option<Slot>, StoreError> {
        let read = || read(&self.slot, "slot", &slot_key(scope, path), Slot::from_bytes);
        match &self.kept {
            Some(kept) => kept.slot((scope, path), read),
            None => read(),
        }
    }

    fn slots(
        &self,
        scope: ScopeNo,
        within: &NamePath,
        after: Option<&NamePath>,
        count: usize,
    ) -> Result<Vec<(NamePath, Slot)>, StoreError> {
        let prefix = slot_key(scope, within);
        let start = after.map_or_else(|| prefix.clone(), |after| slot_key(scope, after));
        let mut found = Vec::new();
        for entry in self.slot.range(start.as_slice()..)? {
            let (key, value) = entry?;
            let key = key.value();
            if after.is_some() && key == start {
                continue;
            }
            if !key.starts_with(&prefix) || found.len() >= count {
                break;
            }
            let not_a_path = DecodeError::NotCanonical { what: "path" };
            let path = key
                .get(4..)
                .and_then(NamePath::from_bytes)
                .ok_or(not_a_path);
            let path = path.map_err(damaged("slot"))?;
            found.push((
                path,
                Slot::from_bytes(value.value()).map_err(damaged("slot"))?,
            ));
        }
        Ok(found)
    }

    fn locate(&self, uid: &Uid) -> Result<Option<Location>, StoreError> {
        read(&self.location, "location", uid.as_bytes(), row)
    }

    fn archived(&self, uid: &Uid, number: u64) -> Result<Option<Version>, StoreError> {
        read(
            &self.archive,
            "archive",
            &version_key(uid, number),
            Version::from_bytes,
        )
    }

    fn decided(&self, decision: &Decision) -> Result<Option<u64>, StoreError> {
        read(&self.decided, "decided", &decision_key(decision), row)
    }

    fn ballot(&self, decision: &Decision) -> Result<Option<Ballot>, StoreError> {
        read(&self.ballot, "ballot", &decision_key(decision), row)
    }

    fn ballots_before(
        &self,
        scope: ScopeNo,
        time: Timestamp,
    ) -> Result<Vec<(Decision, Ballot)>, StoreError> {
        let (start, end) = (no_key(scope), height_key(scope, time.as_millis()));
        let mut found = Vec::new();
        for entry in self.ballot.range(start.as_slice()..end.as_slice())? {
            let (key, value) = entry?;
            let not_a_key = DecodeError::NotCanonical { what: "key" };
            let decision = read_decision_key(key.value()).ok_or(not_a_key);
            let decision = decision.map_err(damaged("ballot"))?;
            found.push((decision, row(value.value()).map_err(damaged("ballot"))?));
        }
        Ok(found)
    }

    fn header(&self, scope: ScopeNo, height: u64) -> Result<Option<Block>, StoreError> {
        let certified = read(&self.block, "block", &height_key(scope, height), certified)?;
        Ok(certified.map(|(block, _)| block))
    }

    fn link(&self, scope: ScopeNo, height: u64) -> Result<Option<Link>, StoreError> {
        let key = height_key(scope, height);
        let header = read(&self.block, "block", &key, certified)?;
        let body = read(&self.body, "body", &key, Body::from_bytes)?;
        match (header, body) {
            (Some((block, certificate)), Some(body)) => Ok(Some(Link {
                block,
                body,
                certificate,
            })),
            (None, None) => Ok(None),
            _ => Err(damaged("body")(DecodeError::NotCanonical {
                what: "block without body",
            })),
        }
    }

    fn genesis(&self, scope: ScopeNo) -> Result<Option<Descriptor>, StoreError> {
        read(
            &self.genesis,
            "genesis",
            &no_key(scope),
            Descriptor::from_bytes,
        )
    }

    fn commit_count(&self) -> Result<u64, StoreError> {
        Ok(self.order.len()?)
    }

    fn committed(&self, sequence: u64) -> Result<Option<BlockAt>, StoreError> {
        read(&self.order, "order", &sequence.to_be_bytes(), row)
    }

    fn apexes(&self) -> Result<Vec<(Name, ScopeUid)>, StoreError> {
        let mut apexes = Vec::new();
        for entry in self.apex.iter()? {
            let (name, uid) = entry?;
            // A key in another case would be a second row for the same name.
            let name = Name::from_wire(name.value())
                .ok()
                .filter(|read| read.as_wire() == name.value())
                .ok_or(DecodeError::NotCanonical { what: "apex" })
                .map_err(damaged("apex"))?;
            apexes.push((name, row(uid.value()).map_err(damaged("apex"))?));
        }
        Ok(apexes)
    }
}
