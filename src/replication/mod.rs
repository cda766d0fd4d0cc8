//! How the nodes of a scope's anchors work together; what they say, never how it travels.

pub mod ordering;
