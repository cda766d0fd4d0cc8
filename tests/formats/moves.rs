//! What two nodes say to each other, and keep, of an entry that moves.

use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::petition::Petition;
use kedge::index::journey::{Journey, Side, Stage};
use kedge::replication::wire::{Plea, PleaAnswer, PleaWord, Reply, Request};

use crate::proofs::proof;
use crate::samples::{Sample, child, form, root, uid};
use crate::world::{key, path};

fn petition() -> Petition {
    Petition {
        from: child().scope_uid(),
        from_path: path("api"),
        uid: uid(1),
        to: root().scope_uid(),
        to_path: path("eu-api"),
        not_after: Timestamp::from_millis(1_700_604_800_000),
        note: "the team moves".to_owned(),
        nonce: 9,
        author: key(4).public(),
    }
}

fn signed() -> Signed<Petition> {
    Signed::new(petition(), &key(4)).unwrap()
}

fn journey(side: Side, stage: Stage) -> Journey {
    Journey {
        side,
        petition: signed(),
        stage,
        said: "a reason".to_owned(),
        peer: (side == Side::Comes).then(|| key(51).public()),
        changed: Timestamp::from_millis(1_700_000_000_000),
    }
}

fn plea(word: PleaWord) -> Request {
    let petition = signed();
    Request::Plea(Box::new(Plea { petition, word }))
}

pub(crate) fn samples() -> Vec<Sample> {
    vec![
        form("petition", &petition()),
        form("journey-leaves", &journey(Side::Leaves, Stage::Queued)),
        form("journey-comes", &journey(Side::Comes, Stage::Refused)),
        form("request-plea-keep", &plea(PleaWord::Keep)),
        form(
            "request-plea-take",
            &plea(PleaWord::Take(b"a passage".to_vec())),
        ),
        form("request-plea-drop", &plea(PleaWord::Drop)),
        form("reply-plea-held", &Reply::Plea(PleaAnswer::Held)),
        form(
            "reply-plea-kept",
            &Reply::Plea(PleaAnswer::Kept(Box::new(proof()))),
        ),
        form(
            "reply-plea-arrived",
            &Reply::Plea(PleaAnswer::Arrived(Box::new(proof()))),
        ),
        form(
            "reply-plea-refused",
            &Reply::Plea(PleaAnswer::Refused("the path is taken".to_owned())),
        ),
    ]
}
