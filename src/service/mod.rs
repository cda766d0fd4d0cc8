//! Async services that know only traits.

pub mod audit;
pub mod beacons;
pub mod callers;
pub mod changes;
pub mod council;
pub mod devices;
mod flights;
pub mod freshness;
pub mod governor;
pub mod keyring;
pub mod learner;
pub mod leases;
pub mod legacy_cache;
pub mod loads;
pub mod moves;
pub mod permission;
pub mod ports;
pub mod replicator;
pub mod resolver;
pub mod seats;
pub mod secure_channel;
pub mod setup;
mod stale;
pub mod standing;
pub mod steps;
pub mod tallies;
