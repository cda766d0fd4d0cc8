//! Calls by nobody known, counted by where they come from, so that guessing and flooding cost their
//! sender more than the node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::subscriber::subscriber_of;

/// How long failures are remembered.
const WINDOW: Duration = Duration::from_mins(1);
/// Failures of one source in that time that are told why: a person who tries a few tokens needs
/// no more.
const EACH_MAX: u32 = 10;
/// The same of all sources together: each is a line in the audit log, and nobody may fill it.
const ALL_MAX: u32 = 300;
/// Sources at one time; the oldest makes room.
const SOURCES_MAX: usize = 4_096;
/// Failures since a time.
#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    count: u32,
}

impl Count {
    /// One more; whether that is too many.
    fn add(&mut self, now: Instant, max: u32) -> bool {
        if now.duration_since(self.since) >= WINDOW {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count > max
    }
}

/// Every source that failed of late.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    each: BTreeMap<IpAddr, Count>,
    all: Option<Count>,
}

impl Failures {
    /// Notes a failure. When there are too many, the time until they are forgotten.
    pub(super) fn note(&self, source: IpAddr, now: Instant) -> Option<Duration> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let source = subscriber_of(source);
        if !table.each.contains_key(&source) && table.each.len() >= SOURCES_MAX {
            table.make_room(now);
        }
        let fresh = Count {
            since: now,
            count: 0,
        };
        let each = table.each.entry(source).or_insert(fresh);
        let (too_many, since) = (each.add(now, EACH_MAX), each.since);
        if too_many {
            // What one source does too often is no burden on the others' account.
            return Some(WINDOW.saturating_sub(now.duration_since(since)));
        }
        let all = table.all.get_or_insert(fresh);
        let too_many = all.add(now, ALL_MAX);
        too_many.then(|| WINDOW.saturating_sub(now.duration_since(all.since)))
    }
}

impl Table {
    fn make_room(&mut self, now: Instant) {
        self.each
            .retain(|_, count| now.duration_since(count.since) < WINDOW);
        if self.each.len() < SOURCES_MAX {
            return;
        }
        let oldest = self.each.iter().min_by_key(|(_, count)| count.since);
        if let Some(oldest) = oldest.map(|(source, _)| *source) {
            self.each.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_that_fails_too_often_is_refused_for_a_while() {
        let (failures, now) = (Failures::default(), Instant::now());
        for _ in 0..EACH_MAX {
            assert_eq!(failures.note(address("192.0.2.1"), now), None);
        }
        let later = now + Duration::from_secs(20);
        let refused = failures.note(address("192.0.2.1"), later);
        assert_eq!(refused, Some(Duration::from_secs(40)));
        assert_eq!(failures.note(address("192.0.2.2"), later), None);
        assert_eq!(failures.note(address("192.0.2.1"), now + WINDOW), None);
    }

    #[test]
    fn addresses_of_one_customer_are_one_source() {
        let (failures, now) = (Failures::default(), Instant::now());
        for host in 0..EACH_MAX {
            let host = address(&format!("2001:db8::{host:x}"));
            assert_eq!(failures.note(host, now), None);
        }
        assert!(failures.note(address("2001:db8::ffff"), now).is_some());
        assert!(failures.note(address("2001:db8:0:1::1"), now).is_none());
    }

    #[test]
    fn all_sources_together_are_bounded_and_so_is_the_table() {
        let (failures, now) = (Failures::default(), Instant::now());
        let mut told = 0;
        for number in 0..u32::try_from(SOURCES_MAX).unwrap() + 100 {
            let source = IpAddr::from(number.to_be_bytes());
            told += u32::from(failures.note(source, now).is_none());
        }
        assert_eq!(told, ALL_MAX);
        assert_eq!(failures.0.lock().unwrap().each.len(), SOURCES_MAX);
        let later = now + WINDOW;
        assert_eq!(failures.note(address("192.0.2.1"), later), None);
        assert_eq!(failures.0.lock().unwrap().each.len(), 1);
    }
}
