//! What nodes say to each other of an entry that moves from a scope of one to a scope of the other.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::limits::{NOTE_BYTES_MAX, PASSAGE_BYTES_MAX};
use crate::base::signed::Signed;
use crate::governance::petition::Petition;
use crate::index::proof::Proof;

use super::PROOF_REPLY_BYTES_MAX;

/// Something about a petition. Whatever is said again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plea {
    /// The petition.
    pub petition: Signed<Petition>,
    /// What is said of it.
    pub word: PleaWord,
}

/// What is said of a petition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PleaWord {
    /// A path is to be kept for the entry.
    Keep,
    /// The entry left: the bytes of its passage.
    Take(Vec<u8>),
    /// It is taken back; nothing left.
    Drop,
}

/// How a petition stands where it was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PleaAnswer {
    /// It waits for somebody, or for the scope's anchors.
    Held,
    /// A path is kept for the entry, as the proof shows.
    Kept(Box<Proof>),
    /// The entry came, as the proof shows.
    Arrived(Box<Proof>),
    /// It is not taken, for this reason.
    Refused(String),
}

impl Canonical for Plea {
    fn encode(&self, out: &mut Encoder) {
        self.petition.encode(out);
        match &self.word {
            PleaWord::Keep => out.u8(0),
            PleaWord::Take(passage) => {
                out.u8(1);
                out.bytes(passage);
            }
            PleaWord::Drop => out.u8(2),
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            petition: Signed::decode(input)?,
            word: match input.u8()? {
                0 => PleaWord::Keep,
                1 => PleaWord::Take(input.bytes("passage", PASSAGE_BYTES_MAX)?.to_vec()),
                2 => PleaWord::Drop,
                tag => {
                    return Err(DecodeError::Tag {
                        what: "word on a petition",
                        tag,
                    });
                }
            },
        })
    }
}

impl Canonical for PleaAnswer {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Held => out.u8(0),
            Self::Kept(proof) => {
                out.u8(1);
                out.bytes(&proof.to_bytes());
            }
            Self::Arrived(proof) => {
                out.u8(2);
                out.bytes(&proof.to_bytes());
            }
            Self::Refused(reason) => {
                out.u8(3);
                out.text(reason);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Held,
            1 => Self::Kept(proof(input)?),
            2 => Self::Arrived(proof(input)?),
            3 => Self::Refused(input.text("reason", NOTE_BYTES_MAX)?),
            tag => {
                return Err(DecodeError::Tag {
                    what: "answer to a petition",
                    tag,
                });
            }
        })
    }
}

fn proof(input: &mut Decoder<'_>) -> Result<Box<Proof>, DecodeError> {
    let bytes = input.bytes("proof", PROOF_REPLY_BYTES_MAX)?;
    Ok(Box::new(Proof::from_bytes(bytes)?))
}
