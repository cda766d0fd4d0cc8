//! `Hearing`: before seats here sign anything at the first height after a start, others are asked what
//! they heard of these seats. What a disk forgot, others may know.

use crate::base::time::Timestamp;

/// How long others are listened to, from when the first of them can be reached: some round trips.
const LISTEN_MS: u64 = 1_000;
/// And at most, where there is more to be pulled first, or others come one after the other. A peer that
/// claims to be ahead and is not delays a start by no more than this.
const LISTEN_MS_MAX: u64 = 10_000;

/// One height at which others are listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hearing {
    /// When the first of the others could be reached.
    began: Option<Timestamp>,
    /// When it is looked at again.
    until: Timestamp,
}

/// What follows when it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Enough: seats may vote.
    Out,
    /// Others are asked once more.
    Again,
}

impl Hearing {
    /// Begins now.
    pub const fn begin(now: Timestamp) -> Self {
        Self {
            began: None,
            until: now.plus_millis(LISTEN_MS),
        }
    }

    /// When it is to be looked at.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Looks at it: whether anybody else can be reached, and whether somebody says that this height is
    /// over. While nobody can be reached nothing can be decided either.
    pub fn look(&mut self, is_reached: bool, is_behind: bool, now: Timestamp) -> Heard {
        let is_first = is_reached && self.began.is_none();
        if is_first {
            self.began = Some(now);
        }
        let listened_ms = self.began.map(|began| now.millis_since(began));
        let is_out = match listened_ms {
            None => false,
            Some(ms) => ms >= LISTEN_MS_MAX || (ms >= LISTEN_MS && !is_behind),
        };
        if is_out {
            return Heard::Out;
        }
        self.until = now.plus_millis(LISTEN_MS);
        Heard::Again
    }

    /// Somebody else can be reached now, and is listened to as long as those before.
    pub fn came(&mut self, now: Timestamp) {
        let began = *self.began.get_or_insert(now);
        let longest = began.plus_millis(LISTEN_MS_MAX);
        self.until = now.plus_millis(LISTEN_MS).min(longest).max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn others_are_listened_to_for_a_while_from_when_one_is_there() {
        let mut hearing = Hearing::begin(at(0));
        assert_eq!(hearing.look(false, false, at(1_000)), Heard::Again);
        assert_eq!(hearing.look(false, false, at(90_000)), Heard::Again);
        hearing.came(at(90_100));
        assert_eq!(hearing.until(), at(91_100));
        assert_eq!(hearing.look(true, false, at(91_100)), Heard::Out);
    }

    #[test]
    fn who_is_behind_listens_longer_but_not_for_ever() {
        let mut hearing = Hearing::begin(at(0));
        hearing.came(at(0));
        for second in 1..10 {
            assert_eq!(hearing.look(true, true, at(second * 1_000)), Heard::Again);
        }
        assert_eq!(hearing.look(true, true, at(10_000)), Heard::Out);
    }
}
