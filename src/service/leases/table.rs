//! `Table`: the services of a node, for readers that take no lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::namespace::uid::Uid;
use crate::resolution::instances::{Elsewhere, Nearness, Service, Services};

/// Parts of the table that are replaced alone: with a hundred thousand services a change copies
/// the pointers of a hundred.
const SHARDS: usize = 1_024;

/// A service as it is now; none if it is gone.
pub(super) type Changed = (Uid, Option<Arc<Service>>);

type Shard = BTreeMap<Uid, Arc<Service>>;

/// Every service, in parts that are swapped whole.
pub struct Table {
    shards: Vec<ArcSwap<Shard>>,
    arrivals: AtomicU64,
    nearness: ArcSwap<Nearness>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Table")
    }
}

impl Default for Table {
    fn default() -> Self {
        let shard = || ArcSwap::from_pointee(Shard::new());
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            arrivals: AtomicU64::new(0),
            nearness: ArcSwap::default(),
        }
    }
}

impl Table {
    /// Puts services in force, or takes them out where there is none.
    pub(super) fn publish(&self, changed: impl IntoIterator<Item = Changed>) {
        let mut by_shard: BTreeMap<usize, Vec<Changed>> = BTreeMap::new();
        for (uid, service) in changed {
            by_shard
                .entry(number(&uid))
                .or_default()
                .push((uid, service));
        }
        for (at, changed) in by_shard {
            let Some(shard) = self.shards.get(at) else {
                continue;
            };
            let mut next = Shard::clone(&shard.load());
            let mut has_new = false;
            for (uid, service) in changed {
                match service {
                    Some(service) => has_new |= next.insert(uid, service).is_none(),
                    None => drop(next.remove(&uid)),
                }
            }
            shard.store(Arc::new(next));
            if has_new {
                self.arrivals.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Changes what is known of where things are.
    pub fn change_nearness(&self, change: impl Fn(&mut Nearness)) {
        self.nearness.rcu(|known| {
            let mut next = Nearness::clone(known);
            change(&mut next);
            next
        });
    }

    /// Every service, in no order that means anything.
    pub fn all(&self) -> Vec<Arc<Service>> {
        let shards = self.shards.iter().map(ArcSwap::load_full);
        shards
            .flat_map(|shard| shard.values().cloned().collect::<Vec<_>>())
            .collect()
    }
}

/// UIDs are digests: any bytes of them are evenly spread.
fn number(uid: &Uid) -> usize {
    let [a, b, ..] = *uid.as_bytes();
    usize::from(u16::from_be_bytes([a, b])) % SHARDS
}

impl Services for Table {
    fn service(&self, uid: &Uid) -> Option<Arc<Service>> {
        let shard = self.shards.get(number(uid))?;
        shard.load().get(uid).cloned()
    }

    fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Acquire)
    }

    fn elsewhere(&self, _: &Uid) -> Elsewhere {
        Elsewhere::Silent
    }

    fn nearness(&self) -> Arc<Nearness> {
        self.nearness.load_full()
    }
}
