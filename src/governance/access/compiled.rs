//! `Compiled`: the tests of a graph about the caller itself, arranged so that a caller is looked up
//! once, and not compared with each of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::base::identity::Identity;
use crate::base::reach::Reach;
use crate::governance::predicate::{Caller, Predicate, Transport};
use crate::namespace::name::Name;

/// A set of tests, one bit for each: a graph has no more than there are bits.
type Tests = u64;

/// What is known of a caller before its question is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The tests whose signal is there.
    pub(super) known: Tests,
    /// Those of them that hold.
    pub(super) held: Tests,
}

/// Which tests hold for whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Compiled {
    sources: Kind<Ranges>,
    transports: Kind<[Tests; Transport::ALL.len()]>,
    keys: Kind<Vec<(Name, Tests)>>,
    certificates: Kind<Vec<(Identity, Tests)>>,
    devices: Tests,
}

/// The tests of one kind, and what tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Kind<T> {
    all: Tests,
    by_value: T,
}

/// Tests by address. A range begins where the one before it ends, and is the last one if none
/// follows; addresses below the first have none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Ranges {
    v4: Vec<(u32, Tests)>,
    v6: Vec<(u128, Tests)>,
}

impl Compiled {
    /// Arranges the tests of a graph, in their order.
    pub(super) fn new<'p>(tests: impl Iterator<Item = &'p Predicate>) -> Self {
        let mut compiled = Self::default();
        let mut nets = Vec::new();
        for (index, test) in tests.enumerate() {
            let bit = bit(index);
            match test {
                Predicate::Source(net) => {
                    compiled.sources.all |= bit;
                    nets.push((*net, bit));
                }
                Predicate::Transport(transport) => {
                    compiled.transports.all |= bit;
                    let tests = &mut compiled.transports.by_value;
                    if let Some(tests) = tests.get_mut(place(*transport)) {
                        *tests |= bit;
                    }
                }
                Predicate::Key(name) => compiled.keys.add(name, bit),
                Predicate::Certificate(identity) => compiled.certificates.add(identity, bit),
                Predicate::Device(_) => compiled.devices |= bit,
                Predicate::Hours(_)
                | Predicate::Kinds(_)
                | Predicate::Class(_)
                | Predicate::Verb(_)
                | Predicate::Name(_)
                | Predicate::Load(_) => {}
            }
        }
        compiled.sources.by_value = Ranges::new(&nets);
        compiled
    }

    /// The tests that [`Self::tell`] answers; the others are asked one by one.
    pub(super) const fn looked_up(&self) -> Tests {
        self.sources.all | self.transports.all | self.keys.all | self.certificates.all
    }

    /// The tests about who the caller is, and not about what it asks or when.
    pub(super) const fn about_callers(&self) -> Tests {
        self.looked_up() | self.devices
    }

    /// The addresses that no test tells from one.
    pub(super) fn alike(&self, address: IpAddr) -> Reach {
        self.sources.by_value.around(address)
    }

    /// Whether a test asks for a device.
    pub(super) const fn asks_for_devices(&self) -> bool {
        self.devices != 0
    }

    /// What the tests say of a caller.
    pub(super) fn tell(&self, caller: &Caller<'_>) -> Told {
        let mut told = Told { known: 0, held: 0 };
        if self.sources.all != 0
            && let Some(address) = caller.address
        {
            told.known |= self.sources.all;
            told.held |= self.sources.by_value.of(address);
        }
        if self.transports.all != 0
            && let Some(transport) = caller.transport
        {
            told.known |= self.transports.all;
            let tests = self.transports.by_value.get(place(transport));
            told.held |= tests.copied().unwrap_or(0);
        }
        if let Some(name) = caller.key {
            told.known |= self.keys.all;
            told.held |= self.keys.of(name);
        }
        if let Some(identity) = caller.certificate {
            told.known |= self.certificates.all;
            told.held |= self.certificates.of(identity);
        }
        told
    }
}

impl<T: Ord + Clone> Kind<Vec<(T, Tests)>> {
    fn add(&mut self, value: &T, bit: Tests) {
        self.all |= bit;
        match self
            .by_value
            .binary_search_by(|(other, _)| other.cmp(value))
        {
            Ok(at) => {
                if let Some((_, tests)) = self.by_value.get_mut(at) {
                    *tests |= bit;
                }
            }
            Err(at) => self.by_value.insert(at, (value.clone(), bit)),
        }
    }

    fn of(&self, value: &T) -> Tests {
        let found = self
            .by_value
            .binary_search_by(|(other, _)| other.cmp(value));
        let found = found.ok().and_then(|at| self.by_value.get(at));
        found.map_or(0, |(_, tests)| *tests)
    }
}

impl Ranges {
    fn new(nets: &[(IpNet, Tests)]) -> Self {
        let v4 = nets.iter().filter_map(|(net, bit)| match net {
            IpNet::V4(net) => Some((net.network().into(), net.broadcast().into(), *bit)),
            IpNet::V6(_) => None,
        });
        let v6 = nets.iter().filter_map(|(net, bit)| match net {
            IpNet::V6(net) => Some((net.network().into(), net.broadcast().into(), *bit)),
            IpNet::V4(_) => None,
        });
        Self {
            v4: ranges(&v4.collect::<Vec<_>>(), |last: u32| last.checked_add(1)),
            v6: ranges(&v6.collect::<Vec<_>>(), |last: u128| last.checked_add(1)),
        }
    }

    fn of(&self, address: IpAddr) -> Tests {
        match address.to_canonical() {
            IpAddr::V4(address) => at(&self.v4, address.into()),
            IpAddr::V6(address) => at(&self.v6, address.into()),
        }
    }
}

impl Ranges {
    fn around(&self, address: IpAddr) -> Reach {
        let (first, next) = match address.to_canonical() {
            IpAddr::V4(address) => ends(&self.v4, address.into(), |end| Ipv4Addr::from(end).into()),
            IpAddr::V6(address) => ends(&self.v6, address.into(), |end| Ipv6Addr::from(end).into()),
        };
        let reach = Reach::around(address);
        let reach = first.map_or(reach, |first| reach.from(first));
        next.map_or(reach, |next| reach.before(next))
    }
}

/// The ends of the range that an address is in: its own first one, and the first one of the next.
fn ends<A: Ord + Copy>(
    ranges: &[(A, Tests)],
    address: A,
    name: impl Fn(A) -> IpAddr,
) -> (Option<IpAddr>, Option<IpAddr>) {
    let above = ranges.partition_point(|(first, _)| *first <= address);
    let first_of = |at: usize| ranges.get(at).map(|(first, _)| name(*first));
    (above.checked_sub(1).and_then(first_of), first_of(above))
}

/// The ranges between all first and last addresses of some prefixes, each with its prefixes' tests.
fn ranges<A: Ord + Copy>(
    nets: &[(A, A, Tests)],
    after: impl Fn(A) -> Option<A>,
) -> Vec<(A, Tests)> {
    let starts = nets.iter().map(|(first, _, _)| *first);
    let ends = nets.iter().filter_map(|(_, last, _)| after(*last));
    let mut borders: Vec<A> = starts.chain(ends).collect();
    borders.sort_unstable();
    borders.dedup();
    let tests = |border: A| {
        let within = nets
            .iter()
            .filter(|(first, last, _)| (*first..=*last).contains(&border));
        within.fold(0, |tests, (_, _, bit)| tests | bit)
    };
    borders
        .into_iter()
        .map(|border| (border, tests(border)))
        .collect()
}

fn at<A: Ord + Copy>(ranges: &[(A, Tests)], address: A) -> Tests {
    let above = ranges.partition_point(|(first, _)| *first <= address);
    let range = above.checked_sub(1).and_then(|at| ranges.get(at));
    range.map_or(0, |(_, tests)| *tests)
}

/// The set of one test, by its index; empty above the most tests that a graph has.
pub(super) fn bit(index: usize) -> Tests {
    let index = u32::try_from(index).unwrap_or(Tests::BITS);
    1_u64.checked_shl(index).unwrap_or(0)
}

const fn place(transport: Transport) -> usize {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::namespace::rtype::RecordType;

    /// Addresses that prefixes tell apart often: few bits, at both ends.
    fn any_address() -> impl Strategy<Value = IpAddr> {
        let few = 0..4_u8;
        let v4 = [few.clone(), few.clone(), few.clone(), few.clone()];
        let v4 = v4.prop_map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes.map(u8::wrapping_neg))));
        let v6 = (few.clone(), few)
            .prop_map(|(high, low)| u128::from(high.wrapping_neg()) << 120 | u128::from(low));
        prop_oneof![v4, v6.prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits)))]
    }

    fn any_test() -> impl Strategy<Value = Predicate> {
        let net = (any_address(), 0..=128_u8).prop_map(|(address, bits)| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            Predicate::Source(IpNet::new(address, bits.min(most)).unwrap().trunc())
        });
        let other = prop_oneof![
            Just("transport udp"),
            Just("transport tls"),
            Just("tsig a"),
            Just("tsig b"),
            Just("certificate dns:a.example"),
            Just("certificate uri:a"),
            Just("class read"),
        ];
        prop_oneof![3 => net, 1 => other.prop_map(|text| text.parse().unwrap())]
    }

    proptest! {
        #[test]
        fn a_test_that_is_looked_up_says_what_it_says_by_itself(
            tests in proptest::collection::vec(any_test(), 0..65),
            address in proptest::option::of(any_address()),
            other in proptest::option::of(any_address()),
            (transport, key, certificate) in (0..4_usize, 0..4_usize, 0..4_usize),
        ) {
            let keys: [Name; 3] = ["a.", "b.", "c."].map(|name| name.parse().unwrap());
            let identities: [Identity; 3] =
                ["dns:a.example", "uri:a", "uri:b"].map(|who| who.parse().unwrap());
            let caller = Caller {
                address,
                transport: Transport::ALL.get(transport).copied(),
                key: keys.get(key),
                certificate: identities.get(certificate),
                ..Caller::unknown(RecordType::A)
            };
            let compiled = Compiled::new(tests.iter());
            let told = compiled.tell(&caller);
            for (at, test) in tests.iter().enumerate() {
                let is_looked_up = compiled.looked_up() & bit(at) != 0;
                prop_assert_eq!(is_looked_up, !matches!(test, Predicate::Class(_)));
                if is_looked_up
                    && let Predicate::Source(net) = test
                    && let Some((at, other)) = address.zip(other)
                    && compiled.alike(at).holds(other)
                {
                    let holds = |address: IpAddr| net.contains(&address.to_canonical());
                    prop_assert_eq!(holds(at), holds(other), "{} of {}", net, compiled.alike(at));
                }
                if is_looked_up {
                    let says = (told.known & bit(at) != 0).then_some(told.held & bit(at) != 0);
                    prop_assert_eq!(says, test.holds(&caller), "{:?} of {:?}", test, caller);
                }
            }
        }
    }
}
