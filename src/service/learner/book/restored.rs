//! What was proven before the node started, taken back in.

use crate::base::time::Timestamp;
use crate::index::entry::Slot;
use crate::index::proof::{KeptScope, Regained};
use crate::index::state::{Edge, ScopeNo};
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

use super::super::untaught::Untaught;
use super::{Book, FRESH_MS, Known, STALE_MS_MAX, Taught};

use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How long a scope may be heard before the disk is told, in milliseconds: what is known is of use for a
/// day from then on, and ten minutes less do not matter.
const TOLD_EVERY_MS: u64 = 600_000;

/// What became of facts that were read back.
#[derive(Debug, Default)]
pub(in crate::service::learner) struct Restored {
    /// When the last scope of them was heard, if any was taken in.
    pub(in crate::service::learner) heard: Option<Timestamp>,
    /// Whether all of them count as present.
    pub(in crate::service::learner) is_fresh: bool,
}

impl Book {
    /// Takes in what was kept and verified again, the topmost scope first, which hangs by `edge`. What
    /// is behind what is known otherwise is not taken. How long the node was away only its clock
    /// says, which may have been set: so nothing of it is fresh until somebody says that it did not go
    /// on.
    pub(in crate::service::learner) fn restore(
        &self,
        scopes: Vec<Regained>,
        edge: Option<Edge>,
        now: Timestamp,
    ) -> Restored {
        let mut known = self.write();
        self.begin_anew_if_full(&mut known);
        let mut restored = Restored {
            heard: None,
            is_fresh: true,
        };
        let mut edge = edge;
        for regained in scopes {
            let Some(next) = self.restore_scope(&mut known, (regained, edge), now) else {
                restored.is_fresh = false;
                break;
            };
            restored.heard = Some(next.heard);
            restored.is_fresh &= next.is_fresh;
            edge = next.below;
        }
        known.make_room();
        restored
    }

    fn restore_scope(
        &self,
        known: &mut Known,
        (mut regained, edge): (Regained, Option<Edge>),
        now: Timestamp,
    ) -> Option<Next> {
        let uid = regained.scope.uid;
        let older = std::mem::take(&mut regained.older);
        let ways = [
            regained.scope.slots.last().map(|(path, _)| path),
            older.last().map(|(_, path, _)| path),
        ];
        let deepest = ways
            .into_iter()
            .flatten()
            .max_by_key(|path| path.label_count());
        let below = deepest.and_then(|path| path.labels().next());
        let is_present = known.by_uid.get(&uid).is_some_and(|present| {
            present.head() == (regained.scope.head.height, regained.kept.head)
        });
        if is_present {
            let no = known.by_uid.get(&uid)?.state.no;
            let height = regained.scope.head.height;
            for (path, slot) in regained.scope.slots {
                self.note_slot((no, path), height, slot);
            }
        } else {
            let taught = known.judge_kept(&regained, now)?;
            self.lay_down(known, (regained.scope, edge), &taught, now);
        }
        let scope = known.by_uid.get(&uid)?;
        let no = scope.state.no;
        let is_fresh = scope.is_fresh(now) && older.is_empty();
        self.note_older(no, older);
        Some(Next {
            heard: Timestamp::from_millis(scope.heard.load(Ordering::Relaxed)),
            is_fresh,
            below: below.map(|label| scope.state.child_edge(&label)),
        })
    }

    /// What is of a block before the last one is shown as stale, unless something newer is known.
    fn note_older(&self, no: ScopeNo, older: Vec<(u64, NamePath, Option<Slot>)>) {
        for (height, path, slot) in older {
            let present = self.slots.get(&(no, path.clone()));
            if present.is_none_or(|present| present.height < height) {
                self.note_slot((no, path), height, slot);
            }
        }
    }

    /// Whether a block is the last one that is known of a scope.
    pub(in crate::service::learner) fn stands_at(&self, kept: &KeptScope) -> bool {
        let known = self.read();
        let scope = known.by_uid.get(&kept.scope);
        scope.is_some_and(|scope| scope.state.head == kept.head)
    }

    /// Where a scope stands, if the disk should know that it was heard since.
    pub(in crate::service::learner) fn to_be_told(&self, uid: &ScopeUid) -> Option<KeptScope> {
        let scope = Arc::clone(self.read().by_uid.get(uid)?);
        let heard = scope.heard.load(Ordering::Relaxed);
        let told = scope.kept.load(Ordering::Relaxed);
        (heard.saturating_sub(told) >= TOLD_EVERY_MS).then(|| {
            scope.kept.store(heard, Ordering::Relaxed);
            KeptScope {
                scope: scope.state.uid,
                head: scope.state.head,
                heard: Timestamp::from_millis(heard),
                from: scope.from,
            }
        })
    }
}

/// A scope that was taken in, and what follows for the next one.
struct Next {
    heard: Timestamp,
    is_fresh: bool,
    below: Option<Edge>,
}

impl Known {
    /// How a scope that was kept may be taken in; not at all where more is known of it, or for too long
    /// nothing.
    fn judge_kept(&mut self, regained: &Regained, now: Timestamp) -> Option<Taught> {
        let KeptScope {
            scope: uid,
            heard,
            from,
            head,
        } = regained.kept;
        let is_frozen = match self.compare(&regained.scope) {
            Ok(()) => false,
            // The first of two blocks is served as it was.
            Err(Untaught::Forked { .. }) => {
                let floor = self.floors.get(&uid)?;
                if floor.block != head {
                    return None;
                }
                true
            }
            Err(_) => return None,
        };
        // A clock that was set back makes nothing younger than stale.
        let heard = if heard > now {
            Timestamp::from_millis(now.as_millis().saturating_sub(FRESH_MS))
        } else {
            heard
        };
        let is_of_use = is_frozen || now.millis_since(heard) < FRESH_MS + STALE_MS_MAX;
        is_of_use.then_some(Taught {
            from,
            heard,
            is_frozen,
            is_unconfirmed: true,
        })
    }
}
