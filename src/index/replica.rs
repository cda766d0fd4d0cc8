//! Scopes that this node follows at others, and forks that were found: no part of any lineage.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::limits::MIRROR_SOURCES_MAX;
use crate::base::time::Timestamp;
use crate::governance::block::Block;
use crate::governance::certificate::Certified;
use crate::namespace::scope::ScopeUid;

/// A scope that is kept as other nodes have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The scope.
    pub scope: ScopeUid,
    /// The nodes that are asked, by their keys, the first one first; any node, if none is named.
    pub sources: Vec<PublicKey>,
    /// Since when.
    pub since: Timestamp,
}

impl Mirror {
    /// Whether a node is asked.
    pub fn asks(&self, node: &PublicKey) -> bool {
        self.sources.is_empty() || self.sources.contains(node)
    }
}

/// Two blocks of one height that the anchors of one descriptor decided. Kept for ever: whoever
/// signed both broke the rules, or somebody else has their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The one that is held here.
    pub held: Certified,
    /// The other one.
    pub other: Certified,
    /// The node that had it.
    pub from: PublicKey,
    /// When it was found.
    pub found: Timestamp,
}

impl Fork {
    /// The scope that forked.
    pub fn scope(&self) -> ScopeUid {
        self.held.block.scope
    }

    /// The height at which it did.
    pub fn height(&self) -> u64 {
        self.held.block.height
    }

    /// The digests of the two blocks, the one held here first.
    pub fn blocks(&self) -> (Digest, Digest) {
        (self.held.block.digest(), self.other.block.digest())
    }
}

/// Reads of what is followed and what forked.
pub trait ReplicaView {
    /// What reading and writing can fail with.
    type Failure;

    /// Every scope that is followed.
    fn mirrors(&self) -> Result<Vec<Mirror>, Self::Failure>;

    /// How a scope is followed; none if it is not.
    fn mirror(&self, scope: &ScopeUid) -> Result<Option<Mirror>, Self::Failure>;

    /// The fork of a scope; none if none was found.
    fn fork(&self, scope: &ScopeUid) -> Result<Option<Fork>, Self::Failure>;
}

/// Writes of what is followed and what forked.
pub trait ReplicaStore: ReplicaView {
    /// Follows a scope, or no longer.
    fn put_mirror(
        &mut self,
        scope: &ScopeUid,
        mirror: Option<&Mirror>,
    ) -> Result<(), Self::Failure>;

    /// Keeps a fork. There is one of each scope: the first that was found.
    fn put_fork(&mut self, fork: &Fork) -> Result<(), Self::Failure>;
}

impl Canonical for Mirror {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        out.list(&self.sources);
        self.since.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            sources: input.list("sources of a mirror", MIRROR_SOURCES_MAX)?,
            since: Timestamp::decode(input)?,
        })
    }
}

impl Form for Mirror {
    const LABEL: &'static str = "kedge/mirror";
    const VERSION: u8 = 2;
}

impl Canonical for Fork {
    fn encode(&self, out: &mut Encoder) {
        self.held.encode(out);
        self.other.encode(out);
        self.from.encode(out);
        self.found.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let fork = Self {
            held: Certified::decode(input)?,
            other: Certified::decode(input)?,
            from: PublicKey::decode(input)?,
            found: Timestamp::decode(input)?,
        };
        let (held, other) = (&fork.held.block, &fork.other.block);
        let place = |block: &Block| (block.scope, block.height);
        if place(held) != place(other) || held == other {
            return Err(DecodeError::NotCanonical { what: "fork" });
        }
        Ok(fork)
    }
}

impl Form for Fork {
    const LABEL: &'static str = "kedge/fork";
}
