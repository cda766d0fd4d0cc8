//! DNS over QUIC (RFC 9250): connections are let in as those of TCP are, and each question has a
//! stream of its own.

mod exchange;
mod query;
mod settings;
mod visit;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use noq::{Endpoint, Incoming, ServerConfig, VarInt};
use socket2::Socket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::service::ports::Parts;
use crate::service::secure_channel::SecureChannel;
use crate::telemetry::connections::ConnectionCounts;
use crate::telemetry::quic::QuicCounts;
use crate::telemetry::transport::Transport;

use super::kept::SharedAnswers;
use super::responder::Responder;
use super::tcp::Connections;

use exchange::Guest;
use visit::Visit;

pub use query::{OneQuery, QueryFault};

/// What a client agrees on (ALPN, RFC 9250 section 4.1.1).
pub const QUIC_PROTOCOLS: &[&[u8]] = &[b"doq"];

/// Nothing is wrong (RFC 9250 section 4.3).
const NO_ERROR: VarInt = VarInt::from_u32(0);
/// The client did what it must not.
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
/// What was asked is not wanted any more.
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
/// It wants more than it may have, or others need its place.
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// How long a handshake may take, as under TLS over TCP.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes of clients that have not shown that they are at their address. Above so many each has
/// to show it first, at the cost of a round trip: what answers one may be three times as long as what
/// it sent, and may reach somebody else.
const UNPROVEN_MAX: usize = 16;
/// How long connections that end may take to say so.
const FAREWELL: Duration = Duration::from_secs(2);
/// Before a socket that failed is used again.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Where clients of DNS over QUIC come in.
#[derive(Debug)]
pub struct QuicDoor<P: Parts> {
    /// The socket.
    pub socket: QuicSocket,
    /// What is in force of TLS.
    pub channel: SecureChannel,
    /// Answers that are kept for its transport.
    pub kept: Arc<SharedAnswers<P>>,
}

/// A bound socket.
#[derive(Debug)]
pub struct QuicSocket {
    socket: UdpSocket,
    address: SocketAddr,
}

impl QuicSocket {
    /// Takes an address, alone.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = settings::bound(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// One that somebody else bound.
    pub fn handed_over(socket: Socket) -> io::Result<Self> {
        let socket = settings::equipped(socket)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Where it is bound.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves a socket until told to stop. Connections are left in `tasks`; they take no questions from
/// then on and end when what they were asked is answered.
pub async fn serve_quic<P: Parts>(
    door: QuicDoor<P>,
    responder: Responder<P>,
    connections: Arc<Connections>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let address = door.socket.address;
    let entrance = Entrance {
        counts: responder.connection_counts(Transport::Quic),
        quic_counts: responder.resolver().telemetry().quic(),
        door,
        responder,
        connections,
        unproven: Arc::new(Semaphore::new(UNPROVEN_MAX)),
        tasks,
        guests: TaskTracker::new(),
        stop,
    };
    loop {
        match entrance.open().await {
            Ok(()) => return,
            Err(error) => {
                entrance.counts.fail_accept();
                tracing::warn!(%address, %error, "QUIC fails on its socket and begins again");
            }
        }
        tokio::select! {
            () = entrance.stop.cancelled() => return,
            () = sleep(PAUSE_AFTER_ERROR) => {}
        }
    }
}

/// What is in force for connections that begin now, and what it was made from.
struct Rules {
    tls: Arc<rustls::ServerConfig>,
    server: Arc<ServerConfig>,
}

/// What all connections of a socket have in common.
struct Entrance<P: Parts> {
    door: QuicDoor<P>,
    responder: Responder<P>,
    connections: Arc<Connections>,
    unproven: Arc<Semaphore>,
    counts: Arc<ConnectionCounts>,
    quic_counts: Arc<QuicCounts>,
    tasks: TaskTracker,
    /// Those of its tasks that hold a connection of this socket.
    guests: TaskTracker,
    stop: CancellationToken,
}

impl<P: Parts> Entrance<P> {
    /// Lets clients in until told to stop, or until the socket fails.
    async fn open(&self) -> io::Result<()> {
        let mut rules = self.rules()?;
        let socket = self.door.socket.socket.try_clone()?;
        let endpoint = settings::endpoint(socket, ServerConfig::clone(&rules.server))?;
        loop {
            let incoming = tokio::select! {
                () = self.stop.cancelled() => break,
                incoming = endpoint.accept() => incoming,
            };
            let incoming = incoming.ok_or(io::ErrorKind::NotConnected)?;
            if !Arc::ptr_eq(&rules.tls, &self.door.channel.config()) {
                rules = self.rules()?;
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.let_in(incoming, &rules) => {}
            }
        }
        self.wind_down(&endpoint).await;
        Ok(())
    }

    fn rules(&self) -> io::Result<Rules> {
        let tls = self.door.channel.config();
        let server = settings::server(Arc::clone(&tls)).map_err(io::Error::other)?;
        let server = Arc::new(server);
        Ok(Rules { tls, server })
    }

    /// Gives a client a place, or has it show first that it is where it says.
    async fn let_in(&self, incoming: Incoming, rules: &Rules) {
        let from = incoming.remote_address();
        let Some(unproven) = self.unproven(&incoming) else {
            self.quic_counts.retry();
            // An error means that it cannot be asked to; it is let go.
            drop(incoming.retry());
            return;
        };
        // A house full of connections at work lets nobody in; who comes next waits unread.
        let Some(place) = self.connections.enter_by_quic(from.ip()).await else {
            self.counts.refuse();
            tracing::debug!(%from, "too many connections of one client");
            incoming.refuse();
            return;
        };
        let arrival = Arrival {
            incoming,
            server: Arc::clone(&rules.server),
            unproven,
        };
        let guest = Guest::new(&self.door, &self.responder, from, place);
        let (counts, quic_counts) = (Arc::clone(&self.counts), Arc::clone(&self.quic_counts));
        let (open, stop) = (counts.open(), self.stop.child_token());
        let serving = async move {
            let counts = (counts, quic_counts);
            if let Some(visit) = arrival.shake_hands(guest, counts, stop).await {
                visit.hold().await;
            }
            drop(open);
        };
        self.tasks.spawn(self.guests.track_future(serving));
    }

    /// What an unproven address holds while it is; none if it has to be proven first. In a house that
    /// is half full nobody is let in for an address that may be another one's.
    fn unproven(&self, incoming: &Incoming) -> Option<Unproven> {
        if incoming.remote_address_validated() {
            return Some(None);
        }
        if self.connections.is_crowded_for_quic() {
            return None;
        }
        let permit = Arc::clone(&self.unproven).try_acquire_owned();
        permit.ok().map(Some)
    }

    /// Gives connections time to say that they end, and then ends them.
    async fn wind_down(&self, endpoint: &Endpoint) {
        self.guests.close();
        self.guests.wait().await;
        endpoint.close(NO_ERROR, b"stopping");
        while let Some(incoming) = endpoint.accept().await {
            incoming.ignore();
        }
        drop(timeout(FAREWELL, endpoint.wait_all_draining()).await);
    }
}

/// One of a bounded number, for as long as an address is not proven; none where it is.
type Unproven = Option<OwnedSemaphorePermit>;

/// A client that was let in and has still to shake hands.
struct Arrival {
    incoming: Incoming,
    server: Arc<ServerConfig>,
    unproven: Unproven,
}

impl Arrival {
    /// A client that does not come to the end of its handshake in time holds only its own place, and
    /// makes room before anybody who came later.
    async fn shake_hands<P: Parts>(
        self,
        guest: Guest<P>,
        (counts, quic_counts): (Arc<ConnectionCounts>, Arc<QuicCounts>),
        stop: CancellationToken,
    ) -> Option<Visit<P>> {
        let from = guest.from();
        let handshake = async {
            let made = self.incoming.accept_with(self.server)?.await;
            drop(self.unproven);
            made
        };
        let made = tokio::select! {
            () = stop.cancelled() => return None,
            () = guest.place().must_leave() => return None,
            made = timeout(HANDSHAKE, handshake) => made,
        };
        match made {
            Ok(Ok(connection)) => {
                return Some(Visit::new(guest, connection, quic_counts, stop));
            }
            Ok(Err(error)) => tracing::debug!(%from, %error, "a QUIC handshake failed"),
            Err(_) => tracing::debug!(%from, "a QUIC handshake took too long"),
        }
        counts.fail_handshake();
        None
    }
}
