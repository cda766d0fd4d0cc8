//! Work that reads or waits much, where it does not hold up answers.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use super::status::Failure;

/// Each keeps a copy of what it stages; more at a time would only wait for processors.
const ASIDE_MAX: usize = 8;

/// The politeness of such work: beside it a thread that answers gets some nine tenths of a
/// processor that both want.
const NICENESS: i32 = 10;

static ROOM: Semaphore = Semaphore::const_new(ASIDE_MAX);

/// Runs what may read much, such as a look back or the staging of many changes, on a thread of its
/// own that gives way to those that answer questions. The pool of the runtime has no such threads:
/// a worker may come from it.
pub(super) async fn apart<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let over = || Failure::internal("the work ended without a word".to_owned());
    let room = ROOM.acquire().await.map_err(|_| over())?;
    let (tell, told) = oneshot::channel();
    let run = move || {
        give_way();
        // Whoever asked may be gone; the work is done all the same, and takes its room till then.
        drop(tell.send(look()));
        drop(room);
    };
    thread::Builder::new()
        .name("aside".to_owned())
        .spawn(run)
        .map_err(|error| Failure::internal(error.to_string()))?;
    told.await.map_err(|_| over())?
}

/// The same for work that also waits for others.
pub(super) async fn apart_until<T, F>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>>,
{
    let runtime = Handle::current();
    apart(move || runtime.block_on(work())).await
}

/// Linux counts niceness by thread. Without it the work is done as well, only less politely.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}
