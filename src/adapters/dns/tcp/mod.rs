//! DNS over TCP (RFC 7766) and TLS (RFC 7858), and what HTTP is spoken over: connections are let in, and
//! make room for each other.

mod connections;
mod conversation;
mod frames;
mod outbound;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::identity::Identity;
use crate::service::ports::Parts;
use crate::service::secure_channel::{SecureChannel, identity};
use crate::telemetry::connections::ConnectionCounts;
use crate::telemetry::transport::Transport;

use super::https::{self, HTTP_2, HttpRules, Visit};
use super::kept::SharedAnswers;
use super::responder::Responder;

use conversation::Conversation;

pub(super) use connections::Place;
pub use connections::{Connections, TcpLimits};
pub use frames::Frames;

/// How long a TLS handshake may take: a few round trips of a bad line; who needs longer keeps a place
/// from others.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// After an error of accepting that the next call would bring too: the kernel goes on saying that
/// somebody waits, and a core must not be kept busy with it.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);
/// Such errors that are counted into one line of the log: one a second while they last.
const ERRORS_A_LINE: u32 = 20;

/// Where connections come in.
#[derive(Debug)]
pub struct Door<P: Parts> {
    /// The listener.
    pub listener: TcpListener,
    /// TLS on its connections; none for plain ones.
    pub channel: Option<SecureChannel>,
    /// What is spoken over them.
    pub speech: Speech,
    /// Answers that are kept for its transport.
    pub kept: Arc<SharedAnswers<P>>,
}

/// What is spoken over connections.
#[derive(Debug, Clone)]
pub enum Speech {
    /// Messages behind their lengths.
    Messages,
    /// HTTP.
    Http(Arc<HttpRules>),
}

/// Serves a listener until it is told to stop. Connections are left in `tasks`; they stop reading
/// at once and end when what they were asked is answered.
pub async fn serve_tcp<P: Parts>(
    door: Door<P>,
    responder: Responder<P>,
    connections: Arc<Connections>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let transport = match &door.channel {
        None => Transport::Tcp,
        Some(_) => Transport::Tls,
    };
    let counts = responder.connection_counts(transport);
    let mut failures = 0_u32;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = door.listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "a connection ended before it was accepted");
                continue;
            }
            Err(error) => {
                counts.fail_accept();
                if failures.is_multiple_of(ERRORS_A_LINE) {
                    tracing::warn!(%error, "accepting connections fails");
                }
                failures = failures.wrapping_add(1);
                // Nearly always there are no descriptors left, and one who is idle holds one.
                connections.make_room();
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        failures = 0;
        if !door.lets_in(from.ip()) {
            tracing::debug!(%from, "no proxy that is trusted asks in the clear");
            continue;
        }
        // A house full of connections at work accepts no more; the kernel's queue holds who comes next.
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = connections.enter(from.ip()) => place,
        };
        let Some(place) = place else {
            counts.refuse();
            tracing::debug!(%from, "too many connections of one client");
            continue;
        };
        let guest = Guest {
            responder: responder.clone(),
            kept: Arc::clone(&door.kept),
            speech: door.speech.clone(),
            from,
            place,
            counts: Arc::clone(&counts),
            // Its own, so that connections do not wait for each other to look.
            stop: stop.child_token(),
        };
        let (channel, open) = (door.channel.clone(), counts.open());
        tasks.spawn(async move {
            guest.serve(stream, channel).await;
            drop(open);
        });
    }
}

impl<P: Parts> Door<P> {
    fn lets_in(&self, from: IpAddr) -> bool {
        match (&self.speech, &self.channel) {
            (Speech::Http(rules), None) => rules.lets_in_the_clear(from),
            _ => true,
        }
    }
}

/// Whether an error says nothing about the next connection: this one was reset while it waited, or
/// the network had something to say about it (accept(2) lists these for Linux).
fn is_of_one_connection(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(
        code,
        Some(
            Errno::ECONNABORTED
                | Errno::ECONNRESET
                | Errno::EINTR
                | Errno::EPERM
                | Errno::EPROTO
                | Errno::ENOPROTOOPT
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::EHOSTDOWN
                | Errno::EHOSTUNREACH
                | Errno::ENONET
                | Errno::EOPNOTSUPP
                | Errno::ETIMEDOUT
        )
    )
}

/// A connection that was let in.
struct Guest<P: Parts> {
    responder: Responder<P>,
    kept: Arc<SharedAnswers<P>>,
    speech: Speech,
    from: SocketAddr,
    place: Place,
    counts: Arc<ConnectionCounts>,
    stop: CancellationToken,
}

/// What is known of a connection when it is ready.
struct Ready {
    transport: Transport,
    certificate: Option<Identity>,
    is_http_2: bool,
}

impl<P: Parts> Guest<P> {
    async fn serve(self, stream: TcpStream, channel: Option<SecureChannel>) {
        // Without it a small reply may wait for the acknowledgement of the one before.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Some(channel) = channel else {
            let ready = Ready {
                transport: Transport::Tcp,
                certificate: None,
                is_http_2: false,
            };
            return self.speak(stream, ready).await;
        };
        if let Some(stream) = self.handshake(stream, &channel).await {
            let connection = stream.get_ref().1;
            let ready = Ready {
                transport: Transport::Tls,
                certificate: identity(connection),
                is_http_2: connection.alpn_protocol() == Some(HTTP_2),
            };
            self.speak(stream, ready).await;
        }
    }

    /// A connection that does not come to its end of the handshake in time holds only its own place,
    /// and makes room before anybody who came later.
    async fn handshake(
        &self,
        stream: TcpStream,
        channel: &SecureChannel,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = tokio::time::timeout(HANDSHAKE, channel.acceptor().accept(stream));
        let made = tokio::select! {
            () = self.stop.cancelled() => return None,
            () = self.place.must_leave() => return None,
            made = handshake => made,
        };
        match made {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => {
                self.counts.fail_handshake();
                tracing::debug!(from = %self.from, %error, "a TLS handshake failed");
            }
            Err(_) => {
                self.counts.fail_handshake();
                tracing::debug!(from = %self.from, "a TLS handshake took too long");
            }
        }
        None
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin, ready: Ready) {
        let Ready {
            transport,
            certificate,
            is_http_2,
        } = ready;
        let Self {
            responder,
            kept,
            speech,
            from,
            place,
            stop,
            ..
        } = self;
        let Speech::Http(rules) = speech else {
            let conversation = Conversation {
                responder,
                kept,
                from,
                transport,
                certificate,
                place,
                stop,
            };
            return conversation.hold(stream).await;
        };
        let guest = https::Guest {
            responder,
            kept,
            rules,
            from,
            transport,
            certificate,
            place,
        };
        let visit = Visit { guest, stop };
        if is_http_2 {
            visit.hold_h2(stream).await;
        } else {
            visit.hold_h1(stream).await;
        }
    }
}
