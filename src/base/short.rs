//! `ShortBytes`: bytes that stand in place while they are few.
//!
//! Names and record data are mostly shorter than what an allocation costs, and an answer reads and
//! copies several of each: in place, none of them is a step through memory of its own.

use std::fmt;
use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

/// Bytes of which up to `N` stand in place.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ShortBytes<const N: usize>(SmallVec<[u8; N]>);

impl<const N: usize> ShortBytes<N> {
    /// None at all.
    pub const fn new() -> Self {
        Self(SmallVec::new_const())
    }

    /// Adds one.
    pub fn push(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Adds several.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl<const N: usize> Clone for ShortBytes<N> {
    fn clone(&self) -> Self {
        // Its own copies one by one.
        Self(SmallVec::from_slice(&self.0))
    }
}

impl<const N: usize> Deref for ShortBytes<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> DerefMut for ShortBytes<N> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl<const N: usize> From<&[u8]> for ShortBytes<N> {
    fn from(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }
}

impl<const N: usize> From<Vec<u8>> for ShortBytes<N> {
    /// Without what the vector has room for beyond.
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl<const N: usize> fmt::Debug for ShortBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn few_and_many_are_the_same_bytes(bytes: Vec<u8>, more: Vec<u8>) {
            let short = ShortBytes::<8>::from(bytes.clone());
            let mut grown = short.clone();
            grown.extend_from_slice(&more);
            for byte in &more {
                grown.push(*byte);
            }
            assert_eq!(*short, bytes[..]);
            assert_eq!(*grown, [bytes.clone(), more.clone(), more].concat()[..]);
        }
    }
}
