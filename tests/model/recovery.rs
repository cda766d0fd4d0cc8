//! A scope whose anchors are lost: what its parent may do about it, and what it may not.

use kedge::base::canonical::Form as _;
use kedge::base::text_form::TextForm as _;
use kedge::governance::block::Body;
use kedge::governance::certificate::{Certificate, CertificateRefused};
use kedge::governance::op::Op;
use kedge::governance::recovery::{BadRecovery, RecoveryOffer};
use kedge::index::lineage::{LinkError, replay};
use kedge::index::memory::MemoryIndex;
use kedge::index::place::Apex;
use kedge::index::proof::{Proof, prove};
use kedge::index::recovery::confirmed_link;
use kedge::index::refusal::Refusal;
use kedge::index::state::ScopeNo;
use kedge::index::verify::verify;
use kedge::index::view::Link;
use kedge::namespace::name::Name;

use crate::stage::reconfigure;
use crate::world::recovery::Edge;
use crate::world::{World, head, key, register, scope_uid, slot};

const ROOT: ScopeNo = ScopeNo(0);
const EU: Edge = Edge {
    parent: ROOT,
    child: ScopeNo(1),
    label: "eu",
};
const DE: Edge = Edge {
    parent: EU.child,
    child: ScopeNo(2),
    label: "de",
};

/// A root of three anchors, a scope of three below it, and one of one below that.
fn tree() -> (World, MemoryIndex) {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    world.root(&mut index, "mesh.internal.", &[key(1), key(2), key(3)]);
    let keys = [key(4), key(5), key(6)];
    world.child(&mut index, ROOT, "eu", &keys).unwrap();
    world.child(&mut index, EU.child, "de", &[key(7)]).unwrap();
    let a = ["A 60 10.0.0.1"];
    for edge in [EU, DE] {
        let ops = vec![register("api", &a), register("deep.down", &a)];
        world.seal(&mut index, edge.child, ops).unwrap();
    }
    (world, index)
}

fn apex(index: &MemoryIndex) -> Apex {
    Apex {
        name: "mesh.internal.".parse().unwrap(),
        root: scope_uid(index, ROOT),
    }
}

fn proof(index: &MemoryIndex, name: &str) -> Proof {
    let name: Name = name.parse().unwrap();
    prove(index, &[apex(index)], &name).unwrap()
}

/// Adds a block to a copy.
fn added(index: &MemoryIndex, no: ScopeNo, link: &Link) -> Result<MemoryIndex, String> {
    let mut copy = index.clone();
    match replay(&mut copy, no, link) {
        Ok(()) => Ok(copy),
        Err(error @ LinkError::Warrant { .. }) => Err(format!("warrant: {error}")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn new_anchors_take_over_what_was_there_and_go_on() {
    let (mut world, mut index) = tree();
    let before = (EU.state(&index), head(&index, EU.child, "api"));
    let link = EU.recovered(&mut world, &mut index, &[key(9)]);
    let mut index = added(&index, EU.child, &link).unwrap();
    let now = EU.state(&index);
    assert_eq!((now.uid, now.live), (before.0.uid, before.0.live));
    assert_eq!(now.height, before.0.height + 1);
    assert_eq!(now.descriptor.epoch, before.0.descriptor.epoch + 1);
    assert_eq!(head(&index, EU.child, "api"), before.1);
    // Those who were there before have no say any more.
    let change = || vec![register("new", &["A 60 10.0.0.2"])];
    assert!(matches!(
        world.seal(&mut index, EU.child, change()),
        Err(Refusal::Quorum { .. } | Refusal::Author { .. })
    ));
    world.hand_over(now.uid, &[key(9)]);
    world.seal(&mut index, EU.child, change()).unwrap();
    for name in ["new.eu.mesh.internal.", "api.de.eu.mesh.internal."] {
        proof(&index, name).verify(&apex(&index)).unwrap();
    }
    verify(&index, &mut MemoryIndex::new(), |_| {}).unwrap();
}

#[test]
fn a_scope_that_was_recovered_recovers_another_one() {
    let (mut world, mut index) = tree();
    for (edge, seed) in [(EU, 9), (DE, 10), (EU, 11)] {
        let keys = [key(seed)];
        let link = edge.recovered(&mut world, &mut index, &keys);
        index = added(&index, edge.child, &link).unwrap();
        world.hand_over(scope_uid(&index, edge.child), &keys);
        let op = register(&format!("by-{seed}"), &["A 60 10.0.0.1"]);
        world.seal(&mut index, edge.child, vec![op]).unwrap();
    }
    let proven = proof(&index, "by-10.de.eu.mesh.internal.");
    proven.verify(&apex(&index)).unwrap();
    verify(&index, &mut MemoryIndex::new(), |_| {}).unwrap();
}

#[test]
fn the_parent_alone_decides_and_only_in_time() {
    let (mut world, mut index) = tree();
    let delay = EU.state(&index).descriptor.recovery_delay_secs;
    let offer = EU.offer(&world, &index, &[key(9)], delay + 60);
    let announce = |delay| EU.announced(delay, &offer);
    let label = || EU.label.as_bytes().to_vec();
    let none = world.seal(&mut index, ROOT, vec![Op::Confirm { label: label() }]);
    assert!(matches!(none, Err(Refusal::NoRecovery(_))), "{none:?}");
    let soon = world.seal(&mut index, ROOT, vec![announce(delay + 120)]);
    assert!(matches!(soon, Err(Refusal::TooSoon { .. })), "{soon:?}");
    let elsewhere = world.seal(&mut index, EU.child, vec![announce(delay)]);
    assert!(matches!(
        elsewhere,
        Err(Refusal::NotBound { .. } | Refusal::NoEntry(_))
    ));
    world.seal(&mut index, ROOT, vec![announce(delay)]).unwrap();
    assert!(confirmed_link(&index, &EU.state(&index)).unwrap().is_none());
    let early = EU.confirm(&mut world, &mut index);
    assert!(matches!(early, Err(Refusal::NotDue(_))), "{early:?}");
    world.wait(delay + 60);
    let taken_back = Op::Abandon { label: label() };
    world
        .seal(&mut index, ROOT, vec![taken_back.clone()])
        .unwrap();
    let gone = EU.confirm(&mut world, &mut index);
    assert!(matches!(gone, Err(Refusal::NoRecovery(_))), "{gone:?}");
    let late = world.seal(&mut index, ROOT, vec![announce(delay)]);
    assert!(matches!(late, Err(Refusal::TooSoon { .. })), "{late:?}");

    let link = EU.recovered(&mut world, &mut index, &[key(9)]);
    let final_word = world.seal(&mut index, ROOT, vec![taken_back]);
    assert!(
        matches!(final_word, Err(Refusal::NoRecovery(_))),
        "{final_word:?}"
    );
    added(&index, EU.child, &link).unwrap();
}

#[test]
fn a_delay_shorter_than_the_scope_asks_for_recovers_nothing() {
    let (mut world, mut index) = tree();
    let offer = EU.offer(&world, &index, &[key(9)], 600);
    world
        .seal(&mut index, ROOT, vec![EU.announced(60, &offer)])
        .unwrap();
    world.wait(600);
    EU.confirm(&mut world, &mut index).unwrap();
    let link = confirmed_link(&index, &EU.state(&index)).unwrap().unwrap();
    let refused = added(&index, EU.child, &link).unwrap_err();
    assert!(refused.starts_with("warrant"), "{refused}");
}

#[test]
fn what_the_old_anchors_decide_meanwhile_stands() {
    let (mut world, mut index) = tree();
    let delay = EU.state(&index).descriptor.recovery_delay_secs;
    let offer = EU.offer(&world, &index, &[key(9)], delay + 60);
    let announced = EU.announced(delay, &offer);
    world.seal(&mut index, ROOT, vec![announced]).unwrap();
    let behind = index.clone();
    let op = register("alive", &["A 60 10.0.0.1"]);
    world.seal(&mut index, EU.child, vec![op]).unwrap();
    world.wait(delay + 60);
    EU.confirm(&mut world, &mut index).unwrap();
    assert!(confirmed_link(&index, &EU.state(&index)).unwrap().is_none());
    // Nor does the block of whoever saw nothing of it follow here.
    let mut behind = behind;
    EU.confirm(&mut world, &mut behind).unwrap();
    let link = confirmed_link(&behind, &EU.state(&behind))
        .unwrap()
        .unwrap();
    let refused = added(&index, EU.child, &link).unwrap_err();
    assert!(refused.contains("predecessor"), "{refused}");
}

#[test]
fn nothing_but_the_announced_block_is_covered_by_the_word() {
    let (mut world, mut index) = tree();
    let link = EU.recovered(&mut world, &mut index, &[key(9)]);
    let refused = |link: &Link| added(&index, EU.child, link).unwrap_err();
    // Other anchors than those that were announced.
    let other = EU.next(&index, &[key(10)]);
    let mut forged = link.clone();
    forged.body = Body::of_recovery(other.clone());
    forged.block.next_descriptor = other.digest();
    forged.block.body_root = kedge::base::digest::Digest::of(&forged.body);
    forged.certificate = Certificate::by_warrant(&forged.block, link.certificate.warrant.clone());
    assert!(refused(&forged).starts_with("warrant"));
    // Another state than what is there.
    let mut forged = link.clone();
    forged.block.state_root = kedge::base::digest::Digest::ZERO;
    forged.certificate = Certificate::by_warrant(&forged.block, link.certificate.warrant.clone());
    assert!(refused(&forged).starts_with("warrant"));
    // The same word for an ordinary block, for another scope, or with a vote beside it.
    let mut forged = link.clone();
    forged.body = Body::default();
    assert!(refused(&forged).contains("parent"), "{}", refused(&forged));
    assert!(added(&index, DE.child, &link).is_err());
    let mut forged = link.clone();
    let voters = EU.state(&index).descriptor;
    let signed = Certificate::sign(&link.block, &voters, &[key(4)]).unwrap();
    forged.certificate.signatures = signed.signatures;
    assert!(refused(&forged).starts_with("warrant"));
    let alone = link.certificate.verify(&link.block, &voters);
    assert_eq!(alone, Err(CertificateRefused::Warrant));
    // Anchors cannot recover themselves with a quorum of their own, either.
    let mut forged = link;
    let keys = [key(4), key(5), key(6)];
    forged.certificate = Certificate::sign(&forged.block, &voters, &keys).unwrap();
    assert!(refused(&forged).starts_with("warrant"));
}

#[test]
fn a_changed_byte_of_a_warrant_recovers_nothing_else() {
    let (mut world, mut index) = tree();
    let link = EU.recovered(&mut world, &mut index, &[key(9)]);
    let honest = added(&index, EU.child, &link).unwrap();
    for at in 0..link.certificate.warrant.len() {
        let mut forged = link.clone();
        forged.certificate.warrant[at] ^= 1 << (at % 8);
        // A certificate of the parent may hold with one signature less; nothing else may differ.
        if let Ok(other) = added(&index, EU.child, &forged) {
            assert_eq!(EU.state(&other), EU.state(&honest), "byte {at}");
        }
    }
}

#[test]
fn an_offer_is_of_one_scope_and_accepted() {
    let (world, index) = tree();
    let offer = EU.offer(&world, &index, &[key(9)], 60);
    assert_eq!(
        RecoveryOffer::from_text(&offer.to_text()).as_ref(),
        Ok(&offer)
    );
    let (block, next) = (offer.block().clone(), offer.next().clone());
    let seats = next.accept_seats(&[key(9)]).unwrap();
    let bad = |block, next, seats| RecoveryOffer::new(block, next, seats).unwrap_err();
    let unaccepted = bad(block.clone(), next.clone(), Vec::new());
    assert_eq!(unaccepted, BadRecovery::Seats);
    let mut later = block.clone();
    later.epoch += 1;
    assert_eq!(bad(later, next.clone(), seats.clone()), BadRecovery::Apart);
    let mut orphan = next;
    orphan.parent = None;
    assert_eq!(bad(block, orphan, seats), BadRecovery::NoParent);
    let mut bytes = offer.to_bytes();
    bytes.push(0);
    assert!(RecoveryOffer::from_bytes(&bytes).is_err());
}

#[test]
fn what_is_said_goes_along_with_a_label_and_ends_with_a_delegation() {
    let (mut world, mut index) = tree();
    let delay = EU.state(&index).descriptor.recovery_delay_secs;
    let offer = EU.offer(&world, &index, &[key(9)], delay + 60);
    let announced = EU.announced(delay, &offer);
    world.seal(&mut index, ROOT, vec![announced]).unwrap();
    let rename = Op::Rename {
        from: crate::world::path("eu"),
        to: crate::world::path("europe"),
        subtree: false,
    };
    world.seal(&mut index, ROOT, vec![rename]).unwrap();
    assert!(slot(&index, ROOT, "eu").recovery.is_none());
    assert!(slot(&index, ROOT, "europe").recovery.is_some());
    world.wait(delay + 60);
    let edge = Edge {
        label: "europe",
        ..EU
    };
    edge.confirm(&mut world, &mut index).unwrap();
    let link = confirmed_link(&index, &EU.state(&index)).unwrap().unwrap();
    let index = added(&index, EU.child, &link).unwrap();
    verify(&index, &mut MemoryIndex::new(), |_| {}).unwrap();
    // An ordinary change of anchors needs the new ones.
    let next = EU.next(&index, &[key(12)]);
    let mut copy = index.clone();
    let refused = world.seal(&mut copy, EU.child, vec![reconfigure(&next)]);
    assert!(refused.is_err());
}
