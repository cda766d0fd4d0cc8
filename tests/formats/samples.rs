//! One value of every stored and signed form, made of fixed keys, salts and times.

use std::collections::BTreeMap;

use kedge::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::signed::Signed;
use kedge::base::time::{Timestamp, Ttl};
use kedge::governance::anchor::{Anchor, AnchorGroup, AnchorId};
use kedge::governance::approval::Approval;
use kedge::governance::block::{Block, Body, Decided, Fate};
use kedge::governance::certificate::{Certificate, Step, Vote};
use kedge::governance::descriptor::Descriptor;
use kedge::governance::grant::{Deed, Grant};
use kedge::governance::offer::Offer;
use kedge::governance::op::{Op, Precondition, SetChange};
use kedge::governance::policy::{Class, ClassRule, Pace, Policy, Quorum, Requirement};
use kedge::governance::proposal::Proposal;
use kedge::governance::trust::Tally;
use kedge::governance::verb::{Verb, VerbClass};
use kedge::index::entry::{Change, Entry, Last, Redirect, Slot, Version};
use kedge::index::state::{Edge, Location, ScopeNo, ScopeState, Usage};
use kedge::index::trie::{Node, Page, Summary};
use kedge::index::view::BlockAt;
use kedge::namespace::name::Name;
use kedge::namespace::record::RecordSet;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;
use kedge::namespace::version_name::Tagged;

use crate::world::{key, path, set};

/// Reads bytes and writes what was read.
pub(crate) type Again = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

/// A form's name, its bytes, and the way to read them.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) again: Again,
}

pub(crate) fn form<T: Form>(name: &'static str, value: &T) -> Sample {
    Sample {
        name,
        bytes: value.to_bytes(),
        again: |bytes| T::from_bytes(bytes).map(|value| value.to_bytes()),
    }
}

fn bytes_of<T: Canonical>(value: &T) -> Vec<u8> {
    let mut out = Encoder::new();
    value.encode(&mut out);
    out.into_bytes()
}

pub(crate) fn row<T: Canonical>(name: &'static str, value: &T) -> Sample {
    Sample {
        name,
        bytes: bytes_of(value),
        again: |bytes| {
            let mut input = Decoder::new(bytes);
            let value = T::decode(&mut input)?;
            input.finish()?;
            Ok(bytes_of(&value))
        },
    }
}

pub(crate) fn anchors() -> [SecretKey; 3] {
    [key(1), key(2), key(3)]
}

pub(crate) fn root() -> Descriptor {
    let seats = anchors()
        .iter()
        .zip(["eu", "us", ""])
        .map(|(key, region)| Anchor {
            organisation: "Example".to_owned(),
            ..Anchor::new(key.public(), region)
        })
        .collect();
    let group = AnchorGroup::new(seats).unwrap();
    Descriptor::genesis(None, [7; 16], group, Policy::default())
}

pub(crate) fn child() -> Descriptor {
    let group = AnchorGroup::new(vec![Anchor::new(key(4).public(), "eu")]).unwrap();
    Descriptor::genesis(Some(root().scope_uid()), [8; 16], group, Policy::default())
}

/// The second epoch of the root, with every field in use.
pub(crate) fn next() -> Descriptor {
    let mut seats = root().anchors.anchors().to_vec();
    for seat in &mut seats {
        seat.weight = 3;
        seat.nodes = vec![key(21).public(), key(22).public()];
    }
    Descriptor {
        scope: Some(root().scope_uid()),
        epoch: 1,
        anchors: AnchorGroup::new(seats).unwrap(),
        policy: Policy {
            quorum: Quorum::Majority,
            routine: ClassRule {
                requirement: Requirement::Approvals,
                weight: 4,
                delay_secs: 3_600,
                expiry_secs: 86_400,
            },
            alias: ClassRule::AUTHOR,
            governance: ClassRule::QUORUM,
            cap_weight: false,
            trust_floor: 300,
            pace: Pace::Daily,
            ttl_min: Ttl::from_secs(30),
            ttl_max: Ttl::from_secs(3_600),
            entries_max: 500,
            access: crate::votes::access(),
            restricted: vec![RecordType::A],
            challenge: "https://id.example/".to_owned(),
            verbs: vec![
                Verb::new("pay", VerbClass::Write).unwrap(),
                Verb::new("view", VerbClass::Read).unwrap(),
            ],
        },
        grants: vec![Grant {
            key: key(31).public(),
            holder: "CI".to_owned(),
            names: "_acme-challenge.**".parse().unwrap(),
            kinds: vec![RecordType::TXT],
            deeds: vec![Deed::Register, Deed::Update],
            changes_per_day: 50,
        }],
        recovery_keys: vec![key(41).public()],
        recovery_delay_secs: 60,
        ..root()
    }
}

pub(crate) fn uid(byte: u8) -> Uid {
    Uid::from_bytes([byte; 16])
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn sets() -> Vec<RecordSet> {
    vec![
        set("A 300 10.0.0.1|10.0.0.2"),
        set("MX 300 10 mail.example."),
        set("TXT 300 \"text\" \"more text\""),
    ]
}

/// A change of every kind.
fn ops() -> Vec<Op> {
    let (root, child) = (root(), child());
    let next = next();
    vec![
        Op::Register {
            path: path("api"),
            sets: sets(),
        },
        Op::Update {
            path: path("a.b"),
            changes: vec![
                SetChange::Put(set("AAAA 60 2001:db8::1")),
                SetChange::Remove(RecordType::A),
            ],
            may_empty: true,
        },
        Op::Tag {
            path: path("a.b"),
            tag: "stable".parse().unwrap(),
            number: Some(3),
        },
        Op::Tag {
            path: path("a.b"),
            tag: "canary".parse().unwrap(),
            number: None,
        },
        Op::Retire { path: path("old") },
        Op::Rename {
            from: path("x"),
            to: path("y"),
            subtree: false,
        },
        Op::Reserve {
            path: path("in"),
            uid: uid(1),
            from: child.scope_uid(),
        },
        Op::Transfer {
            path: path("out"),
            to: child.scope_uid(),
            to_path: path("@"),
        },
        Op::Adopt {
            path: path("in"),
            uid: uid(1),
            number: 4,
            from: root.scope_uid(),
            passage: b"a passage".to_vec(),
        },
        Op::Delegate {
            label: b"eu".to_vec(),
            seats: child.accept_seats(&[key(4)]).unwrap(),
            child: Box::new(child),
        },
        Op::Reconfigure {
            next: Box::new(next),
        },
        Op::Recover {
            label: b"eu".to_vec(),
            delay_secs: 259_200,
            offer: Box::new(crate::recoveries::offer()),
        },
        Op::Confirm {
            label: b"eu".to_vec(),
        },
        Op::Abandon {
            label: b"us".to_vec(),
        },
    ]
}

pub(crate) fn proposal() -> Proposal {
    Proposal {
        scope: root().scope_uid(),
        class: Class::Governance,
        ops: ops(),
        preconditions: vec![
            Precondition::Absent(path("api")),
            Precondition::VersionIs(uid(1), 3),
            Precondition::EpochIs(0),
        ],
        author: key(1).public(),
        nonce: 5,
        made: Timestamp::from_millis(1_700_000_000_000),
        not_after: Timestamp::from_millis(1_700_000_900_000),
        note: "Näherung".to_owned(),
    }
}

pub(crate) fn approval() -> Approval {
    Approval {
        scope: root().scope_uid(),
        proposal: Digest::of(&proposal()),
        not_after: Timestamp::from_millis(1_700_000_900_000),
        impact: digest(9),
        yes: true,
        time: Timestamp::from_millis(1_700_000_000_100),
        reason: "geprüft".to_owned(),
        anchor: key(2).public(),
    }
}

pub(crate) fn body() -> Body {
    Body {
        decided: vec![Decided {
            proposal: Signed::new(proposal(), &key(1)).unwrap(),
            fate: Fate::Passed,
            approvals: vec![Signed::new(approval(), &key(2)).unwrap()],
            seats: next().accept_seats(&anchors()).unwrap(),
        }],
        late: vec![Signed::new(approval(), &key(2)).unwrap()],
        recovered: None,
    }
}

pub(crate) fn block() -> Block {
    let root = root();
    Block {
        scope: root.scope_uid(),
        epoch: 0,
        height: 9,
        prev: digest(4),
        descriptor: root.digest(),
        next_descriptor: next().digest(),
        prev_epoch_block: Digest::ZERO,
        time: Timestamp::from_millis(1_700_000_000_123),
        proposer: AnchorId::of_first_key(&key(1).public()),
        body_root: Digest::of(&body()),
        state_root: digest(5),
    }
}

fn vote(step: Step, block: Option<Digest>) -> Vote {
    Vote {
        scope: root().scope_uid(),
        descriptor: root().digest(),
        height: 9,
        round: 2,
        step,
        block,
        anchor: AnchorId::of_first_key(&key(1).public()),
    }
}

fn version(change: Change) -> Version {
    Version {
        uid: uid(1),
        number: 2,
        predecessor: digest(6),
        time: Timestamp::from_millis(1_700_000_000_123),
        scope: root().scope_uid(),
        path: path("api"),
        proposal: Digest::of(&proposal()),
        change,
        sets: sets(),
        tags: tags(),
    }
}

fn tags() -> Vec<Tagged> {
    let tagged = |(tag, number): (&str, u64)| Tagged {
        tag: tag.parse().unwrap(),
        number,
    };
    [("canary", 2), ("stable", 1)].map(tagged).into()
}

fn state(edge: Option<Edge>) -> ScopeState {
    let root = root();
    ScopeState {
        uid: root.scope_uid(),
        no: ScopeNo(3),
        edge,
        descriptor_digest: root.digest(),
        descriptor: root,
        height: 9,
        head: block().digest(),
        head_time: block().time,
        last_epoch_block: Digest::ZERO,
        state_root: digest(5),
        next_uid: 12,
        live: 11,
        usage: vec![Usage {
            day: 19_675,
            changes: 3,
        }],
        ledger: BTreeMap::from([(
            AnchorId::of_first_key(&key(1).public()),
            Tally {
                aligned: 4,
                contested: 3,
                missed: 2,
                contradicted: 1,
            },
        )]),
    }
}

fn slot(name: &'static str, entry: Option<Entry>, below: u64) -> Sample {
    let recovery = None;
    form(
        name,
        &Slot {
            entry,
            below,
            recovery,
        },
    )
}

fn offer() -> Offer {
    let seats = child().accept_seats([&key(4)]).unwrap();
    Offer::new(child(), seats).unwrap()
}

fn bucket() -> Node {
    Node::Bucket(vec![([1; 32], digest(9)), ([2; 32], digest(8))])
}

fn page() -> Node {
    let mut page = Page([Summary::EMPTY; 16]);
    if let Some(summary) = page.0.get_mut(3) {
        *summary = Summary {
            count: 17,
            digest: digest(9),
        };
    }
    Node::Page(Box::new(page))
}

fn edge() -> Edge {
    Edge {
        parent: ScopeNo(1),
        label: b"eu".to_vec(),
        depth: 2,
    }
}

/// Every form and every row without a label.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = forms();
    samples.extend(rows());
    samples.extend(crate::votes::votes());
    samples.extend(crate::export::samples());
    samples.extend(crate::devices::samples());
    samples.extend(crate::leases::samples());
    samples.extend(crate::ordering::samples());
    samples.extend(crate::moves::samples());
    samples.extend(crate::recoveries::samples());
    samples.extend(crate::peers::samples());
    samples.extend(crate::proofs::samples());
    samples.extend(crate::tickets::samples());
    samples.extend(crate::beacons::samples());
    samples.extend(crate::tokens::samples());
    samples
}

fn rows() -> Vec<Sample> {
    let at = BlockAt {
        scope: ScopeNo(3),
        height: 9,
    };
    let location = Location {
        scope: ScopeNo(3),
        path: path("a.b"),
    };
    let apex: Name = "mesh.internal.".parse().unwrap();
    vec![
        row("row-location", &location),
        row("row-decided", &at),
        row("row-trie-page", &page()),
        row("row-trie-bucket", &bucket()),
        row("name", &apex),
        row("path", &path("\\000\\001.a")),
    ]
}

fn forms() -> Vec<Sample> {
    let redirect = |uid, subtree| {
        Some(Entry::Moved(Redirect {
            uid,
            scope: child().scope_uid(),
            path: path("new.name"),
            subtree,
            last: uid.is_some().then(|| Last {
                number: 7,
                digest: digest(5),
            }),
        }))
    };
    let moved = Change::Moved {
        from: ScopeUid::new(digest(8)),
    };
    let renamed = Change::Renamed { from: path("was") };
    let reserved = Entry::Reserved {
        uid: uid(2),
        from: child().scope_uid(),
    };
    let bound = Entry::Bound(version(Change::Registered));
    let signed = |object| Signed::new(object, &key(1)).unwrap();
    let approved = |object| Signed::new(object, &key(2)).unwrap();
    vec![
        form("descriptor-genesis", &root()),
        form("descriptor-child", &child()),
        form("descriptor-epoch-1", &next()),
        form("offer", &offer()),
        form("proposal", &proposal()),
        row("signed-proposal", &signed(proposal())),
        form("approval", &approval()),
        row("signed-approval", &approved(approval())),
        form("vote-precommit", &vote(Step::Precommit, Some(digest(4)))),
        form("vote-prevote-nil", &vote(Step::Prevote, None)),
        form("block", &block()),
        form("body", &body()),
        form("body-empty", &Body::default()),
        form(
            "certificate",
            &Certificate::sign(&block(), &root(), &anchors()).unwrap(),
        ),
        form("version-registered", &version(Change::Registered)),
        form("version-updated", &version(Change::Updated)),
        form("version-renamed", &version(renamed)),
        form("version-moved", &version(moved)),
        form("version-tagged", &version(Change::Tagged)),
        form("version-retired", &version(Change::Retired)),
        slot("slot-bound", Some(bound), 2),
        slot("slot-moved", redirect(Some(uid(1)), false), 0),
        slot("slot-moved-subtree", redirect(None, true), 0),
        slot(
            "slot-delegated",
            Some(Entry::Delegated(child().scope_uid())),
            0,
        ),
        slot("slot-retired", Some(Entry::Retired { last: digest(7) }), 0),
        slot("slot-reserved", Some(reserved), 0),
        slot("slot-none", None, 5),
        form("scope-state-root", &state(None)),
        form("scope-state-child", &state(Some(edge()))),
    ]
}
