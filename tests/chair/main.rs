//! The chair and what peers say to it: nothing is begun, stored or answered for what no anchor
//! signed, and what goes wrong in one scope stays there.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;
mod told;
#[path = "../world/mod.rs"]
mod world;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kedge::base::canonical::Form as _;
use kedge::base::keys::PublicKey;
use kedge::base::time::Ttl;
use kedge::governance::certificate::{Step, Vote};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::op::Op;
use kedge::governance::policy::Policy;
use kedge::index::admission::Candidate;
use kedge::index::state::{ScopeNo, ScopeState};
use kedge::index::view::IndexView;
use kedge::namespace::scope::ScopeUid;
use kedge::replication::ordering::{Doubts, Electorate, Evidence, Kept, Message, Row, SeatSigned};
use kedge::replication::wire::Request;
use kedge::service::council::{Chair, Council};
use kedge::service::governor::{Done, Governor, Work};
use kedge::service::keyring::{Draft, Keyring};
use kedge::service::ports::{Clock, OrderingStore, PeerNetwork, Store};
use support::parts::ManualClock;
use support::{MemoryStore, group, key, name};
use told::Told;

/// How long something may take that must come to pass.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Rows by scope and height.
type Heights = BTreeMap<(ScopeUid, u64), Vec<Row>>;

/// Rows in memory, and which heights were begun.
#[derive(Debug, Clone, Default)]
struct Rows {
    kept: Arc<Mutex<Heights>>,
    begun: Arc<Mutex<Vec<(ScopeUid, u64)>>>,
    /// Reading the rows of this scope panics.
    cursed: Arc<Mutex<Option<ScopeUid>>>,
    doubts: Arc<Mutex<Doubts>>,
}

impl OrderingStore for Rows {
    type Error = Infallible;

    fn load(&self, scope: &ScopeUid, height: u64) -> Result<Kept, Infallible> {
        assert!(*self.cursed.lock().unwrap() != Some(*scope), "a curse");
        self.begun.lock().unwrap().push((*scope, height));
        let kept = self.kept.lock().unwrap();
        let rows = kept.get(&(*scope, height)).cloned().unwrap_or_default();
        Ok(Kept { rows })
    }

    fn append(&mut self, scope: &ScopeUid, height: u64, rows: &[Row]) -> Result<(), Infallible> {
        let mut kept = self.kept.lock().unwrap();
        kept.entry((*scope, height))
            .or_default()
            .extend_from_slice(rows);
        Ok(())
    }

    fn forget(&mut self, _: &ScopeUid, _: u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn signed(&self) -> Result<Vec<(ScopeUid, u64)>, Infallible> {
        Ok(Vec::new())
    }

    fn doubts(&self) -> Result<Doubts, Infallible> {
        Ok(self.doubts.lock().unwrap().clone())
    }

    fn doubt(&mut self, doubts: &Doubts) -> Result<(), Infallible> {
        *self.doubts.lock().unwrap() = doubts.clone();
        Ok(())
    }

    fn keep_evidence(&mut self, _: &Evidence) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A node with the seats of some keys: its writer, its chair, and what it tells.
struct Node {
    store: Arc<MemoryStore>,
    clock: ManualClock,
    council: Council,
    governor: Governor,
    told: Arc<Told>,
    rows: Rows,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    fn new(store: &Arc<MemoryStore>, clock: &ManualClock, seeds: &[u8]) -> Self {
        Self::cursed(store, clock, (seeds, None))
    }

    fn cursed(
        store: &Arc<MemoryStore>,
        clock: &ManualClock,
        (seeds, curse): (&[u8], Option<ScopeUid>),
    ) -> Self {
        let keyring = Arc::new(Keyring::new(seeds.iter().map(|seed| key(*seed))));
        let (council, jobs) = Council::new(Arc::clone(&keyring));
        let (governor, writer) = Governor::new(Arc::clone(store), keyring, clock.clone());
        let writer = writer.with_council(council.clone());
        let told = Arc::new(Told::default());
        let network: Arc<dyn PeerNetwork> = Arc::<Told>::clone(&told);
        council.connect(network);
        let rows = Rows::default();
        *rows.cursed.lock().unwrap() = curse;
        let chair = Chair::new(
            (council.clone(), jobs),
            Arc::clone(store),
            governor.clone(),
            (clock.clone(), rows.clone()),
        );
        let threads = vec![
            thread::spawn(move || writer.run()),
            thread::spawn(move || chair.run()),
        ];
        Self {
            store: Arc::clone(store),
            clock: clock.clone(),
            council,
            governor,
            told,
            rows,
            threads,
        }
    }

    fn done(&self, work: Work) -> Done {
        self.governor.queue(work).unwrap().wait().unwrap()
    }

    fn state(&self, no: u32) -> ScopeState {
        self.store.latest().scope(ScopeNo(no)).unwrap().unwrap()
    }

    /// A wish of a key, which needs nobody's approval: one more name.
    fn wish(&self, seed: u8) -> Work {
        self.work(seed, world::register("a", &["A 60 10.0.0.1"]))
    }

    fn work(&self, seed: u8, op: Op) -> Work {
        Work::Decide(Box::new(self.candidate(seed, op)))
    }

    fn candidate(&self, seed: u8, op: Op) -> Candidate {
        let draft = Draft {
            ops: vec![op],
            preconditions: Vec::new(),
            note: String::new(),
            nonce: 1,
        };
        let author = Keyring::new([key(seed)]);
        let now = self.clock.now();
        author.author(&self.state(0), draft, now).unwrap()
    }

    fn end(self) {
        self.council.over();
        drop(self.council);
        drop(self.governor);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

/// Founds apexes, all of these anchors.
fn founded(apexes: &[&str], seeds: &[u8]) -> (Arc<MemoryStore>, ManualClock) {
    let (store, clock) = (Arc::new(MemoryStore::default()), ManualClock::default());
    let node = Node::new(&store, &clock, seeds);
    for (apex, nonce) in apexes.iter().zip(1..) {
        let genesis = Descriptor::genesis(None, [nonce; 16], group(seeds), Policy::default());
        node.done(Work::FoundApex {
            name: name(apex),
            descriptor: Box::new(genesis),
        });
    }
    node.end();
    (store, clock)
}

/// A word of a seat on a height, signed by a key.
fn vote(state: &ScopeState, height: u64, (seed, signer): (u8, u8)) -> Box<Message> {
    let (_, anchor) = state
        .descriptor
        .anchors
        .seat_of(&key(seed).public())
        .unwrap();
    let object = Vote {
        scope: state.uid,
        descriptor: state.descriptor_digest,
        height,
        round: 0,
        step: Step::Prevote,
        block: None,
        anchor: anchor.id,
    };
    let signature = key(signer).sign(&object.to_bytes());
    Box::new(Message::Vote(SeatSigned { object, signature }))
}

fn is_nil_prevote(_: Option<&PublicKey>, request: &Request) -> Option<()> {
    match request {
        Request::Order { message, .. } => match &**message {
            Message::Vote(vote) => vote.object.block.is_none().then_some(()),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn what_no_anchor_signed_opens_no_height_and_what_one_signed_does() {
    let (store, clock) = founded(&["mesh.internal."], &[1, 2, 3]);
    let node = Node::new(&store, &clock, &[1]);
    let (state, peer) = (node.state(0), key(100).public());
    for height in [1, 1, 1] {
        assert!(
            node.council
                .heard(peer, state.uid, vote(&state, height, (2, 9)))
        );
    }
    // Whoever is told to look at a peer has heard what came before it.
    let mark = |node: &Node, seed: u8| {
        let peer = key(seed).public();
        node.council.connected(peer);
        let is_mark = |to: Option<&PublicKey>, _: &Request| (to == Some(&peer)).then_some(());
        node.told.until("a head", is_mark);
    };
    (101..105).for_each(|seed| mark(&node, seed));
    assert_eq!(*node.rows.begun.lock().unwrap(), [], "nothing is begun");
    assert!(node.council.heard(peer, state.uid, vote(&state, 1, (2, 2))));
    (105..109).for_each(|seed| mark(&node, seed));
    assert_eq!(*node.rows.begun.lock().unwrap(), [(state.uid, 1)]);
    node.end();
}

#[test]
fn a_decided_block_is_handed_only_to_who_brings_an_anchors_word() {
    let (store, clock) = founded(&["mesh.internal."], &[1, 2, 3]);
    let all = Node::new(&store, &clock, &[1, 2, 3]);
    let old = all.state(0);
    let done = all.done(all.wish(1));
    assert!(matches!(done, Done::Decided { .. }), "{done:?}");
    all.end();
    let node = Node::new(&store, &clock, &[1]);
    let (liar, anchor) = (key(100).public(), key(102).public());
    assert_eq!(node.state(0).height, 1);
    assert!(node.council.heard(liar, old.uid, vote(&old, 1, (2, 9))));
    // Of one peer after the other: the first was heard when the second is answered.
    assert!(node.council.heard(liar, old.uid, vote(&old, 1, (3, 9))));
    assert!(node.council.heard(anchor, old.uid, vote(&old, 1, (3, 3))));
    assert!(node.council.heard(anchor, old.uid, vote(&old, 1, (2, 2))));
    let end = tokio::time::Instant::now() + PATIENCE;
    while node.told.to(&anchor) < 2 {
        assert!(tokio::time::Instant::now() < end, "it was never answered");
        thread::park_timeout(LOOK_EVERY);
    }
    assert_eq!(node.told.to(&liar), 0);
    node.end();
}

/// A height that others began before anything to decide was known here waits for it no longer than it
/// takes to come.
#[test]
fn what_came_after_its_turn_is_offered_in_the_same_round() {
    let (store, clock) = founded(&["mesh.internal."], &[1, 2, 3]);
    let node = Node::new(&store, &clock, &[1, 2]);
    // The first height, by which the node hears others out, is decided elsewhere.
    node.done(node.wish(1));
    let is_order = |_: Option<&PublicKey>, request: &Request| {
        matches!(request, Request::Order { .. }).then_some(())
    };
    node.told.until("a word on the first height", is_order);
    let all = Node::new(&store, &clock, &[1, 2, 3]);
    let done = all.done(Work::Ripen);
    assert!(matches!(done, Done::Ripened { decided: 1, .. }), "{done:?}");
    all.end();
    let state = node.state(0);
    let head = store.latest().header(ScopeNo(0), 1).unwrap().unwrap();
    let electorate = Electorate::new(&state.descriptor, (2, state.head), &head.proposer);
    let turn = electorate.at(electorate.proposer(0)).unwrap().vote_key;
    assert_ne!(turn, key(3).public(), "it is the node's turn");
    let before = node.council.stats().drafted;
    assert!(
        node.council
            .heard(key(100).public(), state.uid, vote(&state, 2, (3, 3)))
    );
    let end = tokio::time::Instant::now() + PATIENCE;
    while node.council.stats().drafted == before {
        assert!(tokio::time::Instant::now() < end, "it never had its turn");
        thread::park_timeout(LOOK_EVERY);
    }
    let done = node.done(node.work(1, world::register("b", &["A 60 10.0.0.2"])));
    assert!(matches!(done, Done::Waits { .. }), "{done:?}");
    let round = node.told.until("a block", |_, request| match request {
        Request::Order { message, .. } => match &**message {
            Message::Bid(bid, _) if bid.object.height == 2 => Some(bid.object.round),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(round, 0);
    node.end();
}

#[test]
fn a_panic_sets_its_scope_aside_and_the_others_go_on() {
    let (store, clock) = founded(&["one.internal.", "two.internal."], &[1, 2, 3]);
    let cursed = store.latest().scope(ScopeNo(0)).unwrap().unwrap().uid;
    let node = Node::cursed(&store, &clock, (&[1], Some(cursed)));
    let peer = key(100).public();
    let states = [node.state(0), node.state(1)];
    for state in &states {
        assert!(node.council.heard(peer, state.uid, vote(state, 1, (2, 2))));
    }
    let end = tokio::time::Instant::now() + PATIENCE;
    while *node.rows.begun.lock().unwrap() != [(states[1].uid, 1)] {
        assert!(
            tokio::time::Instant::now() < end,
            "the other does not go on"
        );
        thread::park_timeout(LOOK_EVERY);
    }
    let quarantine = node.council.quarantine(&cursed).unwrap();
    assert!(quarantine.to_string().contains("a curse"), "{quarantine}");
    assert_eq!(node.council.quarantine(&states[1].uid), None);
    assert!(node.council.is_joint(&states[0]), "nor is it decided alone");
    node.end();
}

#[test]
fn waits_go_on_whatever_the_clock_says() {
    let (store, clock) = founded(&["mesh.internal."], &[1, 2, 3]);
    let state = store.latest().scope(ScopeNo(0)).unwrap().unwrap();
    // Not the seat that proposes first: it waits for a block that never comes.
    let of = |seed: &u8| {
        let (_, anchor) = state
            .descriptor
            .anchors
            .seat_of(&key(*seed).public())
            .unwrap();
        anchor.id
    };
    let head = store.latest().header(ScopeNo(0), 0).unwrap().unwrap();
    let waits = [1, 2, 3].into_iter().find(|seed| of(seed) != head.proposer);
    let waits = waits.unwrap();
    let node = Node::new(&store, &clock, &[waits]);
    node.done(node.wish(waits));
    // The clock of this test stands still.
    node.told.until("a vote for nothing", is_nil_prevote);
    node.end();
}

#[test]
fn a_scope_that_others_come_to_govern_is_convened_at_once() {
    let (store, clock) = founded(&["mesh.internal."], &[1]);
    let node = Node::new(&store, &clock, &[1]);
    let state = node.state(0);
    assert!(!node.council.is_joint(&state));
    let next = Descriptor {
        epoch: state.descriptor.epoch + 1,
        anchors: group(&[1, 2, 3]),
        scope: Some(state.uid),
        ..state.descriptor.clone()
    };
    let op = Op::Reconfigure {
        next: Box::new(next.clone()),
    };
    let mut wish = node.candidate(1, op);
    wish.seats = next.accept_seats([&key(2), &key(3)]).unwrap();
    let (view, now) = (store.latest(), clock.now());
    let impact = world::impact_of(view.as_ref(), ScopeNo(0), &wish, now);
    wish.approvals = vec![world::vote(&wish, &key(1), (true, impact), now)];
    let done = node.done(Work::Decide(Box::new(wish)));
    assert!(matches!(done, Done::Decided { .. }), "{done:?}");
    assert!(node.council.is_joint(&node.state(0)));
    // Who comes now is told where it stands, though nobody said anything about it.
    let peer = key(100).public();
    node.council.connected(peer);
    let is_head = |to: Option<&PublicKey>, request: &Request| match request {
        Request::Announce(heads) if to == Some(&peer) => heads.first().map(|head| head.height),
        _ => None,
    };
    assert_eq!(node.told.until("a head", is_head), 1);
    node.end();
}

#[test]
fn what_waits_for_votes_is_said_again() {
    let (store, clock) = founded(&["mesh.internal."], &[1, 2, 3]);
    let node = Node::new(&store, &clock, &[1]);
    let state = node.state(0);
    let next = Descriptor {
        epoch: state.descriptor.epoch + 1,
        scope: Some(state.uid),
        policy: Policy {
            ttl_max: Ttl::from_secs(600),
            ..state.descriptor.policy.clone()
        },
        ..state.descriptor
    };
    let op = Op::Reconfigure {
        next: Box::new(next),
    };
    let done = node.done(node.work(1, op));
    assert!(matches!(done, Done::Waits { .. }), "{done:?}");
    // A peer that was an epoch behind when it was laid before it hears of it all the same.
    node.told.until_count("a proposal", 2, |to, request| {
        to.is_none() && matches!(request, Request::Lay(_))
    });
    node.end();
}
