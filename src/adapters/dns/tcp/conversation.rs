//! `Conversation`: what is said over one connection. Questions are taken as they come and answered as
//! answers come; one that waits holds up none behind it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::base::identity::Identity;
use crate::service::ports::Parts;
use crate::telemetry::transport::Transport;

use super::super::kept::SharedAnswers;
use super::super::responder::{Later, Line, Responder};
use super::connections::{Place, UnderWay};
use super::frames::Frames;
use super::outbound::Outbound;

/// Questions of one connection that wait at a time; with so many no further message is taken. What
/// other resolvers let a connection have.
const UNDER_WAY_MAX: usize = 32;
/// Messages that are taken in a row before replies are sent and other connections have their turn.
const IN_A_ROW_MAX: usize = 64;
/// How long a message may take from its first byte to its last: the longest on a line of 13 kilobytes a
/// second, and no time at all for one of usual length.
const MESSAGE: Duration = Duration::from_secs(5);
/// How long a connection lasts, however busy: a certificate that ended, or whose authority a reload
/// took away, counts no longer than this.
const LIFE_MAX: Duration = Duration::from_hours(1);
/// How long what a client still sends is thrown away after the end. Closing at once would have the
/// kernel take back what it has not read yet.
const LINGER: Duration = Duration::from_millis(500);
/// The unit of RFC 7828.
const IDLE_UNIT_MS: u128 = 100;

/// One connection.
pub(super) struct Conversation<P: Parts> {
    pub(super) responder: Responder<P>,
    pub(super) kept: Arc<SharedAnswers<P>>,
    pub(super) from: SocketAddr,
    pub(super) transport: Transport,
    pub(super) certificate: Option<Identity>,
    pub(super) place: Place,
    pub(super) stop: CancellationToken,
}

/// Where it stands.
struct State {
    frames: Frames,
    outbound: Outbound,
    under_way: JoinSet<(Option<Vec<u8>>, UnderWay)>,
    /// Whether questions are still taken.
    listens: bool,
    /// Whether the place was said to be busy.
    is_busy: bool,
    /// Whether there was room for another message when last looked.
    had_room: bool,
    /// Since when there is nothing to do, or the next message is incomplete.
    waits_since: Instant,
    ends_at: Instant,
}

impl State {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            frames: Frames::default(),
            outbound: Outbound::default(),
            under_way: JoinSet::new(),
            listens: true,
            is_busy: false,
            had_room: true,
            waits_since: now,
            ends_at: now + LIFE_MAX,
        }
    }

    /// Whether another message may be taken.
    fn has_room(&self) -> bool {
        self.listens && self.outbound.has_room() && self.under_way.len() < UNDER_WAY_MAX
    }

    /// A client cannot go on with a message while nothing is read of it.
    fn look(&mut self) {
        let has_room = self.has_room();
        if has_room && !self.had_room {
            self.waits_since = Instant::now();
        }
        self.had_room = has_room;
    }

    /// Whether nothing is left to answer or to send.
    fn is_quiet(&self) -> bool {
        self.under_way.is_empty() && self.outbound.is_done()
    }

    /// When its patience ends, with the one thing or the other.
    fn due(&self, place: &Place) -> Instant {
        let silence = if !self.has_room() {
            None
        } else if !self.frames.is_empty() {
            Some(MESSAGE)
        } else {
            self.is_quiet().then(|| place.idle())
        };
        let silence = silence.map(|patience| self.waits_since + patience);
        let ends_at = self.listens.then_some(self.ends_at);
        let all = [silence, ends_at, self.outbound.due()];
        // Without any, only questions are waited for, and those have deadlines of their own.
        let least = all.into_iter().flatten().min();
        least.unwrap_or_else(|| Instant::now() + LIFE_MAX)
    }
}

/// How a conversation ended.
enum End {
    /// Everything was answered.
    Done,
    /// Another connection needs the place.
    Left,
    /// The client is gone, or takes nothing.
    Broken,
}

impl<P: Parts> Conversation<P> {
    /// Holds it to its end.
    pub(super) async fn hold(self, stream: impl AsyncRead + AsyncWrite) {
        let stream = pin!(stream);
        let (mut reader, mut writer) = split(stream);
        match self.go_on(&mut reader, &mut writer).await {
            End::Broken => {}
            // TLS says that it ends, if that can be said without waiting.
            End::Left => drop(timeout(Duration::ZERO, writer.shutdown()).await),
            End::Done => {
                let ended = async {
                    writer.shutdown().await?;
                    tokio::io::copy(&mut reader, &mut tokio::io::sink()).await
                };
                tokio::select! {
                    () = self.place.must_leave() => {}
                    ended = timeout(LINGER, ended) => drop(ended),
                }
            }
        }
    }

    async fn go_on(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> End {
        let mut state = State::new();
        let mut alarm = pin!(sleep_until(state.due(&self.place)));
        let mut told_to_leave = pin!(self.place.must_leave());
        let mut stopped = pin!(self.stop.cancelled());
        loop {
            if !self.take(&mut state) {
                return End::Left;
            }
            self.rest(&mut state);
            state.look();
            if !state.listens && state.is_quiet() {
                return End::Done;
            }
            let due = state.due(&self.place);
            // One that rings too early is set again then; most are put off before.
            if due < alarm.deadline() {
                alarm.as_mut().reset(due);
            }
            let (has_room, has_more) = (state.has_room(), state.frames.has_whole());
            let is_between = state.frames.is_empty();
            let (reads, turns) = (has_room && !has_more, has_room && has_more);
            let (sends, answers) = (!state.outbound.is_done(), state.outbound.has_room());
            tokio::select! {
                biased;
                () = told_to_leave.as_mut() => return End::Left,
                () = stopped.as_mut(), if state.listens => state.listens = false,
                () = alarm.as_mut() => {
                    let now = Instant::now();
                    if state.outbound.due().is_some_and(|due| due <= now) {
                        tracing::debug!(from = %self.from, "a client takes no replies");
                        return End::Broken;
                    }
                    if due <= now {
                        state.listens = false;
                    }
                    let due = state.due(&self.place).max(now + Duration::from_millis(1));
                    alarm.as_mut().reset(due);
                }
                Some(done) = state.under_way.join_next(), if answers => {
                    if let Ok((Some(reply), _under_way)) = done {
                        state.outbound.add(&reply);
                    }
                }
                sent = state.outbound.send(writer), if sends => {
                    if sent.is_err() {
                        return End::Broken;
                    }
                }
                read = reader.read_buf(state.frames.room()), if reads => match read {
                    Ok(0) => state.listens = false,
                    Ok(_) if is_between => state.waits_since = Instant::now(),
                    Ok(_) => {}
                    Err(_) => return End::Broken,
                },
                () = tokio::task::yield_now(), if turns => {}
            }
        }
    }

    /// Takes the messages that are there, for as long as there is room; false if the connection was
    /// told to leave before.
    fn take(&self, state: &mut State) -> bool {
        if !state.has_room() || !state.frames.has_whole() {
            return true;
        }
        if !state.is_busy && !self.place.is_busy() {
            return false;
        }
        state.is_busy = true;
        let idle_ms = self.place.idle().as_millis();
        let line = Line {
            from: self.from,
            transport: self.transport,
            certificate: self.certificate.as_ref(),
            idle: u16::try_from(idle_ms / IDLE_UNIT_MS).ok(),
        };
        let mut kept = self.kept.of(self.place.number());
        let mut reply = Vec::new();
        for _ in 0..IN_A_ROW_MAX {
            if !state.has_room() {
                break;
            }
            let Some(message) = state.frames.take() else {
                break;
            };
            reply.clear();
            let later = match &mut kept {
                Some(kept) => kept.answer(message, &line, &mut reply),
                None => self.responder.answer(message, &line, &mut reply),
            };
            if let Some(later) = later {
                self.wait(state, *later);
            } else if reply.is_empty() {
                // A reply, or less than a header: whoever sends that speaks something else.
                state.listens = false;
            } else {
                state.outbound.add(&reply);
            }
        }
        if let Some(kept) = &mut kept {
            kept.leave();
        }
        state.waits_since = Instant::now();
        true
    }

    /// Has a task wait for legacy DNS or a peer; the reply at once if there is no place for one.
    fn wait(&self, state: &mut State, later: Later) {
        let Some(under_way) = self.place.question() else {
            if let Some(reply) = self.responder.overloaded(&later, self.from) {
                state.outbound.add(&reply);
            }
            return;
        };
        let (responder, from) = (self.responder.clone(), self.from);
        state
            .under_way
            .spawn(async move { (responder.finish(later, from).await, under_way) });
    }

    /// Says that nothing is to do, if that is so.
    fn rest(&self, state: &mut State) {
        if state.is_busy && state.is_quiet() && !(state.has_room() && state.frames.has_whole()) {
            state.is_busy = false;
            state.waits_since = Instant::now();
            self.place.is_idle();
        }
    }
}
