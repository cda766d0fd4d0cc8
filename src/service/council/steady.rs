//! `Steady`: time by which anchors wait for each other.

use tokio::time::Instant;

use crate::base::time::Timestamp;
use crate::service::ports::Clock;

/// Time that goes on evenly from what the clock said once: whoever sets the clock neither ends waits
/// nor makes them longer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steady {
    began: Timestamp,
    since: Instant,
}

impl Steady {
    pub(super) fn new(clock: &impl Clock) -> Self {
        Self {
            began: clock.now(),
            since: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let passed_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began.plus_millis(passed_ms)
    }
}
