//! Bodies that are larger than memory: exports on their way out, and in.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body as AxumBody;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame};
use hyper::{Method, Response};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::client::{Client, ClientError, broken, collect, in_process, parsed, refused};

/// Bytes that are read from a local file at once.
const READ_BYTES: usize = 1 << 16;
/// Pieces that wait for the other side. A piece may hold a whole link.
const PIECES_WAITING_MAX: usize = 1;

/// A body in pieces that a thread makes while they are sent.
#[derive(Debug)]
pub(super) struct Pieces(Receiver<io::Result<Bytes>>);

/// Where the thread puts them.
pub(super) type PieceSender = Sender<io::Result<Bytes>>;

/// A body and the way to fill it. It ends when the sender is gone; an error breaks it off.
pub(super) fn pieces() -> (PieceSender, Pieces) {
    let (sender, receiver) = channel(PIECES_WAITING_MAX);
    (sender, Pieces(receiver))
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = self.0.poll_recv(cx);
        next.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

impl Client {
    /// Reads a body of any length, piece by piece.
    pub async fn download(
        &self,
        path: &str,
        take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let request = self.request(Method::GET, path);
        let request = request.body(AxumBody::empty()).map_err(broken)?;
        match self.router() {
            None => {
                let read = async |response| taken(response, take).await;
                self.over_wire(request, read).await
            }
            Some(router) => taken(in_process(router, request).await, take).await,
        }
    }

    /// Sends everything that a local source holds.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        source: impl Read + Send + 'static,
    ) -> Result<T, ClientError> {
        let request = self
            .request(Method::PUT, path)
            .header("content-type", "application/octet-stream");
        let (sender, pieces) = pieces();
        // It ends with its source, or when nobody takes the pieces any more.
        std::thread::spawn(move || feed(source, &sender));
        let request = request.body(AxumBody::new(pieces)).map_err(broken)?;
        let (status, bytes) = match self.router() {
            None => {
                self.over_wire(request, async |response| collect(response).await)
                    .await?
            }
            Some(router) => collect(in_process(router, request).await).await?,
        };
        parsed(status, &bytes)
    }
}

fn feed(mut source: impl Read, sender: &PieceSender) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let piece = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => Ok(Bytes::copy_from_slice(
                buffer.get(..read).unwrap_or_default(),
            )),
            Err(error) => Err(error),
        };
        let is_last = piece.is_err();
        if sender.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

async fn taken<B>(
    response: Response<B>,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), ClientError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let status = response.status();
    if !status.is_success() {
        let (status, bytes) = collect(response).await?;
        return Err(refused(status, &bytes));
    }
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(error.into()))?;
        if let Ok(bytes) = frame.into_data() {
            take(&bytes).map_err(ClientError::Local)?;
        }
    }
    Ok(())
}
