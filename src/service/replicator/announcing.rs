//! Tells peers which scopes went on here.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::index::state::ScopeNo;
use crate::index::view::IndexView;
use crate::replication::wire::{Head, Request, SCOPES_PER_REQUEST_MAX};
use crate::service::ports::{IndexFailure, Parts, Store};
use crate::service::resolver::error_chain;

use super::Replicator;

/// Commits that are looked at for one announcement; of what is older, peers hear when they ask.
const COMMITS_LOOKED_AT_MAX: u64 = 4_096;

impl<P: Parts> Replicator<P> {
    /// Announces what is committed, from now on, until told to stop.
    pub async fn announce(self: Arc<Self>, committed: Arc<Notify>, stop: CancellationToken) {
        let mut seen = self.store.latest().commit_count().unwrap_or(0);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = committed.notified() => {}
            }
            match self.gone_on_since(seen) {
                Ok((count, heads)) => {
                    seen = count;
                    if let (Some(network), false) = (self.network(), heads.is_empty()) {
                        network.tell(Request::Announce(heads));
                    }
                }
                Err(error) => {
                    tracing::error!(error = error_chain(&error), "nothing can be announced");
                }
            }
        }
    }

    /// How many commits there are, and the heads of the scopes that the last of them changed.
    fn gone_on_since(&self, seen: u64) -> Result<(u64, Vec<Head>), IndexFailure<P>> {
        let snapshot = self.store.latest();
        let count = snapshot.commit_count()?;
        let mut changed: BTreeSet<ScopeNo> = BTreeSet::new();
        let from = seen.max(count.saturating_sub(COMMITS_LOOKED_AT_MAX));
        for sequence in (from..count).rev() {
            if changed.len() >= SCOPES_PER_REQUEST_MAX {
                break;
            }
            if let Some(at) = snapshot.committed(sequence)? {
                changed.insert(at.scope);
            }
        }
        let mut heads = Vec::with_capacity(changed.len());
        for no in changed {
            if let Some(state) = snapshot.scope(no)? {
                heads.push(Head::of(&state));
            }
        }
        Ok((count, heads))
    }
}
