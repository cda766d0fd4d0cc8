//! `Observation`: what a node shows of itself to monitoring.

use std::net::IpAddr;

/// Why a node is not as it should be, in a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotNow(pub String);

/// What a node shows of itself to monitoring.
pub trait Observation: Send + Sync + 'static {
    /// Whether an address may look.
    fn admits(&self, from: IpAddr) -> bool;

    /// Whether what runs still turns.
    fn alive(&self) -> Result<(), NotNow>;

    /// Whether questions are answered as they should be.
    fn ready(&self) -> Result<(), NotNow>;

    /// Every metric as text. Reads the store.
    fn metrics(&self) -> Result<String, NotNow>;
}
