//! `RecursionPlan`: where recursion begins, whom it may ask, and what it trusts.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr as _;

use hickory_resolver::proto::dnssec::{Algorithm, TrustAnchors};
use ipnet::IpNet;

use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::zonefile::{NoIncludes, load_entries};

use super::upstream::DNS_PORT;

/// Messages sent for one question, unless the plan says otherwise. A first question below an empty
/// cache takes some five for each zone on the way; hickory's own bound of 200 counts anew for every
/// key that validation looks up.
pub const QUERIES_PER_QUESTION_MAX: u32 = 200;

/// The root servers' addresses (IANA, root hints of 2024-11-20).
const ROOT_SERVERS: [&str; 26] = [
    "198.41.0.4",
    "170.247.170.2",
    "192.33.4.12",
    "199.7.91.13",
    "192.203.230.10",
    "192.5.5.241",
    "192.112.36.4",
    "198.97.190.53",
    "192.36.148.17",
    "192.58.128.30",
    "193.0.14.129",
    "199.7.83.42",
    "202.12.27.33",
    "2001:503:ba3e::2:30",
    "2801:1b8:10::b",
    "2001:500:2::c",
    "2001:500:2d::d",
    "2001:500:a8::e",
    "2001:500:2f::f",
    "2001:500:12::d0d",
    "2001:500:1::53",
    "2001:7fe::53",
    "2001:503:c27::2:30",
    "2001:7fd::1",
    "2001:500:9f::42",
    "2001:dc3::35",
];

/// Where no authority of the public DNS is: this host, private and shared networks, documentation,
/// and addresses that mean many hosts or none (RFC 6890 and the registries it began). A name server
/// there is a mistake, or a way to make this node talk to its own neighbours.
pub const DENIED_DEFAULT: [&str; 25] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// How recursion is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecursionPlan {
    /// The root servers.
    pub roots: Vec<IpAddr>,
    /// DNSKEY records in master file form; the root's built-in keys if none.
    pub anchors: Option<String>,
    /// Whether answers are validated.
    pub validates: bool,
    /// Suffixes below which nothing is validated (RFC 7646).
    pub negative_anchors: Vec<Name>,
    /// Networks that are never asked.
    pub denied: Vec<IpNet>,
    /// Networks that are asked although they are denied.
    pub allowed: Vec<IpNet>,
    /// The port of every authority.
    pub port: u16,
    /// Messages sent for one question, for its names, their servers and their keys.
    pub queries_max: u32,
    /// Messages that recursion keeps beside the cache of answers.
    pub messages_kept_max: u64,
}

impl Default for RecursionPlan {
    /// The public DNS, validated.
    fn default() -> Self {
        Self {
            roots: built_in_roots(),
            anchors: None,
            validates: true,
            negative_anchors: Vec::new(),
            denied: denied_by_default(),
            allowed: Vec::new(),
            port: DNS_PORT,
            queries_max: QUERIES_PER_QUESTION_MAX,
            messages_kept_max: 32_768,
        }
    }
}

impl RecursionPlan {
    /// Whether an address may be asked.
    pub fn may_ask(&self, address: IpAddr) -> bool {
        // An IPv4 address in IPv6 clothes reaches the same host.
        let address = address.to_canonical();
        let holds = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        holds(&self.allowed) || !holds(&self.denied)
    }

    /// The suffix that keeps a name from being validated.
    pub fn negative_anchor(&self, name: &Name) -> Option<&Name> {
        let mut suffixes = self.negative_anchors.iter();
        suffixes.find(|suffix| name.is_within(suffix))
    }
}

/// Why recursion cannot be done as planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecursion {
    /// A file cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The hints break the form of master files.
    #[error("{0}")]
    Hints(String),
    /// The hints hold no address.
    #[error(
        "{path} holds no address of a root server; expected A and AAAA records, as in \
         https://www.internic.net/domain/named.root"
    )]
    NoRoots {
        /// The file.
        path: String,
    },
    /// A root server that must not be asked.
    #[error("root server {0} is in a network of deny-servers; list it under allow-servers")]
    DeniedRoot(IpAddr),
    /// The anchors cannot be used.
    #[error(
        "{path}: {reason}; expected DNSKEY records such as `. IN DNSKEY 257 3 8 ...`, one a line; \
         DS records are not understood"
    )]
    Anchors {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The library refuses its settings.
    #[error("recursion cannot begin: {0}")]
    Engine(String),
}

/// The addresses of the public root servers.
pub fn built_in_roots() -> Vec<IpAddr> {
    let servers = ROOT_SERVERS.iter();
    servers.filter_map(|text| text.parse().ok()).collect()
}

/// The networks that are denied unless somebody says otherwise.
pub fn denied_by_default() -> Vec<IpNet> {
    let networks = DENIED_DEFAULT.iter();
    networks.filter_map(|text| text.parse().ok()).collect()
}

/// The addresses in a file of root hints.
pub fn read_hints(path: &Path) -> Result<Vec<IpAddr>, BadRecursion> {
    let shown = path.display().to_string();
    let text = read(path)?;
    let entries = load_entries(&shown, text.as_bytes(), &Name::root(), &NoIncludes);
    let entries = entries.map_err(|findings| {
        let lines = findings.iter().map(ToString::to_string);
        BadRecursion::Hints(lines.collect::<Vec<_>>().join("\n"))
    })?;
    let sets = entries.iter().flat_map(|(_, sets)| sets);
    let rows = sets.flat_map(|set| set.records().iter().map(|rdata| (set.kind(), rdata)));
    let roots: Vec<IpAddr> = rows
        .filter_map(|(kind, rdata)| address(kind, rdata.as_bytes()))
        .collect();
    if roots.is_empty() {
        return Err(BadRecursion::NoRoots { path: shown });
    }
    Ok(roots)
}

/// The text of a file of trust anchors, once it was found to hold some.
pub fn read_anchors(path: &Path) -> Result<String, BadRecursion> {
    let text = read(path)?;
    let bad = |reason: String| BadRecursion::Anchors {
        path: path.display().to_string(),
        reason,
    };
    let found = anchors(&text).map_err(bad)?;
    if found.is_empty() {
        return Err(bad("it holds no key of the root".to_owned()));
    }
    Ok(text)
}

/// The keys in the text of a file of trust anchors.
pub(super) fn anchors(text: &str) -> Result<TrustAnchors, String> {
    // hickory's reader knows no comments behind a record.
    let lines = text.lines();
    let bare: Vec<&str> = lines
        .map(|line| line.split_once(';').map_or(line, |(bare, _)| bare))
        .collect();
    bare.iter().try_for_each(|line| supported(line))?;
    TrustAnchors::from_str(&format!("{}\n", bare.join("\n"))).map_err(|error| error.to_string())
}

/// Refuses a key that nothing can be validated with; hickory's reader ends the program over it.
fn supported(line: &str) -> Result<(), String> {
    let words = line.split_whitespace();
    let mut fields = words.skip_while(|word| !word.eq_ignore_ascii_case("DNSKEY"));
    // Type, flags, protocol, algorithm (RFC 4034 section 2.2).
    let Some(number) = fields.nth(3).and_then(|word| word.parse().ok()) else {
        return Ok(());
    };
    if Algorithm::from_u8(number).is_supported() {
        Ok(())
    } else {
        Err(format!("keys of algorithm {number} are not understood"))
    }
}

fn read(path: &Path) -> Result<String, BadRecursion> {
    std::fs::read_to_string(path).map_err(|error| BadRecursion::Unreadable {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn address(kind: RecordType, data: &[u8]) -> Option<IpAddr> {
    match kind {
        RecordType::A => Some(IpAddr::from(*data.first_chunk::<4>()?)),
        RecordType::AAAA => Some(IpAddr::from(*data.first_chunk::<16>()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_tables_are_whole() {
        assert_eq!(built_in_roots().len(), ROOT_SERVERS.len());
        assert_eq!(denied_by_default().len(), DENIED_DEFAULT.len());
        let plan = RecursionPlan::default();
        assert!(plan.roots.iter().all(|root| plan.may_ask(*root)));
    }

    #[test]
    fn neighbours_are_not_asked_in_any_clothes() {
        let plan = RecursionPlan::default();
        for text in [
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "10.1.2.3",
            "::ffff:192.168.1.1",
            "fe80::1",
            "::1",
            "224.0.0.251",
            "255.255.255.255",
        ] {
            assert!(!plan.may_ask(text.parse().unwrap()), "{text}");
        }
        let opened = RecursionPlan {
            allowed: vec!["127.0.1.0/24".parse().unwrap()],
            ..plan
        };
        assert!(opened.may_ask("127.0.1.9".parse().unwrap()));
        assert!(!opened.may_ask("127.0.2.9".parse().unwrap()));
    }

    #[test]
    fn anchors_are_keys_and_comments_do_not_matter() {
        let key = ". 3600 IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3\
                   +/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWb\
                   Rd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbu\
                   v7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2h\
                   M8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU= ; keytag 20326\n";
        assert_eq!(anchors(&format!("; root\n{key}")).unwrap().len(), 1);
        assert!(anchors(". IN DS 20326 8 2 AA").is_err());
        // DSA, and an algorithm that nobody knows.
        for algorithm in ["3", "200"] {
            let key = format!(". IN DNSKEY 257 3 {algorithm} AwEAAQ==\n");
            assert!(anchors(&key).is_err(), "{algorithm}");
        }
        assert!(anchors("; nothing\n").unwrap().is_empty());
    }
}
