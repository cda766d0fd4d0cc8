//! `Bucket`: how much of something one may have now, of a share that grows with time.

use std::time::Duration;

/// A bucket of tokens. Time is told to it.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Tokens a second.
    rate: u64,
    /// Tokens at most.
    size: u64,
    /// In thousandths; below zero after something that was larger than what was left.
    level: i64,
    /// When it was last filled, since some moment.
    filled: Duration,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: u64, size: u64) -> Self {
        Self {
            rate,
            size,
            level: thousandths(size),
            filled: Duration::ZERO,
        }
    }

    /// Whether anything is left.
    pub fn has_some(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled);
        let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        if passed_ms > 0 {
            let more = i64::try_from(passed_ms.saturating_mul(self.rate)).unwrap_or(i64::MAX);
            self.level = self.level.saturating_add(more).min(thousandths(self.size));
            self.filled = now;
        }
        self.level > 0
    }

    /// Takes tokens if anything is left, also more than are left; gives whether there was.
    pub fn take_if_some(&mut self, now: Duration, tokens: u64) -> bool {
        let has_some = self.has_some(now);
        if has_some {
            self.take(tokens);
        }
        has_some
    }

    /// Gives back tokens that were taken; it never holds more than its size.
    pub fn give_back(&mut self, tokens: u64) {
        let level = self.level.saturating_add(thousandths(tokens));
        self.level = level.min(thousandths(self.size));
    }

    /// Takes tokens, also more than are left: what comes next waits for it.
    pub fn take(&mut self, tokens: u64) {
        self.level = self.level.saturating_sub(thousandths(tokens));
    }
}

fn thousandths(tokens: u64) -> i64 {
    i64::try_from(tokens.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_what_time_brings() {
        let mut bucket = Bucket::new(10, 3);
        let at = Duration::from_millis;
        for _ in 0..3 {
            assert!(bucket.has_some(at(0)));
            bucket.take(1);
        }
        assert!(!bucket.has_some(at(0)));
        assert!(bucket.has_some(at(100)), "one came");
        bucket.take(1);
        assert!(!bucket.has_some(at(100)));
        // It never holds more than its size.
        assert!(bucket.has_some(at(100_000)));
        bucket.take(3);
        assert!(!bucket.has_some(at(100_000)));
        bucket.give_back(1);
        assert!(bucket.has_some(at(100_000)), "one was given back");
        bucket.give_back(7);
        bucket.take(3);
        assert!(!bucket.has_some(at(100_000)), "no more than its size");
    }

    #[test]
    fn what_was_too_large_is_waited_for() {
        let mut bucket = Bucket::new(10, 10);
        assert!(bucket.has_some(Duration::ZERO));
        bucket.take(30);
        assert!(!bucket.has_some(Duration::from_secs(2)));
        assert!(bucket.has_some(Duration::from_millis(2_100)));
    }
}
