//! `locked`: a mutex, also after somebody panicked with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a mutex guards. What is kept so is put in place whole, so that a panic leaves nothing half done.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
