//! `Floors`: how far scopes of other nodes were proven to be, also those of which nothing else is known
//! any more. They outlast the node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::index::floor::Floor;
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{FloorChange, FloorStore};
use crate::service::resolver::error_chain;

use super::Learner;

/// Scopes of which it is remembered, at some 250 bytes: more than a node asks for.
const FLOORS_MAX: usize = 65_536;
/// How late a floor is on the disk, at most: what a crash forgets is believed again only if nobody
/// proves better meanwhile.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// The floors of a node, and which of them the disk does not have.
#[derive(Debug, Default)]
pub(super) struct Floors {
    by_scope: BTreeMap<ScopeUid, Floor>,
    changed: BTreeSet<ScopeUid>,
}

impl Floors {
    /// Floors that were kept.
    pub(super) fn of(kept: Vec<Floor>) -> Self {
        Self {
            by_scope: kept.into_iter().map(|floor| (floor.scope, floor)).collect(),
            changed: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, scope: &ScopeUid) -> Option<&Floor> {
        self.by_scope.get(scope)
    }

    /// The scopes whose anchors contradict themselves.
    pub(super) fn frozen(&self) -> impl Iterator<Item = &Floor> {
        self.by_scope.values().filter(|floor| floor.is_frozen)
    }

    /// Notes where a scope was proven to be.
    pub(super) fn raise(&mut self, floor: Floor) {
        let held = self.by_scope.insert(floor.scope, floor);
        let same = held.is_some_and(|held| {
            Floor {
                proven: floor.proven,
                ..held
            } == floor
        });
        if !same {
            self.changed.insert(floor.scope);
        }
        if self.by_scope.len() > FLOORS_MAX {
            self.make_room();
        }
    }

    /// Notes that two blocks of a scope's height have certificates.
    pub(super) fn freeze(&mut self, scope: &ScopeUid) {
        if let Some(floor) = self.by_scope.get_mut(scope) {
            floor.is_frozen = true;
            self.changed.insert(*scope);
        }
    }

    /// Forgets the half that was proven longest ago, but for what is frozen.
    fn make_room(&mut self) {
        let sound = self.by_scope.values().filter(|floor| !floor.is_frozen);
        let mut by_age: Vec<_> = sound.map(|floor| (floor.proven, floor.scope)).collect();
        by_age.sort_unstable();
        by_age.truncate(FLOORS_MAX / 2);
        for (_, scope) in by_age {
            self.by_scope.remove(&scope);
            self.changed.insert(scope);
        }
    }

    /// What the disk does not have.
    pub(super) fn take_changed(&mut self) -> Vec<FloorChange> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let floor = |scope| (scope, self.by_scope.get(&scope).copied());
        changed.map(floor).collect()
    }

    /// What was taken is not on the disk after all.
    pub(super) fn not_written(&mut self, changes: &[FloorChange]) {
        self.changed.extend(changes.iter().map(|(scope, _)| *scope));
    }
}

impl Learner {
    /// Takes in the floors that were kept, before anything is asked.
    pub fn remember(&self, floors: Vec<Floor>) {
        self.book.remember(floors);
    }

    /// Writes floors down as they rise, until told to stop.
    pub async fn keep_floors<S: FloorStore>(self: Arc<Self>, store: S, stop: CancellationToken) {
        let store = Arc::new(store);
        let mut ticks = tokio::time::interval(WRITE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            let stops = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
            };
            let changed = self.book.take_changed_floors();
            if !changed.is_empty() {
                let (store, changes) = (Arc::clone(&store), changed.clone());
                let written = spawn_blocking(move || store.write(&changes)).await;
                let failed = match written {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error_chain(&error)),
                    Err(error) => Some(error.to_string()),
                };
                if let Some(error) = &failed {
                    self.book.floors_not_written(&changed);
                    if !is_failing {
                        tracing::error!(%error, "where scopes were proven to be cannot be written down");
                    }
                }
                is_failing = failed.is_some();
            }
            if stops {
                return;
            }
        }
    }
}
