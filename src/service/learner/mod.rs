//! `Learner`: what nodes that hold other scopes prove of them, kept for a while.
//!
//! A question for a name of a scope that is not held waits for one proof, which brings all that is
//! missing on the way to the name, also that it does not exist. Nothing of it is believed: it is
//! verified from a scope on that is trusted already. While the same scope is asked for, the node
//! that proved it is asked now and then whether it went on; when it says so, names of that scope are
//! proven anew. When nobody can be asked, what was known answers for a day, and is said to be stale.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::base::bucket::Bucket;
use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::index::place::Apex;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::replication::pull::Complaint;
use crate::replication::wire::Head;
use crate::resolution::governed::Lack;
use crate::resolution::instances::Services;

use super::flights::Flights;
use super::ports::{Clock, PeerNetwork};

mod asking;
mod book;
mod floors;
mod instances;
mod keeping;
mod kept;
#[cfg(test)]
mod tests;
mod untaught;

use book::Book;
pub use book::{FRESH_MS, STALE_MS_MAX, Sight};
pub use instances::AllServices;
use instances::LearnedServices;
use kept::{FromDisk, Keep};
pub use kept::{KeptStats, ProofStore, Unwritten};

/// How long what nobody could prove is not asked for again, in milliseconds
/// (RFC 9520 section 3.2: at least one second, at most five minutes).
const SILENCE_MS: u64 = 5_000;
/// Silences that are remembered; what was in vain beyond these is tried again at once.
const SILENT_MAX: usize = 4_096;
/// Announcements that are remembered until the scope is asked for; others only have it asked for.
const ANNOUNCED_MAX: usize = 4_096;
/// Questions that wait for proofs at the same time.
const WAITING_MAX: usize = 1_024;
/// How long one waits for a proof while something stale is at hand (RFC 8767 section 5), and else.
const PATIENCE_WITH_STALE: Duration = Duration::from_millis(1_800);
const PATIENCE: Duration = Duration::from_secs(4);

/// Why nothing was learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLearned {
    /// There is no other node now.
    #[error("this node reaches no peers now")]
    NoNetwork,
    /// It was tried a moment ago.
    #[error("nobody could prove it a moment ago")]
    Lately,
    /// Too many questions wait.
    #[error("too many questions wait for proofs")]
    Overloaded,
    /// It took too long.
    #[error("nobody answered in time")]
    Timeout,
    /// Nobody could be asked, but it was proven before the start.
    #[error("read from the disk, as it was heard last at {heard}: {why}")]
    Kept {
        /// When it was last heard to be so.
        heard: Timestamp,
        /// Why nobody could be asked.
        why: Box<Self>,
    },
    /// Nobody proved it.
    #[error("{}", complaints.join("; "))]
    Peers {
        /// What each of them did.
        complaints: Vec<String>,
    },
}

/// What a proof came from, for people.
type Landed = Result<String, NotLearned>;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Wanted {
    /// A name, from a scope on.
    Name(ScopeUid, Name),
    /// Where a scope is.
    Place(ScopeUid),
    /// The instances of an entry in a scope.
    Instances(ScopeUid, Uid),
}

impl Wanted {
    const fn scope(&self) -> &ScopeUid {
        match self {
            Self::Name(scope, _) | Self::Place(scope) | Self::Instances(scope, _) => scope,
        }
    }
}

/// Asks other nodes for proofs and keeps what they show.
pub struct Learner {
    book: Book,
    services: LearnedServices,
    kept: Keep,
    clock: Arc<dyn Clock>,
    network: OnceLock<Arc<dyn PeerNetwork>>,
    flights: Flights<Wanted, Landed>,
    /// Asks under way, each with an end of its own; a node that stops waits for none.
    tasks: TaskTracker,
    waiting: Semaphore,
    /// What nobody could prove, and until when it is not asked for.
    silent: Mutex<BTreeMap<Wanted, Timestamp>>,
    /// Heights that peers say scopes have, above what was proven.
    announced: Mutex<BTreeMap<ScopeUid, (u64, PublicKey)>>,
    /// How much each peer may be asked.
    shares: Mutex<BTreeMap<PublicKey, Bucket>>,
    /// Since when that is measured.
    began: Instant,
    asked: AtomicU64,
    learned: AtomicU64,
    failed: AtomicU64,
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Learner")
    }
}

/// Counts since the start, and what is known now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LearnerStats {
    /// Scopes of other nodes of which something is known.
    pub scopes: usize,
    /// Places in them.
    pub places: usize,
    /// Times that other nodes were asked.
    pub asked: u64,
    /// Times that one proved what was asked.
    pub learned: u64,
    /// Times that nobody did.
    pub failed: u64,
}

impl Learner {
    /// A learner that knows nothing and reaches nobody.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            book: Book::default(),
            services: LearnedServices::default(),
            kept: Keep::default(),
            clock,
            network: OnceLock::new(),
            flights: Flights::default(),
            tasks: TaskTracker::new(),
            waiting: Semaphore::new(WAITING_MAX),
            silent: Mutex::default(),
            announced: Mutex::default(),
            shares: Mutex::default(),
            began: Instant::now(),
            asked: AtomicU64::new(0),
            learned: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Gives it a network; the first one stays.
    pub fn connect(&self, network: Arc<dyn PeerNetwork>) {
        drop(self.network.set(network));
    }

    /// Whether anybody can be asked.
    pub fn can_ask(&self) -> bool {
        self.network.get().is_some()
    }

    /// What questions see now; what is past its time only if `may_be_stale`.
    pub fn sight(&self, may_be_stale: bool) -> Sight<'_> {
        self.book.sight(self.clock.now(), may_be_stale)
    }

    /// The services that a question sees: those of this node, and what is known of others.
    pub const fn services<'s>(
        &'s self,
        held: &'s dyn Services,
        sight: &Sight<'_>,
    ) -> AllServices<'s> {
        AllServices::new(held, &self.services, sight)
    }

    /// Whether it would be in vain to ask.
    pub fn is_silent(&self, lack: &Lack) -> bool {
        let silent = self.silent();
        let now = self.clock.now();
        let until = silent.get(&wanted(lack));
        // A clock that was set back lengthens no silence.
        until.is_some_and(|until| now < *until && until.millis_since(now) <= SILENCE_MS)
    }

    /// A peer says where a scope stands.
    pub fn went_on(&self, peer: &PublicKey, head: &Head) {
        if self.book.hear(head, self.clock.now(), false) {
            let mut announced = self.announced();
            if announced.len() < ANNOUNCED_MAX || announced.contains_key(&head.scope) {
                announced.insert(head.scope, (head.height, *peer));
            }
        }
    }

    fn announced(&self) -> MutexGuard<'_, BTreeMap<ScopeUid, (u64, PublicKey)>> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The scopes whose anchors contradict themselves, each with the height that is served.
    pub fn frozen(&self) -> Vec<(ScopeUid, u64)> {
        self.book.frozen()
    }

    /// Counts.
    pub fn stats(&self) -> LearnerStats {
        let (scopes, places) = self.book.counts();
        LearnerStats {
            scopes,
            places,
            asked: self.asked.load(Ordering::Relaxed),
            learned: self.learned.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Has somebody prove what is lacking, within about `patience`. Says who did. May be dropped at
    /// any time; others who wait for the same still get it. Nothing outside `apexes` is believed.
    pub async fn learn(
        self: &Arc<Self>,
        lack: &Lack,
        apexes: &[Apex],
        patience: Duration,
    ) -> Result<String, NotLearned> {
        if !self.can_ask() {
            return Err(NotLearned::NoNetwork);
        }
        if self.is_silent(lack) {
            return Err(NotLearned::Lately);
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(NotLearned::Overloaded);
        };
        let wanted = wanted(lack);
        let seat = self.flights.join(&wanted);
        let flight = seat.flight().get_or_init(|| async {
            // It takes its own time, and goes on when nobody waits any more: one question that came to
            // its end must not speak for others.
            let leading = Arc::clone(self);
            let (lack, apexes) = (lack.clone(), apexes.to_vec());
            let led = async move { leading.lead(&lack, &apexes).await };
            let led = self.tasks.spawn(led);
            let landed = led.await.unwrap_or(Err(NotLearned::Timeout));
            seat.land();
            landed
        });
        timeout(patience, flight)
            .await
            .map_or(Err(NotLearned::Timeout), Clone::clone)
    }

    async fn lead(&self, lack: &Lack, apexes: &[Apex]) -> Landed {
        let disk = match lack {
            Lack::Proof(of) => self.restore(of).await,
            _ => FromDisk::default(),
        };
        if disk.is_enough {
            return Ok("read from the disk, and its scopes did not go on".to_owned());
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let wanted = wanted(lack);
        let patience = if self.book.knows(wanted.scope()) {
            PATIENCE_WITH_STALE
        } else {
            PATIENCE
        };
        let asking = async {
            match lack {
                Lack::Proof(of) => self.ask_around(of).await,
                Lack::Place(scope) => self.ask_where(scope, apexes).await,
                Lack::Instances { scope, service } => self.ask_who(scope, *service).await,
            }
        };
        let asked = timeout(patience, asking).await;
        let landed = asked.unwrap_or(Err(NotLearned::Timeout));
        let counter = if landed.is_ok() {
            &self.learned
        } else {
            self.remember_silence(wanted);
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        match (landed, disk.heard) {
            (Err(why), Some(heard)) => Err(NotLearned::Kept {
                heard,
                why: Box::new(why),
            }),
            (landed, _) => landed,
        }
    }

    fn silent(&self) -> MutexGuard<'_, BTreeMap<Wanted, Timestamp>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember_silence(&self, wanted: Wanted) {
        let now = self.clock.now();
        let mut silent = self.silent();
        if silent.len() >= SILENT_MAX {
            silent.retain(|_, until| now < *until);
        }
        if silent.len() < SILENT_MAX {
            silent.insert(wanted, now.plus_millis(SILENCE_MS));
        }
    }

    fn complain(&self, peer: &PublicKey, complaint: &Complaint) {
        if let (Some(network), true) = (self.network.get(), complaint.is_lie()) {
            network.complain(peer, complaint);
        }
    }
}

fn wanted(lack: &Lack) -> Wanted {
    match lack {
        Lack::Proof(of) => Wanted::Name(of.top.root, of.name.clone()),
        Lack::Place(scope) => Wanted::Place(*scope),
        Lack::Instances { scope, service } => Wanted::Instances(*scope, *service),
    }
}
