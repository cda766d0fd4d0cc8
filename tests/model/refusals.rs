//! Every refusal that a change can meet; none leaves a trace.

use kedge::base::canonical::DecodeError;
use kedge::base::signed::{SigningError, Verified};
use kedge::base::time::Timestamp;
use kedge::governance::op::{Op, Precondition, SetChange};
use kedge::governance::policy::Class;
use kedge::governance::proposal::Proposal;
use kedge::index::refusal::Refusal;
use kedge::index::view::IndexView;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::uid::Uid;

use crate::world::{genesis, key, path, register, scope_uid, set, uid_at};

use crate::stage::*;

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
        not_after: good.made,
        ..good.clone()
    };
    let refusal = stage.decide(late);
    assert!(matches!(refusal, Refusal::Expired { .. }), "{refusal}");
    let early = Proposal {
        made: good.made.plus_millis(3_600_000),
        not_after: good.made.plus_millis(7_200_000),
        ..good.clone()
    };
    let refusal = stage.decide(early);
    assert!(matches!(refusal, Refusal::Clock { .. }), "{refusal}");
    let eternal = Proposal {
        not_after: Timestamp::from_millis(u64::MAX),
        ..good.clone()
    };
    let refusal = stage.decide(eternal);
    assert!(matches!(refusal, Refusal::Lifetime { .. }), "{refusal}");
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
fn what_could_not_be_read_back_is_never_verified() {
    let mut stage = stage();
    let author = key(1);
    let mut unreadable = |ops: Vec<Op>, note: String| {
        let proposal = Proposal {
            note,
            author: author.public(),
            ..stage.world.proposal(stage.root, ops)
        };
        match Verified::sign(proposal, &author) {
            Err(SigningError::Form(error)) => error,
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
        seats: child.accept_seats(&[key(3)]).unwrap(),
        child: Box::new(child),
    };
    let label = DecodeError::NotCanonical { what: "label" };
    assert_eq!(unreadable(vec![shouted], String::new()), label);
    let too_deep = path("@").child(&[b'x'; 64]);
    let deep = Op::Retire { path: too_deep };
    let not_a_path = DecodeError::NotCanonical { what: "path" };
    assert_eq!(unreadable(vec![deep], String::new()), not_a_path);
}
