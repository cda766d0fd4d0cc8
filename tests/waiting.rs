//! Proposals that wait on a node as a whole: looked over by a timer that writes only what is due.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;

use kedge::governance::policy::{ClassRule, Policy, Requirement};
use kedge::index::pending::PendingView;
use kedge::namespace::rtype::RecordType;
use kedge::service::ports::Store;
use support::{World, name};

const DELAY_SECS: u32 = 3_600;
const EXPIRY_SECS: u32 = 86_400;

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
    let outlines = snapshot.outlines(None, 100).unwrap();
    let pending = snapshot.all_pending(None, 100).unwrap();
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
