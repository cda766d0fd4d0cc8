//! `ForwardPlan`: which upstreams are asked for which names.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use rustls::pki_types::ServerName;

use crate::namespace::name::Name;

/// Upstreams of one group; a question can wait for one round of two only so often.
pub const UPSTREAMS_PER_GROUP_MAX: usize = 16;
/// The port of DNS (RFC 1035 section 4.2).
pub const DNS_PORT: u16 = 53;
/// The port of DNS over TLS (RFC 7858 section 3.1).
const TLS_PORT: u16 = 853;
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;
/// The path of DNS over HTTPS that everybody uses (RFC 8484 section 4.1.1).
const HTTPS_PATH: &str = "/dns-query";
/// How long all upstreams together may take: stub resolvers ask again after five seconds.
pub const DEADLINE_MS_DEFAULT: u64 = 4_500;

/// One server that questions are forwarded to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// Its address.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub transport: Transport,
}

/// How an upstream is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Over UDP, and over TCP what does not fit.
    UdpAndTcp,
    /// Never over UDP.
    Tcp,
    /// DNS over TLS (RFC 7858), and never in the clear.
    Tls {
        /// The name or address that the server's certificate must hold.
        name: String,
    },
    /// DNS over HTTPS, HTTP/2 (RFC 8484), and never in the clear.
    Https {
        /// The name or address that the server's certificate must hold, and the host of the URL.
        name: String,
        /// The path of the URL.
        path: String,
    },
}

/// Text that is no upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUpstream {
    /// Neither an address nor an address and a port.
    #[error(
        "{0:?} is no upstream; write 192.0.2.1, 192.0.2.1:53, [2001:db8::1]:53, tcp://192.0.2.1, \
         tls://192.0.2.1#dns.example or https://192.0.2.1/dns-query#dns.example"
    )]
    Address(String),
    /// An address to which nothing can be sent.
    #[error("{0} cannot be sent to; write the address of the upstream itself")]
    Unusable(SocketAddr),
    /// What no certificate can hold.
    #[error("{0:?} is no name of a server; write the name in its certificate behind #")]
    ServerName(String),
}

impl Upstream {
    /// An upstream spoken to over UDP and TCP.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            transport: Transport::UdpAndTcp,
        }
    }
}

impl FromStr for Upstream {
    type Err = BadUpstream;

    /// Reads an address with or without a port. `tcp://` before it forbids UDP; `tls://` and
    /// `https://` encrypt, with the name that the certificate must hold behind `#`.
    fn from_str(text: &str) -> Result<Self, BadUpstream> {
        let unreadable = || BadUpstream::Address(text.to_owned());
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (rest, name) = match rest.split_once('#') {
            Some((rest, name)) => (rest, Some(name)),
            None => (rest, None),
        };
        let (place, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let port = match scheme {
            "" | "tcp" => DNS_PORT,
            "tls" => TLS_PORT,
            "https" => HTTPS_PORT,
            _ => return Err(unreadable()),
        };
        let address = address(place, port).ok_or_else(unreadable)?;
        let is_encrypted = matches!(scheme, "tls" | "https");
        if (name.is_some() && !is_encrypted) || (!path.is_empty() && scheme != "https") {
            return Err(unreadable());
        }
        let name = name.map_or_else(|| address.ip().to_string(), str::to_owned);
        if is_encrypted && ServerName::try_from(name.as_str()).is_err() {
            return Err(BadUpstream::ServerName(name));
        }
        let transport = match scheme {
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls { name },
            "https" => Transport::Https {
                name,
                path: if path.is_empty() { HTTPS_PATH } else { path }.to_owned(),
            },
            _ => Transport::UdpAndTcp,
        };
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(BadUpstream::Unusable(address));
        }
        Ok(Self { address, transport })
    }
}

fn address(text: &str, port: u16) -> Option<SocketAddr> {
    let with_port = text.parse::<SocketAddr>();
    with_port
        .or_else(|_| {
            let bare = text
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(']'));
            let ip = bare.unwrap_or(text).parse::<IpAddr>();
            ip.map(|ip| SocketAddr::new(ip, port))
        })
        .ok()
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match &self.transport {
            Transport::UdpAndTcp => write!(f, "{address}"),
            Transport::Tcp => write!(f, "tcp://{address}"),
            Transport::Tls { name } => write!(f, "tls://{address}#{name}"),
            Transport::Https { name, path } => write!(f, "https://{address}{path}#{name}"),
        }
    }
}

/// Upstreams that may stand in for each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamGroup {
    /// The upstreams; none means that the names of this group are never forwarded.
    pub upstreams: Vec<Upstream>,
    /// Whether AD in their answers is believed. AD over a path that others can write to means
    /// nothing (RFC 6840 section 5.8), so this is for validating resolvers on a trusted path.
    pub trust_ad: bool,
}

/// Which group answers which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardPlan {
    /// The group of all names without a route.
    pub default: UpstreamGroup,
    /// Groups by suffix; the longest suffix of a name decides.
    pub routes: BTreeMap<Name, UpstreamGroup>,
    /// How long all upstreams of a group together may take.
    pub deadline_ms: u64,
    /// Certificates in PEM form that encrypted upstreams must be vouched for by; the public
    /// authorities of the web if none.
    pub authorities_pem: Option<String>,
    /// Whether upstreams over UDP are shown cookies (RFC 7873).
    pub cookies: bool,
}

/// Why a plan cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// A group above [`UPSTREAMS_PER_GROUP_MAX`].
    #[error(
        "the upstreams for {suffix} are {count}; at most {UPSTREAMS_PER_GROUP_MAX} are allowed"
    )]
    TooManyUpstreams {
        /// The group's suffix; the root for the default group.
        suffix: Name,
        /// How many it has.
        count: usize,
    },
    /// Certificates that cannot be used.
    #[error("the certificates of tls-ca cannot be used: {0}")]
    Certificates(String),
}

impl Default for ForwardPlan {
    fn default() -> Self {
        Self {
            default: UpstreamGroup::default(),
            routes: BTreeMap::new(),
            deadline_ms: DEADLINE_MS_DEFAULT,
            authorities_pem: None,
            cookies: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_read_and_written() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5300", "192.0.2.1:5300"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5300", "[2001:db8::1]:5300"),
            ("tcp://192.0.2.1", "tcp://192.0.2.1:53"),
            ("tls://192.0.2.1", "tls://192.0.2.1:853#192.0.2.1"),
            (
                "tls://[2001:db8::1]#dns.example",
                "tls://[2001:db8::1]:853#dns.example",
            ),
            (
                "https://192.0.2.1#dns.example",
                "https://192.0.2.1:443/dns-query#dns.example",
            ),
            (
                "https://192.0.2.1:8443/q#dns.example",
                "https://192.0.2.1:8443/q#dns.example",
            ),
        ] {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!(upstream.to_string(), shown);
            assert_eq!(shown.parse(), Ok(upstream));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in [
            "",
            "dns.example",
            "192.0.2.1:x",
            "udp://192.0.2.1",
            "192.0.2.1#dns.example",
            "tls://192.0.2.1/dns-query",
            "https://dns.example/dns-query",
        ] {
            assert_eq!(
                text.parse::<Upstream>(),
                Err(BadUpstream::Address(text.to_owned()))
            );
        }
        let name = "tls://192.0.2.1#no name".parse::<Upstream>();
        assert_eq!(name, Err(BadUpstream::ServerName("no name".to_owned())));
        for text in ["0.0.0.0", "192.0.2.1:0", "[::]:53", "224.0.0.251"] {
            assert!(
                matches!(text.parse::<Upstream>(), Err(BadUpstream::Unusable(_))),
                "{text}"
            );
        }
    }
}
