//! `Floor`: how far a scope of other nodes was proven to be. What is behind it is not believed any
//! more, whoever proves it.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::state::ScopeState;

/// Where a scope stood when it was proven last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// The scope.
    pub scope: ScopeUid,
    /// The epoch of the descriptor in force.
    pub epoch: u64,
    /// That descriptor.
    pub descriptor: Digest,
    /// The height of its last block.
    pub height: u64,
    /// That block.
    pub block: Digest,
    /// Two blocks of that height have certificates.
    pub is_frozen: bool,
    /// When it was proven, by this node's clock.
    pub proven: Timestamp,
}

impl Floor {
    /// Where a scope stands that was proven now.
    pub const fn of(state: &ScopeState, now: Timestamp) -> Self {
        Self {
            scope: state.uid,
            epoch: state.descriptor.epoch,
            descriptor: state.descriptor_digest,
            height: state.height,
            block: state.head,
            is_frozen: false,
            proven: now,
        }
    }
}

impl Canonical for Floor {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        out.u64(self.epoch);
        self.descriptor.encode(out);
        out.u64(self.height);
        self.block.encode(out);
        out.bool(self.is_frozen);
        self.proven.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            epoch: input.u64()?,
            descriptor: Digest::decode(input)?,
            height: input.u64()?,
            block: Digest::decode(input)?,
            is_frozen: input.bool()?,
            proven: Timestamp::decode(input)?,
        })
    }
}

impl Form for Floor {
    const LABEL: &'static str = "kedge/floor";
}
