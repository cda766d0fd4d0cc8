//! `Loads`: how much scopes are asked, as far as this node knows.

use std::fmt;

use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

/// Questions a second by scope. What it says is this node's own experience: another node, or a
/// replay, sees other numbers.
pub trait Loads: fmt::Debug {
    /// Counts one more question at a time, and gives the number with it.
    fn asked(&self, scope: &ScopeUid, at: Timestamp) -> u32;

    /// The number at a time.
    fn lately(&self, scope: &ScopeUid, at: Timestamp) -> u32;
}
