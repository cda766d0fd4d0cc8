//! Bodies of calls about versions and about the past.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The moment that was looked back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// The time.
    pub time: String,
    /// The height of the scope that decided over the name then.
    pub height: u64,
    /// The epoch of its anchors and its policy.
    pub epoch: u64,
}

/// One of two versions that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// The number.
    pub version: u64,
    /// When it came to be.
    pub time: String,
}

/// A record that one version has and the other has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffLine {
    /// `-` for a record that went, `+` for one that came.
    pub sign: String,
    /// The record as a zone file line.
    pub record: String,
}

/// What differs between two versions of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffView {
    /// The entry.
    pub uid: String,
    /// The name that the lines have.
    pub name: String,
    /// The first version.
    pub from: Side,
    /// The second version.
    pub to: Side,
    /// The records that differ, by type; none if the record sets are the same.
    pub lines: Vec<DiffLine>,
}
