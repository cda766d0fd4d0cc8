//! Forms about votes and what waits for them.

use kedge::base::digest::Digest;
use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::anchor::AnchorId;
use kedge::governance::block::{Body, Decided, Fate};
use kedge::governance::policy::Class;
use kedge::governance::withdrawal::Withdrawal;
use kedge::index::ballot::{Ballot, Cast};
use kedge::index::impact::{Answers, Impact, NameImpact, Permission};
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
    ]
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

fn pending() -> Pending {
    Pending {
        proposal: Signed::new(proposal(), &key(1)).unwrap(),
        approvals: vec![Signed::new(approval(), &key(2)).unwrap()],
        contradictions: vec![Signed::new(approval(), &key(2)).unwrap()],
        seats: next().accept_seats(&anchors()),
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
