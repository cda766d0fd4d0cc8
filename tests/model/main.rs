//! The index against naive models of it: what is refused, what random histories lead to, what
//! verification finds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod anchors;
mod approvals;
mod as_of;
mod authority;
#[path = "../disk/mod.rs"]
mod disk;
mod export;
mod grants;
mod histories;
#[path = "../history/mod.rs"]
mod history;
mod impact;
mod majority;
mod moves;
mod proof;
mod pull;
mod recovery;
mod refusals;
mod stage;
mod tamper;
mod trie;
mod verify;
#[path = "../world/mod.rs"]
mod world;
