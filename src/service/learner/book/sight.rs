//! `Sight`: what one question sees of the book.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::time::Timestamp;
use crate::index::entry::Slot;
use crate::index::learned::Learned;
use crate::index::state::{ScopeNo, ScopeState};
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

use super::Book;

/// What one question sees of the book.
pub struct Sight<'b> {
    book: &'b Book,
    now: Timestamp,
    may_be_stale: bool,
    was_stale: Cell<bool>,
}

impl std::fmt::Debug for Sight<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sight")
    }
}

impl<'b> Sight<'b> {
    pub(super) const fn new(book: &'b Book, now: Timestamp, may_be_stale: bool) -> Self {
        Self {
            book,
            now,
            may_be_stale,
            was_stale: Cell::new(false),
        }
    }

    pub(in crate::service::learner) const fn now(&self) -> Timestamp {
        self.now
    }

    pub(in crate::service::learner) const fn may_be_stale(&self) -> bool {
        self.may_be_stale
    }

    /// Whether anything was shown that may not hold any more.
    pub const fn was_stale(&self) -> bool {
        self.was_stale.get()
    }

    fn shows(&self, is_fresh: bool) -> bool {
        if !is_fresh && !self.may_be_stale {
            return false;
        }
        if !is_fresh {
            self.was_stale.set(true);
        }
        true
    }
}

impl Learned for Sight<'_> {
    fn scope_no(&self, uid: &ScopeUid) -> Option<ScopeNo> {
        let known = self.book.read();
        let scope = known.by_uid.get(uid)?;
        // Nobody can say more of a frozen scope: it is served as it is, as stale.
        if scope.is_frozen.load(Ordering::Relaxed) {
            self.was_stale.set(true);
            return Some(scope.state.no);
        }
        let is_shown = scope.is_of_use(self.now) && self.shows(scope.is_fresh(self.now));
        if !is_shown {
            return None;
        }
        scope.used.store(self.now.as_millis(), Ordering::Relaxed);
        Some(scope.state.no)
    }

    fn scope(&self, no: ScopeNo) -> Option<Arc<ScopeState>> {
        let known = self.book.read();
        known.by_no.get(&no).map(|scope| Arc::clone(&scope.state))
    }

    fn slot(&self, no: ScopeNo, path: &NamePath) -> Option<Option<Slot>> {
        let known = self.book.slots.get(&(no, path.clone()))?;
        let state = self.scope(no)?;
        let is_shown = known.height == state.height || self.shows(false);
        is_shown.then(|| known.slot.clone())
    }
}
