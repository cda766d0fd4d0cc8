//! `Transport`: how a message came, as far as it is told apart when it is answered and counted.

use std::fmt;

use crate::governance::predicate;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram each way.
    Udp,
    /// A stream; no answer is too long.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// A stream of a QUIC connection.
    Quic,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Quic];

    /// Whether nobody between client and node reads what is said.
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Quic)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        })
    }
}

/// What access tests see of it. QUIC is encrypted by TLS and proves an address and a certificate
/// alike, so that who may ask over the one may over the other.
impl From<Transport> for predicate::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls | Transport::Quic => Self::Tls,
        }
    }
}
