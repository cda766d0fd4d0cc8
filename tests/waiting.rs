//! Proposals that wait on a node as a whole: looked over by a timer that writes only what is due.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;

use kedge::base::digest::Digest;
use kedge::base::limits::{PENDING_BYTES_MAX, PENDING_PER_AUTHOR_MAX, PENDING_PER_SCOPE_MAX};
use kedge::base::signed::Verified;
use kedge::governance::op::Op;
use kedge::governance::policy::{Class, ClassRule, Policy, Requirement};
use kedge::governance::proposal::Proposal;
use kedge::index::admission::Candidate;
use kedge::index::pending::{Pending, PendingStore, PendingView};
use kedge::index::place::find;
use kedge::namespace::name::Name;
use kedge::namespace::path::NamePath;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::RecordSet;
use kedge::namespace::rtype::RecordType;
use kedge::service::ports::{Clock, Store};
use support::{World, key, name};

const DELAY_SECS: u32 = 3_600;
const EXPIRY_SECS: u32 = 86_400;
/// More than may wait.
const ROWS_MAX: usize = 2 * PENDING_PER_SCOPE_MAX;

/// A node whose one scope decides routine changes an hour after they were approved.
fn world() -> World {
    let world = World::default();
    let apex = name("mesh.internal.");
    world.found_apex(&apex);
    let routine = ClassRule {
        requirement: Requirement::Approvals,
        weight: 0,
        delay_secs: DELAY_SECS,
        expiry_secs: EXPIRY_SECS,
    };
    let policy = Policy {
        routine,
        ..Policy::default()
    };
    world.set_policy(&apex, policy).unwrap();
    world
}

fn waiting(world: &World) -> usize {
    let snapshot = world.store.latest();
    let outlines = snapshot.outlines(None, ROWS_MAX).unwrap();
    let pending = snapshot.all_pending(None, ROWS_MAX).unwrap();
    let own: Vec<_> = pending
        .iter()
        .map(|(key, row)| (*key, row.outline()))
        .collect();
    assert_eq!(outlines, own);
    outlines.len()
}

#[test]
fn the_timer_writes_nothing_until_something_is_due() {
    let world = world();
    let api = name("api.mesh.internal.");
    let waits = world.put(&api, RecordType::A, &["10.0.0.1"]);
    assert!(waits.is_err(), "it waits");
    assert_eq!(waiting(&world), 1);
    let before = world.store.latest();
    for _ in 0..3 {
        world.ripen();
        world.clock.pass_secs(1);
    }
    assert!(Arc::ptr_eq(&before, &world.store.latest()), "a commit");
    world.clock.pass_secs(u64::from(DELAY_SECS));
    world.ripen();
    assert_eq!(waiting(&world), 0);
    assert!(world.head(&api).is_some(), "its time had come");
    let before = world.store.latest();
    world.ripen();
    assert!(Arc::ptr_eq(&before, &world.store.latest()), "a commit");
}

#[test]
fn the_timer_gives_up_what_expired() {
    let world = world();
    let api = name("api.mesh.internal.");
    assert!(world.put(&api, RecordType::A, &["10.0.0.1"]).is_err());
    world.clock.pass_secs(u64::from(EXPIRY_SECS) + 1);
    world.ripen();
    assert_eq!(waiting(&world), 0);
    assert!(world.head(&api).is_none(), "too late");
}

/// Has so many rows wait, each with the same proposal of somebody else in it.
fn fill(world: &World, pending: &Pending, count: usize) {
    let apex = name("mesh.internal.");
    let snapshot = world.store.latest();
    let no = find(snapshot.as_ref(), &world.apexes(), &apex)
        .unwrap()
        .scope
        .no;
    let filled = world.store.write(|txn| {
        for number in 0..count {
            let row = Digest::of_bytes("a row", &number.to_be_bytes());
            txn.put_pending(no, &row, Some(pending)).unwrap();
        }
        Ok(())
    });
    filled.unwrap();
}

/// A waiting proposal of somebody else, with so many TXT records of 240 bytes and more.
fn large(world: &World, records: usize) -> Pending {
    let text = "x".repeat(240);
    let data = (0..records).map(|number| {
        let data = format!("\"{number} {text}\"");
        Rdata::parse(RecordType::TXT, &data, &Name::root()).unwrap()
    });
    let data: Vec<Rdata> = data.collect();
    let sets = data.chunks(200).map(|some| {
        let ttl = kedge::base::time::Ttl::from_secs(60);
        RecordSet::new(RecordType::TXT, ttl, some.to_vec()).unwrap()
    });
    let path = NamePath::between(&name("big."), &Name::root()).unwrap();
    let register = |sets| Op::Register {
        path: path.clone(),
        sets: vec![sets],
    };
    let now = world.clock.now();
    let proposal = Proposal {
        scope: world.scope(&name("mesh.internal.")),
        class: Class::Routine,
        ops: sets.map(register).collect(),
        preconditions: Vec::new(),
        author: key(40).public(),
        nonce: 1,
        made: now,
        not_after: now.plus_millis(1_000),
        note: String::new(),
    };
    let proposal = Verified::sign(proposal, &key(40)).unwrap();
    Pending::new(&Candidate::new(proposal), now)
}

/// Whether one more proposal waits, and why not.
fn one_more(world: &World, number: usize) -> Result<(), String> {
    let before = waiting(world);
    let api = name(&format!("n{number}.mesh.internal."));
    let said = world.put(&api, RecordType::A, &["10.0.0.1"]).unwrap_err();
    match waiting(world) - before {
        0 => Err(said),
        _ => Ok(()),
    }
}

#[test]
fn no_author_fills_the_list() {
    let world = world();
    for number in 0..PENDING_PER_AUTHOR_MAX {
        assert_eq!(one_more(&world, number), Ok(()), "{number}");
    }
    let refused = one_more(&world, PENDING_PER_AUTHOR_MAX).unwrap_err();
    assert!(
        refused.contains("at most 128 proposals of one author"),
        "{refused}"
    );
}

#[test]
fn a_scope_has_so_many_wait() {
    let world = world();
    fill(&world, &large(&world, 1), PENDING_PER_SCOPE_MAX - 1);
    assert_eq!(one_more(&world, 0), Ok(()));
    let refused = one_more(&world, 1).unwrap_err();
    assert!(
        refused.contains("at most 1024 proposals of one scope"),
        "{refused}"
    );
}

#[test]
fn a_scope_has_so_many_bytes_wait() {
    let world = world();
    let large = large(&world, 3_800);
    let bytes = usize::try_from(large.outline().byte_count).unwrap();
    assert!(PENDING_BYTES_MAX % bytes > 2_000, "room for a small one");
    let fits = PENDING_BYTES_MAX / bytes;
    assert!(fits < PENDING_PER_SCOPE_MAX, "{fits}");
    fill(&world, &large, fits);
    assert_eq!(one_more(&world, 0), Ok(()));
    fill(&world, &large, fits + 1);
    let refused = one_more(&world, 1).unwrap_err();
    assert!(refused.contains("bytes of proposals"), "{refused}");
}
