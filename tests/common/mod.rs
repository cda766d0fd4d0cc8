//! What integration tests share: programs started and ended, a node, other servers, raw DNS.
//!
//! A test program uses `mod common;` and takes what it needs.

#![allow(
    clippy::allow_attributes,
    dead_code,
    unused_imports,
    reason = "no test program uses all of it"
)]

pub(crate) mod chance;
pub(crate) mod client;
pub(crate) mod message;
pub(crate) mod node;
pub(crate) mod peers;
pub(crate) mod process;

pub(crate) use chance::Chance;
pub(crate) use node::TestNode;

/// Whether a missing program is a failure instead of a reason to skip.
pub(crate) fn must_not_skip() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}
