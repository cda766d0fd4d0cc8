//! Async services that know only traits.

pub mod legacy_cache;
pub mod ports;
pub mod resolver;
