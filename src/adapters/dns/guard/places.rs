//! `Places`: how many questions may wait at the same time, and of whom.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::subscriber::network_of;

/// Counts of networks; two that share one have a share together.
const COUNTS: usize = 1 << 12;
/// The part of all places that one network has for certain when others want them too.
const SHARE: usize = 16;

/// Places for questions that wait. Half of them are for whoever comes; of the other half one network
/// gets no more than makes its share of all, so that it cannot take the last place from the others.
#[derive(Debug, Clone)]
pub struct Places(Arc<Table>);

#[derive(Debug)]
struct Table {
    taken: AtomicUsize,
    places_max: usize,
    by_network: Box<[AtomicUsize]>,
    /// With a key of its own, so that nobody can choose networks that share a count.
    hasher: RandomState,
}

/// One of them; free again when this is dropped.
#[derive(Debug)]
pub struct TakenPlace {
    table: Arc<Table>,
    network: usize,
}

impl Places {
    /// So many places, all of them free.
    pub fn new(places_max: usize) -> Self {
        Self(Arc::new(Table {
            taken: AtomicUsize::new(0),
            places_max,
            by_network: (0..COUNTS).map(|_| AtomicUsize::new(0)).collect(),
            hasher: RandomState::new(),
        }))
    }

    /// A place for a question of a client; none if there is none for its network.
    pub fn take(&self, client: IpAddr) -> Option<TakenPlace> {
        let table = &self.0;
        let hash = table.hasher.hash_one(network_of(client));
        let network = usize::try_from(hash).unwrap_or(usize::MAX) % COUNTS;
        let of_network = table.by_network.get(network)?;
        let share = table.places_max.div_ceil(SHARE);
        let taken = table.taken.fetch_add(1, Ordering::Relaxed);
        let of_it = of_network.fetch_add(1, Ordering::Relaxed);
        let place = TakenPlace {
            table: Arc::clone(table),
            network,
        };
        // Dropped if there is none, and both counts with it.
        let is_free = taken < table.places_max / 2 || taken < table.places_max && of_it < share;
        is_free.then_some(place)
    }
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        self.table.taken.fetch_sub(1, Ordering::Relaxed);
        if let Some(of_network) = self.table.by_network.get(self.network) {
            of_network.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_cannot_take_what_others_need() {
        let places = Places::new(64);
        let take = |from: &str| places.take(from.parse().unwrap());
        let greedy: Vec<_> = std::iter::from_fn(|| take("192.0.2.1")).collect();
        assert_eq!(greedy.len(), 32, "half of them");
        assert!(take("192.0.2.77").is_none(), "the same network");
        let modest: Vec<_> = std::iter::from_fn(|| take("198.51.100.1")).collect();
        assert_eq!(modest.len(), 4, "its share");
        let others: Vec<_> = (0..100)
            .filter_map(|net| take(&format!("10.0.{net}.1")))
            .collect();
        assert_eq!(others.len(), 28, "and no more than there are");
        drop((greedy, modest));
        let again: Vec<_> = std::iter::from_fn(|| take("203.0.113.1")).collect();
        assert_eq!(
            again.len(),
            4,
            "28 are taken, so four to the half, which is its share"
        );
    }

    #[test]
    fn places_that_are_given_back_are_free() {
        let places = Places::new(8);
        for _ in 0..100 {
            assert!(places.take("192.0.2.1".parse().unwrap()).is_some());
        }
        assert_eq!(places.0.taken.load(Ordering::Relaxed), 0);
        let of_all = places.0.by_network.iter();
        assert!(
            of_all
                .map(|count| count.load(Ordering::Relaxed))
                .all(|count| count == 0)
        );
    }
}
