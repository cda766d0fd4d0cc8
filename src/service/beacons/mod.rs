//! `Beacons`: anchors of this node say where their scopes stand, and what other anchors say of scopes
//! that are followed here shows whether these are fresh.
//!
//! What a peer delivers counts by its signatures, so any peer may bring what an anchor said. Nothing is
//! sent unasked: each node asks its peers once in a period, and what did not change costs it one beacon
//! of each anchor.

mod asking;
mod book;
mod keeping;
mod own;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::keys::PublicKey;
use crate::base::lock::locked;
use crate::base::time::Timestamp;
use crate::governance::beacon::{TakenBack, Word};
use crate::index::freshness::{Freshness, FreshnessBounds};
use crate::index::replica::ReplicaView;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::witness::{BEACON_AHEAD_MS_MAX, Findings, Held, findings};

use super::council::Council;
use super::freshness::FreshnessTable;
use super::keyring::Keyring;
use super::ports::{Clock, IndexFailure, Parts, Store};
use super::resolver::error_chain;

use self::book::Book;
use self::own::Lamp;

/// Between two looks at what became due.
const TICK: Duration = Duration::from_secs(1);
/// What is due by half a tick is due: the next look would be later by more than that.
const EARLY: Duration = Duration::from_millis(500);

/// How often anchors speak and are asked, and what follows from their silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeaconRules {
    /// Between two beacons of an anchor, and between two asks for those of others, in milliseconds.
    pub every_ms: u64,
    /// How old it may be that nothing newer was there.
    pub bounds: FreshnessBounds,
}

/// How fresh a scope is, and what its anchors say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// What follows from it; none for a scope that seats here help to decide over.
    pub freshness: Option<Freshness>,
    /// Up to when anchors of a quorum's weight confirmed that nothing newer was there; none if they
    /// never did.
    pub confirmed: Option<Timestamp>,
    /// What they said last.
    pub findings: Findings,
    /// The weight that confirms.
    pub needed: u64,
}

/// Speaks for the anchors of a node, and listens to others.
pub struct Beacons<P: Parts> {
    store: Arc<P::Store>,
    keyring: Arc<Keyring>,
    council: Council,
    clock: P::Clock,
    rules: BeaconRules,
    table: Arc<FreshnessTable>,
    /// Before this nobody could have confirmed anything here: the start, or when the clock was set, in
    /// milliseconds.
    since: AtomicU64,
    book: Mutex<Book>,
    lamp: Mutex<Lamp>,
    /// Scopes that seats here govern together with others.
    joint: Mutex<BTreeSet<ScopeUid>>,
    /// Peers that are being asked.
    under_way: Mutex<BTreeSet<PublicKey>>,
    wake: Notify,
    /// Something was heard since scopes were looked at.
    heard: AtomicBool,
}

impl<P: Parts> std::fmt::Debug for Beacons<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Beacons")
    }
}

impl<P: Parts> Beacons<P> {
    /// Speaks with the keys of a keyring, and puts what is not fresh into a table.
    pub fn new(
        store: Arc<P::Store>,
        (keyring, council): (Arc<Keyring>, Council),
        clock: P::Clock,
        rules: BeaconRules,
        table: Arc<FreshnessTable>,
    ) -> Self {
        Self {
            since: AtomicU64::new(clock.now().as_millis()),
            store,
            keyring,
            council,
            clock,
            rules,
            table,
            book: Mutex::default(),
            lamp: Mutex::default(),
            joint: Mutex::default(),
            under_way: Mutex::default(),
            wake: Notify::new(),
            heard: AtomicBool::new(false),
        }
    }

    /// Has peers asked soon.
    pub fn look_soon(&self) {
        self.wake.notify_one();
    }

    /// What convicts anchors.
    pub fn evidence(&self) -> Vec<TakenBack> {
        locked(&self.book).evidence().cloned().collect()
    }

    /// Anchors whose clocks are so far ahead that they are not heard, with the last time of each.
    pub fn ahead(&self) -> Vec<(PublicKey, Timestamp)> {
        locked(&self.book).ahead()
    }

    /// How fresh a scope is that is followed or governed together with others; none for any other one.
    pub fn report(&self, state: &ScopeState) -> Result<Option<Report>, IndexFailure<P>> {
        let mirror = self.store.latest().mirror(&state.uid)?;
        let is_joint = self.council.is_joint(state);
        if mirror.is_none() && !is_joint {
            return Ok(None);
        }
        let now = self.clock.now();
        let findings = self.findings(state, now);
        let confirmed = locked(&self.book).confirmed(&state.uid, now);
        let confirmed = confirmed.max(findings.as_of);
        let freshness = mirror.filter(|_| !is_joint).map(|mirror| {
            let as_of = self.as_of(state, mirror.since, confirmed, now);
            self.rules.bounds.judge(as_of, now)
        });
        Ok(Some(Report {
            freshness,
            confirmed,
            findings,
            needed: state.descriptor.quorum_weight(),
        }))
    }

    /// Up to when nothing newer was there. When its last block was decided, there was none; and who was
    /// never heard gets as long as somebody who was, before that means anything. A time to come says
    /// nothing: clocks are set back.
    fn as_of(
        &self,
        state: &ScopeState,
        since: Timestamp,
        confirmed: Option<Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        let decided = Some(state.head_time).filter(|time| *time <= now);
        let as_of = confirmed.unwrap_or_else(|| self.since().max(since));
        as_of.max(decided.unwrap_or(as_of)).min(now)
    }

    fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.since.load(Ordering::Acquire))
    }

    fn findings(&self, state: &ScopeState, now: Timestamp) -> Findings {
        let own: Vec<Word> = locked(&self.lamp).words(&state.uid);
        let book = locked(&self.book);
        findings(
            Held::from(state),
            own.iter().chain(book.words(&state.uid)),
            now,
        )
    }

    /// Looks after what is followed, and asks peers, until told to stop.
    pub async fn run(self: Arc<Self>, tasks: TaskTracker, stop: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let every = Duration::from_millis(self.rules.every_ms);
        let mut asked: Option<Instant> = None;
        let mut hurry = false;
        let mut watched = Watched {
            as_of: BTreeMap::new(),
            commits: None,
            at: self.since(),
            read: Instant::now(),
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                () = self.wake.notified() => hurry = true,
            }
            self.judge(&mut watched);
            // Peers that come and go do not have all others asked without end.
            let pause = if hurry { TICK } else { every };
            if asked.is_none_or(|asked| asked.elapsed() + EARLY >= pause) {
                asked = Some(Instant::now());
                hurry = false;
                self.ask_all(&tasks, &stop);
            }
        }
    }

    /// Puts the scopes into the table that are not fresh.
    fn judge(&self, watched: &mut Watched) {
        let (commits, now) = (self.store.commits(), self.clock.now());
        let was_heard = self.heard.swap(false, Ordering::AcqRel);
        let was_set = was_set(watched, now);
        (watched.at, watched.read) = (now, Instant::now());
        if was_set {
            // Words that are ahead now say nothing, and time that did not pass makes nothing older.
            self.since.store(now.as_millis(), Ordering::Release);
        }
        if was_heard || was_set || watched.commits != Some(commits) {
            match self.watch() {
                Ok(as_of) => {
                    watched.as_of = as_of;
                    watched.commits = Some(commits);
                }
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::error!(error, "how fresh scopes are cannot be told");
                }
            }
        }
        let due = watched.as_of.iter().filter_map(|(scope, as_of)| {
            let freshness = self.rules.bounds.judge(*as_of, now);
            (freshness != Freshness::Fresh).then_some((*scope, (freshness, *as_of)))
        });
        self.table.publish(due.collect());
    }

    /// Up to when nothing newer was there, of each scope that is followed.
    fn watch(&self) -> Result<BTreeMap<ScopeUid, Timestamp>, IndexFailure<P>> {
        let snapshot = self.store.latest();
        let now = self.clock.now();
        let mut watched = BTreeMap::new();
        for mirror in snapshot.mirrors()? {
            let Some(no) = snapshot.scope_no(&mirror.scope)? else {
                continue;
            };
            let Some(state) = snapshot.shared_scope(no)? else {
                continue;
            };
            if self.council.is_joint(&state) {
                continue;
            }
            let found = self.findings(&state, now).as_of;
            let confirmed = locked(&self.book).confirm(mirror.scope, found, now);
            let as_of = self.as_of(&state, mirror.since, confirmed, now);
            watched.insert(mirror.scope, as_of);
        }
        locked(&self.book).keep_confirmed(|scope| watched.contains_key(scope));
        Ok(watched)
    }
}

/// Whether somebody set the clock since it was read last.
fn was_set(watched: &Watched, now: Timestamp) -> bool {
    let passed = u64::try_from(watched.read.elapsed().as_millis()).unwrap_or(u64::MAX);
    let expected = watched.at.plus_millis(passed);
    expected.millis_since(now).max(now.millis_since(expected)) > BEACON_AHEAD_MS_MAX
}

/// What is followed, as it was looked at last.
#[derive(Debug)]
struct Watched {
    as_of: BTreeMap<ScopeUid, Timestamp>,
    commits: Option<u64>,
    at: Timestamp,
    /// When that was, by a clock that nobody sets.
    read: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_either_way_is_noticed() {
        let watched = Watched {
            as_of: BTreeMap::new(),
            commits: None,
            at: Timestamp::from_millis(1_700_000_000_000),
            read: Instant::now(),
        };
        let reads = |millis: u64| was_set(&watched, Timestamp::from_millis(millis));
        assert!(!reads(1_700_000_000_000));
        assert!(!reads(1_700_000_009_000) && !reads(1_699_999_993_000));
        assert!(reads(1_700_000_600_000), "forward");
        assert!(reads(1_699_999_900_000), "back");
    }
}
