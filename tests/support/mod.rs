//! What tests of resolution share: a whole node in this process, without sockets, files or a clock
//! of its own.
//!
//! [`World`] runs the same governor, resolver and responder as the program over a store in memory,
//! scripted legacy DNS and a clock that moves when it is told to. [`talk`] drives it by lines of
//! text.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a test fails by panicking, and no test program uses all of it"
)]

pub mod legacy;
pub mod parts;
pub mod store;
pub mod talk;
pub mod wire;
pub mod world;

pub use store::MemoryStore;
pub use world::World;

use kedge::base::keys::SecretKey;
use kedge::governance::anchor::{Anchor, AnchorGroup};
use kedge::namespace::name::Name;

/// A name that is known to be one.
pub fn name(text: &str) -> Name {
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?} is no name: {error}"))
}

/// A key that is the same in every run.
pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// Anchors of the same weight, whose keys are of these seeds.
pub fn group(seeds: &[u8]) -> AnchorGroup {
    let anchors = seeds
        .iter()
        .map(|seed| Anchor::new(key(*seed).public(), "here"));
    AnchorGroup::new(anchors.collect()).unwrap()
}
