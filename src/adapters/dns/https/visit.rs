//! `Visit`: one HTTP connection, whose requests are answered as they come, for as long as it may stay.

use std::pin::{Pin, pin};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::service::ports::Parts;

use super::answering::{Answering, Guest};
use super::streams::{Entrance, Streams};

/// The head of a request. The longest question that fits into a URI has some 12,000 octets.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a head may take, as a message over TCP.
const HEAD: Duration = Duration::from_secs(5);
/// Requests of one connection that are under way; the least that RFC 9113 section 6.5.2 recommends.
const STREAMS_MAX: u32 = 100;
/// What a client may send of one body before it is read: the longest message.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// And of all bodies of a connection: a few of the longest, hundreds of usual length.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// Requests that were taken back before they were looked at. Who takes back more (CVE-2023-44487)
/// loses the connection.
const RESET_STREAMS_MAX: usize = 20;
/// Streams that were ended because of what the client did wrong, likewise.
const FAULTY_STREAMS_MAX: usize = 100;
/// How long a connection lasts, however busy, as over TCP.
const LIFE_MAX: Duration = Duration::from_hours(1);
/// How long one that was told that it ends may take over it; what is under way is answered meanwhile.
const FAREWELL: Duration = Duration::from_secs(8);
/// How often one that is at work is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One connection.
pub(in super::super) struct Visit<P: Parts> {
    pub(in super::super) guest: Guest<P>,
    pub(in super::super) stop: CancellationToken,
}

impl<P: Parts> Visit<P> {
    /// Answers requests in HTTP/2 until the connection ends, or is told to.
    pub(in super::super) async fn hold_h2(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    ) {
        let answering = Answering::new(self.guest);
        let service = {
            let answering = answering.clone();
            service_fn(move |request| answering.clone().answer(request))
        };
        let entrance = Entrance::default();
        let mut builder = http2::Builder::new(entrance.clone());
        builder
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
            .max_local_error_reset_streams(FAULTY_STREAMS_MAX);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let streams = Streams::new(connection, entrance);
        answering
            .stay(
                streams,
                |streams| streams.connection().graceful_shutdown(),
                &self.stop,
            )
            .await;
    }

    /// The same in HTTP/1.1.
    pub(in super::super) async fn hold_h1(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    ) {
        let answering = Answering::new(self.guest);
        let service = {
            let answering = answering.clone();
            service_fn(move |request| answering.clone().answer(request))
        };
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES_MAX);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        answering
            .stay(connection, http1::Connection::graceful_shutdown, &self.stop)
            .await;
    }
}

impl<P: Parts> Answering<P> {
    /// Drives a connection to its end, which is near when it was idle for too long, lasted for too
    /// long, has to make room, or the node stops.
    async fn stay<C: Future<Output = hyper::Result<()>>>(
        &self,
        connection: C,
        wind_down: impl Fn(Pin<&mut C>),
        stop: &CancellationToken,
    ) {
        let mut connection = pin!(connection);
        let ends_at = Instant::now() + LIFE_MAX;
        let mut alarm = pin!(sleep_until(self.idle_until().unwrap_or(ends_at)));
        let mut told_to_leave = pin!(self.place().must_leave());
        let mut is_ending = false;
        loop {
            tokio::select! {
                biased;
                () = told_to_leave.as_mut() => {
                    wind_down(connection.as_mut());
                    // It is said if that can be without waiting: somebody else needs the place.
                    drop(timeout(Duration::ZERO, connection).await);
                    return;
                }
                () = stop.cancelled(), if !is_ending => is_ending = true,
                () = alarm.as_mut() => {
                    if is_ending {
                        return;
                    }
                    let now = Instant::now();
                    let due = self.idle_until().map_or(ends_at, |due| due.min(ends_at));
                    if due > now {
                        alarm.as_mut().reset(due.min(now + LOOK_EVERY));
                        continue;
                    }
                    is_ending = true;
                }
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(from = %self.from(), %error, "an HTTP connection ended");
                    }
                    return;
                }
            }
            wind_down(connection.as_mut());
            alarm.as_mut().reset(Instant::now() + FAREWELL);
        }
    }
}
