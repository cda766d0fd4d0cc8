//! `Leases`: takes leases of instances, keeps them, and lets them end. One thread keeps the books;
//! questions read a table that it replaces.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot};

use crate::base::keys::PublicKey;
use crate::base::signed::{Signed, Verified};
use crate::base::time::Timestamp;
use crate::governance::lease::{Check, Lease, LeaseRefusal};
use crate::namespace::instance_name::InstanceLabel;
use crate::namespace::uid::Uid;
use crate::resolution::instances::{Health, Instance, Why};

mod book;
mod checking;
mod early;
mod journal;
mod keeper;
mod sharing;
mod table;

use self::journal::Journal;

pub use self::checking::{CheckRules, Checker, SharedCheckRules};
pub use self::keeper::Keeper;
pub use self::sharing::Sharing;
pub use self::table::Table;

/// Jobs that wait for the keeper; above it announcers are told to come back.
const QUEUE_MAX: usize = 16_384;
/// Jobs that are done together: bounds what one flush of the disk makes others wait.
const BATCH_MAX: usize = 4_096;

/// What is taken, by configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRules {
    /// Networks in which instances are checked.
    pub check: Vec<IpNet>,
    /// Whether loopback and link-local addresses are taken.
    pub local: bool,
}

impl LeaseRules {
    /// Whether an instance may be checked where it is.
    fn may_check(&self, lease: &Lease) -> bool {
        lease.check == Check::None || self.check.iter().any(|net| net.contains(&lease.address))
    }
}

/// Why a lease is not in force.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaseError {
    /// It is refused, and nothing changed.
    #[error(transparent)]
    Refused(#[from] LeaseRefusal),
    /// The index or the leases could not be read or written, and nothing changed.
    #[error("the store failed: {0}")]
    Store(String),
    /// Too many leases wait.
    #[error("too many leases are waiting to be taken")]
    Busy,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// A lease that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The instance as it is now.
    pub instance: Arc<Instance>,
    /// Whether it only goes on as before.
    pub renewed: bool,
    /// Whether this very lease was not held before.
    pub is_new: bool,
}

type Answer = Result<Taken, LeaseError>;

/// Work for the keeper.
#[derive(Debug)]
enum Job {
    Announce(Box<Verified<Lease>>, oneshot::Sender<Answer>),
    /// Leases that another node took, and its key. Nobody waits to hear what became of each.
    Hear(PublicKey, Vec<Heard>, oneshot::Sender<()>),
    /// What checks found.
    Health(Vec<Finding>),
    /// The nodes that can be reached: what others said of instances counts no more.
    Peers(BTreeSet<PublicKey>),
    /// The index changed.
    Look,
    /// Time went on.
    Tick,
    /// Other rules are in force.
    Rules(LeaseRules),
}

/// A lease that another node took.
#[derive(Debug)]
struct Heard {
    lease: Verified<Lease>,
    /// Whether the instance works, if that node checks it.
    works: Option<bool>,
}

/// What checks found of an instance, at the address that it had then.
#[derive(Debug, Clone)]
struct Finding {
    service: Uid,
    instance: InstanceLabel,
    address: IpAddr,
    port: u16,
    health: Health,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Services with an instance that is remembered.
    pub services: usize,
    /// Instances whose lease lasts.
    pub instances: usize,
    /// Those of them whose check fails, or is still to come.
    pub unhealthy: usize,
    /// Services without a healthy instance that show what they can.
    pub failing: usize,
    /// Services whose last known good instances are shown.
    pub stale: usize,
}

/// Hands leases to the keeper.
#[derive(Debug, Clone)]
pub struct Leases {
    queue: mpsc::Sender<Job>,
    table: Arc<Table>,
    journal: Arc<Journal>,
    looking: Arc<AtomicBool>,
    failure: Arc<ArcSwapOption<String>>,
}

/// Tells the keeper that the index changed.
#[derive(Debug, Clone)]
pub struct LookAgain {
    queue: mpsc::WeakSender<Job>,
    looking: Arc<AtomicBool>,
}

impl LookAgain {
    /// Has rights looked at again, soon and once.
    pub fn look(&self) {
        if !self.looking.swap(true, Ordering::AcqRel)
            && let Some(queue) = self.queue.upgrade()
            && queue.try_send(Job::Look).is_err()
        {
            // The queue is full; the next tick looks.
            self.looking.store(false, Ordering::Release);
        }
    }
}

impl Leases {
    /// The services, for readers.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table)
    }

    /// Takes a lease. When this returns it is in force, and durable unless it only renews.
    pub async fn announce(&self, lease: Signed<Lease>) -> Answer {
        let key = lease.unverified().key.short();
        let lease = lease.verify().map_err(|_| LeaseRefusal::Signature(key))?;
        let (reply, answered) = oneshot::channel();
        self.send(Job::Announce(Box::new(lease), reply))?;
        answered.await.unwrap_or(Err(LeaseError::Stopping))
    }

    /// Takes what another node took, as far as it is in force here, too. Returns when it is; what is
    /// refused is let go.
    async fn hear(&self, peer: PublicKey, heard: Vec<Heard>) -> Result<(), LeaseError> {
        let (reply, answered) = oneshot::channel();
        self.send(Job::Hear(peer, heard, reply))?;
        answered.await.map_err(|_| LeaseError::Stopping)
    }

    /// Notes which nodes can be reached.
    fn note_peers(&self, reached: BTreeSet<PublicKey>) -> Result<(), LeaseError> {
        self.send(Job::Peers(reached))
    }

    /// Notes what checks found.
    fn note_health(&self, found: Vec<Finding>) -> Result<(), LeaseError> {
        self.send(Job::Health(found))
    }

    /// How many there are at a time.
    pub fn counts(&self, now: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for service in self.table.all() {
            let choice = service.choose(now, |_| true);
            let live = service.instances.iter().filter(|one| one.is_live(now));
            counts.services += 1;
            counts.instances += choice.live;
            counts.unhealthy += live.filter(|one| !one.health.is_good()).count();
            counts.failing += usize::from(choice.why == Why::AllFailing);
            counts.stale += usize::from(matches!(choice.why, Why::Stale(_)));
        }
        counts
    }

    /// Why what is in force could not be written down at last, if so.
    pub fn failure(&self) -> Option<Arc<String>> {
        self.failure.load_full()
    }

    /// Lets leases end whose time is over.
    pub fn tick(&self) {
        // A full queue ticks by itself.
        drop(self.send(Job::Tick));
    }

    /// Puts other rules in force.
    pub fn set_rules(&self, rules: LeaseRules) -> Result<(), LeaseError> {
        self.send(Job::Rules(rules))
    }

    /// What tells the keeper that the index changed; does not keep it running.
    pub fn look_again(&self) -> LookAgain {
        LookAgain {
            queue: self.queue.downgrade(),
            looking: Arc::clone(&self.looking),
        }
    }

    fn send(&self, job: Job) -> Result<(), LeaseError> {
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LeaseError::Busy,
            mpsc::error::TrySendError::Closed(_) => LeaseError::Stopping,
        })
    }
}
