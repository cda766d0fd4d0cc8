//! The client behind a proxy, where the proxy is trusted to say who it is.

use std::net::{IpAddr, SocketAddr};

use hyper::header::HeaderMap;
use ipnet::IpNet;

/// What proxies write down: each adds the address that it was asked from.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Proxies in a row; whoever needs more writes what nobody can judge.
const PROXIES_MAX: usize = 16;

/// Who asks: the peer, or where trusted proxies lead from it.
pub(super) fn client(peer: SocketAddr, headers: &HeaderMap, proxies: &[IpNet]) -> SocketAddr {
    let is_trusted = |address: IpAddr| proxies.iter().any(|net| net.contains(&address));
    let mut client = peer.ip().to_canonical();
    if !is_trusted(client) {
        return peer;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let written = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    for text in written.take(PROXIES_MAX) {
        // What cannot be read was not written by a proxy that follows the custom: the last one that
        // could be is answered for.
        let Ok(address) = text.trim().parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    // The port says nothing of anybody but the proxy.
    SocketAddr::new(client, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies = ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"];
        let proxies = proxies.map(|net| net.parse().unwrap());
        let peer = SocketAddr::new(peer.parse().unwrap(), 9);
        client(peer, &headers, &proxies).ip().to_string()
    }

    #[test]
    fn only_who_is_trusted_says_who_asks() {
        let others = "192.0.2.7";
        for (peer, lines, expected) in [
            (others, &["198.51.100.1"][..], others),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // What a client wrote itself stands before what the proxy adds.
            ("127.0.0.1", &["203.0.113.5, 198.51.100.1"], "198.51.100.1"),
            (
                "127.0.0.1",
                &["203.0.113.5", "198.51.100.1"],
                "198.51.100.1",
            ),
            (
                "127.0.0.1",
                &["198.51.100.1, 10.1.2.3 ,10.0.0.1"],
                "198.51.100.1",
            ),
            ("127.0.0.1", &["2001:db8::5"], "2001:db8::5"),
            ("127.0.0.1", &["evil, 10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
        ] {
            assert_eq!(seen(peer, lines), expected, "{peer} {lines:?}");
        }
    }
}
