//! `QuicCounts`: what happens to connections of QUIC alone.

use std::fmt;
use std::sync::atomic::AtomicU64;

use super::durations::{add_together, read};

/// Why a connection was closed for what its client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It broke a rule of the protocol.
    ProtocolError,
    /// It wanted more than one client may have.
    ExcessiveLoad,
}

impl Closed {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ProtocolError, Self::ExcessiveLoad];
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProtocolError => "protocol_error",
            Self::ExcessiveLoad => "excessive_load",
        })
    }
}

/// What happens to connections of QUIC alone.
#[derive(Debug, Default)]
pub struct QuicCounts {
    retried: AtomicU64,
    protocol_errors: AtomicU64,
    overloads: AtomicU64,
}

impl QuicCounts {
    /// A client has to show that it is at its address.
    pub fn retry(&self) {
        add_together(&self.retried, 1);
    }

    /// A connection was closed.
    pub fn close(&self, why: Closed) {
        add_together(self.closed_for(why), 1);
    }

    /// How many clients had to show that.
    pub fn retried(&self) -> u64 {
        read(&self.retried)
    }

    /// How many connections were closed.
    pub fn closed(&self, why: Closed) -> u64 {
        read(self.closed_for(why))
    }

    const fn closed_for(&self, why: Closed) -> &AtomicU64 {
        match why {
            Closed::ProtocolError => &self.protocol_errors,
            Closed::ExcessiveLoad => &self.overloads,
        }
    }
}
