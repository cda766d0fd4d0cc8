//! Asks peers for a proof, the likeliest first and two at a time.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::base::bucket::Bucket;
use crate::base::keys::PublicKey;
use crate::index::place::{Apex, apex_of};
use crate::index::proof::{BadProof, ProvenScope};
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::replication::pull::Complaint;
use crate::replication::wire::{LeaseRow, Reply, Request, Turned};
use crate::resolution::governed::Unproven;
use crate::service::ports::{PeerFailure, PeerStanding};

use super::{Landed, Learner, NotLearned};

/// Peers that are asked at the same time: one may be slow or dark. For each moment without any reply
/// one more is asked.
const ASKED_AT_ONCE: usize = 2;
const REPLY_USUAL: Duration = Duration::from_millis(300);
/// Proofs that one peer is asked for a second, and at once: half of what it answers, so that votes
/// and blocks never wait for questions.
const PROOFS_PER_SEC: u64 = 100;
/// Peers that are asked for one name, one after the other.
const ASKED_MAX: usize = 16;

/// What became of one reply.
enum Taken {
    /// It showed all there is to the name, and where these scopes stand there.
    Whole(Vec<(ScopeUid, u64)>),
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
        // Nobody waits for a connection while something is at hand that is stale.
        if self.book.knows(&of.top.root) {
            next.retain(|peer| peer.is_connected);
        }
        let mut under_way = JoinSet::new();
        let mut complaints = Vec::new();
        let mut at_once = ASKED_AT_ONCE;
        // Somebody proved it, and somebody else says that there is more.
        let mut older = None;
        loop {
            while under_way.len() < at_once
                && let Some(peer) = next.pop_front()
            {
                if !self.may_ask(&peer.id) {
                    complaints.push(format!("{}: it was asked enough for now", peer.name));
                    continue;
                }
                let request = Request::Prove {
                    top: of.top.clone(),
                    name: of.name.clone(),
                };
                let asked = network.ask(peer.id, request);
                under_way.spawn(async move { (peer, asked.await) });
            }
            let Ok(joined) = timeout(REPLY_USUAL, under_way.join_next()).await else {
                at_once += 1;
                continue;
            };
            let Some(joined) = joined else {
                return older.ok_or_else(|| vain(complaints));
            };
            let Ok((peer, reply)) = joined else {
                continue;
            };
            let why = match self.take(of, &peer, reply).await {
                Taken::Whole(heads) => {
                    if self.keeps_what_was_announced(&heads, &peer.id) {
                        return Ok(told_by("proven", &peer));
                    }
                    older.get_or_insert_with(|| told_by("proven", &peer));
                    continue;
                }
                Taken::Part => "it does not hold the scope below".to_owned(),
                Taken::Nothing(complaint) => {
                    self.complain(&peer.id, &complaint);
                    complaint.to_string()
                }
            };
            complaints.push(format!("{}: {why}", peer.name));
        }
    }

    /// Whether a peer may be asked for one more proof now.
    fn may_ask(&self, peer: &PublicKey) -> bool {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares
            .entry(*peer)
            .or_insert_with(|| Bucket::new(PROOFS_PER_SEC, PROOFS_PER_SEC));
        share.take_if_some(self.began.elapsed(), 1)
    }

    /// Whether a proof has its scopes where peers say that they are. A word that its sender does not
    /// keep, or that nobody keeps, is forgotten.
    fn keeps_what_was_announced(&self, heads: &[(ScopeUid, u64)], from: &PublicKey) -> bool {
        let mut announced = self.announced();
        let mut keeps = true;
        for (scope, height) in heads {
            if let Some((promised, by)) = announced.get(scope) {
                if height >= promised || by == from {
                    announced.remove(scope);
                } else {
                    keeps = false;
                }
            }
        }
        keeps
    }

    /// Has peers say where a scope is, one after the other, until one proves that it is there.
    pub(super) async fn ask_where(&self, scope: &ScopeUid, apexes: &[Apex]) -> Landed {
        let network = self.network.get().ok_or(NotLearned::NoNetwork)?;
        let mut complaints = Vec::new();
        for peer in self.likeliest(network.peers(), scope) {
            if !self.may_ask(&peer.id) {
                complaints.push(format!("{}: it was asked enough for now", peer.name));
                continue;
            }
            let asked = network.ask(peer.id, Request::Locate(*scope));
            let Ok(reply) = timeout(REPLY_USUAL, asked).await else {
                complaints.push(format!("{}: it does not answer", peer.name));
                continue;
            };
            let why = match reply {
                Ok(Reply::Located(name)) => match self.ask_there(scope, name, apexes).await {
                    Ok(()) => return Ok(told_by("proven", &peer)),
                    Err(why) => why,
                },
                Ok(_) => "another reply than a place".to_owned(),
                Err(failure) => failure.to_string(),
            };
            complaints.push(format!("{}: {why}", peer.name));
        }
        Err(vain(complaints))
    }

    async fn ask_there(&self, scope: &ScopeUid, name: Name, apexes: &[Apex]) -> Result<(), String> {
        let top = apex_of(apexes, &name).ok_or("it names a place under no apex")?;
        let of = Unproven {
            top: top.clone(),
            edge: None,
            name,
        };
        let begun = self.clock.now();
        let proven = self.ask_around(&of).await;
        proven.map_err(|why| why.to_string())?;
        if self.book.was_proven_since(scope, begun) {
            Ok(())
        } else {
            Err("the scope is not where it says".to_owned())
        }
    }

    /// Has peers that can be reached now show the instances of an entry, one after the other.
    pub(super) async fn ask_who(&self, scope: &ScopeUid, service: Uid) -> Landed {
        let network = self.network.get().ok_or(NotLearned::NoNetwork)?;
        let mut complaints = Vec::new();
        let peers = self.likeliest(network.peers(), scope).into_iter();
        for peer in peers.filter(|peer| peer.is_connected) {
            if !self.may_ask(&peer.id) {
                complaints.push(format!("{}: it was asked enough for now", peer.name));
                continue;
            }
            let asked = network.ask(peer.id, Request::Instances(service));
            let why = match timeout(REPLY_USUAL, asked).await {
                Ok(Ok(Reply::Leases(page))) => {
                    self.take_instances((*scope, service), page.rows, &peer);
                    return Ok(told_by("shown", &peer));
                }
                Ok(Ok(_)) => "another reply than leases".to_owned(),
                Ok(Err(failure)) => failure.to_string(),
                Err(_) => "it does not answer".to_owned(),
            };
            complaints.push(format!("{}: {why}", peer.name));
        }
        Err(vain(complaints))
    }

    fn take_instances(&self, of: (ScopeUid, Uid), rows: Vec<LeaseRow>, peer: &PeerStanding) {
        if self.services.take(of, rows, self.clock.now()) {
            let complaint = Complaint::Unasked("a lease that its key did not sign");
            self.complain(&peer.id, &complaint);
        }
    }

    /// Of those that can be asked now, who says that there is more comes first, then who proved the
    /// scope before, who never did wrong and who is near.
    fn likeliest(&self, peers: Vec<PeerStanding>, scope: &ScopeUid) -> VecDeque<PeerStanding> {
        let before = self.book.taught_by(scope);
        let announcers: Vec<PublicKey> = self.announced().values().map(|(_, by)| *by).collect();
        let mut peers = peers;
        peers.sort_by_key(|peer| {
            (
                !peer.is_connected,
                !announcers.contains(&peer.id),
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
        let (proof, leases) = match reply {
            Ok(Reply::Proof(proof, leases)) => (proof, leases),
            Ok(_) => return Taken::Nothing(Complaint::Unasked("another reply than a proof")),
            Err(PeerFailure::Turned(Turned::NotHeld)) => {
                return Taken::Nothing(Complaint::NotHeld);
            }
            Err(failure) => return Taken::Nothing(Complaint::Silent(failure.to_string())),
        };
        if *proof.name() != of.name {
            return Taken::Nothing(Complaint::Unasked("a proof of another name"));
        }
        let (top, entry) = (of.top.clone(), proof.entry());
        let is_kept = self.kept.is_on();
        // Some milliseconds of signatures.
        let verified = tokio::task::spawn_blocking(move || {
            let scopes = proof.verify_scopes(&top)?;
            let parts = if is_kept {
                proof.into_parts(&scopes)
            } else {
                Vec::new()
            };
            Ok::<_, BadProof>((scopes, parts))
        });
        let (scopes, parts) = match verified.await {
            Ok(Ok(read)) => read,
            Ok(Err(bad)) => return Taken::Nothing(Complaint::Unproven(bad.to_string())),
            Err(_) => return Taken::Nothing(Complaint::Silent("its proof was not read".into())),
        };
        let is_whole = scopes.last().and_then(ProvenScope::child).is_none();
        let heads = scopes.iter().map(|scope| (scope.uid, scope.head.height));
        let heads = heads.collect();
        let entry = entry.and_then(|entry| Some((scopes.last()?.uid, entry)));
        let (edge, now) = (of.edge.clone(), self.clock.now());
        let taken = self.book.take((scopes, edge), peer.id, now);
        if taken.is_ok() {
            self.keep_parts(parts, peer.id, now);
        }
        match taken {
            Ok(()) if is_whole => {
                if let Some(entry) = entry {
                    self.take_instances(entry, leases, peer);
                }
                Taken::Whole(heads)
            }
            Ok(()) => Taken::Part,
            Err(untaught) => Taken::Nothing(Complaint::Silent(untaught.to_string())),
        }
    }
}

fn vain(complaints: Vec<String>) -> NotLearned {
    if complaints.is_empty() {
        return NotLearned::NoNetwork;
    }
    NotLearned::Peers { complaints }
}

fn told_by(how: &str, peer: &PeerStanding) -> String {
    let PeerStanding {
        name,
        region,
        rtt_us,
        ..
    } = peer;
    match rtt_us {
        Some(rtt) => format!("{how} by {name} ({region}, {} ms away)", rtt / 1_000),
        None => format!("{how} by {name} ({region})"),
    }
}
