//! The trie against its definition: the root of a set of leaves, whatever became of it before.

use std::collections::BTreeMap;

use kedge::base::digest::Digest;
use kedge::index::memory::MemoryIndex;
use kedge::index::state::ScopeNo;
use kedge::index::trie::{
    BUCKET_LEAVES_MAX, Leaf, Node, Position, Prefix, TriePath, TrieView, root_of, update,
};
use proptest::prelude::*;

const SCOPE: ScopeNo = ScopeNo(3);

/// Positions that share long prefixes as well as such that do not.
fn position() -> impl Strategy<Value = Position> {
    prop_oneof![
        any::<u8>().prop_map(|byte| *Digest::of_bytes("position", &[byte]).as_bytes()),
        (any::<u8>(), 0usize..32).prop_map(|(byte, at)| {
            let mut position = [0; 32];
            if let Some(place) = position.get_mut(at) {
                *place = byte;
            }
            position
        }),
    ]
}

/// Batches of changes, as blocks bring them.
fn batches() -> impl Strategy<Value = Vec<BTreeMap<Position, Option<u8>>>> {
    let change = proptest::option::weighted(0.6, 0..255u8);
    let batch = proptest::collection::btree_map(position(), change, 1..80);
    proptest::collection::vec(batch, 1..8)
}

fn leaf(value: u8) -> Digest {
    Digest::of_bytes("leaf", &[value])
}

fn apply(
    index: &mut MemoryIndex,
    set: &mut BTreeMap<Position, Digest>,
    batch: &BTreeMap<Position, Option<u8>>,
) -> Digest {
    let mut changes = Vec::new();
    for (position, value) in batch {
        let leaf = value.map(leaf);
        match leaf {
            Some(leaf) => set.insert(*position, leaf),
            None => set.remove(position),
        };
        changes.push((*position, leaf));
    }
    let Ok(root) = update(index, SCOPE, &changes);
    root
}

fn sorted(set: &BTreeMap<Position, Digest>) -> Vec<(Position, Digest)> {
    set.iter()
        .map(|(position, leaf)| (*position, *leaf))
        .collect()
}

/// Every leaf below a prefix, and that each stands where it belongs.
fn leaves_below(index: &MemoryIndex, prefix: Prefix) -> Vec<Leaf> {
    let Ok(node) = index.node(SCOPE, prefix);
    match node {
        None => Vec::new(),
        Some(Node::Bucket(leaves)) => {
            assert!((1..=BUCKET_LEAVES_MAX).contains(&leaves.len()));
            leaves
        }
        Some(Node::Page(_)) => {
            let children = (0..16).map(|nibble| leaves_below(index, prefix.child(nibble)));
            let leaves: Vec<Leaf> = children.flatten().collect();
            assert!(leaves.len() > BUCKET_LEAVES_MAX);
            leaves
        }
    }
}

proptest! {
    #[test]
    fn each_batch_gives_the_root_of_what_is_there(batches in batches()) {
        let mut index = MemoryIndex::new();
        let mut set = BTreeMap::new();
        for batch in &batches {
            let root = apply(&mut index, &mut set, batch);
            prop_assert_eq!(root, root_of(&sorted(&set)));
            prop_assert_eq!(leaves_below(&index, Prefix::ALL), sorted(&set));
        }
        // Every leaf, and every position without one, is proven by its path and by no other value.
        let root = root_of(&sorted(&set));
        let elsewhere = (0..=255).map(|byte| *Digest::of_bytes("position", &[byte]).as_bytes());
        for position in set.keys().copied().chain(elsewhere) {
            let Ok(path) = TriePath::to(&index, SCOPE, &position);
            let value = set.get(&position);
            prop_assert_eq!(path.root(&position, value), Some(root));
            let (other, none) = (leaf(255), path.root(&position, None));
            prop_assert_ne!(path.root(&position, Some(&other)), Some(root));
            prop_assert_eq!(none == Some(root), value.is_none());
        }
        // The same set in one batch gives the same nodes.
        let mut at_once = MemoryIndex::new();
        let all: Vec<_> = set.iter().map(|(position, leaf)| (*position, Some(*leaf))).collect();
        let Ok(root) = update(&mut at_once, SCOPE, &all);
        prop_assert_eq!(root, root_of(&sorted(&set)));
        prop_assert_eq!(at_once, index);
    }
}

#[test]
fn a_bulk_of_leaves_and_its_removal_give_the_roots_of_their_sets() {
    let mut index = MemoryIndex::new();
    let all: BTreeMap<Position, Digest> = (0..5_000u32)
        .map(|number| {
            let position = *Digest::of_bytes("position", &number.to_be_bytes()).as_bytes();
            (position, Digest::of_bytes("leaf", &number.to_be_bytes()))
        })
        .collect();
    let changes: Vec<_> = all
        .iter()
        .map(|(position, leaf)| (*position, Some(*leaf)))
        .collect();
    let Ok(root) = update(&mut index, SCOPE, &changes);
    assert_eq!(root, root_of(&sorted(&all)));
    let kept: BTreeMap<Position, Digest> = all
        .iter()
        .step_by(7)
        .map(|(position, leaf)| (*position, *leaf))
        .collect();
    let removals: Vec<_> = all
        .keys()
        .filter(|position| !kept.contains_key(*position))
        .map(|position| (*position, None))
        .collect();
    let Ok(root) = update(&mut index, SCOPE, &removals);
    assert_eq!(root, root_of(&sorted(&kept)));
    let removals: Vec<_> = kept.keys().map(|position| (*position, None)).collect();
    let Ok(root) = update(&mut index, SCOPE, &removals);
    assert_eq!(root, Digest::ZERO);
    assert_eq!(index, MemoryIndex::new());
}
