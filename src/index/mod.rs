//! State as data: entries, scopes, the rules that change them, and the lineage that proves it.

pub mod admission;
pub mod as_of;
pub mod ballot;
pub mod changeset;
pub mod devices;
pub mod difference;
pub mod drafting;
pub mod entry;
pub mod export;
pub mod held_lease;
pub mod history;
pub mod impact;
pub mod lineage;
pub mod memory;
pub mod pending;
pub mod place;
pub mod proof;
pub mod refusal;
pub mod rows;
pub mod sets;
pub mod staging;
pub mod state;
pub mod transition;
pub mod trie;
pub mod verify;
pub mod view;
