//! Forms by which anchors decide a block: bids, certificates within a height, messages, the journal.

use kedge::base::canonical::Form;
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::time::Timestamp;
use kedge::governance::anchor::{AnchorId, SeatSignature};
use kedge::governance::certificate::{Certificate, Step, Vote};
use kedge::replication::ordering::{
    Bid, Entry, Evidence, GuardRow, Judged, Kind, Message, PrevoteCertificate, RoundCertificate,
    RoundKind, RoundVote, Row, SeatSigned, Tender, Timer, Wait,
};

use crate::samples::{Sample, anchors, block, body, digest, form, root};

const ROUND: u32 = 2;

pub(crate) fn samples() -> Vec<Sample> {
    let vote = Message::Vote(vote(0, Some(digest(9))));
    let round = Message::Round(round());
    let decided = Message::Decided(tender(), certificate());
    let bids = Evidence::Bids(bid(None), bid(Some(1)));
    let votes = Evidence::Votes(self::vote(0, None), self::vote(0, Some(digest(9))));
    let entry = |entry| Row::Entry(anchor(0), entry);
    vec![
        form("bid", &bid(Some(1)).object),
        form("tender", &tender()),
        form("prevotes", &prevotes()),
        form("round", &self::round()),
        form("ordering-bid", &Message::Bid(bid(None), tender())),
        form("ordering-vote", &vote),
        form("ordering-prevotes", &Message::Prevotes(prevotes())),
        form("ordering-round", &round),
        form("ordering-decided", &decided),
        form("evidence-bids", &bids),
        form("evidence-votes", &votes),
        form("guard", &guard()),
        form("journal-tender", &Row::Tender(tender())),
        form("journal-guard", &Row::Guard(guard())),
        form("journal-bid", &entry(Entry::Bid(bid(None)))),
        form("journal-vote", &entry(Entry::Vote(self::vote(1, None)))),
        form("journal-judged", &entry(Entry::Judged(judged()))),
        form("journal-prevotes", &entry(Entry::Prevotes(prevotes()))),
        form("journal-timed-out", &entry(Entry::TimedOut(timer()))),
        form(
            "journal-timer",
            &Row::Timer(anchor(2), timer(), Timestamp::from_millis(1_700)),
        ),
    ]
}

fn anchor(seat: usize) -> AnchorId {
    root().anchors.anchors().get(seat).unwrap().id
}

fn key_of(seat: usize) -> SecretKey {
    let key = root().anchors.anchors().get(seat).unwrap().vote_key;
    anchors().into_iter().find(|of| of.public() == key).unwrap()
}

fn tender() -> Tender {
    let mut block = block();
    block.body_root = Digest::of(&body());
    Tender::new(block, body()).unwrap()
}

fn bid(valid_round: Option<u32>) -> SeatSigned<Bid> {
    let tender = tender();
    let object = Bid {
        scope: tender.block().scope,
        descriptor: tender.block().descriptor,
        height: tender.block().height,
        round: ROUND,
        valid_round,
        block: tender.digest(),
        anchor: anchor(0),
    };
    let signature = key_of(0).sign(&object.to_bytes());
    SeatSigned { object, signature }
}

fn vote(seat: usize, block: Option<Digest>) -> SeatSigned<Vote> {
    let tender = tender();
    let object = Vote {
        scope: tender.block().scope,
        descriptor: tender.block().descriptor,
        height: tender.block().height,
        round: ROUND,
        step: Step::Prevote,
        block,
        anchor: anchor(seat),
    };
    let signature = key_of(seat).sign(&object.to_bytes());
    SeatSigned { object, signature }
}

fn signatures() -> Vec<SeatSignature> {
    let signed = |seat: u16| SeatSignature {
        seat,
        signature: vote(usize::from(seat), Some(digest(9))).signature,
    };
    (0..3).map(signed).collect()
}

fn prevotes() -> PrevoteCertificate {
    PrevoteCertificate {
        height: tender().block().height,
        round: ROUND,
        block: digest(9),
        signatures: signatures(),
    }
}

fn certificate() -> Certificate {
    let height = tender().block().height;
    Certificate::of((height, ROUND), tender().digest(), signatures())
}

fn round() -> RoundCertificate {
    let cast = |seat: u16, step, block| RoundVote {
        seat,
        step,
        block,
        signature: vote(usize::from(seat), block).signature,
    };
    RoundCertificate {
        height: tender().block().height,
        round: ROUND,
        kind: RoundKind::Skip,
        votes: vec![
            cast(0, Step::Prevote, None),
            cast(2, Step::Precommit, Some(digest(9))),
        ],
    }
}

fn guard() -> GuardRow {
    GuardRow {
        anchor: anchor(1),
        round: ROUND,
        kind: Kind::Precommit,
        value: Some(digest(9)),
    }
}

fn judged() -> Judged {
    Judged {
        round: ROUND,
        valid_round: Some(1),
        seat: 1,
        block: digest(9),
        valid: false,
    }
}

fn timer() -> Timer {
    Timer {
        round: ROUND,
        wait: Wait::Precommits,
    }
}

/// A message as one node sends it to another.
pub(crate) fn ordered() -> kedge::replication::wire::Request {
    kedge::replication::wire::Request::Order {
        scope: tender().block().scope,
        message: Box::new(Message::Bid(bid(None), tender())),
    }
}
