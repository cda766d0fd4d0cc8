//! Who calls, and what they may do: judged once for each call, before anything of it is read.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;
use tokio::time::Instant;

use crate::base::identity::Identity;
use crate::base::time::Timestamp;
use crate::index::place::Apex;
use crate::service::callers::{TokenId, TokenText};
use crate::service::permission::Permission;
use crate::service::ports::Parts;

use super::devices::Peer;
use super::routes::{Api, Node};
use super::sight::Sight;
use super::status::Failure;

/// The scheme of a token (RFC 6750).
const SCHEME: &str = "bearer";

/// How a call comes here. A call without it is nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// By a socket that only this node's owner may write to.
    Process {
        /// The user.
        uid: Option<u32>,
        /// The process.
        pid: Option<i32>,
    },
    /// From afar.
    Tcp {
        /// Where from.
        from: SocketAddr,
        /// Who the client is by its certificate.
        identity: Option<Identity>,
    },
}

impl Via {
    /// A command that calls in its own process.
    pub fn ourselves() -> Self {
        Self::Process {
            uid: Some(rustix::process::getuid().as_raw()),
            pid: Some(rustix::process::getpid().as_raw_nonzero().get()),
        }
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Via {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // A caller that is gone already has no credentials any more.
        let peer = stream.io().peer_cred().ok();
        Self::Process {
            uid: peer.map(|peer| peer.uid()),
            pid: peer.and_then(|peer| peer.pid()),
        }
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// The owner of this node.
    Owner,
    /// The holder of a token.
    Token(TokenId),
    /// A client with a certificate.
    Client(Identity),
}

/// A caller that is known.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) who: Who,
    pub(super) permission: Permission,
    /// When the permission ends, if that is known.
    pub(super) end: Option<Timestamp>,
}

impl Caller {
    /// What it may see of the names under some apexes.
    pub(super) fn sight<'a>(&'a self, apexes: &'a [Apex]) -> Sight<'a> {
        Sight {
            permission: &self.permission,
            apexes,
        }
    }
}

/// A call by nobody known that is counted instead of recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted;

/// How a request came here, as its server said.
pub(super) fn via(request: &Request) -> Option<Via> {
    let extensions = request.extensions();
    let by_socket = || {
        extensions
            .get::<ConnectInfo<Via>>()
            .map(|via| via.0.clone())
    };
    extensions.get::<Via>().cloned().or_else(by_socket)
}

/// Lets calls of known callers pass.
pub(super) async fn known<P: Parts>(
    State(api): Node<P>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(via) = via(&request) else {
        return Failure::internal("nobody said where the call came from").into_response();
    };
    match judge(&api, &via, request.headers()) {
        Ok(caller) => {
            if let Via::Tcp { from, .. } = &via {
                let peer = Peer(from.ip().to_canonical());
                request.extensions_mut().insert(peer);
            }
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
            response.extensions_mut().insert(caller);
            response
        }
        Err(denied) => denied.response(&api, &via),
    }
}

/// Why nobody known calls.
struct Denied {
    error: String,
    hint: &'static str,
    /// Whether a token was shown.
    has_token: bool,
}

fn judge<P: Parts>(api: &Api<P>, via: &Via, headers: &HeaderMap) -> Result<Caller, Denied> {
    let identity = match via {
        Via::Process { .. } => {
            return Ok(Caller {
                who: Who::Owner,
                permission: Permission::whole(),
                end: None,
            });
        }
        Via::Tcp { identity, .. } => identity,
    };
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    if let Some(header) = shown.next() {
        let text = bearer(header).filter(|_| shown.next().is_none());
        return by_token(api, text);
    }
    let Some(identity) = identity else {
        return Err(Denied {
            error: "a call over TCP needs a token, or a client certificate".to_owned(),
            hint: "`kedge token new` on the node makes one; send it as authorization: Bearer TOKEN",
            has_token: false,
        });
    };
    let permission = api.callers.by_identity(identity);
    let permission = permission.ok_or_else(|| Denied {
        error: format!("no rights are configured for {identity}"),
        hint: "[[api.clients]] in the node's configuration gives rights to identities",
        has_token: false,
    })?;
    Ok(Caller {
        who: Who::Client(identity.clone()),
        permission,
        end: None,
    })
}

/// Who shows a token is judged by that alone, whatever certificate there is.
fn by_token<P: Parts>(api: &Api<P>, text: Option<TokenText>) -> Result<Caller, Denied> {
    let denied = |error: String| Denied {
        error,
        hint: "`kedge token list` on the node shows its tokens",
        has_token: true,
    };
    let expected = "expected one header: authorization: Bearer TOKEN";
    let text = text.ok_or_else(|| denied(expected.to_owned()))?;
    let token = api.callers.by_token(&text, api.changes.now());
    let token = token.map_err(|error| denied(error.to_string()))?;
    Ok(Caller {
        who: Who::Token(token.id),
        permission: token.permission,
        end: Some(token.expires),
    })
}

/// The token in a header.
pub(super) fn bearer(header: &HeaderValue) -> Option<TokenText> {
    let (scheme, text) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    text.trim_matches(' ').parse().ok()
}

impl Denied {
    fn response<P: Parts>(self, api: &Api<P>, via: &Via) -> Response {
        let Via::Tcp { from, .. } = via else {
            return Failure::internal(self.error).into_response();
        };
        if let Some(wait) = api.callers.note_failure(from.ip(), Instant::now()) {
            api.resolver.audit().strangers(from.ip());
            return too_many(wait);
        }
        let challenge = if self.has_token {
            "Bearer realm=\"kedge\", error=\"invalid_token\""
        } else {
            "Bearer realm=\"kedge\""
        };
        let mut response =
            Failure::new(StatusCode::UNAUTHORIZED, self.error, Some(self.hint)).into_response();
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

/// The answer to who failed too often. Good credentials still get through.
fn too_many(wait: Duration) -> Response {
    let error = "too many calls by nobody known come from there";
    let hint = Some("wait a minute, then call with a good token");
    let failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, error, hint);
    let mut response = failure.into_response();
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response.extensions_mut().insert(Counted);
    response
}
