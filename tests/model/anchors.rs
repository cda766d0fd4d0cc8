//! Groups of anchors that change.

use kedge::base::keys::SecretKey;
use kedge::governance::anchor::{Anchor, AnchorGroup, AnchorId};
use kedge::governance::policy::ClassRule;
use kedge::governance::proposal::Proposal;
use kedge::governance::trust::earned_weights;
use kedge::index::memory::MemoryIndex;
use kedge::index::refusal::Refusal;
use kedge::index::verify::verify;
use kedge::index::view::IndexView;

use crate::stage::{ROOT, put, reconfigure};
use crate::world::{World, candidate, impact_of, key, register, scope_uid, vote};

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

/// Votes that four anchors cast alike before anybody else comes.
const VOTES: u8 = 48;
/// Seeds of the keys that come then.
const FRESH: std::ops::Range<u8> = 30..90;

/// A scope in which four anchors voted alike for a while, and then took sixty more into the group,
/// with the weights that the ledger gives or with one each.
fn crowded(by_ledger: bool) -> (World, MemoryIndex) {
    let (mut world, mut index) = (World::new(), MemoryIndex::new());
    let trusted: Vec<SecretKey> = (1..5).map(key).collect();
    world.root(&mut index, "mesh.internal.", &trusted);
    let uid = scope_uid(&index, ROOT);
    let first = register("api", &["A 60 10.0.0.1"]);
    world.seal(&mut index, ROOT, vec![first]).unwrap();
    let mut next = index.scope(ROOT).unwrap().unwrap().descriptor;
    next.scope = Some(uid);
    next.epoch += 1;
    next.policy.routine = ClassRule::QUORUM;
    world
        .seal(&mut index, ROOT, vec![reconfigure(&next)])
        .unwrap();
    for last in 0..VOTES {
        let change = put("api", &format!("A 60 10.0.1.{last}"));
        world.seal(&mut index, ROOT, vec![change]).unwrap();
    }
    let state = index.scope(ROOT).unwrap().unwrap();
    let mut next = state.descriptor.clone();
    next.epoch += 1;
    let fresh = FRESH.map(|seed| Anchor::new(key(seed).public(), "eu"));
    let mut anchors: Vec<Anchor> = next.anchors.anchors().to_vec();
    anchors.extend(fresh);
    let group = AnchorGroup::new(anchors.clone()).unwrap();
    if by_ledger {
        let earned = earned_weights(&state.ledger, &group, true);
        for anchor in &mut anchors {
            anchor.weight = *earned.get(&anchor.id).unwrap();
        }
    }
    next.anchors = AnchorGroup::new(anchors).unwrap();
    world
        .seal(&mut index, ROOT, vec![reconfigure(&next)])
        .unwrap();
    let all: Vec<SecretKey> = trusted.into_iter().chain(FRESH.map(key)).collect();
    world.hand_over(uid, &all);
    (world, index)
}

/// What comes of a change that the fresh anchors propose, with all keys at hand to certify it.
fn by_votes(
    (world, index): &mut (World, MemoryIndex),
    votes: &[(&[SecretKey], bool)],
) -> Result<(), Refusal> {
    let uid = scope_uid(index, ROOT);
    let proposal = Proposal {
        author: key(FRESH.start).public(),
        ..world.proposal(uid, vec![put("api", "A 60 10.0.0.2")])
    };
    let mut candidate = candidate(proposal, &key(FRESH.start));
    let now = world.present();
    let impact = impact_of(index, ROOT, &candidate, now);
    for (keys, yes) in votes {
        let cast = |key: &SecretKey| vote(&candidate, key, (*yes, impact), now);
        let cast: Vec<_> = keys.iter().map(cast).collect();
        candidate.approvals.extend(cast);
    }
    let keys = world.keys(&uid).to_vec();
    let sealed = world.seal_all(index, ROOT, &[candidate], &keys);
    let mut replayed = MemoryIndex::new();
    verify(index, &mut replayed, |_| {}).unwrap();
    assert_eq!(&replayed, index);
    sealed.outcomes.into_iter().next().unwrap()
}

#[test]
fn sixty_fresh_anchors_that_agree_do_not_outvote_four_that_earned_their_weights() {
    let fresh: Vec<SecretKey> = FRESH.map(key).collect();
    let trusted: Vec<SecretKey> = (1..5).map(key).collect();
    let mut by_heads = crowded(false);
    assert_eq!(by_votes(&mut by_heads, &[(&fresh, true)]), Ok(()));

    let mut by_trust = crowded(true);
    let descriptor = by_trust.1.scope(ROOT).unwrap().unwrap().descriptor;
    let needed = descriptor.quorum_weight();
    let weight = |seed: u8| {
        let id = AnchorId::of_first_key(&key(seed).public());
        u64::from(descriptor.anchors.get(&id).unwrap().weight)
    };
    assert_eq!(FRESH.map(weight).sum::<u64>(), 60, "nobody knows them yet");
    let few = Err(Refusal::Approvals { weight: 60, needed });
    assert_eq!(by_votes(&mut by_trust, &[(&fresh, true)]), few);
    // Nor do they keep the four from deciding.
    let decided = by_votes(&mut by_trust, &[(&fresh, false), (&trusted, true)]);
    assert_eq!(decided, Ok(()));
}
