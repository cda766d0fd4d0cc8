//! The parts that a world is built from in place of the system's.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kedge::base::keys::SecretKey;
use kedge::base::time::Timestamp;
use kedge::namespace::name::Name;
use kedge::service::ports::{Clock, KeyStore, Parts, Randomness, Store};

use super::legacy::ScriptedLegacy;

/// A Monday in 2026; no test depends on which.
const START_MS: u64 = 1_790_000_000_000;

/// A clock that moves only when told to.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl Default for ManualClock {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(START_MS)))
    }
}

impl ManualClock {
    /// Lets time pass.
    pub fn pass_secs(&self, secs: u64) {
        self.0.fetch_add(secs * 1000, Ordering::SeqCst);
    }

    /// Sets it back.
    pub fn go_back_secs(&self, secs: u64) {
        self.0.fetch_sub(secs * 1000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Numbers that are the same in every run.
#[derive(Debug, Default)]
pub struct Counted(AtomicU64);

impl Randomness for Counted {
    fn seed(&self) -> [u8; 32] {
        let mut seed = [7; 32];
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        seed[..8].copy_from_slice(&count.to_be_bytes());
        seed
    }
}

/// Keys that live as long as the test.
#[derive(Debug, Default)]
pub struct NoFiles;

impl KeyStore for NoFiles {
    fn keep(&self, _scope: &Name, _key: &SecretKey) -> Result<(), String> {
        Ok(())
    }
}

/// The parts over a store.
#[derive(Debug)]
pub struct TestParts<S>(PhantomData<S>);

impl<S: Store> Parts for TestParts<S> {
    type Store = S;
    type Legacy = ScriptedLegacy;
    type Clock = ManualClock;
    type Randomness = Counted;
    type Keys = NoFiles;
}
