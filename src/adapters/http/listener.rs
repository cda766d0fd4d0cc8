//! The admin API over TCP, with TLS or on loopback: bounded in every direction.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::base::identity::Identity;
use crate::service::seats::Seats;
use crate::service::secure_channel::{SecureChannel, identity};

use super::caller::Via;
use super::patience::{Pace, SteadyBody, TakenStream};

/// Connections at a time: operators and their programs, not the public.
const CONNECTIONS_MAX: usize = 256;
/// Connections of one address at a time.
const PER_CLIENT_MAX: usize = 32;
/// How long a handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a request's head may take, and how long a connection may be idle before it.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// One request's head, a token and a long name in it.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// How long a connection lives at most: a certificate that ended meanwhile counts no longer.
const LIFE_MAX: Duration = Duration::from_hours(1);
/// What ALPN offers.
pub const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// How long a connection may do nothing, or anything.
#[derive(Debug, Clone, Copy)]
pub struct ApiPatience {
    /// For a handshake.
    pub handshake: Duration,
    /// For the head of a call, and before it.
    pub head: Duration,
    /// For the connection as a whole.
    pub life: Duration,
}

impl Default for ApiPatience {
    fn default() -> Self {
        Self {
            handshake: HANDSHAKE_PATIENCE,
            head: HEAD_PATIENCE,
            life: LIFE_MAX,
        }
    }
}

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub struct ApiRoom {
    /// In all.
    pub connections_max: usize,
    /// Of one client.
    pub per_client_max: usize,
}

impl Default for ApiRoom {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            per_client_max: PER_CLIENT_MAX,
        }
    }
}

/// The API at one address.
#[derive(Debug)]
pub struct ApiListener {
    /// Where it listens.
    pub listener: TcpListener,
    /// TLS; none on loopback alone.
    pub channel: Option<SecureChannel>,
    /// The calls.
    pub router: Router,
    /// For callers that are slow.
    pub patience: ApiPatience,
    /// For callers that are many.
    pub room: ApiRoom,
}

/// What each connection of a listener has.
#[derive(Clone)]
struct Served {
    channel: Option<SecureChannel>,
    router: Router,
    patience: ApiPatience,
    stop: CancellationToken,
}

/// Serves a listener until it is told to stop. Connections are left in `tasks`; they end when the
/// call under way is answered.
pub async fn serve_api(served: ApiListener, tasks: TaskTracker, stop: CancellationToken) {
    let ApiListener {
        listener,
        channel,
        router,
        patience,
        room,
    } = served;
    let places = Arc::new(Semaphore::new(room.connections_max));
    let seats = Seats::new(room.per_client_max);
    let each = Served {
        channel,
        router,
        patience,
        stop: stop.clone(),
    };
    loop {
        // A full house leaves who comes next in the kernel's queue.
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection of the admin API failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(seat) = seats.take(from.ip()) else {
            tracing::debug!(%from, "too many connections of the admin API from one address");
            continue;
        };
        let each = each.clone();
        // The handshake is the task's, so that a slow one holds up nobody.
        tasks.spawn(async move {
            each.connection(stream, from).await;
            drop((seat, place));
        });
    }
}

impl Served {
    async fn connection(self, stream: TcpStream, from: SocketAddr) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let Some(channel) = &self.channel else {
            return self.calls(stream, (from, None)).await;
        };
        let handshake = channel.acceptor().accept(stream);
        let accepted = tokio::select! {
            () = self.stop.cancelled() => return,
            accepted = tokio::time::timeout(self.patience.handshake, handshake) => accepted,
        };
        match accepted {
            Ok(Ok(stream)) => {
                let identity = identity(stream.get_ref().1);
                self.calls(stream, (from, identity)).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(%from, %error, "no TLS with a caller of the admin API");
            }
            Err(_) => tracing::debug!(%from, "a caller of the admin API began no TLS in time"),
        }
    }

    /// Answers calls until the connection ends, or is told to.
    async fn calls(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        (from, identity): (SocketAddr, Option<Identity>),
    ) {
        let via = Via::Tcp { from, identity };
        let service = service_fn(|request: Request<Incoming>| {
            let steady = |body| Body::new(SteadyBody::new(body, Pace::default()));
            let mut request = request.map(steady);
            request.extensions_mut().insert(via.clone());
            self.router.clone().oneshot(request)
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.head)
            .max_buf_size(HEAD_BYTES_MAX);
        let stream = TokioIo::new(TakenStream::new(stream));
        let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
        let over = async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(self.patience.life) => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = over => {
                // The call under way is still answered.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%from, %error, "a connection of the admin API ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn serving(head: Duration) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = ApiListener {
            listener,
            channel: None,
            router: Router::new().fallback(async || "here"),
            patience: ApiPatience {
                head,
                ..ApiPatience::default()
            },
            room: ApiRoom::default(),
        };
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(serve_api(served, tasks.clone(), stop.clone()));
        (address, stop)
    }

    async fn read(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        // Whether it ends or is reset, nothing more comes.
        drop(stream.read_to_end(&mut bytes).await);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn a_head_that_drips_or_never_comes_ends_the_connection() {
        let (address, stop) = serving(Duration::from_millis(200)).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(read(&mut silent).await, "");
        let mut dripping = TcpStream::connect(address).await.unwrap();
        dripping.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        // Each byte alone is in time; all together are not.
        let drip = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            for _ in 0..1_000 {
                ticks.tick().await;
                if dripping.write_all(b"x").await.is_err() {
                    return true;
                }
            }
            false
        };
        assert!(drip.await, "the connection is still open");
        stop.cancel();
    }

    #[tokio::test]
    async fn silent_connections_of_one_address_leave_room_for_others() {
        let (address, stop) = serving(HEAD_PATIENCE).await;
        let mut held = Vec::new();
        for _ in 0..PER_CLIENT_MAX {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        // One more from there is closed at once; one from elsewhere is answered.
        let mut more = TcpStream::connect(address).await.unwrap();
        drop(more.write_all(b"GET / HTTP/1.0\r\n\r\n").await);
        assert_eq!(read(&mut more).await, "");
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 9], 0).into()).unwrap();
        let mut other = socket.connect(address).await.unwrap();
        other.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        assert!(read(&mut other).await.ends_with("here"));
        stop.cancel();
    }
}
