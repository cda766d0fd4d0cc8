//! The admin API: HTTP with JSON over a unix socket, over TCP, and in-process when no node runs.

mod access;
mod audited;
pub mod caller;
mod calls;
mod client;
mod devices;
mod government;
mod guard;
mod lineage;
mod listener;
mod names;
mod past;
mod patience;
mod proposals;
mod render;
mod routes;
mod scopes;
mod server;
mod status;
mod stream;
mod tokens;
pub mod wire;
pub mod wire_devices;
pub mod wire_government;
pub mod wire_past;
pub mod wire_proposals;
pub mod wire_tokens;

pub use caller::Via;
pub use calls::document;
pub use client::{BadServer, Client, ClientError, Remote};
pub use lineage::RestoredView;
pub use listener::{ApiListener, ApiPatience, PROTOCOLS, serve_api};
pub use routes::{Api, router};
pub use server::{AdminSocket, bind_admin, serve_admin};
