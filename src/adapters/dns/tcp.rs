//! DNS over TCP (RFC 7766) and TLS (RFC 7858): pipelined, answered as answers come, bounded in every
//! direction.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::identity::Identity;
use crate::service::ports::Parts;
use crate::service::seats::Seats;
use crate::service::secure_channel::{SecureChannel, identity};

use super::responder::{Reply, Responder, Transport};

/// Replies that wait for a slow reader before its questions are no longer read.
const REPLIES_QUEUED_MAX: usize = 32;
/// A message as it stands in the stream: length and bytes.
const LENGTH_BYTES: usize = 2;

/// Bounds of the stream transport.
#[derive(Debug, Clone, Copy)]
pub struct TcpLimits {
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections of one address at a time.
    pub per_client_max: usize,
    /// How long a connection may be silent, and how long one message may take to arrive or leave.
    pub idle_ms: u64,
    /// How long a TLS handshake may take.
    pub handshake_ms: u64,
}

impl Default for TcpLimits {
    fn default() -> Self {
        // RFC 7766 section 6.2.3 asks for seconds, not minutes, under load.
        Self {
            connections_max: 1_024,
            per_client_max: 128,
            idle_ms: 10_000,
            // A few round trips of a bad line; who needs longer keeps a place from others.
            handshake_ms: 5_000,
        }
    }
}

impl TcpLimits {
    /// Bounds that leave half of the files that may be open to everything else: a full house must
    /// not keep questions from being forwarded.
    pub fn within(open_files: u64, listeners: usize) -> Self {
        let usual = Self::default();
        let half = usize::try_from(open_files / 2).unwrap_or(usize::MAX);
        let connections_max = (half / listeners.max(1)).clamp(1, usual.connections_max);
        // One client must not take all of a smaller house either.
        let per_client_max = usual.per_client_max.min((connections_max / 8).max(1));
        Self {
            connections_max,
            per_client_max,
            ..usual
        }
    }
}

/// How long a connection lasts, however busy: a certificate that ended, or whose authority a reload
/// took away, counts no longer than this.
const LIFE_MAX: Duration = Duration::from_hours(1);

/// Where connections come in.
#[derive(Debug)]
pub struct Door {
    /// The listener.
    pub listener: TcpListener,
    /// TLS on its connections; none for plain ones.
    pub channel: Option<SecureChannel>,
}

/// Serves a listener until it is told to stop. Connections are left in `tasks`; they stop reading
/// at once and end when what they were asked is answered.
pub async fn serve_tcp<P: Parts>(
    door: Door,
    responder: Responder<P>,
    tasks: TaskTracker,
    limits: TcpLimits,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let seats = Seats::new(limits.per_client_max);
    loop {
        // Not accepting is what a full house does: the kernel's queue holds who comes next.
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = door.listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors or a connection that died in the queue: others will come.
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(seat) = seats.take(from.ip()) else {
            tracing::debug!(%from, "too many connections from one address");
            continue;
        };
        let connection = Connection {
            responder: responder.clone(),
            from,
            limits,
            stop: stop.clone(),
            certificate: None,
        };
        let channel = door.channel.clone();
        tasks.spawn(async move {
            match channel {
                None => connection.serve(stream).await,
                Some(channel) => connection.serve_tls(stream, &channel).await,
            }
            drop((seat, place));
        });
    }
}

struct Connection<P: Parts> {
    responder: Responder<P>,
    from: SocketAddr,
    limits: TcpLimits,
    stop: CancellationToken,
    certificate: Option<Identity>,
}

impl<P: Parts> Connection<P> {
    async fn serve(self, stream: TcpStream) {
        // Without it a small reply may wait for the acknowledgement of the one before.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let (reader, writer) = stream.into_split();
        self.converse(reader, writer, Transport::Tcp).await;
    }

    /// A connection that does not come to its end of the handshake in time holds only its own place.
    async fn serve_tls(mut self, stream: TcpStream, channel: &SecureChannel) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let patience = Duration::from_millis(self.limits.handshake_ms);
        let handshake = tokio::time::timeout(patience, channel.acceptor().accept(stream));
        let made = tokio::select! {
            () = self.stop.cancelled() => return,
            made = handshake => made,
        };
        let stream = match made {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(from = %self.from, %error, "a TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!(from = %self.from, "a TLS handshake took too long");
                return;
            }
        };
        self.certificate = identity(stream.get_ref().1);
        let (reader, writer) = tokio::io::split(stream);
        self.converse(reader, writer, Transport::Tls).await;
    }

    async fn converse(
        self,
        reader: impl AsyncRead + Unpin,
        writer: impl AsyncWrite + Unpin,
        transport: Transport,
    ) {
        let (replies, queue) = mpsc::channel(REPLIES_QUEUED_MAX);
        let patience = Duration::from_millis(self.limits.idle_ms);
        tokio::join!(
            self.read(reader, replies, (patience, transport)),
            write(writer, queue, patience)
        );
    }

    async fn read(
        &self,
        mut reader: impl AsyncRead + Unpin,
        replies: mpsc::Sender<Vec<u8>>,
        (patience, transport): (Duration, Transport),
    ) {
        let waiting = TaskTracker::new();
        let life = tokio::time::sleep(LIFE_MAX);
        tokio::pin!(life);
        loop {
            let message = tokio::select! {
                () = self.stop.cancelled() => break,
                () = &mut life => break,
                message = tokio::time::timeout(patience, read_message(&mut reader)) => message,
            };
            let Ok(Some(message)) = message else { break };
            let certificate = self.certificate.as_ref();
            let begun = self
                .responder
                .begin_for(&message, self.from, transport, certificate);
            let reply = match begun {
                Reply::None => break,
                Reply::Ready(reply) => reply,
                Reply::Later(later) => {
                    // A place in the queue is held while waiting, so one connection cannot have
                    // more questions under way than replies it may leave unread.
                    let Ok(place) = replies.clone().reserve_owned().await else {
                        break;
                    };
                    let (responder, from) = (self.responder.clone(), self.from);
                    waiting.spawn(async move {
                        if let Some(reply) = responder.finish(*later, from).await {
                            drop(place.send(reply));
                        }
                    });
                    continue;
                }
            };
            if replies.send(reply).await.is_err() {
                break;
            }
        }
        waiting.close();
        waiting.wait().await;
    }
}

async fn read_message(reader: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut length = [0; LENGTH_BYTES];
    reader.read_exact(&mut length).await.ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    reader.read_exact(&mut message).await.ok()?;
    Some(message)
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    patience: Duration,
) {
    while let Some(reply) = queue.recv().await {
        let Ok(length) = u16::try_from(reply.len()) else {
            continue;
        };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&reply);
        // TLS keeps what the socket did not take at once.
        let written = async {
            writer.write_all(&framed).await?;
            writer.flush().await
        };
        match tokio::time::timeout(patience, written).await {
            Ok(Ok(())) => {}
            // A reader that takes nothing for so long is gone.
            _ => break,
        }
    }
    // TLS says that it ends; who does not read that is gone.
    let ended = tokio::time::timeout(patience, writer.shutdown()).await;
    if !matches!(ended, Ok(Ok(()))) {
        tracing::trace!("the client closed first");
    }
}
