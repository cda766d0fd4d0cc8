//! `Replicator`: keeps scopes of other nodes as those have them, and answers nodes that keep ours.
//!
//! Peers say when a scope went on, and are asked now and then all the same: what one says is only a
//! reason to look. The network is off the path of questions; they read what is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::keys::PublicKey;
use crate::base::lock::locked;
use crate::base::time::Timestamp;
use crate::index::refusal::Refusal;
use crate::index::replica::{Mirror, ReplicaView};
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::scope::ScopeUid;
use crate::replication::pull::{Complaint, Ended};
use crate::replication::wire::{Head, Reply, Request, SCOPES_PER_REQUEST_MAX};

use super::beacons::{Beacons, Report};
use super::council::{Council, Quarantine};
use super::governor::{ChangeError, Governor, Placement, Work};
use super::learner::Learner;
use super::leases::Sharing;
use super::moves::Moves;
use super::ports::{Clock, IndexFailure, Parts, PeerNetwork, Store};
use super::resolver::error_chain;

mod announcing;
mod laying;
mod pulling;
mod serving;
mod slots;

use self::slots::Slots;

/// Between two looks at where the scopes stand that are followed; what is announced is looked at at
/// once.
const POLL_EVERY: Duration = Duration::from_secs(5);
/// Announcements of one peer that wait to be looked at; what does not fit is found by the next look.
const HINTS_PER_PEER_MAX: usize = 4_096;
/// Peers from which a joint scope is pulled at the same time: one that gives nothing must not keep
/// another one's blocks away.
const PULLS_PER_JOINT_SCOPE_MAX: usize = 2;

/// How a scope that is followed does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The peer that was heard of it last, and when.
    pub heard: Option<(PublicKey, Timestamp)>,
    /// The height that it has there.
    pub height_there: u64,
    /// Why it may be behind.
    pub error: Option<String>,
}

impl Standing {
    const NEVER: Self = Self {
        heard: None,
        height_there: 0,
        error: None,
    };
}

/// Why a scope is not followed.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// Peers are reached by a serving node only, and by one that has any.
    #[error("this node reaches no peers")]
    NoNetwork,
    /// The index could not be read.
    #[error("the index could not be read: {0}")]
    Store(String),
    /// The change was not made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// No peer gave the scope.
    #[error("{}", complaints.join("; "))]
    Peers {
        /// What each of them did wrong.
        complaints: Vec<String>,
    },
    /// What is held here and what a peer has contradict each other.
    #[error("the scope forked at height {height}: two blocks have certificates")]
    Forked {
        /// Where.
        height: u64,
    },
    /// Keys of this node govern the scope.
    #[error("keys of this node decide over the scope; it is not followed elsewhere")]
    Governed,
}

/// A scope to be followed.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The scope.
    pub scope: ScopeUid,
    /// Where it is to be, if it is not held.
    pub placement: Placement,
    /// The nodes to be asked.
    pub sources: Vec<PublicKey>,
}

/// Follows scopes, and answers those that do.
pub struct Replicator<P: Parts> {
    store: Arc<P::Store>,
    governor: Governor,
    clock: P::Clock,
    council: Council,
    learner: Arc<Learner>,
    standings: Mutex<BTreeMap<ScopeUid, Standing>>,
    /// Scopes that went on at a peer, by its word.
    hints: Mutex<BTreeMap<PublicKey, BTreeSet<ScopeUid>>>,
    /// Scopes that are pulled, and the peers that are asked first.
    under_way: Mutex<BTreeMap<ScopeUid, BTreeSet<PublicKey>>>,
    wake: Notify,
    /// A peer can be asked that could not.
    changed: Notify,
    slots: Arc<Slots>,
    /// Leases of instances; none where they stay with the node that took them.
    sharing: Option<Arc<Sharing<P::Store>>>,
    /// What anchors say of where scopes stand.
    beacons: Option<Arc<Beacons<P>>>,
    /// Entries on their way; none before the node is whole.
    moves: OnceLock<Arc<Moves<P>>>,
}

impl<P: Parts> std::fmt::Debug for Replicator<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Replicator")
    }
}

impl<P: Parts> Replicator<P> {
    /// A replicator over a store. It reaches nobody until it has a network.
    pub fn new(
        store: Arc<P::Store>,
        governor: Governor,
        clock: P::Clock,
        (council, learner): (Council, Arc<Learner>),
    ) -> Self {
        Self {
            store,
            governor,
            clock,
            council,
            learner,
            standings: Mutex::default(),
            hints: Mutex::default(),
            under_way: Mutex::default(),
            wake: Notify::new(),
            changed: Notify::new(),
            slots: Arc::default(),
            sharing: None,
            beacons: None,
            moves: OnceLock::new(),
        }
    }

    /// Entries on their way.
    pub fn moves(&self) -> Option<&Arc<Moves<P>>> {
        self.moves.get()
    }

    /// Lets peers bring what shall move.
    pub fn attend(&self, moves: Arc<Moves<P>>) {
        // A node has one book of moves as long as it runs.
        drop(self.moves.set(moves));
    }

    /// The same, through which peers read leases.
    #[must_use]
    pub fn with_sharing(self, sharing: Arc<Sharing<P::Store>>) -> Self {
        let sharing = Some(sharing);
        Self { sharing, ..self }
    }

    /// The same, through which peers learn what anchors say of scopes.
    #[must_use]
    pub fn with_beacons(self, beacons: Arc<Beacons<P>>) -> Self {
        let beacons = Some(beacons);
        Self { beacons, ..self }
    }

    /// The network; none where the node does not serve, or has neither address nor peers.
    pub fn network(&self) -> Option<&Arc<dyn PeerNetwork>> {
        self.council.network()
    }

    /// Why a scope is not decided by this node; none if nothing went wrong.
    pub fn quarantine(&self, scope: &ScopeUid) -> Option<Quarantine> {
        self.council.quarantine(scope)
    }

    /// Why anchors here sit the next height of a scope out; none if they do not.
    pub fn concern(&self, state: &ScopeState) -> Option<String> {
        let is_joint = self.council.is_joint(state);
        let concern = self.council.concern(&state.uid, state.height + 1);
        concern.filter(|_| is_joint)
    }

    /// How fresh a scope is, and what its anchors say of it; none where nobody else decides over it.
    pub fn report(&self, state: &ScopeState) -> Result<Option<Report>, IndexFailure<P>> {
        match &self.beacons {
            Some(beacons) => beacons.report(state),
            None => Ok(None),
        }
    }

    /// How a scope that is followed does.
    pub fn standing(&self, scope: &ScopeUid) -> Standing {
        let standings = locked(&self.standings);
        standings.get(scope).cloned().unwrap_or(Standing::NEVER)
    }

    /// Follows a scope from now on. It is there, as the peer has it, when this returns `Ok`.
    pub async fn mirror(&self, wish: Wish) -> Result<Ended, MirrorError> {
        if self.network().is_none() {
            return Err(MirrorError::NoNetwork);
        }
        let mirror = Mirror {
            scope: wish.scope,
            sources: wish.sources.clone(),
            since: self.clock.now(),
        };
        let held = self.state(&wish.scope)?.is_some();
        if held {
            // Nothing is decided here from now on, so what is compared cannot go on meanwhile.
            let work = Work::Mirror(wish.scope, Some(Box::new(mirror.clone())));
            self.governor.commit(work).await?;
        }
        let first = (!held).then_some((wish.placement, mirror));
        let sources = wish.sources.clone();
        let ended = self.pull(wish.scope, wish.sources, first).await?;
        for source in &sources {
            if let Some(sharing) = &self.sharing {
                sharing.look_at(source);
            }
        }
        if let Some(beacons) = &self.beacons {
            beacons.look_soon();
        }
        Ok(ended)
    }

    /// Follows a scope no longer; what is held of it stays.
    pub async fn unfollow(&self, scope: ScopeUid) -> Result<(), MirrorError> {
        let snapshot = self.store.latest();
        let mirror = snapshot.mirror(&scope);
        if mirror.map_err(|error| unreadable(&error))?.is_none() {
            return Err(ChangeError::from(Refusal::UnknownScope(scope)).into());
        }
        self.governor.commit(Work::Mirror(scope, None)).await?;
        locked(&self.standings).remove(&scope);
        Ok(())
    }

    fn state(&self, scope: &ScopeUid) -> Result<Option<ScopeState>, MirrorError> {
        let state = self.store.latest().scope_of(scope);
        state.map_err(|error| unreadable(&error))
    }

    /// Looks at everything that is followed, again and again, until told to stop.
    pub async fn run(self: Arc<Self>, tasks: TaskTracker, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.look_at_all(&tasks, &stop),
                () = self.changed.notified() => self.look_at_all(&tasks, &stop),
                () = self.wake.notified() => self.look_at_hints(&tasks, &stop),
            }
        }
    }

    fn look_at_hints(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let hints = std::mem::take(&mut *locked(&self.hints));
        for (from, scopes) in hints {
            for scope in scopes {
                self.spawn_pull(scope, from, tasks, stop);
            }
        }
    }

    /// Asks each peer where the scopes stand that are followed there.
    fn look_at_all(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        let mirrors = match self.store.latest().mirrors() {
            Ok(mirrors) => mirrors,
            Err(error) => {
                tracing::error!(
                    error = error_chain(&error),
                    "what is followed cannot be read"
                );
                return;
            }
        };
        let mut by_peer: BTreeMap<PublicKey, Vec<ScopeUid>> = BTreeMap::new();
        for mirror in mirrors {
            let sources = if mirror.sources.is_empty() {
                self.peers()
            } else {
                mirror.sources
            };
            for source in sources {
                by_peer.entry(source).or_default().push(mirror.scope);
            }
        }
        for (peer, scopes) in by_peer {
            let looking = Arc::clone(self);
            let (more, stopped) = (tasks.clone(), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = looking.look_at(peer, &scopes, &more, &stopped) => {}
                }
            });
        }
    }

    /// Every node that is known.
    fn peers(&self) -> Vec<PublicKey> {
        let network = self.network();
        network.map_or_else(Vec::new, |network| {
            network.peers().into_iter().map(|peer| peer.id).collect()
        })
    }

    async fn look_at(
        self: &Arc<Self>,
        peer: PublicKey,
        scopes: &[ScopeUid],
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let Some(network) = self.network() else {
            return;
        };
        for page in scopes.chunks(SCOPES_PER_REQUEST_MAX) {
            let reply = network.ask(peer, Request::Heads(page.to_vec())).await;
            let heads = match reply {
                Ok(Reply::Heads(heads)) => heads,
                Ok(_) => {
                    let complaint = Complaint::Unasked("another reply than was asked for");
                    network.complain(&peer, &complaint);
                    return;
                }
                Err(error) => {
                    for scope in page {
                        self.note(scope, |standing| standing.error = Some(error.to_string()));
                    }
                    return;
                }
            };
            for head in heads.iter().filter(|head| page.contains(&head.scope)) {
                self.compare(peer, head, tasks, stop);
            }
        }
    }

    /// Pulls a scope if a peer has it otherwise than it is held.
    fn compare(
        self: &Arc<Self>,
        peer: PublicKey,
        head: &Head,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        match self.state(&head.scope) {
            Ok(Some(state)) if (state.height, state.head) == (head.height, head.block) => {
                let now = self.clock.now();
                self.note(&head.scope, |standing| {
                    *standing = Standing {
                        heard: Some((peer, now)),
                        height_there: head.height,
                        error: None,
                    };
                });
            }
            Ok(_) => self.spawn_pull(head.scope, peer, tasks, stop),
            Err(error) => tracing::error!(%error, "a scope that is followed cannot be read"),
        }
    }

    fn note(&self, scope: &ScopeUid, change: impl FnOnce(&mut Standing)) {
        let mut standings = locked(&self.standings);
        change(standings.entry(*scope).or_insert(Standing::NEVER));
    }

    /// Pulls a scope that is followed, unless that is under way.
    fn spawn_pull(
        self: &Arc<Self>,
        scope: ScopeUid,
        first: PublicKey,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let state = self.state(&scope);
        let most = match state {
            Ok(Some(state)) if self.council.is_joint(&state) => PULLS_PER_JOINT_SCOPE_MAX,
            // Its sources are asked one after the other.
            _ => 1,
        };
        let mut under_way = locked(&self.under_way);
        let asked = under_way.entry(scope).or_default();
        if asked.len() >= most || !asked.insert(first) {
            return;
        }
        drop(under_way);
        let (pulling, stopped) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = pulling.pull_followed(scope, first) => {}
            }
            let mut under_way = locked(&pulling.under_way);
            let asked = under_way.get_mut(&scope);
            if asked.is_some_and(|asked| asked.remove(&first) && asked.is_empty()) {
                under_way.remove(&scope);
            }
        });
    }

    /// Pulls a scope: first from whoever said that it went on, then from where it is followed.
    async fn pull_followed(&self, scope: ScopeUid, first: PublicKey) {
        let followed = match self.store.latest().mirror(&scope) {
            Ok(mirror) => mirror.map_or_else(Vec::new, |mirror| mirror.sources),
            Err(error) => {
                tracing::error!(
                    error = error_chain(&error),
                    "what is followed cannot be read"
                );
                return;
            }
        };
        // Of a joint scope any anchor may be ahead, also where it was followed elsewhere before.
        let others = followed.into_iter();
        let others = others.filter(|source| *source != first);
        let sources: Vec<PublicKey> = std::iter::once(first).chain(others).collect();
        if let Err(error) = self.pull(scope, sources, None).await {
            tracing::warn!(%scope, %error, "a scope could not be pulled");
            self.note(&scope, |standing| standing.error = Some(error.to_string()));
        }
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> MirrorError {
    MirrorError::Store(error_chain(error))
}
