//! `verify`: replays every lineage from its genesis and compares what it gives with what is stored.
//!
//! Nothing stored is believed but genesis descriptors, blocks, bodies, certificates and their
//! order, and of these each block is believed only as far as its certificate carries. Names of
//! apexes are this node's own choice and proven by nothing; the report gives them to be compared
//! with the pins of the configuration.

mod compare;
mod error;

use std::collections::BTreeMap;

use crate::base::digest::Digest;
use crate::governance::descriptor::Descriptor;
use crate::governance::policy::Quorum;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;

use super::lineage::{LinkError, found, replay};
use super::place::edges_left_by;
use super::rows::{IndexRows, RowCounts};
use super::state::{Edge, ScopeNo};
use super::view::{BlockAt, IndexTxn, IndexView, Link};

pub use error::{Row, VerifyError};

type Fault<V, T> = VerifyError<<V as IndexView>::Error, <T as IndexView>::Error>;

/// How far verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Commits replayed.
    Replayed {
        /// So many.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Scopes compared.
    Compared {
        /// So many.
        done: u32,
        /// Of so many.
        total: u32,
    },
}

/// What was proven of one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedScope {
    /// The scope.
    pub uid: ScopeUid,
    /// Its number here.
    pub no: ScopeNo,
    /// The epoch in force.
    pub epoch: u64,
    /// How much weight decides in it.
    pub quorum: Quorum,
    /// The height of its head.
    pub height: u64,
    /// The digest of its head.
    pub head: Digest,
    /// The root of its state.
    pub state_root: Digest,
    /// How many live entries it holds.
    pub live: u64,
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every scope, by its number.
    pub scopes: Vec<VerifiedScope>,
    /// The apexes and their roots; each root is held, its name is for the caller to compare.
    pub apexes: Vec<(Name, ScopeUid)>,
    /// Proposals whose signatures were checked.
    pub proposals: u64,
    /// Rows that were compared.
    pub rows: RowCounts,
}

/// Verifies `stored` by rebuilding it in `fresh`, which is empty. Gives the first thing that is
/// wrong. What it leaves in `fresh` is the index as its lineage gives it.
pub fn verify<V, T>(
    stored: &V,
    fresh: &mut T,
    mut progress: impl FnMut(Progress),
) -> Result<Report, Fault<V, T>>
where
    V: IndexRows,
    T: IndexTxn + IndexRows,
{
    let mut rebuild = Rebuild {
        stored,
        fresh,
        edges: BTreeMap::new(),
        proposals: 0,
    };
    rebuild.lineages(&mut progress)?;
    let apexes = rebuild.apexes()?;
    let proposals = rebuild.proposals;
    let scopes = compare::all(stored, &*fresh, &mut progress)?;
    Ok(Report {
        scopes,
        apexes,
        proposals,
        rows: fresh.row_counts().map_err(VerifyError::Rebuild)?,
    })
}

struct Rebuild<'a, V, T> {
    stored: &'a V,
    fresh: &'a mut T,
    /// Delegated scopes and the edge at which each hangs now.
    edges: BTreeMap<ScopeUid, (ScopeNo, Vec<u8>)>,
    proposals: u64,
}

impl<V: IndexRows, T: IndexTxn + IndexRows> Rebuild<'_, V, T> {
    fn lineages(&mut self, progress: &mut impl FnMut(Progress)) -> Result<(), Fault<V, T>> {
        let empty = self.fresh.row_counts().map_err(VerifyError::Rebuild)?;
        if empty != RowCounts::default() {
            return Err(VerifyError::NotEmpty);
        }
        let total = self
            .stored
            .commit_count()
            .map_err(unreadable(Row::Any("commits")))?;
        for sequence in 0..total {
            let row = Row::Commit(sequence);
            let at = self.stored.committed(sequence);
            let at = at.map_err(unreadable(row.clone()))?;
            let at = at.ok_or(VerifyError::Missing(row))?;
            self.commit(at)?;
            let done = sequence + 1;
            progress(Progress::Replayed { done, total });
        }
        Ok(())
    }

    fn commit(&mut self, at: BlockAt) -> Result<(), Fault<V, T>> {
        let BlockAt { scope, height } = at;
        let row = Row::Block { scope, height };
        let link = self.stored.link(scope, height);
        let link = link.map_err(unreadable(row.clone()))?;
        let link = link.ok_or_else(|| VerifyError::Missing(row.clone()))?;
        if link.block.height != height {
            return Err(VerifyError::Differs(row));
        }
        if height == 0 {
            return self.found(scope, &link);
        }
        replay(self.fresh, scope, &link).map_err(broken(scope, height))?;
        self.follow_edges(scope, &link)
    }

    fn found(&mut self, scope: ScopeNo, link: &Link) -> Result<(), Fault<V, T>> {
        let row = Row::Genesis(scope);
        let genesis = self.stored.genesis(scope);
        let genesis = genesis.map_err(unreadable(row.clone()))?;
        let genesis = genesis.ok_or(VerifyError::Missing(row))?;
        let edge = self.edge_of(scope, &genesis)?;
        let given = found(self.fresh, &genesis, edge, link).map_err(broken(scope, 0))?;
        if given == scope {
            Ok(())
        } else {
            Err(VerifyError::Differs(Row::ScopeNumber(genesis.scope_uid())))
        }
    }

    /// The edge of a scope as the lineage of its parent gives it. A scope whose parent is not held
    /// here hangs nowhere; its identity is all that is known of it.
    fn edge_of(&self, no: ScopeNo, genesis: &Descriptor) -> Result<Option<Edge>, Fault<V, T>> {
        let Some(parent) = &genesis.parent else {
            return Ok(None);
        };
        let held = self.fresh.scope_no(parent).map_err(VerifyError::Rebuild)?;
        if held.is_none() {
            return Ok(None);
        }
        let (parent, label) = self
            .edges
            .get(&genesis.scope_uid())
            .ok_or(VerifyError::NotDelegated(no))?;
        let parent = self.fresh.scope(*parent).map_err(VerifyError::Rebuild)?;
        Ok(parent.map(|parent| parent.child_edge(label)))
    }

    fn follow_edges(&mut self, scope: ScopeNo, link: &Link) -> Result<(), Fault<V, T>> {
        self.proposals += u64::try_from(link.body.decided.len()).unwrap_or(u64::MAX);
        let left = edges_left_by(&*self.fresh, scope, &link.body).map_err(VerifyError::Rebuild)?;
        let left = left
            .into_iter()
            .map(|(child, label)| (child, (scope, label)));
        self.edges.extend(left);
        Ok(())
    }

    fn apexes(&mut self) -> Result<Vec<(Name, ScopeUid)>, Fault<V, T>> {
        let apexes = self.stored.apexes();
        let apexes = apexes.map_err(unreadable(Row::Any("apexes")))?;
        for (name, uid) in &apexes {
            let no = self.fresh.scope_no(uid).map_err(VerifyError::Rebuild)?;
            if no.is_none() {
                return Err(VerifyError::Extra(Row::Apex(name.clone())));
            }
            let put = self.fresh.put_apex(name, uid);
            put.map_err(VerifyError::Rebuild)?;
        }
        Ok(apexes)
    }
}

fn unreadable<S, F>(row: Row) -> impl FnOnce(S) -> VerifyError<S, F>
where
    S: std::error::Error + 'static,
    F: std::error::Error + 'static,
{
    move |source| VerifyError::Unreadable { row, source }
}

fn broken<S, F>(scope: ScopeNo, height: u64) -> impl FnOnce(LinkError<F>) -> VerifyError<S, F>
where
    S: std::error::Error + 'static,
    F: std::error::Error + 'static,
{
    move |source| match source {
        LinkError::Store(source) => VerifyError::Rebuild(source),
        source => VerifyError::Link {
            scope,
            height,
            source,
        },
    }
}
