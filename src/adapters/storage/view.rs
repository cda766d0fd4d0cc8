//! Reads and writes of the index as rows: one implementation over snapshots and write tables.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, WriteTransaction};

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::governance::block::{Block, Body};
use crate::governance::certificate::Certificate;
use crate::governance::descriptor::Descriptor;
use crate::index::changeset::ChangeSet;
use crate::index::entry::{Slot, Version};
use crate::index::state::{Location, ScopeNo, ScopeState};
use crate::index::trie::{Page, Position, Prefix, Summary, TrieStore};
use crate::index::view::{DecidedAt, IndexTxn, IndexView, Link};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::error::StoreError;
use super::tables::{self, Bytes};

/// All tables, opened in one transaction.
pub struct Tables<T> {
    scope: T,
    scope_no: T,
    genesis: T,
    slot: T,
    location: T,
    archive: T,
    decided: T,
    block: T,
    body: T,
    order: T,
    apex: T,
    leaf: T,
    page: T,
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
    ($txn:expr) => {
        Tables {
            scope: $txn.open_table(tables::SCOPE)?,
            scope_no: $txn.open_table(tables::SCOPE_NO)?,
            genesis: $txn.open_table(tables::GENESIS)?,
            slot: $txn.open_table(tables::SLOT)?,
            location: $txn.open_table(tables::LOCATION)?,
            archive: $txn.open_table(tables::ARCHIVE)?,
            decided: $txn.open_table(tables::DECIDED)?,
            block: $txn.open_table(tables::BLOCK)?,
            body: $txn.open_table(tables::BODY)?,
            order: $txn.open_table(tables::ORDER)?,
            apex: $txn.open_table(tables::APEX)?,
            leaf: $txn.open_table(tables::LEAF)?,
            page: $txn.open_table(tables::PAGE)?,
        }
    };
}

impl Snapshot {
    pub(super) fn open(txn: &ReadTransaction) -> Result<Self, StoreError> {
        Ok(open_tables!(txn))
    }
}

impl<'t> WriteTables<'t> {
    /// Opens every table, creating those that a new store lacks.
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(open_tables!(txn))
    }
}

fn damaged(table: &'static str) -> impl Fn(DecodeError) -> StoreError {
    move |source| StoreError::Damaged { table, source }
}

fn read<T, R>(
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

fn no_key(no: ScopeNo) -> [u8; 4] {
    no.0.to_be_bytes()
}

fn slot_key(no: ScopeNo, path: &NamePath) -> Vec<u8> {
    let mut key = no_key(no).to_vec();
    key.extend_from_slice(path.as_bytes());
    key
}

fn height_key(no: ScopeNo, height: u64) -> Vec<u8> {
    let mut key = no_key(no).to_vec();
    key.extend_from_slice(&height.to_be_bytes());
    key
}

fn version_key(uid: &Uid, number: u64) -> Vec<u8> {
    let mut key = uid.as_bytes().to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn leaf_key(no: ScopeNo, position: &Position) -> Vec<u8> {
    let mut key = no_key(no).to_vec();
    key.extend_from_slice(position);
    key
}

fn page_key(no: ScopeNo, prefix: Prefix) -> Vec<u8> {
    let mut key = no_key(no).to_vec();
    key.push(prefix.nibbles);
    key.extend_from_slice(&prefix.bits);
    key
}

/// Rows that are internal to the store: no label, the table's name is their version.
fn row<T: Canonical>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut input = Decoder::new(bytes);
    let value = T::decode(&mut input)?;
    input.finish()?;
    Ok(value)
}

fn row_bytes<T: Canonical>(value: &T) -> Vec<u8> {
    let mut out = Encoder::new();
    value.encode(&mut out);
    out.into_bytes()
}

impl Canonical for Location {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.path.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeNo::decode(input)?,
            path: NamePath::decode(input)?,
        })
    }
}

impl Canonical for DecidedAt {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        out.u64(self.height);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeNo::decode(input)?,
            height: input.u64()?,
        })
    }
}

impl Canonical for Page {
    fn encode(&self, out: &mut Encoder) {
        for summary in &self.0 {
            out.u64(summary.count);
            summary.digest.encode(out);
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut page = Self([Summary::EMPTY; 16]);
        for summary in &mut page.0 {
            *summary = Summary {
                count: input.u64()?,
                digest: Digest::decode(input)?,
            };
        }
        Ok(page)
    }
}

impl<T: ReadableTable<Bytes, Bytes>> IndexView for Tables<T> {
    type Error = StoreError;

    fn scope_no(&self, uid: &ScopeUid) -> Result<Option<ScopeNo>, StoreError> {
        read(&self.scope_no, "scope-no", uid.digest().as_bytes(), row)
    }

    fn scope(&self, no: ScopeNo) -> Result<Option<ScopeState>, StoreError> {
        read(&self.scope, "scope", &no_key(no), ScopeState::from_bytes)
    }

    fn scope_count(&self) -> Result<u32, StoreError> {
        // Numbers are given in order and never taken back.
        Ok(u32::try_from(self.scope.len()?).unwrap_or(u32::MAX))
    }

    fn slot(&self, scope: ScopeNo, path: &NamePath) -> Result<Option<Slot>, StoreError> {
        read(&self.slot, "slot", &slot_key(scope, path), Slot::from_bytes)
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

    fn decided(&self, proposal: &Digest) -> Result<Option<DecidedAt>, StoreError> {
        read(&self.decided, "decided", proposal.as_bytes(), row)
    }

    fn link(&self, scope: ScopeNo, height: u64) -> Result<Option<Link>, StoreError> {
        let key = height_key(scope, height);
        let header = read(&self.block, "block", &key, |bytes| {
            let mut input = Decoder::new(bytes);
            let block = Block::from_bytes(input.bytes("block", bytes.len())?)?;
            let certificate = Certificate::from_bytes(input.bytes("certificate", bytes.len())?)?;
            input.finish()?;
            Ok((block, certificate))
        })?;
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

    fn committed(&self, sequence: u64) -> Result<Option<DecidedAt>, StoreError> {
        read(&self.order, "order", &sequence.to_be_bytes(), row)
    }

    fn apexes(&self) -> Result<Vec<(Name, ScopeUid)>, StoreError> {
        let mut apexes = Vec::new();
        for entry in self.apex.iter()? {
            let (name, uid) = entry?;
            let not_a_name = |_| DecodeError::NotCanonical { what: "apex" };
            let name = Name::from_wire(name.value())
                .map_err(not_a_name)
                .map_err(damaged("apex"))?;
            apexes.push((name, row(uid.value()).map_err(damaged("apex"))?));
        }
        Ok(apexes)
    }
}

impl TrieStore for WriteTables<'_> {
    type Failure = StoreError;

    fn page(&self, scope: ScopeNo, prefix: Prefix) -> Result<Option<Page>, StoreError> {
        read(&self.page, "page", &page_key(scope, prefix), row)
    }

    fn put_page(
        &mut self,
        scope: ScopeNo,
        prefix: Prefix,
        page: Option<&Page>,
    ) -> Result<(), StoreError> {
        let key = page_key(scope, prefix);
        match page {
            Some(page) => self
                .page
                .insert(key.as_slice(), row_bytes(page).as_slice())?,
            None => self.page.remove(key.as_slice())?,
        };
        Ok(())
    }

    fn leaves(
        &self,
        scope: ScopeNo,
        prefix: Prefix,
    ) -> Result<Vec<(Position, Digest)>, StoreError> {
        let (first, last) = (
            leaf_key(scope, &prefix.bits),
            leaf_key(scope, &prefix.last()),
        );
        let mut leaves = Vec::new();
        for entry in self.leaf.range(first.as_slice()..=last.as_slice())? {
            let (key, value) = entry?;
            let position = key.value().last_chunk::<32>().copied().unwrap_or_default();
            leaves.push((position, row(value.value()).map_err(damaged("leaf"))?));
        }
        Ok(leaves)
    }

    fn put_leaf(
        &mut self,
        scope: ScopeNo,
        position: &Position,
        leaf: Option<&Digest>,
    ) -> Result<(), StoreError> {
        let key = leaf_key(scope, position);
        match leaf {
            Some(leaf) => self
                .leaf
                .insert(key.as_slice(), leaf.as_bytes().as_slice())?,
            None => self.leaf.remove(key.as_slice())?,
        };
        Ok(())
    }
}

impl IndexTxn for WriteTables<'_> {
    fn apply(&mut self, changes: &ChangeSet) -> Result<(), StoreError> {
        for (no, state) in &changes.scopes {
            let key = no_key(*no);
            self.scope
                .insert(key.as_slice(), state.to_bytes().as_slice())?;
            self.scope_no
                .insert(state.uid.digest().as_bytes().as_slice(), key.as_slice())?;
        }
        for ((no, path), slot) in &changes.slots {
            let key = slot_key(*no, path);
            match slot {
                Some(slot) => self
                    .slot
                    .insert(key.as_slice(), slot.to_bytes().as_slice())?,
                None => self.slot.remove(key.as_slice())?,
            };
        }
        for (uid, location) in &changes.locations {
            self.location
                .insert(uid.as_bytes().as_slice(), row_bytes(location).as_slice())?;
        }
        for ((uid, number), version) in &changes.archive {
            let key = version_key(uid, *number);
            self.archive
                .insert(key.as_slice(), version.to_bytes().as_slice())?;
        }
        for (proposal, at) in &changes.decided {
            self.decided
                .insert(proposal.as_bytes().as_slice(), row_bytes(at).as_slice())?;
        }
        Ok(())
    }

    fn append(&mut self, scope: ScopeNo, link: &Link) -> Result<(), StoreError> {
        let key = height_key(scope, link.block.height);
        let mut header = Encoder::new();
        header.bytes(&link.block.to_bytes());
        header.bytes(&link.certificate.to_bytes());
        self.block
            .insert(key.as_slice(), header.into_bytes().as_slice())?;
        self.body
            .insert(key.as_slice(), link.body.to_bytes().as_slice())?;
        let sequence = self.commit_count()?;
        let at = DecidedAt {
            scope,
            height: link.block.height,
        };
        self.order
            .insert(sequence.to_be_bytes().as_slice(), row_bytes(&at).as_slice())?;
        Ok(())
    }

    fn put_genesis(&mut self, scope: ScopeNo, descriptor: &Descriptor) -> Result<(), StoreError> {
        let key = no_key(scope);
        self.genesis
            .insert(key.as_slice(), descriptor.to_bytes().as_slice())?;
        Ok(())
    }

    fn put_apex(&mut self, apex: &Name, root: &ScopeUid) -> Result<(), StoreError> {
        self.apex
            .insert(apex.as_wire(), row_bytes(root).as_slice())?;
        Ok(())
    }
}
