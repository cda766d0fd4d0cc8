//! `Book`: the journeys of a node, when each is tried next, and what the disk does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::index::journey::{Journey, Side};
use crate::service::ports::JourneyChange;

use super::{Key, WAIT_MAX, WAIT_MIN};

/// Journeys that are over and still shown; older ones are forgotten.
const OVER_MAX: usize = 256;
/// Entries that come at the same time.
const ARRIVALS_MAX: usize = 1_024;
/// The same of one peer.
const ARRIVALS_PER_PEER_MAX: usize = 128;

#[derive(Debug, Clone, Copy)]
struct Due {
    at: Instant,
    wait: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    journeys: BTreeMap<Key, Journey>,
    changed: BTreeSet<Key>,
    due: BTreeMap<Key, Due>,
    /// What was brought of entries that left, by petition. It is brought again after a restart.
    passages: BTreeMap<Digest, Vec<u8>>,
}

impl Book {
    pub(super) fn of(kept: Vec<Journey>) -> Self {
        let mut book = Self::default();
        for journey in kept {
            let key = journey.key();
            // Also what is over: a path may have to be given back, or an entry have left after all.
            book.due.insert(key, now());
            book.journeys.insert(key, journey);
        }
        book
    }

    pub(super) fn get(&self, key: &Key) -> Option<Journey> {
        self.journeys.get(key).cloned()
    }

    pub(super) fn all(&self) -> Vec<Journey> {
        self.journeys.values().cloned().collect()
    }

    pub(super) fn under_way(&self, side: Side) -> impl Iterator<Item = &Journey> {
        let journeys = self.journeys.values();
        journeys.filter(move |journey| journey.side == side && !journey.stage.is_over())
    }

    /// Whether there is room for one more entry that a peer brings.
    pub(super) fn has_room(&self, peer: &PublicKey) -> bool {
        let (mut all, mut of_peer) = (0, 0);
        for journey in self.under_way(Side::Comes) {
            all += 1;
            of_peer += usize::from(journey.peer.as_ref() == Some(peer));
        }
        all < ARRIVALS_MAX && of_peer < ARRIVALS_PER_PEER_MAX
    }

    /// Notes where a journey is; one that went on is tried at once, one that did not ever more seldom.
    pub(super) fn put(&mut self, journey: Journey) {
        let key = journey.key();
        let before = self.journeys.get(&key);
        let went_on = before.is_none_or(|before| before.stage != journey.stage);
        let is_same = before == Some(&journey);
        let is_over = journey.stage.is_over();
        // What is over may leave a path to be given back: it is looked at once more.
        if went_on {
            self.due.insert(key, now());
        } else if is_over {
            self.due.remove(&key);
        } else {
            let due = self.due.entry(key).or_insert_with(now);
            due.at = Instant::now() + due.wait;
            due.wait = (due.wait * 2).min(WAIT_MAX);
        }
        if is_over {
            self.passages.remove(&key.1);
        }
        if !is_same {
            self.journeys.insert(key, journey);
            self.changed.insert(key);
            self.forget();
        }
    }

    fn forget(&mut self) {
        let over = self.journeys.iter().filter(|(_, j)| j.stage.is_over());
        let mut over: Vec<_> = over.map(|(key, j)| (j.changed, *key)).collect();
        if over.len() <= OVER_MAX {
            return;
        }
        over.sort_unstable();
        over.truncate(over.len() - OVER_MAX);
        for (_, key) in over {
            self.journeys.remove(&key);
            self.due.remove(&key);
            self.passages.remove(&key.1);
            self.changed.insert(key);
        }
    }

    /// Something of it could not be done: it is tried again, also if it is over.
    pub(super) fn retry(&mut self, key: Key) {
        self.due.entry(key).or_insert(Due {
            at: Instant::now() + WAIT_MAX,
            wait: WAIT_MAX,
        });
    }

    pub(super) fn bring(&mut self, petition: Digest, passage: Vec<u8>) {
        self.passages.insert(petition, passage);
        if let Some(due) = self.due.get_mut(&(Side::Comes, petition)) {
            *due = now();
        }
    }

    pub(super) fn passage(&self, petition: &Digest) -> Option<Vec<u8>> {
        self.passages.get(petition).cloned()
    }

    pub(super) fn refuse_passage(&mut self, petition: &Digest) {
        self.passages.remove(petition);
    }

    /// Everything is tried again at once.
    pub(super) fn hurry(&mut self) {
        for due in self.due.values_mut() {
            *due = now();
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.values().map(|due| due.at).min()
    }

    /// What is to be tried now. It is tried again unless it is said when.
    pub(super) fn take_due(&mut self, at: Instant) -> Vec<Key> {
        let mut keys = Vec::new();
        for (key, due) in &mut self.due {
            if due.at <= at {
                keys.push(*key);
                due.at = at + due.wait;
            }
        }
        keys
    }

    pub(super) fn take_changed(&mut self) -> Vec<JourneyChange> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed
            .map(|key| (key, self.journeys.get(&key).cloned()))
            .collect()
    }

    pub(super) fn not_written(&mut self, changes: &[JourneyChange]) {
        self.changed.extend(changes.iter().map(|(key, _)| *key));
    }
}

fn now() -> Due {
    Due {
        at: Instant::now(),
        wait: WAIT_MIN,
    }
}
