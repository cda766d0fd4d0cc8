//! `Sharing`: leases go from node to node, so that an instance that is announced in one region is found
//! in all that hold the scope.
//!
//! A node takes from its peers what they took, and judges each lease as if its announcer had brought
//! it: what counts is the announcer's signature and the scope's own grants. Peers say that something
//! changed and are read from where they were left; they are read now and then all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::keys::PublicKey;
use crate::base::lock::locked;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::replication::pull::Complaint;
use crate::replication::wire::{LeaseMark, LeasePage, LeaseRow, Reply, Request};
use crate::service::ports::{PeerNetwork, Store};

use super::{Heard, LeaseError, Leases, Table};

/// Between two readings of every peer, if none says that anything changed.
const READ_EVERY: Duration = Duration::from_secs(30);
/// Changes that come so close are told together.
const TELL_TOGETHER: Duration = Duration::from_millis(50);
/// How long the next page of a peer is waited for after one, for each of its leases.
const PAUSE_PER_LEASE: Duration = Duration::from_micros(250);
/// Pages that are read of a peer in a row: more than all the leases that a node may have.
const PAGES_MAX: usize = 4_096;

/// Takes leases from peers and gives them to peers.
pub struct Sharing<S> {
    leases: Leases,
    index: Arc<S>,
    network: OnceLock<Arc<dyn PeerNetwork>>,
    /// How far each peer was read.
    marks: Mutex<Marks>,
    readings: Mutex<Readings>,
    wake: Notify,
}

/// How far peers were read, and with how many scopes held: what was let go of a scope that is held
/// now is to be read again.
#[derive(Default)]
struct Marks {
    by_peer: BTreeMap<PublicKey, LeaseMark>,
    scopes: u32,
}

/// Which peers are read.
#[derive(Default)]
struct Readings {
    /// These are to be.
    hinted: BTreeSet<PublicKey>,
    /// These are being read.
    under_way: BTreeSet<PublicKey>,
}

impl Readings {
    /// Those that can be read now. Whoever is being read is read once more afterwards.
    fn begin(&mut self) -> Vec<PublicKey> {
        let free = self.hinted.difference(&self.under_way).copied();
        let begun: Vec<PublicKey> = free.collect();
        self.hinted.retain(|peer| self.under_way.contains(peer));
        self.under_way.extend(&begun);
        begun
    }
}

impl<S> std::fmt::Debug for Sharing<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sharing")
    }
}

impl<S: Store> Sharing<S> {
    /// Shares leases of entries of an index.
    pub fn new(leases: Leases, index: Arc<S>) -> Self {
        Self {
            leases,
            index,
            network: OnceLock::new(),
            marks: Mutex::default(),
            readings: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The services, for readers.
    pub fn table(&self) -> Arc<Table> {
        self.leases.table()
    }

    /// Gives it the network, once.
    pub fn connect(&self, network: Arc<dyn PeerNetwork>) {
        drop(self.network.set(network));
    }

    /// What changed after a place, for a peer.
    pub fn page(&self, reader: &PublicKey, after: LeaseMark) -> LeasePage {
        self.leases.journal.page(after, reader)
    }

    /// The leases of one service, for a peer that does not hold its scope.
    pub fn of_service(&self, service: Uid) -> Vec<LeaseRow> {
        self.leases.journal.of_service(service)
    }

    /// A peer says that its leases changed.
    pub fn told(&self, peer: &PublicKey, upto: LeaseMark) {
        if locked(&self.marks).by_peer.get(peer) != Some(&upto) {
            self.look_at(peer);
        }
    }

    /// Has a peer read soon.
    pub fn look_at(&self, peer: &PublicKey) {
        locked(&self.readings).hinted.insert(*peer);
        self.wake.notify_one();
    }

    /// Reads peers until told to stop.
    pub async fn run(self: Arc<Self>, tasks: TaskTracker, stop: CancellationToken) {
        let mut ticks = interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                _ = ticks.tick() => self.hint_all(),
            }
            let begun = locked(&self.readings).begin();
            for peer in begun {
                self.spawn_reading(peer, &tasks, &stop);
            }
        }
    }

    /// Tells peers that leases changed, until told to stop.
    pub async fn tell(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.leases.journal.changed() => {}
            }
            sleep(TELL_TOGETHER).await;
            if let Some(network) = self.network.get() {
                network.tell(Request::Leased(self.leases.journal.mark()));
            }
        }
    }

    fn hint_all(&self) {
        if let Some(network) = self.network.get() {
            let peers = network.peers().into_iter();
            let connected = peers.filter(|peer| peer.is_connected);
            let connected: BTreeSet<PublicKey> = connected.map(|peer| peer.id).collect();
            // Who went away is read from its beginning when it is back: its words are forgotten.
            let mut marks = locked(&self.marks);
            marks.by_peer.retain(|peer, _| connected.contains(peer));
            drop(marks);
            locked(&self.readings).hinted.extend(&connected);
            if let Err(error) = self.leases.note_peers(connected) {
                tracing::debug!(%error, "the keeper was not told who can be reached");
            }
        }
    }

    fn spawn_reading(
        self: &Arc<Self>,
        peer: PublicKey,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let (sharing, stopped) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = sharing.read(peer) => {}
            }
            locked(&sharing.readings).under_way.remove(&peer);
            sharing.wake.notify_one();
        });
    }

    /// Reads what changed at a peer.
    async fn read(&self, peer: PublicKey) {
        let Some(network) = self.network.get() else {
            return;
        };
        for _ in 0..PAGES_MAX {
            let after = self.mark_of(&peer);
            let page = match network.ask(peer, Request::Leases(after)).await {
                Ok(Reply::Leases(page)) => page,
                // It keeps none for others, or has too much to do; it is read again later.
                Ok(Reply::Turned(_)) | Err(_) => return,
                Ok(_) => {
                    let complaint = Complaint::Unasked("another reply than was asked for");
                    network.complain(&peer, &complaint);
                    return;
                }
            };
            // Its numbers rise, or there is no end to it.
            let goes_on = page.upto.journal != after.journal || page.upto.number > after.number;
            if !page.is_last && !goes_on {
                let complaint = Complaint::Unasked("pages that lead nowhere");
                network.complain(&peer, &complaint);
                return;
            }
            let pause = PAUSE_PER_LEASE * u32::try_from(page.rows.len()).unwrap_or(u32::MAX);
            if self.take(network, peer, page.rows).await.is_err() {
                // What was not taken is read again.
                return;
            }
            locked(&self.marks).by_peer.insert(peer, page.upto);
            // Its signatures take no more than a fifth of a core, whatever it sends.
            sleep(pause).await;
            if page.is_last {
                return;
            }
        }
    }

    /// How far a peer was read.
    fn mark_of(&self, peer: &PublicKey) -> LeaseMark {
        let held = self.index.latest().scope_count();
        let mut marks = locked(&self.marks);
        if let Ok(held) = held
            && held > marks.scopes
        {
            marks.scopes = held;
            marks.by_peer.clear();
        }
        marks.by_peer.get(peer).copied().unwrap_or_default()
    }

    /// Takes the leases of one page that are of scopes held here.
    async fn take(
        &self,
        network: &Arc<dyn PeerNetwork>,
        peer: PublicKey,
        rows: Vec<LeaseRow>,
    ) -> Result<(), LeaseError> {
        let mut heard = Vec::with_capacity(rows.len());
        let mut is_forged = false;
        for LeaseRow { lease, works } in rows {
            if !self.holds(&lease.unverified().scope) {
                continue;
            }
            match lease.verify() {
                Ok(lease) => heard.push(Heard { lease, works }),
                Err(_) => is_forged = true,
            }
        }
        if is_forged {
            network.complain(
                &peer,
                &Complaint::Unasked("a lease that its key did not sign"),
            );
        }
        if heard.is_empty() {
            return Ok(());
        }
        self.leases.hear(peer, heard).await
    }

    fn holds(&self, scope: &ScopeUid) -> bool {
        matches!(self.index.latest().scope_no(scope), Ok(Some(_)))
    }
}
