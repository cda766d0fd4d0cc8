//! `Durations`: how long something took, in buckets that are the same for everything.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper ends of the buckets in nanoseconds, and in seconds as they are printed: from an answer out of
/// memory to a question that waited for its whole deadline.
pub const BOUNDS: [(u64, &str); 16] = [
    (10_000, "0.00001"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (5_000_000_000, "5"),
];

/// The buckets, and one for whatever took longer.
const BUCKETS: usize = BOUNDS.len() + 1;

/// How many took how long.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

/// Adds while nobody else does: nothing is contended for.
pub(super) fn add_alone(count: &AtomicU64, more: u64) {
    let before = count.load(Ordering::Relaxed);
    count.store(before.wrapping_add(more), Ordering::Relaxed);
}

/// Adds whoever else does.
pub(super) fn add_together(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

pub(super) fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

impl Durations {
    /// So many more took so long each.
    pub(super) fn add(&self, nanos: u64, count: u64, add: impl Fn(&AtomicU64, u64)) {
        let at = BOUNDS.partition_point(|(bound, _)| *bound < nanos);
        if let Some(bucket) = self.buckets.get(at) {
            add(bucket, count);
        }
        add(&self.nanos, nanos.saturating_mul(count));
    }

    /// One more took so long.
    pub fn add_one(&self, nanos: u64) {
        self.add(nanos, 1, add_together);
    }

    /// Adds what was counted elsewhere.
    pub fn add_all(&self, other: &Self) {
        for (to, from) in self.buckets.iter().zip(&other.buckets) {
            add_together(to, read(from));
        }
        add_together(&self.nanos, read(&other.nanos));
    }

    /// How many took at most as long as each bound says, and how many there are.
    pub fn cumulative(&self) -> ([u64; BOUNDS.len()], u64) {
        let mut so_far = 0;
        let mut counts = [0; BOUNDS.len()];
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            so_far += read(bucket);
            *count = so_far;
        }
        (counts, so_far + self.buckets.last().map_or(0, read))
    }

    /// How long all of them took together, in nanoseconds.
    pub fn nanos(&self) -> u64 {
        read(&self.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let durations = Durations::default();
        for nanos in [0, 10_000, 10_001, 5_000_000_001] {
            durations.add_one(nanos);
        }
        let (counts, all) = durations.cumulative();
        assert_eq!(counts[..2], [2, 3]);
        assert_eq!((counts[15], all), (3, 4));
        assert_eq!(durations.nanos(), 5_000_020_002);
    }

    #[test]
    fn bounds_rise_and_say_what_they_are() {
        assert!(BOUNDS.is_sorted_by(|(one, _), (next, _)| one < next));
        for (nanos, text) in BOUNDS {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            let part: u64 = format!("{part:0<9}").parse().unwrap();
            assert_eq!(whole.parse::<u64>().unwrap() * 1_000_000_000 + part, nanos);
        }
    }
}
