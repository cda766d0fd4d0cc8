//! What another anchor lays before a node: nothing of it counts that was not checked by itself.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;
use std::thread;

use kedge::base::digest::Digest;
use kedge::base::limits::PENDING_PER_AUTHOR_MAX;
use kedge::base::signed::Signed;
use kedge::governance::anchor::SeatSignature;
use kedge::governance::approval::Approval;
use kedge::governance::descriptor::Descriptor;
use kedge::governance::op::Op;
use kedge::governance::policy::Policy;
use kedge::index::admission::Candidate;
use kedge::index::pending::{Pending, PendingView};
use kedge::index::staging::preview;
use kedge::index::state::{ScopeNo, ScopeState};
use kedge::index::view::IndexView;
use kedge::namespace::scope::ScopeUid;
use kedge::replication::wire::{Reply, Request, Turned};
use kedge::service::council::Council;
use kedge::service::governor::{Done, Governor, Queued, Work, Writer};
use kedge::service::keyring::{Draft, Keyring};
use kedge::service::learner::Learner;
use kedge::service::ports::{Clock, PeerRequests, Store};
use kedge::service::replicator::Replicator;
use support::parts::{ManualClock, TestParts};
use support::{MemoryStore, group, key, name};

/// Has a writer with these keys do something.
fn done_by(store: &Arc<MemoryStore>, clock: &ManualClock, seeds: &[u8], work: Work) -> Done {
    let keyring = Arc::new(Keyring::new(seeds.iter().map(|seed| key(*seed))));
    // Nobody takes the council's work: what is laid waits.
    let (council, _jobs) = Council::new(Arc::clone(&keyring));
    let (governor, writer) = Governor::new(Arc::clone(store), keyring, clock.clone());
    let writing = thread::spawn(move || writer.with_council(council).run());
    let done = governor.queue(work).unwrap().wait().unwrap();
    drop(governor);
    writing.join().unwrap();
    done
}

/// A scope that three anchors govern, and the clock by which they do.
fn founded() -> (Arc<MemoryStore>, ManualClock, ScopeState) {
    let (store, clock) = (Arc::new(MemoryStore::default()), ManualClock::default());
    let genesis = Descriptor::genesis(None, [1; 16], group(&[1, 2, 3]), Policy::default());
    let founded = Work::FoundApex {
        name: name("mesh.internal."),
        descriptor: Box::new(genesis),
    };
    done_by(&store, &clock, &[1, 2, 3], founded);
    let state = store.latest().scope(ScopeNo(0)).unwrap().unwrap();
    (store, clock, state)
}

/// The scope's next descriptor, with these anchors.
fn next_with(state: &ScopeState, seeds: &[u8]) -> Descriptor {
    Descriptor {
        epoch: state.descriptor.epoch + 1,
        anchors: group(seeds),
        scope: Some(state.uid),
        ..state.descriptor.clone()
    }
}

/// A proposal of a key to put another descriptor in force.
fn proposed(
    state: &ScopeState,
    clock: &ManualClock,
    next: &Descriptor,
    (seed, nonce): (u8, u64),
) -> Candidate {
    let draft = Draft {
        ops: vec![Op::Reconfigure {
            next: Box::new(next.clone()),
        }],
        preconditions: Vec::new(),
        note: String::new(),
        nonce,
    };
    let author = Keyring::new([key(seed)]);
    author.author(state, draft, clock.now()).unwrap()
}

/// A signed no of a key, about a proposal.
fn no(pending: &Pending, impact: Digest, seed: u8) -> Signed<Approval> {
    let approval = Approval {
        scope: pending.proposal.unverified().scope,
        proposal: pending.proposal.digest(),
        not_after: pending.proposal.unverified().not_after,
        impact,
        yes: false,
        time: pending.received,
        reason: String::new(),
        anchor: key(seed).public(),
    };
    Signed::new(approval, &key(seed)).unwrap()
}

#[test]
fn votes_of_strangers_and_seats_that_nobody_took_are_left_out() {
    let (store, clock, state) = founded();
    let next = next_with(&state, &[1, 2, 3, 4]);
    let candidate = proposed(&state, &clock, &next, (2, 1));
    let taken = next.accept_seats([&key(3)]).unwrap();
    let (new_seat, _) = next.anchors.seat_of(&key(4).public()).unwrap();
    let junk = SeatSignature {
        seat: new_seat,
        signature: taken[0].signature,
    };
    let mut heard = Pending::new(&candidate, clock.now());
    let preview = preview(store.latest().as_ref(), ScopeNo(0), &candidate, clock.now());
    let impact = preview.unwrap().impact.digest();
    let objection = no(&heard, impact, 3);
    // The same word twice, and that of a key without a seat.
    heard.approvals = vec![objection.clone(), objection.clone(), no(&heard, impact, 9)];
    heard.seats = [vec![junk], taken.clone()].concat();
    heard.seats.sort_by_key(|seat| seat.seat);
    let done = done_by(
        &store,
        &clock,
        &[1],
        Work::Hear(key(100).public(), Box::new(heard.clone())),
    );
    assert_eq!(done, Done::Heard(state.uid));
    let digest = heard.proposal.digest();
    let kept = store
        .latest()
        .pending(ScopeNo(0), &digest)
        .unwrap()
        .unwrap();
    assert_eq!(kept.approvals, [objection]);
    assert_eq!(kept.seats, taken);
    // The anchor's own signature still finds its place.
    heard.seats = next.accept_seats([&key(4)]).unwrap();
    done_by(
        &store,
        &clock,
        &[1],
        Work::Hear(key(100).public(), Box::new(heard.clone())),
    );
    let kept = store
        .latest()
        .pending(ScopeNo(0), &digest)
        .unwrap()
        .unwrap();
    assert_eq!(kept.seats.len(), 2);
}

/// A replicator over a store with these seats, and the writer that has not begun.
fn replicator(
    store: &Arc<MemoryStore>,
    clock: &ManualClock,
    seeds: &[u8],
) -> (
    Replicator<TestParts<MemoryStore>>,
    Governor,
    Writer<MemoryStore, ManualClock>,
) {
    let keyring = Arc::new(Keyring::new(seeds.iter().map(|seed| key(*seed))));
    let (council, _jobs) = Council::new(Arc::clone(&keyring));
    let (governor, writer) = Governor::new(Arc::clone(store), keyring, clock.clone());
    let others = (
        council.clone(),
        Arc::new(Learner::new(Arc::new(clock.clone()))),
    );
    let replicator = Replicator::new(Arc::clone(store), governor.clone(), clock.clone(), others);
    (replicator, governor, writer.with_council(council))
}

/// How often the writer writes for what a peer lays, and the last reply.
fn tried(
    store: &Arc<MemoryStore>,
    clock: &ManualClock,
    laid: impl IntoIterator<Item = Pending>,
) -> (u64, Reply) {
    let (replicator, _, writer) = replicator(store, clock, &[1]);
    let before = store.writes();
    let mut last = Reply::Heard;
    for pending in laid {
        last = lay(&replicator, pending);
    }
    drop(replicator);
    writer.run();
    (store.writes() - before, last)
}

fn lay(replicator: &Replicator<TestParts<MemoryStore>>, pending: Pending) -> Reply {
    replicator.answer(&key(100).public(), Request::Lay(Box::new(pending)))
}

/// A wish of a key to have other anchors: so many of them as there are nonces.
fn wish(state: &ScopeState, clock: &ManualClock, by: (u8, u64)) -> Pending {
    let next = next_with(state, &[1, 2]);
    Pending::new(&proposed(state, clock, &next, by), clock.now())
}

#[test]
fn what_is_known_or_forged_or_not_allowed_costs_the_writer_nothing() {
    let (store, clock, state) = founded();
    let known = wish(&state, &clock, (2, 1));
    assert_eq!(tried(&store, &clock, [known.clone()]).0, 1, "it is new");
    let again = std::iter::repeat_n(known.clone(), 100);
    assert_eq!(tried(&store, &clock, again), (0, Reply::Heard));
    // Votes of keys without a seat, and votes that nobody signed.
    let stranger = Pending {
        approvals: vec![no(&known, Digest::ZERO, 9)],
        ..known.clone()
    };
    let vote = no(&known, Digest::ZERO, 3).unverified().clone();
    let forged = Signed::new(vote, &key(2)).unwrap();
    let forged = Pending {
        approvals: vec![forged],
        ..known.clone()
    };
    assert_eq!(tried(&store, &clock, [stranger, forged]).0, 0);
    // A new vote is tried.
    let voted = Pending {
        approvals: vec![no(&known, Digest::ZERO, 3)],
        ..known
    };
    assert_eq!(tried(&store, &clock, [voted]).0, 1);
}

#[test]
fn new_proposals_of_a_peer_are_tried_within_its_share() {
    let (store, clock, state) = founded();
    let (replicator, governor, writer) = replicator(&store, &clock, &[1]);
    let flood = |replicator: &_, from: u64| {
        let wishes = (from..from + 1_000).map(|nonce| wish(&state, &clock, (2, nonce)));
        let replies = wishes.map(|wish| lay(replicator, wish));
        let heard = replies.take_while(|reply| *reply != Reply::Turned(Turned::TooMuch));
        heard.count()
    };
    // As many as one author may have waiting are new, and cost the peer nothing.
    for nonce in 0..PENDING_PER_AUTHOR_MAX {
        let wish = wish(&state, &clock, (2, u64::try_from(nonce).unwrap()));
        assert_eq!(lay(&replicator, wish), Reply::Heard);
    }
    thread::scope(|scope| {
        let writing = scope.spawn(move || writer.run());
        let last = governor.queue(Work::GiveUp(state.uid));
        last.unwrap().wait().unwrap();
        let count = flood(&replicator, 1_000);
        assert!((512..900).contains(&count), "{count} were tried in vain");
        let count = flood(&replicator, 3_000);
        assert!(count < 300, "{count} more at once");
        drop((replicator, governor));
        writing.join().unwrap();
    });
    let waiting = store.latest().outlines(None, 1_000).unwrap();
    assert_eq!(waiting.len(), PENDING_PER_AUTHOR_MAX);
}

#[test]
fn what_is_laid_together_is_written_together_but_for_what_fails() {
    let (store, clock, state) = founded();
    let (_, governor, writer) = replicator(&store, &clock, &[1]);
    let hear = |pending: &Pending| {
        let work = Work::Hear(key(100).public(), Box::new(pending.clone()));
        governor.queue(work).unwrap()
    };
    let wishes: Vec<Pending> = (0..8)
        .map(|nonce| wish(&state, &clock, (2, nonce)))
        .collect();
    let before = store.writes();
    let first: Vec<_> = wishes[..4].iter().map(hear).collect();
    // Of a scope that is not held here.
    let elsewhere = ScopeState {
        uid: ScopeUid::new(Digest::of_bytes("test", b"elsewhere")),
        ..state.clone()
    };
    let running = thread::spawn(move || writer.run());
    let good = |done: Vec<Queued>| {
        for one in done {
            assert_eq!(one.wait().unwrap(), Done::Heard(state.uid));
        }
    };
    good(first);
    assert_eq!(store.writes() - before, 1, "one write for all");
    let mut second: Vec<_> = wishes[4..6].iter().map(hear).collect();
    let lost = hear(&wish(&elsewhere, &clock, (2, 9)));
    second.extend(wishes[6..].iter().map(hear));
    good(second);
    assert!(lost.wait().is_err());
    drop(governor);
    running.join().unwrap();
    let waiting = store.latest().outlines(None, 100).unwrap();
    assert_eq!(waiting.len(), wishes.len());
}
