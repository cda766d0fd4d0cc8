//! `Journey`: an entry on its way to or from a scope of another node, as one of the two nodes sees it.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::limits::NOTE_BYTES_MAX;
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::governance::petition::Petition;

/// Which end of a journey a node sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The entry leaves a scope that is governed here.
    Leaves,
    /// It comes to one.
    Comes,
}

/// How far a journey is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No node that governs the other scope knows of it yet.
    Queued,
    /// Somebody must admit it there.
    Held,
    /// A path is kept for it there, or will be.
    Admitted,
    /// It left; the other scope has not taken it yet.
    Left,
    /// It is there.
    Arrived,
    /// It does not take place.
    Refused,
    /// Whoever wanted it took it back.
    Cancelled,
}

impl Stage {
    /// Whether nothing comes of it any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Arrived | Self::Refused | Self::Cancelled)
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Admitted => "admitted",
            Self::Left => "left",
            Self::Arrived => "arrived",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One journey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// Which end this is.
    pub side: Side,
    /// What was wished for.
    pub petition: Signed<Petition>,
    /// How far it is.
    pub stage: Stage,
    /// What is to be said of it, such as why it was refused.
    pub said: String,
    /// The other node, once it is known.
    pub peer: Option<PublicKey>,
    /// When it changed last.
    pub changed: Timestamp,
}

impl Journey {
    /// What it is kept and called by.
    pub fn key(&self) -> (Side, Digest) {
        (self.side, self.petition.digest())
    }
}

crate::base::canonical::tagged!(Side, "side", Side::Leaves = 0, Side::Comes = 1,);

crate::base::canonical::tagged!(
    Stage,
    "stage",
    Stage::Queued = 0,
    Stage::Held = 1,
    Stage::Admitted = 2,
    Stage::Left = 3,
    Stage::Arrived = 4,
    Stage::Refused = 5,
    Stage::Cancelled = 6,
);

impl Canonical for Journey {
    fn encode(&self, out: &mut Encoder) {
        self.side.encode(out);
        self.petition.encode(out);
        self.stage.encode(out);
        out.text(&self.said);
        out.option(self.peer.as_ref());
        self.changed.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            side: Side::decode(input)?,
            petition: Signed::decode(input)?,
            stage: Stage::decode(input)?,
            said: input.text("word", NOTE_BYTES_MAX)?,
            peer: input.option()?,
            changed: Timestamp::decode(input)?,
        })
    }
}

impl Form for Journey {
    const LABEL: &'static str = "kedge/journey";
}
