//! `DeviceRecord`: what the table of a private scope holds of one device, and what a proof makes
//! of it.

use std::fmt;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::limits::DEVICE_NOTE_BYTES_MAX;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;

use super::{DeviceProof, Handle};

/// What a node keeps of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// What people call it.
    pub note: String,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// The key that recognises the device and its copies; the device has it too.
    pub mark: Secret,
    /// How it is.
    pub state: DeviceState,
}

/// How a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceState {
    /// It can prove itself.
    Live(Chain),
    /// It cannot any more; its values are gone.
    Dead {
        /// Why.
        why: Death,
        /// Since when.
        since: Timestamp,
    },
}

/// Why a device cannot prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Two copies of it were used.
    Broken,
    /// An operator said so.
    Revoked,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Broken => "broken",
            Self::Revoked => "revoked",
        })
    }
}

/// Where a chain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// What the device has if it got the last answer.
    pub value: Secret,
    /// What it has if it did not; none until the first proof. Dead once `value` is shown.
    pub before: Option<Secret>,
    /// Proofs that were accepted.
    pub steps: u64,
    /// When the last one was; if none, when the chain began.
    pub since: Timestamp,
}

impl Chain {
    /// A chain that begins.
    pub fn new(value: Secret, now: Timestamp) -> Self {
        Self {
            value,
            before: None,
            steps: 0,
            since: now,
        }
    }
}

/// What a proof is to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is not this device's.
    Foreign,
    /// It is: the record that follows, which must be kept before the device is answered.
    Proved {
        /// The record.
        next: Box<DeviceRecord>,
        /// The value that was shown.
        shown: Secret,
    },
    /// It comes from a copy: the record that follows.
    Copied(Box<DeviceRecord>),
    /// It comes from the device or a copy, and neither can prove itself any more.
    Dead(Death),
}

impl DeviceRecord {
    /// A device that is enrolled.
    pub fn new(note: String, (mark, value): (Secret, Secret), now: Timestamp) -> Self {
        Self {
            note,
            enrolled: now,
            mark,
            state: DeviceState::Live(Chain::new(value, now)),
        }
    }

    /// Judges a proof whose nonce, scope and address were found right. A device has one challenge
    /// at a time, so a proof that comes now was not overtaken by a later one of the same value.
    pub fn judge(&self, proof: &DeviceProof, now: Timestamp) -> Finding {
        if !proof.is_marked(&self.mark) {
            return Finding::Foreign;
        }
        let chain = match &self.state {
            DeviceState::Live(chain) => chain,
            DeviceState::Dead { why, .. } => return Finding::Dead(*why),
        };
        let handle = proof.statement.handle;
        let values = std::iter::once(&chain.value).chain(&chain.before);
        let mut shown = values.filter(|value| Handle::of(value) == handle);
        let Some(value) = shown.next() else {
            return Finding::Copied(Box::new(self.dead(Death::Broken, now)));
        };
        // The mark does not cover the code: who changes it on the way must not break the chain.
        if !proof.is_coded(value) {
            return Finding::Foreign;
        }
        let next = Chain {
            value: proof.statement.next(value),
            before: Some(value.clone()),
            steps: chain.steps.saturating_add(1),
            since: now,
        };
        Finding::Proved {
            next: Box::new(Self {
                state: DeviceState::Live(next),
                ..self.clone()
            }),
            shown: value.clone(),
        }
    }

    /// The same device, which cannot prove itself any more. The mark stays, so that its copies are
    /// told why.
    #[must_use]
    pub fn dead(&self, why: Death, since: Timestamp) -> Self {
        Self {
            state: DeviceState::Dead { why, since },
            ..self.clone()
        }
    }

    /// The same device with a chain of its own again; whoever has the old secrets is a stranger.
    #[must_use]
    pub fn renewed(&self, (mark, value): (Secret, Secret), now: Timestamp) -> Self {
        Self {
            mark,
            state: DeviceState::Live(Chain::new(value, now)),
            ..self.clone()
        }
    }
}

impl Canonical for Chain {
    fn encode(&self, out: &mut Encoder) {
        self.value.encode(out);
        out.option(self.before.as_ref());
        out.u64(self.steps);
        self.since.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            value: Secret::decode(input)?,
            before: input.option()?,
            steps: input.u64()?,
            since: Timestamp::decode(input)?,
        })
    }
}

impl Canonical for DeviceState {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Live(chain) => {
                out.u8(0);
                chain.encode(out);
            }
            Self::Dead { why, since } => {
                out.u8(match why {
                    Death::Broken => 1,
                    Death::Revoked => 2,
                });
                since.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let why = match input.u8()? {
            0 => return Chain::decode(input).map(Self::Live),
            1 => Death::Broken,
            2 => Death::Revoked,
            tag => {
                let what = "device state";
                return Err(DecodeError::Tag { what, tag });
            }
        };
        let since = Timestamp::decode(input)?;
        Ok(Self::Dead { why, since })
    }
}

impl Canonical for DeviceRecord {
    fn encode(&self, out: &mut Encoder) {
        out.text(&self.note);
        self.enrolled.encode(out);
        self.mark.encode(out);
        self.state.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            note: input.text("note", DEVICE_NOTE_BYTES_MAX)?,
            enrolled: Timestamp::decode(input)?,
            mark: Secret::decode(input)?,
            state: DeviceState::decode(input)?,
        })
    }
}

impl Form for DeviceRecord {
    const LABEL: &'static str = "kedge/device";
}
