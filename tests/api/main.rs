//! The admin API against its own document: every operation is there, wrong input gets the
//! documented status, and what comes back fits the schemas.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod callers;
mod document;
mod session;
mod signed;
mod world;
