//! The sockets of a node: those that were handed over, and all others bound before anything is made.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::adapters::activation::HandedOver;
use crate::adapters::dns::{QuicSocket, UdpDoor};
use crate::adapters::peers::bind_peer;
use crate::config::Config;

use super::assemble::StartError;

/// Threads that answer datagrams of one address: one a core, and no more than a large machine's
/// network card has queues for.
const UDP_THREADS_MAX: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Where connections come in.
pub(super) type TcpDoor = (SocketAddr, TcpListener);

/// Every socket that a configuration wants.
pub struct Sockets {
    pub(super) dns: Vec<SocketPair>,
    pub(super) streams: StreamDoors,
    /// The admin API over TCP.
    pub(super) api: Vec<TcpDoor>,
    /// Monitoring.
    pub(super) observe: Vec<TcpDoor>,
    /// Other nodes.
    pub(super) peers: Vec<UdpSocket>,
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sockets")
    }
}

/// One address, both transports.
pub(super) struct SocketPair {
    pub(super) address: SocketAddr,
    pub(super) udp: Vec<UdpDoor>,
    pub(super) tcp: TcpListener,
    /// Which of them were handed over: datagrams, connections.
    pub(super) handed_over: (bool, bool),
}

/// The listeners of DNS over connections of their own kinds.
pub(super) struct StreamDoors {
    pub(super) tls: Vec<TcpDoor>,
    pub(super) https: Vec<TcpDoor>,
    pub(super) quic: Vec<QuicSocket>,
    /// HTTP in the clear.
    pub(super) http: Vec<TcpDoor>,
}

impl Sockets {
    /// Takes what was handed over to this process, and binds what was not.
    ///
    /// # Errors
    /// If an address cannot be had, or if a socket was handed over that the configuration does not want.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        let mut opening = Opening {
            handed_over: HandedOver::of_environment()?,
        };
        let encrypted = config.encrypted.as_ref();
        let sockets = Self {
            dns: opening.each(&config.dns, Opening::pair)?,
            streams: StreamDoors {
                tls: opening.tcp(encrypted.map_or(&[], |all| &all.tls))?,
                https: opening.tcp(encrypted.map_or(&[], |all| &all.https))?,
                quic: opening.each(encrypted.map_or(&[], |all| &all.quic), Opening::quic)?,
                http: opening.tcp(&config.http.addresses)?,
            },
            api: opening.tcp(&config.api.listen)?,
            observe: opening.tcp(&config.observe.listen)?,
            peers: opening.each(&config.peers.listen, Opening::peer)?,
        };
        opening.handed_over.none_left()?;
        Ok(sockets)
    }
}

/// Sockets on their way.
struct Opening {
    handed_over: HandedOver,
}

impl Opening {
    fn each<T>(
        &mut self,
        addresses: &[SocketAddr],
        open: impl Fn(&mut Self, SocketAddr) -> Result<T, StartError>,
    ) -> Result<Vec<T>, StartError> {
        let each = addresses.iter().map(|address| open(self, *address));
        each.collect()
    }

    fn tcp(&mut self, addresses: &[SocketAddr]) -> Result<Vec<TcpDoor>, StartError> {
        self.each(addresses, |opening, address| {
            let handed_over = opening.handed_over.tcp(address)?;
            let listener = handed_over.map_or_else(|| bind_tcp(address), at_hand);
            let named = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
            named.map_err(|source| listen_error(&address.to_string(), source))
        })
    }

    fn quic(&mut self, address: SocketAddr) -> Result<QuicSocket, StartError> {
        let socket = match self.handed_over.udp_alone(address)? {
            Some(socket) => QuicSocket::handed_over(socket),
            None => QuicSocket::bind(address),
        };
        socket.map_err(|source| listen_error(&format!("quic {address}"), source))
    }

    fn peer(&mut self, address: SocketAddr) -> Result<UdpSocket, StartError> {
        match self.handed_over.udp_alone(address)? {
            Some(socket) => Ok(socket.into()),
            None => Ok(bind_peer(address)?),
        }
    }

    fn pair(&mut self, address: SocketAddr) -> Result<SocketPair, StartError> {
        let (udp, tcp) = (
            self.handed_over.udp(address)?,
            self.handed_over.tcp(address)?,
        );
        let pair = match (udp.as_slice(), tcp) {
            ([], None) => bind_pair(address),
            (udp, tcp) => pair_of(address, udp, tcp),
        };
        pair.map_err(|source| listen_error(&address.to_string(), source))
    }
}

/// A listener that was handed over, as those are that are bound here.
fn at_hand(listener: TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let tcp = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // Each address of the configuration is its own socket.
        tcp.set_only_v6(true)?;
    }
    tcp.set_nonblocking(true)?;
    tcp.set_reuse_address(true)?;
    tcp.bind(&address.into())?;
    tcp.listen(BACKLOG)?;
    Ok(tcp.into())
}

fn udp_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.min(UDP_THREADS_MAX)
}

/// What was handed over for an address, and bound what was not.
fn pair_of(
    address: SocketAddr,
    udp: &[Socket],
    tcp: Option<TcpListener>,
) -> io::Result<SocketPair> {
    let handed_over = (!udp.is_empty(), tcp.is_some());
    Ok(SocketPair {
        address,
        udp: match udp {
            [] => UdpDoor::bind(address, udp_threads())?,
            handed_over => UdpDoor::handed_over(handed_over, udp_threads())?,
        },
        tcp: tcp.map_or_else(|| bind_tcp(address), at_hand)?,
        handed_over,
    })
}

fn bind_pair(address: SocketAddr) -> io::Result<SocketPair> {
    // With port 0 TCP takes a port and UDP the same one; another program may hold that one.
    for _ in 0..16 {
        let tcp = bind_tcp(address)?;
        let taken = tcp.local_addr()?;
        let udp = match UdpDoor::bind(taken, udp_threads()) {
            Ok(udp) => udp,
            Err(error) if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {
                continue;
            }
            Err(error) => return Err(error),
        };
        return Ok(SocketPair {
            address: taken,
            udp,
            tcp,
            handed_over: (false, false),
        });
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// Why somewhere is not listened.
pub(super) fn listen_error(address: &str, source: io::Error) -> StartError {
    StartError::Listen {
        address: address.to_owned(),
        source,
    }
}
