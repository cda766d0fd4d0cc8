//! `Client`: calls to a running node, or to a store that this process opened itself.

use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tower::ServiceExt as _;

use super::wire::{ErrorBody, PREFIX};

/// A reply longer than this comes from no node.
const REPLY_BYTES_MAX: usize = 256 << 20;

/// Where calls go.
#[derive(Debug, Clone)]
pub enum Client {
    /// A running node.
    Socket(PathBuf),
    /// The node's own code over a store opened by this process.
    InProcess(Router),
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
        let request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"))
            .header("host", "kedge")
            .header("content-type", content);
        let (status, bytes) = match self {
            Self::Socket(socket) => {
                let request = request.body(Full::new(Bytes::from(body))).map_err(broken)?;
                over_socket(socket, request, async |response| collect(response).await).await?
            }
            Self::InProcess(router) => {
                let request = request.body(Body::from(body)).map_err(broken)?;
                let response = match router.clone().oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                collect(response).await?
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

/// Sends a request over a connection of its own and reads the response as `read` does.
pub(super) async fn over_socket<B, R>(
    socket: &PathBuf,
    request: Request<B>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<R, ClientError>,
) -> Result<R, ClientError>
where
    B: hyper::body::Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| ClientError::Unreachable {
            path: socket.clone(),
            source,
        })?;
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
