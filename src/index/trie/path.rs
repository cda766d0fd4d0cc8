//! `TriePath`: what a state root says of one position, provable without the rest of the trie.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::Digest;
use crate::index::state::ScopeNo;

use super::{
    Leaf, NIBBLE_BITS, Node, Page, Position, Prefix, Summary, TrieView, branch_digest, halves,
    is_right, joined, leaf_digest, summarise,
};

/// A position has 256 bits, and each splits a subtree once.
const SIBLINGS_MAX: usize = 256;

/// The subtrees beside the way from the root to a position, and what stands at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriePath {
    /// The digests of the other halves, from the root down.
    siblings: Vec<Digest>,
    end: End,
}

/// What is left of the trie at the end of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The leaf of the position itself.
    Here,
    /// Nothing.
    Empty,
    /// A single leaf elsewhere.
    Other(Leaf),
}

impl TriePath {
    /// The way to a position in the trie of a scope.
    pub fn to<S: TrieView>(
        view: &S,
        scope: ScopeNo,
        position: &Position,
    ) -> Result<Self, S::Failure> {
        let mut walk = Walk {
            position,
            siblings: Vec::new(),
        };
        let mut prefix = Prefix::ALL;
        let leaf = loop {
            match view.node(scope, prefix)? {
                None => break None,
                Some(Node::Bucket(leaves)) => break walk.bucket(&leaves, prefix),
                Some(Node::Page(page)) => match walk.page(&page, prefix) {
                    Below::Child(nibble) => prefix = prefix.child(nibble),
                    Below::Empty => break None,
                    Below::Single(nibble) => {
                        break only_leaf(view, scope, prefix.child(nibble))?;
                    }
                },
            }
        };
        let end = match leaf {
            None => End::Empty,
            Some((at, _)) if at == *position => End::Here,
            Some(other) => End::Other(other),
        };
        let siblings = walk.siblings;
        Ok(Self { siblings, end })
    }

    /// The root of the tries in which the position holds this value, or nothing if none is given;
    /// none if the path says otherwise.
    pub fn root(&self, position: &Position, value: Option<&Digest>) -> Option<Digest> {
        let depth = self.siblings.len();
        let end = match (self.end, value) {
            (End::Here, Some(value)) => leaf_digest(position, value),
            (End::Empty, None) => Digest::ZERO,
            (End::Other((other, value)), None) => {
                // Only a leaf on the same way shows that the position's own is not there.
                let together =
                    (0..depth).all(|bit| is_right(position, bit) == is_right(&other, bit));
                if other == *position || !together {
                    return None;
                }
                leaf_digest(&other, &value)
            }
            _ => return None,
        };
        let up = self.siblings.iter().enumerate().rev();
        Some(up.fold(end, |below, (bit, sibling)| {
            if is_right(position, bit) {
                branch_digest(sibling, &below)
            } else {
                branch_digest(&below, sibling)
            }
        }))
    }
}

/// The one leaf of a subtree, which is a bucket.
fn only_leaf<S: TrieView>(
    view: &S,
    scope: ScopeNo,
    prefix: Prefix,
) -> Result<Option<Leaf>, S::Failure> {
    Ok(match view.node(scope, prefix)? {
        Some(Node::Bucket(leaves)) => leaves.first().copied(),
        _ => None,
    })
}

struct Walk<'p> {
    position: &'p Position,
    siblings: Vec<Digest>,
}

/// Where the way goes on below a page.
enum Below {
    Child(u8),
    Empty,
    Single(u8),
}

impl Walk<'_> {
    /// Goes through the four bits of a page.
    fn page(&mut self, page: &Page, prefix: Prefix) -> Below {
        let first_bit = usize::from(prefix.nibbles) * NIBBLE_BITS;
        let (mut subtrees, mut first) = (page.0.as_slice(), 0_u8);
        for bit in first_bit..first_bit + NIBBLE_BITS {
            match joined(subtrees).count {
                0 => return Below::Empty,
                1 => break,
                _ => {}
            }
            let half = subtrees.len() / 2;
            let (left, right) = subtrees.split_at(half);
            let (own, other) = if is_right(self.position, bit) {
                first += u8::try_from(half).unwrap_or(0);
                (right, left)
            } else {
                (left, right)
            };
            self.siblings.push(joined(other).digest);
            subtrees = own;
        }
        match joined(subtrees).count {
            0 => Below::Empty,
            1 => {
                let at = subtrees.iter().position(|subtree| subtree.count == 1);
                let at = at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
                Below::Single(first + at)
            }
            _ => Below::Child(first),
        }
    }

    /// Goes through a bucket to its end.
    fn bucket(&mut self, leaves: &[Leaf], prefix: Prefix) -> Option<Leaf> {
        let mut rest = leaves;
        let mut bit = usize::from(prefix.nibbles) * NIBBLE_BITS;
        while rest.len() > 1 {
            let (left, right) = halves(rest, bit);
            let (own, other) = if is_right(self.position, bit) {
                (right, left)
            } else {
                (left, right)
            };
            bit += 1;
            let Summary { digest, .. } = summarise(other, bit);
            self.siblings.push(digest);
            rest = own;
        }
        rest.first().copied()
    }
}

impl Canonical for TriePath {
    fn encode(&self, out: &mut Encoder) {
        out.list(&self.siblings);
        match &self.end {
            End::Here => out.u8(0),
            End::Empty => out.u8(1),
            End::Other((position, value)) => {
                out.u8(2);
                out.fixed(position);
                value.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let siblings = input.list("siblings", SIBLINGS_MAX)?;
        let end = match input.u8()? {
            0 => End::Here,
            1 => End::Empty,
            2 => End::Other((input.array()?, Digest::decode(input)?)),
            tag => {
                let what = "end of a trie path";
                return Err(DecodeError::Tag { what, tag });
            }
        };
        Ok(Self { siblings, end })
    }
}
