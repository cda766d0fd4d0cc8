//! Sittings by hand: the quiet course, one node alone, a restart, liars, an old disk.

use std::collections::VecDeque;
use std::sync::Arc;

use kedge::base::canonical::Form;
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::limits::NOTE_BYTES_MAX;
use kedge::base::signed::Signed;
use kedge::governance::block::{Block, Body, Decided, Fate};
use kedge::governance::certificate::{Certificate, Step, Vote};
use kedge::governance::policy::{Class, Quorum};
use kedge::governance::proposal::Proposal;
use kedge::replication::ordering::{
    Action, Actions, Bid, Electorate, Entry, Evidence, Kept, Mailbox, Malachite, Message,
    NotChecked, NotTaken, Row, SeatSigned, SignGuard, Sitting, Standing,
    TENDER_BYTES_PER_ANCHOR_MAX, Tender,
};

use crate::table::{HEIGHT, PREV, Table, at};

type Plain = Sitting<Malachite, SignGuard>;

/// What one node did, with every wish of its sitting fulfilled at once.
#[derive(Default)]
struct Seen {
    rows: Vec<Row>,
    published: Vec<Message>,
    decided: Option<(Tender, Certificate)>,
    evidence: Vec<Evidence>,
    sat_out: usize,
}

impl Seen {
    fn follow(&mut self, table: &Table, sitting: &mut Plain, actions: Actions) {
        let mut queue = VecDeque::from([actions]);
        while let Some(actions) = queue.pop_front() {
            self.rows.extend(actions.rows);
            let ends = |action: &Action| matches!(action, Action::Decided(..));
            let end = actions.then.iter().position(ends);
            assert!(end.is_none_or(|end| end + 1 == actions.then.len()));
            for action in actions.then {
                match action {
                    Action::Make(anchor, round) => {
                        let tender = table.tender(anchor, at(u64::from(round)));
                        queue.extend(sitting.propose((anchor, round), tender, at(0)));
                    }
                    Action::Judge(tender) => {
                        queue.push_back(sitting.judged(&tender.digest(), true, at(0)));
                    }
                    Action::Publish(message) => self.published.push(message),
                    Action::Decided(tender, certificate) => {
                        self.decided = Some((tender, certificate));
                    }
                    Action::Evidence(evidence) => self.evidence.push(evidence),
                    Action::SitsOut(..) => self.sat_out += 1,
                }
            }
        }
    }

    fn receive(&mut self, table: &Table, sitting: &mut Plain, message: &Message) {
        let actions = sitting.receive(message.clone(), at(0)).unwrap();
        self.follow(table, sitting, actions);
    }
}

fn open(table: &Table, seats: &[usize]) -> (Plain, Seen) {
    let (mut sitting, actions) = Plain::open(table.opening(seats, 0), &Kept::default(), at(0));
    let mut seen = Seen::default();
    seen.follow(table, &mut sitting, actions);
    (sitting, seen)
}

/// Delivers everything to everybody until nobody says anything new.
fn talk(table: &Table, nodes: &mut [(Plain, Seen)]) {
    let mut told = vec![0; nodes.len()];
    loop {
        let at = (0..nodes.len()).find(|at| told[*at] < nodes[*at].1.published.len());
        let Some(from) = at else { return };
        let message = nodes[from].1.published[told[from]].clone();
        told[from] += 1;
        for (to, (sitting, seen)) in nodes.iter_mut().enumerate() {
            if to != from {
                seen.receive(table, sitting, &message);
            }
        }
    }
}

#[test]
fn four_anchors_decide_one_block_without_a_timer() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let mut nodes: Vec<_> = (0..4).map(|seat| open(&table, &[seat])).collect();
    talk(&table, &mut nodes);
    for (sitting, seen) in &nodes {
        let (tender, certificate) = seen.decided.clone().unwrap();
        certificate
            .verify(tender.block(), &table.descriptor)
            .unwrap();
        assert_eq!(certificate.round, 0);
        assert_eq!(
            tender.digest(),
            nodes[0].1.decided.as_ref().unwrap().0.digest()
        );
        assert!(sitting.is_over() && sitting.wakes_at().is_none());
    }
}

#[test]
fn the_vote_that_decides_is_said_before_the_sitting_ends() {
    let table = Table::new(&[1, 1, 1], Quorum::Majority);
    let mut nodes: Vec<_> = (0..2).map(|seat| open(&table, &[seat])).collect();
    let (proposer, other) = (0, 1);
    for message in nodes[proposer].1.published.clone() {
        let (sitting, seen) = &mut nodes[other];
        seen.receive(&table, sitting, &message);
    }
    // The last of its words comes first: the prevote makes the proposer precommit and decide at once.
    for message in nodes[other].1.published.clone().iter().rev() {
        let (sitting, seen) = &mut nodes[proposer];
        seen.receive(&table, sitting, message);
    }
    let seen = &nodes[proposer].1;
    assert!(seen.decided.is_some());
    let is_precommit =
        |said: &Message| matches!(said, Message::Vote(vote) if vote.object.step == Step::Precommit);
    assert!(seen.published.iter().any(is_precommit));
}

#[test]
fn an_anchor_alone_decides_at_once_with_the_certificate_of_today() {
    let table = Table::new(&[3], Quorum::Bft);
    let (_, seen) = open(&table, &[0]);
    let (tender, certificate) = seen.decided.unwrap();
    let today = Certificate::sign(tender.block(), &table.descriptor, &table.keys).unwrap();
    assert_eq!(certificate, today);
}

#[test]
fn a_node_with_the_seats_of_a_quorum_needs_nobody() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (_, seen) = open(&table, &[0, 1, 2]);
    assert_eq!(seen.decided.unwrap().1.signatures.len(), 3);
    let (_, seen) = open(&table, &[0, 1]);
    assert!(seen.decided.is_none());
}

#[test]
fn a_node_that_starts_again_says_the_same_and_nothing_else() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (_, before) = open(&table, &[0]);
    assert_eq!(before.published.len(), 2, "a bid and a prevote");
    let kept = Kept {
        rows: before.rows.clone(),
    };
    let (mut sitting, actions) = Plain::open(table.opening(&[0], 0), &kept, at(9));
    let mut after = Seen::default();
    after.follow(&table, &mut sitting, actions);
    for message in &before.published {
        assert!(after.published.contains(message));
    }
    let said = sitting.hand_over();
    assert!(
        before
            .published
            .iter()
            .all(|message| said.contains(message))
    );
    let guards = |rows: &[Row]| {
        rows.iter()
            .filter(|row| matches!(row, Row::Guard(_)))
            .count()
    };
    assert_eq!((guards(&before.rows), guards(&after.rows)), (2, 0));
    // Every prefix of what was stored is a state that the node can go on from.
    for length in 0..kept.rows.len() {
        let torn = Kept {
            rows: kept.rows[..length].to_vec(),
        };
        let (mut sitting, actions) = Plain::open(table.opening(&[0], 0), &torn, at(9));
        let mut after = Seen::default();
        after.follow(&table, &mut sitting, actions);
        assert_eq!(after.sat_out, 0, "after {length} rows");
        assert_eq!(after.published.len(), 2, "after {length} rows");
    }
}

#[test]
fn what_one_seat_took_in_the_other_is_told_after_a_start() {
    let table = Table::new(&[1, 1, 1], Quorum::Bft);
    let (mut sitting, mut seen) = open(&table, &[0, 1]);
    let (mut other, mut heard) = open(&table, &[2]);
    for message in seen.published.clone() {
        heard.receive(&table, &mut other, &message);
    }
    let prevote = heard.published.iter().find_map(|message| match message {
        Message::Vote(vote) if vote.object.step == Step::Prevote => Some(message.clone()),
        _ => None,
    });
    let before = seen.rows.len();
    seen.receive(&table, &mut sitting, &prevote.clone().unwrap());
    // The second seat's share of that step never reached the disk.
    let (first, second) = (table.anchor(0), table.anchor(1));
    let is_of_second = |row: &Row| match row {
        Row::Guard(guard) => guard.anchor == second,
        Row::Entry(anchor, Entry::Vote(vote)) => *anchor == second || vote.object.anchor == second,
        Row::Entry(anchor, _) | Row::Timer(anchor, ..) => *anchor == second,
        Row::Tender(_) => false,
    };
    let (old, new) = seen.rows.split_at(before);
    let new = new.iter().filter(|row| !is_of_second(row));
    let rows: Vec<Row> = old.iter().chain(new).cloned().collect();
    let took = |row: &&Row| matches!(row, Row::Entry(anchor, _) if *anchor == first);
    assert!(rows[before..].iter().any(|row| took(&row)));
    let (mut again, actions) = Plain::open(table.opening(&[0, 1], 0), &Kept { rows }, at(0));
    let mut said = Seen::default();
    said.follow(&table, &mut again, actions);
    said.receive(&table, &mut again, &prevote.unwrap());
    let decides = |message: &Message| match message {
        Message::Vote(vote) => {
            (vote.object.anchor, vote.object.step) == (second, Step::Precommit)
                && vote.object.block.is_some()
        }
        _ => false,
    };
    assert!(said.published.iter().any(decides), "{:?}", said.published);
    assert_eq!(said.sat_out, 0);
}

#[test]
fn rows_without_their_journal_keep_the_seat_from_voting() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (_, before) = open(&table, &[0]);
    let only_guards = before
        .rows
        .into_iter()
        .filter(|row| matches!(row, Row::Guard(_)));
    let kept = Kept {
        rows: only_guards.collect(),
    };
    let (mut sitting, actions) = Plain::open(table.opening(&[0], 0), &kept, at(9));
    let mut after = Seen::default();
    after.follow(&table, &mut sitting, actions);
    assert_eq!((after.sat_out, after.published.len()), (1, 0));
}

#[test]
fn a_disk_that_may_be_old_follows_and_does_not_vote() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let mut nodes: Vec<_> = (0..3).map(|seat| open(&table, &[seat])).collect();
    let mut opening = table.opening(&[3], 0);
    opening.standing = Standing::Doubted(Some(HEIGHT));
    let (sitting, actions) = Plain::open(opening, &Kept::default(), at(0));
    assert!(actions.then.is_empty());
    nodes.push((sitting, Seen::default()));
    talk(&table, &mut nodes);
    assert!(nodes[3].1.published.is_empty());
    assert!(nodes[3].1.decided.is_some(), "the others' votes decide");
}

fn vote_of(table: &Table, seat: usize, block: Option<Digest>) -> SeatSigned<Vote> {
    let object = Vote {
        scope: table.descriptor.scope_uid(),
        descriptor: table.descriptor.digest(),
        height: HEIGHT,
        round: 0,
        step: Step::Prevote,
        block,
        anchor: table.anchor(seat),
    };
    let signature = table.keys[seat].sign(&object.to_bytes());
    SeatSigned { object, signature }
}

#[test]
fn two_votes_convict_their_anchor_once() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (mut sitting, mut seen) = open(&table, &[0]);
    let blocks = [
        None,
        Some(Digest::of_bytes("a", b"")),
        Some(Digest::of_bytes("b", b"")),
    ];
    for block in blocks.into_iter().chain(blocks) {
        let message = Message::Vote(vote_of(&table, 1, block));
        seen.receive(&table, &mut sitting, &message);
    }
    assert_eq!(seen.evidence.len(), 1);
    assert!(seen.evidence[0].contradicts());
    assert_eq!(
        Evidence::from_bytes(&seen.evidence[0].to_bytes()),
        Ok(seen.evidence[0].clone())
    );
    let votes = |message: &&Message| matches!(message, Message::Vote(vote) if vote.object.anchor == table.anchor(1));
    assert_eq!(sitting.hand_over().iter().filter(votes).count(), 2);
}

#[test]
fn what_is_not_what_it_claims_to_be_is_refused() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (mut sitting, seen) = open(&table, &[0]);
    let mut refused = |message: Message| match sitting.receive(message, at(0)) {
        Err(NotTaken::NotChecked(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut vote = vote_of(&table, 1, None);
    vote.signature = vote_of(&table, 2, None).signature;
    assert_eq!(refused(Message::Vote(vote)), NotChecked::Signature);
    let mut vote = vote_of(&table, 1, None);
    vote.object.height += 1;
    assert_eq!(refused(Message::Vote(vote)), NotChecked::Elsewhere);
    let stranger = SecretKey::from_seed(&[99; 32]);
    let mut vote = vote_of(&table, 1, None);
    vote.object.anchor = kedge::governance::anchor::AnchorId::of_first_key(&stranger.public());
    assert_eq!(refused(Message::Vote(vote)), NotChecked::Stranger);
    // Seat 1 offers what seat 0 should.
    let (bid, tender) = seen
        .published
        .iter()
        .find_map(|message| match message {
            Message::Bid(bid, tender) => Some((bid.object.clone(), tender.clone())),
            _ => None,
        })
        .unwrap();
    let mut object = bid;
    object.anchor = table.anchor(1);
    let signature = table.keys[1].sign(&object.to_bytes());
    let bid = SeatSigned { object, signature };
    assert_eq!(refused(Message::Bid(bid, tender)), NotChecked::Turn);
}

#[test]
fn votes_of_rounds_far_ahead_are_not_kept() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (mut sitting, _) = open(&table, &[0]);
    let before = sitting.hand_over().len();
    for round in [11, 1_000, u32::MAX] {
        let mut object = vote_of(&table, 1, None).object;
        object.round = round;
        let signature = table.keys[1].sign(&object.to_bytes());
        let vote = SeatSigned { object, signature };
        let actions = sitting.receive(Message::Vote(vote), at(0)).unwrap();
        assert!(actions.then.is_empty() && actions.rows.is_empty());
    }
    assert_eq!(sitting.hand_over().len(), before);
}

/// A bid of seat 0 and its block, as another node hears it.
fn heard_bid(table: &Table) -> (Message, Digest) {
    let (_, seen) = open(table, &[0]);
    let mut published = seen.published.into_iter();
    let bid = published.find_map(|message| match message {
        Message::Bid(bid, tender) => Some((tender.digest(), Message::Bid(bid, tender))),
        _ => None,
    });
    let (block, message) = bid.unwrap();
    (message, block)
}

#[test]
fn a_block_that_may_not_be_decided_keeps_no_sitting() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (bid, block) = heard_bid(&table);
    let (mut sitting, _) = open(&table, &[1]);
    assert!(!sitting.has_live_bid());
    drop(sitting.receive(bid, at(0)).unwrap());
    assert!(sitting.has_live_bid(), "it is not known yet");
    drop(sitting.judged(&block, false, at(0)));
    assert!(!sitting.has_live_bid());
    // A quorum that prevoted it knows better.
    for seat in [0, 2, 3] {
        let vote = Message::Vote(vote_of(&table, seat, Some(block)));
        drop(sitting.receive(vote, at(0)).unwrap());
    }
    assert!(sitting.has_live_bid());
}

#[test]
fn a_stored_wait_is_never_longer_than_a_new_one() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (sitting, seen) = open(&table, &[1]);
    let first = sitting.wakes_at().unwrap();
    // The clock was an hour ahead when the row was stored, and is set right now.
    let rows = seen.rows.into_iter().map(|row| match row {
        Row::Timer(anchor, timer, at) => Row::Timer(anchor, timer, at.plus_millis(3_600_000)),
        other => other,
    });
    let kept = Kept {
        rows: rows.collect(),
    };
    let (sitting, _) = Plain::open(table.opening(&[1], 0), &kept, at(0));
    assert_eq!(sitting.wakes_at(), Some(first));
}

#[test]
fn only_what_an_anchor_signed_is_vouched_for() {
    let table = Table::new(&[1, 1, 1, 1], Quorum::Bft);
    let (bid, _) = heard_bid(&table);
    let electorate = Electorate::new(&table.descriptor, (HEIGHT, PREV), &table.anchor(0));
    assert_eq!(electorate.vouches(&bid), Ok(()));
    let vote = vote_of(&table, 1, None);
    assert_eq!(electorate.vouches(&Message::Vote(vote.clone())), Ok(()));
    let forged = SeatSigned {
        signature: vote_of(&table, 2, None).signature,
        ..vote
    };
    let forged = Message::Vote(forged);
    assert_eq!(electorate.vouches(&forged), Err(NotChecked::Signature));
    let mut nodes: Vec<_> = (0..4).map(|seat| open(&table, &[seat])).collect();
    talk(&table, &mut nodes);
    for (_, seen) in &nodes {
        let (tender, mut certificate) = seen.decided.clone().unwrap();
        let decided = Message::Decided(tender.clone(), certificate.clone());
        assert_eq!(electorate.vouches(&decided), Ok(()));
        certificate.signatures.truncate(2);
        let decided = Message::Decided(tender, certificate);
        assert_eq!(electorate.vouches(&decided), Err(NotChecked::Weight));
    }
}

/// What seat 0 offers in a round: a block of so many proposals of a kilobyte.
fn bid_in(table: &Table, round: u32, count: usize) -> (Message, Digest) {
    let proposal = Proposal {
        scope: table.descriptor.scope_uid(),
        class: Class::Routine,
        ops: Vec::new(),
        preconditions: Vec::new(),
        author: table.keys[0].public(),
        nonce: u64::from(round),
        made: at(0),
        not_after: at(1),
        note: "x".repeat(NOTE_BYTES_MAX),
    };
    let decided = Decided {
        proposal: Signed::new(proposal, &table.keys[0]).unwrap(),
        fate: Fate::Passed,
        approvals: Vec::new(),
        seats: Vec::new(),
    };
    let body = Body {
        decided: vec![decided; count],
        ..Body::default()
    };
    let block = Block {
        body_root: Digest::of(&body),
        ..table.tender(table.anchor(0), at(0)).block().clone()
    };
    let tender = Tender::new(block, body).unwrap();
    let object = Bid {
        scope: table.descriptor.scope_uid(),
        descriptor: table.descriptor.digest(),
        height: HEIGHT,
        round,
        valid_round: None,
        block: tender.digest(),
        anchor: table.anchor(0),
    };
    let signature = table.keys[0].sign(&object.to_bytes());
    let digest = tender.digest();
    (
        Message::Bid(SeatSigned { object, signature }, tender),
        digest,
    )
}

#[test]
fn of_the_blocks_of_one_anchor_so_many_bytes_are_kept() {
    let table = Table::new(&[8, 1, 1, 1], Quorum::Bft);
    let electorate = Electorate::new(&table.descriptor, (HEIGHT, PREV), &table.anchor(0));
    let mut mailbox = Mailbox::new(Arc::clone(&table.descriptor), Arc::new(electorate.clone()));
    let rounds: Vec<u32> = (0..=10)
        .filter(|round| electorate.proposer(*round) == 0)
        .collect();
    let mut blocks = Vec::new();
    for round in rounds {
        // Two in each round: the second convicts it, and counts as well.
        for more in [0, 1] {
            let (message, block) = bid_in(&table, round, 700 - more);
            mailbox.take(message).unwrap();
            blocks.push(block);
        }
    }
    let held = |mailbox: &Mailbox| -> usize {
        let tenders = mailbox.tenders();
        tenders.map(|tender| tender.to_bytes().len()).sum()
    };
    assert!(held(&mailbox) <= TENDER_BYTES_PER_ANCHOR_MAX);
    assert!(
        mailbox.tender(blocks.last().unwrap()).is_some(),
        "the newest is kept"
    );
}
