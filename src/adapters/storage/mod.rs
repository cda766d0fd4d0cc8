//! The index in redb: one file, one writer, snapshots for readers.

mod beacons;
mod devices;
mod error;
mod floors;
mod forms;
mod journeys;
mod kept;
mod keys;
mod leases;
mod mark;
mod ordering;
mod proofs;
mod replicas;
mod scan;
mod store;
mod tables;
mod tokens;
mod view;
mod write;

pub use beacons::BeaconFile;
pub use error::StoreError;
pub use floors::FloorFile;
pub use journeys::JourneyFile;
pub use leases::LeaseFile;
pub use ordering::{Found, OrderingFile};
pub use proofs::ProofFile;
pub use store::{OpenOptions, RedbStore};
pub use view::{Snapshot, Tables, WriteTables};
