//! `LegacyCounts`: exchanges with upstreams and authorities, and what came of them.

use std::fmt;
use std::sync::atomic::AtomicU64;

use super::durations::{Durations, add_together, read};

/// What came of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchanged {
    /// An answer, be it that there is no such name.
    Answered,
    /// Nobody is there to be asked for such a name.
    NoUpstream,
    /// Nothing came in time.
    Timeout,
    /// Nobody could be reached.
    Unreachable,
    /// A refusal or something that cannot be used.
    Unusable,
    /// Recursion ended without an authority, or cost too much.
    GivenUp,
    /// An answer that validation found wrong.
    Bogus,
    /// There was no room for it.
    Overload,
}

impl Exchanged {
    /// Everything that may come of one.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::NoUpstream,
        Self::Timeout,
        Self::Unreachable,
        Self::Unusable,
        Self::GivenUp,
        Self::Bogus,
        Self::Overload,
    ];

    fn place(self) -> usize {
        let mut all = Self::ALL.into_iter();
        all.position(|one| one == self).unwrap_or(0)
    }
}

impl fmt::Display for Exchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Answered => "answered",
            Self::NoUpstream => "no-upstream",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Unusable => "unusable",
            Self::GivenUp => "given-up",
            Self::Bogus => "bogus",
            Self::Overload => "overload",
        })
    }
}

/// Exchanges by what came of them, and how long they took.
#[derive(Debug, Default)]
pub struct LegacyCounts {
    results: [AtomicU64; Exchanged::ALL.len()],
    durations: Durations,
}

impl LegacyCounts {
    /// An exchange ended. Where nobody was asked its duration says nothing.
    pub fn ended(&self, how: Exchanged, nanos: u64) {
        if let Some(count) = self.results.get(how.place()) {
            add_together(count, 1);
        }
        let was_asked = !matches!(how, Exchanged::NoUpstream | Exchanged::Overload);
        if was_asked {
            self.durations.add_one(nanos);
        }
    }

    /// How many ended so.
    pub fn count(&self, how: Exchanged) -> u64 {
        self.results.get(how.place()).map_or(0, read)
    }

    /// How long they took.
    pub const fn durations(&self) -> &Durations {
        &self.durations
    }
}
