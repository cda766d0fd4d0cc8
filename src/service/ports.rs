//! The traits through which services reach the world.

use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::index::lineage::LinkError;
use crate::index::rows::IndexRows;
use crate::index::view::{IndexTxn, IndexView};
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion, LegacyReply};

/// Wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Where the index lives: one writer, any number of readers that never wait for it.
pub trait Store: Send + Sync + 'static {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;
    /// Reads of one moment.
    type Snapshot: IndexView<Error = Self::Error> + IndexRows + Send + Sync + 'static;
    /// The write transaction.
    type Txn<'t>: IndexTxn + IndexRows + IndexView<Error = Self::Error>;

    /// The state after the last commit.
    fn latest(&self) -> Arc<Self::Snapshot>;

    /// Runs one change and makes it durable, or leaves no trace of it.
    fn write<R>(
        &self,
        change: impl FnOnce(&mut Self::Txn<'_>) -> Result<R, LinkError<Self::Error>>,
    ) -> Result<R, LinkError<Self::Error>>;
}

/// Legacy DNS as seen from here: upstreams behind routes.
pub trait LegacyDns: Send + Sync + 'static {
    /// Asks once, within `patience_ms` milliseconds.
    fn ask(
        &self,
        question: &LegacyQuestion,
        patience_ms: u64,
    ) -> impl Future<Output = Result<LegacyAnswered, LegacyFailure>> + Send;
}

/// A reply and where it came from.
#[derive(Debug, Clone)]
pub struct LegacyAnswered {
    /// The reply.
    pub reply: LegacyReply,
    /// The upstream, or the group of upstreams, as people know it.
    pub upstream: String,
}
