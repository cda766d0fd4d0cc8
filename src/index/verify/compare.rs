//! Row by row: what is stored against what the lineage gives.

use std::cmp::Ordering;

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::index::rows::IndexRows;
use crate::index::state::ScopeNo;
use crate::index::trie::{Node, Position, Prefix};
use crate::index::view::Decision;
use crate::namespace::path::NamePath;

use super::{Fault, Progress, Row, VerifiedScope, VerifyError, unreadable};

/// Rows that are read at a time; bounds the memory that comparing takes.
const PAGE_ROWS: usize = 1_024;

/// Compares all derived state. The lineages themselves were read to build `fresh`.
pub(super) fn all<V: IndexRows, T: IndexRows>(
    stored: &V,
    fresh: &T,
    progress: &mut impl FnMut(Progress),
) -> Result<Vec<VerifiedScope>, Fault<V, T>> {
    let total = fresh.scope_count().map_err(VerifyError::Rebuild)?;
    let roots = fresh.apexes().map_err(VerifyError::Rebuild)?;
    let mut scopes = Vec::new();
    for no in (0..total).map(ScopeNo) {
        let scope = scope(stored, fresh, no)?;
        let has_apex = roots.iter().any(|(_, root)| *root == scope.uid);
        let genesis = fresh.genesis(no).map_err(VerifyError::Rebuild)?;
        if !has_apex && genesis.is_some_and(|genesis| genesis.parent.is_none()) {
            return Err(VerifyError::Missing(Row::ApexOf(no)));
        }
        slots(stored, fresh, no)?;
        ballots(stored, fresh, no)?;
        trie(stored, fresh, no, Prefix::ALL)?;
        scopes.push(scope);
        let done = no.0 + 1;
        progress(Progress::Compared { done, total });
    }
    locations(stored, fresh)?;
    archive(stored, fresh)?;
    decisions(stored, fresh)?;
    counts(stored, fresh)?;
    Ok(scopes)
}

fn scope<V: IndexRows, T: IndexRows>(
    stored: &V,
    fresh: &T,
    no: ScopeNo,
) -> Result<VerifiedScope, Fault<V, T>> {
    let row = Row::Scope(no);
    let state = fresh.scope(no).map_err(VerifyError::Rebuild)?;
    let state = state.ok_or_else(|| VerifyError::Extra(row.clone()))?;
    match stored.scope(no).map_err(unreadable(row.clone()))? {
        None => return Err(VerifyError::Missing(row)),
        Some(found) if found != state => return Err(VerifyError::Differs(row)),
        Some(_) => {}
    }
    let row = Row::ScopeNumber(state.uid);
    match stored
        .scope_no(&state.uid)
        .map_err(unreadable(row.clone()))?
    {
        None => return Err(VerifyError::Missing(row)),
        Some(found) if found != no => return Err(VerifyError::Differs(row)),
        Some(_) => {}
    }
    Ok(VerifiedScope {
        uid: state.uid,
        no,
        epoch: state.descriptor.epoch,
        quorum: state.descriptor.policy.quorum,
        height: state.height,
        head: state.head,
        state_root: state.state_root,
        live: state.live,
    })
}

fn slots<V: IndexRows, T: IndexRows>(
    stored: &V,
    fresh: &T,
    no: ScopeNo,
) -> Result<(), Fault<V, T>> {
    let row = |path: &NamePath| Row::Slot(no, path.clone());
    let mut after: Option<NamePath> = None;
    loop {
        let top = NamePath::empty();
        let expected = fresh
            .slots(no, &top, after.as_ref(), PAGE_ROWS)
            .map_err(VerifyError::Rebuild)?;
        let found = match stored.slots(no, &top, after.as_ref(), PAGE_ROWS) {
            Ok(found) => found,
            Err(source) => {
                // One by one, to say which.
                for (path, _) in &expected {
                    stored.slot(no, path).map_err(unreadable(row(path)))?;
                }
                return Err(unreadable(Row::Any("slots"))(source));
            }
        };
        match page(&found, &expected, row)? {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

fn locations<V: IndexRows, T: IndexRows>(stored: &V, fresh: &T) -> Result<(), Fault<V, T>> {
    let mut after = None;
    loop {
        let expected = fresh.locations(after.as_ref(), PAGE_ROWS);
        let found = stored.locations(after.as_ref(), PAGE_ROWS);
        let found = found.map_err(unreadable(Row::Any("locations")))?;
        let expected = expected.map_err(VerifyError::Rebuild)?;
        match page(&found, &expected, |uid| Row::Location(*uid))? {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

fn archive<V: IndexRows, T: IndexRows>(stored: &V, fresh: &T) -> Result<(), Fault<V, T>> {
    let mut after = None;
    loop {
        let expected = fresh.archive(after.as_ref(), PAGE_ROWS);
        let found = stored.archive(after.as_ref(), PAGE_ROWS);
        let found = found.map_err(unreadable(Row::Any("archived versions")))?;
        let expected = expected.map_err(VerifyError::Rebuild)?;
        let row = |(uid, number): &_| Row::Version(*uid, *number);
        match page(&found, &expected, row)? {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

fn decisions<V: IndexRows, T: IndexRows>(stored: &V, fresh: &T) -> Result<(), Fault<V, T>> {
    let mut after = None;
    loop {
        let expected = fresh.decisions(after.as_ref(), PAGE_ROWS);
        let found = stored.decisions(after.as_ref(), PAGE_ROWS);
        let found = found.map_err(unreadable(Row::Any("decisions")))?;
        let expected = expected.map_err(VerifyError::Rebuild)?;
        match page(&found, &expected, |decision| {
            Row::Decided(decision.proposal)
        })? {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

fn ballots<V: IndexRows, T: IndexRows>(
    stored: &V,
    fresh: &T,
    no: ScopeNo,
) -> Result<(), Fault<V, T>> {
    // Those of a scope that are open fit in memory: people voted on them.
    let end = Timestamp::from_millis(u64::MAX);
    let expected = fresh
        .ballots_before(no, end)
        .map_err(VerifyError::Rebuild)?;
    let found = stored.ballots_before(no, end);
    let found = found.map_err(unreadable(Row::Any("ballots")))?;
    let row = |decision: &Decision| Row::Ballot(decision.proposal);
    page(&found, &expected, row).map(|_| ())
}

/// Compares one page of rows; gives the key to go on after, or none at the end.
fn page<K, R, S, F>(
    found: &[(K, R)],
    expected: &[(K, R)],
    row: impl Fn(&K) -> Row,
) -> Result<Option<K>, VerifyError<S, F>>
where
    K: Ord + Clone,
    R: PartialEq,
    S: std::error::Error + 'static,
    F: std::error::Error + 'static,
{
    for ((found, value), (key, given)) in found.iter().zip(expected) {
        match found.cmp(key) {
            Ordering::Less => return Err(VerifyError::Extra(row(found))),
            Ordering::Greater => return Err(VerifyError::Missing(row(key))),
            Ordering::Equal if value != given => return Err(VerifyError::Differs(row(key))),
            Ordering::Equal => {}
        }
    }
    if let Some((key, _)) = found.get(expected.len()) {
        return Err(VerifyError::Extra(row(key)));
    }
    if let Some((key, _)) = expected.get(found.len()) {
        return Err(VerifyError::Missing(row(key)));
    }
    Ok(expected.last().map(|(key, _)| key.clone()))
}

/// Walks both tries node by node. They follow from the slots, but the next root is computed from
/// them.
fn trie<V: IndexRows, T: IndexRows>(
    stored: &V,
    fresh: &T,
    no: ScopeNo,
    prefix: Prefix,
) -> Result<(), Fault<V, T>> {
    let row = Row::TrieNode(no);
    let found = stored.node(no, prefix).map_err(unreadable(row.clone()))?;
    let expected = fresh.node(no, prefix).map_err(VerifyError::Rebuild)?;
    match (&found, &expected) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(VerifyError::Extra(row)),
        (None, Some(_)) => Err(VerifyError::Missing(row)),
        (Some(Node::Bucket(found)), Some(Node::Bucket(expected))) => {
            let leaf = |position: &Position| Row::Leaf(no, Digest::from_bytes(*position));
            page(found, expected, leaf).map(|_| ())
        }
        (Some(found), Some(expected)) if found != expected => Err(VerifyError::Differs(row)),
        (Some(_), Some(_)) => {
            (0..16).try_for_each(|nibble| trie(stored, fresh, no, prefix.child(nibble)))
        }
    }
}

/// Finds rows that no lookup reaches: under numbers of scopes that do not exist, beyond a head.
fn counts<V: IndexRows, T: IndexRows>(stored: &V, fresh: &T) -> Result<(), Fault<V, T>> {
    let found = stored
        .row_counts()
        .map_err(unreadable(Row::Any("row counts")))?;
    let expected = fresh.row_counts().map_err(VerifyError::Rebuild)?;
    for ((kind, stored), (_, replayed)) in found.named().into_iter().zip(expected.named()) {
        if stored != replayed {
            return Err(VerifyError::Count {
                kind,
                stored,
                replayed,
            });
        }
    }
    Ok(())
}
