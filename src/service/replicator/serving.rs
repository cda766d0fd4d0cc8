//! What peers are answered.

use crate::base::keys::PublicKey;
use crate::base::lock::locked;
use crate::index::export::encoded_length;
use crate::index::place::{Apex, held_apexes, scope_name};
use crate::index::proof::{NoProof, prove_below};
use crate::index::replica::ReplicaView;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::replication::ordering::Message;
use crate::replication::wire::{
    BeaconWish, Head, LINKS_BYTES_USUAL, LINKS_PER_REPLY_MAX, LeaseMark, LeasePage, Links, Reply,
    Request, Turned, fits_reply,
};
use crate::service::ports::{IndexFailure, Parts, PeerRequests, Store};
use crate::service::resolver::error_chain;

use super::{HINTS_PER_PEER_MAX, Replicator};

impl<P: Parts> PeerRequests for Replicator<P> {
    fn answer(&self, peer: &PublicKey, request: Request) -> Reply {
        let answered = match request {
            Request::Heads(scopes) => self.heads(peer, &scopes),
            Request::Links { scope, from, count } => self.links(peer, &scope, from, count),
            Request::Announce(heads) => self.heard(peer, &heads),
            Request::Lay(pending) => self.laid(peer, *pending),
            Request::Order { scope, message } => self.ordered(peer, scope, message),
            Request::Prove { top, name } => self.proof(peer, &top, &name),
            Request::Locate(scope) => self.located(peer, &scope),
            Request::Leases(after) => Ok(self.leases(peer, after)),
            Request::Leased(upto) => Ok(self.leased(peer, upto)),
            Request::Instances(service) => self.instances(&service),
            Request::Beacons(wish) => self.beacons(peer, &wish),
            Request::Plea(plea) => match self.moves.get() {
                Some(moves) => moves.heard(peer, *plea),
                None => Ok(Reply::Turned(Turned::NotHeld)),
            },
            Request::Recall(scope) => self.recalled(peer, scope),
            // It comes once, and whoever has the connection answers it.
            Request::Hello(_) => Ok(Reply::Turned(Turned::Greeting)),
        };
        answered.unwrap_or_else(|error| {
            tracing::error!(error = error_chain(&error), "a peer could not be answered");
            Reply::Turned(Turned::Failing)
        })
    }

    fn connected(&self, peer: &PublicKey) {
        self.changed.notify_one();
        self.council.connected(*peer);
        if let Some(moves) = self.moves.get() {
            moves.look_again();
        }
        if let Some(sharing) = &self.sharing {
            sharing.look_at(peer);
        }
        if let Some(beacons) = &self.beacons {
            beacons.look_soon();
        }
    }
}

impl<P: Parts> Replicator<P> {
    /// A scope that a peer may see. Every peer of the configuration sees every scope; a policy that
    /// says otherwise is asked here.
    pub(super) fn shown(
        &self,
        _: &PublicKey,
        scope: &ScopeUid,
    ) -> Result<Option<ScopeState>, IndexFailure<P>> {
        self.store.latest().scope_of(scope)
    }

    /// Leases that changed after a place.
    fn leases(&self, peer: &PublicKey, after: LeaseMark) -> Reply {
        match &self.sharing {
            Some(sharing) => Reply::Leases(sharing.page(peer, after)),
            None => Reply::Turned(Turned::NotHeld),
        }
    }

    /// The leases of one service.
    fn instances(&self, service: &Uid) -> Result<Reply, IndexFailure<P>> {
        let is_here = self.store.latest().locate(service)?.is_some();
        let sharing = self.sharing.as_ref().filter(|_| is_here);
        Ok(sharing.map_or(Reply::Turned(Turned::NotHeld), |sharing| {
            Reply::Leases(LeasePage {
                upto: LeaseMark::default(),
                is_last: true,
                rows: sharing.of_service(*service),
            })
        }))
    }

    /// What anchors said last.
    fn beacons(&self, peer: &PublicKey, wish: &BeaconWish) -> Result<Reply, IndexFailure<P>> {
        let Some(beacons) = &self.beacons else {
            return Ok(Reply::Beacons(Vec::new()));
        };
        let mut shown = Vec::with_capacity(wish.scopes.len());
        for scope in &wish.scopes {
            if self.shown(peer, scope)?.is_some() {
                shown.push(*scope);
            }
        }
        Ok(Reply::Beacons(beacons.said(&wish.anchors, &shown)))
    }

    /// Has a peer's leases read that changed.
    fn leased(&self, peer: &PublicKey, upto: LeaseMark) -> Reply {
        if let Some(sharing) = &self.sharing {
            sharing.told(peer, upto);
        }
        Reply::Heard
    }

    /// Has said again what is known of the open height of a scope.
    fn recalled(&self, peer: &PublicKey, scope: ScopeUid) -> Result<Reply, IndexFailure<P>> {
        let state = self.shown(peer, &scope)?;
        let Some(state) = state.filter(|state| self.council.is_joint(state)) else {
            return Ok(Reply::Turned(Turned::NotHeld));
        };
        self.council.recall(*peer, state.uid);
        Ok(Reply::Heard)
    }

    /// Hands on what an anchor says of a height; of one that is far ahead, it is followed to there first.
    fn ordered(
        &self,
        peer: &PublicKey,
        scope: ScopeUid,
        message: Box<Message>,
    ) -> Result<Reply, IndexFailure<P>> {
        let Some(state) = self.shown(peer, &scope)? else {
            return Ok(Reply::Turned(Turned::NotHeld));
        };
        if !self.council.is_joint(&state) {
            return Ok(Reply::Turned(Turned::NotHeld));
        }
        if message.height() > state.height + 1 {
            self.council.claimed(scope, message.height() - 1);
            self.hint(scope, peer);
        }
        Ok(if self.council.heard(*peer, scope, message) {
            Reply::Heard
        } else {
            Reply::Turned(Turned::TooMuch)
        })
    }

    /// Has a scope looked at that went on at a peer.
    fn hint(&self, scope: ScopeUid, peer: &PublicKey) {
        let mut hints = locked(&self.hints);
        let of_peer = hints.entry(*peer).or_default();
        if of_peer.len() < HINTS_PER_PEER_MAX {
            of_peer.insert(scope);
            drop(hints);
            self.wake.notify_one();
        }
    }

    fn heads(&self, peer: &PublicKey, scopes: &[ScopeUid]) -> Result<Reply, IndexFailure<P>> {
        let mut heads = Vec::with_capacity(scopes.len());
        for scope in scopes {
            if let Some(state) = self.shown(peer, scope)? {
                heads.push(Head::of(&state));
            }
        }
        Ok(Reply::Heads(heads))
    }

    fn links(
        &self,
        peer: &PublicKey,
        scope: &ScopeUid,
        from: u64,
        count: u16,
    ) -> Result<Reply, IndexFailure<P>> {
        let Some(state) = self.shown(peer, scope)? else {
            return Ok(Reply::Turned(Turned::NotHeld));
        };
        let snapshot = self.store.latest();
        let genesis = match from {
            0 => snapshot.genesis(state.no)?,
            _ => None,
        };
        let count = u64::from(count).min(u64::try_from(LINKS_PER_REPLY_MAX).unwrap_or(u64::MAX));
        let end = from.saturating_add(count);
        let (mut links, mut byte_count) = (Vec::new(), 0);
        for height in from..end {
            let Some(link) = snapshot.link(state.no, height)? else {
                break;
            };
            byte_count += encoded_length(&link);
            if byte_count > LINKS_BYTES_USUAL && !links.is_empty() {
                break;
            }
            links.push(link);
        }
        Ok(Reply::Links(Box::new(Links { genesis, links })))
    }

    /// What the scopes held here say of a name, from one of them down. A frozen scope proves nothing
    /// any more: which of its blocks holds is not known.
    fn proof(&self, peer: &PublicKey, top: &Apex, name: &Name) -> Result<Reply, IndexFailure<P>> {
        let snapshot = self.store.latest();
        if self.shown(peer, &top.root)?.is_none() {
            return Ok(Reply::Turned(Turned::NotHeld));
        }
        let proof = match prove_below(snapshot.as_ref(), top, name) {
            Ok(proof) => proof,
            Err(NoProof::View(error)) => return Err(error),
            Err(_) => return Ok(Reply::Turned(Turned::Unprovable)),
        };
        for scope in proof.scopes() {
            if snapshot.fork(&scope)?.is_some() {
                return Ok(Reply::Turned(Turned::NotHeld));
            }
        }
        if !fits_reply(&proof) {
            return Ok(Reply::Turned(Turned::Unprovable));
        }
        let sharing = self.sharing.as_ref();
        let leases = sharing.and_then(|sharing| Some(sharing.of_service(proof.entry()?)));
        Ok(Reply::Proof(Box::new(proof), leases.unwrap_or_default()))
    }

    /// The name of a scope, if every scope above it is held, too.
    fn located(&self, peer: &PublicKey, scope: &ScopeUid) -> Result<Reply, IndexFailure<P>> {
        let snapshot = self.store.latest();
        let held = self.shown(peer, scope)?;
        let apexes = held_apexes(snapshot.as_ref())?;
        let name = match held {
            Some(state) => scope_name(snapshot.as_ref(), &apexes, state.no)?,
            None => None,
        };
        Ok(name.map_or(Reply::Turned(Turned::NotHeld), Reply::Located))
    }

    /// Has scopes looked at that are followed at the peer and went on there.
    fn heard(&self, peer: &PublicKey, heads: &[Head]) -> Result<Reply, IndexFailure<P>> {
        let snapshot = self.store.latest();
        for head in heads {
            self.learner.went_on(peer, head);
            let held = self.shown(peer, &head.scope)?;
            let is_joint = held
                .as_ref()
                .is_some_and(|state| self.council.is_joint(state));
            let followed = snapshot.mirror(&head.scope)?;
            let is_source = followed.is_some_and(|mirror| mirror.asks(peer));
            if !is_source && !is_joint {
                continue;
            }
            // Who is behind is told by who is ahead.
            if held.is_some_and(|state| state.head == head.block || state.height > head.height) {
                continue;
            }
            if is_joint {
                self.council.claimed(head.scope, head.height);
            }
            self.hint(head.scope, peer);
        }
        Ok(Reply::Heard)
    }
}
