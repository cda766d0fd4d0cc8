//! Callers that tests can tell apart, one of each kind, for comparing graphs of tests.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::base::time::Timestamp;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;

use super::device::Shown;
use super::predicate::{Caller, Hours, MINUTES_PER_DAY, Predicate, Transport};
use super::verb::{Intent, Verb, VerbClass};

/// Shows one caller of every kind that the tests can tell apart. Gives false, having shown none,
/// if there are more than `max`. The scope that judges is `judge`.
pub(super) fn each_caller(
    judge: ScopeUid,
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
    let mut devices: Vec<Vec<ScopeUid>> = vec![Vec::new()];
    for test in tests {
        match test {
            Predicate::Source(net) => addresses.extend(borders(net).map(Some)),
            Predicate::Hours(hours) => times.extend(moments(*hours).map(Some)),
            Predicate::Kinds(named) => kinds.extend(named),
            Predicate::Verb(name) => verbs.extend(VerbClass::ALL.map(|class| {
                let name = name.clone();
                Some(Verb { name, class })
            })),
            Predicate::Device(scope) => also_with(&mut devices, scope.unwrap_or(judge), max),
            Predicate::Transport(_) | Predicate::Class(_) => {}
        }
    }
    let transports = [Transport::Udp, Transport::Tcp];
    let counts = [
        times.len(),
        kinds.len(),
        verbs.len(),
        transports.len(),
        devices.len(),
    ];
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
                    for (transport, said) in pairs(&transports, &devices) {
                        show(&Caller {
                            address: *address,
                            transport: Some(*transport),
                            time: *time,
                            kind: *kind,
                            verb: verb.as_ref().map(|verb| Intent {
                                name: &verb.name,
                                class: Some(verb.class),
                            }),
                            judge: Some(judge),
                            devices: Shown {
                                presences: None,
                                said,
                            },
                        });
                    }
                }
            }
        }
    }
    true
}

/// The minutes at both ends of some hours and those before them, on every day.
fn moments(hours: Hours) -> impl Iterator<Item = Timestamp> + use<> {
    let ends = [hours.from_minute, hours.to_minute].map(u64::from);
    let around = ends.map(|minute| [minute.saturating_sub(1), minute]);
    let minutes = around.into_iter().flatten();
    minutes.flat_map(|minute| {
        (0..7).map(move |day| {
            Timestamp::from_millis((day * u64::from(MINUTES_PER_DAY) + minute) * 60_000)
        })
    })
}

fn pairs<'p, A, B>(these: &'p [A], those: &'p [B]) -> impl Iterator<Item = (&'p A, &'p B)> {
    let with = move |this| those.iter().map(move |that| (this, that));
    these.iter().flat_map(with)
}

/// Every set of scopes once more with one scope in it; no more than `max` need to be told apart.
fn also_with(sets: &mut Vec<Vec<ScopeUid>>, scope: ScopeUid, max: usize) {
    if sets.len() > max || sets.iter().any(|set| set.contains(&scope)) {
        return;
    }
    let with = |set: &Vec<ScopeUid>| [set.as_slice(), &[scope]].concat();
    let more: Vec<_> = sets.iter().map(with).collect();
    sets.extend(more);
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
