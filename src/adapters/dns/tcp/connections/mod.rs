//! `Connections`: who is connected to the listeners of DNS, how many questions of whom are under
//! way, and who has to go when there is no room.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::base::subscriber::subscriber_of;

/// Bounds of connections and of what is asked over them.
#[derive(Debug, Clone, Copy)]
pub struct TcpLimits {
    /// Connections at a time, of all listeners.
    pub connections_max: usize,
    /// Those of QUIC among them.
    pub quic_max: usize,
    /// Connections of one client (an IPv4 address or an IPv6 /64) at a time.
    pub per_client_max: usize,
    /// Questions that wait for legacy DNS or a peer, of all connections.
    pub questions_max: usize,
    /// The same of one client.
    pub questions_per_client_max: usize,
    /// How long a connection may be silent while there is room.
    pub idle_ms: u64,
    /// How long when nearly all places are taken.
    pub idle_least_ms: u64,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            // Some 40 MiB when all of them are idle.
            connections_max: 4_096,
            // Some 90 MiB: the state of one takes 90 KiB.
            quic_max: 1_024,
            per_client_max: 128,
            // As over UDP; each holds at most a message of 64 KiB.
            questions_max: 4_096,
            questions_per_client_max: 512,
            // RFC 7766 section 6.2.3 asks for seconds, not minutes, and for less under load.
            idle_ms: 10_000,
            idle_least_ms: 1_000,
        }
    }
}

impl TcpLimits {
    /// Bounds that leave half of the files that may be open to everything else: a full house must
    /// not keep questions from being forwarded.
    pub fn within(open_files: u64) -> Self {
        let usual = Self::default();
        let half = usize::try_from(open_files / 2).unwrap_or(usize::MAX);
        let connections_max = half.clamp(1, usual.connections_max);
        // One client must not take all of a smaller house either.
        let per_client_max = usual.per_client_max.min((connections_max / 8).max(1));
        Self {
            connections_max,
            // As large a part as of a usual house.
            quic_max: usual.quic_max.min(connections_max.div_ceil(4)),
            per_client_max,
            ..usual
        }
    }
}

/// What a place is: the turn in which its connection became idle, or one of these. The lowest turn is
/// that of the longest idle one.
const FREE: u64 = u64::MAX;
const BUSY: u64 = u64::MAX - 1;
/// Told to go, and not gone yet.
const LEAVING: u64 = u64::MAX - 2;

/// The places of all connections.
#[derive(Debug)]
pub struct Connections {
    limits: TcpLimits,
    /// Apart from the table, so that a connection needs no lock to say what it is doing; together in
    /// memory, so that the longest idle one is found quickly.
    places: Box<[AtomicU64]>,
    table: Mutex<Table>,
    taken: AtomicUsize,
    /// Listeners that wait for a place.
    wanting: AtomicUsize,
    freed: Notify,
    turns: AtomicU64,
    evicted: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    free: Vec<usize>,
    leave: BTreeMap<usize, CancellationToken>,
    /// Places of QUIC.
    quic: BTreeSet<usize>,
    clients: BTreeMap<IpAddr, Client>,
    questions: usize,
}

#[derive(Debug, Default)]
struct Client {
    places: Vec<usize>,
    questions: usize,
}

/// A look for a place.
enum Entry {
    Entered(Place),
    /// Its client has all that one may have, and all of them are at work.
    Refused,
    /// There will be one when somebody left or has nothing more to do.
    Full,
}

impl Connections {
    /// Nobody is connected.
    pub fn new(limits: TcpLimits) -> Self {
        let count = limits.connections_max;
        let table = Table {
            free: (0..count).rev().collect(),
            ..Table::default()
        };
        Self {
            limits,
            places: (0..count).map(|_| AtomicU64::new(FREE)).collect(),
            table: Mutex::new(table),
            taken: AtomicUsize::new(0),
            wanting: AtomicUsize::new(0),
            freed: Notify::new(),
            turns: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// A place for a connection from this address. In a full house the connection that is idle for
    /// the longest time makes room; where none is idle, one waits for it. Of a client with as many
    /// connections as one may have it is the longest idle of its own; without one there is none.
    pub async fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        self.enter_by(from, false).await
    }

    /// The same for a connection of QUIC, where all of these together have a part of the house.
    pub(in super::super::super) async fn enter_by_quic(
        self: &Arc<Self>,
        from: IpAddr,
    ) -> Option<Place> {
        self.enter_by(from, true).await
    }

    async fn enter_by(self: &Arc<Self>, from: IpAddr, is_quic: bool) -> Option<Place> {
        let client = subscriber_of(from);
        let _wanting = Wanting::one(&self.wanting);
        loop {
            // Before looking: a place that is freed in between counts.
            let freed = self.freed.notified();
            match self.look(client, is_quic) {
                Entry::Entered(place) => return Some(place),
                Entry::Refused => return None,
                Entry::Full => freed.await,
            }
        }
    }

    fn look(self: &Arc<Self>, client: IpAddr, is_quic: bool) -> Entry {
        let mut table = self.lock();
        let own = table.clients.get(&client).map(|client| &client.places);
        if let Some(own) = own.filter(|own| own.len() >= self.limits.per_client_max) {
            let leaves = self.one_leaves(&table, own.iter().copied());
            return if leaves { Entry::Full } else { Entry::Refused };
        }
        if is_quic && table.quic.len() >= self.limits.quic_max {
            self.one_leaves(&table, table.quic.iter().copied());
            return Entry::Full;
        }
        let Some(at) = table.free.pop() else {
            self.one_leaves(&table, 0..self.places.len());
            return Entry::Full;
        };
        let leave = CancellationToken::new();
        table.leave.insert(at, leave.clone());
        if is_quic {
            table.quic.insert(at);
        }
        table.clients.entry(client).or_default().places.push(at);
        drop(table);
        self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            connections: Arc::clone(self),
            at,
            client,
            leave,
        };
        place.is_idle();
        Entry::Entered(place)
    }

    /// Has the longest idle connection of these places leave, unless one is leaving already. Whether
    /// any is.
    fn one_leaves(&self, table: &Table, among: impl Iterator<Item = usize>) -> bool {
        let mut longest: Option<(u64, usize)> = None;
        for at in among {
            match self.state(at).map(|state| state.load(Ordering::SeqCst)) {
                Some(LEAVING) => return true,
                Some(turn) if turn < LEAVING && longest.is_none_or(|(than, _)| turn < than) => {
                    longest = Some((turn, at));
                }
                _ => {}
            }
        }
        let Some((turn, at)) = longest else {
            return false;
        };
        let Some(state) = self.state(at) else {
            return false;
        };
        // One that was just asked something stays; whoever looks will look again.
        let order = Ordering::SeqCst;
        let is_leaving = state.compare_exchange(turn, LEAVING, order, order).is_ok();
        if is_leaving && let Some(leave) = table.leave.get(&at) {
            leave.cancel();
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        if !is_leaving {
            self.freed.notify_waiters();
        }
        true
    }

    /// Has the longest idle connection of all leave.
    pub fn make_room(&self) {
        self.one_leaves(&self.lock(), 0..self.places.len());
    }

    /// How many were made to leave so far.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// How long a connection may be idle now: less and less when more than half of the places are
    /// taken.
    pub fn idle(&self) -> Duration {
        let TcpLimits {
            connections_max,
            idle_ms,
            idle_least_ms,
            ..
        } = self.limits;
        let free = connections_max.saturating_sub(self.taken.load(Ordering::Relaxed));
        let half = u64::try_from(connections_max.div_ceil(2)).unwrap_or(u64::MAX);
        let free = u64::try_from(free).unwrap_or(u64::MAX).min(half);
        Duration::from_millis((idle_ms * free / half).max(idle_least_ms))
    }

    /// Whether more than half of the places are taken, or of those of QUIC.
    pub(in super::super::super) fn is_crowded_for_quic(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > self.places.len() / 2
            || self.lock().quic.len() > self.limits.quic_max / 2
    }

    fn state(&self, at: usize) -> Option<&AtomicU64> {
        self.places.get(at)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole between any two statements that can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more who waits for a place.
struct Wanting<'c>(&'c AtomicUsize);

impl<'c> Wanting<'c> {
    fn one(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection's place, given back on drop. Who has just come counts as idle.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    at: usize,
    client: IpAddr,
    leave: CancellationToken,
}

impl Place {
    /// Which place it is.
    pub const fn number(&self) -> usize {
        self.at
    }

    /// Says that there is something to do; false if the connection was told to leave.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let Some(state) = self.connections.state(self.at) else {
            return false;
        };
        if state.swap(BUSY, Ordering::SeqCst) == LEAVING {
            state.store(LEAVING, Ordering::SeqCst);
            return false;
        }
        true
    }

    /// Says that there is nothing to do from now on.
    pub fn is_idle(&self) {
        let turn = self.connections.turns.fetch_add(1, Ordering::Relaxed);
        if let Some(state) = self.connections.state(self.at) {
            state.store(turn, Ordering::SeqCst);
        }
        if self.connections.wanting.load(Ordering::SeqCst) > 0 {
            self.connections.freed.notify_waiters();
        }
    }

    /// Ends when the connection has to leave at once.
    pub async fn must_leave(&self) {
        self.leave.cancelled().await;
    }

    /// How long the connection may be idle now.
    pub fn idle(&self) -> Duration {
        self.connections.idle()
    }

    /// A place for a question that waits; none if there is none for this client or for anybody.
    pub fn question(&self) -> Option<UnderWay> {
        let limits = &self.connections.limits;
        let mut table = self.connections.lock();
        if table.questions >= limits.questions_max {
            return None;
        }
        let client = table.clients.entry(self.client).or_default();
        if client.questions >= limits.questions_per_client_max {
            return None;
        }
        client.questions += 1;
        table.questions += 1;
        drop(table);
        Some(UnderWay {
            connections: Arc::clone(&self.connections),
            client: self.client,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        if let Some(state) = self.connections.state(self.at) {
            state.store(FREE, Ordering::SeqCst);
        }
        table.leave.remove(&self.at);
        table.quic.remove(&self.at);
        table.free.push(self.at);
        table.change(self.client, |client| {
            client.places.retain(|at| *at != self.at);
        });
        drop(table);
        self.connections.taken.fetch_sub(1, Ordering::Relaxed);
        self.connections.freed.notify_waiters();
    }
}

/// A question that waits, until its reply is on its way.
#[derive(Debug)]
pub struct UnderWay {
    connections: Arc<Connections>,
    client: IpAddr,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        table.questions = table.questions.saturating_sub(1);
        table.change(self.client, |client| {
            client.questions = client.questions.saturating_sub(1);
        });
    }
}

impl Table {
    /// Changes what is known of a client, and forgets it if nothing is left of it.
    fn change(&mut self, client: IpAddr, change: impl FnOnce(&mut Client)) {
        if let Some(known) = self.clients.get_mut(&client) {
            change(known);
            if known.places.is_empty() && known.questions == 0 {
                self.clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests;
