//! `Tallies`: a count that several threads keep, each its own part, summed when somebody reads it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The parts of a count.
#[derive(Debug, Default)]
pub struct Tallies {
    parts: Mutex<Vec<Arc<AtomicU64>>>,
    /// What they came to when the count began anew.
    before: AtomicU64,
}

/// One part, which one thread adds to.
#[derive(Debug)]
pub struct Tally(Arc<AtomicU64>);

impl Tally {
    /// Adds to it. There is nobody else who does, so nothing is contended for.
    pub fn add(&self, count: u64) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(count), Ordering::Relaxed);
    }
}

impl Tallies {
    /// A part for a thread.
    pub fn part(&self) -> Tally {
        let part = Arc::new(AtomicU64::new(0));
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(Arc::clone(&part));
        Tally(part)
    }

    /// What all have counted since it began anew.
    pub fn sum(&self) -> u64 {
        let before = self.before.load(Ordering::Relaxed);
        self.all().wrapping_sub(before)
    }

    /// Begins anew.
    pub fn begin_anew(&self) {
        self.before.store(self.all(), Ordering::Relaxed);
    }

    fn all(&self) -> u64 {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = parts.iter().map(|part| part.load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_summed_and_a_count_begins_anew() {
        let tallies = Tallies::default();
        let (one, other) = (tallies.part(), tallies.part());
        one.add(2);
        other.add(3);
        assert_eq!(tallies.sum(), 5);
        tallies.begin_anew();
        one.add(1);
        assert_eq!(tallies.sum(), 1);
    }
}
