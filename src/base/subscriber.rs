//! Who counts as one client: what one subscriber of a network usually has.

use std::net::{IpAddr, Ipv6Addr};

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
}
