//! Every refusal that a proposal can meet; none leaves a trace.

use kedge::base::canonical::{DecodeError, Form};
use kedge::base::keys::SecretKey;
use kedge::base::signed::{NotVerified, Signed};
use kedge::base::time::Ttl;
use kedge::governance::block::Body;
use kedge::governance::descriptor::Descriptor;
use kedge::governance::op::{Op, Precondition, SetChange};
use kedge::governance::policy::{Class, Policy, Requirement};
use kedge::governance::proposal::Proposal;
use kedge::index::memory::MemoryIndex;
use kedge::index::refusal::Refusal;
use kedge::index::state::ScopeNo;
use kedge::index::view::IndexView;
use kedge::namespace::path::NamePath;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;

use crate::world::{
    World, adopt_of, candidate, genesis, head, key, move_entry, path, register, scope_uid, set,
    uid_at,
};

const ROOT: ScopeNo = ScopeNo(0);
const CHILD: ScopeNo = ScopeNo(1);

/// A root scope with one of everything, and a child at `eu`.
struct Stage {
    world: World,
    index: MemoryIndex,
    root: ScopeUid,
}

fn stage() -> Stage {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    world.root(&mut index, "mesh.internal.", &[key(1)]);
    world.child(&mut index, ROOT, "eu", &[key(2)]).unwrap();
    let other = scope_uid(&index, CHILD);
    let ops = vec![
        register("api", &["A 60 10.0.0.1"]),
        register("x.tree", &["A 60 10.0.0.2"]),
        register("dname", &["DNAME 60 elsewhere."]),
        register("old", &["A 60 10.0.0.3"]),
        register("gone", &["A 60 10.0.0.4"]),
        register("y.oldtree", &["A 60 10.0.0.5"]),
        rename("old", "new", false),
        rename("oldtree", "newtree", true),
        Op::Retire { path: path("gone") },
        Op::Reserve {
            path: path("kept"),
            uid: Uid::from_bytes([7; 16]),
            from: other,
        },
    ];
    world.seal(&mut index, ROOT, ops).unwrap();
    let root = scope_uid(&index, ROOT);
    Stage { world, index, root }
}

fn rename(from: &str, to: &str, subtree: bool) -> Op {
    Op::Rename {
        from: path(from),
        to: path(to),
        subtree,
    }
}

fn put(at: &str, text: &str) -> Op {
    Op::Update {
        path: path(at),
        changes: vec![SetChange::Put(set(text))],
        may_empty: false,
    }
}

fn remove(at: &str, kind: RecordType) -> Op {
    Op::Update {
        path: path(at),
        changes: vec![SetChange::Remove(kind)],
        may_empty: false,
    }
}

impl Stage {
    /// Decides a proposal and checks that a refusal left nothing behind.
    fn decide(&mut self, proposal: Proposal) -> Refusal {
        let before = self.index.clone();
        let refusal = self
            .world
            .decide(&mut self.index, ROOT, proposal)
            .unwrap_err();
        assert_eq!(self.index, before, "{refusal} left something behind");
        refusal
    }

    fn refused(&mut self, ops: Vec<Op>) -> Refusal {
        let proposal = self.world.proposal(self.root, ops);
        self.decide(proposal)
    }

    fn next_descriptor(&self, change: impl FnOnce(&mut Descriptor)) -> Descriptor {
        let state = self.index.scope(ROOT).unwrap().unwrap();
        let mut next = Descriptor {
            scope: Some(state.uid),
            epoch: state.descriptor.epoch + 1,
            ..state.descriptor
        };
        change(&mut next);
        next
    }
}

fn reconfigure(next: &Descriptor, keys: &[SecretKey]) -> Op {
    Op::Reconfigure {
        next: Box::new(next.clone()),
        seats: next.accept_seats(keys),
    }
}

fn taken(at: &str) -> Refusal {
    Refusal::Taken(path(at))
}

fn none(at: &str) -> Refusal {
    Refusal::NoEntry(path(at))
}

fn below(at: &str, count: u64) -> Refusal {
    let path = path(at);
    Refusal::NamesBelow { path, count }
}

fn not_bound(at: &str, is: &'static str) -> Refusal {
    Refusal::NotBound { path: path(at), is }
}

fn check(cases: Vec<(Op, Refusal)>) {
    let mut stage = stage();
    for (op, expected) in cases {
        let shown = format!("{op:?}");
        assert_eq!(stage.refused(vec![op]), expected, "{shown}");
    }
}

const DELEGATED: &str = "delegated to another scope";

#[test]
fn a_change_at_a_path_that_cannot_take_it_is_refused() {
    let a = &["A 60 10.0.0.9"][..];
    let occluded = |at: &str, above: &str, is| Refusal::Occluded {
        path: path(at),
        above: path(above),
        is,
    };
    let retire = |at: &str| Op::Retire { path: path(at) };
    check(vec![
        (register("api", a), taken("api")),
        (register("eu", a), taken("eu")),
        (register("old", a), taken("old")),
        (register("kept", a), taken("kept")),
        (
            register("_gov.api", a),
            Refusal::ReservedLabel(path("_gov.api")),
        ),
        (
            register("x._uid", a),
            Refusal::ReservedLabel(path("x._uid")),
        ),
        (register("x.eu", a), occluded("x.eu", "eu", DELEGATED)),
        (
            register("z.oldtree", a),
            occluded("z.oldtree", "oldtree", "a moved subtree"),
        ),
        (
            register("z.dname", a),
            occluded("z.dname", "dname", "redirected by a DNAME"),
        ),
        (register("tree", &["DNAME 60 x."]), below("tree", 1)),
        (register("empty", &[]), Refusal::WouldBeEmpty(path("empty"))),
        (put("nothing", "A 60 10.0.0.1"), none("nothing")),
        (put("eu", "A 60 10.0.0.1"), not_bound("eu", DELEGATED)),
        (put("old", "A 60 10.0.0.1"), not_bound("old", "a redirect")),
        (put("gone", "A 60 10.0.0.1"), not_bound("gone", "retired")),
        (
            put("kept", "A 60 10.0.0.1"),
            not_bound("kept", "reserved for an entry that is moving here"),
        ),
        (
            remove("api", RecordType::A),
            Refusal::WouldBeEmpty(path("api")),
        ),
        (retire("nothing"), none("nothing")),
        (retire("tree"), none("tree")),
        (retire("gone"), not_bound("gone", "retired")),
        (retire("eu"), not_bound("eu", DELEGATED)),
    ]);
}

#[test]
fn a_rename_to_or_from_a_path_that_cannot_take_it_is_refused() {
    let target = |at: &str| Refusal::Target(path(at));
    check(vec![
        (rename("nothing", "b", false), none("nothing")),
        (rename("nothing", "b", true), none("nothing")),
        (rename("old", "b", false), not_bound("old", "a redirect")),
        (rename("api", "dname", false), taken("dname")),
        (rename("@", "b", true), target("b")),
        (rename("api", "x.api", false), target("x.api")),
        (rename("tree", "tree", true), target("tree")),
        (rename("newtree", "tree", true), below("tree", 1)),
        (rename("eu", "a.b", false), target("a.b")),
        (rename("eu", "tree", false), below("tree", 1)),
        (rename("dname", "tree", false), below("tree", 1)),
    ]);
}

#[test]
fn record_sets_that_no_entry_may_have_are_refused() {
    let mut stage = stage();
    let long = format!("TXT 60 {}", "\"0123456789abcdef\" ".repeat(3_000));
    let longer = format!("SPF 60 {}", "\"0123456789abcdef\" ".repeat(3_000));
    let ttl = 7 * 86_400 + 1;
    let cases = vec![
        (
            register("b", &["CNAME 60 x.", "A 60 10.0.0.1"]),
            Refusal::CnameBeside,
        ),
        (register("@", &["CNAME 60 x."]), Refusal::CnameBeside),
        (put("api", "CNAME 60 x."), Refusal::CnameBeside),
        (
            register("b", &["A 60 10.0.0.1", "A 60 10.0.0.2"]),
            Refusal::RepeatedType(RecordType::A),
        ),
        (
            Op::Update {
                path: path("api"),
                changes: vec![
                    SetChange::Put(set("A 60 10.0.0.2")),
                    SetChange::Remove(RecordType::A),
                ],
                may_empty: true,
            },
            Refusal::RepeatedType(RecordType::A),
        ),
        (
            register("b", &["SOA 60 a. b. 1 2 3 4 5"]),
            Refusal::Type(RecordType::SOA),
        ),
        (register("b", &[&long, &longer]), Refusal::EntryTooLarge),
        (
            register("b", &[&format!("A {ttl} 10.0.0.1")]),
            Refusal::Ttl {
                ttl,
                min: 0,
                max: ttl - 1,
            },
        ),
    ];
    for (op, expected) in cases {
        assert_eq!(stage.refused(vec![op]), expected);
    }
}

#[test]
fn a_proposal_that_may_not_be_decided_is_refused() {
    let mut stage = stage();
    let height = stage.index.scope(ROOT).unwrap().unwrap().height;
    assert_eq!(stage.refused(vec![]), Refusal::NoChange);

    let ops = vec![register("b", &["A 60 10.0.0.1"])];
    let good = stage.world.proposal(stage.root, ops);
    let mislabelled = Proposal {
        class: Class::Alias,
        ..good.clone()
    };
    let (said, is) = (Class::Alias, Class::Routine);
    assert_eq!(stage.decide(mislabelled), Refusal::Class { said, is });
    let late = Proposal {
        not_after_height: height,
        ..good.clone()
    };
    let expired = Refusal::Expired {
        not_after: height,
        height: height + 1,
    };
    assert_eq!(stage.decide(late), expired);
    let elsewhere = Proposal {
        scope: scope_uid(&stage.index, CHILD),
        ..good.clone()
    };
    let unknown = Refusal::UnknownScope(elsewhere.scope);
    assert_eq!(stage.decide(elsewhere), unknown);

    stage
        .world
        .decide(&mut stage.index, ROOT, good.clone())
        .unwrap();
    let repeated = Refusal::Repeated { height: height + 1 };
    assert_eq!(stage.decide(good), repeated);
}

#[test]
fn a_stale_precondition_is_refused() {
    let mut stage = stage();
    let api = uid_at(&stage.index, ROOT, "api");
    let stranger = Uid::from_bytes([9; 16]);
    let cases = [
        (
            Precondition::Absent(path("api")),
            Refusal::Taken(path("api")),
        ),
        (
            Precondition::VersionIs(api, 2),
            Refusal::Stale {
                uid: api,
                expected: 2,
                is: 1,
            },
        ),
        (
            Precondition::VersionIs(stranger, 1),
            Refusal::NotHere(stranger),
        ),
        (
            Precondition::EpochIs(1),
            Refusal::Epoch { expected: 1, is: 0 },
        ),
    ];
    for (precondition, expected) in cases {
        let ops = vec![register("b", &["A 60 10.0.0.1"])];
        let proposal = Proposal {
            preconditions: vec![precondition],
            ..stage.world.proposal(stage.root, ops)
        };
        assert_eq!(stage.decide(proposal), expected);
    }
    let ops = vec![register("b", &["A 60 10.0.0.1"])];
    let holds = Proposal {
        preconditions: vec![
            Precondition::Absent(path("gone")),
            Precondition::VersionIs(api, 1),
            Precondition::EpochIs(0),
        ],
        ..stage.world.proposal(stage.root, ops)
    };
    stage.world.decide(&mut stage.index, ROOT, holds).unwrap();
}

#[test]
fn keys_without_a_say_are_refused() {
    let mut stage = stage();
    let ops = vec![register("b", &["A 60 10.0.0.1"])];
    let stranger = Proposal {
        author: key(9).public(),
        ..stage.world.proposal(stage.root, ops.clone())
    };
    let by_stranger = candidate(stranger, &key(9), &[]);
    let by_anchor = candidate(stage.world.proposal(stage.root, ops), &key(1), &[]);
    let before = stage.index.clone();
    let outcome = |stage: &mut Stage, candidate, keys: &[SecretKey]| {
        let sealed = stage
            .world
            .seal_all(&mut stage.index, ROOT, &[candidate], keys);
        assert!(sealed.link.is_none());
        sealed.outcomes.into_iter().next().unwrap().unwrap_err()
    };
    let author = Refusal::Author {
        author: key(9).public().short(),
        class: Class::Routine,
    };
    assert_eq!(outcome(&mut stage, by_stranger, &[key(1)]), author);
    let powerless = Refusal::Quorum {
        weight: 0,
        needed: 1,
    };
    assert_eq!(outcome(&mut stage, by_anchor, &[key(9)]), powerless);
    assert_eq!(stage.index, before);
}

#[test]
fn one_key_given_three_times_is_no_quorum() {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    let keys = [key(1), key(2), key(3)];
    world.root(&mut index, "mesh.internal.", &keys);
    let uid = scope_uid(&index, ROOT);
    let proposal = world.proposal(uid, vec![register("b", &["A 60 10.0.0.1"])]);
    let candidate = candidate(proposal, &key(1), &[]);
    let before = index.clone();
    let sealed = world.seal_all(&mut index, ROOT, &[candidate], &[key(1), key(1), key(1)]);
    let few = Refusal::Quorum {
        weight: 1,
        needed: 3,
    };
    assert_eq!(sealed.outcomes, [Err(few)]);
    assert_eq!(index, before);
}

#[test]
fn a_governance_change_needs_approvals_and_seats() {
    let mut stage = stage();
    let next = stage.next_descriptor(|next| next.policy.routine = Requirement::Approvals);
    let op = reconfigure(&next, &[key(1)]);
    let unapproved = candidate(
        stage.world.proposal(stage.root, vec![op.clone()]),
        &key(1),
        &[key(9)],
    );
    let sealed = stage
        .world
        .seal_all(&mut stage.index, ROOT, &[unapproved], &[key(1)]);
    let few = Refusal::Approvals {
        weight: 0,
        needed: 1,
    };
    assert_eq!(sealed.outcomes, [Err(few)]);

    let mut cases = vec![(reconfigure(&next, &[key(9)]), Refusal::Seats)];
    let skipped = stage.next_descriptor(|next| next.epoch += 1);
    let epoch = Refusal::Epoch { expected: 2, is: 0 };
    cases.push((reconfigure(&skipped, &[key(1)]), epoch));
    let salted = stage.next_descriptor(|next| next.salt = [9; 16]);
    let other = Refusal::Descriptor("it speaks of another scope");
    cases.push((reconfigure(&salted, &[key(1)]), other.clone()));
    let nameless = stage.next_descriptor(|next| next.scope = None);
    cases.push((reconfigure(&nameless, &[key(1)]), other));

    let child = genesis(Some(stage.root), 9, &[key(3)]);
    let delegate = |label: &str, child: &Descriptor, keys: &[SecretKey]| Op::Delegate {
        label: label.as_bytes().to_vec(),
        child: Box::new(child.clone()),
        seats: child.accept_seats(keys),
    };
    let tree = Refusal::NamesBelow {
        path: path("tree"),
        count: 1,
    };
    cases.push((
        delegate("api", &child, &[key(3)]),
        Refusal::Taken(path("api")),
    ));
    cases.push((delegate("tree", &child, &[key(3)]), tree));
    cases.push((delegate("us", &child, &[key(9)]), Refusal::Seats));
    let orphan = genesis(None, 9, &[key(3)]);
    let no_child = Refusal::Descriptor("it is no genesis of a child of this scope");
    cases.push((delegate("us", &orphan, &[key(3)]), no_child));
    let twin = stage.index.genesis(CHILD).unwrap().unwrap();
    let exists = Refusal::Descriptor("the scope exists already");
    cases.push((delegate("us", &twin, &[key(2)]), exists));
    for (op, expected) in cases {
        assert_eq!(stage.refused(vec![op]), expected);
    }
    stage.world.seal(&mut stage.index, ROOT, vec![op]).unwrap();
}

#[test]
fn a_full_scope_takes_no_more() {
    let mut stage = stage();
    let live = stage.index.scope(ROOT).unwrap().unwrap().live;
    let full = stage.next_descriptor(|next| {
        next.policy = Policy {
            entries_max: live,
            ttl_min: Ttl::from_secs(30),
            ..Policy::default()
        };
    });
    let op = reconfigure(&full, &[key(1)]);
    stage.world.seal(&mut stage.index, ROOT, vec![op]).unwrap();
    let a = &["A 60 10.0.0.1"];
    let max = Refusal::Full { max: live };
    assert_eq!(stage.refused(vec![register("b", a)]), max);
    // A redirect is a name too.
    assert_eq!(stage.refused(vec![rename("api", "b", false)]), max);
    let short = Refusal::Ttl {
        ttl: 29,
        min: 30,
        max: 7 * 86_400,
    };
    assert_eq!(stage.refused(vec![put("api", "A 29 10.0.0.1")]), short);
    let swap = vec![Op::Retire { path: path("new") }, register("b", a)];
    stage.world.seal(&mut stage.index, ROOT, swap).unwrap();
}

#[test]
fn scopes_nest_sixty_four_deep() {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    let mut scope = world.root(&mut index, "internal.", &[key(1)]);
    for _ in 0..64 {
        scope = world.child(&mut index, scope, "a", &[key(1)]).unwrap();
    }
    let refusal = world.child(&mut index, scope, "a", &[key(1)]).unwrap_err();
    assert_eq!(refusal, Refusal::Depth { max: 64 });
}

#[test]
fn an_entry_arrives_once_and_as_it_left() {
    let mut stage = stage();
    let here = path("moved");
    let version = head(&stage.index, ROOT, "api");
    let no_transfer = Refusal::NoTransfer(version.uid);
    let child = scope_uid(&stage.index, CHILD);
    let reserve = Op::Reserve {
        path: here.clone(),
        uid: version.uid,
        from: stage.root,
    };
    let adopt = |stage: &mut Stage, op: Op| {
        let before = stage.index.clone();
        let refusal = stage.world.seal(&mut stage.index, CHILD, vec![op]);
        let refusal = refusal.unwrap_err();
        assert_eq!(stage.index, before);
        refusal
    };
    let head_of = |stage: &Stage| stage.index.scope(ROOT).unwrap().unwrap().head;
    let early = adopt_of(&version, &here, stage.root, head_of(&stage));
    assert_eq!(
        adopt(&mut stage, early.clone()),
        Refusal::Taken(here.clone())
    );
    stage
        .world
        .seal(&mut stage.index, CHILD, vec![reserve])
        .unwrap();
    assert_eq!(adopt(&mut stage, early), no_transfer);

    let transfer = Op::Transfer {
        path: path("api"),
        to: child,
        to_path: here.clone(),
    };
    let link = stage
        .world
        .seal(&mut stage.index, ROOT, vec![transfer])
        .unwrap();
    let block = link.block.digest();
    let forged = adopt_of(
        &kedge::index::entry::Version {
            sets: vec![set("A 60 10.6.6.6")],
            ..version.clone()
        },
        &here,
        stage.root,
        block,
    );
    assert_eq!(adopt(&mut stage, forged), no_transfer);
    let unwitnessed = adopt_of(&version, &here, stage.root, version.digest());
    assert_eq!(adopt(&mut stage, unwitnessed), no_transfer);
    let good = adopt_of(&version, &here, stage.root, block);
    stage
        .world
        .seal(&mut stage.index, CHILD, vec![good.clone()])
        .unwrap();
    assert_eq!(adopt(&mut stage, good), Refusal::Taken(here.clone()));
    let arrived = head(&stage.index, CHILD, "moved");
    assert_eq!((arrived.uid, arrived.number), (version.uid, 2));
    assert_eq!(arrived.predecessor, version.digest());
    // And back again, under another name.
    let back = path("back");
    move_entry(
        &mut stage.world,
        &mut stage.index,
        (CHILD, &here),
        (ROOT, &back),
    )
    .unwrap();
    assert_eq!(head(&stage.index, ROOT, "back").number, 3);
}

#[test]
fn an_entry_on_its_way_is_not_stranded_by_what_happens_meanwhile() {
    let mut stage = stage();
    let (here, there) = (path("dname.there"), path("there"));
    let version = head(&stage.index, ROOT, "api");
    let target = scope_uid(&stage.index, CHILD);
    let reserve = |at: &NamePath| Op::Reserve {
        path: at.clone(),
        uid: version.uid,
        from: stage.root,
    };
    let (first, second) = (reserve(&here), reserve(&there));
    let Stage { world, index, root } = &mut stage;
    world.seal(index, CHILD, vec![first]).unwrap();
    let transfer = |to: &NamePath| Op::Transfer {
        path: path("api"),
        to: target,
        to_path: to.clone(),
    };
    // The reservation is given up before anything came, and the path is free again.
    let retire = Op::Retire { path: here.clone() };
    world.seal(index, CHILD, vec![retire]).unwrap();
    assert_eq!(index.slot(CHILD, &here).unwrap(), None);
    world.seal(index, CHILD, vec![second]).unwrap();
    let link = world.seal(index, ROOT, vec![transfer(&there)]).unwrap();
    let block = link.block.digest();
    // The old scope goes on before the new one takes the entry.
    for number in 0..3 {
        let op = register(&format!("later{number}"), &["A 60 10.0.0.1"]);
        world.seal(index, ROOT, vec![op]).unwrap();
    }
    let genesis = index.link(ROOT, 0).unwrap().unwrap().block.digest();
    let early = adopt_of(&version, &there, *root, genesis);
    assert_eq!(
        world.seal(index, CHILD, vec![early]),
        Err(Refusal::NoTransfer(version.uid))
    );
    let adopt = adopt_of(&version, &there, *root, block);
    world.seal(index, CHILD, vec![adopt]).unwrap();
    assert_eq!(head(index, CHILD, "there").number, 2);
}

#[test]
fn what_could_not_be_read_back_is_never_verified() {
    let mut stage = stage();
    let author = key(1);
    let mut unreadable = |ops: Vec<Op>, note: String| {
        let proposal = Proposal {
            note,
            author: author.public(),
            ..stage.world.proposal(stage.root, ops)
        };
        match Signed::new(proposal, &author).verify() {
            Err(NotVerified::Form(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let plain = || vec![register("b", &["A 60 10.0.0.1"])];
    let long = DecodeError::TooLong {
        what: "note",
        max: 1_024,
    };
    assert_eq!(unreadable(plain(), "x".repeat(1_025)), long);
    let child = genesis(None, 9, &[key(3)]);
    let shouted = Op::Delegate {
        label: b"US".to_vec(),
        seats: child.accept_seats(&[key(3)]),
        child: Box::new(child),
    };
    let label = DecodeError::NotCanonical { what: "label" };
    assert_eq!(unreadable(vec![shouted], String::new()), label);
    let too_deep = path("@").child(&[b'x'; 64]);
    let deep = Op::Retire { path: too_deep };
    let not_a_path = DecodeError::NotCanonical { what: "path" };
    assert_eq!(unreadable(vec![deep], String::new()), not_a_path);
}

#[test]
fn a_block_keeps_the_approvals_that_count_and_no_others() {
    let mut stage = stage();
    let next = stage.next_descriptor(|next| next.policy.routine = Requirement::Approvals);
    let op = reconfigure(&next, &[key(1)]);
    stage.world.seal(&mut stage.index, ROOT, vec![op]).unwrap();
    let ops = vec![register("b", &["A 60 10.0.0.1"])];
    let proposal = stage.world.proposal(stage.root, ops);
    // More strangers than a body may hold approvals, the anchor twice.
    let mut crowd: Vec<SecretKey> = (10..90).map(key).collect();
    crowd.extend([key(1), key(1)]);
    let candidate = candidate(proposal, &key(1), &crowd);
    let sealed = stage
        .world
        .seal_all(&mut stage.index, ROOT, &[candidate], &[key(1)]);
    let link = sealed.link.unwrap();
    let approvals = &link.body.decided.first().unwrap().approvals;
    assert_eq!(approvals.len(), 1);
    assert_eq!(
        approvals.first().unwrap().unverified().anchor,
        key(1).public()
    );
    Body::from_bytes(&link.body.to_bytes()).unwrap();
}
