//! Responses: replies with what caches may do with them, and refusals, which are cheap.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use super::answering::{MESSAGE_TYPE, Work};
use super::freshness::max_age;
use super::words::in_words;

/// The type of a reply in words.
const WORDS_TYPE: &str = "application/dns-json";
/// That of a refusal.
const TEXT_TYPE: &str = "text/plain; charset=utf-8";
/// The methods that are answered.
const METHODS: &str = "GET, HEAD, POST";
/// For what must not be kept.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A body that is sent in one piece. Whoever worked for it is done when it was handed on.
pub(super) struct Sent {
    bytes: Option<Bytes>,
    #[expect(dead_code, reason = "held until the body is gone")]
    at_work: Option<Box<dyn Work>>,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.bytes.take();
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

/// A request that is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
        }
    }

    /// Nothing is here.
    pub(super) fn path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "")
    }

    /// It cannot be asked in this way.
    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "")
    }

    /// The connection is about to end, as another one needs its place.
    pub(super) fn leaving() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "")
    }

    pub(super) fn response(self) -> Response<Sent> {
        let mut why = self.why;
        if !why.is_empty() {
            why.push('\n');
        }
        let sent = Sent {
            bytes: (!why.is_empty()).then(|| why.into()),
            at_work: None,
        };
        let mut response = Response::new(sent);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_TYPE));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        }
        response
    }
}

/// A reply as it is.
pub(super) fn message(
    reply: Vec<u8>,
    is_head: bool,
    at_work: impl Work + 'static,
) -> Response<Sent> {
    let keeping = keeping(&reply);
    answered((reply, MESSAGE_TYPE, keeping), is_head, at_work)
}

/// A reply in words.
pub(super) fn words(reply: &[u8], is_head: bool, at_work: impl Work + 'static) -> Response<Sent> {
    let Some(text) = in_words(reply) else {
        let why = "the reply cannot be said in words";
        return Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why).response();
    };
    answered((text, WORDS_TYPE, keeping(reply)), is_head, at_work)
}

/// What caches may do with a reply. Answers may hang on who asks, so that only the client's own cache
/// may keep them.
fn keeping(reply: &[u8]) -> HeaderValue {
    let Some(seconds) = max_age(reply) else {
        return NO_STORE;
    };
    HeaderValue::try_from(format!("private, max-age={seconds}")).unwrap_or(NO_STORE)
}

fn answered(
    (bytes, kind, keeping): (Vec<u8>, &'static str, HeaderValue),
    is_head: bool,
    at_work: impl Work + 'static,
) -> Response<Sent> {
    let length = HeaderValue::from(bytes.len());
    let sent = Sent {
        bytes: (!is_head).then(|| bytes.into()),
        at_work: Some(Box::new(at_work)),
    };
    let mut response = Response::new(sent);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(CACHE_CONTROL, keeping);
    response
}
