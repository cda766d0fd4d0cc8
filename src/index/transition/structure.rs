//! Changes of structure: renames, delegations, new epochs.

use crate::base::limits::SCOPE_DEPTH_MAX;
use crate::governance::anchor::{Anchor, AnchorId, SeatSignature};
use crate::governance::descriptor::Descriptor;
use crate::index::admission::carried;
use crate::index::entry::{Change, Entry, Redirect};
use crate::index::refusal::Refusal;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::{Outcome, Transition, not_bound};

/// Names that one subtree rename may move: bounds what one commit stages in memory.
const SUBTREE_NAMES_MAX: usize = 100_000;

impl<V: IndexView> Transition<'_, '_, V> {
    pub(super) fn rename(
        &mut self,
        from: &NamePath,
        to: &NamePath,
        subtree: bool,
    ) -> Outcome<(), V::Error> {
        if from.is_empty() || to.is_within(from) || to.to_name(&Name::root()).is_err() {
            return Err(Refusal::Target(to.clone()).into());
        }
        self.require_free(to)?;
        match self.slot(from)?.entry {
            Some(Entry::Delegated(child)) => {
                let recovery = self.slot(from)?.recovery;
                self.relabel(to, child)?;
                self.put_recovery(to, recovery)?;
            }
            _ if subtree => self.move_subtree(from, to)?,
            Some(Entry::Bound(head)) => {
                let change = Change::Renamed { from: from.clone() };
                let below = self.slot(to)?.below;
                let sets = self.judged(to, below, head.sets.clone())?;
                let redirect = self.redirect(Some(head.uid), to, false);
                let tags = head.tags.clone();
                self.succeed(to, head, change, (sets, tags))?;
                return self.put(from, Some(redirect));
            }
            entry => return Err(not_bound(from, entry.as_ref()).into()),
        }
        let redirect = self.redirect(None, to, true);
        self.put(from, Some(redirect))
    }

    fn redirect(&self, uid: Option<Uid>, to: &NamePath, subtree: bool) -> Entry {
        let scope = self.state.uid;
        Entry::Moved(Redirect {
            uid,
            scope,
            path: to.clone(),
            subtree,
            last: None,
        })
    }

    /// Moves every entry at and below a path; the caller puts the redirect in its place.
    fn move_subtree(&mut self, from: &NamePath, to: &NamePath) -> Outcome<(), V::Error> {
        if self.slot(to)?.below > 0 {
            let count = self.slot(to)?.below;
            return Err(Refusal::NamesBelow {
                path: to.clone(),
                count,
            }
            .into());
        }
        let no = self.occasion.scope;
        let slots = self.lift(self.stage.slots(no, from, None, SUBTREE_NAMES_MAX + 1))?;
        if slots.is_empty() {
            return Err(Refusal::NoEntry(from.clone()).into());
        }
        if slots.len() > SUBTREE_NAMES_MAX {
            return Err(Refusal::SubtreeTooLarge {
                max: SUBTREE_NAMES_MAX,
            }
            .into());
        }
        for (old, slot) in slots {
            let Some(entry) = slot.entry else { continue };
            let new = old
                .rebase(from, to)
                .ok_or_else(|| Refusal::Target(to.clone()))?;
            if new.to_name(&Name::root()).is_err() {
                return Err(Refusal::Target(new).into());
            }
            self.put(&old, None)?;
            match entry {
                Entry::Bound(head) => {
                    let kept = (head.sets.clone(), head.tags.clone());
                    self.succeed(&new, head, Change::Renamed { from: old }, kept)?;
                }
                other => self.put(&new, Some(other))?,
            }
        }
        Ok(())
    }

    /// Gives a child scope another label.
    fn relabel(&mut self, to: &NamePath, child: ScopeUid) -> Outcome<(), V::Error> {
        let label = single_label(to)?;
        if self.slot(to)?.below > 0 {
            let count = self.slot(to)?.below;
            return Err(Refusal::NamesBelow {
                path: to.clone(),
                count,
            }
            .into());
        }
        if let Some(no) = self.lift(self.stage.scope_no(&child))?
            && let Some(mut state) = self.lift(self.stage.scope(no))?
        {
            if let Some(edge) = state.edge.as_mut() {
                edge.label = label;
            }
            self.stage.put_scope(state);
        }
        self.put(to, Some(Entry::Delegated(child)))
    }

    pub(super) fn delegate(
        &mut self,
        label: &[u8],
        child: &Descriptor,
        seats: &[SeatSignature],
    ) -> Outcome<(), V::Error> {
        let state = &self.state;
        let path = NamePath::empty().child(label);
        self.require_free(&path)?;
        let below = self.slot(&path)?.below;
        if below > 0 {
            return Err(Refusal::NamesBelow { path, count: below }.into());
        }
        if child.scope.is_some() || child.epoch != 0 || child.parent != Some(state.uid) {
            return Err(Refusal::Descriptor("it is no genesis of a child of this scope").into());
        }
        if let Some(fault) = child.fault() {
            return Err(Refusal::Descriptor(fault).into());
        }
        if !child.seats_accepted(seats) {
            return Err(Refusal::Seats.into());
        }
        if state.child_edge(label).depth > SCOPE_DEPTH_MAX {
            return Err(Refusal::Depth {
                max: SCOPE_DEPTH_MAX,
            }
            .into());
        }
        let uid = child.scope_uid();
        if self.lift(self.stage.scope_no(&uid))?.is_some() {
            return Err(Refusal::Descriptor("the scope exists already").into());
        }
        self.put(&path, Some(Entry::Delegated(uid)))
    }

    /// Puts another descriptor in force. That its anchors take their seats is judged where the
    /// votes are counted.
    pub(super) fn reconfigure(&mut self, next: &Descriptor) -> Outcome<(), V::Error> {
        let now = &self.state.descriptor;
        if next.scope != Some(self.state.uid) || next.parent != now.parent || next.salt != now.salt
        {
            return Err(Refusal::Descriptor("it speaks of another scope").into());
        }
        if let Some(fault) = next.fault() {
            return Err(Refusal::Descriptor(fault).into());
        }
        let known = |anchor: &Anchor| {
            let first = AnchorId::of_first_key(&anchor.vote_key);
            now.anchors.get(&anchor.id).is_some() || first == anchor.id
        };
        if !next.anchors.anchors().iter().all(known) {
            let error = "a new anchor's identity is not that of its key";
            return Err(Refusal::Descriptor(error).into());
        }
        if next.epoch != now.epoch + 1 {
            return Err(Refusal::Epoch {
                expected: next.epoch,
                is: now.epoch,
            }
            .into());
        }
        self.state.usage = carried(&self.state, &next.grants);
        self.state.descriptor_digest = next.digest();
        self.state.descriptor = next.clone();
        Ok(())
    }
}

fn single_label(path: &NamePath) -> Result<Vec<u8>, Refusal> {
    let mut labels = path.labels();
    match (labels.next(), labels.next()) {
        (Some(label), None) => Ok(label),
        _ => Err(Refusal::Target(path.clone())),
    }
}
