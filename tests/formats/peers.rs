//! What nodes say to each other, and what they keep of others.

use kedge::base::time::Timestamp;
use kedge::governance::certificate::{Certificate, Certified};
use kedge::index::floor::Floor;
use kedge::index::place::Apex;
use kedge::index::replica::{Fork, Mirror};
use kedge::index::view::Link;
use kedge::namespace::name::Name;
use kedge::replication::wire::{
    Head, Hello, LeaseMark, LeasePage, LeaseRow, Links, Reply, Request, Turned,
};

use crate::samples::{Sample, anchors, block, body, digest, form, root};
use crate::world::key;

fn hello() -> Hello {
    Hello {
        versions: vec![2, 1],
        region: "eu".to_owned(),
        software: "kedge/0.1.0".to_owned(),
    }
}

fn head() -> Head {
    Head {
        scope: root().scope_uid(),
        height: 9,
        block: digest(4),
    }
}

fn floor() -> Floor {
    Floor {
        scope: root().scope_uid(),
        epoch: 3,
        descriptor: digest(5),
        height: 9,
        block: digest(4),
        is_frozen: true,
        proven: Timestamp::from_millis(1_700_000_000_000),
    }
}

fn mark() -> LeaseMark {
    LeaseMark {
        journal: 1_700_000_000_000,
        number: 9,
    }
}

fn page() -> LeasePage {
    let row = |works| LeaseRow {
        lease: crate::leases::signed(),
        works,
    };
    LeasePage {
        upto: mark(),
        is_last: true,
        rows: vec![row(None), row(Some(false)), row(Some(true))],
    }
}

fn link() -> Link {
    Link {
        certificate: Certificate::sign(&block(), &root(), &anchors()).unwrap(),
        block: block(),
        body: body(),
    }
}

fn certified(block: kedge::governance::block::Block) -> Certified {
    Certified {
        certificate: Certificate::sign(&block, &root(), &anchors()).unwrap(),
        block,
    }
}

pub(crate) fn samples() -> Vec<Sample> {
    let mut other = block();
    other.state_root = digest(6);
    let fork = Fork {
        held: certified(block()),
        other: certified(other),
        from: key(51).public(),
        found: Timestamp::from_millis(1_700_000_000_000),
    };
    let mirror = Mirror {
        scope: root().scope_uid(),
        sources: vec![key(51).public(), key(52).public()],
        since: Timestamp::from_millis(1_700_000_000_000),
    };
    let links = Links {
        genesis: Some(root()),
        links: vec![link()],
    };
    let asked = Request::Links {
        scope: root().scope_uid(),
        from: 9,
        count: 512,
    };
    let known = vec![1];
    let name: Name = "api.mesh.internal.".parse().unwrap();
    let prove = Request::Prove {
        top: Apex {
            name: "mesh.internal.".parse().unwrap(),
            root: root().scope_uid(),
        },
        name: name.clone(),
    };
    vec![
        form("mirror", &mirror),
        form("fork", &fork),
        form("floor", &floor()),
        form("request-hello", &Request::Hello(hello())),
        form("request-heads", &Request::Heads(vec![root().scope_uid()])),
        form("request-links", &asked),
        form("request-announce", &Request::Announce(vec![head()])),
        form(
            "request-lay",
            &Request::Lay(Box::new(crate::votes::pending())),
        ),
        form("request-order", &crate::ordering::ordered()),
        form("request-prove", &prove),
        form("request-locate", &Request::Locate(root().scope_uid())),
        form("request-recall", &Request::Recall(root().scope_uid())),
        form("request-leases", &Request::Leases(mark())),
        form("request-leased", &Request::Leased(mark())),
        form(
            "request-instances",
            &Request::Instances(crate::samples::uid(1)),
        ),
        form("reply-hello", &Reply::Hello(hello())),
        form("reply-heads", &Reply::Heads(vec![head()])),
        form("reply-links", &Reply::Links(Box::new(links))),
        form("reply-heard", &Reply::Heard),
        form("reply-version", &Reply::Turned(Turned::Version { known })),
        form("reply-greeting", &Reply::Turned(Turned::Greeting)),
        form("reply-not-held", &Reply::Turned(Turned::NotHeld)),
        form("reply-too-much", &Reply::Turned(Turned::TooMuch)),
        form("reply-failing", &Reply::Turned(Turned::Failing)),
        form("reply-unprovable", &Reply::Turned(Turned::Unprovable)),
        form(
            "reply-proof",
            &Reply::Proof(Box::new(crate::proofs::proof()), page().rows),
        ),
        form("reply-located", &Reply::Located(name)),
        form("reply-leases", &Reply::Leases(page())),
    ]
}
