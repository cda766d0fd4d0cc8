//! Which paths of a scope may differ from what they were.

use std::collections::BTreeSet;

use crate::governance::op::Op;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::path::NamePath;

use super::{AsOf, LabelChange, Seen};

/// Slots that are read at once.
const SLOTS_PAGE: usize = 1_000;

/// What changes since a height touched.
pub(super) struct Touched {
    /// Every path whose entry may differ; some that do not.
    pub(super) paths: BTreeSet<NamePath>,
    /// How many entries were registered.
    pub(super) registered: u64,
}

impl<V: IndexView> AsOf<'_, V> {
    /// Reads the changes after a height.
    pub(super) fn touched(
        &self,
        now: &ScopeState,
        height: u64,
    ) -> Seen<(Touched, Vec<LabelChange>), V> {
        let mut paths = BTreeSet::new();
        let mut registered = 0;
        let mut labels = Vec::new();
        let mut subtrees = Vec::new();
        for at in height + 1..=now.height {
            let link = self.link_of(now, at)?;
            let proposals = link.body.passed();
            for op in proposals.flat_map(|decided| &decided.proposal.unverified().ops) {
                paths.extend(op.path());
                match op {
                    Op::Register { .. } => registered += 1,
                    Op::Delegate { child, .. } => {
                        labels.push(LabelChange::Delegated(child.scope_uid()));
                    }
                    Op::Rename { from, to, subtree } => {
                        paths.insert(to.clone());
                        if *subtree {
                            subtrees.push((from.clone(), to.clone()));
                        }
                        let (from, to) = (from.clone(), to.clone());
                        labels.push(LabelChange::Renamed { from, to });
                    }
                    _ => {}
                }
            }
        }
        // Backwards: what a later change took further is among the paths when an earlier one is
        // undone.
        for (from, to) in subtrees.iter().rev() {
            self.touch_subtree(now, &mut paths, (from, to))?;
        }
        Ok((Touched { paths, registered }, labels))
    }

    /// Whatever a subtree rename took along stands at its new place still, or was touched since.
    fn touch_subtree(
        &self,
        now: &ScopeState,
        paths: &mut BTreeSet<NamePath>,
        (from, to): (&NamePath, &NamePath),
    ) -> Seen<(), V> {
        let mut after = None;
        loop {
            let page = self.base.slots(now.no, to, after.as_ref(), SLOTS_PAGE);
            let page = self.lift(page)?;
            self.spend(now.uid, page.len())?;
            after = page.last().map(|(path, _)| path.clone());
            let is_last = page.len() < SLOTS_PAGE;
            paths.extend(page.into_iter().map(|(path, _)| path));
            if is_last {
                break;
            }
        }
        let before = before_rename(paths, from, to);
        self.spend(now.uid, before.len())?;
        paths.extend(before);
        Ok(())
    }

    /// Adds to `paths` all from which entries came to them up to a height, so that what is known of
    /// these paths alone tells what the first ones held.
    pub(super) fn with_origins(
        &self,
        now: &ScopeState,
        height: u64,
        mut paths: BTreeSet<NamePath>,
    ) -> Seen<BTreeSet<NamePath>, V> {
        for at in (1..=height).rev() {
            let link = self.link_of(now, at)?;
            let proposals = link.body.passed().rev();
            let ops = proposals.flat_map(|decided| decided.proposal.unverified().ops.iter().rev());
            for op in ops {
                let Op::Rename { from, to, .. } = op else {
                    continue;
                };
                // Also for single names: a delegation takes what is below along, and more paths
                // than needed do no harm.
                let mut before = before_rename(&paths, from, to);
                if !before.is_empty() || below(&paths, from).next().is_some() {
                    before.push(from.clone());
                }
                self.spend(now.uid, before.len())?;
                paths.extend(before);
            }
        }
        Ok(paths)
    }
}

/// Where what is at and below `to` was before a rename.
fn before_rename(paths: &BTreeSet<NamePath>, from: &NamePath, to: &NamePath) -> Vec<NamePath> {
    below(paths, to)
        .filter_map(|path| path.rebase(to, from))
        .collect()
}

fn below<'p>(
    paths: &'p BTreeSet<NamePath>,
    top: &NamePath,
) -> impl Iterator<Item = &'p NamePath> + use<'p> {
    let top = top.clone();
    paths
        .range(top.clone()..)
        .take_while(move |path| path.is_within(&top))
}
