//! What a resolver says of its own encrypted listeners (RFC 9462, RFC 9461).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use crate::base::time::Ttl;
use crate::namespace::name::Name;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::Record;
use crate::namespace::rtype::RecordType;

/// How long it may be kept: a certificate, and so the name, may be another one soon.
const DESIGNATION_TTL: Ttl = Ttl::from_secs(300);
/// Addresses of each family in one record: more only make the answer longer.
const HINTS_MAX: usize = 8;

static RESOLVER: LazyLock<Option<Name>> = LazyLock::new(|| "resolver.arpa.".parse().ok());
static OWNER: LazyLock<Option<Name>> = LazyLock::new(|| "_dns.resolver.arpa.".parse().ok());

/// The name below which a resolver speaks of itself.
pub fn resolver_zone() -> Option<&'static Name> {
    RESOLVER.as_ref()
}

/// Whether a name is one under which a resolver speaks of itself.
pub fn is_of_resolver(name: &Name) -> bool {
    resolver_zone().is_some_and(|zone| name.is_within(zone))
}

/// What is spoken at a listener, the first being what clients should try first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spoken {
    /// DNS over TLS.
    Tls,
    /// DNS over HTTPS, at this path.
    Https(String),
    /// DNS over QUIC.
    Quic,
}

/// The SVCB records of a resolver with this name: one for each thing that is spoken and each port.
/// Listeners of all addresses of a machine are known by the address that was asked, and get no hints.
pub fn designations(target: &Name, listeners: &[(Spoken, Vec<SocketAddr>)]) -> Vec<Record> {
    let Some(owner) = OWNER.as_ref() else {
        return Vec::new();
    };
    let mut ends: BTreeMap<(&Spoken, u16), Vec<IpAddr>> = BTreeMap::new();
    for (spoken, addresses) in listeners {
        for address in addresses {
            let hints = ends.entry((spoken, address.port())).or_default();
            let is_one = !address.ip().is_unspecified();
            hints.extend(is_one.then(|| address.ip()));
        }
    }
    let rows = ends.into_iter().filter_map(|((spoken, port), hints)| {
        let text = parameters(target, (spoken, port), &hints);
        Some(Record {
            owner: owner.clone(),
            kind: RecordType::SVCB,
            ttl: DESIGNATION_TTL,
            rdata: Rdata::parse(RecordType::SVCB, &text, &Name::root()).ok()?,
        })
    });
    rows.collect()
}

fn parameters(target: &Name, (spoken, port): (&Spoken, u16), hints: &[IpAddr]) -> String {
    let (priority, alpn, path) = match spoken {
        Spoken::Tls => (1, "dot", String::new()),
        Spoken::Https(path) => (2, "h2", format!(" dohpath={path}{{?dns}}")),
        Spoken::Quic => (3, "doq", String::new()),
    };
    let list = |key: &str, is_ipv4: bool| {
        let family = hints.iter().filter(|hint| hint.is_ipv4() == is_ipv4);
        let family: Vec<String> = family.take(HINTS_MAX).map(ToString::to_string).collect();
        if family.is_empty() {
            return String::new();
        }
        format!(" {key}={}", family.join(","))
    };
    let (ipv4, ipv6) = (list("ipv4hint", true), list("ipv6hint", false));
    format!("{priority} {target} alpn={alpn} port={port}{ipv4}{ipv6}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(listeners: &[(Spoken, &[&str])]) -> Vec<String> {
        let target = "dns.example.".parse().unwrap();
        let listeners: Vec<_> = listeners
            .iter()
            .map(|(spoken, texts)| {
                let addresses = texts.iter().map(|text| text.parse().unwrap());
                (spoken.clone(), addresses.collect())
            })
            .collect();
        let records = designations(&target, &listeners);
        let texts = records.iter().map(|record| {
            assert_eq!(record.owner.to_string(), "_dns.resolver.arpa.");
            record.rdata.to_text(RecordType::SVCB)
        });
        texts.collect()
    }

    #[test]
    fn each_port_of_each_protocol_is_said_once_with_its_addresses() {
        let https = Spoken::Https("/dns-query".to_owned());
        let said = texts(&[
            (Spoken::Quic, &["192.0.2.1:853"]),
            (https, &["192.0.2.1:443"]),
            (
                Spoken::Tls,
                &["192.0.2.1:853", "[2001:db8::1]:853", "0.0.0.0:8530"],
            ),
        ]);
        let expected = [
            "1 dns.example. alpn=dot port=853 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1",
            "1 dns.example. alpn=dot port=8530",
            "2 dns.example. alpn=h2 port=443 ipv4hint=192.0.2.1 dohpath=/dns-query{?dns}",
            "3 dns.example. alpn=doq port=853 ipv4hint=192.0.2.1",
        ];
        let plain: Vec<String> = said.iter().map(|text| text.replace('"', "")).collect();
        assert_eq!(plain, expected);
    }

    #[test]
    fn nothing_that_is_spoken_is_nothing_said() {
        assert!(texts(&[]).is_empty());
        assert!(texts(&[(Spoken::Tls, &[])]).is_empty());
    }
}
