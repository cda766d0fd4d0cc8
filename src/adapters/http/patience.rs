//! Bounds on slow peers: a body must keep coming, and what is written must be taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a body may take whatever its size.
const BODY_GRACE: Duration = Duration::from_secs(20);
/// What it must reach on average after that; a mobile line does ten times as much.
const BODY_BYTES_PER_SEC: u64 = 8 << 10;
/// How long a peer may take nothing of what is written to it.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// How fast a body must come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    grace: Duration,
    bytes_per_sec: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            grace: BODY_GRACE,
            bytes_per_sec: BODY_BYTES_PER_SEC,
        }
    }
}

/// A body that fails when it comes too slowly.
#[derive(Debug)]
pub(super) struct SteadyBody<B> {
    inner: B,
    began: Instant,
    pace: Pace,
    received: u64,
    timer: Pin<Box<Sleep>>,
}

impl<B> SteadyBody<B> {
    pub(super) fn new(inner: B, pace: Pace) -> Self {
        let began = Instant::now();
        Self {
            inner,
            began,
            pace,
            received: 0,
            timer: Box::pin(tokio::time::sleep_until(began + pace.grace)),
        }
    }
}

impl<B> Body for SteadyBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.received += u64::try_from(length).unwrap_or(u64::MAX);
                let earned = this.received.saturating_mul(1_000) / this.pace.bytes_per_sec;
                let until = this.began + this.pace.grace + Duration::from_millis(earned);
                this.timer.as_mut().reset(until);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(this.timer.as_mut().poll(cx));
                let slow = io::Error::new(io::ErrorKind::TimedOut, "the body came too slowly");
                Poll::Ready(Some(Err(slow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A stream whose peer must take what is written to it.
#[derive(Debug)]
pub(super) struct TakenStream<S> {
    inner: S,
    patience: Duration,
    /// Runs while something waits to be taken.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> TakenStream<S> {
    pub(super) fn new(inner: S) -> Self {
        Self::with(inner, WRITE_PATIENCE)
    }

    fn with(inner: S, patience: Duration) -> Self {
        Self {
            inner,
            patience,
            timer: None,
        }
    }

    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.timer = None;
            return polled;
        }
        let patience = self.patience;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TakenStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TakenStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::super::stream::pieces;
    use super::*;

    /// Bytes that come at once, and then nothing for ever.
    async fn stalled(bytes: usize, pace: Pace) -> Result<usize, io::ErrorKind> {
        let (sender, body) = pieces();
        let first = Bytes::from(vec![0; bytes]);
        sender.send(Ok(first)).await.unwrap();
        let read = SteadyBody::new(body, pace).collect().await;
        drop(sender);
        match read {
            Ok(whole) => Ok(whole.to_bytes().len()),
            Err(error) => Err(error.downcast_ref::<io::Error>().unwrap().kind()),
        }
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up_later_the_more_of_it_came() {
        let pace = Pace {
            grace: Duration::from_millis(20),
            bytes_per_sec: 1_000,
        };
        let began = Instant::now();
        assert_eq!(stalled(1, pace).await, Err(io::ErrorKind::TimedOut));
        let soon = began.elapsed();
        assert_eq!(stalled(100, pace).await, Err(io::ErrorKind::TimedOut));
        assert!(soon >= pace.grace && began.elapsed() >= soon + Duration::from_millis(120));
    }

    #[tokio::test]
    async fn a_body_that_ends_is_whole() {
        let (sender, body) = pieces();
        let feed = async move {
            for _ in 0..10 {
                sender.send(Ok(Bytes::from(vec![0; 100]))).await.unwrap();
            }
        };
        let (read, ()) = tokio::join!(SteadyBody::new(body, Pace::default()).collect(), feed);
        assert_eq!(read.unwrap().to_bytes().len(), 1_000);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (near, far) = tokio::io::duplex(16);
        let mut stream = TakenStream::with(near, Duration::from_millis(20));
        let written = stream.write_all(&[0; 64]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(far);
    }
}
