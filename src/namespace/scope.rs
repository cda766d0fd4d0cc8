//! `ScopeUid`: the identity of a scope, the digest of its genesis.

use std::fmt;
use std::str::FromStr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::{BadDigest, Digest};

/// Names a scope for ever; its name is only an edge in its parent and may change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeUid(Digest);

impl ScopeUid {
    /// The scope whose genesis descriptor has this digest.
    pub const fn new(genesis: Digest) -> Self {
        Self(genesis)
    }

    /// The digest of the genesis descriptor.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for ScopeUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ScopeUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeUid({})", self.short())
    }
}

impl FromStr for ScopeUid {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        text.parse().map(Self)
    }
}

impl Canonical for ScopeUid {
    fn encode(&self, out: &mut Encoder) {
        self.0.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Digest::decode(input).map(Self)
    }
}
