//! `Lamp`: what the anchors of this node say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::base::keys::{PublicKey, Signer};
use crate::base::lock::locked;
use crate::base::signed::Verified;
use crate::base::time::Timestamp;
use crate::governance::beacon::{Beacon, BeaconTree, Placed, Sight, Word};
use crate::index::replica::ReplicaView;
use crate::index::state::ScopeNo;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{BeaconStore, Clock, IndexFailure, Parts, Store};
use crate::service::resolver::error_chain;

use super::{Beacons, EARLY, TICK};

/// So many times as long as beacons took to make, no new ones are made: commits that follow each other
/// closely share one, and a node with many scopes spends a twentieth of a core on them at most.
const REST: u32 = 20;

/// The beacons that are in force.
#[derive(Debug, Default)]
pub(super) struct Lamp {
    lit: BTreeMap<PublicKey, Lit>,
    /// The anchors of each scope.
    by_scope: BTreeMap<ScopeUid, Vec<PublicKey>>,
    /// The time of the last beacons, also of an earlier run.
    spoken: Option<Timestamp>,
    /// The clock went back behind that.
    is_silent: bool,
}

/// The beacon of one anchor, and what it is over.
#[derive(Debug)]
struct Lit {
    beacon: Verified<Beacon>,
    tree: BeaconTree,
}

/// One anchor's key, and where its scopes stand.
type Seen = (Arc<dyn Signer>, Vec<Sight>);

impl Lamp {
    /// The last beacon of an anchor.
    pub(super) fn beacon(&self, anchor: &PublicKey) -> Option<&Verified<Beacon>> {
        self.lit.get(anchor).map(|lit| &lit.beacon)
    }

    /// Where a scope has its places.
    pub(super) fn places(
        &self,
        scope: ScopeUid,
    ) -> impl Iterator<Item = (&Verified<Beacon>, Placed)> {
        let anchors = self.by_scope.get(&scope).into_iter().flatten();
        anchors.filter_map(move |anchor| {
            let lit = self.lit.get(anchor)?;
            Some((&lit.beacon, lit.tree.place(&scope)?))
        })
    }

    /// What is said of a scope.
    pub(super) fn words(&self, scope: &ScopeUid) -> Vec<Word> {
        let places = self.places(*scope);
        let words = places.filter_map(|(beacon, placed)| Word::new(beacon.clone(), placed));
        words.collect()
    }

    /// The last beacon of an anchor, if it need not say anything new.
    fn still(&self, anchor: &PublicKey, sights: &[Sight], due: Timestamp) -> bool {
        let lit = self.lit.get(anchor);
        lit.is_some_and(|lit| lit.tree.sights() == sights && lit.beacon.object().time > due)
    }

    /// When anchors of this node spoke last in an earlier run.
    pub(super) fn remember(&mut self, spoken: Option<Timestamp>) {
        self.spoken = self.spoken.max(spoken);
    }

    /// Whether anchors may speak at a time: what they say would contradict what they said, if the clock
    /// went back.
    fn may_speak(&mut self, now: Timestamp) -> bool {
        let is_silent = self.spoken.is_some_and(|spoken| now <= spoken);
        if let (true, false, Some(spoken)) = (is_silent, self.is_silent, self.spoken) {
            tracing::warn!(%spoken, %now, "the clock went back; anchors here say nothing until it is later than they spoke last");
        }
        self.is_silent = is_silent;
        !is_silent
    }
}

impl<P: Parts> Beacons<P> {
    /// Makes beacons in time, and when scopes went on, until told to stop.
    pub async fn shine<S: BeaconStore>(self: Arc<Self>, store: Arc<S>, stop: CancellationToken) {
        let every = Duration::from_millis(self.rules.every_ms);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last: Option<(Instant, u64)> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let commits = self.store.commits();
            if last.is_some_and(|(at, seen)| seen == commits && at.elapsed() + EARLY < every) {
                continue;
            }
            let began = Instant::now();
            last = Some((began, commits));
            let (shining, store) = (Arc::clone(&self), Arc::clone(&store));
            // A program that signs may take its time.
            let lit = spawn_blocking(move || shining.light(store.as_ref())).await;
            let failed = match lit {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = failed {
                tracing::error!(error, "anchors of this node cannot say where scopes stand");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(began.elapsed() * REST) => {}
            }
        }
    }

    /// Makes the beacons that are due, or that say something new.
    fn light<S: BeaconStore>(&self, store: &S) -> Result<(), String> {
        // What is read after this moment says at least what held then.
        let now = self.clock.now();
        if !locked(&self.lamp).may_speak(now) {
            return Ok(());
        }
        let seen = self.look().map_err(|error| error_chain(&error))?;
        let early_ms = u64::try_from(EARLY.as_millis()).unwrap_or(u64::MAX);
        let old_ms = self.rules.every_ms.saturating_sub(early_ms);
        let due = Timestamp::from_millis(now.as_millis().saturating_sub(old_ms));
        let mut by_scope: BTreeMap<ScopeUid, Vec<PublicKey>> = BTreeMap::new();
        for (anchor, (_, sights)) in &seen {
            for sight in sights {
                by_scope.entry(sight.scope).or_default().push(*anchor);
            }
        }
        let anchors: BTreeSet<PublicKey> = seen.keys().copied().collect();
        let mut new = BTreeMap::new();
        for (anchor, (signer, sights)) in seen {
            if locked(&self.lamp).still(&anchor, &sights, due) {
                continue;
            }
            let Some(tree) = BeaconTree::new(sights) else {
                continue;
            };
            match Verified::sign(tree.beacon(anchor, now), &signer) {
                Ok(beacon) => drop(new.insert(anchor, Lit { beacon, tree })),
                Err(error) => {
                    let anchor = anchor.short();
                    tracing::warn!(%error, %anchor, "an anchor cannot sign its beacon");
                }
            }
        }
        if !new.is_empty() {
            store.speak(now).map_err(|error| error_chain(&error))?;
        }
        let mut lamp = locked(&self.lamp);
        if !new.is_empty() {
            lamp.spoken = Some(now);
        }
        lamp.lit.extend(new);
        lamp.lit.retain(|anchor, _| anchors.contains(anchor));
        lamp.by_scope = by_scope;
        Ok(())
    }

    /// Where the scopes stand that keys of this node decide over, by key and in their order. What is
    /// only followed is decided elsewhere, even where its keys are here.
    fn look(&self) -> Result<BTreeMap<PublicKey, Seen>, IndexFailure<P>> {
        let snapshot = self.store.latest();
        let mut seen: BTreeMap<PublicKey, Seen> = BTreeMap::new();
        let mut joint = BTreeSet::new();
        for no in 0..snapshot.scope_count()? {
            let Some(state) = snapshot.shared_scope(ScopeNo(no))? else {
                continue;
            };
            let seats = self.keyring.seats(&state.descriptor);
            if seats.is_empty() {
                continue;
            }
            if self.council.is_joint(&state) {
                joint.insert(state.uid);
            } else if snapshot.mirror(&state.uid)?.is_some() {
                continue;
            }
            let sight = Sight {
                scope: state.uid,
                height: state.height,
                head: state.head,
                has_precommitted: self.council.has_precommitted(&state.uid, state.height),
            };
            for seat in seats {
                let of_key = seen.entry(seat.public());
                of_key.or_insert_with(|| (seat, Vec::new())).1.push(sight);
            }
        }
        for (_, sights) in seen.values_mut() {
            sights.sort_by_key(|sight| sight.scope);
        }
        *locked(&self.joint) = joint;
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_silent_until_the_clock_is_later_than_they_spoke_last() {
        let at = Timestamp::from_millis;
        let mut lamp = Lamp::default();
        assert!(lamp.may_speak(at(5)));
        lamp.remember(Some(at(9)));
        assert!(!lamp.may_speak(at(8)));
        assert!(!lamp.may_speak(at(9)));
        assert!(lamp.may_speak(at(10)));
        lamp.remember(None);
        assert!(!lamp.may_speak(at(9)));
    }
}
