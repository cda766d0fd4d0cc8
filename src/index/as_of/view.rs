//! [`AsOf`] as a view: whatever is not later than its time.

use std::collections::BTreeMap;

use crate::base::time::Timestamp;
use crate::governance::block::Block;
use crate::governance::descriptor::Descriptor;
use crate::index::ballot::Ballot;
use crate::index::entry::{Slot, Version};
use crate::index::history;
use crate::index::state::{Location, ScopeNo, ScopeState};
use crate::index::view::{BlockAt, Decision, IndexView, Link};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::{AsOf, AsOfError, PastSlot};

impl<V: IndexView> IndexView for AsOf<'_, V> {
    type Error = AsOfError<V::Error>;

    fn scope_no(&self, uid: &ScopeUid) -> Result<Option<ScopeNo>, Self::Error> {
        let Some(no) = self.lift(self.base.scope_no(uid))? else {
            return Ok(None);
        };
        Ok(self.height_at(no)?.map(|_| no))
    }

    fn scope(&self, no: ScopeNo) -> Result<Option<ScopeState>, Self::Error> {
        Ok(self.past(no)?.map(|past| past.state.clone()))
    }

    /// Numbers of scopes that were founded later count, too: no scope answers to them.
    fn scope_count(&self) -> Result<u32, Self::Error> {
        self.lift(self.base.scope_count())
    }

    fn slot(&self, scope: ScopeNo, path: &NamePath) -> Result<Option<Slot>, Self::Error> {
        let Some(past) = self.past(scope)? else {
            return Ok(None);
        };
        match past.slots.get(path) {
            Some(slot) => self.whole(scope, path, slot),
            None => self.lift(self.base.slot(scope, path)),
        }
    }

    fn slots(
        &self,
        scope: ScopeNo,
        within: &NamePath,
        after: Option<&NamePath>,
        count: usize,
    ) -> Result<Vec<(NamePath, Slot)>, Self::Error> {
        let Some(past) = self.past(scope)? else {
            return Ok(Vec::new());
        };
        let differing: Vec<(&NamePath, &PastSlot)> = past
            .slots
            .range(within.clone()..)
            .take_while(|(path, _)| path.is_within(within))
            .filter(|(path, _)| after.is_none_or(|after| *path > after))
            .collect();
        // Slots of today may hide from then, so as many more are read.
        let wanted = count.saturating_add(differing.len());
        let present = self.lift(self.base.slots(scope, within, after, wanted))?;
        let mut merged: BTreeMap<NamePath, Slot> = present.into_iter().collect();
        for (path, slot) in differing {
            match self.whole(scope, path, slot)? {
                Some(slot) => merged.insert(path.clone(), slot),
                None => merged.remove(path),
            };
        }
        Ok(merged.into_iter().take(count).collect())
    }

    fn locate(&self, uid: &Uid) -> Result<Option<Location>, Self::Error> {
        let Some(version) = self.newest(uid)? else {
            return Ok(None);
        };
        let no = self.lift(self.base.scope_no(&version.scope))?;
        let path = version.path;
        Ok(no.map(|scope| Location { scope, path }))
    }

    fn archived(&self, uid: &Uid, number: u64) -> Result<Option<Version>, Self::Error> {
        let version = self.lift(history::version(self.base, uid, number))?;
        let Some(version) = version.filter(|version| version.time <= self.time) else {
            return Ok(None);
        };
        let head = history::head(self, uid)?;
        let is_head = head.is_some_and(|head| head.number == number);
        Ok((!is_head).then_some(version))
    }

    fn decided(&self, decision: &Decision) -> Result<Option<u64>, Self::Error> {
        let height = self.lift(self.base.decided(decision))?;
        let until = self.height_at(decision.scope)?;
        Ok(height.filter(|height| until.is_some_and(|until| *height <= until)))
    }

    /// The past takes no votes.
    fn ballot(&self, _: &Decision) -> Result<Option<Ballot>, Self::Error> {
        Ok(None)
    }

    /// The past takes no votes.
    fn ballots_before(
        &self,
        _: ScopeNo,
        _: Timestamp,
    ) -> Result<Vec<(Decision, Ballot)>, Self::Error> {
        Ok(Vec::new())
    }

    fn header(&self, scope: ScopeNo, height: u64) -> Result<Option<Block>, Self::Error> {
        let header = self.lift(self.base.header(scope, height))?;
        Ok(header.filter(|header| header.time <= self.time))
    }

    fn link(&self, scope: ScopeNo, height: u64) -> Result<Option<Link>, Self::Error> {
        let link = self.lift(self.base.link(scope, height))?;
        Ok(link.filter(|link| link.block.time <= self.time))
    }

    fn genesis(&self, scope: ScopeNo) -> Result<Option<Descriptor>, Self::Error> {
        match self.height_at(scope)? {
            Some(_) => self.lift(self.base.genesis(scope)),
            None => Ok(None),
        }
    }

    /// The blocks up to the time; every scope has one more than its height.
    fn commit_count(&self) -> Result<u64, Self::Error> {
        let mut count = 0_u64;
        for no in 0..self.scope_count()? {
            let height = self.height_at(ScopeNo(no))?;
            count = count.saturating_add(height.map_or(0, |height| height.saturating_add(1)));
        }
        Ok(count)
    }

    fn committed(&self, sequence: u64) -> Result<Option<BlockAt>, Self::Error> {
        if sequence >= self.commit_count()? {
            return Ok(None);
        }
        self.lift(self.base.committed(sequence))
    }

    fn apexes(&self) -> Result<Vec<(Name, ScopeUid)>, Self::Error> {
        let mut apexes = Vec::new();
        for (name, root) in self.lift(self.base.apexes())? {
            if self.scope_no(&root)?.is_some() {
                apexes.push((name, root));
            }
        }
        Ok(apexes)
    }
}
