//! A scope that decides by more than half of its weight.

use kedge::base::keys::SecretKey;
use kedge::governance::policy::{ClassRule, Quorum};
use kedge::index::memory::MemoryIndex;
use kedge::index::refusal::Refusal;
use kedge::index::verify::verify;
use kedge::index::view::IndexView;

use crate::stage::{ROOT, put, reconfigure};
use crate::world::{World, key, register, scope_uid};

fn five() -> Vec<SecretKey> {
    (1..6).map(key).collect()
}

/// What comes of a routine change that three of five anchors approve and certify.
fn by_three_of_five(quorum: Quorum) -> Result<(), Refusal> {
    let (mut world, mut index) = (World::new(), MemoryIndex::new());
    world.root(&mut index, "mesh.internal.", &five());
    let first = register("api", &["A 60 10.0.0.1"]);
    world.seal(&mut index, ROOT, vec![first]).unwrap();
    let uid = scope_uid(&index, ROOT);
    let mut next = index.scope(ROOT).unwrap().unwrap().descriptor;
    next.scope = Some(uid);
    next.epoch += 1;
    next.policy.routine = ClassRule::QUORUM;
    next.policy.quorum = quorum;
    world
        .seal(&mut index, ROOT, vec![reconfigure(&next)])
        .unwrap();
    let three = five().split_off(2);
    let proposal = world.proposal(uid, vec![put("api", "A 60 10.0.0.2")]);
    let candidate = world.approved(&index, ROOT, proposal, (&key(1), &three));
    let sealed = world.seal_all(&mut index, ROOT, &[candidate], &three);
    let mut fresh = MemoryIndex::new();
    verify(&index, &mut fresh, |_| {}).unwrap();
    assert_eq!(fresh, index);
    sealed.outcomes.into_iter().next().unwrap()
}

#[test]
fn three_of_five_decide_by_majority_and_not_by_two_thirds() {
    let few = Refusal::Quorum {
        weight: 3,
        needed: 4,
    };
    assert_eq!(by_three_of_five(Quorum::Bft), Err(few));
    assert_eq!(by_three_of_five(Quorum::Majority), Ok(()));
}

#[test]
fn a_majority_is_more_than_half_and_says_what_it_is() {
    for (total, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (100, 51)] {
        assert_eq!(Quorum::Majority.needed(total), needed, "of {total}");
    }
    assert!(Quorum::Majority.to_string().contains("crash-only"));
    assert!(!Quorum::Bft.to_string().contains("crash-only"));
}
