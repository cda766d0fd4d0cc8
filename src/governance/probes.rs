//! Callers that tests can tell apart, one of each kind, for comparing graphs of tests.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::base::identity::Identity;
use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;

use super::device::Shown;
use super::name_kinds::kinds_of_names;
use super::name_pattern::NamePattern;
use super::predicate::{Caller, Hours, MINUTES_PER_DAY, Predicate, Transport};
use super::verb::{Intent, VerbClass};

/// A word, and its class if the scope has one for it.
type Word = (String, Option<VerbClass>);

/// Values of each signal, one of every kind that tests can tell apart.
struct Signals {
    addresses: Vec<IpAddr>,
    transports: Vec<Transport>,
    times: Vec<Timestamp>,
    loads: Vec<u32>,
    kinds: Vec<RecordType>,
    verbs: Vec<Option<Word>>,
    names: Vec<Vec<Vec<u8>>>,
    keys: Vec<Option<Name>>,
    certificates: Vec<Option<Identity>>,
    /// Sets of scopes of which a device was shown.
    devices: Vec<Vec<ScopeUid>>,
}

/// Shows one caller of every kind that the tests can tell apart. Gives false, having shown none,
/// if there are more than `max`. The scope that judges is `judge`.
pub(super) fn each_caller(
    judge: ScopeUid,
    tests: &[&Predicate],
    max: usize,
    mut show: impl FnMut(&Caller<'_>),
) -> bool {
    let Some(signals) = Signals::of(judge, tests, max) else {
        return false;
    };
    if signals.count() > max {
        return false;
    }
    for name in &signals.names {
        let labels: Vec<&[u8]> = name.iter().map(Vec::as_slice).collect();
        for (key, said) in pairs(&signals.keys, &signals.devices) {
            for (verb, certificate) in pairs(&signals.verbs, &signals.certificates) {
                let caller = Caller {
                    verb: verb.as_ref().map(|(name, class)| Intent {
                        name,
                        class: *class,
                    }),
                    name: Some(&labels),
                    key: key.as_ref(),
                    certificate: certificate.as_ref(),
                    judge: Some(judge),
                    devices: Shown {
                        presences: None,
                        said,
                    },
                    ..Caller::unknown(RecordType::new(0))
                };
                signals.each_question(&caller, &mut show);
            }
        }
    }
    true
}

impl Signals {
    /// None if there are too many kinds of names to be told.
    fn of(judge: ScopeUid, tests: &[&Predicate], max: usize) -> Option<Self> {
        let patterns = tests.iter().filter_map(|test| match test {
            Predicate::Name(pattern) => Some(pattern),
            _ => None,
        });
        let patterns: Vec<&NamePattern> = patterns.collect();
        let mut signals = Self {
            addresses: ["0.0.0.0", "255.255.255.255", "::", "ffff::"]
                .iter()
                .filter_map(|end| end.parse().ok())
                .collect(),
            transports: Transport::ALL.to_vec(),
            times: vec![Timestamp::from_millis(0)],
            loads: vec![0],
            kinds: vec![RecordType::new(0), RecordType::ANY],
            // Without a verb, and a verb of each class that no test names.
            verbs: vec![None],
            names: kinds_of_names(&patterns)?,
            keys: vec![None],
            certificates: vec![None],
            devices: vec![Vec::new()],
        };
        signals.add_verb("");
        for test in tests {
            match test {
                Predicate::Device(scope) => {
                    also_with(&mut signals.devices, scope.unwrap_or(judge), max);
                }
                test => signals.add(test),
            }
        }
        Some(signals)
    }

    fn add(&mut self, test: &Predicate) {
        match test {
            Predicate::Source(net) => self.addresses.extend(borders(net)),
            Predicate::Hours(hours) => self.times.extend(moments(*hours)),
            Predicate::Kinds(named) => self.kinds.extend(named),
            Predicate::Verb(name) => self.add_verb(name),
            Predicate::Load(most) => self.loads.extend([*most, most.saturating_add(1)]),
            Predicate::Key(name) => self.keys.push(Some(name.clone())),
            Predicate::Certificate(who) => self.certificates.push(Some(who.clone())),
            Predicate::Transport(_)
            | Predicate::Class(_)
            | Predicate::Name(_)
            | Predicate::Device(_) => {}
        }
    }

    fn add_verb(&mut self, name: &str) {
        let classes = VerbClass::ALL.into_iter().map(Some).chain([None]);
        let verb = |class| Some((name.to_owned(), class));
        self.verbs.extend(classes.map(verb));
    }

    fn count(&self) -> usize {
        [
            self.transports.len(),
            self.times.len(),
            self.loads.len(),
            self.kinds.len(),
            self.verbs.len(),
            self.names.len(),
            self.keys.len(),
            self.certificates.len(),
            self.devices.len(),
        ]
        .iter()
        .fold(self.addresses.len(), |product, count| {
            product.saturating_mul(*count)
        })
    }

    /// Every address, transport, time and type, with the rest as `caller` has it.
    fn each_question(&self, caller: &Caller<'_>, show: &mut impl FnMut(&Caller<'_>)) {
        for address in &self.addresses {
            for transport in &self.transports {
                for (time, load) in pairs(&self.times, &self.loads) {
                    for kind in &self.kinds {
                        show(&Caller {
                            address: Some(*address),
                            transport: Some(*transport),
                            time: Some(*time),
                            load: Some(*load),
                            kind: *kind,
                            ..*caller
                        });
                    }
                }
            }
        }
    }
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
