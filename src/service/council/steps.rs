//! What follows from a step of a sitting: rows are stored, blocks are made, judged and added.

use std::collections::VecDeque;

use crate::base::keys::PublicKey;
use crate::governance::anchor::AnchorId;
use crate::governance::certificate::{Certificate, Certified};
use crate::index::drafting::is_early;
use crate::index::export::encoded_length;
use crate::index::view::{IndexView as _, Link};
use crate::namespace::scope::ScopeUid;
use crate::replication::ordering::{Action, Actions, Broken, Row, Tender};
use crate::replication::wire::Request;
use crate::service::governor::{ChangeError, Done, Follow, Work};
use crate::service::ports::{Clock, OrderingStore, Store};
use crate::service::resolver::error_chain;

use super::Chair;
use super::chair::read;
use super::counts::raise;

impl<S: Store, C: Clock, J: OrderingStore> Chair<S, C, J> {
    /// Stores the rows of a step, then does what follows from it, to its end.
    pub(super) fn perform(&mut self, uid: ScopeUid, actions: Actions) {
        self.at = Some(uid);
        let mut queue = VecDeque::from([actions]);
        while let Some(actions) = queue.pop_front() {
            let Some(seated) = self.sittings.get(&uid) else {
                return;
            };
            let height = seated.height;
            if actions.rows.iter().any(|row| matches!(row, Row::Guard(_))) {
                self.council.begin(uid, height);
            }
            if !actions.rows.is_empty()
                && let Err(error) = self.journal.append(&uid, height, &actions.rows)
            {
                // Nothing of the step leaves the node; what is stored is gone on from later.
                let error = error_chain(&error);
                tracing::error!(%error, scope = %uid, "an anchor's rows cannot be stored");
                self.sittings.remove(&uid);
                return;
            }
            // Beacons say it before the vote leaves, and never of one that is not stored: what was said
            // cannot be taken back.
            if actions.rows.iter().any(Row::is_precommit) {
                self.council.precommit(uid, height);
            }
            for action in actions.then {
                match self.act(uid, action) {
                    Some(more) => queue.push_back(more),
                    None if self.sittings.contains_key(&uid) => {}
                    None => return,
                }
            }
        }
    }

    /// Does one thing; gives what follows from it.
    fn act(&mut self, uid: ScopeUid, action: Action) -> Option<Actions> {
        match action {
            Action::Make(anchor, round) => {
                raise(&self.council.counts.drafted);
                self.make(uid, anchor, round)
            }
            Action::Judge(tender) => self.judge(uid, tender),
            Action::Publish(message) => {
                let message = Box::new(message);
                self.tell(Request::Order {
                    scope: uid,
                    message,
                });
                None
            }
            Action::Decided(tender, certificate) => {
                raise(&self.council.counts.decided);
                self.conclude(uid, &tender, certificate);
                None
            }
            Action::Evidence(evidence) => {
                raise(&self.council.counts.evidence);
                tracing::error!(scope = %uid, "an anchor contradicted itself; the evidence is kept");
                if let Err(error) = self.journal.keep_evidence(&evidence) {
                    let error = error_chain(&error);
                    tracing::error!(%error, "evidence cannot be stored");
                }
                None
            }
            Action::SitsOut(anchor, why) => {
                let anchor = anchor.short();
                tracing::warn!(scope = %uid, anchor, %why, "an anchor sits a height out");
                if why == Broken::Outdated {
                    self.outdated(uid);
                }
                None
            }
        }
    }

    pub(super) fn make(&mut self, uid: ScopeUid, anchor: AnchorId, round: u32) -> Option<Actions> {
        let done = self.ask(Work::Draft(uid, anchor));
        let now = self.steady.now();
        match done {
            Ok(Done::Drafted(Some(tender))) => {
                let seated = self.sittings.get_mut(&uid)?;
                let proposed = seated.sitting.propose((anchor, round), *tender, now);
                proposed
                    .inspect_err(|error| tracing::warn!(%error, "a block was not taken"))
                    .ok()
            }
            // It is asked for again when something comes. If nothing does, others may have more: the
            // round passes.
            Ok(_) => None,
            Err(error) => {
                tracing::error!(%error, scope = %uid, "a block cannot be drafted");
                None
            }
        }
    }

    fn judge(&mut self, uid: ScopeUid, tender: Tender) -> Option<Actions> {
        let now = self.steady.now();
        if is_early(tender.block(), self.clock.now()) {
            self.sittings.get_mut(&uid)?.put_off(tender, now);
            return None;
        }
        let block = tender.digest();
        match self.ask(Work::Judge(Box::new(tender.clone()))) {
            Ok(Done::Judged(valid)) => {
                if !valid {
                    tracing::warn!(scope = %uid, %block, "a block that was offered is not fit");
                }
                let now = self.steady.now();
                Some(
                    self.sittings
                        .get_mut(&uid)?
                        .sitting
                        .judged(&block, valid, now),
                )
            }
            Ok(_) => None,
            Err(error) => {
                tracing::error!(%error, "a block cannot be judged");
                self.sittings.get_mut(&uid)?.put_off(tender, now);
                None
            }
        }
    }

    fn conclude(&mut self, uid: ScopeUid, tender: &Tender, certificate: Certificate) {
        let link = Link {
            block: tender.block().clone(),
            body: tender.body().clone(),
            certificate: certificate.clone(),
        };
        let height = link.block.height;
        let follow = Follow {
            scope: uid,
            founding: None,
            byte_count: encoded_length(&link),
            links: vec![link],
            mirror: None,
        };
        match self.ask(Work::Follow(Box::new(follow))) {
            Ok(Done::Followed(followed)) if followed.unfit.is_none() => {}
            Ok(Done::Followed(followed)) => {
                let why = followed.unfit.unwrap_or_default();
                tracing::error!(scope = %uid, height, why, "a decided block was not added");
                self.dispute(Certified {
                    block: tender.block().clone(),
                    certificate,
                });
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, scope = %uid, height, "a decided block cannot be added");
                self.sittings.remove(&uid);
                return;
            }
        }
        let state = self.number(&uid).map(|no| self.store.latest().scope(no));
        if state
            .and_then(read)
            .flatten()
            .is_some_and(|state| state.height >= height)
        {
            self.close(&uid, height);
        } else {
            // What was signed stays in force; the height is opened anew.
            self.sittings.remove(&uid);
        }
        self.council.decided.notify_waiters();
        if let Some(state) = self.joint_state(&uid) {
            self.convene(&state);
        }
    }

    /// Freezes the scope of a decided block if another one is held in its place.
    fn dispute(&self, decided: Certified) {
        let network = self.council.network();
        let from = network.map_or(PublicKey::NOBODY, |network| network.ourselves().id);
        if let Err(error) = self.ask(Work::Freeze(Box::new(decided), from)) {
            tracing::error!(%error, "a fork cannot be kept");
        }
    }

    pub(super) fn ask(&self, work: Work) -> Result<Done, ChangeError> {
        self.governor.queue(work)?.wait()
    }
}
