//! Proofs of single names, for whoever knows nothing but the apex and its root scope.

use kedge::base::canonical::Form;
use kedge::base::text_form::TextForm;
use kedge::governance::anchor::{Anchor, AnchorGroup};
use kedge::governance::op::Op;
use kedge::index::entry::{Entry, Slot};
use kedge::index::memory::MemoryIndex;
use kedge::index::place::{Apex, find};
use kedge::index::proof::{BadProof, NoProof, Proof, Proven, prove};
use kedge::index::state::ScopeNo;
use kedge::index::view::IndexView;
use kedge::namespace::name::Name;

use crate::stage::reconfigure;
use crate::world::{World, genesis, key, path, register, scope_uid, uid_at};

const ROOT: ScopeNo = ScopeNo(0);
const EU: ScopeNo = ScopeNo(1);
const DE: ScopeNo = ScopeNo(2);

struct Tree {
    world: World,
    index: MemoryIndex,
    apex: Apex,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A root of three anchors, two scopes below it, one of which changed its anchor twice.
fn tree() -> Tree {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    world.root(&mut index, "mesh.internal.", &[key(1), key(2), key(3)]);
    world.child(&mut index, ROOT, "eu", &[key(4)]).unwrap();
    world.child(&mut index, EU, "de", &[key(5)]).unwrap();
    let a = ["A 60 10.0.0.1"];
    let many = (0..60)
        .map(|number| register(&format!("n{number}"), &a))
        .collect();
    world.seal(&mut index, EU, many).unwrap();
    for seed in [7, 8] {
        let state = index.scope(EU).unwrap().unwrap();
        let mut next = state.descriptor.clone();
        (next.scope, next.epoch) = (Some(state.uid), next.epoch + 1);
        let keys = [key(seed)];
        next.anchors = AnchorGroup::new(vec![Anchor::new(keys[0].public(), "eu")]).unwrap();
        let op = reconfigure(&next);
        world.seal(&mut index, EU, vec![op]).unwrap();
        world.hand_over(state.uid, &keys);
        let op = register(&format!("after-{seed}"), &a);
        world.seal(&mut index, EU, vec![op]).unwrap();
    }
    let alias = ["DNAME 60 elsewhere.example."];
    let ops = vec![
        register("deep.down.below", &a),
        register("*.wild", &a),
        register("cut", &["NS 60 ns.cut.example."]),
        register("alias", &alias),
        register("gone", &a),
        register("a.tree", &a),
    ];
    world.seal(&mut index, DE, ops).unwrap();
    let renamed = Op::Rename {
        from: path("tree"),
        to: path("grove"),
        subtree: true,
    };
    let reserved = Op::Reserve {
        path: path("kept.wild"),
        uid: uid_at(&index, DE, "gone"),
        from: scope_uid(&index, EU),
    };
    let gone = Op::Retire { path: path("gone") };
    let ops = vec![gone, renamed, reserved];
    world.seal(&mut index, DE, ops).unwrap();
    let apex = Apex {
        name: name("mesh.internal."),
        root: scope_uid(&index, ROOT),
    };
    Tree { world, index, apex }
}

impl Tree {
    fn prove(&self, asked: &str) -> Proof {
        prove(&self.index, std::slice::from_ref(&self.apex), &name(asked)).unwrap()
    }

    fn proven(&self, asked: &str) -> Proven {
        let proof = Proof::from_text(&self.prove(asked).to_text()).unwrap();
        proof.verify(&self.apex).unwrap()
    }
}

#[test]
fn every_name_is_proven_as_the_index_has_it() {
    let tree = tree();
    let apexes = [tree.apex.clone()];
    for asked in [
        "mesh.internal.",
        "eu.mesh.internal.",
        "n7.eu.mesh.internal.",
        "after-8.eu.mesh.internal.",
        "deep.down.below.de.eu.mesh.internal.",
        "below.de.eu.mesh.internal.",
        "gone.de.eu.mesh.internal.",
        "alias.de.eu.mesh.internal.",
    ] {
        let proven = tree.proven(asked);
        let place = find(&tree.index, &apexes, &name(asked)).unwrap();
        let slot = tree.index.slot(place.scope.no, &place.path).unwrap();
        assert_eq!(
            (&proven.path, &proven.slot),
            (&place.path, &slot),
            "{asked}"
        );
        let head = (proven.scope, proven.height, proven.block);
        let state = place.scope;
        assert_eq!(head, (state.uid, state.height, state.head), "{asked}");
        assert_eq!(proven.wildcard, None);
    }
}

/// The bound of the size that a proof is promised to have.
#[test]
fn a_proof_stays_small_in_a_scope_of_many_names() {
    const PROOF_BYTES_MAX: usize = 16 << 10;
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    world.root(&mut index, "mesh.internal.", &[key(1), key(2), key(3)]);
    world.child(&mut index, ROOT, "eu", &[key(4)]).unwrap();
    for part in 0..10 {
        let number = |number: u32| format!("n{}", part * 10_000 + number);
        let names = (0..10_000).map(number);
        let ops = names.map(|name| register(&name, &["A 60 10.0.0.1"]));
        world.seal(&mut index, EU, ops.collect()).unwrap();
    }
    let apex = Apex {
        name: name("mesh.internal."),
        root: scope_uid(&index, ROOT),
    };
    let tree = Tree { world, index, apex };
    for (asked, is_there) in [("n0", true), ("n99999", true), ("n100000", false)] {
        let asked = format!("{asked}.eu.mesh.internal.");
        let proof = tree.prove(&asked);
        assert!(proof.to_text().len() <= PROOF_BYTES_MAX, "{asked}");
        let proven = tree.proven(&asked);
        assert_eq!(entry(proven.slot).is_some(), is_there, "{asked}");
    }
}

fn entry(slot: Option<Slot>) -> Option<Entry> {
    slot.and_then(|slot| slot.entry)
}

#[test]
fn the_way_ends_where_dns_ends_it() {
    let tree = tree();
    // What is reserved is not there yet: the wildcard answers for it and for what is below.
    for asked in [
        "kept.wild.de.eu.mesh.internal.",
        "x.kept.wild.de.eu.mesh.internal.",
    ] {
        let kept = tree.proven(asked);
        assert_eq!(kept.path, path("kept.wild"));
        assert!(matches!(entry(kept.slot), Some(Entry::Reserved { .. })));
        assert!(
            matches!(entry(kept.wildcard), Some(Entry::Bound(_))),
            "{asked}"
        );
    }
    let cut = tree.proven("x.cut.de.eu.mesh.internal.");
    assert_eq!(cut.path, path("cut"));
    assert!(matches!(entry(cut.slot), Some(Entry::Bound(_))));
    let own = "_gov.n7.eu.mesh.internal.";
    let refused = prove(&tree.index, std::slice::from_ref(&tree.apex), &name(own));
    assert!(matches!(refused, Err(NoProof::Reserved(_))));
}

#[test]
fn what_is_not_there_is_proven_by_what_would_answer_instead() {
    let tree = tree();
    let absent = tree.proven("no.such.de.eu.mesh.internal.");
    assert_eq!((absent.path, absent.slot), (path("such"), None));
    assert_eq!(absent.wildcard, None);
    let wild = tree.proven("x.wild.de.eu.mesh.internal.");
    assert_eq!((wild.path, wild.slot), (path("x.wild"), None));
    assert!(matches!(entry(wild.wildcard), Some(Entry::Bound(_))));
    let aliased = tree.proven("x.y.alias.de.eu.mesh.internal.");
    assert_eq!(aliased.path, path("alias"));
    assert!(matches!(entry(aliased.slot), Some(Entry::Bound(_))));
    let moved = tree.proven("a.tree.de.eu.mesh.internal.");
    assert_eq!(moved.path, path("tree"));
    assert!(matches!(entry(moved.slot), Some(Entry::Moved(_))));
}

#[test]
fn a_scope_that_is_held_elsewhere_is_proven_up_to_its_delegation() {
    let mut tree = tree();
    let child = genesis(Some(scope_uid(&tree.index, DE)), 9, &[key(6)]);
    let uid = child.scope_uid();
    let op = Op::Delegate {
        label: b"away".to_vec(),
        seats: child.accept_seats(&[key(6)]).unwrap(),
        child: Box::new(child),
    };
    tree.world.seal(&mut tree.index, DE, vec![op]).unwrap();
    let proven = tree.proven("x.away.de.eu.mesh.internal.");
    assert_eq!(proven.path, path("away"));
    let slot = proven.slot.unwrap();
    assert_eq!(slot.entry, Some(Entry::Delegated(uid)));
    let stranger = prove(
        &tree.index,
        std::slice::from_ref(&tree.apex),
        &name("example."),
    );
    assert!(matches!(stranger, Err(NoProof::NotGoverned(_))));
}

#[test]
fn nothing_but_the_right_genesis_is_believed() {
    let tree = tree();
    let proof = tree.prove("n7.eu.mesh.internal.");
    let other = Apex {
        root: scope_uid(&tree.index, EU),
        ..tree.apex.clone()
    };
    let refused = proof.verify(&other).unwrap_err();
    assert!(matches!(refused, BadProof::Genesis { .. }), "{refused}");
    let elsewhere = Apex {
        name: name("example."),
        ..tree.apex.clone()
    };
    assert_eq!(proof.verify(&elsewhere), Err(BadProof::Shape));
}

#[test]
fn a_changed_byte_never_proves_anything_else() {
    let tree = tree();
    for asked in ["n7.eu.mesh.internal.", "x.wild.de.eu.mesh.internal."] {
        let bytes = tree.prove(asked).to_bytes();
        let honest = Proof::from_bytes(&bytes).unwrap().verify(&tree.apex);
        let honest = honest.unwrap();
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 1 << (at % 8);
            let Ok(proof) = Proof::from_bytes(&forged) else {
                continue;
            };
            // A certificate may hold with one signature less; nothing else may differ.
            if let Ok(proven) = proof.verify(&tree.apex) {
                assert_eq!(proven, honest, "byte {at} of the proof of {asked}");
            }
        }
    }
}
