//! The program as people run it: a process, its exit code, what it prints, and what is left on
//! the disk after it was stopped, killed or starved.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod access;
mod account;
mod activation;
mod approvals;
mod audit;
mod beacons;
mod broken;
mod cached;
mod codes;
mod commands;
mod connections;
mod council;
mod crash;
mod delegation;
mod designation;
mod devices;
mod elsewhere;
mod guard;
mod help;
mod https;
mod join;
mod keys;
mod learning;
mod leases;
mod liar;
mod lineages;
mod memory;
mod metrics;
mod mirrors;
mod moves;
mod node;
mod past;
mod peers;
mod proofs;
mod query_log;
mod quic;
mod recoveries;
mod remote;
mod restored;
mod scoped;
mod service_manager;
mod serving;
mod streams;
mod tls;
mod tsig;
mod udp;
mod upstream;
mod versions;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "a process knows its caller by the socket")]
mod wire;
