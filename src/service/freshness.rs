//! `FreshnessTable`: the scopes that may have been overtaken, for questions.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::base::time::Timestamp;
use crate::index::freshness::{Freshness, Overdue};
use crate::namespace::scope::ScopeUid;

/// How fresh a scope is, and up to when nothing newer was there.
pub type Due = (Freshness, Timestamp);

/// Scopes that are not fresh. It is replaced as a whole; questions read it without a lock.
#[derive(Debug, Default)]
pub struct FreshnessTable {
    overdue: ArcSwap<BTreeMap<ScopeUid, Due>>,
    changes: AtomicU64,
}

/// The table as one question sees it.
#[derive(Debug)]
pub struct FreshnessSight {
    overdue: Arc<BTreeMap<ScopeUid, Due>>,
    worst: Cell<Option<Due>>,
}

impl FreshnessTable {
    /// Puts other scopes in force.
    pub fn publish(&self, overdue: BTreeMap<ScopeUid, Due>) {
        if **self.overdue.load() != overdue {
            self.overdue.store(Arc::new(overdue));
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Rises when a scope becomes stale, expired or fresh, once questions see it.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// How many scopes are so, unless it is fresh.
    pub fn count(&self, how: Freshness) -> u64 {
        let overdue = self.overdue.load();
        let alike = overdue.values().filter(|(freshness, _)| *freshness == how);
        u64::try_from(alike.count()).unwrap_or(u64::MAX)
    }

    /// How fresh a scope is.
    pub fn of(&self, scope: &ScopeUid) -> Freshness {
        let overdue = self.overdue.load();
        overdue.get(scope).map_or(Freshness::Fresh, |due| due.0)
    }

    /// What a question sees.
    pub fn sight(&self) -> FreshnessSight {
        FreshnessSight {
            overdue: self.overdue.load_full(),
            worst: Cell::new(None),
        }
    }
}

impl FreshnessSight {
    /// The least fresh scope that was read, if any was not fresh.
    pub const fn worst(&self) -> Option<Due> {
        self.worst.get()
    }
}

impl Overdue for FreshnessSight {
    fn freshness(&self, scope: &ScopeUid) -> Freshness {
        let Some(due) = self.overdue.get(scope).copied() else {
            return Freshness::Fresh;
        };
        self.worst.set(worse(self.worst.get(), Some(due)));
        due.0
    }
}

/// The less fresh of two, or the older of two that are alike.
pub fn worse(one: Option<Due>, other: Option<Due>) -> Option<Due> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let rank = |due: Due| (due.0, std::cmp::Reverse(due.1));
            Some(if rank(one) < rank(other) { other } else { one })
        }
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;

    fn scope(number: u8) -> ScopeUid {
        ScopeUid::new(Digest::from_bytes([number; 32]))
    }

    #[test]
    fn a_question_sees_the_worst_of_what_it_reads() {
        let at = Timestamp::from_millis;
        let table = FreshnessTable::default();
        let due = BTreeMap::from([
            (scope(1), (Freshness::Stale, at(50))),
            (scope(2), (Freshness::Stale, at(40))),
            (scope(3), (Freshness::Expired, at(60))),
        ]);
        table.publish(due.clone());
        table.publish(due);
        assert_eq!(table.changes(), 1);
        let sight = table.sight();
        assert_eq!(sight.freshness(&scope(9)), Freshness::Fresh);
        assert_eq!(sight.worst(), None);
        for (number, worst) in [
            (1, (Freshness::Stale, at(50))),
            (2, (Freshness::Stale, at(40))),
            (1, (Freshness::Stale, at(40))),
            (3, (Freshness::Expired, at(60))),
            (2, (Freshness::Expired, at(60))),
        ] {
            sight.freshness(&scope(number));
            assert_eq!(sight.worst(), Some(worst));
        }
        table.publish(BTreeMap::new());
        assert_eq!(table.changes(), 2);
    }
}
