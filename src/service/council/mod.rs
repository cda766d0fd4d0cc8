//! `Council`: has the anchors of a scope, on their several nodes, decide what waits in it.
//!
//! One thread, the [`Chair`], drives the sittings of all scopes that are governed jointly. Blocks are
//! drafted, judged and replayed by the governor like any others; questions never wait for a vote.

mod chair;
mod counts;
mod hearing;
mod inbox;
mod opening;
mod seated;
mod shares;
mod steady;
mod steps;
mod telling;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use tokio::sync::{Notify, Semaphore};

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::limits::PENDING_PER_AUTHOR_MAX;
use crate::base::time::Timestamp;
use crate::governance::descriptor::Descriptor;
use crate::index::pending::Pending;
use crate::index::state::{ScopeNo, ScopeState};
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Doubts, Message};

use super::keyring::Keyring;
use super::ports::PeerNetwork;

use self::counts::CouncilCounts;
use self::inbox::{Heard, Inbox, Job, Own};
use self::shares::Shares;

pub use self::chair::Chair;
pub use self::counts::CouncilStats;

/// Changes of one joint scope that are made here at the same time; others wait for their turn. What
/// waits for people has the rest of what one author may have waiting.
const CHANGES_AT_ONCE_MAX: usize = PENDING_PER_AUTHOR_MAX - 16;

/// Why nothing more of a scope is decided by this node until it starts again: deciding it went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// What went wrong.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

impl std::fmt::Display for Quarantine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, at {}", self.why, self.since)
    }
}

/// Hands work to the chair.
#[derive(Clone)]
pub struct Council {
    inbox: Arc<Inbox>,
    decided: Arc<Notify>,
    keyring: Arc<Keyring>,
    /// Whether the chair serves.
    sits: Arc<AtomicBool>,
    /// The highest height of each scope at which something was signed here.
    begun: Arc<RwLock<BTreeMap<ScopeUid, u64>>>,
    /// The highest height of each scope at which a seat here gave its second vote to a block.
    precommitted: Arc<RwLock<BTreeMap<ScopeUid, u64>>>,
    quarantined: Arc<RwLock<BTreeMap<ScopeUid, Quarantine>>>,
    /// What anchors here may have signed that is not stored.
    doubts: Arc<RwLock<Doubts>>,
    /// The highest height of each joint scope that a peer claimed to hold.
    claimed: Arc<RwLock<BTreeMap<ScopeUid, u64>>>,
    /// Changes of each joint scope that are made here at the same time.
    turns: Arc<Mutex<BTreeMap<ScopeUid, Arc<Semaphore>>>>,
    shares: Arc<Shares>,
    counts: Arc<CouncilCounts>,
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
pub struct Jobs(Arc<Inbox>);

impl Council {
    /// A council for the seats of a keyring, and where its work arrives.
    pub fn new(keyring: Arc<Keyring>) -> (Self, Jobs) {
        let inbox = Arc::<Inbox>::default();
        let council = Self {
            inbox: Arc::clone(&inbox),
            decided: Arc::default(),
            keyring,
            sits: Arc::default(),
            begun: Arc::default(),
            precommitted: Arc::default(),
            quarantined: Arc::default(),
            doubts: Arc::default(),
            claimed: Arc::default(),
            turns: Arc::default(),
            shares: Arc::default(),
            counts: Arc::default(),
            network: Arc::default(),
        };
        (council, Jobs(inbox))
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

    /// Turns of those who change a joint scope here.
    pub fn turns(&self, scope: &ScopeUid) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = turns.entry(*scope);
        Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(CHANGES_AT_ONCE_MAX))))
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

    /// A seat here gives its second vote to a block at a height of a scope.
    pub fn precommit(&self, scope: ScopeUid, height: u64) {
        let given = self.precommitted.write();
        let mut given = given.unwrap_or_else(PoisonError::into_inner);
        let highest = given.entry(scope).or_insert(height);
        *highest = height.max(*highest);
    }

    /// Whether a block above a height may be decided by what seats here signed.
    pub fn has_precommitted(&self, scope: &ScopeUid, above: u64) -> bool {
        let given = self.precommitted.read();
        let given = given.unwrap_or_else(PoisonError::into_inner);
        given.get(scope).is_some_and(|height| *height > above)
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
        self.hand(Own::Laid(scope, proposal));
    }

    /// Something came to what waits in a scope, from a peer.
    pub fn convene(&self, scope: ScopeUid) {
        self.hand(Own::Convene(scope));
    }

    /// A peer said something about a height of a scope. Gives whether it may say more now.
    pub fn heard(&self, from: PublicKey, scope: ScopeUid, message: Box<Message>) -> bool {
        let Some(room) = self.shares.room(&from, &message) else {
            return false;
        };
        self.inbox.put(Job::Heard(Heard {
            from,
            scope,
            message,
            room,
        }));
        true
    }

    /// Whether signatures that a peer brought may be checked now.
    pub fn may_check(&self, peer: &PublicKey, count: usize) -> bool {
        self.shares.may_check(peer, count)
    }

    /// Whether the writer may try a proposal of so many bytes now that a peer brought.
    pub fn may_try(&self, peer: &PublicKey, byte_count: usize) -> bool {
        self.shares.may_try(peer, byte_count)
    }

    /// What a peer laid here was new, and waits: its share is whole again. A scope lets few proposals of
    /// one author wait, and what its anchors decided is no load that a peer put on this node alone.
    pub fn was_new(&self, peer: &PublicKey, pending: &Pending) {
        let checked = 1 + pending.approvals.len() + pending.seats.len();
        self.shares
            .give_back(peer, pending.proposal.byte_count(), checked);
    }

    /// A peer can be told what it missed.
    pub fn connected(&self, peer: PublicKey) {
        self.hand(Own::Connected(peer));
    }

    /// A peer wants to hear again what was said of the open height of a scope.
    pub fn recall(&self, peer: PublicKey, scope: ScopeUid) {
        self.hand(Own::Recall(peer, scope));
    }

    /// A peer says that it holds a height of a joint scope.
    pub fn claimed(&self, scope: ScopeUid, height: u64) {
        let mut claimed = self.claimed.write().unwrap_or_else(PoisonError::into_inner);
        let highest = claimed.entry(scope).or_insert(height);
        *highest = height.max(*highest);
    }

    fn is_behind(&self, scope: &ScopeUid, height: u64) -> bool {
        let claimed = self.claimed.read().unwrap_or_else(PoisonError::into_inner);
        claimed.get(scope).is_some_and(|claimed| *claimed > height)
    }

    /// Why anchors here sit a height out whose votes they may have forgotten; none if they do not.
    pub fn concern(&self, scope: &ScopeUid, height: u64) -> Option<String> {
        self.doubts().concern(scope, height)
    }

    fn doubts(&self) -> Doubts {
        let doubts = self.doubts.read();
        doubts.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put_doubts(&self, doubts: Doubts) {
        *self.doubts.write().unwrap_or_else(PoisonError::into_inner) = doubts;
    }

    /// A scope has new blocks.
    pub fn went_on(&self, scope: ScopeNo) {
        self.hand(Own::WentOn(scope));
    }

    /// Any scope may have new blocks.
    pub fn look_again(&self) {
        self.hand(Own::LookAgain);
    }

    /// Ends the chair. What was begun is stored, and goes on at the next start.
    pub fn over(&self) {
        self.inbox.put(Job::Over);
    }

    /// Rung when anchors decided something together.
    pub fn decided(&self) -> Arc<Notify> {
        Arc::clone(&self.decided)
    }

    /// What the chair counted.
    pub fn stats(&self) -> CouncilStats {
        self.counts.read()
    }

    /// Why a scope is not decided by this node; none if nothing went wrong.
    pub fn quarantine(&self, scope: &ScopeUid) -> Option<Quarantine> {
        let held = self.quarantined.read();
        let held = held.unwrap_or_else(PoisonError::into_inner);
        held.get(scope).cloned()
    }

    /// How many scopes are not decided by this node as something went wrong.
    pub fn quarantine_count(&self) -> usize {
        let held = self.quarantined.read();
        held.unwrap_or_else(PoisonError::into_inner).len()
    }

    fn set_aside(&self, scope: ScopeUid, quarantine: Quarantine) {
        let held = self.quarantined.write();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        held.insert(scope, quarantine);
    }

    fn hand(&self, own: Own) {
        self.inbox.put(Job::Own(own));
    }
}
