//! `Row` and `Entry`: what is on disk before anything that follows from it leaves the node.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::certificate::Vote;

use super::certificates::PrevoteCertificate;
use super::guard::{GuardRow, Kind};
use super::statement::{Bid, SeatSigned, Tender, put_round, take_round};
use super::timer::Timer;

/// What an engine took in, in order. The same entries bring a new engine to the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A block was offered.
    Bid(SeatSigned<Bid>),
    /// A vote was cast.
    Vote(SeatSigned<Vote>),
    /// The index found a block fit to be decided, or not.
    Judged(Judged),
    /// A quorum of prevotes.
    Prevotes(PrevoteCertificate),
    /// A timer ran out.
    TimedOut(Timer),
}

/// A verdict about a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The round in which it was offered first.
    pub round: u32,
    /// The earlier round that this bid names.
    pub valid_round: Option<u32>,
    /// The seat that offered it.
    pub seat: u16,
    /// The block.
    pub block: Digest,
    /// Whether it may be decided.
    pub valid: bool,
}

/// What has to be stored for one height of one scope. The rows of one step are stored together, in
/// their order, or none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A block: what is signed must be there to be decided.
    Tender(Tender),
    /// A signature that will be given; kept for ever.
    Guard(GuardRow),
    /// What an anchor's engine took in; kept until the height is decided.
    Entry(AnchorId, Entry),
    /// When an anchor's timer runs out; kept until the height is decided.
    Timer(AnchorId, Timer, Timestamp),
}

impl Row {
    /// Whether a block may be decided by this signature.
    pub fn is_precommit(&self) -> bool {
        let guard = match self {
            Self::Guard(guard) => Some(guard),
            _ => None,
        };
        guard.is_some_and(|guard| guard.kind == Kind::Precommit && guard.value.is_some())
    }
}

impl Canonical for Judged {
    fn encode(&self, out: &mut Encoder) {
        out.u32(self.round);
        put_round(self.valid_round, out);
        out.u16(self.seat);
        self.block.encode(out);
        out.bool(self.valid);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            round: input.u32()?,
            valid_round: take_round(input)?,
            seat: input.u16()?,
            block: Digest::decode(input)?,
            valid: input.bool()?,
        })
    }
}

impl Canonical for Entry {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Bid(bid) => {
                out.u8(0);
                bid.encode(out);
            }
            Self::Vote(vote) => {
                out.u8(1);
                vote.encode(out);
            }
            Self::Judged(judged) => {
                out.u8(2);
                judged.encode(out);
            }
            Self::Prevotes(certificate) => {
                out.u8(3);
                certificate.encode(out);
            }
            Self::TimedOut(timer) => {
                out.u8(4);
                timer.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => SeatSigned::decode(input).map(Self::Bid),
            1 => SeatSigned::decode(input).map(Self::Vote),
            2 => Judged::decode(input).map(Self::Judged),
            3 => PrevoteCertificate::decode(input).map(Self::Prevotes),
            4 => Timer::decode(input).map(Self::TimedOut),
            tag => Err(DecodeError::Tag {
                what: "journal entry",
                tag,
            }),
        }
    }
}

impl Canonical for Row {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Tender(tender) => {
                out.u8(0);
                tender.encode(out);
            }
            Self::Guard(row) => {
                out.u8(1);
                row.encode(out);
            }
            Self::Entry(anchor, entry) => {
                out.u8(2);
                anchor.encode(out);
                entry.encode(out);
            }
            Self::Timer(anchor, timer, at) => {
                out.u8(3);
                anchor.encode(out);
                timer.encode(out);
                at.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Tender::decode(input).map(Self::Tender),
            1 => GuardRow::decode(input).map(Self::Guard),
            2 => Ok(Self::Entry(AnchorId::decode(input)?, Entry::decode(input)?)),
            3 => Ok(Self::Timer(
                AnchorId::decode(input)?,
                Timer::decode(input)?,
                Timestamp::decode(input)?,
            )),
            tag => Err(DecodeError::Tag {
                what: "journal row",
                tag,
            }),
        }
    }
}

impl Form for Row {
    const LABEL: &'static str = "kedge/journal";
}
