//! `ForwardPlan`: which upstreams are asked for which names.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::namespace::name::Name;

/// Upstreams of one group; a question can wait for one round of two only so often.
pub const UPSTREAMS_PER_GROUP_MAX: usize = 16;
/// The port of DNS (RFC 1035 section 4.2).
pub const DNS_PORT: u16 = 53;
/// How long all upstreams together may take: stub resolvers ask again after five seconds.
pub const DEADLINE_MS_DEFAULT: u64 = 4_500;

/// One server that questions are forwarded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// Its address.
    pub address: SocketAddr,
    /// Never asked over UDP.
    pub tcp_only: bool,
}

/// Text that is no upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUpstream {
    /// Neither an address nor an address and a port.
    #[error(
        "{0:?} is no upstream; write 192.0.2.1, 192.0.2.1:53, [2001:db8::1]:53 or tcp://192.0.2.1"
    )]
    Address(String),
    /// An address to which nothing can be sent.
    #[error("{0} cannot be sent to; write the address of the upstream itself")]
    Unusable(SocketAddr),
}

impl FromStr for Upstream {
    type Err = BadUpstream;

    /// Reads an address with or without a port; `tcp://` before it forbids UDP.
    fn from_str(text: &str) -> Result<Self, BadUpstream> {
        let (tcp_only, place) = match text.strip_prefix("tcp://") {
            Some(place) => (true, place),
            None => (false, text),
        };
        let address = place
            .parse::<SocketAddr>()
            .or_else(|_| {
                place
                    .parse::<IpAddr>()
                    .map(|ip| SocketAddr::new(ip, DNS_PORT))
            })
            .map_err(|_| BadUpstream::Address(text.to_owned()))?;
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(BadUpstream::Unusable(address));
        }
        Ok(Self { address, tcp_only })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tcp_only { "tcp://" } else { "" };
        write!(f, "{scheme}{}", self.address)
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
}

impl Default for ForwardPlan {
    fn default() -> Self {
        Self {
            default: UpstreamGroup::default(),
            routes: BTreeMap::new(),
            deadline_ms: DEADLINE_MS_DEFAULT,
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
        ] {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!(upstream.to_string(), shown);
            assert_eq!(shown.parse(), Ok(upstream));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in ["", "dns.example", "192.0.2.1:x", "udp://192.0.2.1"] {
            assert_eq!(
                text.parse::<Upstream>(),
                Err(BadUpstream::Address(text.to_owned()))
            );
        }
        for text in ["0.0.0.0", "192.0.2.1:0", "[::]:53", "224.0.0.251"] {
            assert!(
                matches!(text.parse::<Upstream>(), Err(BadUpstream::Unusable(_))),
                "{text}"
            );
        }
    }
}
