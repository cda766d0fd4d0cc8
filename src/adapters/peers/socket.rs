//! The sockets for peers, and how QUIC runs over them: one path a connection, to the address that was
//! dialled or that dialled. Nothing that a peer says makes a node send anywhere else.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use noq::{
    ClientConfig, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::base::keys::SecretKey;

use super::endpoint::PeerEndpointError;
use super::handshake::{dialled, dialling};
use super::line::Peer;

/// A connection on which nothing was heard for so long is gone. A peer that was killed is noticed
/// within it.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Something is heard so often on a connection that is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Streams that a peer may have open; above it its own requests wait.
const STREAMS_MAX: u32 = 16;
/// Bytes of one stream, and of all streams of a peer, that wait to be read; and that wait to be sent.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const WINDOW_BYTES: u32 = 4 << 20;
const SEND_WINDOW_BYTES: u64 = 8 << 20;
/// Handshakes that began and were not looked at, and the bytes that come with each and with all.
const INCOMING_MAX: usize = 256;
const INCOMING_BYTES: u64 = 64 << 10;
const INCOMING_BYTES_TOTAL: u64 = 4 << 20;

/// What is neither said to peers nor heard of them: further paths, addresses to be tried, addresses
/// that were seen. All of it is off where it is not switched on.
pub(super) fn transport() -> Result<Arc<TransportConfig>, PeerEndpointError> {
    let idle = IDLE_MAX.try_into();
    let idle = idle.map_err(|error: noq::VarIntBoundsExceeded| PeerEndpointError::of(&error))?;
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(idle))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .max_concurrent_multipath_paths(0)
        .max_remote_nat_traversal_addresses(0)
        .send_observed_address_reports(false)
        .receive_observed_address_reports(false);
    Ok(Arc::new(transport))
}

/// How a peer is dialled.
pub(super) fn client(key: &SecretKey, peer: &Peer) -> Result<ClientConfig, PeerEndpointError> {
    let client = dialling(key, peer.id);
    let mut client = client.map_err(|error| PeerEndpointError::of(&error))?;
    client.transport_config(transport()?);
    Ok(client)
}

fn server(key: &SecretKey) -> Result<ServerConfig, PeerEndpointError> {
    let mut server = dialled(key).map_err(|error| PeerEndpointError::of(&error))?;
    server
        .transport_config(transport()?)
        // A peer whose address changes dials again: answering where a datagram claims to come from
        // would send to whomever it names.
        .migration(false)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(server)
}

/// Uses the sockets that peers dial; where there is none, one of each family to dial from.
pub(super) fn open(
    listen: Vec<UdpSocket>,
    key: &SecretKey,
) -> Result<Vec<Endpoint>, PeerEndpointError> {
    if listen.is_empty() {
        let any = [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        ];
        // A machine may have one family only.
        let opened = any.map(|address| bound(address).and_then(|socket| endpoint(socket, None)));
        let (good, bad): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        return match (good.is_empty(), bad.into_iter().next()) {
            (true, Some(Err(error))) => Err(PeerEndpointError::of(&error)),
            _ => Ok(good.into_iter().flatten().collect()),
        };
    }
    let opened = listen.into_iter().map(|socket| {
        let opened = endpoint(socket, Some(server(key)?));
        opened.map_err(|error| PeerEndpointError::of(&error))
    });
    opened.collect()
}

/// The socket for peers at an address.
///
/// # Errors
/// If the address cannot be had.
pub fn bind_peer(address: SocketAddr) -> Result<UdpSocket, PeerEndpointError> {
    let named = |error: std::io::Error| PeerEndpointError::of(&format!("{address}: {error}"));
    bound(address).map_err(named)
}

/// One family a socket, so that a node can listen on the same port of both.
fn bound(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn endpoint(socket: UdpSocket, server: Option<ServerConfig>) -> std::io::Result<Endpoint> {
    Endpoint::new(
        EndpointConfig::default(),
        server,
        socket,
        Arc::new(TokioRuntime),
    )
}
