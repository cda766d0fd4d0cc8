//! Callers that tests can tell apart, one of each kind, for comparing graphs of tests.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::base::time::Timestamp;
use crate::namespace::rtype::RecordType;

use super::predicate::{Caller, MINUTES_PER_DAY, Predicate, Transport};
use super::verb::{Intent, Verb, VerbClass};

/// Shows one caller of every kind that the tests can tell apart. Gives false, having shown none,
/// if there are more than `max`.
pub(super) fn each_caller(
    tests: &[&Predicate],
    max: usize,
    mut show: impl FnMut(&Caller<'_>),
) -> bool {
    let mut addresses: Vec<Option<IpAddr>> = ["0.0.0.0", "255.255.255.255", "::", "ffff::"]
        .iter()
        .map(|end| end.parse().ok())
        .collect();
    let mut times = vec![Some(Timestamp::from_millis(0))];
    let mut kinds = vec![RecordType::new(0)];
    let mut verbs: Vec<Option<Verb>> = vec![None];
    // A verb of each class that no test names.
    verbs.extend(VerbClass::ALL.map(|class| {
        let name = String::new();
        Some(Verb { name, class })
    }));
    for test in tests {
        match test {
            Predicate::Source(net) => addresses.extend(borders(net).map(Some)),
            Predicate::Hours(hours) => {
                let minutes = [hours.from_minute, hours.to_minute].map(u64::from);
                for (minute, day) in minutes.iter().flat_map(|m| (0..7).map(move |day| (m, day))) {
                    for around in [minute.saturating_sub(1), *minute] {
                        let millis = (day * u64::from(MINUTES_PER_DAY) + around) * 60_000;
                        times.push(Some(Timestamp::from_millis(millis)));
                    }
                }
            }
            Predicate::Kinds(named) => kinds.extend(named),
            Predicate::Verb(name) => verbs.extend(VerbClass::ALL.map(|class| {
                let name = name.clone();
                Some(Verb { name, class })
            })),
            Predicate::Transport(_) | Predicate::Class(_) => {}
        }
    }
    let transports = [Transport::Udp, Transport::Tcp];
    let counts = [times.len(), kinds.len(), verbs.len(), transports.len()];
    let count = counts.iter().fold(addresses.len(), |product, count| {
        product.saturating_mul(*count)
    });
    if count > max {
        return false;
    }
    for address in &addresses {
        for time in &times {
            for kind in &kinds {
                for verb in &verbs {
                    for transport in transports {
                        show(&Caller {
                            address: *address,
                            transport: Some(transport),
                            time: *time,
                            kind: *kind,
                            verb: verb.as_ref().map(|verb| Intent {
                                name: &verb.name,
                                class: Some(verb.class),
                            }),
                        });
                    }
                }
            }
        }
    }
    true
}

/// The first and last address of a prefix and their neighbours outside.
fn borders(net: &IpNet) -> [IpAddr; 4] {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            let around = [first.saturating_sub(1), first, last, last.saturating_add(1)];
            around.map(|bits| IpAddr::V4(bits.into()))
        }
        IpNet::V6(net) => {
            let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
            let around = [first.saturating_sub(1), first, last, last.saturating_add(1)];
            around.map(|bits| IpAddr::V6(bits.into()))
        }
    }
}
