//! `BeaconTree`: sights under one root, and the place of each.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::{Beacon, Sight};

/// Digests on the way from a sight to the root: as many as a number of scopes has bits.
const SIBLINGS_MAX: usize = 32;
/// The domain of what lies above sights.
const NODE_LABEL: &str = "kedge/beacon-node";

/// The sights of one anchor, each scope once, in the order of their scopes, under one root.
#[derive(Debug, Clone)]
pub struct BeaconTree {
    sights: Vec<Sight>,
    /// From the digests of the sights up to the root; the last one of a row that has no neighbour goes
    /// up as it is.
    rows: Vec<Vec<Digest>>,
    root: Digest,
    scope_count: u32,
}

/// A sight, and its place under a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What the anchor says of the scope.
    pub sight: Sight,
    /// Its number among the sights.
    pub index: u32,
    /// The neighbours on the way to the root, from below.
    pub siblings: Vec<Digest>,
}

fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [0; 64];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(left.as_bytes());
    second.copy_from_slice(right.as_bytes());
    Digest::of_bytes(NODE_LABEL, &bytes)
}

impl BeaconTree {
    /// A tree of sights; none where there are none. Of two of one scope the first counts.
    pub fn new(mut sights: Vec<Sight>) -> Option<Self> {
        sights.sort_by_key(|sight| sight.scope);
        sights.dedup_by_key(|sight| sight.scope);
        let scope_count = u32::try_from(sights.len()).ok()?;
        let mut row: Vec<Digest> = sights.iter().map(Digest::of).collect();
        let mut rows = Vec::new();
        while row.len() > 1 {
            let above = row.chunks(2).filter_map(|pair| match pair {
                [left, right] => Some(node(left, right)),
                [lone] => Some(*lone),
                _ => None,
            });
            let above = above.collect();
            rows.push(std::mem::replace(&mut row, above));
        }
        Some(Self {
            root: *row.first()?,
            sights,
            rows,
            scope_count,
        })
    }

    /// What it is over, in order.
    pub fn sights(&self) -> &[Sight] {
        &self.sights
    }

    /// The beacon over these sights, not yet signed.
    pub const fn beacon(&self, anchor: PublicKey, time: Timestamp) -> Beacon {
        Beacon {
            anchor,
            time,
            scope_count: self.scope_count,
            root: self.root,
        }
    }

    /// The place of a scope; none if it has none.
    pub fn place(&self, scope: &ScopeUid) -> Option<Placed> {
        let found = self.sights.binary_search_by_key(scope, |sight| sight.scope);
        let at = found.ok()?;
        let mut place = at;
        let mut siblings = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            siblings.extend(row.get(place ^ 1).copied());
            place /= 2;
        }
        Some(Placed {
            sight: *self.sights.get(at)?,
            index: u32::try_from(at).ok()?,
            siblings,
        })
    }
}

impl Placed {
    /// The root that this place is under, among so many scopes; none if it has none among them.
    pub fn root(&self, scope_count: u32) -> Option<Digest> {
        if self.index >= scope_count {
            return None;
        }
        let (mut at, mut width) = (self.index, scope_count);
        let mut digest = Digest::of(&self.sight);
        let mut siblings = self.siblings.iter();
        while width > 1 {
            if at % 2 == 1 {
                digest = node(siblings.next()?, &digest);
            } else if at + 1 < width {
                digest = node(&digest, siblings.next()?);
            }
            at /= 2;
            width = width.div_ceil(2);
        }
        siblings.next().is_none().then_some(digest)
    }
}

impl Canonical for Placed {
    fn encode(&self, out: &mut Encoder) {
        self.sight.encode(out);
        out.u32(self.index);
        out.list(&self.siblings);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            sight: Sight::decode(input)?,
            index: input.u32()?,
            siblings: input.list("siblings", SIBLINGS_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::keys::SecretKey;

    fn sight(number: u32) -> Sight {
        Sight {
            scope: ScopeUid::new(Digest::of_bytes("scope", &number.to_be_bytes())),
            height: u64::from(number),
            head: Digest::of_bytes("head", &number.to_be_bytes()),
            has_precommitted: number % 2 == 1,
        }
    }

    fn tree(count: u32) -> BeaconTree {
        BeaconTree::new((0..count).map(sight).collect()).unwrap()
    }

    #[test]
    fn an_anchor_without_scopes_has_no_tree() {
        assert!(BeaconTree::new(Vec::new()).is_none());
    }

    proptest! {
        #[test]
        fn every_scope_has_its_place_and_no_other(
            count in 1u32..70,
            which in any::<u32>(),
            index in any::<u32>(),
        ) {
            let (tree, sought) = (tree(count), sight(which % count));
            let anchor = SecretKey::from_seed(&[1; 32]).public();
            let beacon = tree.beacon(anchor, Timestamp::from_millis(1));
            let placed = tree.place(&sought.scope).unwrap();
            prop_assert_eq!(placed.sight, sought);
            prop_assert_eq!(placed.root(count), Some(beacon.root));
            prop_assert_eq!(tree.place(&sight(count).scope), None);
            let mut other = placed.clone();
            other.sight.height += 1;
            prop_assert_ne!(other.root(count), Some(beacon.root));
            let moved = Placed { index: index % (2 * count), ..placed.clone() };
            if moved.index != placed.index {
                prop_assert_ne!(moved.root(count), Some(beacon.root));
            }
            let mut longer = placed.clone();
            longer.siblings.push(Digest::ZERO);
            prop_assert_eq!(longer.root(count), None);
            let mut shorter = placed;
            if shorter.siblings.pop().is_some() {
                prop_assert_eq!(shorter.root(count), None);
            }
        }
    }
}
