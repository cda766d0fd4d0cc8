//! `Keep`: what was proven, on the disk, so that a node that starts in the dark knows it still.
//!
//! It is a cache: it is written off the way of questions, read when a name is first asked for, and a
//! disk that is full or damaged costs nothing but what it would have given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::index::proof::{KeptProofs, KeptScope, Part, Regathered, regather};
use crate::namespace::scope::ScopeUid;
use crate::resolution::governed::Unproven;
use crate::service::resolver::error_chain;

use super::Learner;

/// How late a fact is on the disk, at most.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is written after the disk refused: a full one is not tried every second.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Bytes that wait to be written: some thousand proofs, more than are verified in a second.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Lineages whose signatures need not be checked again, at 32 bytes.
const CHECKED_MAX: usize = 16_384;

/// What was proven cannot be written down.
#[derive(Debug, thiserror::Error)]
#[error("what was proven cannot be written down")]
pub struct Unwritten(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where parts of proofs are kept, within a bound of its own: what is there today may be gone
/// tomorrow.
pub trait ProofStore: KeptProofs + Send + Sync + 'static {
    /// Writes parts down, and where scopes stand, all or none.
    fn write(&self, parts: &[Part], scopes: &[KeptScope]) -> Result<(), Unwritten>;
}

/// Counts of what is kept since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptStats {
    /// Scopes of proofs that were written, each with its slots.
    pub written: u64,
    /// Those that were not.
    pub lost: u64,
    /// Times that something was read back and held.
    pub restored: u64,
    /// Files, rows and parts that could not be read, or did not hold.
    pub refused: u64,
}

/// What is on the disk, and what shall be.
#[derive(Default)]
pub(super) struct Keep {
    store: OnceLock<Arc<dyn ProofStore>>,
    waiting: Mutex<Waiting>,
    checked: Arc<Mutex<BTreeSet<Digest>>>,
    written: AtomicU64,
    lost: AtomicU64,
    restored: AtomicU64,
    refused: AtomicU64,
}

/// What is to be written.
#[derive(Default)]
struct Waiting {
    parts: Vec<Part>,
    scopes: BTreeMap<ScopeUid, KeptScope>,
    bytes: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64, more: usize) {
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Keep {
    /// Whether there is a disk.
    pub(super) fn is_on(&self) -> bool {
        self.store.get().is_some()
    }

    pub(super) fn stats(&self) -> KeptStats {
        KeptStats {
            written: self.written.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            restored: self.restored.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Has parts of a proof written down soon, and where their scopes stand.
    pub(super) fn hand_in(&self, parts: Vec<Part>, kept: impl Fn(&Part) -> Option<KeptScope>) {
        let mut waiting = lock(&self.waiting);
        for part in parts {
            let Some(scope) = kept(&part) else {
                continue;
            };
            if waiting.bytes + part.bytes > WAITING_BYTES_MAX {
                count(&self.lost, 1);
                continue;
            }
            waiting.bytes += part.bytes;
            waiting.scopes.insert(scope.scope, scope);
            waiting.parts.push(part);
        }
    }

    /// Has it written down when a scope was heard last.
    pub(super) fn note(&self, scope: KeptScope) {
        if self.is_on() {
            lock(&self.waiting).scopes.insert(scope.scope, scope);
        }
    }

    async fn write_waiting(&self) -> Result<(), String> {
        let Some(store) = self.store.get().map(Arc::clone) else {
            return Ok(());
        };
        let Waiting { parts, scopes, .. } = std::mem::take(&mut *lock(&self.waiting));
        if parts.is_empty() && scopes.is_empty() {
            return Ok(());
        }
        let written = parts.len();
        let scopes: Vec<KeptScope> = scopes.into_values().collect();
        let done = spawn_blocking(move || store.write(&parts, &scopes)).await;
        let why = match done {
            Ok(Ok(())) => {
                count(&self.written, written);
                return Ok(());
            }
            Ok(Err(error)) => error_chain(&error),
            Err(error) => error.to_string(),
        };
        count(&self.lost, written);
        Err(why)
    }

    /// What is left of proofs on the way to a name.
    async fn read(&self, of: &Unproven) -> Option<Regathered> {
        let store = Arc::clone(self.store.get()?);
        let (top, name) = (of.top.clone(), of.name.clone());
        let checked = Arc::clone(&self.checked);
        // Some milliseconds of signatures.
        let reading = spawn_blocking(move || {
            let is_checked = |digest: &Digest| lock(&checked).contains(digest);
            regather((&top, &name), store.as_ref(), &is_checked)
        });
        let why = match reading.await {
            Ok(Ok(found)) => {
                self.refused.fetch_add(found.refused, Ordering::Relaxed);
                let mut checked = lock(&self.checked);
                if checked.len() + found.checked.len() > CHECKED_MAX {
                    checked.clear();
                }
                checked.extend(found.checked.iter().copied());
                return Some(found);
            }
            Ok(Err(error)) => error_chain(&error),
            Err(error) => error.to_string(),
        };
        if self.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(error = %why, "what was proven before the start is not used where it is damaged");
        }
        None
    }
}

/// What the disk gave for a name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FromDisk {
    /// When the last scope of it was heard; none if nothing was of use.
    pub(super) heard: Option<Timestamp>,
    /// Whether it answers the question as if it had been proven now.
    pub(super) is_enough: bool,
}

impl Learner {
    /// Keeps what is proven from now on, and uses what was kept. `damaged` files were put aside for
    /// it. Only the first store counts.
    pub fn keep_in(&self, store: Arc<dyn ProofStore>, damaged: u64) {
        self.kept.refused.fetch_add(damaged, Ordering::Relaxed);
        drop(self.kept.store.set(store));
    }

    /// Counts of what is kept.
    pub fn kept_stats(&self) -> KeptStats {
        self.kept.stats()
    }

    /// Has a proof that was taken in written down, as far as nothing better is known.
    pub(super) fn keep_parts(&self, parts: Vec<Part>, from: PublicKey, heard: Timestamp) {
        self.kept.hand_in(parts, |part| {
            let kept = KeptScope {
                scope: part.scope,
                head: part.head,
                heard,
                from,
            };
            self.book.stands_at(&kept).then_some(kept)
        });
    }

    /// Takes in what the disk has on the way to a name.
    pub(super) async fn restore(&self, of: &Unproven) -> FromDisk {
        let Some(found) = self.kept.read(of).await else {
            return FromDisk::default();
        };
        if found.scopes.is_empty() {
            return FromDisk::default();
        }
        let restored = self
            .book
            .restore(found.scopes, of.edge.clone(), self.clock.now());
        if restored.heard.is_some() {
            self.kept.restored.fetch_add(1, Ordering::Relaxed);
        }
        FromDisk {
            heard: restored.heard,
            is_enough: found.is_whole && restored.is_fresh,
        }
    }

    /// Writes down what is proven, until told to stop.
    pub async fn keep_proofs(self: Arc<Self>, stop: CancellationToken) {
        let mut is_failing = false;
        loop {
            let pause = if is_failing { RETRY_AFTER } else { WRITE_EVERY };
            let stops = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(pause) => false,
            };
            let written = self.kept.write_waiting().await;
            if let Err(error) = &written
                && !is_failing
            {
                tracing::error!(%error, "what other nodes prove is not kept; answers go on");
            }
            is_failing = written.is_err();
            if stops {
                return;
            }
        }
    }
}
