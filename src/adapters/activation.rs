//! Sockets that whoever started the program bound for it (`sd_listen_fds(3)`). Each is taken by its
//! address and kind, by whoever would have bound it; none may be left over.

use std::env;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use nix::libc;
use socket2::Socket;

/// The first descriptor that is handed over; those before it are the standard ones.
const FIRST_DESCRIPTOR: usize = 3;
/// A unit names a few addresses, and each for some dozens of threads at most.
const SOCKETS_MAX: usize = 1_024;

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketKind {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

impl fmt::Display for SocketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// Which of the sockets that were handed over: its descriptor, and the name that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    descriptor: usize,
    name: Option<String>,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {}", self.descriptor)?;
        match &self.name {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// Why what was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadHandOver {
    /// Nobody hands over that many.
    #[error("LISTEN_FDS is {0:?}: expected a number up to {SOCKETS_MAX}")]
    Count(String),
    /// Something else than a socket of the internet.
    #[error("{0} was handed over and is no UDP or TCP socket of IPv4 or IPv6")]
    Foreign(Label),
    /// Nobody is to listen there.
    #[error(
        "{label} was handed over, bound to {kind} {address}: expected one of the addresses of the \
         configuration, of the same kind"
    )]
    Unasked {
        /// Which.
        label: Label,
        /// What it is for.
        kind: SocketKind,
        /// Where it is bound.
        address: SocketAddr,
    },
    /// There is one more than can be used.
    #[error("{label} was handed over, bound to {kind} {address} like another one: expected one")]
    Twice {
        /// Which.
        label: Label,
        /// What it is for.
        kind: SocketKind,
        /// Where it is bound.
        address: SocketAddr,
    },
    /// It takes IPv4 too, under addresses that no rule is written for.
    #[error(
        "{label} was handed over, bound to {address} and takes IPv4 as well: expected IPv6 alone \
         (BindIPv6Only=ipv6-only)"
    )]
    BothFamilies {
        /// Which.
        label: Label,
        /// Where it is bound.
        address: SocketAddr,
    },
    /// A connection, or a socket that nobody made listen.
    #[error("{label} was handed over for {address} and does not listen: expected Accept=no")]
    Deaf {
        /// Which.
        label: Label,
        /// Where it is bound.
        address: SocketAddr,
    },
    /// The kernel says nothing of it.
    #[error("{label} was handed over and cannot be looked at")]
    Unknown {
        /// Which.
        label: Label,
        /// Why.
        source: io::Error,
    },
}

/// A socket that was handed over and not taken yet.
#[derive(Debug)]
struct Handed {
    label: Label,
    kind: SocketKind,
    address: SocketAddr,
    socket: Socket,
}

/// All that was handed over and not taken yet.
#[derive(Debug, Default)]
pub struct HandedOver {
    sockets: Vec<Handed>,
}

impl HandedOver {
    /// What the environment says: `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`. Nothing if it is
    /// meant for another process. The first two are gone from the environment afterwards, so that no
    /// program that this one starts believes them.
    ///
    /// # Errors
    /// If something that was handed over is no socket of the internet.
    pub fn of_environment() -> Result<Self, BadHandOver> {
        let ours = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        let Some(count) = env::var_os("LISTEN_FDS").filter(|_| ours) else {
            return Ok(Self::default());
        };
        let count = count.to_string_lossy().into_owned();
        let known = count
            .parse::<usize>()
            .ok()
            .filter(|count| *count <= SOCKETS_MAX);
        if known.is_none() {
            return Err(BadHandOver::Count(count));
        }
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self::of(&mut ListenFd::from_env(), &names)
    }

    fn of(descriptors: &mut ListenFd, names: &str) -> Result<Self, BadHandOver> {
        let mut names = names.split(':').filter(|name| !name.is_empty());
        let each = (0..descriptors.len()).map(|place| {
            let label = Label {
                descriptor: FIRST_DESCRIPTOR + place,
                name: names.next().map(ToOwned::to_owned),
            };
            let mut take = |kind, of_kernel| {
                let taken = descriptors.take_custom::<OwnedFd>(place, libc::AF_INET, of_kernel, "");
                Some((kind, Socket::from(taken.ok()??)))
            };
            let found = take(SocketKind::Udp, libc::SOCK_DGRAM)
                .or_else(|| take(SocketKind::Tcp, libc::SOCK_STREAM));
            let Some((kind, socket)) = found else {
                return Err(BadHandOver::Foreign(label));
            };
            match socket.local_addr() {
                Ok(address) => Ok(Handed {
                    address: address
                        .as_socket()
                        .ok_or(BadHandOver::Foreign(label.clone()))?,
                    label,
                    kind,
                    socket,
                }),
                Err(source) => Err(BadHandOver::Unknown { label, source }),
            }
        });
        let sockets = each.collect::<Result<_, _>>()?;
        Ok(Self { sockets })
    }

    /// The sockets for datagrams to an address, in the order in which they were handed over.
    ///
    /// # Errors
    /// If one takes datagrams of IPv4 at an address of IPv6.
    pub fn udp(&mut self, address: SocketAddr) -> Result<Vec<Socket>, BadHandOver> {
        let taken = self.take(SocketKind::Udp, address);
        taken.into_iter().map(Handed::of_one_family).collect()
    }

    /// The one socket for datagrams to an address, if there is one.
    ///
    /// # Errors
    /// If there are several, or it takes datagrams of IPv4 at an address of IPv6.
    pub fn udp_alone(&mut self, address: SocketAddr) -> Result<Option<Socket>, BadHandOver> {
        let taken = alone(self.take(SocketKind::Udp, address))?;
        taken.map(Handed::of_one_family).transpose()
    }

    /// The one socket for connections to an address, if there is one.
    ///
    /// # Errors
    /// If there are several, or it does not listen, or takes connections of IPv4 at an address of IPv6.
    pub fn tcp(&mut self, address: SocketAddr) -> Result<Option<TcpListener>, BadHandOver> {
        let Some(taken) = alone(self.take(SocketKind::Tcp, address))? else {
            return Ok(None);
        };
        let label = taken.label.clone();
        let socket = taken.of_one_family()?;
        match socket.is_listener() {
            Ok(true) => Ok(Some(socket.into())),
            Ok(false) => Err(BadHandOver::Deaf { label, address }),
            Err(source) => Err(BadHandOver::Unknown { label, source }),
        }
    }

    /// Once everything was taken that is wanted.
    ///
    /// # Errors
    /// If something is left: somebody wants it listened on, and nobody would.
    pub fn none_left(self) -> Result<(), BadHandOver> {
        match self.sockets.into_iter().next() {
            None => Ok(()),
            Some(Handed {
                label,
                kind,
                address,
                ..
            }) => Err(BadHandOver::Unasked {
                label,
                kind,
                address,
            }),
        }
    }

    fn take(&mut self, kind: SocketKind, address: SocketAddr) -> Vec<Handed> {
        let is_it = |handed: &mut Handed| handed.kind == kind && handed.address == address;
        self.sockets.extract_if(.., is_it).collect()
    }
}

impl Handed {
    /// Whether a socket takes one family is settled when it is bound; addresses of IPv4 in the form of
    /// IPv6 would pass by every rule that is written for them.
    fn of_one_family(self) -> Result<Socket, BadHandOver> {
        let Self {
            label,
            address,
            socket,
            ..
        } = self;
        let SocketAddr::V6(v6) = address else {
            return Ok(socket);
        };
        if !v6.ip().is_unspecified() && v6.ip().to_ipv4_mapped().is_none() {
            return Ok(socket);
        }
        match socket.only_v6() {
            Ok(true) => Ok(socket),
            Ok(false) => Err(BadHandOver::BothFamilies { label, address }),
            Err(source) => Err(BadHandOver::Unknown { label, source }),
        }
    }
}

fn alone(taken: Vec<Handed>) -> Result<Option<Handed>, BadHandOver> {
    let mut taken = taken.into_iter();
    let first = taken.next();
    match taken.next() {
        None => Ok(first),
        Some(Handed {
            label,
            kind,
            address,
            ..
        }) => Err(BadHandOver::Twice {
            label,
            kind,
            address,
        }),
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Type};

    use super::*;

    /// A socket as it would be handed over, at a port that the system chooses.
    fn handed(kind: SocketKind, address: &str, only_v6: bool) -> Handed {
        let address: SocketAddr = address.parse().unwrap();
        let of_kernel = match kind {
            SocketKind::Udp => Type::DGRAM,
            SocketKind::Tcp => Type::STREAM,
        };
        let socket = Socket::new(Domain::for_address(address), of_kernel, None).unwrap();
        if address.is_ipv6() {
            socket.set_only_v6(only_v6).unwrap();
        }
        socket.bind(&address.into()).unwrap();
        Handed {
            label: Label {
                descriptor: 3,
                name: Some("dns".to_owned()),
            },
            kind,
            address: socket.local_addr().unwrap().as_socket().unwrap(),
            socket,
        }
    }

    fn listening(address: &str) -> Handed {
        let handed = handed(SocketKind::Tcp, address, true);
        handed.socket.listen(1).unwrap();
        handed
    }

    #[test]
    fn a_socket_is_taken_by_its_address_and_kind_and_none_may_be_left() {
        let (udp, tcp) = (
            handed(SocketKind::Udp, "127.0.0.1:0", true),
            listening("127.0.0.1:0"),
        );
        let (datagrams, connections) = (udp.address, tcp.address);
        let mut all = HandedOver {
            sockets: vec![udp, tcp],
        };
        assert!(all.tcp(datagrams).unwrap().is_none(), "another kind");
        assert!(all.udp(connections).unwrap().is_empty(), "another kind");
        assert!(all.tcp(connections).unwrap().is_some());
        assert_eq!(all.sockets.len(), 1);
        let error = all.none_left().unwrap_err().to_string();
        assert!(error.contains("descriptor 3 (dns)"), "{error}");
        assert!(error.contains(&format!("udp {datagrams}")), "{error}");
    }

    #[test]
    fn a_socket_of_both_families_is_refused_where_ipv4_could_come() {
        for (address, only_v6, is_good) in [
            ("[::]:0", false, false),
            ("[::]:0", true, true),
            ("[::1]:0", false, true),
        ] {
            let udp = handed(SocketKind::Udp, address, only_v6);
            let bound = udp.address;
            let mut all = HandedOver { sockets: vec![udp] };
            assert_eq!(all.udp(bound).is_ok(), is_good, "{address} {only_v6}");
        }
    }

    #[test]
    fn one_that_does_not_listen_and_one_too_many_are_refused() {
        let deaf = handed(SocketKind::Tcp, "127.0.0.1:0", true);
        let address = deaf.address;
        let mut all = HandedOver {
            sockets: vec![deaf],
        };
        assert!(matches!(all.tcp(address), Err(BadHandOver::Deaf { .. })));
        let first = handed(SocketKind::Udp, "127.0.0.1:0", true);
        let (address, again) = (first.address, first.socket.try_clone().unwrap());
        let second = Handed {
            socket: again,
            label: first.label.clone(),
            ..first
        };
        let first = Handed {
            socket: second.socket.try_clone().unwrap(),
            label: second.label.clone(),
            ..second
        };
        let mut all = HandedOver {
            sockets: vec![first, second],
        };
        assert!(matches!(
            all.udp_alone(address),
            Err(BadHandOver::Twice { .. })
        ));
    }
}
