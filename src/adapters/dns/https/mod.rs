//! DNS over HTTPS (RFC 8484): HTTP/2 and HTTP/1.1, messages and questions in words.

mod answering;
mod forwarded;
mod freshness;
mod response;
mod streams;
mod target;
mod visit;
mod words;

use std::net::IpAddr;

use ipnet::IpNet;

pub(super) use answering::Guest;
pub use target::{BadTarget, Target};
pub(super) use visit::Visit;

/// What a client agrees on to speak HTTP/2 (RFC 9113 section 3.2).
pub(super) const HTTP_2: &[u8] = b"h2";
/// What clients of DNS over HTTPS may agree on (ALPN), the better first.
pub const HTTPS_PROTOCOLS: &[&[u8]] = &[HTTP_2, b"http/1.1"];

/// What listeners of HTTP go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRules {
    /// The path of the one resource.
    pub path: String,
    /// Networks of proxies that are believed when they say who asks.
    pub proxies: Vec<IpNet>,
}

impl HttpRules {
    /// Whether somebody may ask in the clear: only who is on this machine, or a trusted proxy.
    pub(super) fn lets_in_the_clear(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        from.is_loopback() || self.proxies.iter().any(|net| net.contains(&from))
    }
}
