//! `Keeper`: the thread that judges leases, writes them down and lets them end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot};

use crate::base::keys::PublicKey;
use crate::base::signed::Verified;
use crate::base::time::Timestamp;
use crate::governance::block::Fate;
use crate::governance::lease::{Lease, LeaseRefusal};
use crate::governance::op::Op;
use crate::index::entry::Entry;
use crate::index::held_lease::{LeaseChange, LeaseKey};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::{IndexView, Link};
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::resolution::instances::{Health, Standing};
use crate::service::ports::{Clock, LeaseStore, Store};
use crate::service::resolver::error_chain;

use super::book::{Book, Coming, Draft};
use super::early::Early;
use super::journal::Journal;
use super::{
    Answer, BATCH_MAX, Finding, Heard, Job, LeaseError, LeaseRules, Leases, QUEUE_MAX, Table, Taken,
};

/// Leases and their keeper, or why they cannot be read.
type Opened<S, L, C> = Result<(Leases, Keeper<S, L, C>), <L as LeaseStore>::Error>;

impl Leases {
    /// Leases over an index and a store of their own, and the keeper that serves them. What was
    /// kept is in force when this returns.
    pub fn open<S: Store, L: LeaseStore, C: Clock>(
        index: Arc<S>,
        store: L,
        clock: C,
        rules: LeaseRules,
    ) -> Opened<S, L, C> {
        let kept = store.load()?;
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let table = Arc::new(Table::default());
        let looking = Arc::new(AtomicBool::new(false));
        let failure = Arc::new(ArcSwapOption::empty());
        let now = clock.now();
        let journal = Arc::new(Journal::new(now.as_millis()));
        for kept in kept.iter().filter(|kept| !kept.lapsed) {
            journal.put(kept.held.lease.clone(), None);
        }
        let mut keeper = Keeper {
            book: Book::open(kept, now),
            journal: Arc::clone(&journal),
            early: Early::default(),
            seen_commits: 0,
            unsaved: BTreeMap::new(),
            failure: Arc::clone(&failure),
            table: Arc::clone(&table),
            looking: Arc::clone(&looking),
            jobs,
            index,
            store,
            clock,
            rules,
        };
        keeper.look_at_all();
        let leases = Self {
            queue,
            table,
            journal,
            looking,
            failure,
        };
        Ok((leases, keeper))
    }
}

/// Keeps the books: a loop for a thread of its own.
#[derive(Debug)]
pub struct Keeper<S, L, C> {
    book: Book,
    journal: Arc<Journal>,
    early: Early,
    /// Blocks that were looked at.
    seen_commits: u64,
    /// What is in force and not yet written down: renewals, and ends by themselves.
    unsaved: BTreeMap<LeaseKey, LeaseChange>,
    /// Why the last write failed, if it did; said once.
    failure: Arc<ArcSwapOption<String>>,
    table: Arc<Table>,
    looking: Arc<AtomicBool>,
    jobs: mpsc::Receiver<Job>,
    index: Arc<S>,
    store: L,
    clock: C,
    rules: LeaseRules,
}

/// Where an entry is.
struct Found {
    state: Arc<ScopeState>,
    standing: Standing,
    /// Whether the entry's records leave no room for instances.
    is_alias: bool,
}

/// Scopes whose rights may have moved, and scopes of which there are new blocks.
type Touched = (BTreeSet<ScopeUid>, BTreeSet<ScopeUid>);

/// What was read of the index for one batch.
type Scopes = BTreeMap<ScopeNo, Option<Arc<ScopeState>>>;

impl<S: Store, L: LeaseStore, C: Clock> Keeper<S, L, C> {
    /// Serves until nobody can announce any more; then everything is written down.
    pub fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Ok(job) = self.jobs.try_recv()
            {
                batch.push(job);
            }
            self.work(batch);
        }
        // What ended since the last tick ended here, not while the node was down.
        self.work(vec![Job::Tick]);
    }

    fn work(&mut self, batch: Vec<Job>) {
        let now = self.clock.now();
        let mut announced = Vec::new();
        for job in batch {
            match job {
                Job::Announce(lease, reply) => announced.push((lease, reply)),
                Job::Hear(peer, heard, reply) => {
                    self.hear(peer, heard, now);
                    // Who stopped waiting was heard all the same.
                    let _ = reply.send(());
                }
                Job::Health(found) => self.note_health(&found),
                Job::Peers(reached) => {
                    let mut draft = Draft::default();
                    self.book.forget_words(&mut draft, &reached);
                    self.put_in_force(draft);
                }
                Job::Look => self.look(now),
                Job::Tick => {
                    let mut draft = Draft::default();
                    self.book.tick(&mut draft, now);
                    self.put_in_force(draft);
                    self.save();
                    self.early.tick(now);
                }
                Job::Rules(rules) => self.rules = rules,
            }
        }
        if !announced.is_empty() {
            self.announce(announced, now);
        }
    }

    /// Notes what this node's own checks find.
    fn note_health(&mut self, found: &[Finding]) {
        let mut draft = Draft::default();
        for finding in found {
            if self.book.note_health(&mut draft, finding) {
                let key = (finding.service, finding.instance.clone());
                // What is no longer checked here is said no more.
                let is_checked = finding.health != Health::AsBefore;
                let works = is_checked.then(|| finding.health.is_good());
                self.journal.note_works(&key, works);
            }
        }
        self.put_in_force(draft);
    }

    /// Takes leases of another node: they are in force once they are written down.
    fn hear(&mut self, peer: PublicKey, heard: Vec<Heard>, now: Timestamp) {
        let snapshot = self.index.latest();
        let mut scopes = Scopes::new();
        let mut draft = Draft::default();
        let (mut puts, mut must_last) = (Vec::new(), false);
        for heard in heard {
            let Heard { lease, works } = &heard;
            let coming = Coming::by_peer(now);
            match self.take(&snapshot, &mut scopes, (&mut draft, lease), coming) {
                Ok(Taken {
                    renewed, is_new, ..
                }) => {
                    must_last |= !renewed;
                    if is_new {
                        puts.push(lease.signed().clone());
                    }
                }
                Err(error) if may_come_later(&error) => {
                    self.early.keep(peer, heard);
                    continue;
                }
                // What is older than what is held here is no news.
                Err(error) => {
                    tracing::debug!(%error, peer = peer.short(), "a peer's lease is not taken");
                    continue;
                }
            }
            if !self.rules.may_check(lease.object()) {
                self.book
                    .note_word(&mut draft, lease.object(), (peer, *works));
            }
        }
        if must_last {
            // If it fails, they are in force for as long as the node runs, and the failure is told.
            if self.write(&draft.changes).is_ok() {
                draft.changes.clear();
            }
        }
        for lease in puts {
            self.journal.put(lease, Some(peer));
        }
        self.put_in_force(draft);
    }

    /// Takes leases: those that say something new are in force once they are written down.
    fn announce(
        &mut self,
        announced: Vec<(Box<Verified<Lease>>, oneshot::Sender<Answer>)>,
        now: Timestamp,
    ) {
        let snapshot = self.index.latest();
        let mut scopes = Scopes::new();
        let mut draft = Draft::default();
        let mut answers = Vec::with_capacity(announced.len());
        let mut puts = Vec::new();
        for (lease, reply) in announced {
            let coming = Coming::by_announcer(now);
            let taken = self.take(&snapshot, &mut scopes, (&mut draft, &lease), coming);
            if taken.as_ref().is_ok_and(|taken| taken.is_new) {
                puts.push(lease.signed().clone());
            }
            answers.push((reply, taken));
        }
        let is_new = |answer: &Answer| matches!(answer, Ok(Taken { renewed: false, .. }));
        let must_last = answers.iter().any(|(_, answer)| is_new(answer));
        let failed = if must_last {
            self.write(&draft.changes).err()
        } else {
            None
        };
        match failed {
            None => {
                if must_last {
                    draft.changes.clear();
                }
                for lease in puts {
                    self.journal.put(lease, None);
                }
                self.put_in_force(draft);
            }
            Some(error) => {
                for (_, answer) in &mut answers {
                    if answer.is_ok() {
                        *answer = Err(LeaseError::Store(error.clone()));
                    }
                }
            }
        }
        for (reply, answer) in answers {
            // An announcer that went away has its lease all the same.
            drop(reply.send(answer));
        }
    }

    fn take(
        &self,
        snapshot: &S::Snapshot,
        scopes: &mut Scopes,
        (draft, verified): (&mut Draft, &Verified<Lease>),
        coming: Coming,
    ) -> Answer {
        let lease = verified.object();
        lease.judge(coming.at, self.rules.local)?;
        let found = find::<S>(snapshot, scopes, &lease.service);
        let found = found.map_err(|error| LeaseError::Store(error_chain(&error)))?;
        let found = found.ok_or(LeaseRefusal::NoService(lease.service))?;
        if found.standing.scope != lease.scope {
            return Err(LeaseRefusal::Scope {
                said: lease.scope.short(),
                is: found.standing.scope.short(),
            }
            .into());
        }
        let descriptor = &found.state.descriptor;
        if !descriptor.may_announce(&lease.key, &found.standing.path) {
            return Err(LeaseRefusal::NotGranted(lease.key.short()).into());
        }
        if found.is_alias {
            return Err(LeaseRefusal::Alias.into());
        }
        // What another node checks need not be checked here.
        if !coming.is_by_peer && !self.rules.may_check(lease) {
            return Err(LeaseRefusal::Check(lease.address).into());
        }
        Ok(self.book.take(draft, verified, &found.standing, coming)?)
    }

    /// Puts a draft in force; what it changes is written down with the next new lease, or soon.
    fn put_in_force(&mut self, draft: Draft) {
        let mut draft = draft;
        for change in std::mem::take(&mut draft.changes) {
            let key = match &change {
                LeaseChange::Put(key, _) | LeaseChange::Lapsed(key) => key.clone(),
                LeaseChange::Remove(key) => {
                    self.journal.remove(key);
                    key.clone()
                }
            };
            match (&change, self.unsaved.get_mut(&key)) {
                // A renewal that was never written ended: both are to be known.
                (LeaseChange::Lapsed(_), Some(LeaseChange::Put(..))) => {
                    self.save();
                    self.unsaved.insert(key, change);
                }
                _ => {
                    self.unsaved.insert(key, change);
                }
            }
        }
        self.table.publish(self.book.commit(draft));
    }

    /// Writes down what is in force and not yet written.
    fn save(&mut self) {
        if !self.unsaved.is_empty() {
            drop(self.write(&[]));
        }
    }

    /// Writes what waits and then `changes`, durably.
    fn write(&mut self, changes: &[LeaseChange]) -> Result<(), String> {
        let waiting = self.unsaved.values().cloned();
        let all: Vec<LeaseChange> = waiting.chain(changes.iter().cloned()).collect();
        match self.store.write(&all) {
            Ok(()) => {
                self.unsaved.clear();
                self.failure.store(None);
                Ok(())
            }
            Err(error) => {
                let error = error_chain(&error);
                if self.failure.swap(Some(Arc::new(error.clone()))).is_none() {
                    tracing::error!(%error, "leases could not be written down");
                }
                Err(error)
            }
        }
    }

    /// Looks at the rights of every announcer.
    fn look_at_all(&mut self) {
        let snapshot = self.index.latest();
        self.seen_commits = snapshot.commit_count().unwrap_or(0);
        self.judge_rights(&snapshot, self.book.uids());
    }

    /// Looks at rights where blocks came since that could have changed them.
    fn look(&mut self, now: Timestamp) {
        self.looking.store(false, Ordering::Release);
        let snapshot = self.index.latest();
        let touched = self.touched(&snapshot);
        match touched {
            Ok((touched, gone_on)) => {
                self.judge_rights(&snapshot, self.book.in_scopes(&touched));
                for (peer, heard) in self.early.take(&gone_on) {
                    self.hear(peer, heard, now);
                }
            }
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(%error, "the rights of announcers could not be looked at");
            }
        }
    }

    /// The scopes with services in which a block changed grants, anchors or the place of entries, and
    /// all that went on.
    fn touched(&mut self, snapshot: &S::Snapshot) -> Result<Touched, S::Error> {
        let with_services = self.book.scopes();
        let (mut touched, mut gone_on) = (BTreeSet::new(), BTreeSet::new());
        let mut scopes = Scopes::new();
        let count = snapshot.commit_count()?;
        for sequence in self.seen_commits..count {
            let Some(at) = snapshot.committed(sequence)? else {
                continue;
            };
            let Some(state) = scope_of::<S>(snapshot, &mut scopes, at.scope)? else {
                continue;
            };
            gone_on.insert(state.uid);
            if !with_services.contains(&state.uid) || touched.contains(&state.uid) {
                continue;
            }
            let link = snapshot.link(at.scope, at.height)?;
            if link.is_some_and(|link| moves_rights(&link)) {
                touched.insert(state.uid);
            }
        }
        self.seen_commits = count;
        Ok((touched, gone_on))
    }

    fn judge_rights(&mut self, snapshot: &S::Snapshot, uids: Vec<Uid>) {
        let mut scopes = Scopes::new();
        let mut draft = Draft::default();
        for uid in uids {
            match find::<S>(snapshot, &mut scopes, &uid) {
                Ok(Some(Found {
                    state, standing, ..
                })) => {
                    let descriptor = &state.descriptor;
                    let may = |key: &_| descriptor.may_announce(key, &standing.path);
                    self.book.stand(&mut draft, uid, Some(&standing), may);
                }
                Ok(None) => self.book.stand(&mut draft, uid, None, |_| false),
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::error!(%error, %uid, "a service could not be looked at");
                }
            }
        }
        self.put_in_force(draft);
    }
}

/// Whether a block that is still to come could let a lease be taken.
const fn may_come_later(error: &LeaseError) -> bool {
    use LeaseRefusal::{Alias, NoService, NotGranted, Scope};
    matches!(
        error,
        LeaseError::Refused(NoService(_) | Scope { .. } | NotGranted(_) | Alias)
            | LeaseError::Store(_)
    )
}

/// Whether a block could change who may announce what.
fn moves_rights(link: &Link) -> bool {
    if link.block.descriptor != link.block.next_descriptor {
        return true;
    }
    let passed = link.body.decided.iter();
    let mut ops = passed
        .filter(|decided| decided.fate == Fate::Passed)
        .flat_map(|decided| &decided.proposal.unverified().ops);
    ops.any(|op| !matches!(op, Op::Register { .. } | Op::Update { .. }))
}

fn scope_of<S: Store>(
    snapshot: &S::Snapshot,
    scopes: &mut Scopes,
    no: ScopeNo,
) -> Result<Option<Arc<ScopeState>>, S::Error> {
    if let Some(state) = scopes.get(&no) {
        return Ok(state.clone());
    }
    let state = snapshot.scope(no)?.map(Arc::new);
    scopes.insert(no, state.clone());
    Ok(state)
}

/// Where the entry of a service is bound, if it is.
fn find<S: Store>(
    snapshot: &S::Snapshot,
    scopes: &mut Scopes,
    uid: &Uid,
) -> Result<Option<Found>, S::Error> {
    let Some(location) = snapshot.locate(uid)? else {
        return Ok(None);
    };
    let slot = snapshot.slot(location.scope, &location.path)?;
    let Some(Entry::Bound(head)) = slot.and_then(|slot| slot.entry) else {
        return Ok(None);
    };
    let state = scope_of::<S>(snapshot, scopes, location.scope)?;
    let Some(state) = state.filter(|_| head.uid == *uid) else {
        return Ok(None);
    };
    let has = |kind| head.set(kind).is_some();
    Ok(Some(Found {
        standing: Standing {
            scope: state.uid,
            epoch: state.descriptor.epoch,
            path: location.path,
        },
        is_alias: has(RecordType::CNAME) || has(RecordType::NS) || has(RecordType::DNAME),
        state,
    }))
}
