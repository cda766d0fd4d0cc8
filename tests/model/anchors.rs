//! Groups of anchors that change.

use kedge::base::keys::SecretKey;
use kedge::governance::anchor::AnchorGroup;
use kedge::index::memory::MemoryIndex;
use kedge::index::refusal::Refusal;
use kedge::index::verify::verify;
use kedge::index::view::IndexView;

use crate::stage::{ROOT, put, reconfigure};
use crate::world::{World, candidate, key, register, scope_uid};

/// The example of a group that shrinks: anchors 4, 6, 7 and 9 of a scope with little traffic decide
/// by three of four; 6 and 9 go, and 4 and 7 decide by two of two.
#[test]
fn four_anchors_become_two_and_the_names_stay_as_they_are() {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    let four = [4, 6, 7, 9].map(key);
    let two = [key(4), key(7)];
    world.root(&mut index, "mesh.internal.", &four);
    let uid = scope_uid(&index, ROOT);
    world
        .seal(&mut index, ROOT, vec![register("wiki", &["A 60 10.0.0.1"])])
        .unwrap();
    let before = index.scope(ROOT).unwrap().unwrap();
    assert_eq!(before.descriptor.quorum_weight(), 3);
    let mut next = before.descriptor.clone();
    next.scope = Some(uid);
    next.epoch += 1;
    let stay = |key: &SecretKey| two.iter().any(|two| two.public() == key.public());
    let seats = next.anchors.anchors().iter();
    let seats = seats.filter(|anchor| {
        four.iter()
            .any(|key| key.public() == anchor.vote_key && stay(key))
    });
    next.anchors = AnchorGroup::new(seats.cloned().collect()).unwrap();
    let proposal = world.proposal(uid, vec![reconfigure(&next)]);
    // The old group decides: those that stay are too few of it.
    let by_two = world.approved(&index, ROOT, proposal.clone(), (&four[0], &two));
    let few = Refusal::Approvals {
        weight: 2,
        needed: 3,
    };
    let sealed = world.seal_all(&mut index, ROOT, &[by_two], &four);
    assert_eq!(sealed.outcomes, [Err(few)]);
    let three = [key(4), key(6), key(7)];
    let by_three = world.approved(&index, ROOT, proposal, (&four[0], &three));
    let sealed = world.seal_all(&mut index, ROOT, &[by_three], &four);
    assert_eq!(sealed.outcomes, [Ok(())]);

    let after = index.scope(ROOT).unwrap().unwrap();
    assert_eq!(
        after.state_root, before.state_root,
        "the content is untouched"
    );
    assert_eq!(after.descriptor.quorum_weight(), 2);
    world.hand_over(uid, &two);
    let change = || vec![put("wiki", "A 60 10.0.0.2")];
    let proposal = world.proposal(uid, change());
    let candidates = [candidate(proposal, &key(4))];
    let gone = world.seal_all(&mut index, ROOT, &candidates, &[key(6), key(9)]);
    assert!(matches!(
        gone.outcomes[..],
        [Err(Refusal::Quorum {
            weight: 0,
            needed: 2
        })]
    ));
    world.seal(&mut index, ROOT, change()).unwrap();
    let mut fresh = MemoryIndex::new();
    verify(&index, &mut fresh, |_| {}).unwrap();
    assert_eq!(fresh, index);
}
