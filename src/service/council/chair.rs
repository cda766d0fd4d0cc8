//! `Chair`: the thread that drives sittings: it stores their rows, asks the governor for blocks and
//! verdicts, and carries what they say.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::index::replica::ReplicaView;
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Action, Actions, Message};
use crate::service::governor::Governor;
use crate::service::keyring::Keyring;
use crate::service::ports::{Clock, OrderingStore, Store};
use crate::service::resolver::error_chain;

use super::counts::set;
use super::inbox::{Heard, Job, Own};
use super::opening::Reminder;
use super::seated::Seated;
use super::steady::Steady;
use super::{Council, Jobs, Quarantine};

/// How often what waits is looked at by itself: a delay may be over, a message may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Scopes that are looked at between two jobs for whether they are governed jointly: some
/// milliseconds, so that nothing waits for a look at all of them.
const SEARCHED_AT_ONCE: u32 = 512;

/// Drives sittings: a loop for a thread of its own.
pub struct Chair<S, C, J> {
    pub(super) council: Council,
    jobs: Jobs,
    pub(super) store: Arc<S>,
    pub(super) governor: Governor,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: C,
    /// What waits are measured by.
    pub(super) steady: Steady,
    pub(super) journal: J,
    /// Scopes that are governed jointly.
    pub(super) joint: BTreeSet<ScopeUid>,
    /// How many scopes were looked at for that.
    searched: u32,
    is_searching: bool,
    /// Peers that came meanwhile: they are told once all is found.
    came: BTreeSet<PublicKey>,
    pub(super) sittings: BTreeMap<ScopeUid, Seated>,
    /// Scopes in which others were heard since the start: seats here may vote.
    pub(super) heard_out: BTreeSet<ScopeUid>,
    looked: Timestamp,
    /// When what could be decided in a scope was said last.
    pub(super) said: BTreeMap<ScopeUid, Reminder>,
    /// When what waits for votes was.
    pub(super) reminders: BTreeMap<ScopeUid, Reminder>,
    /// The scope that is worked for.
    pub(super) at: Option<ScopeUid>,
}

impl<S, C, J> std::fmt::Debug for Chair<S, C, J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chair")
            .field("sittings", &self.sittings.len())
            .finish_non_exhaustive()
    }
}

impl<S: Store, C: Clock, J: OrderingStore> Chair<S, C, J> {
    /// A chair for a council. What was begun before goes on when it runs.
    pub fn new(
        (council, jobs): (Council, Jobs),
        store: Arc<S>,
        governor: Governor,
        (clock, journal): (C, J),
    ) -> Self {
        let steady = Steady::new(&clock);
        Self {
            keyring: Arc::clone(&council.keyring),
            looked: steady.now(),
            said: BTreeMap::new(),
            reminders: BTreeMap::new(),
            joint: BTreeSet::new(),
            searched: 0,
            is_searching: true,
            came: BTreeSet::new(),
            sittings: BTreeMap::new(),
            heard_out: BTreeSet::new(),
            at: None,
            council,
            jobs,
            store,
            governor,
            clock,
            steady,
            journal,
        }
    }

    /// Serves until it is told that it is over.
    pub fn run(mut self) {
        self.recall_doubts();
        self.council.sits.store(true, Ordering::Release);
        loop {
            match self.jobs.0.take(self.patience()) {
                Some(Job::Over) => return,
                Some(Job::Own(own)) => self.guarded(|chair| chair.work(own)),
                Some(Job::Heard(heard)) => self.guarded(|chair| chair.heard(heard)),
                None => {}
            }
            self.guarded(Self::tick);
            self.guarded(Self::search);
        }
    }

    /// Does something; a scope for which it panics is set aside, and the others go on.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        self.at = None;
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) else {
            return;
        };
        let why = format!("it panicked: {}", said(panic.as_ref()));
        let Some(uid) = self.at.take() else {
            tracing::error!(why, "the council could not do something");
            return;
        };
        tracing::error!(scope = %uid, why, "a scope is decided by this node no more until it starts again");
        let since = self.clock.now();
        self.council.set_aside(uid, Quarantine { why, since });
        self.joint.remove(&uid);
        self.sittings.remove(&uid);
        self.said.remove(&uid);
        self.reminders.remove(&uid);
    }

    /// Until something has to be done by the clock.
    fn patience(&self) -> Duration {
        if self.is_searching {
            return Duration::ZERO;
        }
        let now = self.steady.now();
        let next = self.sittings.values().filter_map(Seated::wakes_at).min();
        let wait = next.map_or(LOOK_EVERY, |at| Duration::from_millis(at.millis_since(now)));
        wait.min(LOOK_EVERY)
    }

    /// Looks at some more scopes for whether they are governed jointly.
    fn search(&mut self) {
        let count = read(self.store.latest().scope_count()).unwrap_or(0);
        let end = count.min(self.searched.saturating_add(SEARCHED_AT_ONCE));
        self.is_searching = end < count;
        while self.searched < end {
            let no = ScopeNo(self.searched);
            // One that panics is not looked at again.
            self.searched += 1;
            if let Some(state) = self.joint_at(no) {
                self.convene(&state);
            }
        }
        while !self.is_searching
            && let Some(peer) = self.came.pop_first()
        {
            self.catch_up(peer);
        }
    }

    fn work(&mut self, own: Own) {
        match own {
            Own::Laid(no, proposal) => {
                if let Some(state) = self.joint_at(no) {
                    self.reminders.remove(&state.uid);
                    self.spread(&state, &proposal);
                    // Many come together: they are looked at once, after the last of them.
                    self.council.convene(state.uid);
                }
            }
            Own::Convene(uid) => {
                if let Some(state) = self.joint_state(&uid) {
                    self.convene(&state);
                }
            }
            Own::Connected(peer) if self.is_searching => {
                self.came.insert(peer);
            }
            Own::Connected(peer) => self.catch_up(peer),
            Own::Recall(peer, scope) => self.recall(&peer, &scope),
            Own::WentOn(no) => {
                if let Some(state) = self.joint_at(no) {
                    self.council.decided.notify_waiters();
                    // Who was behind may take now what it did not take before.
                    self.reminders.remove(&state.uid);
                    self.convene(&state);
                }
            }
            Own::LookAgain => {
                self.searched = 0;
                self.is_searching = true;
            }
        }
    }

    fn tick(&mut self) {
        let now = self.steady.now();
        let due: Vec<ScopeUid> = self
            .sittings
            .iter()
            .filter(|(_, seated)| seated.wakes_at().is_some_and(|at| at <= now))
            .map(|(uid, _)| *uid)
            .collect();
        for uid in due {
            self.at = Some(uid);
            let Some(seated) = self.sittings.get_mut(&uid) else {
                continue;
            };
            if seated.hearing.is_some_and(|hearing| hearing.until() <= now) {
                self.hear_out(uid, now);
            } else if let Some(tender) = seated.take_early(now) {
                let again = Actions {
                    rows: Vec::new(),
                    then: vec![Action::Judge(tender)],
                };
                self.perform(uid, again);
            } else {
                let actions = seated.sitting.due(now);
                self.perform(uid, actions);
            }
        }
        if now.millis_since(self.looked) >= u64::try_from(LOOK_EVERY.as_millis()).unwrap_or(0) {
            self.looked = now;
            self.count();
            for uid in self.joint.clone() {
                if let Some(state) = self.joint_state(&uid) {
                    self.convene(&state);
                }
            }
        }
    }

    /// Says how much there is to decide.
    fn count(&self) {
        let counts = &self.council.counts;
        set(&counts.scopes, self.joint.len());
        set(&counts.sittings, self.sittings.len());
        let rounds = self.sittings.values().flat_map(|one| one.sitting.rounds());
        let highest = rounds.filter_map(|(_, round)| round).max();
        let highest = highest.map_or(0, |round| usize::try_from(round).unwrap_or(usize::MAX));
        set(&counts.round, highest);
    }

    pub(super) fn joint_state(&mut self, uid: &ScopeUid) -> Option<ScopeState> {
        self.at = Some(*uid);
        let no = self.number(uid)?;
        self.joint_at(no)
    }

    pub(super) fn number(&self, uid: &ScopeUid) -> Option<ScopeNo> {
        read(self.store.latest().scope_no(uid))?
    }

    /// The scope, if seats here govern it together with others and nothing keeps them from it.
    pub(super) fn joint_at(&mut self, no: ScopeNo) -> Option<ScopeState> {
        let snapshot = self.store.latest();
        let state = read(snapshot.scope(no))??;
        self.at = Some(state.uid);
        let is_free = self.council.is_joint(&state)
            && self.council.quarantine(&state.uid).is_none()
            && read(snapshot.fork(&state.uid))?.is_none();
        if !is_free {
            self.joint.remove(&state.uid);
            self.sittings.remove(&state.uid);
            return None;
        }
        self.joint.insert(state.uid);
        Some(state)
    }

    fn heard(&mut self, heard: Heard) {
        let Heard {
            from,
            scope,
            message,
            room: _room,
        } = heard;
        let Some(state) = self.joint_state(&scope) else {
            return;
        };
        let height = message.height();
        if height > state.height + 1 {
            // The replicator heard it, too, and pulls what is between.
            return;
        }
        if height <= state.height && matches!(*message, Message::Decided(..)) {
            return;
        }
        // Nothing is begun, stored or answered for what no anchor of the height signed.
        if !self.is_open(&state) || height <= state.height {
            let Some(electorate) = self.electorate(&state, height) else {
                return;
            };
            if let Err(error) = electorate.vouches(&message) {
                let peer = from.short();
                tracing::warn!(peer, %error, "a peer's word on a height does not hold");
                return;
            }
        }
        if height <= state.height {
            self.hand_on(&state, height, &from);
            return;
        }
        if !self.is_open(&state) {
            self.open(&state);
        }
        let now = self.steady.now();
        let Some(seated) = self.sittings.get_mut(&scope) else {
            return;
        };
        match seated.sitting.receive(*message, now) {
            Ok(actions) => self.perform(scope, actions),
            Err(error) => {
                let peer = from.short();
                tracing::warn!(peer, %error, "a peer's word on a height does not hold");
            }
        }
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it did not say why")
}

/// What was read; a failure is said, and ends what it was read for.
pub(super) fn read<T, E: std::error::Error + 'static>(read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| {
        let error = error_chain(error);
        tracing::error!(%error, "a scope that is governed jointly cannot be read");
    })
    .ok()
}
