//! What a proposal would change for those who ask and for those who govern.

use kedge::governance::access::{AccessGraph, AccessNode, Next, Verdict};
use kedge::governance::anchor::{Anchor, AnchorGroup, AnchorId};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::grant::{Deed, Grant};
use kedge::governance::op::Op;
use kedge::governance::policy::{Class, ClassRule, Quorum};
use kedge::governance::verb::{Verb, VerbClass};
use kedge::index::impact::{Answers, Impact, NameImpact, Permission};
use kedge::index::memory::MemoryIndex;
use kedge::index::staging::preview;
use kedge::index::view::IndexView;
use kedge::namespace::rtype::RecordType;

use crate::stage::{CHILD, ROOT, Stage, reconfigure, rename, stage};
use crate::world::{World, candidate, genesis, key, path, scope_uid};

type Change = fn(&mut Descriptor);

fn id(seed: u8) -> AnchorId {
    AnchorId::of_first_key(&key(seed).public())
}

fn seats(weights: &[(u8, u32)]) -> AnchorGroup {
    let anchors = weights.iter().map(|(seed, weight)| Anchor {
        weight: *weight,
        ..Anchor::new(key(*seed).public(), "eu")
    });
    AnchorGroup::new(anchors.collect()).unwrap()
}

/// What changes of a descriptor mean in a scope of five anchors, one after the other; of the last.
fn of_changes(changes: &[Change]) -> Impact {
    let (mut world, mut index) = (World::new(), MemoryIndex::new());
    let keys: Vec<_> = (1..6).map(key).collect();
    world.root(&mut index, "mesh.internal.", &keys);
    let uid = scope_uid(&index, ROOT);
    let mut impact = Impact::default();
    for change in changes {
        let mut next = index.scope(ROOT).unwrap().unwrap().descriptor;
        next.scope = Some(uid);
        next.epoch += 1;
        change(&mut next);
        let proposal = world.proposal(uid, vec![reconfigure(&next)]);
        let staged = candidate(proposal.clone(), &key(1));
        impact = preview(&index, ROOT, &staged, world.present())
            .unwrap()
            .impact;
        assert_eq!(impact.descriptor, Some(next.digest()));
        assert!(impact.names.is_empty() && impact.entries.is_empty());
        world.decide(&mut index, ROOT, proposal).unwrap();
    }
    impact
}

#[track_caller]
fn shifts(changes: &[Change], widened: &[Permission], narrowed: &[Permission]) {
    let impact = of_changes(changes);
    let sorted = |of: &[Permission]| {
        let mut texts: Vec<String> = of.iter().map(|one| format!("{one:?}")).collect();
        texts.sort();
        texts
    };
    assert_eq!(sorted(&impact.widened), sorted(widened), "widened");
    assert_eq!(sorted(&impact.narrowed), sorted(narrowed), "narrowed");
}

fn votes(seeds: impl IntoIterator<Item = u8>) -> Vec<Permission> {
    let ids = seeds.into_iter().map(|seed| Permission::Vote(id(seed)));
    ids.collect()
}

#[test]
fn a_voice_is_a_share_of_the_weight() {
    let even: [(u8, u32); 5] = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)];
    assert_eq!(seats(&even).total_weight(), 5);
    let heavier: Change = |next| next.anchors = seats(&[(1, 2), (2, 2), (3, 1), (4, 1), (5, 1)]);
    // What decides is counted in weight: there is more of it now.
    let decides = Permission::Decide(Class::Governance);
    let more = |votes: Vec<Permission>| [votes, vec![decides.clone()]].concat();
    shifts(&[heavier], &votes([1, 2]), &more(votes([3, 4, 5])));
    let doubled: Change = |next| next.anchors = seats(&[(1, 2), (2, 2), (3, 2), (4, 2), (5, 2)]);
    shifts(&[doubled], &[], &more(Vec::new()));
    let joined: Change =
        |next| next.anchors = seats(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]);
    shifts(&[joined], &votes([6]), &more(votes(1..6)));
    let left: Change = |next| next.anchors = seats(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
    shifts(&[left], &more(votes(1..5)), &votes([5]));
    let rotated: Change = |next| {
        let mut anchors = next.anchors.anchors().to_vec();
        anchors[0].vote_key = key(9).public();
        next.anchors = AnchorGroup::new(anchors).unwrap();
    };
    shifts(&[rotated], &[], &[]);
}

fn grant(changes_per_day: u32) -> Grant {
    Grant {
        key: key(7).public(),
        holder: String::new(),
        names: "api".parse().unwrap(),
        kinds: vec![RecordType::A],
        deeds: vec![Deed::Update],
        changes_per_day,
    }
}

#[test]
fn a_grant_widens_what_may_be_proposed_and_its_end_narrows_it() {
    let given: Change = |next| next.grants = vec![grant(2)];
    let changed: Change = |next| next.grants = vec![grant(3)];
    let taken: Change = |next| next.grants.clear();
    let of = |quota| [Permission::Propose(grant(quota).digest())];
    shifts(&[given], &of(2), &[]);
    shifts(&[given, changed], &of(3), &of(2));
    shifts(&[given, taken], &[], &of(2));
}

#[test]
fn a_class_that_needs_more_is_narrower() {
    let of = |classes: &[Class]| -> Vec<Permission> {
        classes.iter().copied().map(Permission::Decide).collect()
    };
    let quorum: Change = |next| next.policy.routine = ClassRule::QUORUM;
    let author: Change = |next| next.policy.routine = ClassRule::AUTHOR;
    let lighter: Change = |next| next.policy.routine.weight = 2;
    let delayed: Change = |next| {
        next.policy.alias = ClassRule {
            delay_secs: 60,
            ..ClassRule::QUORUM
        }
    };
    let slower: Change = |next| next.policy.alias.delay_secs = 90;
    let majority: Change = |next| next.policy.quorum = Quorum::Majority;
    shifts(&[quorum], &[], &of(&[Class::Routine]));
    shifts(&[quorum, author], &of(&[Class::Routine]), &[]);
    shifts(&[quorum, lighter], &of(&[Class::Routine]), &[]);
    shifts(&[delayed], &[], &of(&[Class::Alias]));
    shifts(&[delayed, slower], &[], &of(&[Class::Alias]));
    shifts(&[majority], &of(&[Class::Governance]), &[]);
    let both = [Class::Routine, Class::Governance];
    shifts(&[quorum, majority], &of(&both), &[]);
}

fn allowed(prefix: &str) -> AccessGraph {
    let test = AccessNode {
        name: String::new(),
        test: format!("source {prefix}").parse().unwrap(),
        then: Next::Verdict(Verdict::Allow),
        otherwise: Next::Verdict(Verdict::Refuse),
    };
    AccessGraph::new(vec![test]).unwrap()
}

#[test]
fn who_may_ask_is_compared_caller_by_caller() {
    let ask = &[Permission::Ask][..];
    let office: Change = |next| next.policy.access = allowed("10.0.0.0/8");
    let desk: Change = |next| next.policy.access = allowed("10.1.0.0/16");
    let home: Change = |next| next.policy.access = allowed("192.168.0.0/16");
    let open: Change = |next| next.policy.access = AccessGraph::default();
    shifts(&[office], &[], ask);
    shifts(&[office, desk], &[], ask);
    shifts(&[desk, office], ask, &[]);
    shifts(&[office, home], ask, ask);
    shifts(&[office, open], ask, &[]);
    let ttl: Change = |next| next.policy.entries_max = 9;
    shifts(&[ttl], &[], &[]);
    // What words of the policy mean to callers is not told apart.
    let shown: Change = |next| next.policy.restricted = vec![RecordType::TXT];
    shifts(&[shown], ask, ask);
    let verbs: Change = |next| {
        next.policy.verbs = vec![Verb::new("book", VerbClass::Write).unwrap()];
    };
    shifts(&[verbs], ask, ask);
}

fn staged(stage: &mut Stage, ops: Vec<Op>) -> Impact {
    let proposal = stage.world.proposal(stage.root, ops);
    let candidate = candidate(proposal, &key(1));
    let now = stage.world.present();
    preview(&stage.index, ROOT, &candidate, now).unwrap().impact
}

#[test]
fn a_delegation_that_comes_or_goes_to_another_label_is_shown() {
    let mut stage = stage();
    let child = genesis(Some(stage.root), 9, &[key(3)]);
    let delegate = Op::Delegate {
        label: b"us".to_vec(),
        child: Box::new(child.clone()),
        seats: child.accept_seats(&[key(3)]).unwrap(),
    };
    let impact = staged(&mut stage, vec![delegate]);
    let name = |at: &str, before, after| NameImpact {
        path: path(at),
        before,
        after,
    };
    let delegated = Answers::Delegated(child.scope_uid());
    assert_eq!(impact.names, [name("us", Answers::Nothing, delegated)]);
    assert_eq!((impact.registered, impact.entries.len()), (0, 0));
    assert_eq!(impact.descriptor, None, "the parent is governed as before");

    let moved = staged(&mut stage, vec![rename("eu", "europe", false)]);
    let child = Answers::Delegated(scope_uid(&stage.index, CHILD));
    let redirect = Answers::Redirect {
        scope: stage.root,
        path: path("europe"),
        subtree: true,
    };
    let expected = [
        name("eu", child.clone(), redirect),
        name("europe", Answers::Nothing, child),
    ];
    assert_eq!(moved.names, expected);
    assert_ne!(impact.digest(), moved.digest());
}
