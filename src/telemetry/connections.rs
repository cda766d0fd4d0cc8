//! `ConnectionCounts`: connections of one transport.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::durations::{add_together, read};

/// Connections of one transport.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    accepted: AtomicU64,
    ended: AtomicU64,
    refused: AtomicU64,
    handshakes_failed: AtomicU64,
    accepts_failed: AtomicU64,
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<ConnectionCounts>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        add_together(&self.0.ended, 1);
    }
}

impl ConnectionCounts {
    /// One was let in.
    pub fn open(self: &Arc<Self>) -> OpenConnection {
        add_together(&self.accepted, 1);
        OpenConnection(Arc::clone(self))
    }

    /// One was turned away, as its client has all that one may have.
    pub fn refuse(&self) {
        add_together(&self.refused, 1);
    }

    /// A TLS handshake came to nothing.
    pub fn fail_handshake(&self) {
        add_together(&self.handshakes_failed, 1);
    }

    /// The system gave no connection that was waiting.
    pub fn fail_accept(&self) {
        add_together(&self.accepts_failed, 1);
    }

    /// How many were let in.
    pub fn accepted(&self) -> u64 {
        read(&self.accepted)
    }

    /// How many are open now.
    pub fn opened(&self) -> u64 {
        // Read in this order, no connection ends before it was let in.
        let ended = read(&self.ended);
        read(&self.accepted).saturating_sub(ended)
    }

    /// How many were turned away.
    pub fn refused(&self) -> u64 {
        read(&self.refused)
    }

    /// TLS handshakes that came to nothing.
    pub fn handshakes_failed(&self) -> u64 {
        read(&self.handshakes_failed)
    }

    /// How often the system gave no connection that was waiting.
    pub fn accepts_failed(&self) -> u64 {
        read(&self.accepts_failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_in_is_open_until_it_ends() {
        let counts = Arc::<ConnectionCounts>::default();
        let one = counts.open();
        let other = counts.open();
        drop(one);
        assert_eq!((counts.accepted(), counts.opened()), (2, 1));
        drop(other);
        assert_eq!((counts.accepted(), counts.opened()), (2, 0));
    }
}
