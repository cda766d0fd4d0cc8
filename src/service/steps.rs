//! `StepLog`: what was done to answer one legacy question, written down only when somebody asked
//! why.
//!
//! The log goes with the task that asks, not through arguments: between the resolver and whoever
//! sends lie a cache and a library, and neither has anything to say about it.

use std::sync::{Arc, Mutex, PoisonError};

/// Steps of one question that are kept; the rest is counted.
const STEPS_MAX: usize = 256;

tokio::task_local! {
    static LOG: StepLog;
}

/// The steps of one question, in order.
#[derive(Debug, Clone, Default)]
pub struct StepLog {
    steps: Arc<Mutex<Vec<String>>>,
}

impl StepLog {
    /// Runs a future whose steps go into this log.
    pub async fn collect<F: Future>(&self, future: F) -> F::Output {
        LOG.scope(self.clone(), future).await
    }

    /// The steps so far, which are then gone from the log.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.steps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Notes a step; it is built only when somebody reads it.
pub fn note_step(step: impl FnOnce() -> String) {
    // Outside of a log nobody reads.
    let _ = LOG.try_with(|log| {
        let mut steps = log.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() < STEPS_MAX {
            steps.push(step());
        }
    });
}
