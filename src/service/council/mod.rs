//! `Council`: has the anchors of a scope, on their several nodes, decide what waits in it.
//!
//! One thread, the [`Chair`], drives the sittings of all scopes that are governed jointly. Blocks are
//! drafted, judged and replayed by the governor like any others; questions never wait for a vote.

mod chair;
mod seated;
mod steps;
mod telling;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::base::canonical::Form as _;
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::governance::descriptor::Descriptor;
use crate::index::state::{ScopeNo, ScopeState};
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::Message;

use super::keyring::Keyring;
use super::ports::PeerNetwork;

pub use self::chair::Chair;

/// What waits for the chair; above it peers say it again, and what waits is looked at by the clock.
const JOBS_MAX: usize = 4_096;
/// What one peer may have waiting for the chair: so many units, one and more for each message. It
/// is 64 votes, or some blocks of at most 4 MiB together.
const LANE_UNITS: usize = 64;
const LANE_UNIT_BYTES: usize = 64 << 10;

/// Work for the chair.
#[derive(Debug)]
enum Job {
    /// A proposal waits in a scope, or something came to it here.
    Laid(ScopeNo, Digest),
    /// Something came to what waits in a scope, from a peer.
    Convene(ScopeUid),
    /// A peer said something about a height.
    Heard(PublicKey, ScopeUid, Box<Message>, OwnedSemaphorePermit),
    /// A peer can be told what it missed.
    Connected(PublicKey),
    /// There may be new blocks.
    WentOn,
    /// The node stops.
    Over,
}

/// Hands work to the chair.
#[derive(Clone)]
pub struct Council {
    jobs: SyncSender<Job>,
    decided: Arc<Notify>,
    keyring: Arc<Keyring>,
    /// Whether the chair serves.
    sits: Arc<AtomicBool>,
    /// The highest height of each scope at which something was signed here.
    begun: Arc<RwLock<BTreeMap<ScopeUid, u64>>>,
    /// What each peer may have waiting for the chair.
    lanes: Arc<Mutex<BTreeMap<PublicKey, Arc<Semaphore>>>>,
    /// Empty until other nodes can be reached.
    network: Arc<OnceLock<Arc<dyn PeerNetwork>>>,
}

impl std::fmt::Debug for Council {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Council")
    }
}

/// The chair's end.
#[derive(Debug)]
pub struct Jobs(Receiver<Job>);

impl Council {
    /// A council for the seats of a keyring, and where its work arrives.
    pub fn new(keyring: Arc<Keyring>) -> (Self, Jobs) {
        let (jobs, taken) = sync_channel(JOBS_MAX);
        let decided = Arc::new(Notify::new());
        let council = Self {
            jobs,
            decided,
            keyring,
            sits: Arc::default(),
            begun: Arc::default(),
            lanes: Arc::default(),
            network: Arc::default(),
        };
        (council, Jobs(taken))
    }

    /// Gives it a network; the first one stays.
    pub fn connect(&self, network: Arc<dyn PeerNetwork>) {
        drop(self.network.set(network));
    }

    /// Other nodes; none where the node does not serve, or has neither address nor peers.
    pub fn network(&self) -> Option<&Arc<dyn PeerNetwork>> {
        self.network.get()
    }

    /// Whether anything is decided together here now.
    pub fn sits(&self) -> bool {
        self.sits.load(Ordering::Acquire)
    }

    /// Whether a scope is governed by seats here together with others: no block of it can be
    /// decided by this node alone, and none may be decided past it unheard. A height at which seats
    /// here signed something is decided together whatever they hold by now, or they could
    /// contradict themselves.
    pub fn is_joint(&self, state: &ScopeState) -> bool {
        let held = self.weight_held(&state.descriptor);
        let begun = self.begun.read().unwrap_or_else(PoisonError::into_inner);
        held > 0
            && (held < state.descriptor.quorum_weight()
                || begun.get(&state.uid) == Some(&(state.height + 1)))
    }

    /// Seats here signed something at a height of a scope.
    pub fn begin(&self, scope: ScopeUid, height: u64) {
        let mut begun = self.begun.write().unwrap_or_else(PoisonError::into_inner);
        let highest = begun.entry(scope).or_insert(height);
        *highest = height.max(*highest);
    }

    /// The weight of the seats here.
    pub fn weight_held(&self, descriptor: &Descriptor) -> u64 {
        let seats = self.keyring.seats(descriptor);
        let weights = seats.iter().filter_map(|key| {
            let (_, anchor) = descriptor.anchors.seat_of(&key.public())?;
            Some(u64::from(anchor.weight))
        });
        weights.sum()
    }

    /// A proposal waits, or something came to it here: the other anchors are told.
    pub fn laid(&self, scope: ScopeNo, proposal: Digest) {
        self.hand(Job::Laid(scope, proposal));
    }

    /// Something came to what waits in a scope, from a peer.
    pub fn convene(&self, scope: ScopeUid) {
        self.hand(Job::Convene(scope));
    }

    /// A peer said something about a height of a scope. Gives whether it may say more now.
    pub fn heard(&self, from: PublicKey, scope: ScopeUid, message: Box<Message>) -> bool {
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            let lane = lanes.entry(from);
            Arc::clone(lane.or_insert_with(|| Arc::new(Semaphore::new(LANE_UNITS))))
        };
        let units = 1 + message.to_bytes().len() / LANE_UNIT_BYTES;
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let Ok(room) = lane.try_acquire_many_owned(units) else {
            return false;
        };
        self.hand(Job::Heard(from, scope, message, room));
        true
    }

    /// A peer can be told what it missed.
    pub fn connected(&self, peer: PublicKey) {
        self.hand(Job::Connected(peer));
    }

    /// There may be new blocks.
    pub fn went_on(&self) {
        self.hand(Job::WentOn);
    }

    /// Ends the chair. What was begun is stored, and goes on at the next start.
    pub fn over(&self) {
        // A full queue is emptied meanwhile; a chair that is gone needs no word.
        drop(self.jobs.send(Job::Over));
    }

    /// Rung when anchors decided something together.
    pub fn decided(&self) -> Arc<Notify> {
        Arc::clone(&self.decided)
    }

    fn hand(&self, job: Job) {
        match self.jobs.try_send(job) {
            // Anchors repeat themselves, and what waits is looked at by the clock.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}
