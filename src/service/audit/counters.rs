//! What is too frequent for a record each: counted, and recorded from time to time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::IpNet;

use crate::governance::access::Verdict;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;

use super::record::Event;

/// Counters at one time; whoever asks from more places shares the last one.
const COUNTERS_MAX: usize = 4_096;
/// Callers are counted by network: one client alone shows, and many do not fill the counters.
const PREFIX_V4: u8 = 24;
/// As [`PREFIX_V4`]: what one customer usually gets.
const PREFIX_V6: u8 = 56;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Denied {
        scope: ScopeUid,
        verdict: Verdict,
        source: IpNet,
    },
    Consulted {
        suffix: Name,
        answered: bool,
    },
    Strangers {
        source: IpNet,
    },
}

/// Counters that questions never wait for.
#[derive(Debug, Default)]
pub(super) struct Counters {
    counts: Mutex<BTreeMap<Key, u64>>,
    /// What found the counters in use or full.
    rest: AtomicU64,
}

impl Counters {
    pub(super) fn denied(&self, scope: ScopeUid, verdict: Verdict, caller: IpAddr) {
        let source = network(caller);
        self.count(Key::Denied {
            scope,
            verdict,
            source,
        });
    }

    pub(super) fn strangers(&self, caller: IpAddr) {
        let source = network(caller);
        self.count(Key::Strangers { source });
    }

    pub(super) fn consulted(&self, suffix: &Name, answered: bool) {
        self.count(Key::Consulted {
            suffix: suffix.clone(),
            answered,
        });
    }

    fn count(&self, key: Key) {
        if let Ok(mut counts) = self.counts.try_lock() {
            let is_full = counts.len() >= COUNTERS_MAX;
            if let Some(count) = counts.get_mut(&key) {
                *count += 1;
                return;
            }
            if !is_full {
                counts.insert(key, 1);
                return;
            }
        }
        self.rest.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted since the last time.
    pub(super) fn take(&self) -> Vec<Event> {
        let counts = match self.counts.lock() {
            Ok(mut counts) => std::mem::take(&mut *counts),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        };
        let mut events: Vec<Event> = counts.into_iter().map(event).collect();
        let count = self.rest.swap(0, Ordering::Relaxed);
        if count > 0 {
            events.push(Event::Uncounted { count });
        }
        events
    }
}

fn network(caller: IpAddr) -> IpNet {
    let prefix = match caller {
        IpAddr::V4(_) => PREFIX_V4,
        IpAddr::V6(_) => PREFIX_V6,
    };
    IpNet::new(caller, prefix).map_or(caller.into(), |net| net.trunc())
}

fn event((key, count): (Key, u64)) -> Event {
    match key {
        Key::Denied {
            scope,
            verdict,
            source,
        } => Event::Denied {
            scope: scope.to_string(),
            verdict: verdict.to_string(),
            source: source.to_string(),
            count,
        },
        Key::Strangers { source } => Event::Strangers {
            source: source.to_string(),
            count,
        },
        Key::Consulted { suffix, answered } => Event::Consulted {
            suffix: suffix.to_string(),
            answered,
            count,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;

    #[test]
    fn callers_are_counted_by_network_within_a_bound() {
        let counters = Counters::default();
        let scope = ScopeUid::new(Digest::ZERO);
        for caller in ["10.1.2.3", "10.1.2.4", "10.1.3.4", "2001:db8::1"] {
            counters.denied(scope, Verdict::Hide, caller.parse().unwrap());
        }
        counters.denied(scope, Verdict::Refuse, "10.1.2.3".parse().unwrap());
        let events = counters.take();
        assert_eq!(events.len(), 4);
        assert!(events.iter().any(|event| matches!(event,
            Event::Denied { source, verdict, count: 2, .. }
                if source == "10.1.2.0/24" && verdict == "hide")));
        assert!(counters.take().is_empty());
        for number in 0..u32::try_from(COUNTERS_MAX).unwrap() + 5 {
            let caller = IpAddr::from((number << 8).to_be_bytes());
            counters.denied(scope, Verdict::Hide, caller);
        }
        let events = counters.take();
        assert_eq!(events.len(), COUNTERS_MAX + 1);
        assert_eq!(events.last(), Some(&Event::Uncounted { count: 5 }));
    }
}
