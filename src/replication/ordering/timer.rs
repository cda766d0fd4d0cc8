//! `Timer` and `Waits`: how long an anchor waits for the others before it goes on without them.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::governance::policy::Pace;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// The block of the round.
    Bid,
    /// More prevotes, once a quorum is there that does not agree.
    Prevotes,
    /// More precommits, once a quorum is there that does not agree.
    Precommits,
    /// To say again what was said last.
    Repeat,
}

tagged!(
    Wait,
    "wait",
    Self::Bid = 0,
    Self::Prevotes = 1,
    Self::Precommits = 2,
    Self::Repeat = 3,
);

/// One wait of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// The round.
    pub round: u32,
    /// What for.
    pub wait: Wait,
}

impl Canonical for Timer {
    fn encode(&self, out: &mut Encoder) {
        out.u32(self.round);
        self.wait.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            round: input.u32()?,
            wait: Wait::decode(input)?,
        })
    }
}

/// How long to wait, in milliseconds. Safety does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For a block: it has to be made, sent and tried.
    pub bid_ms: u64,
    /// For votes: they only have to be sent.
    pub votes_ms: u64,
    /// How much longer in each further round, so that slow networks are met.
    pub step_ms: u64,
    /// Between repetitions.
    pub repeat_ms: u64,
    /// The longest wait.
    pub max_ms: u64,
}

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

impl Waits {
    /// What a policy asks for. An anchor that comes by once a day must find the round that it left.
    pub const fn of(pace: Pace) -> Self {
        match pace {
            Pace::Interactive => Self {
                bid_ms: 3 * SECOND_MS,
                votes_ms: SECOND_MS,
                step_ms: SECOND_MS / 2,
                repeat_ms: 5 * SECOND_MS,
                max_ms: 60 * SECOND_MS,
            },
            Pace::Hourly => Self {
                bid_ms: 2 * HOUR_MS,
                votes_ms: HOUR_MS,
                step_ms: HOUR_MS / 4,
                repeat_ms: HOUR_MS / 4,
                max_ms: 12 * HOUR_MS,
            },
            Pace::Daily => Self {
                bid_ms: 2 * DAY_MS,
                votes_ms: DAY_MS,
                step_ms: DAY_MS / 4,
                repeat_ms: 6 * HOUR_MS,
                max_ms: 14 * DAY_MS,
            },
        }
    }

    /// How long a timer runs.
    pub fn millis(&self, timer: Timer) -> u64 {
        let longer = self.step_ms.saturating_mul(u64::from(timer.round));
        let wait = match timer.wait {
            Wait::Repeat => return self.repeat_ms,
            Wait::Bid => self.bid_ms.saturating_add(longer),
            Wait::Prevotes | Wait::Precommits => self.votes_ms.saturating_add(longer),
        };
        if wait < self.max_ms {
            wait
        } else {
            self.max_ms
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_the_rounds_up_to_a_bound() {
        let waits = Waits::of(Pace::Interactive);
        let bid = |round| {
            waits.millis(Timer {
                round,
                wait: Wait::Bid,
            })
        };
        assert_eq!((bid(0), bid(2), bid(u32::MAX)), (3_000, 4_000, 60_000));
        let repeat = Timer {
            round: 9,
            wait: Wait::Repeat,
        };
        assert_eq!(waits.millis(repeat), 5_000);
    }
}
