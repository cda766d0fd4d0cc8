//! Forms about votes and what waits for them, and the tests of an access graph.

use kedge::base::digest::Digest;
use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::access::{AccessGraph, AccessNode, Next, Verdict};
use kedge::governance::anchor::AnchorId;
use kedge::governance::block::{Body, Decided, Fate};
use kedge::governance::policy::Class;
use kedge::governance::withdrawal::Withdrawal;
use kedge::index::ballot::{Ballot, Cast};
use kedge::index::impact::{Answers, Impact, NameImpact, Permission, TagImpact};
use kedge::index::pending::Pending;
use kedge::namespace::rtype::RecordType;

use crate::samples::{
    Sample, anchors, approval, child, digest, form, next, proposal, root, row, uid,
};
use crate::world::{key, path};

pub(crate) fn votes() -> Vec<Sample> {
    vec![
        form("body-ended", &ended()),
        form("withdrawal", &withdrawal()),
        form("impact", &impact()),
        form("pending", &pending()),
        row("row-ballot", &ballot()),
        row("row-outline", &pending().outline()),
    ]
}

/// Every kind of test.
pub(crate) fn access() -> AccessGraph {
    let test = |name: &str, test: &str, then, otherwise| AccessNode {
        name: name.to_owned(),
        test: test.parse().unwrap(),
        then,
        otherwise,
    };
    AccessGraph::new(vec![
        test("", "source 10.0.0.0/8", Next::Node(3), Next::Node(1)),
        test(
            "v6",
            "source 2001:db8::/32",
            Next::Verdict(Verdict::Hide),
            Next::Node(2),
        ),
        test(
            "",
            "transport tcp",
            Next::Node(3),
            Next::Verdict(Verdict::Refuse),
        ),
        test(
            "hours",
            "hours 08:00-18:00 mon-fri",
            Next::Node(4),
            Next::Verdict(Verdict::Challenge),
        ),
        test(
            "",
            "type A,AAAA",
            Next::Verdict(Verdict::Allow),
            Next::Node(5),
        ),
        test(
            "",
            "class write",
            Next::Verdict(Verdict::Restrict),
            Next::Node(6),
        ),
        test("", "verb pay", Next::Verdict(Verdict::Allow), Next::Node(7)),
        test(
            "",
            "name *.secret.**",
            Next::Verdict(Verdict::Hide),
            Next::Node(8),
        ),
        test(
            "",
            "tsig ci-key",
            Next::Verdict(Verdict::Allow),
            Next::Node(9),
        ),
        test(
            "",
            "certificate uri:spiffe://mesh/ci",
            Next::Verdict(Verdict::Allow),
            Next::Node(10),
        ),
        test(
            "",
            "load 200",
            Next::Verdict(Verdict::Allow),
            Next::Verdict(Verdict::Refuse),
        ),
    ])
    .unwrap()
}

fn withdrawal() -> Withdrawal {
    Withdrawal {
        scope: root().scope_uid(),
        proposal: Digest::of(&proposal()),
        reason: "verzählt".to_owned(),
        author: key(1).public(),
    }
}

/// A rejected and a withdrawn proposal.
fn ended() -> Body {
    let decided = |fate| Decided {
        proposal: Signed::new(proposal(), &key(1)).unwrap(),
        fate,
        approvals: Vec::new(),
        seats: Vec::new(),
    };
    let withdrawn = Fate::Withdrawn(Signed::new(withdrawal(), &key(1)).unwrap());
    Body {
        decided: vec![decided(Fate::Rejected), decided(withdrawn)],
        late: Vec::new(),
        recovered: None,
    }
}

fn impact() -> Impact {
    let name = |at: &str, before, after| NameImpact {
        path: path(at),
        before,
        after,
    };
    let records = Answers::Records {
        kinds: vec![RecordType::A, RecordType::TXT],
        ttl_max_secs: 300,
        sets: digest(11),
        cut_off: 0,
    };
    let redirect = Answers::Redirect {
        scope: root().scope_uid(),
        path: path("new"),
        subtree: true,
    };
    Impact {
        names: vec![
            name("a", records, redirect),
            name(
                "b",
                Answers::Nothing,
                Answers::Delegated(child().scope_uid()),
            ),
            name("c", Answers::Empty, Answers::Retired),
        ],
        tags: vec![TagImpact {
            path: path("a"),
            tag: "stable".parse().unwrap(),
            before: 0,
            after: 3,
        }],
        entries: vec![uid(1), uid(2)],
        registered: 3,
        kept_secs: 300,
        widened: vec![Permission::Ask, Permission::Propose(digest(12))],
        narrowed: vec![
            Permission::Vote(AnchorId::of_first_key(&key(1).public())),
            Permission::Decide(Class::Governance),
        ],
        descriptor: Some(next().digest()),
    }
}

pub(crate) fn pending() -> Pending {
    Pending {
        proposal: Signed::new(proposal(), &key(1)).unwrap(),
        approvals: vec![Signed::new(approval(), &key(2)).unwrap()],
        contradictions: vec![Signed::new(approval(), &key(2)).unwrap()],
        seats: next().accept_seats(&anchors()).unwrap(),
        received: Timestamp::from_millis(1_700_000_000_050),
    }
}

fn ballot() -> Ballot {
    let anchor = |seed| AnchorId::of_first_key(&key(seed).public());
    Ballot {
        height: 9,
        passed: true,
        eligible: vec![anchor(1), anchor(2)],
        votes: vec![Cast {
            anchor: anchor(2),
            yes: true,
            impact: digest(9),
            contradicted: false,
        }],
    }
}
