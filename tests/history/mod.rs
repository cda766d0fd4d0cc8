//! Random histories of an index, and the naive model that says what each of their steps leads to.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking, and each crate that includes this file uses a part of it"
)]

pub(crate) mod naive;

use std::collections::{BTreeMap, BTreeSet};

use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::governance::anchor::{Anchor, AnchorGroup};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::op::{Op, SetChange};
use kedge::governance::policy::ClassRule;
use kedge::index::entry::{Entry, Version};
use kedge::index::sets::restoring;
use kedge::index::state::ScopeNo;
use kedge::index::trie;
use kedge::index::view::{IndexTxn, IndexView};
use kedge::namespace::path::NamePath;
use kedge::namespace::record::RecordSet;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;
use proptest::prelude::*;

use crate::world::{World, key, move_entry, path, set};

use naive::{At, Holds, Naive};

/// Scopes that a history may come to hold; each costs keys and a lineage.
const SCOPES_MAX: u32 = 4;

/// One step, spoken of by small numbers so that steps meet.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Register(Spot, u8),
    Update(Spot, u8),
    Remove(Spot, u8, bool),
    Retire(Spot),
    Rename(Spot, u8, bool),
    Delegate(u8, u8),
    Move(Spot, Spot),
    SetPolicy(u8, bool),
    SetAnchors(u8, u8),
    Undo(Spot),
    Tag(Spot, u8, Option<u64>),
}

/// A scope and a path, by number.
pub(crate) type Spot = (u8, u8);

const PATHS: [&str; 9] = ["@", "a", "b", "c", "a.a", "b.a", "a.b", "c.b.a", "a.a.b"];
const SETS: [&str; 5] = [
    "A 60 10.0.0.1",
    "A 60 10.0.0.1|10.0.0.2",
    "TXT 60 \"text\"",
    "CNAME 60 elsewhere.",
    "DNAME 60 elsewhere.",
];

pub(crate) fn any_path(number: u8) -> NamePath {
    path(PATHS.get(usize::from(number) % PATHS.len()).unwrap())
}

const TAGS: [&str; 3] = ["stable", "canary", "r2026-11"];

fn any_tag(number: u8) -> &'static str {
    TAGS.get(usize::from(number) % TAGS.len()).unwrap()
}

pub(crate) fn any_set(number: u8) -> RecordSet {
    set(SETS.get(usize::from(number) % SETS.len()).unwrap())
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (scope, path, sets) = (0u8..4, 0u8..9, 0u8..5);
    let spot = || (scope.clone(), path.clone());
    let step = prop_oneof![
        4 => (spot(), sets.clone()).prop_map(|(spot, set)| Step::Register(spot, set)),
        2 => (spot(), sets.clone()).prop_map(|(spot, set)| Step::Update(spot, set)),
        1 => (spot(), sets.clone(), any::<bool>())
            .prop_map(|(spot, set, may_empty)| Step::Remove(spot, set, may_empty)),
        1 => spot().prop_map(Step::Retire),
        3 => (spot(), path.clone(), any::<bool>())
            .prop_map(|(spot, to, subtree)| Step::Rename(spot, to, subtree)),
        1 => (scope.clone(), path.clone()).prop_map(|(scope, label)| Step::Delegate(scope, label)),
        2 => (spot(), spot()).prop_map(|(from, to)| Step::Move(from, to)),
        1 => (scope.clone(), any::<bool>()).prop_map(|(scope, on)| Step::SetPolicy(scope, on)),
        1 => (scope.clone(), 1u8..5).prop_map(|(scope, count)| Step::SetAnchors(scope, count)),
        2 => spot().prop_map(Step::Undo),
        2 => (spot(), 0u8..3, proptest::option::of(0u64..4))
            .prop_map(|(spot, tag, version)| Step::Tag(spot, tag, version)),
    ];
    proptest::collection::vec(step, 1..40)
}

/// One index on which a history is made.
pub(crate) struct History<'t, T> {
    pub(crate) world: World,
    pub(crate) txn: &'t mut T,
}

impl<T: IndexTxn> History<'_, T> {
    fn at(&self, (scope, path): Spot) -> At {
        let count = self.txn.scope_count().unwrap();
        (u32::from(scope) % count, any_path(path))
    }

    fn seal(&mut self, scope: u32, op: Op) -> bool {
        self.world.seal(self.txn, ScopeNo(scope), vec![op]).is_ok()
    }

    /// Takes a step; gives whether it was decided.
    pub(crate) fn take(&mut self, step: &Step) -> bool {
        match step {
            Step::Register(spot, sets) => {
                let (scope, path) = self.at(*spot);
                let sets = vec![any_set(*sets)];
                self.seal(scope, Op::Register { path, sets })
            }
            Step::Update(spot, set) => self.update(*spot, SetChange::Put(any_set(*set)), false),
            Step::Remove(spot, set, may_empty) => {
                let change = SetChange::Remove(any_set(*set).kind());
                self.update(*spot, change, *may_empty)
            }
            Step::Retire(spot) => {
                let (scope, path) = self.at(*spot);
                self.seal(scope, Op::Retire { path })
            }
            Step::Rename(spot, to, subtree) => {
                let (scope, from) = self.at(*spot);
                let (to, subtree) = (any_path(*to), *subtree);
                self.seal(scope, Op::Rename { from, to, subtree })
            }
            Step::Delegate(scope, label) => {
                let (scope, path) = self.at((*scope, *label));
                let count = self.txn.scope_count().unwrap();
                let mut labels = path.labels();
                match (labels.next(), labels.next()) {
                    (Some(label), None) if count < SCOPES_MAX => {
                        let label = String::from_utf8(label).unwrap();
                        let keys = [key(u8::try_from(count).unwrap() + 1)];
                        let world = &mut self.world;
                        world.child(self.txn, ScopeNo(scope), &label, &keys).is_ok()
                    }
                    _ => false,
                }
            }
            Step::Move(from, to) => {
                let (from, to) = (self.at(*from), self.at(*to));
                let (from, to) = ((ScopeNo(from.0), &from.1), (ScopeNo(to.0), &to.1));
                move_entry(&mut self.world, self.txn, from, to).is_ok()
            }
            Step::SetPolicy(scope, on) => {
                let (scope, _) = self.at((*scope, 0));
                self.set_policy(ScopeNo(scope), *on)
            }
            Step::SetAnchors(scope, count) => {
                let (scope, _) = self.at((*scope, 0));
                self.set_anchors(ScopeNo(scope), *count)
            }
            Step::Undo(spot) => self.undo(*spot),
            Step::Tag(spot, tag, version) => {
                let (scope, path) = self.at(*spot);
                let tag = any_tag(*tag).parse().unwrap();
                // No version is told apart from version 0, which there is not.
                let number = version.filter(|version| *version > 0);
                (number == *version) && self.seal(scope, Op::Tag { path, tag, number })
            }
        }
    }

    /// Gives an entry the record sets of the version before its head.
    fn undo(&mut self, spot: Spot) -> bool {
        let (scope, path) = self.at(spot);
        let slot = self.txn.slot(ScopeNo(scope), &path).unwrap();
        let Some(Entry::Bound(head)) = slot.and_then(|slot| slot.entry) else {
            return false;
        };
        let Some(older) = self.txn.archived(&head.uid, head.number - 1).unwrap() else {
            return false;
        };
        let changes = restoring(&head.sets, &older.sets);
        let may_empty = older.sets.is_empty();
        !changes.is_empty()
            && self.seal(
                scope,
                Op::Update {
                    path,
                    changes,
                    may_empty,
                },
            )
    }

    /// Hands a scope over to so many other keys; the present ones decide it.
    fn set_anchors(&mut self, scope: ScopeNo, count: u8) -> bool {
        let state = self.txn.scope(scope).unwrap().unwrap();
        let first = 50 + 5 * u8::try_from(scope.0).unwrap();
        let keys: Vec<SecretKey> = (first..first + count).map(key).collect();
        let anchors = keys.iter().map(|key| Anchor::new(key.public(), "us"));
        let next = Box::new(Descriptor {
            scope: Some(state.uid),
            epoch: state.descriptor.epoch + 1,
            anchors: AnchorGroup::new(anchors.collect()).unwrap(),
            ..state.descriptor
        });
        let decided = self.seal(scope.0, Op::Reconfigure { next });
        if decided {
            self.world.hand_over(state.uid, &keys);
        }
        decided
    }

    fn update(&mut self, spot: Spot, change: SetChange, may_empty: bool) -> bool {
        let (scope, path) = self.at(spot);
        let changes = vec![change];
        self.seal(
            scope,
            Op::Update {
                path,
                changes,
                may_empty,
            },
        )
    }

    fn set_policy(&mut self, scope: ScopeNo, on: bool) -> bool {
        let state = self.txn.scope(scope).unwrap().unwrap();
        let mut next = Descriptor {
            scope: Some(state.uid),
            epoch: state.descriptor.epoch + 1,
            ..state.descriptor
        };
        next.policy.routine = if on {
            ClassRule::QUORUM
        } else {
            ClassRule::AUTHOR
        };
        let next = Box::new(next);
        self.seal(scope.0, Op::Reconfigure { next })
    }
}

/// Takes the same step in the model; gives whether the rules allow it.
pub(crate) fn model_step<V: IndexView>(
    naive: &mut Naive,
    index: &V,
    step: &Step,
    scopes: u32,
) -> bool {
    let at = |(scope, path): Spot| (u32::from(scope) % scopes, any_path(path));
    match step {
        Step::Register(spot, number) => {
            let (at, sets) = (at(*spot), vec![any_set(*number)]);
            let may = naive.may_register(&at, &sets);
            if may {
                let uid = bound_uid(index, &at);
                let known = naive.versions.keys().any(|(known, _)| *known == uid);
                assert!(!known, "{uid} is used again");
                naive.register(at, uid, sets);
            }
            may
        }
        Step::Update(spot, number) => naive.update(&at(*spot), &any_set(*number)),
        Step::Remove(spot, number, may_empty) => {
            naive.remove(&at(*spot), any_set(*number).kind(), *may_empty)
        }
        Step::Retire(spot) => naive.retire(&at(*spot)),
        Step::Rename(spot, to, subtree) => naive.rename(&at(*spot), &any_path(*to), *subtree),
        Step::Delegate(scope, label) => {
            let (scope, path) = at((*scope, *label));
            let may = scopes < SCOPES_MAX && path.label_count() == 1;
            may && naive.delegate(scope, &path, scopes)
        }
        Step::Move(from, to) => naive.move_entry(&at(*from), &at(*to)),
        Step::SetPolicy(..) | Step::SetAnchors(..) => true,
        Step::Undo(spot) => naive.undo(&at(*spot)),
        Step::Tag(spot, tag, version) => naive.tag(&at(*spot), any_tag(*tag), *version),
    }
}

fn bound_uid<V: IndexView>(index: &V, (scope, path): &At) -> Uid {
    match index.slot(ScopeNo(*scope), path).unwrap().unwrap().entry {
        Some(Entry::Bound(version)) => version.uid,
        entry => panic!("{path} holds {entry:?}"),
    }
}

fn check_tags(naive: &Naive, head: &Version) {
    let tags = head.tags.iter();
    let tags: BTreeMap<String, u64> = tags.map(|t| (t.tag.to_string(), t.number)).collect();
    let none = BTreeMap::new();
    assert_eq!(&tags, naive.tags.get(&head.uid).unwrap_or(&none));
}

/// The index's names in the words of the model.
fn names_of<V: IndexView>(index: &V, naive: &Naive) -> BTreeMap<At, Holds> {
    let mut names = BTreeMap::new();
    let number_of = |uid: &ScopeUid| index.scope_no(uid).unwrap().unwrap().0;
    for scope in 0..index.scope_count().unwrap() {
        let top = NamePath::empty();
        for (path, slot) in index.slots(ScopeNo(scope), &top, None, 1_000).unwrap() {
            let holds = match slot.entry {
                None => continue,
                Some(Entry::Bound(version)) => {
                    check_tags(naive, &version);
                    assert_eq!(version.path, path);
                    assert_eq!(number_of(&version.scope), scope);
                    Holds::Bound {
                        uid: version.uid,
                        number: version.number,
                        sets: version.sets,
                    }
                }
                Some(Entry::Moved(redirect)) => Holds::Redirect {
                    uid: redirect.uid,
                    scope: number_of(&redirect.scope),
                    path: redirect.path,
                    subtree: redirect.subtree,
                },
                Some(Entry::Delegated(child)) => Holds::Child(number_of(&child)),
                Some(Entry::Retired { .. }) => Holds::Retired,
                Some(Entry::Reserved { uid, .. }) => Holds::Reserved(uid),
            };
            names.insert((scope, path), holds);
        }
    }
    names
}

/// Counts, roots and histories, each found again from nothing.
pub(crate) fn check<V: IndexView>(index: &V, naive: &Naive) {
    assert_eq!(names_of(index, naive), naive.names);
    for scope in 0..index.scope_count().unwrap() {
        check_scope(index, naive, scope);
    }
    let uids: BTreeSet<Uid> = naive.versions.keys().map(|(uid, _)| *uid).collect();
    for uid in uids {
        check_history(index, naive, uid);
    }
}

fn check_scope<V: IndexView>(index: &V, naive: &Naive, scope: u32) {
    let state = index.scope(ScopeNo(scope)).unwrap().unwrap();
    let top = NamePath::empty();
    let mut leaves = Vec::new();
    for (path, slot) in index.slots(ScopeNo(scope), &top, None, 1_000).unwrap() {
        assert!(!slot.is_vacant(), "{path} is vacant and kept");
        assert_eq!(
            slot.below,
            naive.live_below(&(scope, path.clone())),
            "{path}"
        );
        let (position, leaf) = trie::slot_leaf(&path, Some(&slot));
        leaves.push((position, leaf.unwrap()));
    }
    let live = naive
        .names
        .iter()
        .filter(|((no, _), holds)| *no == scope && Naive::live(holds));
    assert_eq!(state.live, u64::try_from(live.count()).unwrap());
    if let (position, Some(leaf)) = trie::counters_leaf(&state) {
        leaves.push((position, leaf));
    }
    leaves.sort_unstable();
    assert_eq!(state.state_root, trie::root_of(&leaves));
    let edge = state.edge.map(|edge| NamePath::empty().child(&edge.label));
    assert_eq!(edge.as_ref(), naive.labels.get(&scope));
}

fn check_history<V: IndexView>(index: &V, naive: &Naive, uid: Uid) {
    let mut predecessor = Digest::ZERO;
    let numbers: Vec<u64> = naive
        .versions
        .keys()
        .filter(|(of, _)| *of == uid)
        .map(|(_, number)| *number)
        .collect();
    let last = *numbers.last().unwrap();
    assert_eq!(numbers, (1..=last).collect::<Vec<u64>>());
    for number in numbers {
        let version = index.archived(&uid, number).unwrap().unwrap_or_else(|| {
            assert_eq!(number, last, "version {number} of {uid} is lost");
            let location = index.locate(&uid).unwrap().unwrap();
            let slot = index.slot(location.scope, &location.path).unwrap().unwrap();
            match slot.entry {
                Some(Entry::Bound(version)) => version,
                entry => panic!("the head of {uid} is {entry:?}"),
            }
        });
        assert_eq!((version.uid, version.number), (uid, number));
        assert_eq!(version.predecessor, predecessor);
        assert_eq!(Some(&version.sets), naive.versions.get(&(uid, number)));
        predecessor = version.digest();
    }
}

pub(crate) fn found_root<T: IndexTxn>(txn: &mut T) -> World {
    let mut world = World::new();
    world.root(txn, "mesh.internal.", &[key(1)]);
    world
}
