//! The resolvers that the operating system is configured with.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use hickory_resolver::config::ResolverConfig;
use hickory_resolver::system_conf::read_system_conf;

use super::upstream::DNS_PORT;

/// What the system's configuration gave. Nothing at all is a value, not an error: a node without
/// upstreams still serves its own names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemResolvers {
    /// Those that can be forwarded to, in the configured order.
    pub usable: Vec<SocketAddr>,
    /// Those that are this node itself; forwarding to them would be a loop.
    pub ourselves: Vec<SocketAddr>,
}

/// Reads the system's resolvers, once. `listening` are the addresses this node answers on.
///
/// A system without any configuration, or with one that cannot be read, gives an empty result.
pub fn system_resolvers(listening: &[SocketAddr]) -> SystemResolvers {
    match read_system_conf() {
        Ok((config, _)) => sort_out(&addresses(&config), listening, is_our_address),
        Err(error) => {
            // hickory reports a file without servers and a missing file alike.
            tracing::info!(%error, "the system names no resolvers");
            SystemResolvers::default()
        }
    }
}

fn addresses(config: &ResolverConfig) -> Vec<SocketAddr> {
    let servers = config.name_servers().iter();
    servers
        .map(|server| SocketAddr::new(server.ip.to_canonical(), DNS_PORT))
        .collect()
}

fn sort_out(
    found: &[SocketAddr],
    listening: &[SocketAddr],
    is_ours: impl Fn(IpAddr) -> bool,
) -> SystemResolvers {
    let mut resolvers = SystemResolvers::default();
    for &address in found {
        // Linux takes a packet to the unspecified address as one to the local host.
        let reaches_us = listening.iter().any(|ours| {
            ours.port() == address.port()
                && (ours.ip().to_canonical() == address.ip()
                    || (ours.ip().is_unspecified() && is_ours(address.ip()))
                    || (address.ip().is_unspecified() && is_ours(ours.ip())))
        });
        let list = if reaches_us {
            &mut resolvers.ourselves
        } else {
            &mut resolvers.usable
        };
        if !list.contains(&address) {
            list.push(address);
        }
    }
    resolvers
}

/// Whether an address belongs to this host: only then can a socket be bound to it.
fn is_our_address(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::system_conf::parse_resolv_conf;

    fn check(conf: &str, listening: &[&str], usable: &[&str], ourselves: &[&str]) {
        let read = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|text| text.parse().unwrap()).collect()
        };
        let (config, _) = parse_resolv_conf(conf).unwrap();
        let local = |ip: IpAddr| ip.is_loopback() || ip == IpAddr::from([192, 0, 2, 7]);
        assert_eq!(
            sort_out(&addresses(&config), &read(listening), local),
            SystemResolvers {
                usable: read(usable),
                ourselves: read(ourselves),
            },
            "{conf:?} {listening:?}"
        );
    }

    #[test]
    fn resolvers_come_in_order_without_repeats() {
        check(
            "search example\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver 192.0.2.1\n",
            &["127.0.0.1:5300"],
            &["192.0.2.1:53", "[2001:db8::1]:53"],
            &[],
        );
    }

    #[test]
    fn this_node_is_never_its_own_upstream() {
        let conf = "nameserver 127.0.0.1\nnameserver 127.0.0.53\nnameserver 192.0.2.7\n";
        check(
            conf,
            &["127.0.0.1:53"],
            &["127.0.0.53:53", "192.0.2.7:53"],
            &["127.0.0.1:53"],
        );
        check(
            conf,
            &["0.0.0.0:53"],
            &[],
            &["127.0.0.1:53", "127.0.0.53:53", "192.0.2.7:53"],
        );
        check(
            conf,
            &["0.0.0.0:5300"],
            &["127.0.0.1:53", "127.0.0.53:53", "192.0.2.7:53"],
            &[],
        );
    }

    #[test]
    fn a_system_without_resolvers_is_no_failure() {
        assert!(parse_resolv_conf("search example\n").is_err());
        assert_eq!(sort_out(&[], &[], |_| true), SystemResolvers::default());
    }
}
