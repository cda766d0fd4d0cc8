//! `Journal`: the leases in force in the order in which they last changed, for nodes that hold the
//! same scopes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::base::keys::PublicKey;
use crate::base::signed::Signed;
use crate::governance::lease::Lease;
use crate::index::held_lease::LeaseKey;
use crate::namespace::instance_name::InstanceLabel;
use crate::namespace::uid::Uid;
use crate::replication::wire::{LEASES_PER_PAGE_MAX, LeaseMark, LeasePage, LeaseRow};

/// A lease with whom it came from.
#[derive(Debug)]
struct Row {
    key: LeaseKey,
    said: LeaseRow,
    /// The peer that brought it; none if its announcer did.
    from: Option<PublicKey>,
}

#[derive(Debug, Default)]
struct Rows {
    by_number: BTreeMap<u64, Row>,
    numbers: BTreeMap<Uid, BTreeMap<InstanceLabel, u64>>,
    last: u64,
}

impl Rows {
    fn take_out(&mut self, (service, instance): &LeaseKey) -> Option<Row> {
        let of_service = self.numbers.get_mut(service)?;
        let number = of_service.remove(instance)?;
        if of_service.is_empty() {
            self.numbers.remove(service);
        }
        self.by_number.remove(&number)
    }

    fn row(&self, (service, instance): &LeaseKey) -> Option<&Row> {
        let number = self.numbers.get(service)?.get(instance)?;
        self.by_number.get(number)
    }

    fn put_last(&mut self, row: Row) {
        self.last += 1;
        let (service, instance) = row.key.clone();
        let of_service = self.numbers.entry(service).or_default();
        of_service.insert(instance, self.last);
        self.by_number.insert(self.last, row);
    }
}

/// What a node's peers read of its leases.
#[derive(Debug)]
pub(super) struct Journal {
    id: u64,
    rows: Mutex<Rows>,
    changed: Notify,
}

impl Journal {
    /// An empty one, told apart by its id from those that a node had before it started anew.
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            rows: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a lease that is in force.
    pub(super) fn put(&self, lease: Signed<Lease>, from: Option<PublicKey>) {
        let next = lease.unverified();
        let key = (next.service, next.instance.clone());
        let mut rows = self.rows();
        let before = rows.take_out(&key);
        let works = before.and_then(|before| {
            let held = before.said.lease.unverified();
            let same = (held.address, held.port) == (next.address, next.port);
            before
                .said
                .works
                .filter(|_| same && held.check == next.check)
        });
        let said = LeaseRow { lease, works };
        rows.put_last(Row { key, said, from });
        drop(rows);
        self.changed.notify_one();
    }

    /// Notes what this node's own checks find of an instance.
    pub(super) fn note_works(&self, key: &LeaseKey, works: Option<bool>) {
        let mut rows = self.rows();
        if rows.row(key).is_none_or(|held| held.said.works == works) {
            return;
        }
        if let Some(mut row) = rows.take_out(key) {
            row.said.works = works;
            rows.put_last(row);
        }
        drop(rows);
        self.changed.notify_one();
    }

    /// Forgets a lease that need not be remembered, or is no longer in force.
    pub(super) fn remove(&self, key: &LeaseKey) {
        self.rows().take_out(key);
    }

    /// Where it ends.
    pub(super) fn mark(&self) -> LeaseMark {
        let number = self.rows().last;
        LeaseMark {
            journal: self.id,
            number,
        }
    }

    /// What changed after a place, but for what came from the peer that reads it.
    pub(super) fn page(&self, after: LeaseMark, reader: &PublicKey) -> LeasePage {
        let rows = self.rows();
        let from = if after.journal == self.id {
            after.number.min(rows.last)
        } else {
            0
        };
        let mut page = Vec::new();
        let mut number = rows.last;
        let mut is_last = true;
        for (at, row) in rows.by_number.range(from.saturating_add(1)..) {
            if page.len() >= LEASES_PER_PAGE_MAX {
                is_last = false;
                break;
            }
            if row.from.as_ref() != Some(reader) || row.said.works.is_some() {
                page.push(row.said.clone());
            }
            number = *at;
        }
        if is_last {
            number = rows.last;
        }
        LeasePage {
            upto: LeaseMark {
                journal: self.id,
                number,
            },
            is_last,
            rows: page,
        }
    }

    /// The leases of one service, those that are up first, as many as one page holds. Those that are
    /// over say what the last one was.
    pub(super) fn of_service(&self, service: Uid) -> Vec<LeaseRow> {
        let rows = self.rows();
        let of_service = rows.numbers.get(&service).into_iter().flatten();
        let of_service = of_service.filter_map(|(_, number)| rows.by_number.get(number));
        let mut of_service: Vec<&Row> = of_service.collect();
        of_service.sort_by_key(|row| {
            let said = row.said.lease.unverified();
            (said.condition, Reverse(said.expires))
        });
        let first = of_service.into_iter().take(LEASES_PER_PAGE_MAX);
        first.map(|row| row.said.clone()).collect()
    }

    /// Waits until something changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::base::digest::Digest;
    use crate::base::keys::SecretKey;
    use crate::base::time::Timestamp;
    use crate::governance::lease::{Check, Condition};
    use crate::namespace::scope::ScopeUid;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn lease(number: usize, sequence: u64) -> Signed<Lease> {
        let lease = Lease {
            scope: ScopeUid::new(Digest::from_bytes([1; 32])),
            service: Uid::from_bytes([7; 16]),
            instance: format!("i{number}").parse().unwrap(),
            address: IpAddr::from([10, 0, 0, 1]),
            port: 80,
            weight: 1,
            region: String::new(),
            condition: Condition::Up,
            check: Check::Tcp,
            sequence,
            issued: Timestamp::from_millis(1),
            expires: Timestamp::from_millis(30_000),
            may_empty: false,
            key: key().public(),
        };
        Signed::new(lease, &key()).unwrap()
    }

    fn key_of(number: usize) -> LeaseKey {
        let lease = lease(number, 1);
        let said = lease.unverified();
        (said.service, said.instance.clone())
    }

    fn reader() -> PublicKey {
        SecretKey::from_seed(&[2; 32]).public()
    }

    /// Reads all that changed after a mark; gives the sequences by instance, and where it ends.
    fn read(
        journal: &Journal,
        mut mark: LeaseMark,
    ) -> (BTreeMap<String, (u64, Option<bool>)>, LeaseMark) {
        let mut read = BTreeMap::new();
        loop {
            let page = journal.page(mark, &reader());
            assert!(page.rows.len() <= LEASES_PER_PAGE_MAX);
            for row in page.rows {
                let said = row.lease.unverified();
                let label = said.instance.as_str().to_owned();
                read.insert(label, (said.sequence, row.works));
            }
            mark = page.upto;
            if page.is_last {
                return (read, mark);
            }
        }
    }

    #[test]
    fn whoever_reads_on_has_all_that_changed_and_nothing_twice() {
        let journal = Journal::new(5);
        let count = LEASES_PER_PAGE_MAX * 2 + 3;
        for number in 0..count {
            journal.put(lease(number, 1), None);
        }
        let (all, mark) = read(&journal, LeaseMark::default());
        assert_eq!(all.len(), count);
        assert_eq!(mark, journal.mark());
        assert!(read(&journal, mark).0.is_empty());
        journal.put(lease(7, 2), None);
        journal.put(lease(9, 2), None);
        journal.remove(&key_of(9));
        let (more, mark) = read(&journal, mark);
        assert_eq!(more, BTreeMap::from([("i7".to_owned(), (2, None))]));
        // Another journal's numbers say nothing.
        let before = LeaseMark { journal: 4, ..mark };
        assert_eq!(read(&journal, before).0.len(), count - 1);
        // Nor does a number that is beyond the end.
        let number = u64::MAX;
        assert!(read(&journal, LeaseMark { number, ..mark }).0.is_empty());
    }

    #[test]
    fn what_a_peer_brought_is_not_told_to_it_but_how_it_does_is() {
        let journal = Journal::new(5);
        journal.put(lease(1, 1), Some(reader()));
        let (none, mark) = read(&journal, LeaseMark::default());
        assert!(none.is_empty());
        for works in [false, true] {
            journal.note_works(&key_of(1), Some(works));
            let told = BTreeMap::from([("i1".to_owned(), (1, Some(works)))]);
            assert_eq!(read(&journal, mark).0, told);
        }
        // A renewal changes nothing of it; another check does.
        journal.put(lease(1, 2), None);
        assert_eq!(read(&journal, mark).0["i1"], (2, Some(true)));
        let other = Lease {
            check: Check::None,
            sequence: 3,
            ..lease(1, 2).unverified().clone()
        };
        journal.put(Signed::new(other, &key()).unwrap(), None);
        assert_eq!(read(&journal, mark).0["i1"], (3, None));
    }
}
