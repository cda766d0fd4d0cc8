//! `Moves`: entries on their way between scopes of this node and of others.
//!
//! A move is one decision of each scope: the scope that takes the entry keeps a path for it, the scope
//! that it leaves lets it go, which is the commit point, and the first one takes it in with the proof of
//! that. What is kept here only says what is to be tried next; where an entry is, the scopes say.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::base::digest::Digest;
use crate::base::limits::NOTE_BYTES_MAX;
use crate::base::lock::locked;
use crate::base::signed::Signed;
use crate::governance::petition::Petition;
use crate::index::entry::{Entry, Slot};
use crate::index::journey::{Journey, Side, Stage};
use crate::index::pending::PendingView;
use crate::index::place::Apex;
use crate::index::proof::Proof;
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

use super::changes::{Changes, PlanError};
use super::council::Council;
use super::governor::Done;
use super::ports::{Clock, IndexFailure, JourneyChange, JourneyStore, Parts, PeerNetwork, Store};

mod arrivals;
mod book;
mod departures;

use book::Book;

/// Entries that leave at the same time; each is asked about every [`WAIT_MAX`].
const DEPARTURES_MAX: usize = 256;
/// What is tried again soon may be decided within a commit; what is not, waits for people.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

type Key = (Side, Digest);

/// Why something cannot be done about a move.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// No such move is known here, or several are.
    #[error("{0}")]
    Unknown(String),
    /// It is too late, or the other end's to do.
    #[error("{0}")]
    NotNow(String),
    /// Too many are under way.
    #[error("{DEPARTURES_MAX} entries are leaving already")]
    TooMany,
    /// It could not be written down.
    #[error("it cannot be written down: {0}")]
    NotKept(String),
    /// The change behind it was refused.
    #[error(transparent)]
    Change(#[from] PlanError),
}

/// Entries on their way.
pub struct Moves<P: Parts> {
    store: Arc<P::Store>,
    changes: Arc<Changes<P>>,
    council: Council,
    clock: P::Clock,
    kept: Arc<dyn JourneyStore>,
    network: OnceLock<Arc<dyn PeerNetwork>>,
    book: Mutex<Book>,
    wake: Notify,
    /// Whoever has it tries a step, or changes what is to be tried.
    turn: tokio::sync::Mutex<()>,
}

impl<P: Parts> std::fmt::Debug for Moves<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Moves")
    }
}

impl<P: Parts> Moves<P> {
    /// Goes on with what was kept.
    pub fn new(
        store: Arc<P::Store>,
        changes: Arc<Changes<P>>,
        (council, clock): (Council, P::Clock),
        kept: Arc<dyn JourneyStore>,
    ) -> Result<Self, String> {
        let book = Book::of(kept.load()?);
        Ok(Self {
            store,
            changes,
            council,
            clock,
            kept,
            network: OnceLock::new(),
            book: Mutex::new(book),
            wake: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        })
    }

    /// Other nodes can be reached from now on.
    pub fn connect(&self, network: Arc<dyn PeerNetwork>) {
        // A node has one network as long as it runs.
        drop(self.network.set(network));
    }

    /// Tries again at once: a peer came, or something was decided.
    pub fn look_again(&self) {
        self.book().hurry();
        self.wake.notify_one();
    }

    /// Works on what is under way until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let next = self.book().next_due();
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
                () = due => {}
            }
            let keys = self.book().take_due(Instant::now());
            for key in keys {
                if stop.is_cancelled() {
                    break;
                }
                let _turn = self.turn.lock().await;
                self.step(&key).await;
            }
            if let Err(error) = self.keep().await {
                tracing::error!(error, "what becomes of moves cannot be written down");
            }
        }
        if let Err(error) = self.keep().await {
            tracing::error!(error, "what became of moves could not be written down");
        }
    }

    async fn step(&self, key: &Key) {
        let Some(journey) = self.book().get(key) else {
            return;
        };
        let next = match journey.side {
            Side::Leaves => self.depart(&journey).await,
            Side::Comes => self.arrive(&journey).await,
        };
        // A peer may have had a word meanwhile, and it is looked at again.
        if self.book().get(key).map(|now| now.stage) != Some(journey.stage) {
            return;
        }
        match next {
            Ok(next) => self.note(next),
            Err(error) => {
                tracing::debug!(error, "a move waits");
                // Why it does not take place stays said.
                let said = if journey.stage.is_over() {
                    journey.said.clone()
                } else {
                    error
                };
                self.note(Journey { said, ..journey });
                self.book().retry(*key);
            }
        }
    }

    /// Puts a journey in the book; what is new about it is said in the log.
    fn note(&self, journey: Journey) {
        let key = journey.key();
        let mut book = self.book();
        let before = book.get(&key);
        let is_new = before.as_ref().is_none_or(|b| b.stage != journey.stage);
        if is_new {
            let wish = journey.petition.unverified();
            tracing::info!(
                petition = key.1.short(),
                entry = %wish.uid,
                from = wish.from.short(),
                to = wish.to.short(),
                stage = journey.stage.word(),
                said = journey.said,
                "a move goes on"
            );
        }
        let changed = self.clock.now();
        let mut said = journey.said;
        said.truncate(said.floor_char_boundary(NOTE_BYTES_MAX));
        book.put(Journey {
            changed: if is_new { changed } else { journey.changed },
            said,
            ..journey
        });
        drop(book);
        if is_new {
            self.wake.notify_one();
        }
    }

    /// Writes down what is new.
    async fn keep(&self) -> Result<(), String> {
        let changes: Vec<JourneyChange> = self.book().take_changed();
        if changes.is_empty() {
            return Ok(());
        }
        let (kept, written) = (Arc::clone(&self.kept), changes.clone());
        let done = tokio::task::spawn_blocking(move || kept.write(&written)).await;
        let done = done.map_err(|error| error.to_string()).flatten();
        if done.is_err() {
            self.book().not_written(&changes);
        }
        done
    }

    /// Begins a move to a scope of another node. Gives what it is called by.
    pub async fn begin(
        &self,
        apexes: &[Apex],
        from: &Name,
        (to, to_path): (ScopeUid, NamePath),
        note: &str,
    ) -> Result<Digest, MoveError> {
        let petition = self.changes.petition(apexes, from, (to, to_path), note)?;
        self.leave(from, petition, Stage::Queued).await
    }

    /// Goes on with a move that this node forgot after the entry had left. Gives what it is called by.
    pub async fn resume(
        &self,
        apexes: &[Apex],
        from: &Name,
        note: &str,
    ) -> Result<Digest, MoveError> {
        let petition = self.changes.petition_after(apexes, from, note)?;
        self.leave(from, petition, Stage::Left).await
    }

    async fn leave(
        &self,
        from: &Name,
        petition: Signed<Petition>,
        stage: Stage,
    ) -> Result<Digest, MoveError> {
        let _turn = self.turn.lock().await;
        let wish = petition.unverified();
        {
            let book = self.book();
            let mut under_way = book.under_way(Side::Leaves);
            if under_way.any(|other| other.petition.unverified().uid == wish.uid) {
                let error = format!("{from} is on its way already; `kedge move list` shows it");
                return Err(MoveError::NotNow(error));
            }
            if book.under_way(Side::Leaves).count() >= DEPARTURES_MAX {
                return Err(MoveError::TooMany);
            }
        }
        let digest = petition.digest();
        self.note(Journey {
            side: Side::Leaves,
            petition,
            stage,
            said: String::new(),
            peer: None,
            proposal: None,
            changed: self.clock.now(),
        });
        self.keep().await.map_err(MoveError::NotKept)?;
        Ok(digest)
    }

    /// Every move that is remembered.
    pub fn list(&self) -> Vec<Journey> {
        self.book().all()
    }

    /// Keeps a path for an entry that waits to be admitted, was refused or taken back: it may be on its
    /// way all the same.
    pub async fn admit(&self, id: &str) -> Result<Journey, MoveError> {
        let _turn = self.turn.lock().await;
        let journey = self.named(Side::Comes, id)?;
        if !matches!(
            journey.stage,
            Stage::Held | Stage::Refused | Stage::Cancelled
        ) {
            return Err(not_now(&journey));
        }
        let is_late = self.clock.now() > journey.petition.unverified().not_after;
        if journey.stage == Stage::Held && is_late {
            return Err(MoveError::NotNow("its time is over".to_owned()));
        }
        self.decide(journey, Stage::Admitted, String::new()).await
    }

    /// Refuses an entry; the path that was kept for it is given back.
    pub async fn refuse(&self, id: &str, reason: &str) -> Result<Journey, MoveError> {
        let _turn = self.turn.lock().await;
        let journey = self.named(Side::Comes, id)?;
        if !matches!(journey.stage, Stage::Held | Stage::Admitted) {
            return Err(not_now(&journey));
        }
        let said = match reason {
            "" => "it was refused".to_owned(),
            reason => reason.to_owned(),
        };
        self.decide(journey, Stage::Refused, said).await
    }

    /// Takes a move back that was begun here, as long as the entry did not leave.
    pub async fn cancel(&self, id: &str) -> Result<Journey, MoveError> {
        let _turn = self.turn.lock().await;
        let journey = self.named(Side::Leaves, id)?;
        if journey.stage.is_over() || journey.stage == Stage::Left || self.is_proposed(&journey) {
            return Err(not_now(&journey));
        }
        let cancelled = self
            .decide(journey, Stage::Cancelled, String::new())
            .await?;
        self.drop_there(&cancelled).await;
        Ok(cancelled)
    }

    async fn decide(
        &self,
        journey: Journey,
        stage: Stage,
        said: String,
    ) -> Result<Journey, MoveError> {
        let decided = Journey {
            stage,
            said,
            ..journey
        };
        self.note(decided.clone());
        self.keep().await.map_err(MoveError::NotKept)?;
        Ok(decided)
    }

    /// The journey whose petition begins like this.
    fn named(&self, side: Side, id: &str) -> Result<Journey, MoveError> {
        let known = self.book().all().into_iter();
        let mut found = known.filter(|j| j.side == side && j.key().1.to_string().starts_with(id));
        match (found.next(), found.next()) {
            (Some(journey), None) => Ok(journey),
            (None, _) => {
                let error = format!("no move {id:?} of that kind is known here");
                Err(MoveError::Unknown(error))
            }
            (Some(_), Some(_)) => {
                let error = format!("several moves begin with {id:?}");
                Err(MoveError::Unknown(error))
            }
        }
    }

    /// Whether a change for this journey waits for votes.
    fn is_proposed(&self, journey: &Journey) -> bool {
        let wish = journey.petition.unverified();
        let scope = match journey.side {
            Side::Leaves => &wish.from,
            Side::Comes => &wish.to,
        };
        let snapshot = self.store.latest();
        let no = snapshot.scope_no(scope).ok().flatten();
        no.zip(journey.proposal).is_some_and(|(no, proposal)| {
            let waits = snapshot.pending(no, &proposal);
            waits.is_ok_and(|waits| waits.is_some())
        })
    }

    /// Makes a change for a journey, unless one waits already. Gives the journey with what it waits
    /// for, and whether it is decided.
    async fn change<F>(&self, journey: &Journey, change: F) -> Result<(Journey, bool), PlanError>
    where
        F: Future<Output = Result<Done, PlanError>>,
    {
        if self.is_proposed(journey) {
            return Ok((journey.clone(), false));
        }
        let (said, proposal) = match change.await? {
            Done::Waits {
                proposal, lacks, ..
            } => {
                let said = format!("proposal {} waits: {lacks}", proposal.short());
                (said, Some(proposal))
            }
            _ => (String::new(), None),
        };
        let next = Journey {
            said,
            proposal,
            ..journey.clone()
        };
        Ok((next, proposal.is_none()))
    }

    fn scope(&self, scope: &ScopeUid) -> Result<Option<ScopeState>, IndexFailure<P>> {
        self.store.latest().scope_of(scope)
    }

    fn entry(&self, no: ScopeNo, path: &NamePath) -> Result<Option<Entry>, IndexFailure<P>> {
        let slot = self.store.latest().slot(no, path)?;
        Ok(slot.and_then(|slot| slot.entry))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.book)
    }
}

fn not_now(journey: &Journey) -> MoveError {
    let said = match journey.said.as_str() {
        "" => String::new(),
        said => format!(" ({said})"),
    };
    MoveError::NotNow(format!("it is {}{said}", journey.stage.word()))
}

/// What a proof shows at a path of the scope that it begins with.
fn shown(proof: &Proof, scope: ScopeUid, path: &NamePath) -> Option<Slot> {
    let scopes = proof.verify_scopes(&Apex::alone(scope)).ok()?;
    let slots = scopes.into_iter().next()?.slots.into_iter();
    slots
        .filter(|(at, _)| at == path)
        .find_map(|(_, slot)| slot)
}
