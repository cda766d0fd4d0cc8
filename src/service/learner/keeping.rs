//! Keeps what questions come by fresh: asks whoever proved it whether it went on.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::replication::wire::{Reply, Request, SCOPES_PER_REQUEST_MAX};

use super::Learner;

/// Between two looks: two of them may fail before what is known counts as stale.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Learner {
    /// Looks at what is in use, again and again, until told to stop.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.look() => {}
            }
        }
    }

    /// Asks about every scope in use once. Nothing is asked while none is.
    pub async fn look(&self) {
        let Some(network) = self.network.get() else {
            return;
        };
        // All at once: one that does not answer holds nobody up.
        let mut looks = JoinSet::new();
        for (peer, scopes) in self.book.in_use(self.clock.now()) {
            for page in scopes.chunks(SCOPES_PER_REQUEST_MAX) {
                let asked = network.ask(peer, Request::Heads(page.to_vec()));
                let page = page.to_vec();
                looks.spawn(async move { (peer, page, asked.await) });
            }
        }
        while let Some(joined) = looks.join_next().await {
            let Ok((peer, page, Ok(Reply::Heads(heads)))) = joined else {
                continue;
            };
            let now = self.clock.now();
            for head in heads.iter().filter(|head| page.contains(&head.scope)) {
                if self.book.hear(head, now, true) {
                    self.went_on(&peer, head);
                }
                if let Some(kept) = self.book.to_be_told(&head.scope) {
                    self.kept.note(kept);
                }
            }
        }
    }
}
