//! The audit log: what happened, chained by digests, written in batches by a thread of its own.
//! Nobody who reports an event waits for the disk.

mod auditor;
mod chain;
mod counters;
mod record;
#[cfg(test)]
mod tests;
mod wanted;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender, TrySendError, channel};

use arc_swap::ArcSwap;

use crate::base::time::Timestamp;
use crate::governance::access::Verdict;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;

use self::counters::Counters;

pub use self::auditor::Auditor;
pub use self::chain::{Broken, Head, Walk, last_whole};
pub use self::record::{Event, bounded};
pub use self::wanted::{NoTime, Record, Since, Wanted};

/// Events that wait to be written; further ones are lost and counted. A batch a second keeps up
/// with the changes that a store can commit in that time.
const WAITING_MAX: usize = 32_768;

/// Where events are reported; clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct Audit(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    queue: SyncSender<Message>,
    parts: Arc<Parts>,
}

/// What the reporters and the auditor both hold.
#[derive(Debug, Default)]
struct Parts {
    counters: Counters,
    /// Events that found the queue full.
    lost: AtomicU64,
    state: ArcSwap<AuditState>,
}

#[derive(Debug)]
enum Message {
    /// Something to be recorded; the auditor says when.
    Event(Event),
    /// Everything so far is to be written, counters too.
    Flush(Sender<()>),
    /// The same, and nothing comes after it.
    Close(Sender<()>),
}

/// How the log is.
#[derive(Debug, Clone, Default)]
pub struct AuditState {
    /// The last whole batch.
    pub head: Option<Head>,
    /// Why nothing can be written at present.
    pub failing: Option<String>,
    /// Events that were lost since the start.
    pub lost: u64,
}

impl Audit {
    /// Lets every event go.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether what is reported is kept anywhere.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Reports an event.
    pub fn note(&self, event: Event) {
        let Some(shared) = &self.0 else { return };
        match shared.queue.try_send(Message::Event(event)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                shared.parts.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts a question that a scope's policy denied.
    pub fn denied(&self, scope: ScopeUid, verdict: Verdict, caller: IpAddr) {
        if let Some(shared) = &self.0 {
            shared.parts.counters.denied(scope, verdict, caller);
        }
    }

    /// Counts a question that legacy DNS was asked under a fall-back rule.
    pub fn consulted(&self, suffix: &Name, answered: bool) {
        if let Some(shared) = &self.0 {
            shared.parts.counters.consulted(suffix, answered);
        }
    }

    /// Counts a call of the admin API by nobody known.
    pub fn strangers(&self, caller: IpAddr) {
        if let Some(shared) = &self.0 {
            shared.parts.counters.strangers(caller);
        }
    }

    /// How the log is; none where nothing is recorded.
    pub fn state(&self) -> Option<Arc<AuditState>> {
        self.0.as_ref().map(|shared| shared.parts.state.load_full())
    }

    /// Waits until everything that was reported before is on the disk, or could not be.
    pub fn flush(&self) {
        self.wait(Message::Flush);
    }

    /// The same, and ends the auditor. What is reported later is lost.
    pub fn close(&self) {
        self.wait(Message::Close);
    }

    fn wait(&self, message: impl FnOnce(Sender<()>) -> Message) {
        let Some(shared) = &self.0 else { return };
        let (done, waiting) = channel();
        // An auditor that is gone has nothing left to write.
        if shared.queue.send(message(done)).is_ok() {
            let _ = waiting.recv();
        }
    }
}

/// An event and its time.
type Timed = (Timestamp, Event);
