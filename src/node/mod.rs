//! Builds, runs and stops everything.

mod assemble;
mod demo;
mod designation;
mod guard;
mod leases;
mod listeners;
mod metrics;
mod observer;
mod operator;
mod peers;
mod serve;
mod setup;
mod sockets;
mod watching;

use crate::adapters::clock::SystemClock;
use crate::adapters::keys::files::KeyFiles;
use crate::adapters::legacy::sources::Sources;
use crate::adapters::randomness::SystemRandomness;
use crate::adapters::storage::RedbStore;
use crate::service::ports::Parts;

pub use assemble::{Node, StartError, assemble, go_on_as_user, key_files, secure, signer};
pub use demo::{create_demo, is_new};
pub use guard::parts as guard_parts;
pub use leases::NodeKeeper;
pub use peers::{Following, NodeChair, node_key};
pub use serve::serve;
pub use setup::{legacy_sources, load_zones, zone_sources};
pub use sockets::Sockets;

/// The parts of a real node.
#[derive(Debug, Clone, Copy)]
pub struct Production;

impl Parts for Production {
    type Store = RedbStore;
    type Legacy = Sources;
    type Clock = SystemClock;
    type Randomness = SystemRandomness;
    type Keys = KeyFiles;
}
