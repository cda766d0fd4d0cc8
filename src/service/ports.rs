//! The traits through which services reach the world.

use std::future::Future;

use crate::base::time::Timestamp;
use crate::resolution::legacy::{LegacyFailure, LegacyQuestion, LegacyReply};

/// Wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
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
