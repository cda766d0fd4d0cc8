//! Several anchors that decide one block a height: by hand, by visits, and in seeded disorder.
//!
//! `KEDGE_SEED=n` replays one seed, `KEDGE_SEEDS=n` is how many a long run tries.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it saw"
)]

mod acts;
mod broken;
#[path = "../common/chance.rs"]
mod chance;
mod cluster;
mod disk;
mod liar;
mod network;
mod oracle;
mod scope;
mod seeds;
mod sittings;
mod starting;
mod table;
mod visits;
#[path = "../world/mod.rs"]
mod world;
