//! The sockets of a node, bound before anything is made.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::adapters::dns::{QuicSocket, UdpDoor};
use crate::config::Config;

use super::assemble::StartError;

/// Threads that answer datagrams of one address: one a core, and no more than a large machine's
/// network card has queues for.
const UDP_THREADS_MAX: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// One address, both transports.
pub(super) struct SocketPair {
    pub(super) address: SocketAddr,
    pub(super) udp: Vec<UdpDoor>,
    pub(super) tcp: TcpListener,
}

pub(super) fn bind(config: &Config) -> Result<Vec<SocketPair>, StartError> {
    let each = |address: &SocketAddr| {
        bind_pair(*address).map_err(|source| listen_error(&address.to_string(), source))
    };
    config.dns.iter().map(each).collect()
}

/// The listeners of DNS over connections of their own kinds.
pub(super) struct StreamDoors {
    pub(super) tls: Vec<(SocketAddr, TcpListener)>,
    pub(super) https: Vec<(SocketAddr, TcpListener)>,
    pub(super) quic: Vec<QuicSocket>,
    /// HTTP in the clear.
    pub(super) http: Vec<(SocketAddr, TcpListener)>,
}

pub(super) fn bind_streams(config: &Config) -> Result<StreamDoors, StartError> {
    let each = |addresses: &[SocketAddr]| -> Result<Vec<_>, StartError> {
        addresses.iter().map(bind_named).collect()
    };
    let (tls, https, quic) = match &config.encrypted {
        Some(encrypted) => {
            let quic: Result<_, _> = encrypted.quic.iter().map(bind_quic).collect();
            (each(&encrypted.tls)?, each(&encrypted.https)?, quic?)
        }
        None => (Vec::new(), Vec::new(), Vec::new()),
    };
    Ok(StreamDoors {
        tls,
        https,
        quic,
        http: each(&config.http.addresses)?,
    })
}

fn bind_quic(address: &SocketAddr) -> Result<QuicSocket, StartError> {
    let bound = QuicSocket::bind(*address);
    bound.map_err(|source| listen_error(&format!("quic {address}"), source))
}

pub(super) fn bind_api(config: &Config) -> Result<Vec<(SocketAddr, TcpListener)>, StartError> {
    config.api.listen.iter().map(bind_named).collect()
}

pub(super) fn bind_observe(config: &Config) -> Result<Vec<(SocketAddr, TcpListener)>, StartError> {
    config.observe.listen.iter().map(bind_named).collect()
}

fn bind_named(address: &SocketAddr) -> Result<(SocketAddr, TcpListener), StartError> {
    let bound = bind_tcp(*address).and_then(|bound| Ok((bound.local_addr()?, bound)));
    bound.map_err(|source| listen_error(&address.to_string(), source))
}

fn bind_tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
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
    TcpListener::from_std(tcp.into())
}

fn bind_pair(address: SocketAddr) -> std::io::Result<SocketPair> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(UDP_THREADS_MAX);
    // With port 0 TCP takes a port and UDP the same one; another program may hold that one.
    for _ in 0..16 {
        let tcp = bind_tcp(address)?;
        let taken = tcp.local_addr()?;
        let udp = match UdpDoor::bind(taken, threads) {
            Ok(udp) => udp,
            Err(error) if address.port() == 0 && error.kind() == std::io::ErrorKind::AddrInUse => {
                continue;
            }
            Err(error) => return Err(error),
        };
        return Ok(SocketPair {
            address: taken,
            udp,
            tcp,
        });
    }
    Err(std::io::ErrorKind::AddrInUse.into())
}

/// Why somewhere is not listened.
pub(super) fn listen_error(address: &str, source: std::io::Error) -> StartError {
    StartError::Listen {
        address: address.to_owned(),
        source,
    }
}
