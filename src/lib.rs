//! Kedge: a DNS server whose names are governed by the nodes that hold them.

pub mod adapters;
pub mod base;
pub mod cli;
pub mod config;
pub mod governance;
pub mod index;
pub mod namespace;
pub mod node;
pub mod replication;
pub mod resolution;
pub mod service;
pub mod telemetry;
pub mod zonefile;
