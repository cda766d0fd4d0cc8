//! The traits through which services reach the world.

use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::keys::SecretKey;
use crate::base::time::Timestamp;
use crate::governance::lease::Check;
use crate::index::devices::{DeviceStore, DeviceView};
use crate::index::held_lease::{KeptLease, LeaseChange};
use crate::index::lineage::LinkError;
use crate::index::pending::{PendingStore, PendingView};
use crate::index::rows::IndexRows;
use crate::index::view::{IndexTxn, IndexView};
use crate::namespace::name::Name;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion, LegacyReply};

use super::audit::Head;
use super::callers::{Token, TokenId};

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
        + Send
        + Sync
        + 'static;
    /// The write transaction.
    type Txn<'t>: IndexTxn
        + IndexRows
        + IndexView<Error = Self::Error>
        + PendingStore<Failure = Self::Error>
        + DeviceStore<Failure = Self::Error>;

    /// The state after the last commit.
    fn latest(&self) -> Arc<Self::Snapshot>;

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

    /// Looks for causes of trouble.
    fn doctor(&self) -> Vec<Symptom>;
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
