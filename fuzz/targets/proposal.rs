//! A signed proposal is read, and its signature checked; its changes, signed again by an anchor,
//! are sealed or refused, and what they lead to is what the lineage proves.

#![no_main]

use std::sync::LazyLock;

use kedge::base::canonical::{Canonical, Decoder};
use kedge::base::digest::Digest;
use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::op::Op;
use kedge::governance::proposal::Proposal;
use kedge::index::lineage::{Agenda, seal};
use kedge::index::memory::MemoryIndex;
use kedge::index::state::ScopeNo;
use kedge::index::verify::verify;
use libfuzzer_sys::fuzz_target;
use world::{World, candidate, impact_of, key, register, scope_uid, vote};

#[path = "../../tests/world/mod.rs"]
mod world;

const ROOT: ScopeNo = ScopeNo(0);

/// A root with a child, and an entry at each of the names that seeds use.
static START: LazyLock<MemoryIndex> = LazyLock::new(|| {
    let mut index = MemoryIndex::new();
    let mut world = World::new();
    world.root(&mut index, "mesh.internal.", &[key(1)]);
    world
        .child(&mut index, ROOT, "child", &[key(2)])
        .expect("is free");
    for at in ["a.b", "old", "x", "z.x", "out"] {
        let op = register(at, &["A 60 10.0.0.1", "TXT 60 \"text\""]);
        world.seal(&mut index, ROOT, vec![op]).expect("is free");
    }
    index
});

fn decide(start: &MemoryIndex, given: &Proposal, ops: Vec<Op>) -> bool {
    let mut index = start.clone();
    let now = Timestamp::from_millis(1_800_000_000_000);
    let proposal = Proposal {
        scope: scope_uid(start, ROOT),
        class: Proposal::class_of(&ops),
        author: key(1).public(),
        made: now,
        not_after: now.plus_millis(1_000),
        ops,
        ..given.clone()
    };
    let mut candidate = candidate(proposal, &key(1));
    let impact = impact_of(start, ROOT, &candidate, now);
    candidate.approvals = vec![vote(&candidate, &key(1), (true, impact), now)];
    let agenda = Agenda {
        candidates: &[candidate],
        late: &[],
    };
    let Ok(sealed) = seal(&mut index, ROOT, agenda, &[key(1)], now) else {
        panic!("an index in memory never fails");
    };
    if sealed.link.is_none() {
        assert_eq!(&index, start, "a refusal leaves no trace");
        return false;
    }
    let mut fresh = MemoryIndex::new();
    verify(&index, &mut fresh, |_| {}).expect("what was sealed can be proven");
    assert_eq!(fresh, index);
    true
}

fuzz_target!(|data: &[u8]| {
    let mut input = Decoder::new(data);
    let Ok(signed) = Signed::<Proposal>::decode(&mut input) else {
        return;
    };
    let given = signed.unverified().clone();
    if let Ok(verified) = signed.verify() {
        assert_eq!(verified.digest(), Digest::of(&given));
    }
    // Those changes that could be decided alone, one after the other: all or nothing together.
    let single = |op: &&Op| decide(&START, &given, vec![(*op).clone()]);
    let able: Vec<Op> = given.ops.iter().take(8).filter(single).cloned().collect();
    if able.len() > 1 {
        decide(&START, &given, able);
    }
});
