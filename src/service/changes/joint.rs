//! Changes that anchors on several nodes decide: what was asked for waits for them a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::index::pending::PendingView;
use crate::index::refusal::Refusal;
use crate::index::state::ScopeNo;
use crate::index::view::{Decision, IndexView};
use crate::service::governor::{ChangeError, Committed, Done, Work};
use crate::service::ports::{Parts, Store};
use crate::service::resolver::error_chain;

use super::{Changes, PlanError};

/// How long whoever asked for a change waits for the anchors of other nodes; it is decided later all
/// the same.
const PATIENCE: Duration = Duration::from_secs(15);

impl<P: Parts> Changes<P> {
    /// Commits a change. What only lacks the anchors of other nodes is waited for; where many come at
    /// the same time, they take turns, as a scope lets few proposals of one author wait.
    pub(super) async fn commit(&self, work: Work) -> Result<Done, PlanError> {
        let _turn = match self.turns(&work)? {
            None => None,
            Some(turns) => match timeout(PATIENCE, turns.acquire_owned()).await {
                Ok(Ok(turn)) => Some(turn),
                _ => return Err(ChangeError::Busy.into()),
            },
        };
        let done = self.governor.commit(work).await?;
        self.await_anchors(done).await
    }

    /// The turns of a change that anchors on several nodes decide; others need none.
    fn turns(&self, work: &Work) -> Result<Option<Arc<Semaphore>>, PlanError> {
        let (Work::Decide(candidate), Some(council)) = (work, &self.council) else {
            return Ok(None);
        };
        if !council.sits() {
            return Ok(None);
        }
        let scope = candidate.proposal.object().scope;
        let snapshot = self.store.latest();
        let no = snapshot.scope_no(&scope);
        let state = no.and_then(|no| no.map_or(Ok(None), |no| snapshot.shared_scope(no)));
        let state = state.map_err(|error| ChangeError::Store(error_chain(&error)))?;
        let is_joint = state.is_some_and(|state| council.is_joint(&state));
        Ok(is_joint.then(|| council.turns(&scope)))
    }

    /// Waits a while for the anchors of other nodes, if nothing else is lacking.
    pub(super) async fn await_anchors(&self, done: Done) -> Result<Done, PlanError> {
        let Done::Waits {
            scope,
            proposal,
            lacks: Refusal::Quorum { .. },
        } = &done
        else {
            return Ok(done);
        };
        let Some(council) = self.council.as_ref().filter(|council| council.sits()) else {
            return Ok(done);
        };
        let (scope, proposal) = (*scope, *proposal);
        let Some(not_after) = self.expiry(scope, &proposal)? else {
            return Ok(done);
        };
        let decision = Decision {
            scope,
            not_after,
            proposal,
        };
        let deadline = Instant::now() + PATIENCE;
        let bell = council.decided();
        loop {
            let rung = bell.notified();
            tokio::pin!(rung);
            // From here on nothing that is decided is missed.
            rung.as_mut().enable();
            if self.expiry(scope, &proposal)?.is_none() {
                return self.fate(done, &decision);
            }
            if timeout_at(deadline, rung).await.is_err() {
                return match self.expiry(scope, &proposal)? {
                    Some(_) => Ok(done),
                    None => self.fate(done, &decision),
                };
            }
        }
    }

    /// Until when a proposal may be decided; none if it waits no more.
    fn expiry(&self, scope: ScopeNo, proposal: &Digest) -> Result<Option<Timestamp>, PlanError> {
        let pending = self.store.latest().pending(scope, proposal);
        let pending = pending.map_err(|error| ChangeError::Store(error_chain(&error)))?;
        Ok(pending.map(|pending| pending.proposal.unverified().not_after))
    }

    /// What became of a proposal that waits no more.
    fn fate(&self, done: Done, decision: &Decision) -> Result<Done, PlanError> {
        let unreadable = |error| ChangeError::Store(error_chain(&error));
        let snapshot = self.store.latest();
        let height = snapshot.decided(decision).map_err(unreadable)?;
        let Some(height) = height else {
            return Err(
                Refusal::Joint("another change that was decided first contradicts it").into(),
            );
        };
        let link = snapshot.link(decision.scope, height).map_err(unreadable)?;
        let found = link.and_then(|link| {
            let mut decided = link.body.decided.iter();
            let decided = decided.find(|one| one.proposal.digest() == decision.proposal)?;
            let at = Committed {
                scope: decision.scope,
                height,
                block: link.block.digest(),
                time: link.block.time,
            };
            let fate = decided.fate.clone();
            Some(Done::Decided { at, fate })
        });
        Ok(found.unwrap_or(done))
    }
}
