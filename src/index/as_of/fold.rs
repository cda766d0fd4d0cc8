//! What some paths of a scope held at a height: its changes from genesis on, without judging them
//! again and without record sets.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::digest::Digest;
use crate::governance::op::Op;
use crate::index::entry::{Entry, Last, Redirect};
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::{AsOf, Seen};

/// The digest of a version of which only the number is known yet.
const UNREAD: Digest = Digest::ZERO;

/// What a path held, with numbers for versions.
#[derive(Debug, Clone)]
pub(super) enum Held {
    /// An entry at a version.
    Bound(Uid, u64),
    /// The last version of an entry that ended; none for a redirect.
    Retired(Option<(Uid, u64)>),
    /// An entry without versions.
    Other(Box<Entry>),
}

impl Held {
    pub(super) fn is_live(&self) -> bool {
        match self {
            Self::Bound(..) => true,
            Self::Retired(_) => false,
            Self::Other(entry) => entry.is_live(),
        }
    }
}

impl<V: IndexView> AsOf<'_, V> {
    /// What `paths` held after the block at a height.
    pub(super) fn fold(
        &self,
        now: &ScopeState,
        height: u64,
        paths: &BTreeSet<NamePath>,
    ) -> Seen<BTreeMap<NamePath, Held>, V> {
        let mut fold = Fold {
            scope: now.uid,
            paths: self.with_origins(now, height, paths.clone())?,
            held: BTreeMap::new(),
            next_uid: 0,
        };
        for at in 1..=height {
            let link = self.link_of(now, at)?;
            for decided in link.body.passed() {
                let digest = std::cell::OnceCell::new();
                let digest = || *digest.get_or_init(|| decided.proposal.digest());
                for op in &decided.proposal.unverified().ops {
                    fold.apply(op, &digest);
                }
            }
        }
        Ok(fold.held)
    }
}

/// Decided changes are right by what their block was checked against; only their traces at some
/// paths are followed.
struct Fold {
    scope: ScopeUid,
    paths: BTreeSet<NamePath>,
    held: BTreeMap<NamePath, Held>,
    next_uid: u64,
}

impl Fold {
    fn apply(&mut self, op: &Op, proposal: &dyn Fn() -> Digest) {
        match op {
            Op::Register { path, .. } => {
                let counter = self.next_uid;
                self.next_uid += 1;
                if self.paths.contains(path) {
                    // Hashing a large proposal is only worth it for a path that is asked for.
                    let uid = Uid::allocate(&self.scope, counter, &proposal());
                    self.put(path, Held::Bound(uid, 1));
                }
            }
            Op::Update { path, .. } | Op::Tag { path, .. } => {
                if let Some(Held::Bound(_, number)) = self.held.get_mut(path) {
                    *number += 1;
                }
            }
            Op::Retire { path } => match self.held.remove(path) {
                Some(Held::Bound(uid, number)) => {
                    self.put(path, Held::Retired(Some((uid, number + 1))));
                }
                Some(Held::Other(entry)) if matches!(*entry, Entry::Moved(_)) => {
                    self.put(path, Held::Retired(None));
                }
                // A reservation leaves nothing; nothing else can be retired.
                _ => {}
            },
            Op::Rename { from, to, subtree } => self.rename(from, to, *subtree),
            Op::Reserve { path, uid, from } => {
                let (uid, from) = (*uid, *from);
                self.put(path, Held::Other(Box::new(Entry::Reserved { uid, from })));
            }
            Op::Transfer { path, to, to_path } => {
                if let Some(Held::Bound(uid, number)) = self.held.remove(path) {
                    self.leave(path, (*to, to_path), (uid, number));
                }
            }
            Op::Adopt {
                path, uid, number, ..
            } => self.put(path, Held::Bound(*uid, number + 1)),
            Op::Delegate { label, child, .. } => {
                let path = NamePath::empty().child(label);
                let child = child.scope_uid();
                self.put(&path, Held::Other(Box::new(Entry::Delegated(child))));
            }
            // Neither changes what stands at a path.
            Op::Reconfigure { .. }
            | Op::Recover { .. }
            | Op::Confirm { .. }
            | Op::Abandon { .. } => {}
        }
    }

    fn rename(&mut self, from: &NamePath, to: &NamePath, subtree: bool) {
        // With no path at either end among those asked for, `from` is not either.
        if !self.paths.contains(from) {
            return;
        }
        let there = (self.scope, to);
        match self.held.get(from).cloned() {
            Some(Held::Other(entry)) if matches!(*entry, Entry::Delegated(_)) => {
                self.put(to, Held::Other(entry));
            }
            _ if subtree => self.take_along(from, to),
            Some(Held::Bound(uid, number)) => {
                self.put(to, Held::Bound(uid, number + 1));
                return self.redirect(from, there, Some(uid), false);
            }
            _ => return,
        }
        self.redirect(from, there, None, true);
    }

    fn take_along(&mut self, from: &NamePath, to: &NamePath) {
        let taken: Vec<(NamePath, Held)> = self
            .held
            .range(from.clone()..)
            .take_while(|(path, _)| path.is_within(from))
            .map(|(path, held)| (path.clone(), held.clone()))
            .collect();
        for (old, held) in taken {
            self.held.remove(&old);
            let Some(new) = old.rebase(from, to) else {
                continue;
            };
            let held = match held {
                Held::Bound(uid, number) => Held::Bound(uid, number + 1),
                other => other,
            };
            self.put(&new, held);
        }
    }

    fn redirect(
        &mut self,
        path: &NamePath,
        (scope, to): (ScopeUid, &NamePath),
        uid: Option<Uid>,
        subtree: bool,
    ) {
        let redirect = Redirect {
            uid,
            scope,
            path: to.clone(),
            subtree,
            last: None,
        };
        self.put(path, Held::Other(Box::new(Entry::Moved(redirect))));
    }

    /// What stands where an entry left for another scope.
    fn leave(&mut self, path: &NamePath, (scope, to): (ScopeUid, &NamePath), last: (Uid, u64)) {
        let (uid, number) = last;
        let redirect = Redirect {
            uid: Some(uid),
            scope,
            path: to.clone(),
            subtree: false,
            last: Some(Last {
                number,
                digest: UNREAD,
            }),
        };
        self.put(path, Held::Other(Box::new(Entry::Moved(redirect))));
    }

    fn put(&mut self, path: &NamePath, held: Held) {
        if self.paths.contains(path) {
            self.held.insert(path.clone(), held);
        }
    }
}
