//! Other nodes over QUIC between keys, with explicit addresses and nothing else.
//!
//! No relay, no discovery, no port mapping, no further paths: a node dials the addresses of its
//! configuration, and takes connections of the keys that stand there.

mod endpoint;
pub mod handshake;
mod line;
mod serving;
mod socket;
mod stream;

pub use endpoint::{PeerEndpoint, PeerEndpointError, PeerPlan};
pub use line::Peer;
pub use socket::bind_peer;
