//! `Outbound`: replies on their way to a client that takes them at its own pace.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

/// Bytes that wait for a slow reader before nothing more is read of it: the longest message.
const WAITING_BYTES_MAX: usize = 64 << 10;
/// Memory that a connection keeps while it is idle.
const KEPT_BYTES_MAX: usize = 16 << 10;
/// How long a client may take for all that waits, or for so many bytes of it as may wait. As long as
/// its silence is borne; a line that is slower carries six kilobytes a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Replies that were not sent yet.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    bytes: Vec<u8>,
    sent: usize,
    /// Whether something was handed over that the stream may still hold back.
    is_held_back: bool,
    /// When the client must have taken so many bytes, or all; and how many are left of those.
    due: Option<(Instant, usize)>,
}

impl Outbound {
    /// Adds a reply.
    pub(super) fn add(&mut self, reply: &[u8]) {
        let Ok(length) = u16::try_from(reply.len()) else {
            return;
        };
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(reply);
        if self.due.is_none() {
            self.due = Some((Instant::now() + PATIENCE, WAITING_BYTES_MAX));
        }
    }

    /// Whether there is room for another reply.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() - self.sent < WAITING_BYTES_MAX
    }

    /// Whether everything left.
    pub(super) fn is_done(&self) -> bool {
        self.bytes.is_empty() && !self.is_held_back
    }

    /// When the client is given up.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.map(|(at, _)| at)
    }

    /// Sends some of it. Nothing is lost or sent twice if this is dropped.
    pub(super) async fn send(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        let left = self.bytes.get(self.sent..).unwrap_or_default();
        if left.is_empty() {
            // TLS keeps what the socket did not take at once.
            writer.flush().await?;
            self.is_held_back = false;
            self.due = None;
            return Ok(());
        }
        let count = writer.write(left).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        self.is_held_back = true;
        self.sent += count;
        if let Some((at, bytes)) = &mut self.due {
            *bytes = bytes.saturating_sub(count);
            if *bytes == 0 {
                (*at, *bytes) = (Instant::now() + PATIENCE, WAITING_BYTES_MAX);
            }
        }
        if self.sent == self.bytes.len() {
            self.sent = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_BYTES_MAX {
                self.bytes = Vec::new();
            }
        } else if self.sent >= WAITING_BYTES_MAX {
            drop(self.bytes.drain(..self.sent));
            self.sent = 0;
        }
        Ok(())
    }
}
