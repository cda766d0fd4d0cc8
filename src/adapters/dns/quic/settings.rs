//! How QUIC runs below questions: what a client may have open, send and leave unread, and for how
//! long.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use noq::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use noq::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};

/// Streams that a client may have open; the least that RFC 9000 section 4.6 suggests for a protocol
/// of requests. The reply of each may be on its way still.
const STREAMS_MAX: u32 = 100;
/// What a client may send of one query before it is read: the longest message with its length.
const STREAM_WINDOW_BYTES: u32 = (64 << 10) + 1;
/// And of all queries of a connection: a few of the longest, hundreds of usual length.
const WINDOW_BYTES: u32 = 256 << 10;
/// Replies of a connection that were not acknowledged: a few of the longest. More of them wait.
const SEND_WINDOW_BYTES: u64 = 256 << 10;
/// Without a word for so long a client is gone, also one whose questions are under way. Those that
/// have nothing to do go by the patience of all connections, which is shorter.
const SILENCE_MAX_MS: u32 = 30_000;
/// Handshakes that began and were not looked at: the listener looks at each at once, unless all
/// places are taken by connections at work. Above it the first datagram is dropped unread.
const INCOMING_MAX: usize = 256;
/// What comes with each of those after its first datagram, and with all of them. Without early data
/// nothing much does.
const INCOMING_BYTES: u64 = 8 << 10;
const INCOMING_BYTES_TOTAL: u64 = 1 << 20;
/// Datagrams that the kernel keeps while nobody reads, as over plain UDP.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;
/// QUIC version 1. A client of another one is told so in a datagram that is not longer than need be:
/// it was asked for by a datagram of any length, from any address.
const VERSIONS: [u32; 1] = [1];

/// A socket for QUIC. One family a socket, so that a node can listen on the same port of both.
pub(super) fn bound(address: SocketAddr) -> io::Result<UdpSocket> {
    let (domain, protocol) = (Domain::for_address(address), Some(Protocol::UDP));
    let socket = Socket::new(domain, Type::DGRAM, protocol)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    equipped(socket)
}

/// What a socket for QUIC needs, whoever bound it.
pub(super) fn equipped(socket: Socket) -> io::Result<UdpSocket> {
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// QUIC over a socket, in the runtime at hand.
pub(super) fn endpoint(socket: UdpSocket, server: ServerConfig) -> io::Result<Endpoint> {
    let mut config = EndpointConfig::default();
    config.supported_versions(VERSIONS.to_vec());
    Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime))
}

/// What connections go by that begin from now on.
pub(super) fn server(tls: Arc<rustls::ServerConfig>) -> Result<ServerConfig, NoInitialCipherSuite> {
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    server
        .transport_config(Arc::new(transport()))
        // Who may ask is known by the address that the handshake proved; a client whose address
        // changes comes again.
        .migration(false)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(server)
}

/// Nothing beyond one path to one address is said or heard of; what is not switched on is off.
fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(VarInt::from_u32(SILENCE_MAX_MS).into()))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        // There are none in DNS over QUIC.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        // Most connections end before it would pay to know how long datagrams may be.
        .mtu_discovery_config(None)
        .max_concurrent_multipath_paths(0)
        .max_remote_nat_traversal_addresses(0)
        .send_observed_address_reports(false)
        .receive_observed_address_reports(false);
    transport
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_bound_by_one_alone() {
        let first = bound("127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = first.local_addr().unwrap();
        let again = bound(taken).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    }
}
