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
use kedge::base::keys::SecretKey;
use kedge::base::signed::Signed;
use kedge::governance::anchor::{Anchor, AnchorGroup, SeatSignature};
use kedge::governance::approval::Approval;
use kedge::governance::descriptor::Descriptor;
use kedge::governance::op::Op;
use kedge::governance::policy::Policy;
use kedge::index::pending::{Pending, PendingView};
use kedge::index::staging::preview;
use kedge::index::state::{ScopeNo, ScopeState};
use kedge::index::view::IndexView;
use kedge::service::council::Council;
use kedge::service::governor::{Done, Governor, Work};
use kedge::service::keyring::{Draft, Keyring};
use kedge::service::ports::{Clock, Store};
use support::parts::ManualClock;
use support::{MemoryStore, name};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn group(seeds: &[u8]) -> AnchorGroup {
    let anchors = seeds
        .iter()
        .map(|seed| Anchor::new(key(*seed).public(), "here"));
    AnchorGroup::new(anchors.collect()).unwrap()
}

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

fn state(store: &MemoryStore) -> ScopeState {
    store.latest().scope(ScopeNo(0)).unwrap().unwrap()
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
    let (store, clock) = (Arc::new(MemoryStore::default()), ManualClock::default());
    let genesis = Descriptor::genesis(None, [1; 16], group(&[1, 2, 3]), Policy::default());
    let founded = Work::FoundApex {
        name: name("mesh.internal."),
        descriptor: Box::new(genesis),
    };
    done_by(&store, &clock, &[1, 2, 3], founded);
    let state = state(&store);
    let next = Descriptor {
        epoch: state.descriptor.epoch + 1,
        anchors: group(&[1, 2, 3, 4]),
        scope: Some(state.uid),
        ..state.descriptor.clone()
    };
    let draft = Draft {
        ops: vec![Op::Reconfigure {
            next: Box::new(next.clone()),
        }],
        preconditions: Vec::new(),
        note: String::new(),
        nonce: 1,
    };
    let other = Keyring::new([key(2)]);
    let candidate = other.author(&state, draft, clock.now()).unwrap();
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
    let done = done_by(&store, &clock, &[1], Work::Hear(Box::new(heard.clone())));
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
    done_by(&store, &clock, &[1], Work::Hear(Box::new(heard.clone())));
    let kept = store
        .latest()
        .pending(ScopeNo(0), &digest)
        .unwrap()
        .unwrap();
    assert_eq!(kept.seats.len(), 2);
}
