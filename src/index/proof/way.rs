//! The way of a name down one scope: which slots speak for it. One walk for those who make proofs
//! and for those who check them.

use crate::index::entry::{Entry, Slot};
use crate::namespace::path::NamePath;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;

/// The label that stands for those that do not exist.
const WILDCARD: &[u8] = b"*";

/// Where a way ends.
#[derive(Debug)]
pub(super) struct Way {
    /// The name's own path, or the one above it that speaks for it.
    pub(super) path: NamePath,
    /// What stands there.
    pub(super) slot: Option<Slot>,
    /// What stands at the wildcard that answers instead.
    pub(super) wildcard: Option<Slot>,
}

impl Way {
    /// Follows labels downwards from a scope's own path. `slot_at` gives the slot of each path, in
    /// the order in which a proof holds them.
    pub(super) fn follow<E>(
        labels: &[Vec<u8>],
        mut slot_at: impl FnMut(&NamePath) -> Result<Option<Slot>, E>,
    ) -> Result<Self, E> {
        let mut path = NamePath::empty();
        let mut slot = slot_at(&path)?;
        let mut wildcard = None;
        for label in labels {
            let ends = |slot: &Slot| ends_the_way(slot, &path);
            // A scope is there, also where nothing in it is: its own place ends no way.
            let is_gone = !path.is_empty() && is_absent(slot.as_ref());
            if is_gone || slot.as_ref().is_some_and(ends) {
                break;
            }
            let above = path;
            path = above.child(label);
            slot = slot_at(&path)?;
            if is_absent(slot.as_ref()) {
                wildcard = slot_at(&above.child(WILDCARD))?.filter(|slot| !is_absent(Some(slot)));
            }
        }
        Ok(Self {
            path,
            slot,
            wildcard,
        })
    }

    /// The scope that is delegated to where the way ends.
    pub(super) fn child(&self) -> Option<ScopeUid> {
        self.slot.as_ref()?.child()
    }
}

/// Whether DNS finds nothing in a slot and asks the wildcard beside it. What is reserved is not
/// visible to any question.
fn is_absent(slot: Option<&Slot>) -> bool {
    slot.is_none_or(|slot| slot.below == 0 && matches!(slot.entry, Some(Entry::Reserved { .. })))
}

/// Whether what stands in a slot speaks for everything below it.
fn ends_the_way(slot: &Slot, path: &NamePath) -> bool {
    match &slot.entry {
        Some(Entry::Delegated(_)) => true,
        Some(Entry::Retired { .. }) => slot.below == 0,
        Some(Entry::Moved(redirect)) => redirect.subtree,
        // Below the top an NS set is a cut (RFC 1034 section 4.2.1).
        Some(Entry::Bound(version)) => {
            let is_cut = !path.is_empty() && version.set(RecordType::NS).is_some();
            is_cut || version.set(RecordType::DNAME).is_some()
        }
        Some(Entry::Reserved { .. }) | None => false,
    }
}
