//! Who may decide: authors, approvals, quorums, seats, quotas.

use kedge::base::canonical::{Canonical, Decoder, Form};
use kedge::base::digest::Digest;
use kedge::base::keys::{PublicKey, SecretKey};
use kedge::base::limits::NOTE_BYTES_MAX;
use kedge::base::signed::{Signed, SigningError};
use kedge::base::time::{Timestamp, Ttl};
use kedge::governance::anchor::AnchorGroup;
use kedge::governance::approval::Approval;
use kedge::governance::block::Body;
use kedge::governance::descriptor::Descriptor;
use kedge::governance::grant::{Deed, Grant};
use kedge::governance::name_pattern::NamePattern;
use kedge::governance::op::Op;
use kedge::governance::policy::{Class, ClassRule, Policy, TRUST_MAX};
use kedge::governance::proposal::Proposal;
use kedge::governance::verb::{Verb, VerbClass};
use kedge::index::lineage::{LinkError, found, genesis_link};
use kedge::index::memory::MemoryIndex;
use kedge::index::refusal::Refusal;
use kedge::index::view::IndexView;
use kedge::namespace::rtype::RecordType;

use crate::world::{World, candidate, genesis, key, path, register, scope_uid, vote};

use crate::stage::*;

fn grant_to(key: PublicKey) -> Grant {
    Grant {
        key,
        holder: String::new(),
        names: NamePattern::every(),
        kinds: Vec::new(),
        deeds: Deed::ALL.to_vec(),
        changes_per_day: 0,
    }
}

#[test]
fn keys_without_a_say_are_refused() {
    let mut stage = stage();
    let ops = vec![register("b", &["A 60 10.0.0.1"])];
    let stranger = Proposal {
        author: key(9).public(),
        ..stage.world.proposal(stage.root, ops.clone())
    };
    let by_stranger = candidate(stranger, &key(9));
    let by_anchor = candidate(stage.world.proposal(stage.root, ops), &key(1));
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
    let candidate = candidate(proposal, &key(1));
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
fn a_new_key_takes_its_seat_itself() {
    let mut stage = stage();
    let next = stage.next_descriptor(|next| next.policy.routine = ClassRule::QUORUM);
    let by_itself = (&key(1), &[key(1)][..]);
    let rotated = stage.next_descriptor(|next| {
        let mut anchors = next.anchors.anchors().to_vec();
        anchors[0].vote_key = key(9).public();
        next.anchors = AnchorGroup::new(anchors).unwrap();
    });
    let proposal = stage
        .world
        .proposal(stage.root, vec![reconfigure(&rotated)]);
    let mut unseated = stage
        .world
        .approved(&stage.index, ROOT, proposal, by_itself);
    for seats in [
        Vec::new(),
        rotated.accept_seats(&[key(1)]).unwrap(),
        next.accept_seats(&[key(1)]).unwrap(),
    ] {
        unseated.seats = seats;
        let world = &mut stage.world;
        let sealed = world.seal_all(&mut stage.index, ROOT, &[unseated.clone()], &[key(1)]);
        assert_eq!(sealed.outcomes, [Err(Refusal::Seats)]);
    }
    unseated.seats = rotated.accept_seats(&[key(9)]).unwrap();
    let world = &mut stage.world;
    let sealed = world.seal_all(&mut stage.index, ROOT, &[unseated], &[key(1)]);
    assert_eq!(sealed.outcomes, [Ok(())]);
}

#[test]
fn a_governance_change_needs_approvals_and_seats() {
    let mut stage = stage();
    let next = stage.next_descriptor(|next| next.policy.routine = ClassRule::QUORUM);
    let op = reconfigure(&next);
    let proposal = stage.world.proposal(stage.root, vec![op.clone()]);
    let by_others = (&key(1), &[key(9)][..]);
    let unapproved = stage
        .world
        .approved(&stage.index, ROOT, proposal.clone(), by_others);
    let sealed = stage
        .world
        .seal_all(&mut stage.index, ROOT, &[unapproved], &[key(1)]);
    let few = Refusal::Approvals {
        weight: 0,
        needed: 1,
    };
    assert_eq!(sealed.outcomes, [Err(few)]);

    let mut cases = Vec::new();
    let skipped = stage.next_descriptor(|next| next.epoch += 1);
    let epoch = Refusal::Epoch { expected: 2, is: 0 };
    cases.push((reconfigure(&skipped), epoch));
    let salted = stage.next_descriptor(|next| next.salt = [9; 16]);
    let other = Refusal::Descriptor("it speaks of another scope");
    cases.push((reconfigure(&salted), other.clone()));
    let nameless = stage.next_descriptor(|next| next.scope = None);
    cases.push((reconfigure(&nameless), other));

    let child = genesis(Some(stage.root), 9, &[key(3)]);
    let delegate = |label: &str, child: &Descriptor, keys: &[SecretKey]| Op::Delegate {
        label: label.as_bytes().to_vec(),
        child: Box::new(child.clone()),
        seats: child.accept_seats(keys).unwrap(),
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

/// Bytes that decode as a key and are the identity, a point of small order.
fn weak_key() -> PublicKey {
    let mut identity = [0; 32];
    identity[0] = 1;
    PublicKey::decode(&mut Decoder::new(&identity)).unwrap()
}

#[test]
fn a_government_names_no_key_that_could_not_verify() {
    let mut stage = stage();
    let unusable = Refusal::Descriptor("it names a key that is no ed25519 key of full order");
    let changes: [fn(&mut Descriptor); 2] = [
        |next| next.grants.push(grant_to(weak_key())),
        |next| next.recovery_keys.push(weak_key()),
    ];
    for change in changes {
        let next = stage.next_descriptor(change);
        let refused = stage.refused(vec![reconfigure(&next)]);
        assert_eq!(refused, unusable);
    }
    let mut child = genesis(Some(stage.root), 9, &[key(3)]);
    child.grants.push(grant_to(weak_key()));
    let delegate = Op::Delegate {
        label: b"us".to_vec(),
        seats: child.accept_seats(&[key(3)]).unwrap(),
        child: Box::new(child),
    };
    assert_eq!(stage.refused(vec![delegate]), unusable);
    let mut root = genesis(None, 9, &[key(3)]);
    root.grants.push(grant_to(weak_key()));
    let link = genesis_link(&root, &[key(3)], Timestamp::from_millis(1))
        .unwrap()
        .unwrap();
    let founded = found(&mut stage.index, &root, None, &link);
    assert!(
        matches!(founded, Err(LinkError::Header { .. })),
        "{founded:?}"
    );
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
    let op = reconfigure(&full);
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
fn a_block_keeps_the_approvals_that_count_and_no_others() {
    let mut stage = stage();
    let next = stage.next_descriptor(|next| next.policy.routine = ClassRule::QUORUM);
    let op = reconfigure(&next);
    stage.world.seal(&mut stage.index, ROOT, vec![op]).unwrap();
    let ops = vec![register("b", &["A 60 10.0.0.1"])];
    let proposal = stage.world.proposal(stage.root, ops);
    // More strangers than a body may hold approvals, the anchor twice.
    let mut crowd: Vec<SecretKey> = (10..90).map(key).collect();
    crowd.extend([key(1), key(1)]);
    let candidate = stage
        .world
        .approved(&stage.index, ROOT, proposal, (&key(1), &crowd));
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

/// What comes of giving weights to a group of as many anchors.
fn weighed(weights: &[u32], cap_weight: bool) -> Result<(), Refusal> {
    let (mut world, mut index) = (World::new(), MemoryIndex::new());
    let keys: Vec<SecretKey> = (1..).map(key).take(weights.len()).collect();
    world.root(&mut index, "mesh.internal.", &keys);
    let mut next = index.scope(ROOT).unwrap().unwrap().descriptor;
    next.scope = Some(scope_uid(&index, ROOT));
    next.epoch += 1;
    next.policy.cap_weight = cap_weight;
    let mut anchors = next.anchors.anchors().to_vec();
    for (anchor, weight) in anchors.iter_mut().zip(weights) {
        anchor.weight = *weight;
    }
    next.anchors = AnchorGroup::new(anchors).unwrap();
    let before = index.clone();
    let sealed = world.seal(&mut index, ROOT, vec![reconfigure(&next)]);
    assert!(sealed.is_ok() || index == before);
    sealed.map(|_| ())
}

#[test]
fn no_anchor_of_four_or_more_holds_a_third_unless_the_policy_lets_it() {
    let heavy = "an anchor holds a third of the weight or more, and the policy caps it";
    let refused = Err(Refusal::Descriptor(heavy));
    for (weights, capped) in [
        (&[3, 3, 2, 2][..], Ok(())),
        (&[2, 2, 1, 1], refused.clone()),
        (&[1, 1, 1, 2], refused.clone()),
        (&[1, 1, 1, 1, 1, 1, 2], Ok(())),
        (&[1, 1, 1, 1, 1, 1, 3], refused),
        // Fewer cannot hold to it.
        (&[5, 1, 1], Ok(())),
        (&[9, 1], Ok(())),
    ] {
        assert_eq!(weighed(weights, true), capped, "{weights:?}");
        assert_eq!(weighed(weights, false), Ok(()), "{weights:?}");
    }
}

fn approvals(weight: u64, delay_secs: u32, expiry_secs: u32) -> ClassRule {
    ClassRule {
        weight,
        delay_secs,
        expiry_secs,
        ..ClassRule::QUORUM
    }
}

fn verbs(names: &[&str]) -> Vec<Verb> {
    let verb = |name: &&str| Verb::new(name, VerbClass::Write).unwrap();
    names.iter().map(verb).collect()
}

type Change = fn(&mut Policy);

#[test]
fn a_policy_by_which_nobody_could_live_is_refused() {
    let idle = "a weight or a delay goes with approvals: only these show when a change was agreed";
    let (weight, late) = (
        "a class needs more weight than all anchors have",
        "a class expires before its delay is over",
    );
    let order = "a verb has two classes, or the verbs are not in order";
    let cases: [(Change, Option<&str>); 17] = [
        (|p| p.routine = approvals(1, 0, 60), None),
        (|p| p.routine = approvals(2, 0, 60), Some(weight)),
        (|p| p.alias = approvals(u64::MAX, 0, 60), Some(weight)),
        (|p| p.governance = approvals(2, 0, 60), Some(weight)),
        (
            |p| p.governance = ClassRule::AUTHOR,
            Some("governance always needs approvals"),
        ),
        (|p| p.routine.delay_secs = 1, Some(idle)),
        (|p| p.alias.weight = 1, Some(idle)),
        (|p| p.routine = approvals(0, 59, 60), None),
        (|p| p.routine = approvals(0, 60, 60), Some(late)),
        (|p| p.governance = approvals(0, 61, 60), Some(late)),
        (|p| p.alias.expiry_secs = 0, Some(late)),
        (|p| p.verbs = verbs(&["book", "pay"]), None),
        (|p| p.verbs = verbs(&["pay", "book"]), Some(order)),
        (|p| p.verbs = verbs(&["pay", "pay"]), Some(order)),
        (
            |p| p.restricted = vec![RecordType::TXT, RecordType::A],
            Some("the restricted types are not in order"),
        ),
        (|p| p.trust_floor = TRUST_MAX, None),
        (
            |p| p.trust_floor = TRUST_MAX + 1,
            Some("trust is at most 1000"),
        ),
    ];
    for (number, (change, fault)) in cases.into_iter().enumerate() {
        let mut stage = stage();
        let next = stage.next_descriptor(|next| change(&mut next.policy));
        let mut child = genesis(Some(stage.root), 9, &[key(3)]);
        change(&mut child.policy);
        let delegate = Op::Delegate {
            label: b"us".to_vec(),
            seats: child.accept_seats(&[key(3)]).unwrap(),
            child: Box::new(child),
        };
        // Of a scope that changes, and of one that begins.
        for op in [delegate, reconfigure(&next)] {
            if let Some(fault) = fault {
                let refused = stage.refused(vec![op]);
                assert_eq!(refused, Refusal::Descriptor(fault), "case {number}");
            } else {
                let sealed = stage.world.seal(&mut stage.index, ROOT, vec![op]);
                assert!(sealed.is_ok(), "case {number}: {sealed:?}");
            }
        }
    }
}

#[test]
fn a_reason_has_a_bound() {
    let mut stage = stage();
    let ops = vec![register("b", &["A 60 10.0.0.1"])];
    let candidate = candidate(stage.world.proposal(stage.root, ops), &key(1));
    let now = stage.world.now();
    let vote = vote(&candidate, &key(1), (true, Digest::ZERO), now);
    let with = |bytes: usize| Approval {
        reason: "x".repeat(bytes),
        ..vote.unverified().clone()
    };
    let longest = Signed::new(with(NOTE_BYTES_MAX), &key(1)).unwrap();
    assert!(longest.verify().is_ok());
    let longer = with(NOTE_BYTES_MAX + 1);
    // Neither signed here nor read from elsewhere.
    assert!(Approval::from_bytes(&longer.to_bytes()).is_err());
    let signed = Signed::new(longer, &key(1));
    assert!(matches!(signed, Err(SigningError::Form(_))), "{signed:?}");
}
