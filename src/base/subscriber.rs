//! Who counts as one client: what one subscriber of a network usually has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first address of what one subscriber has at least: an IPv4 address, or an IPv6 /64 (RFC 6177
/// section 2). Bounds for each client are kept by it, or a single host could have as many as it likes.
pub fn subscriber_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(prefix).into()
        }
    }
}

/// The first address of the network that somebody who can forge addresses is taken to be able to forge
/// all of: an IPv4 /24, or an IPv6 /56, which a subscriber often has (RFC 6177 section 2).
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) & (u32::MAX << 8)).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & (u128::MAX << 72)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_and_an_ipv6_prefix_count_as_one() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::"),
            ("::1", "::"),
        ] {
            let subscriber = subscriber_of(address.parse().unwrap());
            assert_eq!(subscriber.to_string(), expected, "{address}");
        }
    }

    #[test]
    fn neighbours_are_one_network() {
        for (address, expected) in [
            ("192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.1", "192.0.2.0"),
            ("2001:db8:0:1ff:2:3:4:5", "2001:db8:0:100::"),
        ] {
            let network = network_of(address.parse().unwrap());
            assert_eq!(network.to_string(), expected, "{address}");
        }
    }
}
