//! The state root: a binary Merkle trie over digests of keys.
//!
//! The root is a pure function of the set of leaves, whatever order they came in: an empty set
//! has the zero digest; a set of one has its leaf's digest; a larger set is split by the first
//! bit at which it has not been split yet, and its digest is that of both halves. Positions are
//! digests, so nobody can make the trie deep by choosing names.
//!
//! Pages of sixteen subtrees are stored so that one change reads and writes a few of them; they
//! are a cache of the definition above and no part of it.

use std::sync::LazyLock;

use crate::base::canonical::{Encoder, Form};
use crate::base::digest::Digest;
use crate::namespace::path::NamePath;

use super::entry::Slot;
use super::state::{ScopeNo, ScopeState};

/// Subtrees up to this many leaves have no page; they are hashed from their leaves.
const BUCKET: u64 = 16;
/// Bits of a position that one page covers.
const NIBBLE_BITS: usize = 4;

static LEAF_KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("kedge/trie-leaf/1", b""));
static BRANCH_KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("kedge/trie-branch/1", b""));
static POSITION_KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("kedge/trie-position/1", b""));
static VALUE_KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("kedge/trie-value/1", b""));

/// Where a leaf stands: the digest of its key.
pub type Position = [u8; 32];

/// A leaf as the trie holds it: position and leaf digest; none when it is to be removed.
pub type LeafChange = (Position, Option<Digest>);

/// The position and leaf digest of a slot; a vacant slot has no leaf.
pub fn slot_leaf(path: &NamePath, slot: Option<&Slot>) -> LeafChange {
    let mut key = Vec::with_capacity(path.as_bytes().len() + 1);
    key.push(0);
    key.extend_from_slice(path.as_bytes());
    let position = *Digest::keyed(&POSITION_KEY, &key).as_bytes();
    (position, slot.map(|slot| leaf(&position, &slot.to_bytes())))
}

/// The leaf of the counters that decide the next UID and the quota; none while both are zero, so
/// that the root says nothing about how the state came to be.
pub fn counters_leaf(state: &ScopeState) -> LeafChange {
    let position = *Digest::keyed(&POSITION_KEY, &[1]).as_bytes();
    if (state.next_uid, state.live) == (0, 0) {
        return (position, None);
    }
    let mut out = Encoder::new();
    out.u64(state.next_uid);
    out.u64(state.live);
    (position, Some(leaf(&position, &out.into_bytes())))
}

fn leaf(position: &Position, value: &[u8]) -> Digest {
    let value = Digest::keyed(&VALUE_KEY, value);
    pair(&LEAF_KEY, position, value.as_bytes())
}

fn pair(key: &[u8; 32], left: &[u8; 32], right: &[u8; 32]) -> Digest {
    let mut both = [0; 64];
    let (head, tail) = both.split_at_mut(32);
    head.copy_from_slice(left);
    tail.copy_from_slice(right);
    Digest::keyed(key, &both)
}

/// The number of leaves of a subtree and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many leaves.
    pub count: u64,
    /// The digest by the definition above.
    pub digest: Digest,
}

impl Summary {
    /// No leaves.
    pub const EMPTY: Self = Self {
        count: 0,
        digest: Digest::ZERO,
    };

    fn join(left: &Self, right: &Self) -> Self {
        let count = left.count + right.count;
        let digest = match (left.count, right.count) {
            (0, 0) => Digest::ZERO,
            (0, 1) => right.digest,
            (1, 0) => left.digest,
            _ => pair(&BRANCH_KEY, left.digest.as_bytes(), right.digest.as_bytes()),
        };
        Self { count, digest }
    }
}

/// Sixteen neighbouring subtrees, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page(pub [Summary; 16]);

impl Page {
    fn summary(&self) -> Summary {
        let mut level = self.0.to_vec();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|both| match both {
                    [left, right] => Summary::join(left, right),
                    _ => Summary::EMPTY,
                })
                .collect();
        }
        level.first().copied().unwrap_or(Summary::EMPTY)
    }
}

/// The first nibbles of positions: the address of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The nibbles, the rest zero.
    pub bits: Position,
    /// How many nibbles count, up to 64.
    pub nibbles: u8,
}

impl Prefix {
    /// The whole trie.
    pub const ALL: Self = Self {
        bits: [0; 32],
        nibbles: 0,
    };

    /// The prefix one nibble longer.
    #[must_use]
    pub fn child(self, nibble: u8) -> Self {
        let mut bits = self.bits;
        if let Some(byte) = bits.get_mut(usize::from(self.nibbles / 2)) {
            *byte |= if self.nibbles.is_multiple_of(2) {
                nibble << 4
            } else {
                nibble
            };
        }
        Self {
            bits,
            nibbles: self.nibbles + 1,
        }
    }

    fn nibble_of(self, position: &Position) -> u8 {
        let byte = position
            .get(usize::from(self.nibbles / 2))
            .copied()
            .unwrap_or(0);
        if self.nibbles.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 15
        }
    }

    /// The last position that starts with the prefix.
    pub fn last(self) -> Position {
        let mut bits = self.bits;
        let whole = usize::from(self.nibbles / 2);
        for (index, byte) in bits.iter_mut().enumerate().skip(whole) {
            *byte |= if index == whole && self.nibbles % 2 == 1 {
                0x0f
            } else {
                0xff
            };
        }
        bits
    }
}

/// Reads of the leaves and pages of the tries of all scopes.
pub trait TrieView {
    /// What reading and writing can fail with.
    type Failure;

    /// The page at a prefix, if the subtree there has more than a bucket of leaves.
    fn page(&self, scope: ScopeNo, prefix: Prefix) -> Result<Option<Page>, Self::Failure>;

    /// The leaves under a prefix, in order.
    fn leaves(
        &self,
        scope: ScopeNo,
        prefix: Prefix,
    ) -> Result<Vec<(Position, Digest)>, Self::Failure>;
}

/// Writes of leaves and pages.
pub trait TrieStore: TrieView {
    /// Writes or removes a page.
    fn put_page(
        &mut self,
        scope: ScopeNo,
        prefix: Prefix,
        page: Option<&Page>,
    ) -> Result<(), Self::Failure>;

    /// Writes or removes a leaf.
    fn put_leaf(
        &mut self,
        scope: ScopeNo,
        position: &Position,
        leaf: Option<&Digest>,
    ) -> Result<(), Self::Failure>;
}

/// The root of a set of leaves, computed from nothing but the set; sorted by position.
pub fn root_of(leaves: &[(Position, Digest)]) -> Digest {
    summarise(leaves, 0).digest
}

/// Changes leaves and gives the new root. The changes are in the order of their positions.
pub fn update<S: TrieStore>(
    store: &mut S,
    scope: ScopeNo,
    changes: &[LeafChange],
) -> Result<Digest, S::Failure> {
    for (position, leaf) in changes {
        store.put_leaf(scope, position, leaf.as_ref())?;
    }
    let positions: Vec<Position> = changes.iter().map(|(position, _)| *position).collect();
    refresh(store, scope, Prefix::ALL, &positions).map(|summary| summary.digest)
}

fn refresh<S: TrieStore>(
    store: &mut S,
    scope: ScopeNo,
    prefix: Prefix,
    changed: &[Position],
) -> Result<Summary, S::Failure> {
    let Some(mut page) = store.page(scope, prefix)? else {
        let leaves = store.leaves(scope, prefix)?;
        return build(store, scope, prefix, &leaves);
    };
    for run in changed.chunk_by(|a, b| prefix.nibble_of(a) == prefix.nibble_of(b)) {
        let Some(first) = run.first() else { continue };
        let nibble = prefix.nibble_of(first);
        let summary = refresh(store, scope, prefix.child(nibble), run)?;
        if let Some(place) = page.0.get_mut(usize::from(nibble)) {
            *place = summary;
        }
    }
    let summary = page.summary();
    store.put_page(scope, prefix, (summary.count > BUCKET).then_some(&page))?;
    Ok(summary)
}

fn build<S: TrieStore>(
    store: &mut S,
    scope: ScopeNo,
    prefix: Prefix,
    leaves: &[(Position, Digest)],
) -> Result<Summary, S::Failure> {
    let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
    if count <= BUCKET {
        return Ok(summarise(leaves, usize::from(prefix.nibbles) * NIBBLE_BITS));
    }
    let mut page = Page([Summary::EMPTY; 16]);
    for run in leaves.chunk_by(|(a, _), (b, _)| prefix.nibble_of(a) == prefix.nibble_of(b)) {
        let Some((first, _)) = run.first() else {
            continue;
        };
        let nibble = prefix.nibble_of(first);
        let summary = build(store, scope, prefix.child(nibble), run)?;
        if let Some(place) = page.0.get_mut(usize::from(nibble)) {
            *place = summary;
        }
    }
    store.put_page(scope, prefix, Some(&page))?;
    Ok(page.summary())
}

fn summarise(leaves: &[(Position, Digest)], bit: usize) -> Summary {
    match leaves {
        [] => Summary::EMPTY,
        [(_, digest)] => Summary {
            count: 1,
            digest: *digest,
        },
        _ => {
            let is_right = |position: &Position| {
                position
                    .get(bit / 8)
                    .is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
            };
            let middle = leaves.partition_point(|(position, _)| !is_right(position));
            let (left, right) = leaves.split_at(middle);
            Summary::join(&summarise(left, bit + 1), &summarise(right, bit + 1))
        }
    }
}
