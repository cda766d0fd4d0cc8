//! What a directory says to a name: the algorithm of RFC 1034 with its wildcards, DNAMEs and
//! cuts, over zones, and the governed index in the same shape.

#![allow(
    clippy::allow_attributes,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod cuts;
mod dname;
mod governed;
mod load;
mod names;
mod overdue;
mod uids;
mod wildcards;
mod zones;
