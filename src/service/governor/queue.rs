//! Changes on their way to the writer, bounded in number and in memory.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::base::digest::Digest;
use crate::base::keys::{NotSigned, PublicKey};
use crate::base::limits::{COMMIT_BYTES_MAX, PROPOSALS_PER_COMMIT_MAX, QUEUE_BYTES_MAX};
use crate::base::signed::Signed;
use crate::base::time::Timestamp;
use crate::governance::anchor::{AnchorId, SeatSignature};
use crate::governance::approval::Approval;
use crate::governance::block::{Block, Fate};
use crate::governance::certificate::Certified;
use crate::governance::descriptor::Descriptor;
use crate::governance::withdrawal::Withdrawal;
use crate::index::admission::Candidate;
use crate::index::devices::DeviceRefusal;
use crate::index::export::RestoreRefusal;
use crate::index::pending::Pending;
use crate::index::refusal::Refusal;
use crate::index::replica::Mirror;
use crate::index::state::ScopeNo;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::Tender;
use crate::service::keyring::KeyringError;

use super::devices::{DeviceDone, DeviceWork};
use super::follow::{Follow, Followed};
use super::restore::Takeover;

/// Changes that wait for the writer; above it callers are told to come back.
const QUEUE_MAX: usize = 16_384;
/// The grain in which the memory of waiting changes is counted.
const ROOM_UNIT_BYTES: usize = 1_024;

/// A change for the writer.
#[derive(Debug)]
pub enum Work {
    /// One proposal.
    Decide(Box<Candidate>),
    /// The root scope of a new apex.
    FoundApex {
        /// The name.
        name: Name,
        /// The genesis.
        descriptor: Box<Descriptor>,
    },
    /// An entry that goes to another scope of this node.
    Move(Box<Move>),
    /// Something for a proposal that waits.
    Tend(Box<Tending>),
    /// Decides what waited for its time, and gives up what expired.
    Ripen,
    /// Lineages that another node exported.
    TakeOver(Box<Takeover>),
    /// Something for a table of devices; no part of any lineage.
    Device(Box<DeviceWork>),
    /// Blocks of a scope that other nodes decide over.
    Follow(Box<Follow>),
    /// A scope is followed, or no longer; no part of any lineage.
    Mirror(ScopeUid, Option<Box<Mirror>>),
    /// A block whose certificate holds, and the node that had it. Where another one is held at its
    /// height, that is a fork, which is kept; no part of any lineage.
    Freeze(Box<Certified>, PublicKey),
    /// What a peer says that another anchor laid before all; no part of any lineage.
    Hear(PublicKey, Box<Pending>),
    /// Gives up what waits in a joint scope and contradicts what was decided.
    GiveUp(ScopeUid),
    /// A block of what waits in a joint scope, for an anchor to offer; nothing is written.
    Draft(ScopeUid, AnchorId),
    /// Whether a block that was offered may be decided; nothing is written.
    Judge(Box<Tender>),
    /// The block by which a descriptor would take over a scope at a time; nothing is written.
    DraftRecovery(ScopeUid, Box<Descriptor>, Timestamp),
}

/// What can come to a proposal that waits.
#[derive(Debug, Clone)]
pub enum Tending {
    /// An approval or objection; it may be late.
    Vote(Signed<Approval>),
    /// An anchor accepts its seat.
    Seat {
        /// The scope.
        scope: ScopeUid,
        /// The proposal.
        proposal: Digest,
        /// The signature.
        seat: SeatSignature,
    },
    /// The author takes it back.
    Withdraw(Signed<Withdrawal>),
}

/// A move between two scopes held here: reserved, transferred and adopted in one commit, each a
/// proposal in its own lineage.
#[derive(Debug, Clone)]
pub struct Move {
    /// The scope it leaves.
    pub from: ScopeNo,
    /// Its path there.
    pub from_path: NamePath,
    /// The scope it enters.
    pub to: ScopeNo,
    /// Its path there.
    pub to_path: NamePath,
    /// Why.
    pub note: String,
    /// Makes equal moves two.
    pub nonce: u64,
}

/// Where and when a change was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The scope.
    pub scope: ScopeNo,
    /// The height.
    pub height: u64,
    /// The block.
    pub block: Digest,
    /// The block's time.
    pub time: Timestamp,
}

/// What became of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// A block decided it.
    Decided {
        /// The block.
        at: Committed,
        /// What became of the proposal.
        fate: Fate,
    },
    /// A block records a vote on a proposal that was decided before.
    Recorded(Committed),
    /// It is kept and waits.
    Waits {
        /// The scope.
        scope: ScopeNo,
        /// The proposal.
        proposal: Digest,
        /// What for.
        lacks: Refusal,
    },
    /// Proposals whose time had come.
    Ripened {
        /// How many were decided.
        decided: usize,
        /// How many had expired and were given up.
        expired: usize,
    },
    /// It was done with a device.
    Device(DeviceDone),
    /// Blocks were replayed, as far as they follow.
    Followed(Followed),
    /// What is followed, or a fork, was noted.
    Noted,
    /// What waits in a joint scope is known here.
    Heard(ScopeUid),
    /// A block to be offered; none if nothing can be decided.
    Drafted(Option<Box<Tender>>),
    /// Whether a block may be decided.
    Judged(bool),
    /// A block that would recover a scope.
    RecoveryDrafted(Box<Block>),
}

impl Done {
    /// The block, if there is one.
    pub const fn at(&self) -> Option<&Committed> {
        match self {
            Self::Decided { at, .. } | Self::Recorded(at) => Some(at),
            Self::Followed(followed) => followed.at.as_ref(),
            Self::Waits { .. }
            | Self::Ripened { .. }
            | Self::Device(_)
            | Self::Noted
            | Self::Heard(_)
            | Self::Drafted(_)
            | Self::Judged(_)
            | Self::RecoveryDrafted(_) => None,
        }
    }
}

/// Why a change is not in force.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChangeError {
    /// It is refused, and nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An export is refused, and nothing changed.
    #[error("{0}")]
    Restore(Arc<RestoreRefusal>),
    /// It was not done with a device.
    #[error(transparent)]
    Device(#[from] DeviceRefusal),
    /// It could not be signed, and nothing changed.
    #[error(transparent)]
    Signer(#[from] NotSigned),
    /// The store failed, and nothing changed.
    #[error("the store failed: {0}")]
    Store(String),
    /// Too many changes wait.
    #[error("too many changes are waiting to be committed")]
    Busy,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl From<KeyringError> for ChangeError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Refused(refusal) => refusal.into(),
            KeyringError::Signer(error) => error.into(),
        }
    }
}

pub(super) type Answered = Result<Done, ChangeError>;

/// A change that waits, with its share of the queue's memory.
#[derive(Debug)]
struct Job {
    work: Work,
    reply: oneshot::Sender<Answered>,
    byte_count: usize,
    room: OwnedSemaphorePermit,
}

impl Work {
    /// How many bytes of proposals it holds.
    fn byte_count(&self) -> usize {
        match self {
            Self::Decide(candidate) => candidate.proposal.signed().byte_count(),
            Self::FoundApex { .. }
            | Self::Move(_)
            | Self::Tend(_)
            | Self::Ripen
            | Self::TakeOver(_)
            | Self::Device(_)
            | Self::Mirror(..)
            | Self::GiveUp(_)
            | Self::Draft(..)
            | Self::Judge(_)
            | Self::DraftRecovery(..)
            | Self::Freeze(..) => 0,
            Self::Hear(_, pending) => pending.proposal.byte_count(),
            // A link may be larger than the whole queue; it has room when nothing else waits.
            Self::Follow(follow) => follow.byte_count.min(QUEUE_BYTES_MAX / 2),
        }
    }
}

/// Hands changes to the writer.
#[derive(Debug, Clone)]
pub struct Governor {
    queue: mpsc::Sender<Job>,
    /// In KiB of proposals.
    room: Arc<Semaphore>,
    health: Health,
}

/// Who waits for an answer, and the room that is free after it.
pub(super) type Waiting = (oneshot::Sender<Answered>, OwnedSemaphorePermit);

/// What the store said to the last commit; none while it works.
pub type Health = Arc<ArcSwapOption<String>>;

impl Governor {
    /// What the store said to the last commit.
    pub fn health(&self) -> Health {
        Arc::clone(&self.health)
    }

    /// Commits a change. It is durable when this returns `Ok`.
    pub async fn commit(&self, work: Work) -> Answered {
        self.queue(work)?.answer().await
    }

    /// Queues a change: it is decided after those that were queued before.
    pub fn queue(&self, work: Work) -> Result<Queued, ChangeError> {
        let (reply, answered) = oneshot::channel();
        let byte_count = work.byte_count();
        let units = u32::try_from(byte_count.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room);
        let room = room
            .try_acquire_many_owned(units)
            .map_err(|_| ChangeError::Busy)?;
        let job = Job {
            work,
            reply,
            byte_count,
            room,
        };
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ChangeError::Busy,
            mpsc::error::TrySendError::Closed(_) => ChangeError::Stopping,
        })?;
        Ok(Queued(answered))
    }
}

/// A change that is queued; given up, it is committed all the same.
#[derive(Debug)]
pub struct Queued(oneshot::Receiver<Answered>);

impl Queued {
    /// Waits for what becomes of it. It is durable when this returns `Ok`.
    pub async fn answer(self) -> Answered {
        self.0.await.unwrap_or(Err(ChangeError::Stopping))
    }

    /// The same for a thread that may be held up.
    pub fn wait(self) -> Answered {
        self.0.blocking_recv().unwrap_or(Err(ChangeError::Stopping))
    }
}

/// The writer's end of the queue.
#[derive(Debug)]
pub(super) struct Jobs {
    waiting: mpsc::Receiver<Job>,
}

/// A queue, and what the store said last.
pub(super) fn queue() -> (Governor, Jobs, Health) {
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let health = Health::default();
    let governor = Governor {
        queue,
        room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX / ROOM_UNIT_BYTES)),
        health: Arc::clone(&health),
    };
    (governor, Jobs { waiting }, health)
}

impl Jobs {
    /// Waits for a change and takes what may be committed together with it; none when every
    /// governor is gone.
    pub(super) fn next_batch(&mut self) -> Option<(Vec<Work>, Vec<Waiting>)> {
        let mut byte_count = 0;
        let (mut works, mut waiting) = (Vec::new(), Vec::new());
        let mut next = Some(self.waiting.blocking_recv()?);
        while let Some(job) = next {
            byte_count += job.byte_count;
            works.push(job.work);
            waiting.push((job.reply, job.room));
            let full = works.len() >= PROPOSALS_PER_COMMIT_MAX || byte_count >= COMMIT_BYTES_MAX;
            next = if full {
                None
            } else {
                self.waiting.try_recv().ok()
            };
        }
        Some((works, waiting))
    }
}
