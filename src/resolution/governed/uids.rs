//! `_uid` below an apex: entries by what they keep whatever they are called.

use std::sync::Arc;

use crate::index::entry::Entry;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::path::NamePath;
use crate::resolution::directory::{Occupant, Sought, Visit};
use crate::resolution::trail::Trail;

use super::{Governed, Place, end, uid_of};

impl<V: IndexView> Governed<'_, V> {
    /// `_uid` below a path: only the apex has it.
    pub(super) fn uids(&self, state: &ScopeState, path: &NamePath) -> Option<Visit<Place>> {
        if !path.is_empty() || state.edge.is_some() {
            return None;
        }
        // Where an entry is only whoever holds its scope knows.
        if !self.view.holds(state.no) {
            return Some(end(Occupant::Unreachable));
        }
        let (place, occupant) = (Place::Uids, Occupant::Nothing);
        Some(Visit { place, occupant })
    }

    /// The entry of a UID, whatever its name is now; its scope's verdict holds here too.
    pub(super) fn by_uid(
        &self,
        label: &[u8],
        (sought, trail): (Sought<'_>, &mut Trail),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        let Some(uid) = uid_of(label) else {
            return Ok(None);
        };
        let Some(location) = self.located_here(&uid)? else {
            return Ok(None);
        };
        // Every scope between the apex and the entry is asked, as on the path by name.
        let asked = (sought.kind, trail);
        if let Some(denied) = self.judge_at(location.scope, &location.path, asked)? {
            return Ok(Some(end(denied)));
        }
        let slot = self
            .view
            .slot(location.scope, &location.path)?
            .unwrap_or_default();
        let state = self.view.scope(location.scope)?;
        Ok(match (slot.entry, state) {
            (Some(Entry::Bound(version)), Some(state)) if version.uid == uid => Some(Visit {
                place: Place::Entry(uid, Arc::new(state), location.path),
                occupant: Occupant::Sets(version.sets.into()),
            }),
            _ => Some(end(Occupant::Retired)),
        })
    }
}
