//! What the index says about an entry under labels of its own: versions, verbs, government.

use std::sync::Arc;

use crate::index::entry::{Change, Entry, Version};
use crate::index::history::{head, version};
use crate::index::place::scope_name;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::action_name;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::Which;
use crate::resolution::directory::{Occupant, Sought, Visit};
use crate::resolution::trail::Trail;

use super::live::At;
use super::{GOVERNMENT_TTL, Governed, Place, end};

impl<V: IndexView> Governed<'_, V> {
    /// A label of the index's own below a path: an empty non-terminal where there is an entry that
    /// has such a place, or a redirect to an entry.
    pub(super) fn below_entry(
        &self,
        state: &ScopeState,
        path: &NamePath,
        asked: (Sought<'_>, &mut Trail),
        (bound, moved): (impl FnOnce(Uid) -> Option<Place>, fn(Name) -> Place),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        let slot = self.view.slot(state.no, path)?.unwrap_or_default();
        let place = match slot.entry {
            Some(Entry::Bound(head)) => bound(head.uid),
            Some(Entry::Moved(redirect)) => match self.redirect(&redirect, asked)? {
                Occupant::Redirect { to, .. } => Some(moved(to)),
                occupant => return Ok(Some(end(occupant))),
            },
            _ => None,
        };
        let occupant = Occupant::Nothing;
        Ok(place.map(|place| Visit { place, occupant }))
    }

    /// `_act` below a path.
    pub(super) fn actions(
        &self,
        state: &Arc<ScopeState>,
        path: &NamePath,
        asked: (Sought<'_>, &mut Trail),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        if let Some(refused) = self.refuses_verb(state, asked.1) {
            return Ok(Some(refused));
        }
        let bound = |_| Some(Place::Actions(Arc::clone(state), path.clone()));
        self.below_entry(state, path, asked, (bound, Place::ActionsAt))
    }

    /// `_view._act` below an entry: the entry itself, for a verb. Every scope on the way has judged
    /// the verb already; nothing was read of the entry before.
    pub(super) fn action(
        &self,
        state: &ScopeState,
        path: &NamePath,
        (label, kind, trail): (&[u8], RecordType, &mut Trail),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        if action_name::verb(label).is_none() {
            return Ok(None);
        }
        let slot = self.view.slot(state.no, path)?.unwrap_or_default();
        let Some(Entry::Bound(head)) = slot.entry else {
            return Ok(None);
        };
        let at = At {
            uid: &head.uid,
            state,
            path,
        };
        let occupant = match self.with_instances(at, head.sets.into(), kind, trail)? {
            Occupant::Sets(sets) => Occupant::Version(sets),
            untold => untold,
        };
        let place = Place::End;
        Ok(Some(Visit { place, occupant }))
    }

    /// `_ver` below a path.
    pub(super) fn versions(
        &self,
        state: &ScopeState,
        path: &NamePath,
        asked: (Sought<'_>, &mut Trail),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        // A proof shows what stands at a name, not what stood there.
        if !self.view.holds(state.no) {
            return Ok(Some(end(Occupant::Unreachable)));
        }
        let bound = |uid| Some(Place::Versions(uid));
        self.below_entry(state, path, asked, (bound, Place::VersionsAt))
    }

    /// `_v3._ver` or `_stable._ver` below an entry, whatever names the entry had at that version.
    pub(super) fn version(
        &self,
        uid: &Uid,
        label: &[u8],
        (sought, trail): (Sought<'_>, &mut Trail),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        let number = match Which::of_label(label) {
            Some(Which::Number(number)) => Some(number),
            Some(tagged) => head(self.view, uid)?.and_then(|head| head.number_of(&tagged)),
            None => None,
        };
        let Some(number) = number else {
            return Ok(None);
        };
        let Some(version) = version(self.view, uid, number)? else {
            return Ok(None);
        };
        if let Some(denied) = self.judge_where_made(&version, (sought, trail))? {
            return Ok(Some(end(denied)));
        }
        Ok(Some(end(match version.change {
            Change::Retired => Occupant::Retired,
            _ => Occupant::Version(version.sets.into()),
        })))
    }

    /// What an entry held in a scope, or under a name, that is not for the caller is not for it
    /// either once the entry lives elsewhere. The way to its present place was judged before.
    fn judge_where_made(
        &self,
        version: &Version,
        (sought, trail): (Sought<'_>, &mut Trail),
    ) -> Result<Option<Occupant>, V::Error> {
        let Some(no) = self.view.scope_no(&version.scope)? else {
            return Ok(Some(Occupant::Unreachable));
        };
        let present = self.view.locate(&version.uid)?;
        if present.is_some_and(|at| at.scope == no && at.path == version.path) {
            return Ok(None);
        }
        self.judge_at(no, &version.path, (sought.kind, trail))
    }

    /// Who governs a name, as TXT.
    pub(super) fn government(
        &self,
        state: &ScopeState,
        path: &NamePath,
    ) -> Result<Option<Visit<Place>>, V::Error> {
        let slot = self.view.slot(state.no, path)?;
        if slot.is_none() && !path.is_empty() {
            return Ok(None);
        }
        let head = match slot.and_then(|slot| slot.entry) {
            Some(Entry::Bound(version)) => Some(version),
            _ => None,
        };
        let scope = scope_name(self.view, self.apexes, state.no)?;
        let texts = government_texts(state, scope.as_ref(), head.as_ref());
        let rdata = Rdata::of_texts(texts.iter().map(String::as_str));
        let sets = RecordSet::new(RecordType::TXT, GOVERNMENT_TTL, vec![rdata]);
        let sets: Vec<_> = sets.into_iter().collect();
        Ok(Some(Visit {
            place: Place::End,
            occupant: Occupant::Sets(sets.into()),
        }))
    }
}

/// A version under a name that its entry no longer has: leads to the same version under the
/// present name. A name that would be too long is none.
pub(super) fn version_at(present: &Name, label: &[u8]) -> Option<Visit<Place>> {
    let to = Which::of_label(label)?.name_below(present).ok()?;
    let subtree = false;
    Some(Visit {
        place: Place::End,
        occupant: Occupant::Redirect { to, subtree },
    })
}

/// `_view._act` below a redirect: the same verb under the entry's present name.
pub(super) fn action_at(present: &Name, label: &[u8]) -> Option<Visit<Place>> {
    let verb = action_name::verb(label)?;
    let to = action_name::of(present, &verb).ok()?;
    let subtree = false;
    Some(Visit {
        place: Place::End,
        occupant: Occupant::Redirect { to, subtree },
    })
}

/// What `_gov` says, one fact a string.
fn government_texts(
    state: &ScopeState,
    scope: Option<&Name>,
    head: Option<&Version>,
) -> Vec<String> {
    let descriptor = &state.descriptor;
    let mut texts = Vec::with_capacity(10);
    if let Some(scope) = scope {
        texts.push(format!("scope={scope}"));
    }
    texts.push(format!("scope-uid={}", state.uid));
    if let Some(version) = head {
        texts.push(format!("uid={}", version.uid));
        texts.push(format!("version={}", version.number));
    }
    texts.push(format!("height={}", state.height));
    texts.push(format!("head={}", state.head));
    texts.push(format!("epoch={}", descriptor.epoch));
    texts.push(format!("policy={}", state.descriptor_digest));
    texts.push(format!("anchors={}", descriptor.anchors.anchors().len()));
    texts.push(format!(
        "quorum={} of {}, {}",
        descriptor.quorum_weight(),
        descriptor.anchors.total_weight(),
        descriptor.policy.quorum
    ));
    texts
}
