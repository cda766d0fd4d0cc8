//! `ScopeSlots`: places at which questions of scopes are counted; a bounded number of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::base::lock::locked;
use crate::namespace::scope::ScopeUid;

/// Scopes that are counted apart; monitoring keeps a few series for each.
pub const SCOPES_COUNTED_MAX: usize = 1_024;
/// Their places, one for no scope, and one for all others.
pub(super) const SLOTS: usize = SCOPES_COUNTED_MAX + FIRST;
const FIRST: usize = 2;

/// Where the questions of a scope are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSlot(u16);

impl ScopeSlot {
    /// No scope decides.
    pub const NONE: Self = Self(0);
    /// A scope that is not counted apart.
    pub const OTHER: Self = Self(1);

    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }
}

/// The scopes that are counted apart. Questions read it without a lock.
#[derive(Debug, Default)]
pub struct ScopeSlots {
    known: ArcSwap<BTreeMap<ScopeUid, ScopeSlot>>,
    adding: Mutex<()>,
}

impl ScopeSlots {
    /// The place of a scope. One that is held here gets one of its own when it is asked first, as long
    /// as there are some; of others there may be any number.
    pub fn slot(&self, scope: &ScopeUid, is_held: impl FnOnce() -> bool) -> ScopeSlot {
        if let Some(slot) = self.known.load().get(scope) {
            return *slot;
        }
        if self.known.load().len() >= SCOPES_COUNTED_MAX || !is_held() {
            return ScopeSlot::OTHER;
        }
        let _adding = locked(&self.adding);
        let mut known = BTreeMap::clone(&self.known.load());
        let next = u16::try_from(known.len() + FIRST).ok();
        let next = next.filter(|_| known.len() < SCOPES_COUNTED_MAX);
        let Some(next) = next.map(ScopeSlot) else {
            return ScopeSlot::OTHER;
        };
        let slot = *known.entry(*scope).or_insert(next);
        self.known.store(known.into());
        slot
    }

    /// The scopes that have places of their own.
    pub fn all(&self) -> Arc<BTreeMap<ScopeUid, ScopeSlot>> {
        self.known.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;

    #[test]
    fn only_scopes_that_are_held_get_places_and_no_more_than_there_are() {
        let slots = ScopeSlots::default();
        let scope = |number: usize| ScopeUid::new(Digest::of_bytes("test", &number.to_be_bytes()));
        assert_eq!(slots.slot(&scope(0), || false), ScopeSlot::OTHER);
        let mut given = Vec::new();
        for number in 0..SCOPES_COUNTED_MAX + 5 {
            given.push(slots.slot(&scope(number), || true).place());
        }
        assert!(given[..SCOPES_COUNTED_MAX].is_sorted_by(|one, next| one < next));
        assert!(given[SCOPES_COUNTED_MAX..].iter().all(|place| *place == 1));
        assert!(given.iter().all(|place| (1..SLOTS).contains(place)));
        assert_eq!(slots.slot(&scope(3), || false).place(), given[3]);
        assert_eq!(slots.all().len(), SCOPES_COUNTED_MAX);
    }
}
