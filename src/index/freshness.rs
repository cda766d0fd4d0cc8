//! `Freshness`: whether a scope that is followed may still be all there is of it.

use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

/// How old it may be that nothing newer was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreshnessBounds {
    /// Beyond this a scope is served as stale, in milliseconds.
    pub stale_after_ms: u64,
    /// Beyond this it is not served, in milliseconds; none if it always is.
    pub expire_after_ms: Option<u64>,
}

/// Whether what is held may still be all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Lately nothing newer was there.
    Fresh,
    /// It may have been overtaken: it is served, and said to be stale.
    Stale,
    /// It may have been overtaken long ago: it is not served.
    Expired,
}

/// Scopes that may have been overtaken, as a question sees them.
pub trait Overdue: std::fmt::Debug {
    /// How fresh a scope is. That it was asked for is noted.
    fn freshness(&self, scope: &ScopeUid) -> Freshness;
}

impl FreshnessBounds {
    /// What a scope is now of which nothing newer was there at a time.
    pub const fn judge(&self, as_of: Timestamp, now: Timestamp) -> Freshness {
        let age_ms = now.millis_since(as_of);
        match self.expire_after_ms {
            Some(max) if age_ms > max => Freshness::Expired,
            _ if age_ms > self.stale_after_ms => Freshness::Stale,
            _ => Freshness::Fresh,
        }
    }
}

impl std::fmt::Display for Freshness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_ends_by_age() {
        let bounds = FreshnessBounds {
            stale_after_ms: 100,
            expire_after_ms: Some(1_000),
        };
        let now = Timestamp::from_millis(5_000);
        let judged = |age: u64| bounds.judge(Timestamp::from_millis(5_000 - age), now);
        assert_eq!(judged(100), Freshness::Fresh);
        assert_eq!(judged(101), Freshness::Stale);
        assert_eq!(judged(1_000), Freshness::Stale);
        assert_eq!(judged(1_001), Freshness::Expired);
        let ahead = bounds.judge(Timestamp::from_millis(9_000), now);
        assert_eq!(ahead, Freshness::Fresh);
        let never = FreshnessBounds {
            expire_after_ms: None,
            ..bounds
        };
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(never.judge(now, end), Freshness::Stale);
    }
}
