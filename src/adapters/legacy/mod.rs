//! Legacy DNS over the network: forwarding to upstreams, and recursion from the root. Only this
//! folder names hickory.
//!
//! hickory gives connections and recursion; what goes over plain UDP to an upstream is asked here
//! (`datagrams.rs`), without its pool. It is kept from interpreting what it carries: answers are read
//! from messages (`reply.rs`), because hickory's typed path drops the sections of negative answers and
//! cannot say which upstream spoke.

mod account;
pub mod asking;
mod authorities;
mod cookies;
mod cuts;
mod datagrams;
mod denial;
mod detour;
pub mod forwarder;
mod line;
mod mark;
mod names;
mod race;
pub mod recursion;
pub mod reply;
pub mod roots;
pub mod sources;
mod speed;
pub mod system;
mod tls;
pub mod upstream;
mod veil;
mod verdict;
