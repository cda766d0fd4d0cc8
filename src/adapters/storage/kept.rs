//! `Kept`: rows of one snapshot that nearly every question reads.
//!
//! Gone with the snapshot, so that none is ever out of date. Names asked for are not among them: there is
//! no end to those, and the store has a cache of its own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use crate::index::entry::{Entry, Slot};
use crate::index::state::{ScopeNo, ScopeState};
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

/// Rows of a kind that are kept; the others are read each time. Places for more would have to be
/// made for every commit.
const ROWS_KEPT_MAX: usize = 1_024;

/// What was read already.
pub(super) struct Kept {
    /// By their numbers, which are given in order.
    scopes: Box<[OnceLock<Arc<ScopeState>>]>,
    numbers: Shelf<ScopeUid, ScopeNo>,
    /// The tops of scopes, and the edges to the scopes below.
    ways: Shelf<(ScopeNo, NamePath), Option<Slot>>,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self {
            scopes: (0..ROWS_KEPT_MAX).map(|_| OnceLock::new()).collect(),
            numbers: Shelf::new(),
            ways: Shelf::new(),
        }
    }

    /// The state of a scope, read if it is not here.
    pub(super) fn scope<E>(
        &self,
        no: ScopeNo,
        read: impl FnOnce() -> Result<Option<ScopeState>, E>,
    ) -> Result<Option<Arc<ScopeState>>, E> {
        let place = usize::try_from(no.0).ok();
        let place = place.and_then(|no| self.scopes.get(no));
        if let Some(state) = place.and_then(OnceLock::get) {
            return Ok(Some(Arc::clone(state)));
        }
        let state = read()?.map(Arc::new);
        if let (Some(place), Some(state)) = (place, &state) {
            // Whoever else read it meanwhile read the same.
            drop(place.set(Arc::clone(state)));
        }
        Ok(state)
    }

    /// The number of a scope, read if it is not here.
    pub(super) fn number<E>(
        &self,
        uid: &ScopeUid,
        read: impl FnOnce() -> Result<Option<ScopeNo>, E>,
    ) -> Result<Option<ScopeNo>, E> {
        if let Some(number) = self.numbers.find(uid) {
            return Ok(Some(*number));
        }
        let number = read()?;
        if let Some(number) = number {
            self.numbers.keep(*uid, number);
        }
        Ok(number)
    }

    /// The slot at a path of a scope, read if it is not here.
    pub(super) fn slot<E>(
        &self,
        (scope, path): (ScopeNo, &NamePath),
        read: impl FnOnce() -> Result<Option<Slot>, E>,
    ) -> Result<Option<Slot>, E> {
        let at = (scope, path.clone());
        if let Some(slot) = self.ways.find(&at) {
            return Ok(slot.clone());
        }
        let slot = read()?;
        let entry = slot.as_ref().and_then(|slot| slot.entry.as_ref());
        if path.is_empty() || matches!(entry, Some(Entry::Delegated(_))) {
            self.ways.keep(at, slot.clone());
        }
        Ok(slot)
    }
}

/// Rows by their keys, each in the one place where its key leads: the first to come stays.
struct Shelf<K, V> {
    places: Box<[Place<K, V>]>,
}

/// Small while there is nothing.
type Place<K, V> = OnceLock<Box<(K, V)>>;

impl<K: Hash + Eq, V> Shelf<K, V> {
    fn new() -> Self {
        Self {
            places: (0..ROWS_KEPT_MAX).map(|_| OnceLock::new()).collect(),
        }
    }

    fn place(&self, key: &K) -> Option<&Place<K, V>> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let count = u64::try_from(self.places.len()).ok()?;
        let at = hasher.finish().checked_rem(count)?;
        self.places.get(usize::try_from(at).ok()?)
    }

    fn find(&self, key: &K) -> Option<&V> {
        let (kept, row) = self.place(key)?.get()?.as_ref();
        (kept == key).then_some(row)
    }

    fn keep(&self, key: K, row: V) {
        if let Some(place) = self.place(&key) {
            // Whoever was there first stays.
            drop(place.set(Box::new((key, row))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;
    use crate::base::digest::Digest;

    /// How often a slot is read when it is asked for twice.
    fn reads(path: &str, slot: Option<&Slot>) -> u32 {
        let (kept, count) = (Kept::new(), Cell::new(0));
        let path = NamePath::from_bytes(path.as_bytes()).unwrap();
        for _ in 0..2 {
            let read = || {
                count.set(count.get() + 1);
                Ok::<_, Infallible>(slot.cloned())
            };
            assert_eq!(kept.slot((ScopeNo(7), &path), read), Ok(slot.cloned()));
        }
        count.get()
    }

    #[test]
    fn the_way_to_a_name_is_kept_and_the_name_is_not() {
        let scope = ScopeUid::new(Digest::from_bytes([1; 32]));
        let edge = Slot {
            entry: Some(Entry::Delegated(scope)),
            ..Slot::default()
        };
        assert_eq!(reads("", None), 1);
        assert_eq!(reads("eu\0", Some(&edge)), 1);
        assert_eq!(reads("www\0", Some(&Slot::default())), 2);
        assert_eq!(reads("www\0", None), 2);
    }

    #[test]
    fn rows_whose_keys_lead_to_one_place_are_not_mistaken() {
        let shelf = Shelf::new();
        let keys = 0..10 * u32::try_from(ROWS_KEPT_MAX).unwrap();
        for key in keys.clone() {
            shelf.keep(key, key);
        }
        let found: Vec<_> = keys.filter(|key| shelf.find(key).is_some()).collect();
        assert!(found.len() > ROWS_KEPT_MAX / 2 && found.len() <= ROWS_KEPT_MAX);
        assert!(found.iter().all(|key| shelf.find(key) == Some(key)));
    }

    #[test]
    fn a_scope_that_is_not_there_is_looked_for_again() {
        let (kept, count) = (Kept::new(), Cell::new(0));
        let scope = ScopeUid::new(Digest::from_bytes([1; 32]));
        for found in [None, Some(ScopeNo(3)), Some(ScopeNo(4))] {
            let read = || {
                count.set(count.get() + 1);
                Ok::<_, Infallible>(found)
            };
            let number = kept.number(&scope, read);
            assert_eq!(number, Ok(found.map(|_| ScopeNo(3))));
        }
        assert_eq!(count.get(), 2);
    }
}
