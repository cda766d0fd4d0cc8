//! Keeps what anchors said over restarts.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::base::lock::locked;
use crate::service::ports::{BeaconStore, Parts, SaidBefore};
use crate::service::resolver::error_chain;

use super::{Beacons, TICK};

/// How late a word is on the disk, at most. After a crash, scopes count as confirmed as long ago.
const WRITE_EVERY: Duration = Duration::from_mins(1);

impl<P: Parts> Beacons<P> {
    /// Takes in what was kept, before anything is asked.
    pub fn remember(&self, before: SaidBefore) {
        let SaidBefore {
            words,
            evidence,
            spoken,
        } = before;
        locked(&self.book).remember(&words, evidence);
        locked(&self.lamp).remember(spoken);
    }

    /// Writes down what is heard, until told to stop.
    pub async fn keep<S: BeaconStore>(self: Arc<Self>, store: Arc<S>, stop: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = Instant::now();
        loop {
            let stops = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
            };
            let evidence = locked(&self.book).take_unkept();
            let words = if stops || written.elapsed() >= WRITE_EVERY {
                written = Instant::now();
                locked(&self.book).take_changed()
            } else {
                Vec::new()
            };
            if !evidence.is_empty() || !words.is_empty() {
                let places = words.iter().map(|(place, _)| *place).collect();
                let unkept = evidence.clone();
                let writing = Arc::clone(&store);
                let done = spawn_blocking(move || writing.write(&words, &evidence)).await;
                let failed = match done {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error_chain(&error)),
                    Err(error) => Some(error.to_string()),
                };
                if let Some(error) = failed {
                    locked(&self.book).not_written(places, unkept);
                    tracing::error!(error, "what anchors said cannot be written down");
                }
            }
            if stops {
                return;
            }
        }
    }
}
