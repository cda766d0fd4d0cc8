//! `ScopeLoads`: questions a second by scope, in a fixed number of counters without locks.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;
use crate::resolution::load::Loads;

/// Counters, 32 KiB of them. Scopes that meet in one share it: each then seems busier than it is,
/// and never idler.
const COUNTERS: usize = 4_096;
/// A million questions of one scope in a second are more than a node answers.
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;

/// Questions in the present second and in the one before, of scopes that want to know.
pub struct ScopeLoads {
    counters: Box<[AtomicU64]>,
}

impl fmt::Debug for ScopeLoads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScopeLoads")
    }
}

impl Default for ScopeLoads {
    fn default() -> Self {
        Self {
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

/// One counter taken apart.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// The second, counted modulo 2^24: two that are taken for one lie half a year apart.
    second: u64,
    present: u64,
    before: u64,
}

impl Window {
    const fn of(bits: u64) -> Self {
        Self {
            second: bits >> (2 * COUNT_BITS),
            present: bits >> COUNT_BITS & COUNT_MAX,
            before: bits & COUNT_MAX,
        }
    }

    const fn bits(self) -> u64 {
        self.second << (2 * COUNT_BITS) | self.present << COUNT_BITS | self.before
    }

    /// The same at a time.
    fn at(self, time: Timestamp) -> Self {
        let second = time.as_secs() & ((1 << (64 - 2 * COUNT_BITS)) - 1);
        if second == self.second {
            return self;
        }
        let is_next = second == self.second + 1;
        Self {
            second,
            present: 0,
            before: if is_next { self.present } else { 0 },
        }
    }

    fn load(self) -> u32 {
        u32::try_from(self.present.max(self.before)).unwrap_or(u32::MAX)
    }
}

impl ScopeLoads {
    fn counter(&self, scope: &ScopeUid) -> Option<&AtomicU64> {
        let [high, low, ..] = *scope.digest().as_bytes();
        let at = usize::from(u16::from_be_bytes([high, low]));
        self.counters.get(at % COUNTERS)
    }
}

impl Loads for ScopeLoads {
    fn asked(&self, scope: &ScopeUid, at: Timestamp) -> u32 {
        let Some(counter) = self.counter(scope) else {
            return 0;
        };
        let one_more = |bits| {
            let mut window = Window::of(bits).at(at);
            window.present = (window.present + 1).min(COUNT_MAX);
            window
        };
        // Nothing else is published by it.
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        let before = counter.fetch_update(set, get, |bits| Some(one_more(bits).bits()));
        before.map_or(0, |bits| one_more(bits).load())
    }

    fn lately(&self, scope: &ScopeUid, at: Timestamp) -> u32 {
        self.counter(scope).map_or(0, |counter| {
            Window::of(counter.load(Ordering::Relaxed)).at(at).load()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;

    #[test]
    fn a_scope_is_asked_as_much_as_in_this_second_or_in_the_one_before() {
        let loads = ScopeLoads::default();
        let scope = ScopeUid::new(Digest::of_bytes("test", b"one"));
        let other = ScopeUid::new(Digest::of_bytes("test", b"two"));
        let at = |secs: u64| Timestamp::from_millis(1_795_783_065_000 + secs * 1_000);
        for number in 1..=5 {
            assert_eq!(loads.asked(&scope, at(0)), number);
        }
        assert_eq!(loads.lately(&scope, at(0)), 5);
        assert_eq!(loads.lately(&other, at(0)), 0);
        assert_eq!(loads.asked(&scope, at(1)), 5, "the second before counts");
        assert_eq!(loads.lately(&scope, at(2)), 1);
        assert_eq!(loads.lately(&scope, at(3)), 0);
        assert_eq!(loads.asked(&scope, at(60)), 1);
    }
}
