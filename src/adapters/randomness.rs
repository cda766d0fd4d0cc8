//! The only read of the system's randomness.

use crate::service::ports::Randomness;

/// The operating system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        fill(&mut seed);
        seed
    }
}

/// Fills octets with random numbers.
pub fn fill(octets: &mut [u8]) {
    if let Err(error) = getrandom::fill(octets) {
        // Keys made from anything else, and ports, would be worth nothing.
        tracing::error!(%error, "the system gives no randomness");
        std::process::abort();
    }
}
