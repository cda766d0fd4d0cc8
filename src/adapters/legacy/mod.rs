//! Legacy DNS over the network: forwarding to upstreams, and recursion from the root. Only this
//! folder names hickory.
//!
//! hickory gives transports, server health and TCP fall-back. It is kept from interpreting what it
//! carries: answers are read from the upstream's own bytes (`reply.rs`), because hickory's typed
//! path drops the sections of negative answers and cannot say which upstream spoke.

mod authorities;
mod cookies;
pub mod forwarder;
mod line;
mod race;
pub mod recursion;
mod reply;
pub mod roots;
pub mod sources;
mod speed;
pub mod system;
mod tls;
pub mod upstream;
mod veil;
mod verdict;
