//! Whether seats here may vote: not where they may have voted before and do not know it.

use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::index::state::ScopeState;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Doubts, Heard, Hearing, Old, Standing};
use crate::replication::wire::{Head, Request};
use crate::service::ports::{Clock, OrderingStore, PeerStanding, Store};
use crate::service::resolver::error_chain;

use super::Chair;

impl<S: Store, C: Clock, J: OrderingStore> Chair<S, C, J> {
    /// What an earlier start found, or this one.
    pub(super) fn recall_doubts(&mut self) {
        let doubts = self.journal.doubts().unwrap_or_else(|error| {
            let error = error_chain(&error);
            tracing::error!(%error, "what speaks against an anchor's rows cannot be read");
            let mut doubts = Doubts::default();
            doubts.begin(Old::Unmarked, self.clock.now());
            doubts
        });
        if let Some((old, _)) = doubts.old {
            tracing::error!(
                why = %old,
                "anchors here may have signed more than they know: they sit out until others decide on"
            );
        }
        self.council.put_doubts(doubts);
    }

    /// Whether seats here may vote at the next height. At the first one since the start, and where it was
    /// found that they forgot something, the others are heard before.
    pub(super) fn standing(&self, state: &ScopeState) -> (Standing, Option<Hearing>) {
        let held = self.council.weight_held(&state.descriptor);
        if held >= state.descriptor.quorum_weight() {
            // Nobody else could have decided anything with what was signed here.
            return (Standing::Proven, None);
        }
        if self.heard_out.contains(&state.uid) {
            return (self.council.doubts().standing(&state.uid), None);
        }
        self.tell(Request::Recall(state.uid));
        let hearing = Hearing::begin(self.steady.now());
        (Standing::Doubted(None), Some(hearing))
    }

    /// Looks at what others said since a height began at which they are heard first.
    pub(super) fn hear_out(&mut self, uid: ScopeUid, now: Timestamp) {
        let Some(state) = self.joint_state(&uid) else {
            return;
        };
        let is_reached = self.council.network().is_some_and(|network| {
            let peers = network.peers();
            peers.iter().any(|peer: &PeerStanding| peer.is_connected)
        });
        let is_behind = self.council.is_behind(&uid, state.height);
        let Some(seated) = self.sittings.get_mut(&uid) else {
            return;
        };
        let Some(hearing) = seated.hearing.as_mut() else {
            return;
        };
        if hearing.look(is_reached, is_behind, now) == Heard::Again {
            if is_reached {
                self.tell(Request::Recall(uid));
            }
            return;
        }
        let (height, said) = (seated.height, seated.sitting.hand_over());
        self.heard_out.insert(uid);
        if self.council.doubts().is_open_in(&uid) {
            self.sit_out(uid, height);
        }
        self.sittings.remove(&uid);
        self.open(&state);
        for message in said {
            let Some(seated) = self.sittings.get_mut(&uid) else {
                return;
            };
            // What was heard was checked; what is refused now is of a height that is over.
            if let Ok(actions) = seated.sitting.receive(message, self.steady.now()) {
                self.perform(uid, actions);
            }
        }
    }

    /// Others showed what a seat here signed and does not know: its disk is an old one, for all scopes.
    pub(super) fn outdated(&mut self, uid: ScopeUid) {
        let Some(height) = self.sittings.get(&uid).map(|seated| seated.height) else {
            return;
        };
        let mut doubts = self.council.doubts();
        if doubts.covers(&uid, height) {
            return;
        }
        doubts.begin(Old::Shown, self.clock.now());
        doubts.carry(uid, height);
        tracing::error!(
            scope = %uid, height,
            "others have votes of this node that it does not know: its disk is an old one, or its keys are at a second node; its anchors sit out until others decide on"
        );
        self.keep_doubts(doubts);
        // What is stored of other scopes is as old. This one goes on without its seats.
        self.heard_out.clear();
        self.sittings.retain(|scope, _| *scope == uid);
    }

    fn sit_out(&mut self, uid: ScopeUid, height: u64) {
        let mut doubts = self.council.doubts();
        if doubts.carry(uid, height) {
            tracing::warn!(scope = %uid, height, "anchors here sit a height out: they may have voted at it");
            self.keep_doubts(doubts);
        }
    }

    fn keep_doubts(&mut self, doubts: Doubts) {
        if let Err(error) = self.journal.doubt(&doubts) {
            let error = error_chain(&error);
            tracing::error!(%error, "what speaks against an anchor's rows cannot be stored");
        }
        self.council.put_doubts(doubts);
    }

    /// Says again to a peer what is known of the open height of a scope, and how far the scope is.
    pub(super) fn recall(&mut self, peer: &PublicKey, uid: &ScopeUid) {
        let Some(state) = self.joint_state(uid) else {
            return;
        };
        self.tell_one(peer, Request::Announce(vec![Head::of(&state)]));
        if self.sittings.contains_key(uid) {
            self.say_again(peer, uid);
        } else if let Ok(kept) = self.journal.load(uid, state.height + 1) {
            // Nothing could be decided any more, but what was said is kept.
            self.say_each(peer, uid, kept.said());
        }
    }

    /// A peer came: where others are heard first, it is one of them.
    pub(super) fn hear(&mut self, peer: &PublicKey) {
        let now = self.steady.now();
        let mut wanted = Vec::new();
        for (uid, seated) in &mut self.sittings {
            if let Some(hearing) = seated.hearing.as_mut() {
                hearing.came(now);
                wanted.push(*uid);
            }
        }
        for uid in wanted {
            self.tell_one(peer, Request::Recall(uid));
        }
    }
}
