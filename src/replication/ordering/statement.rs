//! `SeatSigned<T>` becomes `Checked<T>` in the electorate only: what anchors sign while they decide.

use std::sync::Arc;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::Signature;
use crate::governance::anchor::AnchorId;
use crate::governance::block::{Block, Body};
use crate::governance::certificate::Vote;
use crate::namespace::scope::ScopeUid;

/// An object that an anchor signs with the key of its seat, at one height of one scope.
pub trait BySeat: Form {
    /// The scope and the height that it is about, and the descriptor that gives the seat.
    fn place(&self) -> (ScopeUid, Digest, u64);
    /// The round.
    fn round(&self) -> u32;
    /// Who signs.
    fn anchor(&self) -> AnchorId;
}

/// What the proposer of a round signs: the block that the round decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bid {
    /// The scope.
    pub scope: ScopeUid,
    /// The descriptor that gives the proposer its seat.
    pub descriptor: Digest,
    /// The height.
    pub height: u64,
    /// The round within the height.
    pub round: u32,
    /// The earlier round in which a quorum prevoted the block; none for a new block.
    pub valid_round: Option<u32>,
    /// The block.
    pub block: Digest,
    /// The proposer.
    pub anchor: AnchorId,
}

impl BySeat for Bid {
    fn place(&self) -> (ScopeUid, Digest, u64) {
        (self.scope, self.descriptor, self.height)
    }

    fn round(&self) -> u32 {
        self.round
    }

    fn anchor(&self) -> AnchorId {
        self.anchor
    }
}

impl BySeat for Vote {
    fn place(&self) -> (ScopeUid, Digest, u64) {
        (self.scope, self.descriptor, self.height)
    }

    fn round(&self) -> u32 {
        self.round
    }

    fn anchor(&self) -> AnchorId {
        self.anchor
    }
}

impl Canonical for Bid {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.descriptor.encode(out);
        out.u64(self.height);
        out.u32(self.round);
        put_round(self.valid_round, out);
        self.block.encode(out);
        self.anchor.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bid = Self {
            scope: ScopeUid::decode(input)?,
            descriptor: Digest::decode(input)?,
            height: input.u64()?,
            round: input.u32()?,
            valid_round: take_round(input)?,
            block: Digest::decode(input)?,
            anchor: AnchorId::decode(input)?,
        };
        if bid.valid_round.is_some_and(|valid| valid >= bid.round) {
            return Err(DecodeError::NotCanonical { what: "bid" });
        }
        Ok(bid)
    }
}

impl Form for Bid {
    const LABEL: &'static str = "kedge/bid";
}

pub(super) fn put_round(round: Option<u32>, out: &mut Encoder) {
    out.bool(round.is_some());
    if let Some(round) = round {
        out.u32(round);
    }
}

pub(super) fn take_round(input: &mut Decoder<'_>) -> Result<Option<u32>, DecodeError> {
    input.bool()?.then(|| input.u32()).transpose()
}

/// An object and a signature that nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatSigned<T> {
    /// The object.
    pub object: T,
    /// By the key of the anchor's seat, over the object's bytes.
    pub signature: Signature,
}

impl<T: Form> Canonical for SeatSigned<T> {
    fn encode(&self, out: &mut Encoder) {
        self.object.encode(out);
        self.signature.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            object: T::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}

/// An object whose signature by its anchor's seat was checked, or made here by that seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<T> {
    said: SeatSigned<T>,
    seat: u16,
}

impl<T> Checked<T> {
    /// For the electorate, which checked it, and for who signed it.
    pub(super) const fn new(said: SeatSigned<T>, seat: u16) -> Self {
        Self { said, seat }
    }

    /// The object.
    pub const fn object(&self) -> &T {
        &self.said.object
    }

    /// Its signature.
    pub const fn signature(&self) -> Signature {
        self.said.signature
    }

    /// The seat that signed it.
    pub const fn seat(&self) -> u16 {
        self.seat
    }

    /// The object with its signature, for storing and passing on.
    pub const fn said(&self) -> &SeatSigned<T> {
        &self.said
    }
}

/// A block with its body that has no certificate yet. A clone shares both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tender {
    parts: Arc<(Block, Body)>,
    digest: Digest,
}

impl Tender {
    /// The two, if the block names the body.
    pub fn new(block: Block, body: Body) -> Option<Self> {
        (block.body_root == Digest::of(&body)).then(|| Self {
            digest: block.digest(),
            parts: Arc::new((block, body)),
        })
    }

    /// The block's digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.parts.0
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.parts.1
    }
}

impl Canonical for Tender {
    fn encode(&self, out: &mut Encoder) {
        self.block().encode(out);
        self.body().encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let block = Block::decode(input)?;
        let body = Body::decode(input)?;
        Self::new(block, body).ok_or(DecodeError::NotCanonical { what: "tender" })
    }
}

impl Form for Tender {
    const LABEL: &'static str = "kedge/tender";
}
