//! The admin API: HTTP with JSON over a unix socket, and in-process when no node runs.

mod client;
mod names;
mod past;
mod render;
mod routes;
mod scopes;
mod server;
mod status;
pub mod wire;
pub mod wire_past;

pub use client::{Client, ClientError};
pub use routes::{Api, router};
pub use server::{AdminSocket, bind_admin, serve_admin};
