//! The admin API: HTTP with JSON over a unix socket, and in-process when no node runs.

mod access;
mod aside;
mod audited;
mod calls;
mod client;
mod devices;
mod government;
mod leases;
mod lineage;
mod names;
mod past;
mod proposals;
mod render;
mod routes;
mod scopes;
mod server;
mod status;
mod stream;
pub mod wire;
pub mod wire_devices;
pub mod wire_government;
pub mod wire_leases;
pub mod wire_past;
pub mod wire_proposals;

pub use calls::document;
pub use client::{Client, ClientError};
pub use lineage::RestoredView;
pub use routes::{Api, router};
pub use server::{AdminSocket, bind_admin, serve_admin};
