//! All table definitions. Keys are bytes whose order is the order of what they mean; values are
//! forms with their own label and version.

use redb::TableDefinition;

/// Every table maps bytes to bytes.
pub(super) type Bytes = &'static [u8];
/// A table of the store.
pub(super) type Definition = TableDefinition<'static, Bytes, Bytes>;

/// The store's own format; `format` holds a big-endian `u64`.
pub(super) const META: Definition = TableDefinition::new("meta");
/// Scope number to `ScopeState`.
pub(super) const SCOPE: Definition = TableDefinition::new("scope-1");
/// Scope UID to scope number.
pub(super) const SCOPE_NO: Definition = TableDefinition::new("scope-no-1");
/// Scope number to genesis `Descriptor`.
pub(super) const GENESIS: Definition = TableDefinition::new("genesis-1");
/// Scope number and path to `Slot`.
pub(super) const SLOT: Definition = TableDefinition::new("slot-1");
/// UID to scope number and path.
pub(super) const LOCATION: Definition = TableDefinition::new("location-1");
/// UID and version number to `Version`; heads are in their slots.
pub(super) const ARCHIVE: Definition = TableDefinition::new("archive-1");
/// Scope number, last time at which it might have been decided, and proposal digest, to height.
pub(super) const DECIDED: Definition = TableDefinition::new("decided-3");
/// The same key to the votes on the proposal, until it expires.
pub(super) const BALLOT: Definition = TableDefinition::new("ballot-1");
/// Scope number and proposal digest to `Pending`; no part of any lineage.
pub(super) const PENDING: Definition = TableDefinition::new("pending-1");
/// The same key to `Outline`.
pub(super) const OUTLINE: Definition = TableDefinition::new("outline-1");
/// Scope UID and device identity to `DeviceRecord`; no part of any lineage.
pub(super) const DEVICE: Definition = TableDefinition::new("device-1");
/// Scope UID to `Mirror`; no part of any lineage.
pub(super) const MIRROR: Definition = TableDefinition::new("mirror-1");
/// Scope UID to `Fork`; no part of any lineage.
pub(super) const FORK: Definition = TableDefinition::new("fork-1");
/// Identifier to `Token` of the admin API; no part of the index.
pub(super) const TOKEN: Definition = TableDefinition::new("token-1");
/// Scope number and height to `Block` and `Certificate`.
pub(super) const BLOCK: Definition = TableDefinition::new("block-1");
/// Scope number and height to `Body`.
pub(super) const BODY: Definition = TableDefinition::new("body-1");
/// Commit number to scope number and height.
pub(super) const ORDER: Definition = TableDefinition::new("order-1");
/// Apex name on the wire to root scope UID.
pub(super) const APEX: Definition = TableDefinition::new("apex-1");
/// Scope number, nibble count and prefix to a node of the state trie.
pub(super) const TRIE: Definition = TableDefinition::new("trie-1");

/// The row of [`META`] with the format.
pub(super) const FORMAT_ROW: &[u8] = b"format";
/// The format this program writes.
pub(super) const FORMAT: u64 = 7;
/// The oldest format this program reads.
pub(super) const FORMAT_OLDEST: u64 = 7;
