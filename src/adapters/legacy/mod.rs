//! Legacy DNS over the network: forwarding to upstreams. Only this folder names hickory.
//!
//! hickory gives transports, server health and TCP fall-back. It is kept from interpreting what it
//! carries: answers are read from the upstream's own bytes (`reply.rs`), because hickory's typed
//! path drops the sections of negative answers and cannot say which upstream spoke.

pub mod forwarder;
mod line;
mod reply;
pub mod system;
pub mod upstream;
