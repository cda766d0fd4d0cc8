//! `Governor`: the one writer. What is asked of it at the same time is committed together.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::governance::block::Fate;
use crate::governance::descriptor::Descriptor;
use crate::governance::op::Op;
use crate::index::admission::Candidate;
use crate::index::devices::DeviceStore;
use crate::index::lineage::{Agenda, LinkError, Sealed, found, genesis_link, seal};
use crate::index::pending::{Pending, PendingStore};
use crate::index::refusal::Refusal;
use crate::index::replica::ReplicaStore;
use crate::index::state::ScopeNo;
use crate::index::view::{IndexTxn, IndexView, Link};
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;

use self::follow::{freeze, held_still, set_mirror};
use self::queue::{Answered, Jobs};
use self::report::{convene, report};
use self::waiting::{can_wait, wait};
use super::audit::Audit;
use super::council::Council;
use super::keyring::Keyring;
use super::leases::LookAgain;
use super::ports::{Clock, Store};
use super::resolver::error_chain;

mod devices;
mod follow;
mod joint;
mod moving;
mod queue;
mod recovering;
mod report;
mod restore;
mod waiting;

pub use self::devices::{DeviceDone, DeviceWork, find};
pub use self::follow::{Follow, Followed};
use self::joint::give_up_hopeless;
pub use self::joint::{Waiting, look_at_waiting};
pub use self::queue::{
    ChangeError, Committed, Done, Governor, Health, Move, Queued, Tending, Work,
};
pub use self::restore::{Placement, Takeover};
pub use self::waiting::any_due;

impl Governor {
    /// A governor and the writer that serves it.
    pub fn new<S: Store, C: Clock>(
        store: Arc<S>,
        keyring: Arc<Keyring>,
        clock: C,
    ) -> (Self, Writer<S, C>) {
        let (governor, jobs, health) = queue::queue();
        (
            governor,
            Writer {
                health,
                store,
                keyring,
                clock,
                jobs,
                audit: Audit::off(),
                look_again: None,
                committed: None,
                council: None,
                confirmed: RefCell::default(),
            },
        )
    }
}

/// The writer: a loop for a thread of its own.
#[derive(Debug)]
pub struct Writer<S, C> {
    health: Health,
    store: Arc<S>,
    keyring: Arc<Keyring>,
    clock: C,
    jobs: Jobs,
    audit: Audit,
    look_again: Option<LookAgain>,
    committed: Option<Arc<Notify>>,
    council: Option<Council>,
    /// Scopes that a parent may have recovered.
    confirmed: RefCell<BTreeSet<ScopeUid>>,
}

impl<S: Store, C: Clock> Writer<S, C> {
    /// The same writer, with a log to report to.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// The same writer, which tells the keeper of leases when rights may have changed.
    #[must_use]
    pub fn with_leases(self, look_again: LookAgain) -> Self {
        let look_again = Some(look_again);
        Self { look_again, ..self }
    }

    /// The same writer, which tells somebody that there may be new blocks.
    #[must_use]
    pub fn with_notice(self, committed: Arc<Notify>) -> Self {
        let committed = Some(committed);
        Self { committed, ..self }
    }

    /// The same writer, which lays before the anchors what it cannot seal by itself.
    #[must_use]
    pub fn with_council(self, council: Council) -> Self {
        let council = Some(council);
        Self { council, ..self }
    }

    /// Serves changes until every governor is gone; what was queued before is committed first.
    pub fn run(mut self) {
        self.look_for_confirmed();
        self.recover();
        while let Some((works, replies)) = self.jobs.next_batch() {
            let count = works.len();
            let run = std::panic::AssertUnwindSafe(|| self.execute(works));
            let answers = std::panic::catch_unwind(run).unwrap_or_else(|_| {
                // The store's engine panics on some damaged files; nothing was committed.
                let failed = ChangeError::Store("it panicked; run `kedge verify`".to_owned());
                vec![Err(failed); count]
            });
            self.note(&answers);
            self.tell(&answers);
            for (answered, (reply, room)) in answers.into_iter().zip(replies) {
                drop(room);
                // A caller that went away has its change committed all the same.
                drop(reply.send(answered));
            }
            self.recover();
        }
    }

    /// Tells everybody who waits for what may be new.
    fn tell(&self, answers: &[Answered]) {
        if let Some(look_again) = &self.look_again {
            look_again.look();
        }
        if let Some(committed) = &self.committed {
            committed.notify_one();
        }
        if let Some(council) = &self.council {
            convene(council, answers);
        }
        report(&self.audit, self.store.as_ref(), answers);
    }

    /// Remembers whether the store works.
    fn note(&self, answers: &[Answered]) {
        for answered in answers {
            match answered {
                Ok(_) => self.health.store(None),
                Err(ChangeError::Store(error)) => {
                    tracing::error!(%error, "a change could not be committed");
                    self.health.store(Some(Arc::new(error.clone())));
                }
                Err(ChangeError::Signer(error)) => {
                    tracing::error!(%error, "a change could not be signed");
                }
                Err(_) => {}
            }
        }
    }

    /// Commits changes in order: neighbouring proposals in one transaction, neighbours that peers
    /// laid in another, everything else each in its own, so that a refusal half-way leaves no trace.
    fn execute(&self, works: Vec<Work>) -> Vec<Answered> {
        let mut answered = Vec::with_capacity(works.len());
        let mut run: Vec<Candidate> = Vec::new();
        let mut heard: Vec<(PublicKey, Pending)> = Vec::new();
        for work in works {
            let work = match work {
                Work::Decide(candidate) => {
                    answered.extend(self.hear_all(&std::mem::take(&mut heard)));
                    run.push(*candidate);
                    continue;
                }
                Work::Hear(peer, pending) => {
                    answered.extend(self.decide(std::mem::take(&mut run)));
                    heard.push((peer, *pending));
                    continue;
                }
                other => other,
            };
            answered.extend(self.decide(std::mem::take(&mut run)));
            answered.extend(self.hear_all(&std::mem::take(&mut heard)));
            answered.push(match work {
                Work::TakeOver(takeover) => self.take_over(*takeover),
                Work::Follow(follow) => self.follow(&follow),
                Work::Draft(scope, anchor) => self.draft_joint(scope, anchor),
                Work::Judge(tender) => self.judge_joint(&tender),
                Work::DraftRecovery(scope, next, due) => self.draft_recovery(scope, &next, due),
                other => self.alone(other),
            });
        }
        answered.extend(self.decide(run));
        answered.extend(self.hear_all(&heard));
        answered
    }

    fn decide(&self, candidates: Vec<Candidate>) -> Vec<Answered> {
        if candidates.is_empty() {
            return Vec::new();
        }
        let count = candidates.len();
        let now = self.clock.now();
        let result = self.store.write(|txn| {
            let mut answered: Vec<Answered> = Vec::with_capacity(count);
            let mut by_scope: BTreeMap<ScopeNo, Vec<(usize, Candidate)>> = BTreeMap::new();
            for (index, candidate) in candidates.into_iter().enumerate() {
                let uid = candidate.proposal.object().scope;
                answered.push(Err(Refusal::UnknownScope(uid).into()));
                if let Some(no) = txn.scope_no(&uid).map_err(LinkError::Store)? {
                    by_scope.entry(no).or_default().push((index, candidate));
                }
            }
            for (no, wanted) in by_scope {
                let (indices, wanted): (Vec<usize>, Vec<Candidate>) = wanted.into_iter().unzip();
                let decided = self.seal_all(txn, no, &wanted, now)?;
                for (index, outcome) in indices.into_iter().zip(decided) {
                    if let Some(place) = answered.get_mut(index) {
                        *place = outcome;
                    }
                }
            }
            Ok(answered)
        });
        match result {
            Ok(answered) => answered,
            Err(error) => vec![Err(failure(&error)); count],
        }
    }

    /// Seals candidates of one scope into as many blocks as they need. What lacks nothing but
    /// approvals, seats or time is kept and waits.
    fn seal_all<T: Writing<S>>(
        &self,
        txn: &mut T,
        no: ScopeNo,
        candidates: &[Candidate],
        now: Timestamp,
    ) -> Result<Vec<Answered>, LinkError<S::Error>> {
        let mut answered = Vec::with_capacity(candidates.len());
        let mut rest = candidates;
        while !rest.is_empty() {
            let Some(state) = txn.scope(no).map_err(LinkError::Store)? else {
                break;
            };
            let is_joint = self.is_joint(&state);
            if let Some(refusal) = held_still::<S, T>(txn, &state, is_joint)? {
                answered.resize(candidates.len(), Err(refusal.into()));
                break;
            }
            if is_joint {
                answered.extend(self.lay_before(txn, &state, rest, now)?);
                break;
            }
            let keys = self.keyring.seats(&state.descriptor);
            let agenda = Agenda {
                candidates: rest,
                late: &[],
            };
            let Sealed { link, outcomes, .. } = seal(txn, no, agenda, &keys, now)?;
            if let Some(link) = &link {
                self.follow_up(txn, no, link, now)?;
            }
            let at = link.as_ref().map(|link| committed(no, link));
            let mut fates = link.iter().flat_map(|link| &link.body.decided);
            // At least one candidate is looked at each time, so this ends.
            let looked_at = outcomes.len().max(1);
            for (outcome, candidate) in outcomes.into_iter().zip(rest) {
                answered.push(match outcome {
                    Ok(()) => match (at, fates.next()) {
                        (Some(at), Some(decided)) => Ok(Done::Decided {
                            at,
                            fate: decided.fate.clone(),
                        }),
                        _ => Err(ChangeError::Stopping),
                    },
                    Err(refusal) if can_wait(&refusal) => {
                        wait::<S, T>(txn, no, candidate, refusal, now)?
                    }
                    Err(refusal) => Err(refusal.into()),
                });
            }
            rest = rest.get(looked_at..).unwrap_or_default();
        }
        Ok(answered)
    }

    /// What follows from a new block on this node: proposals that waited do so no more, and
    /// scopes are founded that were delegated to keys held here.
    fn follow_up<T: Writing<S>>(
        &self,
        txn: &mut T,
        no: ScopeNo,
        link: &Link,
        now: Timestamp,
    ) -> Result<(), LinkError<S::Error>> {
        for decided in &link.body.decided {
            let digest = decided.proposal.digest();
            txn.put_pending(no, &digest, None)
                .map_err(LinkError::Store)?;
            if decided.fate != Fate::Passed {
                continue;
            }
            for op in &decided.proposal.unverified().ops {
                if let Op::Confirm { label } = op {
                    self.note_confirmed(txn, no, label)
                        .map_err(LinkError::Store)?;
                }
                let Op::Delegate { label, child, .. } = op else {
                    continue;
                };
                let keys = self.keyring.seats(child);
                let state = txn.scope(no).map_err(LinkError::Store)?;
                let link = genesis_link(child, &keys, now)?
                    .filter(|link| link.certificate.verify(&link.block, child).is_ok());
                // Without a quorum of its keys the scope is held elsewhere.
                let held = txn.scope_no(&child.scope_uid()).map_err(LinkError::Store)?;
                if let (Some(link), Some(state), None) = (link, state, held) {
                    found(txn, child, Some(state.child_edge(label)), &link)?;
                }
            }
        }
        Ok(())
    }

    fn alone(&self, work: Work) -> Answered {
        let now = self.clock.now();
        let result = self.store.write(|txn| match work {
            Work::FoundApex { name, descriptor } => {
                let present = txn.apexes().map_err(LinkError::Store)?;
                if let Some(reason) = no_apex(&name, &present) {
                    return Err(refused(0, Refusal::Apex { name, reason }));
                }
                let link = self.genesis(&descriptor, now)?;
                let no = found(txn, &descriptor, None, &link)?;
                txn.put_apex(&name, &descriptor.scope_uid())
                    .map_err(LinkError::Store)?;
                Ok(Ok(passed(committed(no, &link))))
            }
            Work::Move(plan) => self.relocate(txn, &plan, now).map(Ok),
            Work::Tend(tending) => self.tend(txn, *tending, now),
            Work::Ripen => self.ripen(txn, now).map(Ok),
            Work::Device(work) => self.tend_device(txn, *work, now),
            Work::Decide(candidate) => {
                let uid = candidate.proposal.object().scope;
                let no = number_of(txn, &uid)?;
                self.one(txn, no, *candidate, now).map(Ok)
            }
            // Taken in where it stands among other work, in a transaction of its own.
            Work::TakeOver(_)
            | Work::Follow(_)
            | Work::Draft(..)
            | Work::Judge(_)
            | Work::Hear(..)
            | Work::DraftRecovery(..) => Err(refused(0, Refusal::NoChange)),
            Work::GiveUp(scope) => give_up_hopeless::<S, _>(txn, scope, now).map(Ok),
            Work::Mirror(scope, mirror) => {
                set_mirror::<S, _>(txn, scope, mirror.as_deref()).map(Ok)
            }
            Work::Freeze(other, from) => freeze::<S, _>(txn, *other, from, now).map(Ok),
        });
        result.unwrap_or_else(|error| Err(failure(&error)))
    }

    fn genesis(
        &self,
        descriptor: &Descriptor,
        now: Timestamp,
    ) -> Result<Link, LinkError<S::Error>> {
        let keys = self.keyring.seats(descriptor);
        genesis_link(descriptor, &keys, now)?.ok_or_else(|| {
            refused(
                0,
                Refusal::Quorum {
                    weight: 0,
                    needed: descriptor.quorum_weight(),
                },
            )
        })
    }

    /// Seals one proposal that must be in force at once; anything else ends the transaction.
    fn one<T: Writing<S>>(
        &self,
        txn: &mut T,
        no: ScopeNo,
        candidate: Candidate,
        now: Timestamp,
    ) -> Result<Done, LinkError<S::Error>> {
        match self.seal_all(txn, no, &[candidate], now)?.pop() {
            Some(Ok(Done::Waits { lacks, .. })) => Err(refused(0, lacks)),
            Some(Ok(done)) => Ok(done),
            Some(Err(ChangeError::Refused(refusal))) => Err(refused(0, refusal)),
            _ => Err(refused(0, Refusal::NoChange)),
        }
    }
}

/// Why a name cannot be an apex beside those that are there: each name has one government.
pub(in crate::service) fn no_apex(
    name: &Name,
    present: &[(Name, ScopeUid)],
) -> Option<&'static str> {
    if name.is_root() {
        return Some("it is the root of all names");
    }
    let overlaps = |other: &Name| name.is_within(other) || other.is_within(name);
    if present.iter().any(|(other, _)| other == name) {
        Some("it is one already")
    } else if present.iter().any(|(other, _)| overlaps(other)) {
        Some("it lies above or below another apex; create a scope below that one instead")
    } else {
        None
    }
}

/// What a transaction of the store offers to the writer.
trait Writing<S: Store>:
    IndexTxn
    + IndexView<Error = S::Error>
    + PendingStore<Failure = S::Error>
    + DeviceStore<Failure = S::Error>
    + ReplicaStore<Failure = S::Error>
{
}

impl<S: Store, T> Writing<S> for T where
    T: IndexTxn
        + IndexView<Error = S::Error>
        + PendingStore<Failure = S::Error>
        + DeviceStore<Failure = S::Error>
        + ReplicaStore<Failure = S::Error>
{
}

/// The number of a scope that must be held.
fn number_of<T: IndexView>(txn: &T, uid: &ScopeUid) -> Result<ScopeNo, LinkError<T::Error>> {
    let no = txn.scope_no(uid).map_err(LinkError::Store)?;
    no.ok_or(LinkError::UnknownScope(*uid))
}

fn passed(at: Committed) -> Done {
    let fate = Fate::Passed;
    Done::Decided { at, fate }
}

fn committed(scope: ScopeNo, link: &Link) -> Committed {
    let block = &link.block;
    Committed {
        scope,
        height: block.height,
        block: block.digest(),
        time: block.time,
    }
}

fn refused<E: std::error::Error>(height: u64, refusal: Refusal) -> LinkError<E> {
    LinkError::Refused { height, refusal }
}

fn failure<E: std::error::Error + 'static>(error: &LinkError<E>) -> ChangeError {
    match error {
        LinkError::Refused { refusal, .. } => ChangeError::Refused(refusal.clone()),
        LinkError::UnknownScope(uid) => ChangeError::Refused(Refusal::UnknownScope(*uid)),
        LinkError::Signer(error) => ChangeError::Signer(error.clone()),
        other => ChangeError::Store(error_chain(other)),
    }
}
