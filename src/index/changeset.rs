//! `ChangeSet`: staged writes, and `Stage`: a view with staged writes laid over it.

use std::collections::{BTreeMap, btree_map};

use crate::base::time::Timestamp;
use crate::governance::block::Block;
use crate::governance::descriptor::Descriptor;
use crate::governance::recovery::Recovery;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::ballot::Ballot;
use super::entry::{Entry, Slot, Version};
use super::state::{Location, ScopeNo, ScopeState};
use super::view::{BlockAt, Decision, IndexView, Link};

/// All writes of one decision; an absent slot is `None`.
#[derive(Debug, Default)]
pub struct ChangeSet {
    /// Scopes as they will be.
    pub scopes: BTreeMap<ScopeNo, ScopeState>,
    /// Slots as they will be, by scope and path.
    pub slots: BTreeMap<ScopeNo, BTreeMap<NamePath, Option<Slot>>>,
    /// Where entries will be bound.
    pub locations: BTreeMap<Uid, Location>,
    /// Versions that stop being the head.
    pub archive: BTreeMap<(Uid, u64), Version>,
    /// Proposals decided, and at which height.
    pub decided: BTreeMap<Decision, u64>,
    /// Votes on decided proposals; none once these expired.
    pub ballots: BTreeMap<Decision, Option<Ballot>>,
}

impl ChangeSet {
    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
            && self.slots.is_empty()
            && self.locations.is_empty()
            && self.archive.is_empty()
            && self.decided.is_empty()
            && self.ballots.is_empty()
    }

    /// The staged slot of a path, itself none if it will be absent.
    pub fn slot(&self, scope: ScopeNo, path: &NamePath) -> Option<&Option<Slot>> {
        self.slots.get(&scope)?.get(path)
    }

    /// Stages a slot.
    pub fn put_slot(&mut self, scope: ScopeNo, path: NamePath, slot: Option<Slot>) {
        self.slots.entry(scope).or_default().insert(path, slot);
    }

    /// Lays `later` over these changes.
    pub fn merge(&mut self, later: Self) {
        if self.is_empty() {
            // The first proposal of a block, often the only one and sometimes very large.
            *self = later;
            return;
        }
        self.scopes.extend(later.scopes);
        for (no, slots) in later.slots {
            self.slots.entry(no).or_default().extend(slots);
        }
        self.locations.extend(later.locations);
        self.archive.extend(later.archive);
        self.decided.extend(later.decided);
        self.ballots.extend(later.ballots);
    }
}

/// A view with staged changes over it. Stages nest: each proposal is staged over the ones before.
#[derive(Debug)]
pub struct Stage<'v, V> {
    base: &'v V,
    changes: ChangeSet,
}

impl<'v, V: IndexView> Stage<'v, V> {
    /// Nothing staged yet.
    pub fn new(base: &'v V) -> Self {
        Self {
            base,
            changes: ChangeSet::default(),
        }
    }

    /// The staged changes.
    pub const fn changes(&self) -> &ChangeSet {
        &self.changes
    }

    /// Gives up the staged changes to whoever writes them.
    pub fn into_changes(self) -> ChangeSet {
        self.changes
    }

    /// Lays the changes of a nested stage over these.
    pub fn merge(&mut self, later: ChangeSet) {
        self.changes.merge(later);
    }

    /// Stages a scope's state.
    pub fn put_scope(&mut self, state: ScopeState) {
        self.changes.scopes.insert(state.no, state);
    }

    /// Stages where an entry is bound.
    pub fn put_location(&mut self, uid: Uid, location: Location) {
        self.changes.locations.insert(uid, location);
    }

    /// Stages a version that is no longer the head.
    pub fn archive(&mut self, version: Version) {
        self.changes
            .archive
            .insert((version.uid, version.number), version);
    }

    /// Stages that a proposal was decided.
    pub fn put_decided(&mut self, decision: Decision, height: u64) {
        self.changes.decided.insert(decision, height);
    }

    /// Stages the votes on a decided proposal.
    pub fn put_ballot(&mut self, decision: Decision, ballot: Option<Ballot>) {
        self.changes.ballots.insert(decision, ballot);
    }

    /// Stages the entry of a path over the slot that is there, and keeps the counts of every path
    /// above it right. Gives back by how much the number of live entries changed.
    pub fn put_entry(
        &mut self,
        scope: ScopeNo,
        path: &NamePath,
        mut slot: Slot,
        entry: Option<Entry>,
    ) -> Result<i8, V::Error> {
        let was_live = slot.is_live();
        let child_before = slot.child();
        slot.entry = entry;
        if slot.child().is_none() || slot.child() != child_before {
            slot.recovery = None;
        }
        let is_live = slot.is_live();
        self.put_slot(scope, path.clone(), slot);
        if was_live == is_live {
            return Ok(0);
        }
        for above in path.ancestors() {
            self.count_below(scope, above, is_live)?;
        }
        Ok(if is_live { 1 } else { -1 })
    }

    /// Stages what is said of the recovery of the child scope that stands at a path.
    pub fn put_recovery(
        &mut self,
        scope: ScopeNo,
        path: &NamePath,
        mut slot: Slot,
        recovery: Option<Recovery>,
    ) {
        slot.recovery = recovery;
        self.put_slot(scope, path.clone(), slot);
    }

    fn count_below(
        &mut self,
        scope: ScopeNo,
        path: NamePath,
        one_more: bool,
    ) -> Result<(), V::Error> {
        let staged = self.changes.slots.entry(scope).or_default();
        let place = match staged.entry(path) {
            btree_map::Entry::Occupied(place) => place.into_mut(),
            btree_map::Entry::Vacant(place) => {
                let slot = self.base.slot(scope, place.key())?;
                place.insert(slot)
            }
        };
        let mut slot = place.take().unwrap_or_default();
        slot.below = if one_more {
            slot.below.saturating_add(1)
        } else {
            slot.below.saturating_sub(1)
        };
        *place = (!slot.is_vacant()).then_some(slot);
        Ok(())
    }

    fn put_slot(&mut self, scope: ScopeNo, path: NamePath, slot: Slot) {
        let slot = (!slot.is_vacant()).then_some(slot);
        self.changes.put_slot(scope, path, slot);
    }
}

impl<V: IndexView> IndexView for Stage<'_, V> {
    type Error = V::Error;

    fn scope_no(&self, uid: &ScopeUid) -> Result<Option<ScopeNo>, Self::Error> {
        match self.changes.scopes.values().find(|state| state.uid == *uid) {
            Some(state) => Ok(Some(state.no)),
            None => self.base.scope_no(uid),
        }
    }

    fn scope(&self, no: ScopeNo) -> Result<Option<ScopeState>, Self::Error> {
        match self.changes.scopes.get(&no) {
            Some(state) => Ok(Some(state.clone())),
            None => self.base.scope(no),
        }
    }

    fn scope_count(&self) -> Result<u32, Self::Error> {
        let staged = self
            .changes
            .scopes
            .keys()
            .next_back()
            .map_or(0, |no| no.0 + 1);
        Ok(self.base.scope_count()?.max(staged))
    }

    fn slot(&self, scope: ScopeNo, path: &NamePath) -> Result<Option<Slot>, Self::Error> {
        match self.changes.slot(scope, path) {
            Some(slot) => Ok(slot.clone()),
            None => self.base.slot(scope, path),
        }
    }

    fn slots(
        &self,
        scope: ScopeNo,
        within: &NamePath,
        after: Option<&NamePath>,
        count: usize,
    ) -> Result<Vec<(NamePath, Slot)>, Self::Error> {
        // Staged removals may hide base slots, so as many more are read.
        let staged: Vec<(&NamePath, &Option<Slot>)> = self
            .changes
            .slots
            .get(&scope)
            .into_iter()
            .flat_map(|slots| slots.range(within.clone()..))
            .take_while(|(path, _)| path.is_within(within))
            .filter(|(path, _)| after.is_none_or(|after| *path > after))
            .collect();
        let base = self
            .base
            .slots(scope, within, after, count.saturating_add(staged.len()))?;
        let mut merged: BTreeMap<NamePath, Slot> = base.into_iter().collect();
        for (path, slot) in staged {
            match slot {
                Some(slot) => merged.insert(path.clone(), slot.clone()),
                None => merged.remove(path),
            };
        }
        Ok(merged.into_iter().take(count).collect())
    }

    fn locate(&self, uid: &Uid) -> Result<Option<Location>, Self::Error> {
        match self.changes.locations.get(uid) {
            Some(location) => Ok(Some(location.clone())),
            None => self.base.locate(uid),
        }
    }

    fn archived(&self, uid: &Uid, number: u64) -> Result<Option<Version>, Self::Error> {
        match self.changes.archive.get(&(*uid, number)) {
            Some(version) => Ok(Some(version.clone())),
            None => self.base.archived(uid, number),
        }
    }

    fn decided(&self, decision: &Decision) -> Result<Option<u64>, Self::Error> {
        match self.changes.decided.get(decision) {
            Some(height) => Ok(Some(*height)),
            None => self.base.decided(decision),
        }
    }

    fn ballot(&self, decision: &Decision) -> Result<Option<Ballot>, Self::Error> {
        match self.changes.ballots.get(decision) {
            Some(ballot) => Ok(ballot.clone()),
            None => self.base.ballot(decision),
        }
    }

    fn ballots_before(
        &self,
        scope: ScopeNo,
        time: Timestamp,
    ) -> Result<Vec<(Decision, Ballot)>, Self::Error> {
        let base = self.base.ballots_before(scope, time)?;
        let mut ballots: BTreeMap<Decision, Ballot> = base.into_iter().collect();
        for (decision, ballot) in &self.changes.ballots {
            match ballot {
                None => ballots.remove(decision),
                Some(ballot) if decision.scope == scope && decision.not_after < time => {
                    ballots.insert(*decision, ballot.clone())
                }
                Some(_) => None,
            };
        }
        Ok(ballots.into_iter().collect())
    }

    fn header(&self, scope: ScopeNo, height: u64) -> Result<Option<Block>, Self::Error> {
        self.base.header(scope, height)
    }

    fn link(&self, scope: ScopeNo, height: u64) -> Result<Option<Link>, Self::Error> {
        self.base.link(scope, height)
    }

    fn genesis(&self, scope: ScopeNo) -> Result<Option<Descriptor>, Self::Error> {
        self.base.genesis(scope)
    }

    fn commit_count(&self) -> Result<u64, Self::Error> {
        self.base.commit_count()
    }

    fn committed(&self, sequence: u64) -> Result<Option<BlockAt>, Self::Error> {
        self.base.committed(sequence)
    }

    fn apexes(&self) -> Result<Vec<(Name, ScopeUid)>, Self::Error> {
        self.base.apexes()
    }
}
