//! `Visit`: one connection, whose queries are answered as they come, for as long as it may stay.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use noq::Connection;
use rustls::pki_types::CertificateDer;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::base::identity::Identity;
use crate::service::ports::Parts;
use crate::service::secure_channel::identity_of;
use crate::telemetry::quic::QuicCounts;

use super::exchange::{Ended, Fault, Guest};
use super::{EXCESSIVE_LOAD, NO_ERROR};

/// Queries of one connection that come, are answered or wait at a time, as over TCP. Those behind
/// them wait in QUIC, within its windows.
const UNDER_WAY_MAX: usize = 32;
/// Queries that were taken back beyond those that were answered: who asks and takes back in a row has
/// the node work for nobody, and who sometimes does has reasons.
const TAKEN_BACK_MAX: u32 = 100;
/// How long a connection lasts, however busy, as over TCP.
const LIFE_MAX: Duration = Duration::from_hours(1);
/// How long one that ends may take for what it was asked and what is on its way.
const FAREWELL: Duration = Duration::from_secs(8);
/// How often one that is at work is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One connection.
pub(super) struct Visit<P: Parts> {
    guest: Guest<P>,
    connection: Connection,
    counts: Arc<QuicCounts>,
    stop: CancellationToken,
}

/// How a connection ended.
enum End {
    /// Everything was answered, or the client is gone.
    Done,
    /// Another connection needs the place.
    Left,
    /// It cannot go on.
    Fault(Fault),
}

impl<P: Parts> Visit<P> {
    pub(super) fn new(
        guest: Guest<P>,
        connection: Connection,
        counts: Arc<QuicCounts>,
        stop: CancellationToken,
    ) -> Self {
        let certificate = identity(&connection);
        Self {
            guest: guest.known_by(certificate),
            connection,
            counts,
            stop,
        }
    }

    /// Holds it to its end.
    pub(super) async fn hold(self) {
        match self.go_on().await {
            End::Done => self.connection.close(NO_ERROR, b""),
            End::Left => self
                .connection
                .close(EXCESSIVE_LOAD, b"others need the place"),
            End::Fault(fault) => {
                self.counts.close(fault.closed());
                tracing::debug!(from = %self.guest.from(), %fault, "a QUIC connection was closed");
                self.connection
                    .close(fault.code(), fault.to_string().as_bytes());
            }
        }
    }

    async fn go_on(&self) -> End {
        let Self { guest, stop, .. } = self;
        let (mut under_way, mut arriving) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (mut listens, mut taken_back) = (true, 0_u32);
        let mut ends_at = Instant::now() + LIFE_MAX;
        let mut alarm = pin!(sleep_until(guest.idle_until().unwrap_or(ends_at)));
        let mut told_to_leave = pin!(guest.place().must_leave());
        loop {
            if !listens && !guest.is_at_work() && arriving.is_empty() {
                return End::Done;
            }
            // Whoever asks without end leaves others their turn.
            consume_budget().await;
            let has_room = listens && under_way.len() < UNDER_WAY_MAX;
            tokio::select! {
                biased;
                () = told_to_leave.as_mut() => return End::Left,
                () = stop.cancelled(), if listens => {
                    listens = false;
                    ends_at = Instant::now() + FAREWELL;
                    alarm.as_mut().reset(ends_at);
                }
                () = alarm.as_mut() => {
                    let now = Instant::now();
                    let idle_until = guest.idle_until().filter(|_| listens);
                    let due = idle_until.map_or(ends_at, |due| due.min(ends_at));
                    if due > now {
                        alarm.as_mut().reset(due.min(now + LOOK_EVERY));
                    } else if listens && guest.is_at_work() {
                        listens = false;
                        ends_at = now + FAREWELL;
                        alarm.as_mut().reset(ends_at);
                    } else {
                        return End::Done;
                    }
                }
                Some(ended) = under_way.next() => match ended {
                    Ended::Answered(arrives) => {
                        taken_back = taken_back.saturating_sub(1);
                        arriving.push(arrives);
                    }
                    Ended::TakenBack => {
                        taken_back += 1;
                        if taken_back > TAKEN_BACK_MAX {
                            return End::Fault(Fault::TakenBack);
                        }
                    }
                    Ended::Gone => return End::Done,
                    Ended::Leaving => return End::Left,
                    Ended::Fault(fault) => return End::Fault(fault),
                },
                Some(_arrived) = arriving.next() => {}
                opened = self.connection.accept_bi(), if has_room => match opened {
                    Ok(streams) => under_way.push(guest.answer(streams)),
                    Err(_) => return End::Done,
                },
            }
        }
    }
}

/// Who is at the other end, by its certificate.
fn identity(connection: &Connection) -> Option<Identity> {
    let chain = connection.peer_identity()?;
    let chain = chain.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    identity_of(chain.first()?)
}
