//! `Auditor`: the one writer of the audit log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, sync_channel};
use std::time::Duration;

use tokio::time::Instant;

use crate::service::ports::{AuditFile, Clock};

use super::chain::{Head, batch};
use super::record::{Event, bounded};
use super::{Audit, AuditState, Message, Parts, Shared, Timed, WAITING_MAX};

/// How long an event may wait for others before its batch is written: the most that a crash takes.
const BATCH_PAUSE: Duration = Duration::from_secs(1);
/// How often counters are recorded.
const COUNTERS_PAUSE: Duration = Duration::from_mins(1);
/// Records of one batch: bounds its memory.
const BATCH_RECORDS_MAX: usize = 4_096;

/// A loop for a thread of its own.
#[derive(Debug)]
pub struct Auditor<F, C> {
    file: F,
    clock: C,
    /// A file is begun anew beyond so many bytes.
    rotate_bytes: u64,
    queue: Receiver<Message>,
    parts: Arc<Parts>,
    /// Where the chain stands; none while the file cannot be opened.
    head: Option<Head>,
    waiting: Vec<Timed>,
    /// Events that could not be written, and why the last could not.
    lost: u64,
    because: String,
}

impl<F: AuditFile, C: Clock> Auditor<F, C> {
    /// An auditor over a file, and the way to report to it. A file that cannot be opened is tried
    /// again with each batch.
    pub fn new(file: F, clock: C, rotate_bytes: u64) -> (Audit, Self) {
        let (sender, queue) = sync_channel(WAITING_MAX);
        let parts = Arc::new(Parts::default());
        let shared = Shared {
            queue: sender,
            parts: Arc::clone(&parts),
        };
        let mut auditor = Self {
            file,
            clock,
            rotate_bytes,
            queue,
            parts,
            head: None,
            waiting: Vec::new(),
            lost: 0,
            because: String::new(),
        };
        // A new log begins at once, so that it has a head to be noted.
        auditor.write();
        (Audit(Some(Arc::new(shared))), auditor)
    }

    /// Writes until it is closed or nobody reports any more.
    pub fn run(mut self) {
        let mut counted = Instant::now();
        loop {
            let done = self.collect(counted);
            if done.is_some() || counted.elapsed() >= COUNTERS_PAUSE {
                self.count();
                counted = Instant::now();
            }
            self.write();
            match done {
                None => {}
                Some(Done::Flushed(waiting)) => {
                    let _ = waiting.send(());
                }
                Some(Done::Closed(waiting)) => {
                    if let Some(waiting) = waiting {
                        let _ = waiting.send(());
                    }
                    return;
                }
            }
        }
    }

    /// Takes events until a batch is full or old enough, or somebody waits.
    fn collect(&mut self, counted: Instant) -> Option<Done> {
        let mut until = counted + COUNTERS_PAUSE;
        while self.waiting.len() < BATCH_RECORDS_MAX {
            let left = until.saturating_duration_since(Instant::now());
            match self.queue.recv_timeout(left) {
                Ok(Message::Event(event)) => {
                    if self.waiting.is_empty() {
                        until = until.min(Instant::now() + BATCH_PAUSE);
                    }
                    self.waiting.push((self.clock.now(), event));
                }
                Ok(Message::Flush(waiting)) => return Some(Done::Flushed(waiting)),
                Ok(Message::Close(waiting)) => return Some(Done::Closed(Some(waiting))),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => return Some(Done::Closed(None)),
            }
        }
        None
    }

    fn count(&mut self) {
        let now = self.clock.now();
        let counted = self.parts.counters.take();
        let counted = counted.into_iter().map(|event| (now, event));
        self.waiting.extend(counted);
    }

    /// Writes what waits as one batch, or counts it as lost.
    fn write(&mut self) {
        let events = std::mem::take(&mut self.waiting);
        let full = self.parts.lost.swap(0, Ordering::Relaxed);
        if full > 0 {
            self.lost += full;
            "too many events at once".clone_into(&mut self.because);
        }
        if events.is_empty() && self.lost == 0 && self.head.is_some() {
            return;
        }
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let before = self.parts.state.load();
        let mut state = AuditState {
            head: self.head,
            failing: None,
            lost: before.lost + full,
        };
        match self.append(events) {
            Ok(head) => {
                if before.failing.is_some() {
                    tracing::info!(lost = self.lost, "the audit log can be written again");
                }
                state.head = Some(head);
                self.lost = 0;
            }
            Err(error) => {
                let error = error.to_string();
                if before.failing.is_none() {
                    tracing::error!(%error, "the audit log cannot be written; answers go on");
                }
                self.lost += count;
                state.lost += count;
                self.because.clone_from(&error);
                state.failing = Some(error);
            }
        }
        self.head = state.head;
        self.parts.state.store(Arc::new(state));
    }

    fn append(&mut self, events: Vec<Timed>) -> std::io::Result<Head> {
        let now = self.clock.now();
        let mut batched = Vec::with_capacity(events.len() + 3);
        let head = if let Some(head) = self.head {
            head
        } else {
            let found = self.file.open()?;
            let bytes = found.dropped_bytes;
            if bytes > 0 {
                batched.push((now, Event::Recovered { bytes }));
            }
            found.head.unwrap_or(Head::NONE)
        };
        if self.file.byte_count() >= self.rotate_bytes {
            self.file.rotate()?;
            let Head {
                batches, digest, ..
            } = head;
            tracing::info!(target: "kedge::audit", batches, %digest, "the audit log goes on in another file");
        }
        if self.file.byte_count() == 0 {
            batched.insert(0, (now, head.file()));
        }
        if self.lost > 0 {
            let because = bounded(self.because.clone());
            let lost = self.lost;
            batched.push((now, Event::Gap { lost, because }));
        }
        batched.extend(events);
        if batched.is_empty() {
            return Ok(head);
        }
        let (lines, next) = batch(head, now, &batched);
        self.file.append(&lines)?;
        Ok(next)
    }
}

/// Who waits for a batch.
enum Done {
    Flushed(Sender<()>),
    Closed(Option<Sender<()>>),
}
