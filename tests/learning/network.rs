//! Peers in this process: stores that prove what they hold, and what can go wrong with them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kedge::base::canonical::Form as _;
use kedge::base::keys::{PublicKey, SecretKey};
use kedge::index::place::{held_apexes, scope_name};
use kedge::index::proof::{Proof, prove_below};
use kedge::index::state::{ScopeNo, ScopeState};
use kedge::index::view::IndexView as _;
use kedge::replication::pull::Complaint;
use kedge::replication::wire::{Head, LeaseMark, LeasePage, Reply, Request, Turned};
use kedge::service::ports::{Asked, Ourselves, PeerFailure, PeerNetwork, PeerStanding, Store as _};

use crate::support::MemoryStore;

/// How a peer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it holds.
    Honest,
    /// Not at all.
    Dark,
    /// It never comes to an end.
    Hanging,
    /// As it held when it was first asked for that name.
    Rewinding,
    /// One byte of each proof is another one.
    Forging,
    /// Proofs of another name.
    Confusing,
}

/// A peer.
pub struct Node {
    pub name: &'static str,
    pub store: Arc<MemoryStore>,
    pub manner: Manner,
}

/// Peers as one node sees them.
pub struct Network {
    nodes: Mutex<Vec<Node>>,
    first: Mutex<Vec<(Request, Proof)>>,
    asked: AtomicU64,
    complaints: Mutex<Vec<(PublicKey, String)>>,
}

pub fn id(index: usize) -> PublicKey {
    let seed = u8::try_from(index + 100).unwrap();
    SecretKey::from_seed(&[seed; 32]).public()
}

fn scopes(store: &MemoryStore) -> Vec<ScopeState> {
    let snapshot = store.latest();
    let count = snapshot.scope_count().unwrap();
    let states = (0..count).map(|no| snapshot.scope(ScopeNo(no)).unwrap());
    states.flatten().collect()
}

/// Where every scope of a store stands.
pub fn heads(store: &MemoryStore) -> Vec<Head> {
    scopes(store).iter().map(Head::of).collect()
}

impl Network {
    pub fn of(nodes: Vec<Node>) -> Arc<Self> {
        Arc::new(Self {
            nodes: Mutex::new(nodes),
            first: Mutex::default(),
            asked: AtomicU64::new(0),
            complaints: Mutex::default(),
        })
    }

    pub fn set(&self, index: usize, manner: Manner) {
        self.nodes.lock().unwrap()[index].manner = manner;
    }

    /// Requests for proofs since this was called last.
    pub fn take_asked(&self) -> u64 {
        self.asked.swap(0, Ordering::SeqCst)
    }

    /// What was complained about since this was called last.
    pub fn take_complaints(&self) -> Vec<String> {
        let complaints = std::mem::take(&mut *self.complaints.lock().unwrap());
        complaints.into_iter().map(|(_, what)| what).collect()
    }

    fn reply(&self, index: usize, request: &Request) -> Result<Reply, PeerFailure> {
        let nodes = self.nodes.lock().unwrap();
        let node = &nodes[index];
        if node.manner == Manner::Dark {
            return Err(PeerFailure::Unreachable("no route".to_owned()));
        }
        match request {
            Request::Heads(wanted) => {
                let mut heads = heads(&node.store);
                heads.retain(|head| wanted.contains(&head.scope));
                Ok(Reply::Heads(heads))
            }
            Request::Prove { top, name } => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                let asked = if node.manner == Manner::Confusing {
                    &top.name
                } else {
                    name
                };
                let snapshot = node.store.latest();
                let Ok(proof) = prove_below(snapshot.as_ref(), top, asked) else {
                    return Err(Turned::NotHeld.into());
                };
                let proof = self.in_manner(node, request, proof);
                Ok(Reply::Proof(Box::new(proof), Vec::new()))
            }
            Request::Locate(scope) => {
                let snapshot = node.store.latest();
                let apexes = held_apexes(snapshot.as_ref()).unwrap();
                let no = snapshot.scope_no(scope).unwrap();
                let name = no.and_then(|no| scope_name(snapshot.as_ref(), &apexes, no).unwrap());
                name.map_or(Err(Turned::NotHeld.into()), |name| Ok(Reply::Located(name)))
            }
            Request::Instances(_) => Ok(Reply::Leases(LeasePage {
                upto: LeaseMark::default(),
                is_last: true,
                rows: Vec::new(),
            })),
            _ => Err(Turned::Failing.into()),
        }
    }

    fn in_manner(&self, node: &Node, request: &Request, proof: Proof) -> Proof {
        let mut first = self.first.lock().unwrap();
        let known = first.iter().find(|(known, _)| known == request);
        let known = known.map(|(_, proof)| proof.clone());
        if known.is_none() {
            first.push((request.clone(), proof.clone()));
        }
        match node.manner {
            Manner::Rewinding => known.unwrap_or(proof),
            Manner::Forging => forged(&proof),
            _ => proof,
        }
    }
}

/// The proof with one byte changed, such that it still reads.
fn forged(proof: &Proof) -> Proof {
    let bytes = proof.to_bytes();
    let changed = (0..bytes.len()).rev().find_map(|at| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        Proof::from_bytes(&bytes).ok()
    });
    changed.unwrap()
}

impl PeerNetwork for Network {
    fn ask(&self, peer: PublicKey, request: Request) -> Asked {
        let index = (0..100).find(|index| id(*index) == peer).unwrap();
        if self.nodes.lock().unwrap()[index].manner == Manner::Hanging {
            return Box::pin(std::future::pending());
        }
        let reply = self.reply(index, &request);
        Box::pin(async move { reply })
    }

    fn tell(&self, _: Request) {}

    fn tell_one(&self, _: &PublicKey, _: Request) {}

    fn complain(&self, peer: &PublicKey, complaint: &Complaint) {
        let said = (*peer, complaint.to_string());
        self.complaints.lock().unwrap().push(said);
    }

    fn peers(&self) -> Vec<PeerStanding> {
        let nodes = self.nodes.lock().unwrap();
        let standing = |(index, node): (usize, &Node)| PeerStanding {
            id: id(index),
            name: node.name.to_owned(),
            region: "far".to_owned(),
            addresses: Vec::new(),
            is_connected: true,
            version: Some(2),
            software: String::new(),
            rtt_us: Some(1_000 * u64::try_from(index + 1).unwrap()),
            heard: None,
            answered: 0,
            refused: 0,
            complaints: 0,
            last_error: None,
        };
        nodes.iter().enumerate().map(standing).collect()
    }

    fn ourselves(&self) -> Ourselves {
        Ourselves {
            id: id(99),
            addresses: Vec::new(),
            region: "here".to_owned(),
        }
    }
}
