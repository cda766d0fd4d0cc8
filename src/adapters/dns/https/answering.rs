//! `Answering`: one HTTP request in, one response out (RFC 8484).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, EXPECT, HeaderMap};
use hyper::http::request::Parts as RequestHead;
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout};

use crate::base::identity::Identity;
use crate::base::limits::MESSAGE_BYTES_MAX;
use crate::service::ports::Parts;
use crate::telemetry::transport::Transport;

use super::super::kept::SharedAnswers;
use super::super::responder::{Later, Line, Responder};
use super::super::tcp::Place;
use super::HttpRules;
use super::forwarded::client;
use super::response::{Refusal, Sent, message, words};
use super::target::Target;

/// How long a body may take, as a message over TCP.
const BODY: Duration = Duration::from_secs(5);
/// What is read of a body that is too long: a few times the longest message.
const READ_BYTES_MAX: usize = 256 << 10;
/// What a body is, and a reply (RFC 8484 section 6).
pub(super) const MESSAGE_TYPE: &str = "application/dns-message";

/// Who is connected, and what answers.
pub(in super::super) struct Guest<P: Parts> {
    pub(in super::super) responder: Responder<P>,
    pub(in super::super) kept: Arc<SharedAnswers<P>>,
    pub(in super::super) rules: Arc<HttpRules>,
    pub(in super::super) from: SocketAddr,
    pub(in super::super) transport: Transport,
    pub(in super::super) certificate: Option<Identity>,
    pub(in super::super) place: Place,
}

/// What all requests of one connection share.
struct Shared<P: Parts> {
    guest: Guest<P>,
    at_work: AtomicUsize,
    idle_since: Mutex<Instant>,
}

/// Answers the requests of one connection.
pub(super) struct Answering<P: Parts>(Arc<Shared<P>>);

impl<P: Parts> Clone for Answering<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A question and how its reply is wanted.
struct Question {
    message: Vec<u8>,
    in_words: bool,
    is_head: bool,
}

/// Somebody at work for a request; over when the reply was handed on.
pub(super) trait Work: Send {}

struct AtWork<P: Parts>(Answering<P>);

impl<P: Parts> Work for AtWork<P> {}

impl<P: Parts> Drop for AtWork<P> {
    fn drop(&mut self) {
        self.0.is_done();
    }
}

impl<P: Parts> Answering<P> {
    pub(super) fn new(guest: Guest<P>) -> Self {
        Self(Arc::new(Shared {
            guest,
            at_work: AtomicUsize::new(0),
            idle_since: Mutex::new(Instant::now()),
        }))
    }

    pub(super) fn place(&self) -> &Place {
        &self.0.guest.place
    }

    pub(super) fn from(&self) -> SocketAddr {
        self.0.guest.from
    }

    /// Until when the connection may do nothing; none while it is at work.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        let is_idle = self.0.at_work.load(Ordering::SeqCst) == 0;
        is_idle.then(|| *self.idle_since() + self.place().idle())
    }

    fn idle_since(&self) -> std::sync::MutexGuard<'_, Instant> {
        let since = self.0.idle_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a request is worked on; none if the connection has to leave.
    fn at_work(&self) -> Option<AtWork<P>> {
        if self.0.at_work.fetch_add(1, Ordering::SeqCst) == 0 && !self.place().is_busy() {
            self.0.at_work.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        Some(AtWork(self.clone()))
    }

    fn is_done(&self) {
        if self.0.at_work.fetch_sub(1, Ordering::SeqCst) == 1 {
            *self.idle_since() = Instant::now();
            self.place().is_idle();
        }
    }

    /// Answers one request.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Sent>, Infallible> {
        Ok(match self.respond(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.response(),
        })
    }

    async fn respond(self, request: Request<Incoming>) -> Result<Response<Sent>, Refusal> {
        let guest = &self.0.guest;
        let (head, body) = request.into_parts();
        let has_message = head.method != Method::GET && head.method != Method::HEAD;
        // Also what is refused: many clients of HTTP/2 take a response amid their body for a fault.
        let sent = if has_message {
            // Before a client that asks first (100-continue) sends it.
            read(body, head.headers.contains_key(EXPECT)).await?
        } else {
            Vec::new()
        };
        if head.uri.path() != guest.rules.path {
            return Err(Refusal::path());
        }
        let from = client(guest.from, &head.headers, &guest.rules.proxies);
        let question = question(&head, sent)?;
        let at_work = self.at_work().ok_or_else(Refusal::leaving)?;
        let mut reply = Vec::new();
        if let Some(later) = self.begin(&question.message, from, &mut reply) {
            reply = self.wait(later, from).await;
        }
        if reply.is_empty() {
            // A reply, or less than a header.
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "expected a DNS question",
            ));
        }
        let response = if question.in_words {
            words(&reply, question.is_head, at_work)
        } else {
            message(reply, question.is_head, at_work)
        };
        Ok(response)
    }

    /// Answers what can be answered without waiting.
    fn begin(&self, query: &[u8], from: SocketAddr, reply: &mut Vec<u8>) -> Option<Box<Later>> {
        let guest = &self.0.guest;
        let line = Line {
            from,
            transport: guest.transport,
            certificate: guest.certificate.as_ref(),
            // HTTP has its own ways to say it.
            idle: None,
        };
        match guest.kept.of(guest.place.number()) {
            Some(mut kept) => {
                let later = kept.answer(query, &line, reply);
                kept.leave();
                later
            }
            None => guest.responder.answer(query, &line, reply),
        }
    }

    async fn wait(&self, later: Box<Later>, from: SocketAddr) -> Vec<u8> {
        let responder = &self.0.guest.responder;
        let reply = match self.place().question() {
            None => responder.overloaded(&later, from),
            Some(_under_way) => Box::pin(responder.finish(*later, from)).await,
        };
        reply.unwrap_or_default()
    }
}

/// What a request asks, of which this was sent in its body.
fn question(head: &RequestHead, sent: Vec<u8>) -> Result<Question, Refusal> {
    let is_head = head.method == Method::HEAD;
    if is_head || head.method == Method::GET {
        let query = head.uri.query().unwrap_or_default();
        let target = Target::read(query);
        let target =
            target.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        let (message, in_words) = match target {
            Target::Message(message) => (message, false),
            Target::Words(message) => (message, true),
        };
        return Ok(Question {
            message,
            in_words,
            is_head,
        });
    }
    if head.method != Method::POST {
        return Err(Refusal::method());
    }
    if !is_message(&head.headers) {
        let expected = format!("expected a body of type {MESSAGE_TYPE}");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, expected));
    }
    Ok(Question {
        message: sent,
        in_words: false,
        is_head: false,
    })
}

/// Whether the type of a body is that of messages; parameters mean nothing.
fn is_message(headers: &HeaderMap) -> bool {
    let written = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    written.is_some_and(|text| {
        let (essence, _) = text.split_once(';').unwrap_or((text, ""));
        essence.trim().eq_ignore_ascii_case(MESSAGE_TYPE)
    })
}

/// Reads a body. One that is too long is read on for a while and refused then: many clients of HTTP/2
/// take the end of a stream that they still send on for a fault, and never see the response.
async fn read(body: Incoming, asks_first: bool) -> Result<Vec<u8>, Refusal> {
    let too_long = || {
        let problem = format!("expected at most {MESSAGE_BYTES_MAX} octets");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem)
    };
    let max = u64::try_from(MESSAGE_BYTES_MAX).unwrap_or(u64::MAX);
    if asks_first && body.size_hint().lower() > max {
        return Err(too_long());
    }
    match timeout(BODY, collect(body)).await {
        Ok(Ok(Some(sent))) => Ok(sent),
        Ok(Ok(None)) => Err(too_long()),
        Ok(Err(_)) => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long",
        )),
    }
}

/// The octets of a body; none if they are more than a message has.
async fn collect(mut body: Incoming) -> hyper::Result<Option<Vec<u8>>> {
    let (mut sent, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else {
            continue;
        };
        length = length.saturating_add(piece.len());
        if length > READ_BYTES_MAX {
            return Ok(None);
        }
        if length <= MESSAGE_BYTES_MAX {
            sent.extend_from_slice(&piece);
        }
    }
    Ok((length <= MESSAGE_BYTES_MAX).then_some(sent))
}
