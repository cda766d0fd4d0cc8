//! Other nodes over iroh: QUIC between keys, with explicit addresses and nothing else.
//!
//! No relay, no discovery, no port mapping: a node dials the addresses of its configuration, and
//! takes connections of the keys that stand there.

mod endpoint;
mod gate;
mod line;
mod serving;
mod stream;

pub use endpoint::{PeerEndpoint, PeerEndpointError, PeerPlan};
pub use line::Peer;
