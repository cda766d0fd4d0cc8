//! Forms that prove something, made from a small index.

use kedge::base::time::Timestamp;
use kedge::governance::op::{Op, SetChange};
use kedge::index::memory::MemoryIndex;
use kedge::index::passage::Passage;
use kedge::index::place::Apex;
use kedge::index::proof::{KeptScope, Part, Proof, prove};
use kedge::index::view::IndexView as _;

use super::samples::{Sample, anchors, child, form};
use super::world::{World, key, path, register, set};

/// Of a name that is there, below one scope of three anchors.
pub(crate) fn proof() -> Proof {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    let scope = world.root(&mut index, "mesh.internal.", &anchors());
    let names = (0..20).map(|number| register(&format!("n{number}"), &["A 60 10.0.0.1"]));
    world.seal(&mut index, scope, names.collect()).unwrap();
    let apex = Apex {
        name: "mesh.internal.".parse().unwrap(),
        root: index.scope(scope).unwrap().unwrap().uid,
    };
    let name = "n7.mesh.internal.".parse().unwrap();
    prove(&index, &[apex], &name).unwrap()
}

/// Of an entry with two versions that left for a scope that is not held.
fn passage() -> Passage {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    let scope = world.root(&mut index, "mesh.internal.", &anchors());
    let register = register("n", &["A 60 10.0.0.1"]);
    world.seal(&mut index, scope, vec![register]).unwrap();
    let update = Op::Update {
        path: path("n"),
        changes: vec![SetChange::Put(set("A 60 10.0.0.2"))],
        may_empty: false,
    };
    world.seal(&mut index, scope, vec![update]).unwrap();
    let transfer = Op::Transfer {
        path: path("n"),
        to: child().scope_uid(),
        to_path: path("there"),
    };
    world.seal(&mut index, scope, vec![transfer]).unwrap();
    Passage::make(&index, scope, &path("n")).unwrap()
}

/// The same proof in the parts that are kept.
fn part() -> Part {
    let proof = proof();
    let apex = Apex {
        name: "mesh.internal.".parse().unwrap(),
        root: proof.claimed_root().unwrap(),
    };
    let scopes = proof.verify_scopes(&apex).unwrap();
    proof.into_parts(&scopes).remove(0)
}

pub(crate) fn samples() -> Vec<Sample> {
    let part = part();
    let kept = KeptScope {
        scope: part.scope,
        head: part.head,
        heard: Timestamp::from_millis(1_700_000_000_000),
        from: key(51).public(),
    };
    let (_, slot) = part.slots.last().unwrap();
    vec![
        form("proof", &proof()),
        form("passage", &passage()),
        form("kept-lineage", &part.lineage),
        form("kept-slot", slot),
        form("kept-scope", &kept),
    ]
}
