//! What a chair tells other nodes.

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::index::export::encoded_length;
use crate::index::pending::PendingView;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Message, Tender};
use crate::replication::wire::{Head, PENDING_BYTES_MAX, Request, SCOPES_PER_REQUEST_MAX};
use crate::service::ports::{Clock, OrderingStore, Store};

use super::Chair;
use super::chair::read;

/// Waiting proposals that a peer is told when it comes; of more, it hears when something comes to them.
const TOLD_MAX: usize = 256;

impl<S: Store, C: Clock, J: OrderingStore> Chair<S, C, J> {
    /// Tells the other anchors what waits.
    pub(super) fn spread(&self, state: &ScopeState, proposal: &Digest) {
        let snapshot = self.store.latest();
        let Some(Some(pending)) = read(snapshot.pending(state.no, proposal)) else {
            return;
        };
        if pending.proposal.byte_count() > PENDING_BYTES_MAX {
            tracing::warn!(%proposal, "a proposal is too large to be told to other anchors");
            return;
        }
        self.tell(Request::Lay(Box::new(pending)));
    }

    pub(super) fn tell(&self, request: Request) {
        if let Some(network) = self.council.network() {
            network.tell(request);
        }
    }

    pub(super) fn tell_one(&self, peer: &PublicKey, request: Request) {
        if let Some(network) = self.council.network() {
            network.tell_one(peer, request);
        }
    }

    /// Gives a block with its certificate to a peer that is still at it, as far as its share goes.
    pub(super) fn hand_on(&self, state: &ScopeState, height: u64, to: &PublicKey) {
        let link = self.store.latest().link(state.no, height);
        let Some(Some(link)) = read(link) else {
            return;
        };
        let byte_count = encoded_length(&link);
        if !self
            .council
            .shares
            .may_hand(to, byte_count.min(PENDING_BYTES_MAX))
        {
            return;
        }
        if byte_count > PENDING_BYTES_MAX {
            self.tell_one(to, Request::Announce(vec![Head::of(state)]));
            return;
        }
        if let Some(tender) = Tender::new(link.block, link.body) {
            let message = Box::new(Message::Decided(tender, link.certificate));
            let scope = state.uid;
            self.tell_one(to, Request::Order { scope, message });
        }
    }

    /// Tells a peer that came where joint scopes stand, what waits in them, and what was said of
    /// open heights.
    pub(super) fn catch_up(&mut self, peer: PublicKey) {
        self.hear(&peer);
        let mut heads = Vec::new();
        let mut told = 0;
        for uid in self.joint.clone() {
            let Some(state) = self.joint_state(&uid) else {
                continue;
            };
            heads.push(Head::of(&state));
            told += self.tell_waiting(&state, &peer, TOLD_MAX.saturating_sub(told));
            self.say_again(&peer, &uid);
        }
        for page in heads.chunks(SCOPES_PER_REQUEST_MAX) {
            self.tell_one(&peer, Request::Announce(page.to_vec()));
        }
    }

    /// Tells a peer what was said of the open height of a scope.
    pub(super) fn say_again(&self, peer: &PublicKey, uid: &ScopeUid) {
        let seated = self.sittings.get(uid);
        let messages = seated.map(|seated| seated.sitting.hand_over());
        self.say_each(peer, uid, messages.unwrap_or_default());
    }

    pub(super) fn say_each(&self, peer: &PublicKey, uid: &ScopeUid, messages: Vec<Message>) {
        for message in messages {
            let (scope, message) = (*uid, Box::new(message));
            self.tell_one(peer, Request::Order { scope, message });
        }
    }

    fn tell_waiting(&self, state: &ScopeState, peer: &PublicKey, most: usize) -> usize {
        let snapshot = self.store.latest();
        let after = (state.no, Digest::ZERO);
        let Some(waiting) = read(snapshot.outlines(Some(&after), most)) else {
            return 0;
        };
        let mut count = 0;
        for ((no, proposal), outline) in waiting {
            let fits = usize::try_from(outline.byte_count).is_ok_and(|b| b <= PENDING_BYTES_MAX);
            if no != state.no || !fits {
                continue;
            }
            if let Some(Some(pending)) = read(snapshot.pending(no, &proposal)) {
                self.tell_one(peer, Request::Lay(Box::new(pending)));
                count += 1;
            }
        }
        count
    }
}
