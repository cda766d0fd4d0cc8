//! The state root: a binary Merkle trie over digests of keys.
//!
//! The root is a pure function of the set of leaves, whatever order they came in: an empty set
//! has the zero digest; a set of one has its leaf's digest; a larger set is split by the first
//! bit at which it has not been split yet, and its digest is that of both halves. Positions are
//! digests, so nobody can make the trie deep by choosing names.
//!
//! What is stored are nodes: buckets of a few leaves, and above them pages of sixteen subtrees, so
//! that one change reads and writes a few rows. Where leaves are stored follows from their set
//! alone and is no part of the definition above.

use std::sync::LazyLock;

use crate::base::canonical::{Encoder, Form};
use crate::base::digest::Digest;
use crate::namespace::path::NamePath;

use super::changeset::ChangeSet;
use super::entry::Slot;
use super::state::{ScopeNo, ScopeState};

mod path;

pub use self::path::TriePath;

/// Subtrees up to this many leaves are one bucket, hashed from its leaves; larger ones have a page.
pub const BUCKET_LEAVES_MAX: usize = 16;
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

/// A leaf as the trie holds it: position and digest of the value.
pub type Leaf = (Position, Digest);

/// A leaf as it will be; none when it is to be removed.
pub type LeafChange = (Position, Option<Digest>);

/// The leaf of a slot; a vacant slot has none.
pub fn slot_leaf(path: &NamePath, slot: Option<&Slot>) -> LeafChange {
    let value = |slot: &Slot| Digest::keyed(&VALUE_KEY, &slot.to_bytes());
    (slot_position(path), slot.map(value))
}

/// Where the leaf of a path's slot stands.
pub fn slot_position(path: &NamePath) -> Position {
    let mut key = Vec::with_capacity(path.as_bytes().len() + 1);
    key.push(0);
    key.extend_from_slice(path.as_bytes());
    *Digest::keyed(&POSITION_KEY, &key).as_bytes()
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
    let value = Digest::keyed(&VALUE_KEY, &out.into_bytes());
    (position, Some(value))
}

fn leaf_digest(position: &Position, value: &Digest) -> Digest {
    pair(&LEAF_KEY, position, value.as_bytes())
}

fn branch_digest(left: &Digest, right: &Digest) -> Digest {
    pair(&BRANCH_KEY, left.as_bytes(), right.as_bytes())
}

/// Whether a position lies in the right half of a subtree that is split by this bit.
fn is_right(position: &Position, bit: usize) -> bool {
    position
        .get(bit / 8)
        .is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
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
            _ => branch_digest(&left.digest, &right.digest),
        };
        Self { count, digest }
    }
}

/// Sixteen neighbouring subtrees, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page(pub [Summary; 16]);

impl Page {
    fn summary(&self) -> Summary {
        joined(&self.0)
    }
}

/// The subtree over neighbouring subtrees, as many as a power of two.
fn joined(subtrees: &[Summary]) -> Summary {
    match subtrees {
        [] => Summary::EMPTY,
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            Summary::join(&joined(left), &joined(right))
        }
    }
}

/// What is stored of the subtree at a prefix. An empty subtree has no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// All its leaves, in the order of their positions, if they fit a bucket.
    Bucket(Vec<Leaf>),
    /// Its sixteen subtrees, each with a node of its own.
    Page(Box<Page>),
}

/// The first nibbles of positions: the address of a node.
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
}

/// Reads of the tries of all scopes.
pub trait TrieView {
    /// What reading and writing can fail with.
    type Failure;

    /// The node at a prefix; none if nothing lies below.
    fn node(&self, scope: ScopeNo, prefix: Prefix) -> Result<Option<Node>, Self::Failure>;
}

/// Writes of the tries of all scopes.
pub trait TrieStore: TrieView {
    /// Writes or removes a node.
    fn put_node(
        &mut self,
        scope: ScopeNo,
        prefix: Prefix,
        node: Option<&Node>,
    ) -> Result<(), Self::Failure>;
}

/// The leaves of a scope that staged changes touch, in the order of their positions; those of the
/// counters, too, if the scope's state is given.
pub fn touched_leaves(
    scope: ScopeNo,
    state: Option<&ScopeState>,
    changes: &ChangeSet,
) -> Vec<LeafChange> {
    let slots = changes.slots.get(&scope).into_iter().flatten();
    let mut leaves: Vec<LeafChange> = slots
        .map(|(path, slot)| slot_leaf(path, slot.as_ref()))
        .collect();
    leaves.extend(state.map(counters_leaf));
    leaves.sort_unstable_by_key(|(position, _)| *position);
    leaves
}

/// The root of a set of leaves, computed from nothing but the set; sorted by position.
pub fn root_of(leaves: &[Leaf]) -> Digest {
    summarise(leaves, 0).digest
}

/// Changes leaves and gives the new root. The changes are in the order of their positions.
pub fn update<S: TrieStore>(
    store: &mut S,
    scope: ScopeNo,
    changes: &[LeafChange],
) -> Result<Digest, S::Failure> {
    change(store, scope, Prefix::ALL, changes).map(|summary| summary.digest)
}

fn change<S: TrieStore>(
    store: &mut S,
    scope: ScopeNo,
    prefix: Prefix,
    changes: &[LeafChange],
) -> Result<Summary, S::Failure> {
    let mut page = match store.node(scope, prefix)? {
        Some(Node::Page(page)) => page,
        Some(Node::Bucket(leaves)) => return build(store, scope, prefix, merged(&leaves, changes)),
        None => return build(store, scope, prefix, merged(&[], changes)),
    };
    for run in changes.chunk_by(|(a, _), (b, _)| prefix.nibble_of(a) == prefix.nibble_of(b)) {
        let Some((first, _)) = run.first() else {
            continue;
        };
        let nibble = prefix.nibble_of(first);
        let summary = change(store, scope, prefix.child(nibble), run)?;
        if let Some(place) = page.0.get_mut(usize::from(nibble)) {
            *place = summary;
        }
    }
    let summary = page.summary();
    if usize::try_from(summary.count).is_ok_and(|count| count <= BUCKET_LEAVES_MAX) {
        let leaves = gather(store, scope, prefix)?;
        let bucket = (!leaves.is_empty()).then_some(Node::Bucket(leaves));
        store.put_node(scope, prefix, bucket.as_ref())?;
    } else {
        store.put_node(scope, prefix, Some(&Node::Page(page)))?;
    }
    Ok(summary)
}

/// Takes the leaves of a page that shrank to a bucket out of the buckets below it.
fn gather<S: TrieStore>(
    store: &mut S,
    scope: ScopeNo,
    prefix: Prefix,
) -> Result<Vec<Leaf>, S::Failure> {
    let mut leaves = Vec::with_capacity(BUCKET_LEAVES_MAX);
    for nibble in 0..16 {
        let child = prefix.child(nibble);
        // No child holds more leaves than all of them, so none is a page.
        if let Some(Node::Bucket(below)) = store.node(scope, child)? {
            leaves.extend(below);
            store.put_node(scope, child, None)?;
        }
    }
    Ok(leaves)
}

/// Leaves with changes applied; both in the order of their positions.
fn merged(leaves: &[Leaf], changes: &[LeafChange]) -> Vec<Leaf> {
    let mut merged = Vec::with_capacity(leaves.len() + changes.len());
    let mut rest = leaves;
    for (position, digest) in changes {
        let before = rest.partition_point(|(other, _)| other < position);
        let (head, tail) = rest.split_at(before);
        merged.extend_from_slice(head);
        rest = match tail {
            [(other, _), tail @ ..] if other == position => tail,
            _ => tail,
        };
        merged.extend(digest.map(|digest| (*position, digest)));
    }
    merged.extend_from_slice(rest);
    merged
}

/// Writes the nodes of a subtree that had none below its prefix.
fn build<S: TrieStore>(
    store: &mut S,
    scope: ScopeNo,
    prefix: Prefix,
    leaves: Vec<Leaf>,
) -> Result<Summary, S::Failure> {
    if leaves.len() <= BUCKET_LEAVES_MAX {
        let summary = summarise(&leaves, usize::from(prefix.nibbles) * NIBBLE_BITS);
        let bucket = (!leaves.is_empty()).then_some(Node::Bucket(leaves));
        store.put_node(scope, prefix, bucket.as_ref())?;
        return Ok(summary);
    }
    let mut page = Box::new(Page([Summary::EMPTY; 16]));
    for run in leaves.chunk_by(|(a, _), (b, _)| prefix.nibble_of(a) == prefix.nibble_of(b)) {
        let Some((first, _)) = run.first() else {
            continue;
        };
        let nibble = prefix.nibble_of(first);
        let summary = build(store, scope, prefix.child(nibble), run.to_vec())?;
        if let Some(place) = page.0.get_mut(usize::from(nibble)) {
            *place = summary;
        }
    }
    let summary = page.summary();
    store.put_node(scope, prefix, Some(&Node::Page(page)))?;
    Ok(summary)
}

fn halves(leaves: &[Leaf], bit: usize) -> (&[Leaf], &[Leaf]) {
    let middle = leaves.partition_point(|(position, _)| !is_right(position, bit));
    leaves.split_at(middle)
}

fn summarise(leaves: &[Leaf], bit: usize) -> Summary {
    match leaves {
        [] => Summary::EMPTY,
        [(position, value)] => Summary {
            count: 1,
            digest: leaf_digest(position, value),
        },
        _ => {
            let (left, right) = halves(leaves, bit);
            Summary::join(&summarise(left, bit + 1), &summarise(right, bit + 1))
        }
    }
}
