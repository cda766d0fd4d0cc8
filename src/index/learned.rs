//! Scopes that are not held here, as far as proofs taught of them, beside those that are held.

use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::governance::block::Block;
use crate::governance::descriptor::Descriptor;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::ballot::Ballot;
use super::entry::{Slot, Version};
use super::freshness::{Freshness, Overdue};
use super::state::{Location, ScopeNo, ScopeState};
use super::view::{BlockAt, Decision, IndexView, Link};

/// Numbers of scopes that are learned of begin here. A store numbers the scopes it holds from zero on,
/// one by one.
pub const LEARNED_FROM: u32 = 1 << 31;

/// What proofs taught, at one moment.
pub trait Learned {
    /// The number of a scope that something is known of.
    fn scope_no(&self, uid: &ScopeUid) -> Option<ScopeNo>;

    /// Where that scope stands. Counters that no proof shows are zero.
    fn scope(&self, no: ScopeNo) -> Option<Arc<ScopeState>>;

    /// What stands at a path, which may be nothing; none if that is not known.
    fn slot(&self, no: ScopeNo, path: &NamePath) -> Option<Option<Slot>>;
}

/// What is held and what was learned, as one view.
#[derive(Debug, Clone, Copy)]
pub struct Wider<'v, V, L> {
    held: &'v V,
    learned: &'v L,
    overdue: Option<&'v dyn Overdue>,
}

/// Why a wider view could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WiderError<E: std::error::Error + 'static> {
    /// The index could not be read.
    #[error(transparent)]
    Held(#[from] E),
    /// A scope that is not held was asked for something that is not known of it. What is not known
    /// is not absent.
    #[error("nothing is known of that place of a scope that is not held here")]
    Unknown,
}

impl<'v, V, L> Wider<'v, V, L> {
    /// What is held, and beside it what was learned.
    pub const fn new(held: &'v V, learned: &'v L) -> Self {
        Self {
            held,
            learned,
            overdue: None,
        }
    }

    /// The same, where some of what is held may have been overtaken.
    #[must_use]
    pub const fn with_overdue(self, overdue: &'v dyn Overdue) -> Self {
        let overdue = Some(overdue);
        Self { overdue, ..self }
    }
}

impl<V: IndexView, L> Wider<'_, V, L> {
    /// Reads of what no proof shows, of a scope that is held.
    const fn whole(&self, no: ScopeNo) -> Result<&V, WiderError<V::Error>> {
        if is_learned(no) {
            return Err(WiderError::Unknown);
        }
        Ok(self.held)
    }
}

const fn is_learned(no: ScopeNo) -> bool {
    no.0 >= LEARNED_FROM
}

impl<V: IndexView, L: Learned> IndexView for Wider<'_, V, L> {
    type Error = WiderError<V::Error>;

    fn scope_no(&self, uid: &ScopeUid) -> Result<Option<ScopeNo>, Self::Error> {
        let held = self.held.scope_no(uid)?;
        Ok(held.or_else(|| self.learned.scope_no(uid)))
    }

    fn scope(&self, no: ScopeNo) -> Result<Option<ScopeState>, Self::Error> {
        if is_learned(no) {
            return Ok(self.learned.scope(no).map(Arc::unwrap_or_clone));
        }
        Ok(self.held.scope(no)?)
    }

    fn shared_scope(&self, no: ScopeNo) -> Result<Option<Arc<ScopeState>>, Self::Error> {
        if is_learned(no) {
            return Ok(self.learned.scope(no));
        }
        Ok(self.held.shared_scope(no)?)
    }

    fn scope_count(&self) -> Result<u32, Self::Error> {
        Ok(self.held.scope_count()?)
    }

    fn holds(&self, no: ScopeNo) -> bool {
        !is_learned(no)
    }

    fn knows(&self, no: ScopeNo, path: &NamePath) -> bool {
        !is_learned(no) || self.learned.slot(no, path).is_some()
    }

    fn freshness(&self, scope: &ScopeUid) -> Freshness {
        self.overdue
            .map_or(Freshness::Fresh, |overdue| overdue.freshness(scope))
    }

    fn slot(&self, scope: ScopeNo, path: &NamePath) -> Result<Option<Slot>, Self::Error> {
        if is_learned(scope) {
            return self.learned.slot(scope, path).ok_or(WiderError::Unknown);
        }
        Ok(self.held.slot(scope, path)?)
    }

    fn slots(
        &self,
        scope: ScopeNo,
        within: &NamePath,
        after: Option<&NamePath>,
        count: usize,
    ) -> Result<Vec<(NamePath, Slot)>, Self::Error> {
        Ok(self.whole(scope)?.slots(scope, within, after, count)?)
    }

    fn locate(&self, uid: &Uid) -> Result<Option<Location>, Self::Error> {
        Ok(self.held.locate(uid)?)
    }

    fn archived(&self, uid: &Uid, number: u64) -> Result<Option<Version>, Self::Error> {
        Ok(self.held.archived(uid, number)?)
    }

    fn decided(&self, decision: &Decision) -> Result<Option<u64>, Self::Error> {
        Ok(self.whole(decision.scope)?.decided(decision)?)
    }

    fn ballot(&self, decision: &Decision) -> Result<Option<Ballot>, Self::Error> {
        Ok(self.whole(decision.scope)?.ballot(decision)?)
    }

    fn ballots_before(
        &self,
        scope: ScopeNo,
        time: Timestamp,
    ) -> Result<Vec<(Decision, Ballot)>, Self::Error> {
        Ok(self.whole(scope)?.ballots_before(scope, time)?)
    }

    fn header(&self, scope: ScopeNo, height: u64) -> Result<Option<Block>, Self::Error> {
        Ok(self.whole(scope)?.header(scope, height)?)
    }

    fn link(&self, scope: ScopeNo, height: u64) -> Result<Option<Link>, Self::Error> {
        Ok(self.whole(scope)?.link(scope, height)?)
    }

    fn genesis(&self, scope: ScopeNo) -> Result<Option<Descriptor>, Self::Error> {
        Ok(self.whole(scope)?.genesis(scope)?)
    }

    fn commit_count(&self) -> Result<u64, Self::Error> {
        Ok(self.held.commit_count()?)
    }

    fn committed(&self, sequence: u64) -> Result<Option<BlockAt>, Self::Error> {
        Ok(self.held.committed(sequence)?)
    }

    fn apexes(&self) -> Result<Vec<(Name, ScopeUid)>, Self::Error> {
        Ok(self.held.apexes()?)
    }
}
