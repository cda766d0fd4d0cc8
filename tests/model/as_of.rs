//! The index as it was: at every past height it equals the view that stood then.

use std::collections::{BTreeMap, BTreeSet};

use kedge::base::time::Timestamp;
use kedge::governance::op::{Op, SetChange};
use kedge::governance::trust::Ledger;
use kedge::index::as_of::{AsOf, AsOfError};
use kedge::index::entry::Entry;
use kedge::index::lineage::{found, replay};
use kedge::index::memory::MemoryIndex;
use kedge::index::rows::IndexRows;
use kedge::index::state::{ScopeNo, ScopeState};
use kedge::index::view::{BlockAt, IndexTxn, IndexView};
use kedge::namespace::path::NamePath;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;
use proptest::prelude::*;

use crate::history::{History, any_path, any_set, found_root, steps};
use crate::stage::{ROOT, put, reconfigure, rename, stage};
use crate::world::{candidate, key, path, register, set, slot};

/// The index after each of its commits, made anew block by block.
fn moments(index: &MemoryIndex) -> Vec<(Timestamp, MemoryIndex)> {
    let mut moments = Vec::new();
    let mut then = MemoryIndex::new();
    let mut edges: BTreeMap<ScopeUid, (ScopeNo, Vec<u8>)> = BTreeMap::new();
    for sequence in 0..index.commit_count().unwrap() {
        let BlockAt { scope, height } = index.committed(sequence).unwrap().unwrap();
        let link = index.link(scope, height).unwrap().unwrap();
        if height == 0 {
            let genesis = index.genesis(scope).unwrap().unwrap();
            let edge = edges.get(&genesis.scope_uid()).map(|(parent, label)| {
                let parent = then.scope(*parent).unwrap().unwrap();
                parent.child_edge(label)
            });
            let is_root = edge.is_none();
            found(&mut then, &genesis, edge, &link).unwrap();
            if is_root {
                let apex = "mesh.internal.".parse().unwrap();
                then.put_apex(&apex, &genesis.scope_uid()).unwrap();
            }
        } else {
            replay(&mut then, scope, &link).unwrap();
        }
        for decided in &link.body.decided {
            for op in &decided.proposal.unverified().ops {
                if let Op::Delegate { label, child, .. } = op {
                    edges.insert(child.scope_uid(), (scope, label.clone()));
                }
            }
        }
        moments.push((link.block.time, then.clone()));
    }
    assert_eq!(&then, index, "the last moment is the present");
    moments
}

/// Whatever can be asked of a view, of the one that stood and of the one that looks back.
fn check(then: &MemoryIndex, now: &MemoryIndex, time: Timestamp, paths: &BTreeSet<NamePath>) {
    let past = AsOf::new(now, time);
    let top = NamePath::empty();
    assert_eq!(past.apexes().unwrap(), then.apexes().unwrap());
    assert_eq!(past.commit_count().unwrap(), then.commit_count().unwrap());
    for sequence in 0..=now.commit_count().unwrap() {
        let (was, seen) = (then.committed(sequence), past.committed(sequence));
        assert_eq!(seen.unwrap(), was.unwrap());
    }
    for no in (0..now.scope_count().unwrap()).map(ScopeNo) {
        // What decides over coming votes is not looked back at.
        let answers = |state: Option<ScopeState>| {
            state.map(|state| ScopeState {
                usage: Vec::new(),
                ledger: Ledger::new(),
                ..state
            })
        };
        let (was, seen) = (then.scope(no).unwrap(), past.scope(no).unwrap());
        assert_eq!(answers(seen), answers(was), "scope {no:?}");
        assert_eq!(past.genesis(no).unwrap(), then.genesis(no).unwrap());
        let uid = now.scope(no).unwrap().unwrap().uid;
        assert_eq!(past.scope_no(&uid).unwrap(), then.scope_no(&uid).unwrap());
        for path in paths {
            let (was, seen) = (then.slot(no, path), past.slot(no, path));
            assert_eq!(seen.unwrap(), was.unwrap(), "{no:?} {path}");
            for count in [2, 1_000] {
                let was = then.slots(no, path, None, count).unwrap();
                assert_eq!(past.slots(no, path, None, count).unwrap(), was);
                let was = then.slots(no, &top, Some(path), count).unwrap();
                assert_eq!(past.slots(no, &top, Some(path), count).unwrap(), was);
            }
        }
        let height = now.scope(no).unwrap().unwrap().height;
        for height in 0..=height {
            let was = then.header(no, height).unwrap();
            assert_eq!(past.header(no, height).unwrap(), was);
            assert_eq!(
                past.link(no, height).unwrap(),
                then.link(no, height).unwrap()
            );
        }
    }
    for (uid, _) in now.locations(None, 1_000).unwrap() {
        check_entry(then, &past, &uid);
    }
    for (decision, _) in now.decisions(None, 1_000).unwrap() {
        let (was, seen) = (then.decided(&decision), past.decided(&decision));
        assert_eq!(seen.unwrap(), was.unwrap());
    }
}

fn check_entry<V: IndexView>(then: &MemoryIndex, past: &AsOf<'_, V>, uid: &Uid) {
    assert_eq!(past.locate(uid).unwrap(), then.locate(uid).unwrap());
    for number in 0..50 {
        let (was, seen) = (then.archived(uid, number), past.archived(uid, number));
        assert_eq!(seen.unwrap(), was.unwrap(), "{uid} {number}");
    }
}

fn check_all(index: &MemoryIndex) {
    let moments = moments(index);
    let mut paths: BTreeSet<NamePath> = (0..9).map(any_path).collect();
    for (_, then) in &moments {
        for no in (0..then.scope_count().unwrap()).map(ScopeNo) {
            let slots = then.slots(no, &NamePath::empty(), None, 1_000).unwrap();
            paths.extend(slots.into_iter().map(|(path, _)| path));
        }
    }
    for (at, (time, then)) in moments.iter().enumerate() {
        check(then, index, *time, &paths);
        // Between two blocks it is as after the first.
        let next = moments.get(at + 1).map(|(next, _)| next.as_millis() - 1);
        let before_next = Timestamp::from_millis(next.unwrap_or(u64::MAX));
        check(then, index, before_next, &paths);
    }
    let (first, _) = moments.first().unwrap();
    let before = Timestamp::from_millis(first.as_millis() - 1);
    let past = AsOf::new(index, before);
    assert_eq!(past.apexes().unwrap(), Vec::new());
    assert_eq!(past.scope(ROOT).unwrap(), None);
    assert_eq!(past.slot(ROOT, &path("a")).unwrap(), None);
}

/// A change of one scope whose paths are few, so that changes meet.
fn any_op() -> impl Strategy<Value = Op> {
    let spot = || (0u8..9).prop_map(any_path);
    prop_oneof![
        4 => (spot(), 0u8..5).prop_map(|(path, number)| Op::Register {
            path,
            sets: vec![any_set(number)],
        }),
        2 => (spot(), 0u8..3).prop_map(|(path, number)| Op::Update {
            path,
            changes: vec![SetChange::Put(any_set(number))],
            may_empty: true,
        }),
        2 => spot().prop_map(|path| Op::Retire { path }),
        1 => spot().prop_map(|path| Op::Tag {
            path,
            tag: "stable".parse().unwrap(),
            number: Some(1),
        }),
        4 => (spot(), spot(), any::<bool>())
            .prop_map(|(from, to, subtree)| Op::Rename { from, to, subtree }),
        1 => spot().prop_map(|path| Op::Reserve {
            path,
            uid: Uid::from_bytes([7; 16]),
            from: ScopeUid::new(kedge::base::digest::Digest::ZERO),
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_past_view_is_the_one_that_stood_then(steps in steps()) {
        let mut index = MemoryIndex::new();
        let world = found_root(&mut index);
        let mut history = History { world, txn: &mut index };
        for step in &steps {
            history.take(step);
        }
        check_all(&index);
    }

    /// Blocks of many proposals, and proposals of many changes.
    #[test]
    fn blocks_of_many_changes_are_undone_whole(
        blocks in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(any_op(), 1..4), 1..5),
            1..12,
        ),
    ) {
        let mut index = MemoryIndex::new();
        let mut world = found_root(&mut index);
        let keys = [key(1)];
        let uid = index.scope(ROOT).unwrap().unwrap().uid;
        // With a child, so that its label can be renamed among the rest.
        drop(world.child(&mut index, ROOT, "a", &[key(2)]));
        for block in blocks {
            let candidates: Vec<_> = block
                .into_iter()
                .map(|ops| candidate(world.proposal(uid, ops), &keys[0]))
                .collect();
            world.seal_all(&mut index, ROOT, &candidates, &keys);
        }
        check_all(&index);
    }
}

#[test]
fn what_a_retired_or_registered_name_was_is_told_apart() {
    let mut stage = stage();
    let times = |stage: &crate::stage::Stage| stage.index.scope(ROOT).unwrap().unwrap().head_time;
    let seal = |stage: &mut crate::stage::Stage, op: Op| {
        stage.world.seal(&mut stage.index, ROOT, vec![op]).unwrap();
        times(stage)
    };
    let registered = times(&stage);
    let updated = seal(&mut stage, put("api", "A 60 10.0.0.9"));
    let renamed = seal(&mut stage, rename("api", "moved", false));
    let retired = seal(&mut stage, Op::Retire { path: path("api") });
    let again = seal(&mut stage, register("api", &["A 60 10.0.0.10"]));
    let descriptor = stage.next_descriptor(|next| next.policy.entries_max = 99);
    seal(&mut stage, reconfigure(&descriptor));
    let at = |time: Timestamp| {
        let past = AsOf::new(&stage.index, time);
        (slot(&past, ROOT, "api").entry, slot(&past, ROOT, "moved"))
    };
    let sets = |entry: Option<Entry>| match entry {
        Some(Entry::Bound(version)) => (version.number, version.sets),
        entry => panic!("{entry:?}"),
    };
    assert_eq!(sets(at(registered).0), (1, vec![set("A 60 10.0.0.1")]));
    assert_eq!(sets(at(updated).0), (2, vec![set("A 60 10.0.0.9")]));
    assert!(matches!(at(renamed).0, Some(Entry::Moved(_))));
    assert_eq!(sets(at(renamed).1.entry).0, 3);
    assert!(matches!(at(retired).0, Some(Entry::Retired { .. })));
    assert_eq!(sets(at(again).0), (1, vec![set("A 60 10.0.0.10")]));
    let past = AsOf::new(&stage.index, again);
    let then = past.scope(ROOT).unwrap().unwrap().descriptor;
    assert_eq!((then.epoch, then.policy.entries_max), (0, 10_000_000));
    check_all(&stage.index);
}

#[test]
fn what_would_take_too_long_is_refused_and_not_half_answered() {
    let stage = stage();
    let early = stage.index.header(ROOT, 1).unwrap().unwrap().time;
    // 12 changes and 2 blocks after the founding, read forwards, and what was there before.
    for steps in [0, 1, 5, 11] {
        let past = AsOf::bounded(&stage.index, early, steps);
        for _ in 0..2 {
            let refused = past.slot(ROOT, &path("api")).unwrap_err();
            let scope = stage.root;
            assert!(
                matches!(refused, AsOfError::TooMuch { scope: of, max } if (of, max) == (scope, steps)),
                "{refused}"
            );
        }
    }
    let past = AsOf::bounded(&stage.index, early, 10_000);
    assert_eq!(past.slot(ROOT, &path("api")).unwrap(), None);
    // The present costs nothing.
    let late = Timestamp::from_millis(u64::MAX);
    let now = AsOf::bounded(&stage.index, late, 0);
    assert!(now.slot(ROOT, &path("api")).unwrap().is_some());
}
