//! The traits through which services reach the world.

use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::base::digest::Digest;
use crate::base::keys::{PublicKey, SecretKey};
use crate::base::time::Timestamp;
use crate::governance::beacon::{TakenBack, Testimony};
use crate::governance::lease::Check;
use crate::index::devices::{DeviceStore, DeviceView};
use crate::index::floor::Floor;
use crate::index::held_lease::{KeptLease, LeaseChange};
use crate::index::journey::{Journey, Side};
use crate::index::lineage::LinkError;
use crate::index::pending::{PendingStore, PendingView};
use crate::index::replica::{ReplicaStore, ReplicaView};
use crate::index::rows::IndexRows;
use crate::index::view::{IndexTxn, IndexView};
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Doubts, Evidence, Kept, Row};
use crate::replication::pull::Complaint;
use crate::replication::wire::{Reply, Request, TooNew, Turned};
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion, LegacyReply};

use super::audit::{Head, Record, Wanted};
use super::callers::{Token, TokenId};
use super::legacy_cache::UpstreamStanding;

/// Wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Unpredictable numbers.
pub trait Randomness: Send + Sync + 'static {
    /// A seed for a key or a salt.
    fn seed(&self) -> [u8; 32];

    /// A number that no other proposal has.
    fn u64(&self) -> u64 {
        let seed = self.seed();
        seed.first_chunk::<8>()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// Where secret keys are kept.
pub trait KeyStore: Send + Sync + 'static {
    /// Writes a key durably, readable by the owner only. An error says what went wrong.
    fn keep(&self, scope: &Name, key: &SecretKey) -> Result<(), String>;
}

/// Where the index lives: one writer, any number of readers that never wait for it.
pub trait Store: Send + Sync + 'static {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;
    /// Reads of one moment.
    type Snapshot: IndexView<Error = Self::Error>
        + IndexRows
        + PendingView<Failure = Self::Error>
        + DeviceView<Failure = Self::Error>
        + ReplicaView<Failure = Self::Error>
        + Send
        + Sync
        + 'static;
    /// The write transaction.
    type Txn<'t>: IndexTxn
        + IndexRows
        + IndexView<Error = Self::Error>
        + PendingStore<Failure = Self::Error>
        + DeviceStore<Failure = Self::Error>
        + ReplicaStore<Failure = Self::Error>;

    /// The state after the last commit.
    fn latest(&self) -> Arc<Self::Snapshot>;

    /// Rises with every commit, once the latest state shows it and before anybody is told of it.
    fn commits(&self) -> u64;

    /// Runs one change and makes it durable, or leaves no trace of it.
    fn write<R>(
        &self,
        change: impl FnOnce(&mut Self::Txn<'_>) -> Result<R, LinkError<Self::Error>>,
    ) -> Result<R, LinkError<Self::Error>>;
}

/// Where leases are kept: soft state, apart from the index.
pub trait LeaseStore: Send + 'static {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Every lease that is kept.
    fn load(&self) -> Result<Vec<KeptLease>, Self::Error>;

    /// Makes changes durable, in their order, all or none.
    fn write(&mut self, changes: &[LeaseChange]) -> Result<(), Self::Error>;
}

/// Where a scope was proven to be; none if it need not be remembered any more.
pub type FloorChange = (ScopeUid, Option<Floor>);

/// Where it is kept how far scopes of other nodes were proven to be.
pub trait FloorStore: Send + Sync + 'static {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Every floor that is kept.
    fn load(&self) -> Result<Vec<Floor>, Self::Error>;

    /// Makes changes durable, all or none.
    fn write(&self, changes: &[FloorChange]) -> Result<(), Self::Error>;
}

/// What an anchor says of a scope by now; none if it need not be known any more.
pub type WordChange = ((ScopeUid, PublicKey), Option<Testimony>);

/// What anchors of other nodes said, as it was kept. Nobody checked it again.
#[derive(Debug, Clone, Default)]
pub struct SaidBefore {
    /// The last word of each anchor about each scope.
    pub words: Vec<Testimony>,
    /// Words that contradict each other.
    pub evidence: Vec<TakenBack>,
    /// The time of the last beacons of anchors of this node; none if there were none.
    pub spoken: Option<Timestamp>,
}

/// Where it is kept what anchors said.
pub trait BeaconStore: Send + Sync + 'static {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Everything that is kept.
    fn load(&self) -> Result<SaidBefore, Self::Error>;

    /// Makes changes and evidence durable, all or none. Evidence stays for ever.
    fn write(&self, words: &[WordChange], evidence: &[TakenBack]) -> Result<(), Self::Error>;

    /// Makes it durable that anchors of this node speak at a time. Nothing they say leaves the node
    /// before that.
    fn speak(&self, time: Timestamp) -> Result<(), Self::Error>;
}

/// A journey as it is now; none if it is forgotten.
pub type JourneyChange = ((Side, Digest), Option<Journey>);

/// Where entries are kept that move from or to scopes of other nodes.
pub trait JourneyStore: Send + Sync + 'static {
    /// Every journey that is kept.
    fn load(&self) -> Result<Vec<Journey>, String>;

    /// Makes changes durable, all or none.
    fn write(&self, changes: &[JourneyChange]) -> Result<(), String>;
}

/// Where what anchors of this node sign and take in while they decide is kept: nothing of a step
/// leaves the node before its rows are here.
pub trait OrderingStore: Send + 'static {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// What was stored for a height of a scope, in its order.
    fn load(&self, scope: &ScopeUid, height: u64) -> Result<Kept, Self::Error>;

    /// Adds the rows of a step durably, all or none.
    fn append(&mut self, scope: &ScopeUid, height: u64, rows: &[Row]) -> Result<(), Self::Error>;

    /// Removes what was stored for heights of a scope up to one that is decided, but for what says
    /// what was signed.
    fn forget(&mut self, scope: &ScopeUid, height: u64) -> Result<(), Self::Error>;

    /// The highest height of each scope at which something was signed.
    fn signed(&self) -> Result<Vec<(ScopeUid, u64)>, Self::Error>;

    /// What speaks against these rows being the newest there were.
    fn doubts(&self) -> Result<Doubts, Self::Error>;

    /// Keeps what speaks against it, durably.
    fn doubt(&mut self, doubts: &Doubts) -> Result<(), Self::Error>;

    /// Keeps what convicts an anchor, for ever.
    fn keep_evidence(&mut self, evidence: &Evidence) -> Result<(), Self::Error>;
}

/// Finds out whether instances work.
pub trait Prober: Send + Sync + 'static {
    /// Checks an instance at its own address; an error says what is wrong.
    fn probe(
        &self,
        to: SocketAddr,
        check: &Check,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// Where tokens of the admin API are kept. Errors say what went wrong.
pub trait TokenStore: Send + Sync + 'static {
    /// Every token.
    fn tokens(&self) -> Result<Vec<Token>, String>;

    /// Writes one durably, and forgets those that are over.
    fn put_token(&self, token: &Token, over: &[TokenId]) -> Result<(), String>;
}

/// Where the audit log is kept: bytes that are only ever added.
pub trait AuditFile: Send + 'static {
    /// Opens the log, also one that was open. What follows its last whole batch is dropped.
    fn open(&mut self) -> io::Result<AuditFound>;

    /// Adds bytes durably. After an error the log is as it was before.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Bytes in the present file.
    fn byte_count(&self) -> u64;

    /// Puts the present file beside the others; the next bytes begin another one.
    fn rotate(&mut self) -> io::Result<()>;
}

/// What was found in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditFound {
    /// The last whole batch; none in a new log.
    pub head: Option<Head>,
    /// Bytes that followed it.
    pub dropped_bytes: u64,
}

/// Legacy DNS as seen from here: upstreams behind routes.
pub trait LegacyDns: Send + Sync + 'static {
    /// Asks once, within `patience_ms` milliseconds.
    fn ask(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> impl Future<Output = Result<LegacyAnswered, LegacyFailure>> + Send;

    /// Whether asking again gives more than what is left of the answer before.
    fn can_renew(&self, _question: &LegacyQuestion) -> bool {
        true
    }

    /// How each upstream does.
    fn upstreams(&self) -> Vec<UpstreamStanding> {
        Vec::new()
    }

    /// Forgets what it keeps itself of earlier answers.
    fn forget(&self) {}
}

/// A reply and where it came from.
#[derive(Debug, Clone)]
pub struct LegacyAnswered {
    /// The reply.
    pub reply: LegacyReply,
    /// The upstream, or the group of upstreams, as people know it.
    pub upstream: String,
}

/// What a peer answered, once it did.
pub type Asked = Pin<Box<dyn Future<Output = Result<Reply, PeerFailure>> + Send>>;

/// Why a peer gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerFailure {
    /// It is not among the peers of this node.
    #[error("it is no peer of this node")]
    Unknown,
    /// There is no connection.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Timeout,
    /// The connection ended.
    #[error("the connection ended: {0}")]
    Broken(String),
    /// The request is newer than what it speaks. It was not sent, and that is no fault of the peer's.
    #[error(transparent)]
    TooNew(#[from] TooNew),
    /// What it sent is no reply.
    #[error("what it sent is no reply: {0}")]
    Nonsense(String),
    /// It turned the request down.
    #[error("{0}")]
    Turned(#[from] Turned),
}

/// Other nodes as seen from here. Only those of the configuration exist.
pub trait PeerNetwork: Send + Sync + 'static {
    /// Asks a peer once, within the network's own deadlines.
    fn ask(&self, peer: PublicKey, request: Request) -> Asked;

    /// Tells the peers that are connected, without waiting for them.
    fn tell(&self, request: Request);

    /// Tells one peer, if it is connected.
    fn tell_one(&self, peer: &PublicKey, request: Request);

    /// Notes what a peer did wrong.
    fn complain(&self, peer: &PublicKey, complaint: &Complaint);

    /// Every peer.
    fn peers(&self) -> Vec<PeerStanding>;

    /// This node, as others see it.
    fn ourselves(&self) -> Ourselves;
}

/// What answers peers.
pub trait PeerRequests: Send + Sync + 'static {
    /// Answers a request. Reads at most what fits one reply.
    fn answer(&self, peer: &PublicKey, request: Request) -> Reply;

    /// A peer can be asked from now on.
    fn connected(&self, peer: &PublicKey);
}

/// This node, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ourselves {
    /// Its key among nodes.
    pub id: PublicKey,
    /// Where it listens for peers.
    pub addresses: Vec<SocketAddr>,
    /// Where it runs.
    pub region: String,
}

/// A peer, and how it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStanding {
    /// Its key among nodes.
    pub id: PublicKey,
    /// What it is called here.
    pub name: String,
    /// Where it runs.
    pub region: String,
    /// Where it is dialled; nowhere, if it dials itself.
    pub addresses: Vec<SocketAddr>,
    /// Whether there is a connection.
    pub is_connected: bool,
    /// The version of requests and replies that is spoken with it, while there is a connection.
    pub version: Option<u16>,
    /// Its program, by its own word; empty before it greeted.
    pub software: String,
    /// The round trip, in microseconds.
    pub rtt_us: Option<u64>,
    /// When it was last heard.
    pub heard: Option<Timestamp>,
    /// Requests of it that were answered.
    pub answered: u64,
    /// Requests of it that were turned down.
    pub refused: u64,
    /// What it did wrong, in number.
    pub complaints: u64,
    /// And the last of it, or why there is no connection.
    pub last_error: Option<String>,
}

/// The concrete parts that a node is built from; one name for all of them.
pub trait Parts: Send + Sync + 'static {
    /// Where the index lives.
    type Store: Store;
    /// Legacy DNS.
    type Legacy: LegacyDns;
    /// Time.
    type Clock: Clock + Clone;
    /// Chance.
    type Randomness: Randomness;
    /// Where secret keys are kept.
    type Keys: KeyStore;
}

/// What reading the index of these parts can fail with.
pub type IndexFailure<P> = <<P as Parts>::Store as Store>::Error;

/// What only the node as a whole can do.
pub trait Operations: Send + Sync + 'static {
    /// Reads configuration and zones again and puts them in force, or changes nothing. Says in a
    /// line each what is new.
    fn reload(&self) -> Result<Vec<String>, String>;

    /// Recomputes everything from genesis. Blocks for as long as that takes.
    fn verify(&self) -> Result<Verified, String>;

    /// A file without a name, for what must be whole before it is used; gone when it is closed.
    fn spool(&self) -> Result<Box<dyn Spool>, String>;

    /// The newest records of the audit log that are wanted, oldest first; none if no log is kept. Reads
    /// files.
    fn audit_records(&self, wanted: &Wanted) -> Result<Option<Vec<Record>>, String> {
        let _ = wanted;
        Ok(None)
    }

    /// Looks for causes of trouble.
    fn doctor(&self) -> Vec<Symptom>;

    /// This node, as others see it; its key is made if there is none.
    fn ourselves(&self) -> Result<Ourselves, String> {
        Err("this node has no key among nodes".to_owned())
    }

    /// Knows another node from now on, also after a restart, as if the configuration named it. One that
    /// the configuration names stays as it is there.
    fn meet(&self, _: Acquaintance) -> Result<(), String> {
        Err("this node keeps no peers".to_owned())
    }

    /// The peers that it knows only because it met them.
    fn met(&self) -> Vec<PublicKey> {
        Vec::new()
    }
}

/// Another node that this one was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquaintance {
    /// Its key among nodes.
    pub id: PublicKey,
    /// Where it listens for peers; nowhere, if it dials itself.
    pub addresses: Vec<SocketAddr>,
    /// Where it runs.
    pub region: String,
}

/// A spool takes no more: what is written to it is longer than the node takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is longer than this node takes in")]
pub struct SpoolFull;

impl SpoolFull {
    /// Whether it is why something could not be written.
    pub fn is_why(error: &io::Error) -> bool {
        let source = error.get_ref();
        source
            .and_then(|source| source.downcast_ref::<Self>())
            .is_some()
    }
}

/// Bytes that are written, then read from the beginning.
pub trait Spool: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> Spool for T {}

/// What was recomputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// Scopes.
    pub scopes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Proposals.
    pub proposals: u64,
    /// Entries compared.
    pub entries: u64,
    /// Scopes that one lying anchor could fork.
    pub crash_only: u64,
}

/// How bad a symptom is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warn,
    /// Something does not work.
    Fail,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// Something that was looked at, and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symptom {
    /// How bad.
    pub level: Level,
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
