//! `Withdrawal`: the author takes a proposal back.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::limits::NOTE_BYTES_MAX;
use crate::base::signed::Authored;
use crate::namespace::scope::ScopeUid;

/// The author's word that a proposal shall not be decided any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The scope.
    pub scope: ScopeUid,
    /// The proposal.
    pub proposal: Digest,
    /// Why.
    pub reason: String,
    /// The proposal's author.
    pub author: PublicKey,
}

impl Canonical for Withdrawal {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.proposal.encode(out);
        out.text(&self.reason);
        self.author.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            proposal: Digest::decode(input)?,
            reason: input.text("reason", NOTE_BYTES_MAX)?,
            author: PublicKey::decode(input)?,
        })
    }
}

impl Form for Withdrawal {
    const LABEL: &'static str = "kedge/withdrawal";
}

impl Authored for Withdrawal {
    fn signer(&self) -> PublicKey {
        self.author
    }
}
