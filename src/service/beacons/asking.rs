//! Asks peers what anchors said, and answers those that ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::keys::PublicKey;
use crate::base::lock::locked;
use crate::base::signed::{Signed, Verified};
use crate::governance::beacon::{Beacon, Placed, Word};
use crate::index::replica::ReplicaView;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::pull::Complaint;
use crate::replication::wire::{
    BEACONS_PER_REQUEST_MAX, BeaconRow, BeaconWish, PLACES_PER_REQUEST_MAX, Reply, Request,
};
use crate::replication::witness::BEACON_AHEAD_MS_MAX;
use crate::service::ports::{Clock, IndexFailure, Parts, Store};
use crate::service::resolver::error_chain;

use super::Beacons;

/// The scopes whose freshness matters here, with the anchors of other nodes that tell of it.
#[derive(Debug, Default)]
struct Interest {
    by_scope: BTreeMap<ScopeUid, BTreeSet<PublicKey>>,
    by_anchor: BTreeMap<PublicKey, Vec<ScopeUid>>,
}

impl<P: Parts> Beacons<P> {
    /// What anchors said last: of each of these the beacon, and places of these scopes.
    pub fn said(&self, anchors: &[PublicKey], scopes: &[ScopeUid]) -> Vec<BeaconRow> {
        let lamp = locked(&self.lamp);
        let book = locked(&self.book);
        let mut rows: BTreeMap<(PublicKey, u64), (Signed<Beacon>, Vec<Placed>)> = BTreeMap::new();
        let mut put = |beacon: &Verified<Beacon>, placed: Option<Placed>| {
            let Beacon { anchor, time, .. } = *beacon.object();
            let row = rows.entry((anchor, time.as_millis()));
            let row = row.or_insert_with(|| (beacon.signed().clone(), Vec::new()));
            row.1.extend(placed);
        };
        for anchor in anchors {
            if let Some(beacon) = lamp.beacon(anchor).or_else(|| book.beacon(anchor)) {
                put(beacon, None);
            }
        }
        for scope in scopes {
            for (beacon, placed) in lamp.places(*scope) {
                put(beacon, Some(placed));
            }
            for word in book.words(scope) {
                put(word.beacon(), Some(word.testimony().placed));
            }
        }
        let row = |(beacon, places)| BeaconRow { beacon, places };
        rows.into_values().map(row).collect()
    }

    /// Asks every peer that is connected, unless it is being asked.
    pub(super) fn ask_all(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let Some(network) = self.council.network() else {
            return;
        };
        let interest = match self.interest() {
            Ok(interest) => Arc::new(interest),
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(error, "what is followed cannot be read");
                return;
            }
        };
        locked(&self.book).keep(&interest.by_scope);
        if interest.by_anchor.is_empty() {
            return;
        }
        for peer in network.peers() {
            if !peer.is_connected || !locked(&self.under_way).insert(peer.id) {
                continue;
            }
            let (asking, stopped) = (Arc::clone(self), stop.clone());
            let interest = Arc::clone(&interest);
            tasks.spawn(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = asking.ask(peer.id, interest) => {}
                }
                locked(&asking.under_way).remove(&peer.id);
            });
        }
    }

    /// The scopes that are followed, and those that seats here govern together with others.
    fn interest(&self) -> Result<Interest, IndexFailure<P>> {
        let snapshot = self.store.latest();
        let mut scopes = locked(&self.joint).clone();
        scopes.extend(snapshot.mirrors()?.into_iter().map(|mirror| mirror.scope));
        let mut interest = Interest::default();
        for scope in scopes {
            let Some(no) = snapshot.scope_no(&scope)? else {
                continue;
            };
            let Some(state) = snapshot.shared_scope(no)? else {
                continue;
            };
            let is_joint = self.council.is_joint(&state);
            let seats = state.descriptor.anchors.anchors().iter();
            let seats: BTreeSet<PublicKey> = seats
                .map(|anchor| anchor.vote_key)
                .filter(|key| !is_joint || !self.keyring.holds(key))
                .collect();
            for anchor in &seats {
                interest.by_anchor.entry(*anchor).or_default().push(scope);
            }
            interest.by_scope.insert(scope, seats);
        }
        Ok(interest)
    }

    /// Asks a peer for the beacons of anchors, and for places that are not known.
    async fn ask(self: &Arc<Self>, peer: PublicKey, interest: Arc<Interest>) {
        let anchors: Vec<PublicKey> = interest.by_anchor.keys().copied().collect();
        let mut lacking = BTreeSet::new();
        for page in anchors.chunks(BEACONS_PER_REQUEST_MAX) {
            let wish = BeaconWish {
                anchors: page.to_vec(),
                scopes: Vec::new(),
            };
            let Some(more) = self.ask_once(peer, wish, &interest).await else {
                return;
            };
            lacking.extend(more);
        }
        let lacking: Vec<ScopeUid> = lacking.into_iter().collect();
        for page in lacking.chunks(PLACES_PER_REQUEST_MAX) {
            let wish = BeaconWish {
                anchors: Vec::new(),
                scopes: page.to_vec(),
            };
            if self.ask_once(peer, wish, &interest).await.is_none() {
                return;
            }
        }
    }

    /// Asks once; gives the scopes whose places are not known, or nothing if there is no use in asking
    /// on.
    async fn ask_once(
        self: &Arc<Self>,
        peer: PublicKey,
        wish: BeaconWish,
        interest: &Arc<Interest>,
    ) -> Option<BTreeSet<ScopeUid>> {
        let network = self.council.network()?;
        let complaint = match network.ask(peer, Request::Beacons(wish)).await {
            Ok(Reply::Beacons(rows)) => {
                let (taking, interest) = (Arc::clone(self), Arc::clone(interest));
                // Signatures of many anchors take a while.
                let taken = spawn_blocking(move || taking.take(rows, &interest)).await;
                match taken.ok()? {
                    Ok(lacking) => return Some(lacking),
                    Err(complaint) => complaint,
                }
            }
            // It knows no beacons, has too much to do, or does not answer; it is asked again later.
            Ok(Reply::Turned(_)) | Err(_) => return None,
            Ok(_) => Complaint::Unasked("another reply than was asked for"),
        };
        network.complain(&peer, &complaint);
        None
    }

    /// Takes in what a peer brought, up to the first thing that is wrong with it.
    fn take(
        &self,
        rows: Vec<BeaconRow>,
        interest: &Interest,
    ) -> Result<BTreeSet<ScopeUid>, Complaint> {
        let mut lacking = BTreeSet::new();
        for BeaconRow { beacon, places } in rows {
            let Beacon { anchor, time, .. } = *beacon.unverified();
            let Some(scopes) = interest.by_anchor.get(&anchor) else {
                continue;
            };
            let checked = locked(&self.book).checked(&beacon);
            let beacon = match checked {
                Some(beacon) => beacon,
                None => beacon
                    .verify()
                    .map_err(|_| Complaint::Unasked("a beacon that its anchor did not sign"))?,
            };
            // Not the peer's fault, but its anchor's clock.
            if time > self.clock.now().plus_millis(BEACON_AHEAD_MS_MAX) {
                locked(&self.book).note_ahead(anchor, time);
                continue;
            }
            for placed in places {
                let scope = placed.sight.scope;
                let word = Word::new(beacon.clone(), placed).ok_or(Complaint::Unasked(
                    "a scope that has no place under its beacon",
                ))?;
                if scopes.contains(&scope) && locked(&self.book).put(word) {
                    let anchor = anchor.short();
                    tracing::error!(
                        %anchor, %scope,
                        "an anchor takes back what it said of a scope; the evidence is kept"
                    );
                }
            }
            lacking.extend(locked(&self.book).hear(&beacon, scopes));
        }
        self.heard.store(true, Ordering::Release);
        Ok(lacking)
    }
}
