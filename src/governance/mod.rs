//! Who may change what: anchors, policy, proposals, approvals, blocks and certificates.

pub mod access;
pub mod anchor;
pub mod approval;
pub mod beacon;
pub mod block;
pub mod certificate;
pub mod descriptor;
pub mod device;
pub mod grant;
pub mod lease;
mod name_kinds;
pub mod name_pattern;
pub mod offer;
pub mod op;
pub mod petition;
pub mod policy;
pub mod predicate;
mod probes;
pub mod proposal;
pub mod recovery;
pub mod ticket;
pub mod trust;
pub mod verb;
pub mod withdrawal;
