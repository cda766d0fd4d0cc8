//! Asks peers for a proof, the likeliest first and two at a time.

use std::collections::VecDeque;

use tokio::task::JoinSet;

use crate::index::entry::Entry;
use crate::index::place::{Apex, apex_of};
use crate::index::proof::ProvenScope;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::replication::pull::Complaint;
use crate::replication::wire::{Reply, Request, Turned};
use crate::resolution::governed::Unproven;
use crate::service::ports::{PeerFailure, PeerStanding};

use super::book::Untaught;
use super::{Landed, Learner, NotLearned};

/// Peers that are asked at the same time: one may be slow or dark.
const ASKED_AT_ONCE: usize = 2;
/// Peers that are asked for one name, one after the other.
const ASKED_MAX: usize = 16;

/// What became of one reply.
enum Taken {
    /// It showed all there is to the name.
    Whole,
    /// It showed the way to a scope that its sender does not hold.
    Part,
    /// Nothing.
    Nothing(Complaint),
}

impl Learner {
    /// Asks until one peer proves what is lacking. The others are not waited for.
    pub(super) async fn ask_around(&self, of: &Unproven) -> Landed {
        let network = self.network.get().ok_or(NotLearned::NoNetwork)?;
        let mut next = self.likeliest(network.peers(), &of.top.root);
        let mut under_way = JoinSet::new();
        let mut complaints = Vec::new();
        loop {
            while under_way.len() < ASKED_AT_ONCE
                && let Some(peer) = next.pop_front()
            {
                let request = Request::Prove {
                    top: of.top.clone(),
                    name: of.name.clone(),
                };
                let asked = network.ask(peer.id, request);
                under_way.spawn(async move { (peer, asked.await) });
            }
            let Some(joined) = under_way.join_next().await else {
                return Err(NotLearned::Peers { complaints });
            };
            let Ok((peer, reply)) = joined else {
                continue;
            };
            let why = match self.take(of, &peer, reply).await {
                Taken::Whole => return Ok(told_by(&peer)),
                Taken::Part => "it does not hold the scope below".to_owned(),
                Taken::Nothing(complaint) => {
                    self.complain(&peer.id, &complaint);
                    complaint.to_string()
                }
            };
            complaints.push(format!("{}: {why}", peer.name));
        }
    }

    /// Has peers say where a scope is, one after the other, until one proves that it is there.
    pub(super) async fn ask_where(&self, scope: &ScopeUid, apexes: &[Apex]) -> Landed {
        let network = self.network.get().ok_or(NotLearned::NoNetwork)?;
        let mut complaints = Vec::new();
        for peer in self.likeliest(network.peers(), scope) {
            let why = match network.ask(peer.id, Request::Locate(*scope)).await {
                Ok(Reply::Located(name)) => match self.ask_there(scope, name, apexes).await {
                    Ok(()) => return Ok(told_by(&peer)),
                    Err(why) => why,
                },
                Ok(_) => "another reply than a place".to_owned(),
                Err(failure) => failure.to_string(),
            };
            complaints.push(format!("{}: {why}", peer.name));
        }
        Err(NotLearned::Peers { complaints })
    }

    async fn ask_there(&self, scope: &ScopeUid, name: Name, apexes: &[Apex]) -> Result<(), String> {
        let top = apex_of(apexes, &name).ok_or("it names a place under no apex")?;
        let of = Unproven {
            top: top.clone(),
            edge: None,
            name,
        };
        let proven = self.ask_around(&of).await;
        proven.map_err(|why| why.to_string())?;
        if self.book.knows(scope) {
            Ok(())
        } else {
            Err("the scope is not where it says".to_owned())
        }
    }

    /// Who proved the scope before comes first, then who can be asked now, who never did wrong and
    /// who is near.
    fn likeliest(&self, peers: Vec<PeerStanding>, scope: &ScopeUid) -> VecDeque<PeerStanding> {
        let before = self.book.taught_by(scope);
        let mut peers = peers;
        peers.sort_by_key(|peer| {
            (
                !peer.is_connected,
                Some(peer.id) != before,
                peer.complaints,
                peer.rtt_us.unwrap_or(u64::MAX),
            )
        });
        peers.truncate(ASKED_MAX);
        peers.into()
    }

    async fn take(
        &self,
        of: &Unproven,
        peer: &PeerStanding,
        reply: Result<Reply, PeerFailure>,
    ) -> Taken {
        let proof = match reply {
            Ok(Reply::Proof(proof)) => proof,
            Ok(_) => return Taken::Nothing(Complaint::Unasked("another reply than a proof")),
            Err(PeerFailure::Turned(Turned::NotHeld)) => {
                return Taken::Nothing(Complaint::NotHeld);
            }
            Err(failure) => return Taken::Nothing(Complaint::Silent(failure.to_string())),
        };
        if *proof.name() != of.name {
            return Taken::Nothing(Complaint::Unasked("a proof of another name"));
        }
        let top = of.top.clone();
        // Some milliseconds of signatures.
        let verified = tokio::task::spawn_blocking(move || proof.verify_scopes(&top)).await;
        let scopes = match verified {
            Ok(Ok(scopes)) => scopes,
            Ok(Err(bad)) => return Taken::Nothing(Complaint::Unproven(bad.to_string())),
            Err(_) => return Taken::Nothing(Complaint::Silent("its proof was not read".into())),
        };
        let is_whole = !ends_at_a_delegation(&scopes);
        let (edge, now) = (of.edge.clone(), self.clock.now());
        match self.book.take((scopes, edge), peer.id, now) {
            Ok(()) if is_whole => Taken::Whole,
            Ok(()) => Taken::Part,
            Err(behind @ Untaught::Behind { .. }) => {
                Taken::Nothing(Complaint::Silent(behind.to_string()))
            }
            Err(fork @ Untaught::Forked { .. }) => {
                tracing::error!(
                    peer = %peer.name,
                    scope = %of.top.name,
                    "{fork}; it is served as it was known before"
                );
                Taken::Nothing(Complaint::Silent(fork.to_string()))
            }
        }
    }
}

fn ends_at_a_delegation(scopes: &[ProvenScope]) -> bool {
    let last = scopes.last().and_then(|scope| scope.slots.last());
    let slot = last.and_then(|(_, slot)| slot.as_ref());
    slot.is_some_and(|slot| matches!(slot.entry, Some(Entry::Delegated(_))))
}

fn told_by(peer: &PeerStanding) -> String {
    let PeerStanding {
        name,
        region,
        rtt_us,
        ..
    } = peer;
    match rtt_us {
        Some(rtt) => format!("proven by {name} ({region}, {} ms away)", rtt / 1_000),
        None => format!("proven by {name} ({region})"),
    }
}
