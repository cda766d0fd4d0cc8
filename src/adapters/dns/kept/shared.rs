//! `SharedAnswers`: kept answers for connections, which wander between threads.

use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::service::ports::Parts;
use crate::telemetry::transport::Transport;

use super::super::responder::Responder;
use super::answers::WireAnswers;

/// Tables in all: with more of them a name that many ask for is kept more often.
const TABLES_MAX: usize = 8;

/// Tables of kept answers, each for the connections whose numbers lead there.
#[derive(Debug)]
pub struct SharedAnswers<P: Parts> {
    tables: Box<[Mutex<WireAnswers<P>>]>,
}

impl<P: Parts> SharedAnswers<P> {
    /// A table for each core, and memory for what is kept in all of them.
    pub fn new(responder: &Responder<P>, transport: Transport, bytes_max: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = cores.min(TABLES_MAX);
        let table = || WireAnswers::new(responder.clone(), transport, bytes_max / count);
        Self {
            tables: (0..count).map(|_| Mutex::new(table())).collect(),
        }
    }

    /// The table of a connection by its number, seen as things stand now. None while another connection
    /// has it, which is no reason to wait: what is kept can be made anew.
    pub(in super::super) fn of(&self, number: usize) -> Option<MutexGuard<'_, WireAnswers<P>>> {
        let table = self.tables.get(number % self.tables.len().max(1))?;
        let mut answers = match table.try_lock() {
            Ok(answers) => answers,
            Err(TryLockError::WouldBlock) => return None,
            Err(TryLockError::Poisoned(poisoned)) => {
                // After a panic nobody knows what is in it.
                let mut answers = poisoned.into_inner();
                answers.forget();
                table.clear_poison();
                answers
            }
        };
        answers.look_up();
        Some(answers)
    }
}
