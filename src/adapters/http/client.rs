//! `Client`: calls to a running node, here or over TCP, or to a store that this process opened itself.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::http::request;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

use crate::service::callers::TokenText;

use super::caller::Via;
use super::wire::{ErrorBody, PREFIX};

/// A reply longer than this comes from no node.
const REPLY_BYTES_MAX: usize = 256 << 20;

/// Where calls go.
#[derive(Debug, Clone)]
pub enum Client {
    /// A running node.
    Socket(PathBuf),
    /// A running node, over TCP.
    Remote(Remote),
    /// The node's own code over a store opened by this process.
    InProcess(Router),
}

/// A node that is called over TCP.
#[derive(Clone)]
pub struct Remote {
    /// Host and port, as the `host` header has them.
    authority: String,
    host: String,
    port: u16,
    /// None on loopback alone.
    tls: Option<Arc<ClientConfig>>,
    /// The header that holds the token; hidden where headers are shown.
    token: Option<HeaderValue>,
}

/// Why a text names no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServer {
    /// No address.
    #[error("expected https://HOST:PORT")]
    Text,
    /// A token would be there for all to read.
    #[error("http:// is for this machine alone, such as http://127.0.0.1:8053")]
    Plain,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.authority)
    }
}

impl Remote {
    /// The node at `https://HOST:PORT`, or on loopback `http://ADDRESS:PORT`. With TLS it is
    /// `tls` that says who vouches for it.
    pub fn new(
        server: &str,
        tls: ClientConfig,
        token: Option<&TokenText>,
    ) -> Result<Self, BadServer> {
        let uri: hyper::Uri = server.parse().map_err(|_| BadServer::Text)?;
        let (Some(authority), Some(port)) = (uri.authority(), uri.port_u16()) else {
            return Err(BadServer::Text);
        };
        let is_bare = uri.path() == "/" && uri.query().is_none();
        if !is_bare || authority.as_str().contains('@') {
            return Err(BadServer::Text);
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => Some(Arc::new(tls)),
            Some("http") => {
                let address = host.parse::<IpAddr>();
                if !address.is_ok_and(|address| address.is_loopback()) {
                    return Err(BadServer::Plain);
                }
                None
            }
            _ => return Err(BadServer::Text),
        };
        let token = token.and_then(|token| {
            let text = Zeroizing::new(format!("Bearer {}", token.reveal().as_str()));
            let mut header = HeaderValue::from_str(&text).ok()?;
            header.set_sensitive(true);
            Some(header)
        });
        Ok(Self {
            authority: authority.to_string(),
            host,
            port,
            tls,
            token,
        })
    }
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node said no.
    #[error("{error}")]
    Node {
        /// The HTTP status code.
        status: u16,
        /// What went wrong.
        error: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The node could not be reached.
    #[error("{path}: {source}", path = path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The node could not be reached over the network.
    #[error("{server}: {source}")]
    Distant {
        /// Where it should be.
        server: String,
        /// Why.
        source: std::io::Error,
    },
    /// What the reply is for cannot be read or written here.
    #[error("{0}")]
    Local(std::io::Error),
    /// The connection broke, or what came back is no reply of a node.
    #[error("the node's reply could not be read: {0}")]
    Broken(String),
}

impl Client {
    /// Reads.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Vec::new(), false).await
    }

    /// Calls with a JSON body.
    pub async fn send<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(broken)?;
        self.call(method, path, body, true).await
    }

    /// Calls with canonical bytes.
    pub async fn send_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        self.call(Method::POST, path, body, false).await
    }

    /// A request with what this way of calling asks for.
    pub(super) fn request(&self, method: Method, path: &str) -> request::Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"));
        request = match self {
            Self::Remote(remote) => request.header("host", &remote.authority),
            Self::Socket(_) | Self::InProcess(_) => request.header("host", "kedge"),
        };
        if let Self::InProcess(_) = self {
            request = request.extension(Via::ourselves());
        }
        if let Self::Remote(Remote {
            token: Some(token), ..
        }) = self
        {
            request = request.header("authorization", token.clone());
        }
        request
    }

    pub(super) fn router(&self) -> Option<&Router> {
        match self {
            Self::InProcess(router) => Some(router),
            Self::Socket(_) | Self::Remote(_) => None,
        }
    }

    /// Sends a request over a connection of its own and reads the response as `read` does.
    pub(super) async fn over_wire<B, R>(
        &self,
        request: Request<B>,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<R, ClientError>,
    ) -> Result<R, ClientError>
    where
        B: hyper::body::Body + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self {
            Self::Socket(socket) => {
                let stream = UnixStream::connect(socket).await;
                let stream = stream.map_err(|source| ClientError::Unreachable {
                    path: socket.clone(),
                    source,
                })?;
                exchange(stream, request, read).await
            }
            Self::Remote(remote) => {
                let distant = |source| ClientError::Distant {
                    server: remote.authority.clone(),
                    source,
                };
                let address = (remote.host.as_str(), remote.port);
                let stream = TcpStream::connect(address).await.map_err(distant)?;
                let Some(tls) = &remote.tls else {
                    return exchange(stream, request, read).await;
                };
                let name = ServerName::try_from(remote.host.clone()).map_err(broken)?;
                let connector = TlsConnector::from(Arc::clone(tls));
                let stream = connector.connect(name, stream).await.map_err(distant)?;
                exchange(stream, request, read).await
            }
            Self::InProcess(_) => Err(broken("there is no wire within a process")),
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        json: bool,
    ) -> Result<T, ClientError> {
        let content = if json {
            "application/json"
        } else {
            "application/octet-stream"
        };
        let request = self.request(method, path).header("content-type", content);
        let (status, bytes) = match self.router() {
            None => {
                let request = request.body(Full::new(Bytes::from(body))).map_err(broken)?;
                self.over_wire(request, async |response| collect(response).await)
                    .await?
            }
            Some(router) => {
                let request = request.body(Body::from(body)).map_err(broken)?;
                collect(in_process(router, request).await).await?
            }
        };
        parsed(status, &bytes)
    }
}

/// What a reply holds.
pub(super) fn parsed<T: DeserializeOwned>(
    status: StatusCode,
    bytes: &[u8],
) -> Result<T, ClientError> {
    if status.is_success() {
        return serde_json::from_slice(bytes).map_err(broken);
    }
    Err(refused(status, bytes))
}

/// What a reply says that is no success.
pub(super) fn refused(status: StatusCode, bytes: &[u8]) -> ClientError {
    let body = serde_json::from_slice::<ErrorBody>(bytes).unwrap_or_else(|_| ErrorBody {
        error: String::from_utf8_lossy(bytes).into_owned(),
        hint: None,
    });
    ClientError::Node {
        status: status.as_u16(),
        error: body.error,
        hint: body.hint,
    }
}

/// Calls the node's own code.
pub(super) async fn in_process(router: &Router, request: Request<Body>) -> Response<Body> {
    match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn exchange<S, B, R>(
    stream: S,
    request: Request<B>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<R, ClientError>,
) -> Result<R, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: hyper::body::Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let collected = read(response).await;
        // Lets the connection below end.
        drop(sender);
        collected
    };
    let (collected, _) = tokio::join!(exchange, connection);
    collected
}

/// A whole reply.
pub(super) async fn collect<B>(response: Response<B>) -> Result<(StatusCode, Bytes), ClientError>
where
    B: hyper::body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let status = response.status();
    let body = Limited::new(response.into_body(), REPLY_BYTES_MAX)
        .collect()
        .await;
    let body = body.map_err(|error| ClientError::Broken(error.to_string()))?;
    Ok((status, body.to_bytes()))
}

pub(super) fn broken(error: impl std::fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}
