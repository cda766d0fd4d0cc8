//! `Certificate`: the portable proof that a scope's anchors decided a block.

use std::collections::BTreeMap;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form, tagged};
use crate::base::digest::Digest;
use crate::base::keys::{NotSigned, Signer};
use crate::base::limits::{ANCHORS_MAX, WARRANT_BYTES_MAX};
use crate::namespace::scope::ScopeUid;

use super::anchor::{Anchor, AnchorId, SeatSignature, signed_weight};
use super::block::Block;
use super::descriptor::Descriptor;

/// Which of the two votes of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The first vote: the block is acceptable.
    Prevote,
    /// The second vote: a quorum found it acceptable. These make the certificate.
    Precommit,
}

/// What an anchor signs in one round of one height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// The scope.
    pub scope: ScopeUid,
    /// The descriptor that gives the voter its seat.
    pub descriptor: Digest,
    /// The height.
    pub height: u64,
    /// The round within the height.
    pub round: u32,
    /// Which of the two votes.
    pub step: Step,
    /// The block, or none for nil.
    pub block: Option<Digest>,
    /// The voter.
    pub anchor: AnchorId,
}

tagged!(Step, "vote step", Step::Prevote = 0, Step::Precommit = 1,);

impl Canonical for Vote {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.descriptor.encode(out);
        out.u64(self.height);
        out.u32(self.round);
        self.step.encode(out);
        out.option(self.block.as_ref());
        self.anchor.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            descriptor: Digest::decode(input)?,
            height: input.u64()?,
            round: input.u32()?,
            step: Step::decode(input)?,
            block: input.option()?,
            anchor: AnchorId::decode(input)?,
        })
    }
}

impl Form for Vote {
    const LABEL: &'static str = "kedge/vote";
}

/// Precommits of one round that together hold the quorum weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// The block.
    pub block: Digest,
    /// The precommits, in the order of the seats.
    pub signatures: Vec<SeatSignature>,
    /// What proves that the parent scope decided in place of anchors that are lost: a warrant of the
    /// index, then without a signature. Empty otherwise.
    pub warrant: Vec<u8>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefused {
    /// It speaks of another block or height.
    #[error("the certificate is for another block")]
    OtherBlock,
    /// The parent scope decided it, which this certificate cannot show by itself.
    #[error("it holds the warrant of a parent scope, and no signature of an anchor")]
    Warrant,
    /// A stranger, a repeat, an unordered seat or a bad signature.
    #[error("a signature of the certificate does not hold")]
    Signature,
    /// Valid signatures, too few.
    #[error("the certificate holds weight {weight} of the {needed} needed")]
    Weight {
        /// The weight found.
        weight: u64,
        /// The quorum weight.
        needed: u64,
    },
}

impl Certificate {
    /// Signs the precommits of round 0 with every given key that has a seat. The result holds a
    /// quorum only if the keys do; [`Certificate::verify`] says so.
    ///
    /// # Errors
    /// If a signer does not sign and the others hold no quorum.
    pub fn sign<'a, K: Signer + 'a>(
        block: &Block,
        descriptor: &Descriptor,
        keys: impl IntoIterator<Item = &'a K>,
    ) -> Result<Self, NotSigned> {
        let digest = block.digest();
        // By seat: a key that is given twice has one voice.
        let mut signed = BTreeMap::new();
        let mut failed = None;
        let mut weight = 0;
        for key in keys {
            let Some((seat, anchor)) = descriptor.anchors.seat_of(&key.public()) else {
                continue;
            };
            match key.try_sign(&precommit(block, digest, 0, anchor)) {
                Ok(signature) => {
                    if signed
                        .insert(seat, SeatSignature { seat, signature })
                        .is_none()
                    {
                        weight += u64::from(anchor.weight);
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if weight < descriptor.quorum_weight() => Err(error),
            _ => Ok(Self::of(
                (block.height, 0),
                digest,
                signed.into_values().collect(),
            )),
        }
    }

    /// Precommits that anchors signed in a round of a height.
    pub const fn of(
        (height, round): (u64, u32),
        block: Digest,
        signatures: Vec<SeatSignature>,
    ) -> Self {
        Self {
            height,
            round,
            block,
            signatures,
            warrant: Vec::new(),
        }
    }

    /// A certificate by the word of the parent scope alone.
    pub fn by_warrant(block: &Block, warrant: Vec<u8>) -> Self {
        Self {
            warrant,
            ..Self::of((block.height, 0), block.digest(), Vec::new())
        }
    }

    /// The warrant that stands for signatures, not looked at; none where anchors decided.
    pub fn warrant_of(&self, block: &Block) -> Option<&[u8]> {
        let is_whole = (self.height, self.round) == (block.height, 0)
            && self.block == block.digest()
            && self.signatures.is_empty();
        (is_whole && !self.warrant.is_empty()).then_some(self.warrant.as_slice())
    }

    /// Checks every signature and the weight against the descriptor that elects the voters.
    pub fn verify(&self, block: &Block, descriptor: &Descriptor) -> Result<(), CertificateRefused> {
        let digest = block.digest();
        if self.block != digest
            || self.height != block.height
            || block.descriptor != descriptor.digest()
        {
            return Err(CertificateRefused::OtherBlock);
        }
        if !self.warrant.is_empty() {
            return Err(CertificateRefused::Warrant);
        }
        let message = |anchor: &Anchor| precommit(block, digest, self.round, anchor);
        let weight = signed_weight(&descriptor.anchors, message, &self.signatures)
            .ok_or(CertificateRefused::Signature)?;
        let needed = descriptor.quorum_weight();
        if weight < needed {
            return Err(CertificateRefused::Weight { weight, needed });
        }
        Ok(())
    }
}

fn precommit(block: &Block, digest: Digest, round: u32, anchor: &Anchor) -> Vec<u8> {
    Vote {
        scope: block.scope,
        descriptor: block.descriptor,
        height: block.height,
        round,
        step: Step::Precommit,
        block: Some(digest),
        anchor: anchor.id,
    }
    .to_bytes()
}

/// A block with its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The block.
    pub block: Block,
    /// The proof that anchors decided it.
    pub certificate: Certificate,
}

impl Canonical for Certified {
    fn encode(&self, out: &mut Encoder) {
        self.block.encode(out);
        self.certificate.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block: Block::decode(input)?,
            certificate: Certificate::decode(input)?,
        })
    }
}

impl Canonical for Certificate {
    fn encode(&self, out: &mut Encoder) {
        out.u64(self.height);
        out.u32(self.round);
        self.block.encode(out);
        out.list(&self.signatures);
        out.bytes(&self.warrant);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: input.u64()?,
            round: input.u32()?,
            block: Digest::decode(input)?,
            signatures: input.list("signatures", ANCHORS_MAX)?,
            warrant: input.bytes("warrant", WARRANT_BYTES_MAX)?.to_vec(),
        })
    }
}

impl Form for Certificate {
    const LABEL: &'static str = "kedge/certificate";
    const VERSION: u8 = 2;
}
