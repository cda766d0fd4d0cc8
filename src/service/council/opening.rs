//! When a height has a sitting: it is opened, with what was stored of it, and ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::index::history::voters_of;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Electorate, Opening, Sitting, Waits};
use crate::service::governor::{Work, look_at_waiting};
use crate::service::ports::{Clock, OrderingStore, Store};
use crate::service::resolver::error_chain;

use super::Chair;
use super::chair::read;
use super::seated::Seated;

/// After how long what still waits for the anchors is said again.
const SAY_AGAIN_MS: u64 = 5_000;
/// What waits for votes may wait for weeks: it is said again ever more seldom, at last so seldom.
const REMIND_MS_MAX: u64 = 600_000;

/// When what waits in a scope was said last, and how long it is not said again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reminder {
    said: Timestamp,
    wait_ms: u64,
}

impl<S: Store, C: Clock, J: OrderingStore> Chair<S, C, J> {
    /// Opens a sitting if something can be decided, and ends one in which nothing can.
    pub(super) fn convene(&mut self, state: &ScopeState) {
        let snapshot = self.store.latest();
        let waiting = look_at_waiting(snapshot.as_ref(), state.no, self.clock.now());
        let Some(waiting) = read(waiting) else {
            return;
        };
        if waiting.hopeless {
            if let Err(error) = self.ask(Work::GiveUp(state.uid)) {
                tracing::error!(%error, "what contradicts the index cannot be given up");
            }
            self.council.decided.notify_waiters();
        }
        let now = self.steady.now();
        // Who did not hear it, or was behind then, may take it now.
        if is_due(&mut self.said, state, &waiting.ripe, (now, SAY_AGAIN_MS)) {
            let ripe = waiting.ripe.iter();
            ripe.for_each(|proposal| self.spread(state, proposal));
        }
        if is_due(
            &mut self.reminders,
            state,
            &waiting.open,
            (now, REMIND_MS_MAX),
        ) {
            let open = waiting.open.iter();
            open.for_each(|proposal| self.spread(state, proposal));
        }
        match (self.is_open(state), !waiting.ripe.is_empty()) {
            (false, true) => self.open(state),
            // What there is to offer may have come after it was this node's turn.
            (true, true) => self.offer(&state.uid),
            // What was said of the height is stored; without a block that may be decided there is
            // nothing to vote on.
            (true, false) => {
                let sittings = &mut self.sittings;
                sittings.retain(|uid, seated| *uid != state.uid || seated.sitting.has_live_bid());
            }
            _ => {}
        }
    }

    fn offer(&mut self, uid: &ScopeUid) {
        let seated = self.sittings.get(uid);
        let wanted = seated.map(|seated| seated.sitting.wanted());
        for (anchor, round) in wanted.unwrap_or_default() {
            if let Some(actions) = self.make(*uid, anchor, round) {
                self.perform(*uid, actions);
            }
        }
    }

    /// Whether the next height of a scope has a sitting; one of a height that is over ends.
    pub(super) fn is_open(&mut self, state: &ScopeState) -> bool {
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

    pub(super) fn open(&mut self, state: &ScopeState) {
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
        let (standing, hearing) = self.standing(state);
        let opening = Opening {
            descriptor: Arc::new(state.descriptor.clone()),
            height,
            prev: state.head,
            last_proposer: head.proposer,
            signers: self.keyring.seats(&state.descriptor),
            standing,
            waits: Waits::of(state.descriptor.policy.pace),
        };
        let (sitting, actions) = Sitting::open(opening, &kept, self.steady.now());
        let seated = Seated::new((height, state.head), sitting, hearing);
        self.sittings.insert(state.uid, seated);
        self.perform(state.uid, actions);
    }

    /// Who votes at a height that is decided, or at the next one.
    pub(super) fn electorate(&self, state: &ScopeState, height: u64) -> Option<Electorate> {
        let snapshot = self.store.latest();
        let before = height.checked_sub(1)?;
        let before = read(snapshot.header(state.no, before))??;
        let voters = if height > state.height {
            state.descriptor.clone()
        } else {
            read(voters_of(snapshot.as_ref(), state, height))??
        };
        let place = (height, before.digest());
        Some(Electorate::new(&voters, place, &before.proposer))
    }
}

/// Whether what waits in a scope is to be said again: at first [`SAY_AGAIN_MS`] after it came, then ever
/// more seldom, at last so seldom.
fn is_due(
    reminders: &mut BTreeMap<ScopeUid, Reminder>,
    state: &ScopeState,
    waiting: &[Digest],
    (now, ms_max): (Timestamp, u64),
) -> bool {
    if waiting.is_empty() {
        reminders.remove(&state.uid);
        return false;
    }
    let first = Reminder {
        said: now,
        wait_ms: SAY_AGAIN_MS,
    };
    let reminder = reminders.entry(state.uid).or_insert(first);
    let is_due = now.millis_since(reminder.said) >= reminder.wait_ms;
    if is_due {
        *reminder = Reminder {
            said: now,
            wait_ms: (reminder.wait_ms * 2).min(ms_max),
        };
    }
    is_due
}
