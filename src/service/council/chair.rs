//! `Chair`: the thread that drives sittings: it stores their rows, asks the governor for blocks and
//! verdicts, and carries what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::index::replica::ReplicaView;
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Action, Actions, Message, Opening, Sitting, Standing, Waits};
use crate::service::governor::{Governor, Work, look_at_waiting};
use crate::service::keyring::Keyring;
use crate::service::ports::{Clock, OrderingStore, Store};
use crate::service::resolver::error_chain;

use super::seated::Seated;
use super::{Council, Job, Jobs};

/// How often what waits is looked at by itself: a delay may be over, a message may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After how long what still waits for the anchors is said again.
const SAY_AGAIN_MS: u64 = 5_000;

/// Drives sittings: a loop for a thread of its own.
pub struct Chair<S, C, J> {
    pub(super) council: Council,
    jobs: Jobs,
    pub(super) store: Arc<S>,
    pub(super) governor: Governor,
    keyring: Arc<Keyring>,
    pub(super) clock: C,
    pub(super) journal: J,
    /// Scopes that are governed jointly.
    pub(super) joint: BTreeSet<ScopeUid>,
    pub(super) sittings: BTreeMap<ScopeUid, Seated>,
    looked: Timestamp,
    /// When what waits in a scope was said last.
    said: BTreeMap<ScopeUid, Timestamp>,
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
        Self {
            keyring: Arc::clone(&council.keyring),
            looked: clock.now(),
            said: BTreeMap::new(),
            joint: BTreeSet::new(),
            sittings: BTreeMap::new(),
            council,
            jobs,
            store,
            governor,
            clock,
            journal,
        }
    }

    /// Serves until it is told that it is over.
    pub fn run(mut self) {
        self.council.sits.store(true, Ordering::Release);
        self.find_joint();
        loop {
            match self.jobs.0.recv_timeout(self.patience()) {
                Ok(Job::Over) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.tick();
        }
    }

    /// Until something has to be done by the clock.
    fn patience(&self) -> Duration {
        let now = self.clock.now();
        let next = self.sittings.values().filter_map(Seated::wakes_at).min();
        let wait = next.map_or(LOOK_EVERY, |at| Duration::from_millis(at.millis_since(now)));
        wait.min(LOOK_EVERY)
    }

    fn find_joint(&mut self) {
        for no in 0..read(self.store.latest().scope_count()).unwrap_or(0) {
            if let Some(state) = self.joint_at(ScopeNo(no)) {
                self.convene(&state);
            }
        }
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Laid(no, proposal) => {
                if let Some(state) = self.joint_at(no) {
                    self.spread(&state, &proposal);
                    self.convene(&state);
                }
            }
            Job::Convene(uid) => {
                if let Some(state) = self.joint_state(&uid) {
                    self.convene(&state);
                }
            }
            Job::Heard(from, uid, message, _room) => self.heard(from, uid, *message),
            Job::Connected(peer) => self.catch_up(peer),
            Job::WentOn => self.look_at_heads(),
            // The loop ended.
            Job::Over => {}
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let due: Vec<ScopeUid> = self
            .sittings
            .iter()
            .filter(|(_, seated)| seated.wakes_at().is_some_and(|at| at <= now))
            .map(|(uid, _)| *uid)
            .collect();
        for uid in due {
            let Some(seated) = self.sittings.get_mut(&uid) else {
                continue;
            };
            if let Some(tender) = seated.take_early(now) {
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
            for uid in self.joint.clone() {
                if let Some(state) = self.joint_state(&uid) {
                    self.convene(&state);
                }
            }
        }
    }

    pub(super) fn joint_state(&mut self, uid: &ScopeUid) -> Option<ScopeState> {
        let no = self.number(uid)?;
        self.joint_at(no)
    }

    pub(super) fn number(&self, uid: &ScopeUid) -> Option<ScopeNo> {
        read(self.store.latest().scope_no(uid))?
    }

    /// The scope, if seats here govern it together with others and it is not frozen.
    fn joint_at(&mut self, no: ScopeNo) -> Option<ScopeState> {
        let snapshot = self.store.latest();
        let state = read(snapshot.scope(no))??;
        let fork = read(snapshot.fork(&state.uid))?;
        if fork.is_some() || !self.council.is_joint(&state) {
            self.joint.remove(&state.uid);
            self.sittings.remove(&state.uid);
            return None;
        }
        self.joint.insert(state.uid);
        Some(state)
    }

    /// Opens a sitting if something can be decided, and ends one in which nothing can.
    pub(super) fn convene(&mut self, state: &ScopeState) {
        let snapshot = self.store.latest();
        let now = self.clock.now();
        let waiting = look_at_waiting(snapshot.as_ref(), state.no, now);
        let Some(waiting) = read(waiting) else {
            return;
        };
        if waiting.hopeless {
            if let Err(error) = self.ask(Work::GiveUp(state.uid)) {
                tracing::error!(%error, "what contradicts the index cannot be given up");
            }
            self.council.decided.notify_waiters();
        }
        if waiting.ripe.is_empty() {
            self.said.remove(&state.uid);
        } else {
            let said = self.said.entry(state.uid).or_insert(now);
            if now.millis_since(*said) >= SAY_AGAIN_MS {
                // Who did not hear it, or was behind then, may take it now.
                *said = now;
                let ripe = waiting.ripe.iter();
                ripe.for_each(|proposal| self.spread(state, proposal));
            }
        }
        match (self.is_open(state), !waiting.ripe.is_empty()) {
            (false, true) => self.open(state),
            // What was said of the height is stored; without a block there is nothing to vote on.
            (true, false) => {
                let sittings = &mut self.sittings;
                sittings.retain(|uid, seated| *uid != state.uid || seated.sitting.has_bid());
            }
            _ => {}
        }
    }

    /// Whether the next height of a scope has a sitting; one of a height that is over ends.
    fn is_open(&mut self, state: &ScopeState) -> bool {
        match self.sittings.get(&state.uid) {
            None => false,
            Some(seated) if seated.height == state.height + 1 && seated.prev == state.head => true,
            Some(_) => {
                self.close(&state.uid, state.height);
                false
            }
        }
    }

    pub(super) fn close(&mut self, uid: &ScopeUid, height: u64) {
        self.sittings.remove(uid);
        if let Err(error) = self.journal.forget(uid, height) {
            let error = error_chain(&error);
            tracing::error!(%error, "what was stored of a decided height cannot be removed");
        }
    }

    fn open(&mut self, state: &ScopeState) {
        let height = state.height + 1;
        let kept = match self.journal.load(&state.uid, height) {
            Ok(kept) => kept,
            Err(error) => {
                // Without its rows a seat could contradict itself.
                let error = error_chain(&error);
                tracing::error!(%error, scope = %state.uid, "an anchor cannot vote");
                return;
            }
        };
        let snapshot = self.store.latest();
        let Some(Some(head)) = read(snapshot.header(state.no, state.height)) else {
            return;
        };
        let opening = Opening {
            descriptor: Arc::new(state.descriptor.clone()),
            height,
            prev: state.head,
            last_proposer: head.proposer,
            signers: self.keyring.seats(&state.descriptor),
            standing: Standing::Proven,
            waits: Waits::of(state.descriptor.policy.pace),
        };
        let (sitting, actions) = Sitting::open(opening, &kept, self.clock.now());
        let seated = Seated::new(height, state.head, sitting);
        self.sittings.insert(state.uid, seated);
        self.perform(state.uid, actions);
    }

    fn heard(&mut self, from: PublicKey, uid: ScopeUid, message: Message) {
        let Some(state) = self.joint_state(&uid) else {
            return;
        };
        let height = message.height();
        if height <= state.height {
            if !matches!(message, Message::Decided(..)) {
                self.hand_on(&state, height, &from);
            }
            return;
        }
        if height > state.height + 1 {
            // The replicator heard it, too, and pulls what is between.
            return;
        }
        if !self.is_open(&state) {
            self.open(&state);
        }
        let now = self.clock.now();
        let Some(seated) = self.sittings.get_mut(&uid) else {
            return;
        };
        match seated.sitting.receive(message, now) {
            Ok(actions) => self.perform(uid, actions),
            Err(error) => {
                let peer = from.short();
                tracing::warn!(peer, %error, "a peer's word on a height does not hold");
            }
        }
    }

    /// Ends sittings of heights that were decided elsewhere, and begins those after them.
    fn look_at_heads(&mut self) {
        let open: Vec<ScopeUid> = self.sittings.keys().copied().collect();
        for uid in open {
            if let Some(state) = self.joint_state(&uid)
                && !self.is_open(&state)
            {
                self.council.decided.notify_waiters();
                self.convene(&state);
            }
        }
    }
}

/// What was read; a failure is said, and ends what it was read for.
pub(super) fn read<T, E: std::error::Error + 'static>(read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| {
        let error = error_chain(error);
        tracing::error!(%error, "a scope that is governed jointly cannot be read");
    })
    .ok()
}
