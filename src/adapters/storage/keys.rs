//! Keys of rows, and rows that are internal to the store.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::index::state::{Location, ScopeNo};
use crate::index::trie::{BUCKET_LEAVES_MAX, Leaf, Node, Page, Prefix, Summary};
use crate::index::view::{BlockAt, Decision};
use crate::namespace::path::NamePath;
use crate::namespace::uid::Uid;

pub(super) fn no_key(no: ScopeNo) -> [u8; 4] {
    no.0.to_be_bytes()
}

pub(super) fn slot_key(no: ScopeNo, path: &NamePath) -> Vec<u8> {
    let mut key = no_key(no).to_vec();
    key.extend_from_slice(path.as_bytes());
    key
}

pub(super) fn height_key(no: ScopeNo, height: u64) -> Vec<u8> {
    let mut key = no_key(no).to_vec();
    key.extend_from_slice(&height.to_be_bytes());
    key
}

pub(super) fn version_key(uid: &Uid, number: u64) -> Vec<u8> {
    let mut key = uid.as_bytes().to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

pub(super) fn decision_key(decision: &Decision) -> Vec<u8> {
    let mut key = height_key(decision.scope, decision.not_after.as_millis());
    key.extend_from_slice(decision.proposal.as_bytes());
    key
}

pub(super) fn pending_key(scope: ScopeNo, proposal: &Digest) -> Vec<u8> {
    let mut key = no_key(scope).to_vec();
    key.extend_from_slice(proposal.as_bytes());
    key
}

/// Reads what [`pending_key`] wrote.
pub(super) fn read_pending_key(key: &[u8]) -> Option<(ScopeNo, Digest)> {
    let (scope, proposal) = key.split_first_chunk()?;
    let proposal = Digest::from_bytes(proposal.try_into().ok()?);
    Some((ScopeNo(u32::from_be_bytes(*scope)), proposal))
}

/// Reads what [`decision_key`] wrote.
pub(super) fn read_decision_key(key: &[u8]) -> Option<Decision> {
    let (scope, rest) = key.split_first_chunk()?;
    let (not_after, proposal) = rest.split_first_chunk()?;
    Some(Decision {
        scope: ScopeNo(u32::from_be_bytes(*scope)),
        not_after: Timestamp::from_millis(u64::from_be_bytes(*not_after)),
        proposal: Digest::from_bytes(proposal.try_into().ok()?),
    })
}

pub(super) fn node_key(no: ScopeNo, prefix: Prefix) -> Vec<u8> {
    let mut key = no_key(no).to_vec();
    key.push(prefix.nibbles);
    let bytes = usize::from(prefix.nibbles).div_ceil(2);
    key.extend(prefix.bits.iter().take(bytes));
    key
}

/// Rows that are internal to the store: no label, the table's name is their version.
pub(super) fn row<T: Canonical>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut input = Decoder::new(bytes);
    let value = T::decode(&mut input)?;
    input.finish()?;
    Ok(value)
}

pub(super) fn row_bytes<T: Canonical>(value: &T) -> Vec<u8> {
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

impl Canonical for BlockAt {
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

impl Canonical for Node {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Bucket(leaves) => {
                out.u8(0);
                out.count(leaves.len());
                for (position, digest) in leaves {
                    out.fixed(position);
                    digest.encode(out);
                }
            }
            Self::Page(page) => {
                out.u8(1);
                page.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => {
                let count = input.count("leaves", BUCKET_LEAVES_MAX)?;
                let mut leaves: Vec<Leaf> = Vec::with_capacity(count);
                for _ in 0..count {
                    leaves.push((input.array()?, Digest::decode(input)?));
                }
                if leaves.is_empty() || !leaves.is_sorted_by(|(a, _), (b, _)| a < b) {
                    return Err(DecodeError::NotCanonical { what: "bucket" });
                }
                Ok(Self::Bucket(leaves))
            }
            1 => Page::decode(input).map(|page| Self::Page(Box::new(page))),
            tag => Err(DecodeError::Tag {
                what: "trie node",
                tag,
            }),
        }
    }
}
