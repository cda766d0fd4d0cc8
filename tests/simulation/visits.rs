//! Anchors that come by one at a time and never meet: what they signed waits for the next one.

use std::collections::BTreeMap;
use std::sync::Arc;

use kedge::governance::policy::{Pace, Quorum};
use kedge::replication::ordering::{
    Action, Actions, Electorate, Kept, Mailbox, Malachite, Message, Row, SignGuard, Sitting,
};

use crate::table::{HEIGHT, PREV, Table, at};

type Plain = Sitting<Malachite, SignGuard>;

const DAY_MS: u64 = 86_400_000;

/// A mailbox that some mirror keeps, and the disks of the anchors.
struct Village {
    table: Table,
    mailbox: Mailbox,
    disks: BTreeMap<usize, Vec<Row>>,
    day: u64,
}

impl Village {
    fn new(weights: &[u32], quorum: Quorum) -> Self {
        let mut table = Table::new(weights, quorum);
        table.pace = Pace::Daily;
        let electorate = Electorate::new(&table.descriptor, (HEIGHT, PREV), &table.anchor(0));
        let mailbox = Mailbox::new(Arc::clone(&table.descriptor), Arc::new(electorate));
        Self {
            table,
            mailbox,
            disks: BTreeMap::new(),
            day: 0,
        }
    }

    /// One anchor starts, takes everything that is in the mailbox, lets timers run out that did
    /// while it was away, puts into the mailbox what it has to say, and stops. Whether the height
    /// is decided.
    fn visit(&mut self, seat: usize) -> bool {
        self.day += 1;
        let now = at(self.day * DAY_MS);
        let rows = self.disks.entry(seat).or_default().clone();
        let kept = Kept { rows };
        let opening = self.table.opening(&[seat], 0);
        let (mut sitting, actions) = Plain::open(opening, &kept, now);
        // What came while it was away is read before timers that ran out meanwhile count.
        self.follow(&mut sitting, seat, vec![actions]);
        for message in self.mailbox.hand_over() {
            let actions = sitting.receive(message, now).unwrap();
            self.follow(&mut sitting, seat, vec![actions]);
        }
        self.settle(&mut sitting, seat, Vec::new());
        for message in sitting.hand_over() {
            self.mailbox.take(message).unwrap();
        }
        matches!(self.mailbox.hand_over().first(), Some(Message::Decided(..)))
    }

    fn follow(&mut self, sitting: &mut Plain, seat: usize, mut queue: Vec<Actions>) {
        let now = at(self.day * DAY_MS);
        while let Some(Actions { rows, then }) = queue.pop() {
            self.disks.entry(seat).or_default().extend(rows);
            for action in then {
                queue.extend(match action {
                    Action::Make(anchor, round) => {
                        let tender = self.table.tender(anchor, now);
                        sitting.propose((anchor, round), tender, now).ok()
                    }
                    Action::Judge(tender) => Some(sitting.judged(&tender.digest(), true, now)),
                    _ => None,
                });
            }
        }
    }

    /// Lets timers run out until none is left that did.
    fn settle(&mut self, sitting: &mut Plain, seat: usize, queue: Vec<Actions>) {
        let now = at(self.day * DAY_MS);
        self.follow(sitting, seat, queue);
        while sitting.wakes_at().is_some_and(|wakes| wakes <= now) {
            let actions = sitting.due(now);
            self.follow(sitting, seat, vec![actions]);
        }
    }

    /// On which visit the height is decided, with the anchors coming in this order again and again.
    fn visits(mut self, order: &[usize]) -> usize {
        let visits = order.iter().cycle().take(200);
        let mut visits = visits.enumerate();
        visits
            .find(|(_, seat)| self.visit(**seat))
            .map_or(usize::MAX, |(at, _)| at + 1)
    }
}

fn visits(weights: &[u32], quorum: Quorum, order: &[usize]) -> usize {
    Village::new(weights, quorum).visits(order)
}

#[test]
fn four_anchors_that_never_meet_decide_on_the_fifth_visit() {
    assert_eq!(visits(&[1, 1, 1, 1], Quorum::Bft, &[0, 1, 2, 3]), 5);
    assert_eq!(visits(&[4, 3, 2, 2], Quorum::Bft, &[0, 1, 2, 3]), 5);
}

#[test]
fn who_is_always_away_is_not_missed() {
    assert_eq!(visits(&[1, 1, 1, 1], Quorum::Bft, &[0, 1, 2]), 5);
    assert_eq!(visits(&[1; 7], Quorum::Bft, &[0, 1, 2, 3, 4]), 9);
    assert_eq!(visits(&[1, 1, 1], Quorum::Majority, &[0, 1]), 3);
}

#[test]
fn others_may_come_before_the_proposer_does() {
    assert_eq!(visits(&[1, 1, 1, 1], Quorum::Bft, &[3, 2, 1, 0]), 8);
    assert_eq!(visits(&[1, 1, 1, 1], Quorum::Bft, &[1, 2, 0, 3]), 7);
}

#[test]
fn a_proposer_that_never_comes_costs_the_waits_of_one_round() {
    assert_eq!(visits(&[1, 1, 1, 1], Quorum::Bft, &[1, 2, 3]), 17);
}

#[test]
fn too_few_anchors_never_decide() {
    assert_eq!(visits(&[1, 1, 1, 1], Quorum::Bft, &[0, 1]), usize::MAX);
    assert_eq!(visits(&[1, 1, 1], Quorum::Bft, &[0, 1]), usize::MAX);
}
