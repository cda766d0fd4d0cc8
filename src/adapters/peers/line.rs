//! `PeerLine`: one peer, its connection, and what it may use and did.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use noq::{Connection, PathId, VarInt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::base::bucket::Bucket;
use crate::base::keys::PublicKey;
use crate::base::lock::locked;
use crate::base::time::Timestamp;
use crate::replication::wire::{Hello, Request, WIRE_VERSION_FIRST};
use crate::service::ports::PeerStanding;

/// Requests of one peer that are answered at the same time.
const ROOM: usize = 8;
/// Words of one peer that are taken at the same time; others wait, as many as may be open.
const WORDS_AT_ONCE: usize = 4;
/// What waits to be said to one peer, in units of one and more for each: 1,024 votes, or 16 MiB of blocks.
/// Above it words are lost, and said again later.
const SAYING_UNITS: usize = 1_024;
const SAYING_UNIT_BYTES: usize = 16 << 10;
/// Requests of one peer a second, and at once: polls of 65,536 scopes, and pulls of some.
const REQUESTS_PER_SEC: u64 = 200;
const REQUESTS_AT_ONCE: u64 = 400;
/// Words of one peer a second, and at once: a thousand changes that it lays, and what is said of some
/// heights. What they cost further is bounded by the council's shares.
const WORDS_PER_SEC: u64 = 2_000;
const WORDS_AT_ONCE_MAX: u64 = 4_000;
/// Bytes that one peer is sent a second, and at once. A larger reply is paid for afterwards.
const BYTES_PER_SEC: u64 = 32 << 20;
const BYTES_AT_ONCE: u64 = 64 << 20;
/// Requests above the rate that are turned down a second, and at once; more of them end the connection:
/// a peer that is told to wait and does not.
const REFUSALS_PER_SEC: u64 = 50;
const REFUSALS_AT_ONCE: u64 = 1_000;
/// Streams that came to nothing, one after the other, that end the connection.
const STALLS_IN_A_ROW_MAX: u32 = 8;
/// How long a peer is shut out that spoiled its connection.
const SHUT_OUT: Duration = Duration::from_secs(10);
/// Its connection is ended for what it did.
const MISBEHAVED: u32 = 2;
/// Its connection is ended because it is a peer no more.
pub(super) const REMOVED: u32 = 3;

/// A connection, and what is spoken on it. Whatever is asked or answered on it keeps to that.
#[derive(Debug, Clone)]
pub(super) struct Greeted {
    pub(super) connection: Connection,
    /// The version of requests and replies.
    pub(super) version: u16,
}

impl Greeted {
    /// One on which nobody greeted yet.
    pub(super) const fn not_yet(connection: Connection) -> Self {
        Self {
            connection,
            version: WIRE_VERSION_FIRST,
        }
    }
}

/// A peer as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its key among nodes.
    pub id: PublicKey,
    /// What it is called here.
    pub name: String,
    /// Where it runs.
    pub region: String,
    /// Where it is dialled; nowhere, if it dials itself.
    pub addresses: Vec<SocketAddr>,
}

/// What a peer did.
#[derive(Debug, Default)]
struct Deeds {
    heard: Option<Timestamp>,
    last_error: Option<String>,
    shut_out_until: Option<Instant>,
    /// Where it says that it runs.
    region: String,
    /// What it says that it runs.
    software: String,
}

/// One peer.
#[derive(Debug)]
pub(super) struct PeerLine {
    peer: ArcSwap<Peer>,
    /// The connection that is used, once both sides greeted.
    connection: watch::Sender<Option<Greeted>>,
    /// A connection is wanted now.
    pub(super) wanted: Notify,
    pub(super) room: Semaphore,
    pub(super) words_at_work: Semaphore,
    saying: Arc<Semaphore>,
    started: Instant,
    requests: Mutex<Bucket>,
    words: Mutex<Bucket>,
    bytes: Mutex<Bucket>,
    refusals: Mutex<Bucket>,
    stalls_in_a_row: AtomicU32,
    answered: AtomicU64,
    refused: AtomicU64,
    complaints: AtomicU64,
    deeds: Mutex<Deeds>,
    removed: tokio_util::sync::CancellationToken,
}

impl PeerLine {
    fn new(peer: Peer) -> Self {
        Self {
            peer: ArcSwap::from_pointee(peer),
            connection: watch::Sender::new(None),
            wanted: Notify::new(),
            room: Semaphore::new(ROOM),
            words_at_work: Semaphore::new(WORDS_AT_ONCE),
            saying: Arc::new(Semaphore::new(SAYING_UNITS)),
            started: Instant::now(),
            requests: Mutex::new(Bucket::new(REQUESTS_PER_SEC, REQUESTS_AT_ONCE)),
            words: Mutex::new(Bucket::new(WORDS_PER_SEC, WORDS_AT_ONCE_MAX)),
            bytes: Mutex::new(Bucket::new(BYTES_PER_SEC, BYTES_AT_ONCE)),
            refusals: Mutex::new(Bucket::new(REFUSALS_PER_SEC, REFUSALS_AT_ONCE)),
            stalls_in_a_row: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            complaints: AtomicU64::new(0),
            deeds: Mutex::default(),
            removed: tokio_util::sync::CancellationToken::new(),
        }
    }

    pub(super) fn peer(&self) -> Arc<Peer> {
        self.peer.load_full()
    }

    /// The connection that is used; none if there is none.
    pub(super) fn live(&self) -> Option<Greeted> {
        let greeted = self.connection.borrow().clone();
        greeted.filter(|greeted| greeted.connection.close_reason().is_none())
    }

    /// Waits for a connection.
    pub(super) async fn connection(&self) -> Greeted {
        let mut changes = self.connection.subscribe();
        loop {
            if let Some(greeted) = self.live() {
                return greeted;
            }
            self.wanted.notify_one();
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Uses a connection from now on: the newest is the one that the peer knows to be there.
    pub(super) fn put(&self, greeted: Greeted) {
        self.connection.send_replace(Some(greeted));
        locked(&self.deeds).last_error = None;
    }

    /// A connection ended.
    pub(super) fn gone(&self, connection: &Connection, why: String) {
        self.connection.send_if_modified(|present| {
            let same = present
                .as_ref()
                .is_some_and(|present| present.connection.stable_id() == connection.stable_id());
            if same {
                *present = None;
            }
            same
        });
        locked(&self.deeds).last_error = Some(why);
        self.wanted.notify_one();
    }

    /// Room to say so many bytes to the peer; none if too much waits already.
    pub(super) fn say(&self, byte_count: usize) -> Option<OwnedSemaphorePermit> {
        let units = 1 + byte_count / SAYING_UNIT_BYTES;
        let units = u32::try_from(units.min(SAYING_UNITS)).unwrap_or(u32::MAX);
        Arc::clone(&self.saying).try_acquire_many_owned(units).ok()
    }

    /// Whether a request may be answered now; if not, whether it is one too many.
    pub(super) fn may_ask(&self, request: &Request) -> Result<(), bool> {
        let now = self.started.elapsed();
        let of = if request.is_word() {
            &self.words
        } else {
            &self.requests
        };
        let mut requests = locked(of);
        if requests.has_some(now) && locked(&self.bytes).has_some(now) {
            requests.take(1);
            return Ok(());
        }
        drop(requests);
        Err(self.count_refused())
    }

    /// Counts a request that was turned down; gives whether it was one too many.
    pub(super) fn count_refused(&self) -> bool {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut refusals = locked(&self.refusals);
        let is_patient = refusals.has_some(self.started.elapsed());
        refusals.take(1);
        !is_patient
    }

    /// A request was answered with so many bytes.
    pub(super) fn count_answered(&self, byte_count: usize) {
        locked(&self.bytes).take(u64::try_from(byte_count).unwrap_or(u64::MAX));
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.stalls_in_a_row.store(0, Ordering::Relaxed);
    }

    /// A stream of the peer's came to nothing; gives whether it was one too many.
    pub(super) fn count_stall(&self) -> bool {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.stalls_in_a_row.fetch_add(1, Ordering::Relaxed) >= STALLS_IN_A_ROW_MAX
    }

    /// The peer was heard.
    pub(super) fn heard(&self, now: Timestamp) {
        locked(&self.deeds).heard = Some(now);
    }

    /// Notes what the peer did wrong.
    pub(super) fn complain(&self, what: &str) {
        self.complaints.fetch_add(1, Ordering::Relaxed);
        let peer = self.peer();
        tracing::warn!(peer = %peer.name, what, "a peer did wrong");
        locked(&self.deeds).last_error = Some(what.to_owned());
    }

    /// Notes what the peer says of itself; where it runs, for where the configuration does not say it.
    pub(super) fn greeted(&self, hello: &Hello) {
        let mut deeds = locked(&self.deeds);
        hello.region.clone_into(&mut deeds.region);
        hello.software.clone_into(&mut deeds.software);
    }

    pub(super) fn failed(&self, why: String) {
        locked(&self.deeds).last_error = Some(why);
    }

    /// Ends a connection for what the peer did on it, and keeps the peer out for a while.
    pub(super) fn shut_out(&self, connection: &Connection, what: &str) {
        self.complain(what);
        locked(&self.deeds).shut_out_until = Some(Instant::now() + SHUT_OUT);
        connection.close(VarInt::from_u32(MISBEHAVED), what.as_bytes());
    }

    pub(super) fn is_shut_out(&self) -> bool {
        let until = locked(&self.deeds).shut_out_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Waits until it is a peer no more.
    pub(super) async fn removed(&self) {
        self.removed.cancelled().await;
    }

    fn remove(&self) {
        self.removed.cancel();
        if let Some(greeted) = self.live() {
            let gone = VarInt::from_u32(REMOVED);
            greeted.connection.close(gone, b"no peer any more");
        }
    }

    pub(super) fn standing(&self) -> PeerStanding {
        let Peer {
            id,
            name,
            region,
            addresses,
        } = Peer::clone(&self.peer());
        let greeted = self.live();
        let rtt = greeted.as_ref();
        let rtt = rtt.and_then(|greeted| greeted.connection.rtt(PathId::ZERO));
        let deeds = locked(&self.deeds);
        PeerStanding {
            id,
            name,
            region: if region.is_empty() {
                deeds.region.clone()
            } else {
                region
            },
            addresses,
            is_connected: greeted.is_some(),
            version: greeted.map(|greeted| greeted.version),
            software: deeds.software.clone(),
            rtt_us: rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
            heard: deeds.heard,
            answered: self.answered.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            complaints: self.complaints.load(Ordering::Relaxed),
            last_error: deeds.last_error.clone(),
        }
    }
}

/// All peers; replaced by a reload.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: ArcSwap<BTreeMap<PublicKey, Arc<PeerLine>>>,
    strangers: AtomicU64,
}

impl Lines {
    pub(super) fn line(&self, id: &PublicKey) -> Option<Arc<PeerLine>> {
        self.lines.load().get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<PeerLine>> {
        self.lines.load().values().cloned().collect()
    }

    /// Puts other peers in force; gives those that are new. Connections of those that stay go on.
    pub(super) fn replace(&self, peers: &[Peer]) -> Vec<Arc<PeerLine>> {
        let present = self.lines.load_full();
        let (mut next, mut new) = (BTreeMap::new(), Vec::new());
        for peer in peers {
            let line = if let Some(line) = present.get(&peer.id) {
                line.peer.store(Arc::new(peer.clone()));
                Arc::clone(line)
            } else {
                let line = Arc::new(PeerLine::new(peer.clone()));
                new.push(Arc::clone(&line));
                line
            };
            next.insert(peer.id, line);
        }
        let next = Arc::new(next);
        self.lines.store(Arc::clone(&next));
        let gone = present.iter().filter(|(id, _)| !next.contains_key(*id));
        gone.for_each(|(_, line)| line.remove());
        new
    }

    pub(super) fn count_stranger(&self) {
        let count = self.strangers.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(
            count,
            "a connection of a key that is not admitted was closed"
        );
    }

    pub(super) fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }
}
