//! What nodes say to each other about scopes: how anchors decide together, and how what one node says
//! is taken in by another; never how it travels.

pub mod ordering;
pub mod pull;
pub mod wire;
pub mod witness;
