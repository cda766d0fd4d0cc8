//! `Streams`: the requests of one HTTP/2 connection, answered by the task of the connection.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::rt::Executor;
use tokio::time::{Timeout, timeout};

/// How long one may take from its head to the last octet of its reply: any deadline of a question, a
/// message that comes slowly, and a client that takes its reply slowly.
const STREAM: Duration = Duration::from_secs(75);

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the connection leaves what it read the head of. Most requests are answered there and then;
/// the others wait here.
#[derive(Clone, Default)]
pub(super) struct Entrance(Arc<Mutex<Vec<Stream>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Entrance {
    fn execute(&self, fut: F) {
        let mut stream: Stream = Box::pin(fut);
        // Who is not done now is polled again with a waker of its own.
        let mut nobody = Context::from_waker(Waker::noop());
        if stream.as_mut().poll(&mut nobody).is_pending() {
            self.lock().push(stream);
        }
    }
}

impl Entrance {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Stream>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection together with those of its requests that wait.
pub(super) struct Streams<C> {
    connection: Pin<Box<C>>,
    entrance: Entrance,
    waiting: FuturesUnordered<Timeout<Stream>>,
}

impl<C> Streams<C> {
    /// A connection that leaves its requests at this entrance.
    pub(super) fn new(connection: C, entrance: Entrance) -> Self {
        Self {
            connection: Box::pin(connection),
            entrance,
            waiting: FuturesUnordered::new(),
        }
    }

    /// The connection.
    pub(super) fn connection(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.get_mut().connection.as_mut()
    }

    /// Goes on with those that wait; whether any has come or is done.
    fn advance(&mut self, cx: &mut Context<'_>) -> bool {
        let come: Vec<Stream> = std::mem::take(&mut *self.entrance.lock());
        let mut went_on = !come.is_empty();
        let come = come.into_iter().map(|stream| timeout(STREAM, stream));
        self.waiting.extend(come);
        // One that takes too long is dropped, which resets it.
        while let Poll::Ready(Some(_ended)) = self.waiting.poll_next_unpin(cx) {
            went_on = true;
        }
        went_on
    }
}

impl<C: Future> Future for Streams<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.get_mut();
        loop {
            if let Poll::Ready(ended) = this.connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            if !this.advance(cx) {
                return Poll::Pending;
            }
        }
    }
}
