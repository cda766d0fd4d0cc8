//! One stream: a query in, its reply out (RFC 9250 section 4.2).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use noq::{ReadError, RecvStream, SendStream, Stopped, VarInt};
use tokio::time::{Instant, timeout};

use crate::base::identity::Identity;
use crate::service::ports::Parts;
use crate::telemetry::quic::Closed;
use crate::telemetry::transport::Transport;

use super::super::kept::SharedAnswers;
use super::super::responder::{Later, Line, Responder};
use super::super::tcp::Place;
use super::query::{OneQuery, QueryFault};
use super::{EXCESSIVE_LOAD, PROTOCOL_ERROR, QuicDoor, REQUEST_CANCELLED};

/// How long a query may take, from the opening of its stream to its end, as a message over TCP.
const QUERY: Duration = Duration::from_secs(5);
/// How long a client may take to make room for its reply, as over TCP.
const REPLY: Duration = Duration::from_secs(10);
/// Octets of one connection's queries that are not complete yet: a few of the longest. What comes
/// in one piece is nobody's reason to have more.
const INCOMPLETE_BYTES_MAX: usize = 256 << 10;
/// What is read at once of a stream.
const READ_BYTES: usize = 4 << 10;

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// What came on a stream is no query.
    #[error(transparent)]
    Query(#[from] QueryFault),
    /// It is a reply.
    #[error("a message is no query")]
    NoQuery,
    /// It did not come to its end.
    #[error("a query did not come to its end in time")]
    Slow,
    /// Too much of queries that did not come to their end.
    #[error("too much of queries that are not complete")]
    Incomplete,
    /// Nothing but queries that are taken back.
    #[error("too many queries are taken back")]
    TakenBack,
    /// Its reply is not taken.
    #[error("replies are not taken")]
    Untaken,
}

impl Fault {
    /// What the client is told.
    pub(super) const fn code(self) -> VarInt {
        match self.closed() {
            Closed::ProtocolError => PROTOCOL_ERROR,
            Closed::ExcessiveLoad => EXCESSIVE_LOAD,
        }
    }

    /// What it is counted as. A stream without an end is one of the protocol's own faults.
    pub(super) const fn closed(self) -> Closed {
        match self {
            Self::Query(_) | Self::NoQuery | Self::Slow => Closed::ProtocolError,
            Self::Incomplete | Self::TakenBack | Self::Untaken => Closed::ExcessiveLoad,
        }
    }
}

/// How a stream ended.
pub(super) enum Ended {
    /// A reply is on its way; it arrived when this is over.
    Answered(Stopped),
    /// The client does not want one any more.
    TakenBack,
    /// The connection is gone.
    Gone,
    /// It has to make room.
    Leaving,
    /// It cannot go on.
    Fault(Fault),
}

impl<F: Into<Fault>> From<F> for Ended {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}

/// Who is connected, and what answers.
pub(super) struct Guest<P: Parts> {
    responder: Responder<P>,
    kept: Arc<SharedAnswers<P>>,
    from: SocketAddr,
    place: Place,
    certificate: Option<Identity>,
    at_work: AtomicUsize,
    idle_since: Mutex<Instant>,
    incomplete_bytes: AtomicUsize,
}

/// Somebody at work for a query; over when the reply was handed on.
struct AtWork<'g, P: Parts>(&'g Guest<P>);

impl<P: Parts> Drop for AtWork<'_, P> {
    fn drop(&mut self) {
        let guest = self.0;
        if guest.at_work.fetch_sub(1, Ordering::SeqCst) == 1 {
            *guest.idle_since() = Instant::now();
            guest.place.is_idle();
        }
    }
}

/// What is held of a query, counted with all others of its connection.
struct Held<'g> {
    query: OneQuery,
    of_all: &'g AtomicUsize,
}

impl Held<'_> {
    fn add(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let before = self.of_all.fetch_add(piece.len(), Ordering::Relaxed);
        self.query.add(piece)?;
        if before + piece.len() > INCOMPLETE_BYTES_MAX {
            return Err(Fault::Incomplete);
        }
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.of_all
            .fetch_sub(self.query.byte_count(), Ordering::Relaxed);
    }
}

impl<P: Parts> Guest<P> {
    pub(super) fn new(
        door: &QuicDoor<P>,
        responder: &Responder<P>,
        from: SocketAddr,
        place: Place,
    ) -> Self {
        Self {
            responder: responder.clone(),
            kept: Arc::clone(&door.kept),
            from,
            place,
            certificate: None,
            at_work: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
            incomplete_bytes: AtomicUsize::new(0),
        }
    }

    /// The same, with what its certificate names.
    pub(super) fn known_by(self, certificate: Option<Identity>) -> Self {
        Self {
            certificate,
            ..self
        }
    }

    pub(super) const fn from(&self) -> SocketAddr {
        self.from
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether a query is worked on.
    pub(super) fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::SeqCst) > 0
    }

    /// Until when the connection may do nothing; none while it is at work. What is no whole query
    /// prolongs nothing.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        (!self.is_at_work()).then(|| *self.idle_since() + self.place.idle())
    }

    fn idle_since(&self) -> MutexGuard<'_, Instant> {
        let since = self.idle_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a query is worked on; none if the connection has to leave.
    fn at_work(&self) -> Option<AtWork<'_, P>> {
        if self.at_work.fetch_add(1, Ordering::SeqCst) == 0 && !self.place.is_busy() {
            self.at_work.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        Some(AtWork(self))
    }

    /// Answers the query of one stream.
    pub(super) async fn answer(&self, (mut sending, receiving): (SendStream, RecvStream)) -> Ended {
        match self.exchange(&mut sending, receiving).await {
            Ok(()) => Ended::Answered(sending.stopped()),
            Err(ended) => {
                if matches!(ended, Ended::TakenBack) {
                    // An error means that it is over already.
                    drop(sending.reset(REQUEST_CANCELLED));
                }
                ended
            }
        }
    }

    async fn exchange(
        &self,
        sending: &mut SendStream,
        mut receiving: RecvStream,
    ) -> Result<(), Ended> {
        let read = timeout(QUERY, self.read(&mut receiving)).await;
        let held = read.unwrap_or_else(|_| Err(Fault::Slow.into()))?;
        let _at_work = self.at_work().ok_or(Ended::Leaving)?;
        let mut reply = Vec::new();
        let later = self.begin(held.query.finish()?, &mut reply);
        drop(held);
        if let Some(later) = later {
            let stopped = sending.stopped();
            reply = tokio::select! {
                reply = self.wait(later) => reply,
                stopped = stopped => return Err(match stopped {
                    Ok(_) => Ended::TakenBack,
                    Err(_) => Ended::Gone,
                }),
            };
        }
        if reply.is_empty() {
            return Err(Fault::NoQuery.into());
        }
        let sent = timeout(REPLY, send(sending, &reply)).await;
        sent.unwrap_or_else(|_| Err(Fault::Untaken.into()))
    }

    /// Reads a query to its end. What was sent after the message is seen before it is answered.
    async fn read(&self, receiving: &mut RecvStream) -> Result<Held<'_>, Ended> {
        let mut held = Held {
            query: OneQuery::default(),
            of_all: &self.incomplete_bytes,
        };
        loop {
            match receiving.read_chunk(READ_BYTES).await {
                Ok(Some(piece)) => held.add(&piece)?,
                Ok(None) => break,
                Err(ReadError::Reset(_)) => return Err(Ended::TakenBack),
                Err(_) => return Err(Ended::Gone),
            }
        }
        held.query.finish()?;
        Ok(held)
    }

    /// Answers what can be answered without waiting.
    fn begin(&self, query: &[u8], reply: &mut Vec<u8>) -> Option<Box<Later>> {
        let line = Line {
            from: self.from,
            transport: Transport::Quic,
            certificate: self.certificate.as_ref(),
            // QUIC has its own way to say it.
            idle: None,
        };
        match self.kept.of(self.place.number()) {
            Some(mut kept) => {
                let later = kept.answer(query, &line, reply);
                kept.leave();
                later
            }
            None => self.responder.answer(query, &line, reply),
        }
    }

    async fn wait(&self, later: Box<Later>) -> Vec<u8> {
        let reply = match self.place.question() {
            None => self.responder.overloaded(&later, self.from),
            Some(_under_way) => Box::pin(self.responder.finish(*later, self.from)).await,
        };
        reply.unwrap_or_default()
    }
}

/// Hands a reply on behind its length, and ends the stream.
async fn send(sending: &mut SendStream, reply: &[u8]) -> Result<(), Ended> {
    let Ok(length) = u16::try_from(reply.len()) else {
        return Err(Ended::Gone);
    };
    let framed = [&length.to_be_bytes(), reply].concat();
    sending
        .write_all(&framed)
        .await
        .map_err(|error| match error {
            noq::WriteError::Stopped(_) => Ended::TakenBack,
            _ => Ended::Gone,
        })?;
    sending.finish().map_err(|_| Ended::Gone)
}
