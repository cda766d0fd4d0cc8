//! `Reach`: neighbouring addresses for which something holds alike.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// IPv4 addresses stand among those of IPv6 where they are mapped to (RFC 4291 section 2.5.5.2).
const V4_FIRST: u128 = 0xffff_0000_0000;
const V4_LAST: u128 = 0xffff_ffff_ffff;

/// From one address to another, both of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    first: u128,
    last: u128,
}

fn number(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => V4_FIRST | u128::from(u32::from(address)),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(number: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(number)).to_canonical()
}

impl Reach {
    /// The address and every other one of its kind on the same side of the mapped ones.
    pub fn around(address: IpAddr) -> Self {
        match number(address) {
            V4_FIRST..=V4_LAST => Self {
                first: V4_FIRST,
                last: V4_LAST,
            },
            0..V4_FIRST => Self {
                first: 0,
                last: V4_FIRST - 1,
            },
            _ => Self {
                first: V4_LAST + 1,
                last: u128::MAX,
            },
        }
    }

    /// Whether an address is among them.
    pub fn holds(&self, address: IpAddr) -> bool {
        (self.first..=self.last).contains(&number(address))
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }

    /// Those that are not before an address.
    #[must_use]
    pub fn from(self, first: IpAddr) -> Self {
        let first = self.first.max(number(first));
        Self { first, ..self }
    }

    /// Those that are before an address.
    #[must_use]
    pub fn before(self, next: IpAddr) -> Self {
        let last = self.last.min(number(next).saturating_sub(1));
        Self { last, ..self }
    }

    /// Those that prefixes do not tell from an address among them: each holds it and them, or
    /// neither.
    #[must_use]
    pub fn alike(self, at: IpAddr, nets: &[IpNet]) -> Self {
        let at = at.to_canonical();
        let of_its_kind = |net: &&IpNet| net.addr().is_ipv4() == at.is_ipv4();
        nets.iter().filter(of_its_kind).fold(self, |reach, net| {
            let (first, last) = (number(net.network()), number(net.broadcast()));
            let at = number(at);
            let side = if at < first {
                Self {
                    first: 0,
                    last: first - 1,
                }
            } else if at > last {
                Self {
                    first: last + 1,
                    last: u128::MAX,
                }
            } else {
                Self { first, last }
            };
            reach.and(side)
        })
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", address(self.first), address(self.last))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    /// Addresses of few different bytes, which prefixes tell apart often.
    fn any_address() -> impl Strategy<Value = IpAddr> {
        let byte = |picks: u32, at: usize| {
            [0, 1, 254, 255][usize::try_from(picks >> (2 * at) & 3).unwrap()]
        };
        (any::<u32>(), 0..3_u8).prop_map(move |(picks, kind)| {
            let v4: [u8; 4] = std::array::from_fn(|at| byte(picks, at));
            let v6: [u8; 16] = std::array::from_fn(|at| byte(picks, at));
            match kind {
                0 => IpAddr::from(v4),
                1 => IpAddr::from(v6),
                _ => Ipv4Addr::from(v4).to_ipv6_mapped().into(),
            }
        })
    }

    fn any_net() -> impl Strategy<Value = IpNet> {
        (any_address(), 0..=128_u8).prop_map(|(address, bits)| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            IpNet::new(address, bits.min(most)).unwrap().trunc()
        })
    }

    proptest! {
        #[test]
        fn prefixes_do_not_tell_addresses_of_a_reach_apart(
            at in any_address(),
            other in any_address(),
            nets in proptest::collection::vec(any_net(), 0..8),
        ) {
            let reach = Reach::around(at).alike(at, &nets);
            prop_assert!(reach.holds(at), "{} in {}", at, reach);
            if reach.holds(other) {
                for net in nets {
                    let holds = |address: IpAddr| net.contains(&address.to_canonical());
                    prop_assert_eq!(holds(at), holds(other), "{} of {}", net, reach);
                }
            }
        }
    }

    #[test]
    fn a_reach_is_said_by_its_ends() {
        let at: IpAddr = "127.0.0.1".parse().unwrap();
        let nets: [IpNet; 2] = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap());
        let reach = Reach::around(at).alike(at, &nets);
        assert_eq!(reach.to_string(), "127.0.0.0 to 127.255.255.255");
        assert!(!reach.holds("128.0.0.0".parse().unwrap()));
        assert!(reach.holds("::ffff:127.9.9.9".parse().unwrap()));
    }
}
