//! Special-use names that must not be asked of anybody (RFC 6761, 6303, 7686, 8375, 9476).

use std::sync::LazyLock;

use crate::base::time::Ttl;
use crate::namespace::name::Name;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::Record;
use crate::namespace::rtype::RecordType;

use super::answer::{Answer, Outcome, Side};
use super::designation::resolver_zone;

/// Suffixes whose names exist only where somebody configured them.
const LOCAL_SUFFIXES: &[&str] = &[
    // RFC 6761 and 6762, RFC 7686, RFC 8375, RFC 9476, and the private-use top level.
    "invalid.",
    "local.",
    "test.",
    "onion.",
    "home.arpa.",
    "alt.",
    "internal.",
    // RFC 6303 section 4: reverse names of addresses that are private or special.
    "10.in-addr.arpa.",
    "16.172.in-addr.arpa.",
    "17.172.in-addr.arpa.",
    "18.172.in-addr.arpa.",
    "19.172.in-addr.arpa.",
    "20.172.in-addr.arpa.",
    "21.172.in-addr.arpa.",
    "22.172.in-addr.arpa.",
    "23.172.in-addr.arpa.",
    "24.172.in-addr.arpa.",
    "25.172.in-addr.arpa.",
    "26.172.in-addr.arpa.",
    "27.172.in-addr.arpa.",
    "28.172.in-addr.arpa.",
    "29.172.in-addr.arpa.",
    "30.172.in-addr.arpa.",
    "31.172.in-addr.arpa.",
    "168.192.in-addr.arpa.",
    "0.in-addr.arpa.",
    "254.169.in-addr.arpa.",
    "2.0.192.in-addr.arpa.",
    "100.51.198.in-addr.arpa.",
    "113.0.203.in-addr.arpa.",
    "255.255.255.255.in-addr.arpa.",
    "d.f.ip6.arpa.",
    "8.e.f.ip6.arpa.",
    "9.e.f.ip6.arpa.",
    "a.e.f.ip6.arpa.",
    "b.e.f.ip6.arpa.",
    "8.b.d.0.1.0.0.2.ip6.arpa.",
];

/// How long a built-in answer may be kept; it never changes.
const BUILT_IN_TTL: Ttl = Ttl::from_secs(10_800);

static LOCAL: LazyLock<Vec<Name>> = LazyLock::new(|| {
    LOCAL_SUFFIXES
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect()
});
static LOCALHOST: LazyLock<Option<Name>> = LazyLock::new(|| "localhost.".parse().ok());

/// The built-in answer to a name that must not leave the node; none for ordinary names. The
/// caller has made sure that nothing configured claims the name.
pub fn built_in(name: &Name, kind: RecordType) -> Option<Answer> {
    if LOCALHOST
        .as_ref()
        .is_some_and(|localhost| name.is_within(localhost))
    {
        return Some(localhost(name, kind));
    }
    let suffix = LOCAL.iter().find(|suffix| name.is_within(suffix))?;
    let outcome = if name == suffix {
        Outcome::NoData
    } else {
        Outcome::Absent
    };
    let mut answer = Answer::empty(outcome, Side::BuiltIn);
    answer.authorities.push(soa(suffix));
    Some(answer)
}

/// What a resolver says of itself below `resolver.arpa.` (RFC 9462 section 4): its designations, and
/// that there is nothing else; none for other names. It is never asked of anybody, as it would be
/// somebody else's.
pub fn of_resolver(name: &Name, kind: RecordType, designated: &[Record]) -> Option<Answer> {
    let zone = resolver_zone().filter(|zone| name.is_within(zone))?;
    let mut answer = Answer::empty(Outcome::Found, Side::BuiltIn);
    let fitting = |record: &&Record| record.owner == *name && record.kind == kind;
    answer.answers = designated.iter().filter(fitting).cloned().collect();
    if answer.answers.is_empty() {
        answer.outcome = Outcome::NoData;
        answer.authorities.push(soa(zone));
    }
    Some(answer)
}

/// RFC 6761 section 6.3: the loopback addresses, nothing else.
fn localhost(name: &Name, kind: RecordType) -> Answer {
    let data: &[u8] = match kind {
        RecordType::A => &[127, 0, 0, 1],
        RecordType::AAAA => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        _ => &[],
    };
    match Rdata::from_wire(kind, data) {
        Ok(rdata) if !data.is_empty() => {
            let mut answer = Answer::empty(Outcome::Found, Side::BuiltIn);
            answer.answers.push(Record {
                owner: name.clone(),
                kind,
                ttl: BUILT_IN_TTL,
                rdata,
            });
            answer
        }
        _ => {
            let mut answer = Answer::empty(Outcome::NoData, Side::BuiltIn);
            answer.authorities.push(soa(&name.suffix(1)));
            answer
        }
    }
}

/// The SOA of a built-in empty zone, in the form of RFC 6303 section 3.
fn soa(zone: &Name) -> Record {
    let numbers = [1_u32, 604_800, 86_400, 2_419_200, BUILT_IN_TTL.as_secs()];
    let rdata = Rdata::of_soa(zone, zone, numbers);
    Record {
        owner: zone.clone(),
        kind: RecordType::SOA,
        ttl: BUILT_IN_TTL,
        rdata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str, kind: RecordType) -> Option<Outcome> {
        built_in(&text.parse().unwrap(), kind).map(|answer| answer.outcome)
    }

    #[test]
    fn every_suffix_is_a_name() {
        assert_eq!(LOCAL.len(), LOCAL_SUFFIXES.len());
        assert!(LOCALHOST.is_some());
    }

    #[test]
    fn private_names_are_answered_here() {
        assert_eq!(
            outcome("printer.local.", RecordType::A),
            Some(Outcome::Absent)
        );
        assert_eq!(outcome("local.", RecordType::A), Some(Outcome::NoData));
        assert_eq!(outcome("x.onion.", RecordType::A), Some(Outcome::Absent));
        assert_eq!(
            outcome("1.0.0.10.in-addr.arpa.", RecordType::PTR),
            Some(Outcome::Absent)
        );
        assert_eq!(
            outcome("a.localhost.", RecordType::AAAA),
            Some(Outcome::Found)
        );
        assert_eq!(
            outcome("a.localhost.", RecordType::MX),
            Some(Outcome::NoData)
        );
        assert_eq!(outcome("example.com.", RecordType::A), None);
        assert_eq!(outcome("1.1.1.1.in-addr.arpa.", RecordType::PTR), None);
    }
}
