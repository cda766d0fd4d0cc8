//! Async services that know only traits.

pub mod ports;
