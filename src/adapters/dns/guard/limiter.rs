//! `Limiter`: how many answers the clients of one network get in datagrams, which anybody can ask for
//! in their name.
//!
//! A bucket for each network and kind of answer, in a table of fixed size that all threads share. A
//! bucket is one number, the time until which its network has had answers in advance; it is read and
//! written without a lock.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ipnet::IpNet;

use crate::base::subscriber::network_of;
use crate::base::time::Timestamp;

/// Answers that may come at once after a silence: those of this long.
const WINDOW_US: u64 = 1_000_000;
const US_PER_SEC: u64 = 1_000_000;
/// Octets of an answer that count as one answer: a plain one of RFC 1035.
const OCTETS_OF_ONE: usize = 512;
/// What an answer counts at most; datagrams are not longer.
const COST_MAX: u64 = 4;
/// Sets of buckets, half a megabyte in all: far more networks than ask at the same time, and one that
/// loses its bucket gets no more than a new window.
const SETS: usize = 1 << 14;
const WAYS: usize = 4;
/// The lower bits of a bucket hold its time, in microseconds since the table began: nine years.
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Times that a bucket is tried while other threads change it.
const TRIES_MAX: usize = 8;

/// Answers a second to one network, by what they say; zero for any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// With or without records.
    pub answers_per_sec: u32,
    /// That there is no such name.
    pub nxdomain_per_sec: u32,
    /// Refusals and failures.
    pub errors_per_sec: u32,
}

/// The most that a rate may be: one a microsecond.
pub const RATE_MAX: u32 = 1_000_000;

/// How answers are limited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// How many.
    pub rates: Rates,
    /// Of the answers beyond, each how-manyeth is cut instead of dropped; zero for none.
    pub slip: u32,
    /// Networks without limits.
    pub exempt: Vec<IpNet>,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// It is sent.
    Whole,
    /// Only that there is one is sent.
    Cut,
    /// Nothing is sent.
    Dropped,
}

/// What an answer says, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Answer,
    NoName,
    Error,
}

impl Kind {
    /// That of a reply.
    fn of(reply: &[u8]) -> Self {
        match reply.get(3).map_or(0, |flags| flags & 0x0f) {
            0 => Self::Answer,
            3 => Self::NoName,
            _ => Self::Error,
        }
    }
}

/// The buckets and what fills them.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: Limits,
    buckets: Box<[AtomicU64]>,
    /// With a key of its own, so that nobody can choose networks that meet in one bucket.
    hasher: RandomState,
    began: Timestamp,
    beyond: AtomicU32,
}

impl Limiter {
    pub(super) fn new(limits: Limits, now: Timestamp) -> Self {
        Self {
            limits,
            buckets: (0..SETS * WAYS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            began: now,
            beyond: AtomicU32::new(0),
        }
    }

    /// Whether an address gets all that it asks for.
    pub(super) fn is_exempt(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.limits.exempt.iter().any(|net| net.contains(&address))
    }

    /// What becomes of a reply to an address that is not exempt.
    pub(super) fn judge(&self, reply: &[u8], to: IpAddr, now: Timestamp) -> Verdict {
        let rates = &self.limits.rates;
        let kind = Kind::of(reply);
        let rate = match kind {
            Kind::Answer => rates.answers_per_sec,
            Kind::NoName => rates.nxdomain_per_sec,
            Kind::Error => rates.errors_per_sec,
        };
        if rate == 0 {
            return Verdict::Whole;
        }
        let hash = self.hasher.hash_one((network_of(to), kind));
        if self.take(
            hash,
            each_us(rate) * cost(reply.len()),
            self.elapsed_us(now),
        ) {
            return Verdict::Whole;
        }
        let beyond = self.beyond.fetch_add(1, Ordering::Relaxed);
        if self.limits.slip > 0 && beyond.is_multiple_of(self.limits.slip) {
            Verdict::Cut
        } else {
            Verdict::Dropped
        }
    }

    fn elapsed_us(&self, now: Timestamp) -> u64 {
        let millis = now.as_millis().saturating_sub(self.began.as_millis());
        millis.wrapping_mul(1_000) & TIME_MASK
    }

    /// Takes out of the bucket of a hash; false if it is empty.
    fn take(&self, hash: u64, price_us: u64, now_us: u64) -> bool {
        let tag = hash >> TIME_BITS;
        for _ in 0..TRIES_MAX {
            let Some((bucket, word)) = self.bucket(hash, tag) else {
                return true;
            };
            let until = if word >> TIME_BITS == tag {
                word & TIME_MASK
            } else {
                0
            };
            let Some(until) = pay(until, price_us, now_us) else {
                return false;
            };
            let paid = tag << TIME_BITS | until & TIME_MASK;
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            if bucket
                .compare_exchange(word, paid, success, failure)
                .is_ok()
            {
                return true;
            }
        }
        false
    }

    /// The bucket with a tag, or the one of its set that is fullest.
    fn bucket(&self, hash: u64, tag: u64) -> Option<(&AtomicU64, u64)> {
        let begin = usize::try_from(hash).unwrap_or(usize::MAX) % SETS * WAYS;
        let set = self.buckets.get(begin..begin + WAYS)?;
        let mut best: Option<(&AtomicU64, u64)> = None;
        for bucket in set {
            let word = bucket.load(Ordering::Relaxed);
            if word >> TIME_BITS == tag {
                return Some((bucket, word));
            }
            if best.is_none_or(|(_, least)| word & TIME_MASK < least & TIME_MASK) {
                best = Some((bucket, word));
            }
        }
        best
    }
}

/// How long one answer takes at a rate.
fn each_us(rate: u32) -> u64 {
    US_PER_SEC / u64::from(rate.clamp(1, RATE_MAX))
}

/// What an answer of so many octets counts.
fn cost(octets: usize) -> u64 {
    let started = octets.div_ceil(OCTETS_OF_ONE);
    u64::try_from(started)
        .unwrap_or(COST_MAX)
        .clamp(1, COST_MAX)
}

/// Until when a network has had answers in advance after one more; none if it has had too many.
///
/// One that had less than a window of them gets one more, whatever it costs: no rate is so low that a
/// long answer never comes.
fn pay(until_us: u64, price_us: u64, now_us: u64) -> Option<u64> {
    let ahead = until_us.saturating_sub(now_us);
    // No payment leads farther: the clock went back, or the time of the table began anew.
    let jumped = ahead >= WINDOW_US + COST_MAX * US_PER_SEC;
    let from = if jumped { now_us } else { until_us.max(now_us) };
    (from - now_us < WINDOW_US).then(|| from.saturating_add(price_us))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME_ERROR: u8 = 3;

    fn limiter(answers_per_sec: u32, slip: u32) -> Limiter {
        let limits = Limits {
            rates: Rates {
                answers_per_sec,
                nxdomain_per_sec: answers_per_sec,
                errors_per_sec: 0,
            },
            slip,
            exempt: vec!["10.0.0.0/8".parse().unwrap()],
        };
        Limiter::new(limits, at(0))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_795_783_065_000 + millis)
    }

    fn reply(rcode: u8, octets: usize) -> Vec<u8> {
        let mut reply = vec![0; octets];
        reply[3] = rcode;
        reply
    }

    /// How many of so many answers at one moment are sent.
    fn whole(limiter: &Limiter, reply: &[u8], to: &str, millis: u64) -> usize {
        let to = to.parse().unwrap();
        let judged = (0..1_000).map(|_| limiter.judge(reply, to, at(millis)));
        judged.filter(|verdict| *verdict == Verdict::Whole).count()
    }

    #[test]
    fn a_network_gets_its_rate_and_others_theirs() {
        let limiter = limiter(100, 2);
        let small = reply(0, 60);
        assert_eq!(whole(&limiter, &small, "192.0.2.1", 0), 100);
        assert_eq!(whole(&limiter, &small, "192.0.2.200", 0), 0, "one network");
        assert_eq!(whole(&limiter, &small, "192.0.3.1", 0), 100);
        assert_eq!(whole(&limiter, &small, "2001:db8::1", 0), 100);
        assert_eq!(whole(&limiter, &small, "2001:db8:0:ff::1", 0), 0, "a /56");
        assert_eq!(whole(&limiter, &small, "2001:db8:0:100::1", 0), 100);
        assert_eq!(whole(&limiter, &small, "192.0.2.1", 500), 50);
        assert_eq!(whole(&limiter, &small, "192.0.2.1", 3_600_000), 100);
        assert!(limiter.is_exempt("::ffff:10.1.1.1".parse().unwrap()));
        assert!(!limiter.is_exempt("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn what_answers_say_is_counted_apart_and_long_ones_count_more() {
        let limiter = limiter(100, 0);
        assert_eq!(whole(&limiter, &reply(0, 1_232), "192.0.2.1", 0), 34);
        assert_eq!(
            whole(&limiter, &reply(NAME_ERROR, 512), "192.0.2.1", 0),
            100
        );
        assert_eq!(whole(&limiter, &reply(5, 60), "192.0.2.1", 0), 1_000);
    }

    #[test]
    fn of_what_is_beyond_some_is_cut() {
        for (slip, expected) in [(0, 0), (1, 990), (2, 495), (3, 330)] {
            let limiter = limiter(10, slip);
            let to = "192.0.2.1".parse().unwrap();
            let judged = (0..1_000).map(|_| limiter.judge(&reply(0, 60), to, at(0)));
            let cut = judged.filter(|verdict| *verdict == Verdict::Cut);
            assert_eq!(cut.count(), expected, "{slip}");
        }
    }

    #[test]
    fn a_clock_that_jumps_silences_nobody() {
        let limiter = limiter(100, 0);
        let small = reply(0, 60);
        assert_eq!(whole(&limiter, &small, "192.0.2.1", 86_400_000), 100);
        assert_eq!(whole(&limiter, &small, "192.0.2.1", 0), 100);
        assert_eq!(whole(&limiter, &small, "192.0.2.1", 0), 0);
    }

    #[test]
    fn many_networks_share_the_table_without_sharing_buckets() {
        let limiter = limiter(1, 0);
        let whole = (0..10_000_u32).filter(|net| {
            let to = IpAddr::V4((net << 8).into());
            limiter.judge(&reply(0, 60), to, at(0)) == Verdict::Whole
        });
        // Tags of sixteen bits are alike for few.
        assert!(whole.count() > 9_980);
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_is_sent_than_the_rate_and_one_window(
            rate in 1..=2_000_u32,
            octets in 12..=1_232_usize,
            gaps in proptest::collection::vec(0..40_u64, 1..2_000),
        ) {
            let price = each_us(rate) * cost(octets);
            let (mut until, mut now, mut sent) = (0, 0, 0_u64);
            for gap in gaps {
                now += gap * 1_000;
                if let Some(paid) = pay(until, price, now) {
                    prop_assert!(paid > until);
                    until = paid;
                    sent += price;
                }
            }
            prop_assert!(sent <= now + WINDOW_US + price, "{sent} in {now}");
        }

        #[test]
        fn who_stays_below_the_rate_gets_everything(
            rate in 1..=2_000_u32,
            count in 1..500_u64,
        ) {
            let price = each_us(rate);
            let mut until = 0;
            for nth in 0..count {
                let paid = pay(until, price, nth * price);
                prop_assert!(paid.is_some());
                until = paid.unwrap_or_default();
            }
        }

        #[test]
        fn whatever_a_bucket_holds_its_network_is_answered_soon(
            until in 0..=TIME_MASK,
            now in 0..=TIME_MASK,
            rate in 1..=2_000_u32,
        ) {
            let price = each_us(rate) * COST_MAX;
            let later = now.saturating_add(WINDOW_US + COST_MAX * US_PER_SEC);
            prop_assert!(pay(until, price, now).is_some() || pay(until, price, later).is_some());
        }
    }
}
