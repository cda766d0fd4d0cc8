//! One stream: one request and its reply, each within its bounds of bytes and of time.

use std::time::Duration;

use noq::{RecvStream, SendStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::base::canonical::Form;
use crate::replication::wire::{
    LENGTH_BYTES, REQUEST_BYTES_MAX, Reply, Request, form_length, frame,
};
use crate::service::ports::PeerFailure;

use super::line::Greeted;

/// A frame that is longer waits for its turn: one such frame is in memory at a time.
const USUAL_BYTES_MAX: usize = 8 << 20;
/// What is read at once of a frame.
const READ_BYTES: usize = 64 << 10;
/// A request comes in one piece.
const REQUEST_PATIENCE: Duration = Duration::from_secs(3);
/// How long a peer may take to begin its reply, with its turn among others.
const REPLY_PATIENCE: Duration = Duration::from_secs(5);
/// How long a peer may give or take nothing in the middle of a frame.
const PIECE_PATIENCE: Duration = Duration::from_secs(5);
/// The least that a frame moves by, in bytes a second, once it is long.
const BYTES_PER_SEC_MIN: usize = 256 << 10;

/// Why a frame was not read or written.
#[derive(Debug)]
pub(super) enum StreamFault {
    /// It took too long.
    Slow,
    /// The stream or the connection ended.
    Broken(String),
    /// It is none.
    Nonsense(String),
}

impl From<StreamFault> for PeerFailure {
    fn from(fault: StreamFault) -> Self {
        match fault {
            StreamFault::Slow => Self::Timeout,
            StreamFault::Broken(why) => Self::Broken(why),
            StreamFault::Nonsense(why) => Self::Nonsense(why),
        }
    }
}

fn broken(error: impl std::fmt::Display) -> StreamFault {
    StreamFault::Broken(error.to_string())
}

fn allowance(byte_count: usize) -> Duration {
    let secs = u64::try_from(byte_count / BYTES_PER_SEC_MIN).unwrap_or(u64::MAX);
    PIECE_PATIENCE.saturating_add(Duration::from_secs(secs))
}

/// Asks over a stream of its own, if the peer knows such a request.
pub(super) async fn ask(
    greeted: &Greeted,
    request: &Request,
    large: &Semaphore,
) -> Result<Reply, PeerFailure> {
    ask_framed(greeted, (request, &frame(request)), large).await
}

/// The same with a request whose bytes are made already.
pub(super) async fn ask_framed(
    greeted: &Greeted,
    (request, bytes): (&Request, &[u8]),
    large: &Semaphore,
) -> Result<Reply, PeerFailure> {
    request.fits(greeted.version)?;
    let opened = timeout(REPLY_PATIENCE, greeted.connection.open_bi()).await;
    let (mut sending, mut receiving) = opened
        .map_err(|_| PeerFailure::Timeout)?
        .map_err(|error| PeerFailure::Broken(error.to_string()))?;
    write(&mut sending, bytes).await?;
    let reply = read(
        &mut receiving,
        (request.reply_bytes_max(), REPLY_PATIENCE),
        large,
    );
    match reply.await? {
        Reply::Turned(turned) => Err(turned.into()),
        reply => Ok(reply),
    }
}

/// Reads the one request of a stream.
pub(super) async fn read_request(receiving: &mut RecvStream) -> Result<Request, StreamFault> {
    let none = Semaphore::const_new(0);
    read(receiving, (REQUEST_BYTES_MAX, REQUEST_PATIENCE), &none).await
}

/// Writes a reply and ends the stream; gives its bytes.
pub(super) async fn write_reply(
    sending: &mut SendStream,
    reply: &Reply,
) -> Result<usize, StreamFault> {
    let bytes = frame(reply);
    write(sending, &bytes).await?;
    Ok(bytes.len())
}

async fn write(sending: &mut SendStream, bytes: &[u8]) -> Result<(), StreamFault> {
    let writing = timeout(allowance(bytes.len()), sending.write_all(bytes));
    writing
        .await
        .map_err(|_| StreamFault::Slow)?
        .map_err(broken)?;
    sending.finish().map_err(broken)
}

/// Reads a frame of at most so many bytes, which begins within its patience. Memory grows with what
/// came, not with what was claimed.
async fn read<T: Form>(
    receiving: &mut RecvStream,
    (bytes_max, patience): (usize, Duration),
    large: &Semaphore,
) -> Result<T, StreamFault> {
    let mut length = [0; LENGTH_BYTES];
    let began = timeout(patience, receiving.read_exact(&mut length)).await;
    began.map_err(|_| StreamFault::Slow)?.map_err(broken)?;
    let nonsense = |fault: &dyn std::fmt::Display| StreamFault::Nonsense(fault.to_string());
    let length = form_length(length, bytes_max).map_err(|fault| nonsense(&fault))?;
    let _turn = if length > USUAL_BYTES_MAX {
        large.acquire().await.ok()
    } else {
        None
    };
    let reading = async {
        let mut bytes: Vec<u8> = Vec::new();
        while bytes.len() < length {
            let wanted = (length - bytes.len()).min(READ_BYTES);
            let piece = timeout(PIECE_PATIENCE, receiving.read_chunk(wanted)).await;
            let piece = piece.map_err(|_| StreamFault::Slow)?.map_err(broken)?;
            match piece {
                Some(piece) => bytes.extend_from_slice(&piece),
                None => return Err(StreamFault::Nonsense("a frame is cut off".to_owned())),
            }
        }
        Ok(bytes)
    };
    let bytes = timeout(allowance(length), reading).await;
    let bytes = bytes.map_err(|_| StreamFault::Slow)??;
    T::from_bytes(&bytes).map_err(|error| nonsense(&error))
}
