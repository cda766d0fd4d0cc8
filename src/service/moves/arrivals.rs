//! The end to which an entry comes.

use crate::base::canonical::Form as _;
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::signed::Signed;
use crate::governance::op::Op;
use crate::governance::petition::Petition;
use crate::governance::withdrawal::Withdrawal;
use crate::index::entry::Entry;
use crate::index::journey::{Journey, Side, Stage};
use crate::index::passage::Passage;
use crate::index::place::Apex;
use crate::index::proof::{NoProof, Proof, prove_below};
use crate::index::replica::ReplicaView;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::replication::wire::{Plea, PleaAnswer, PleaWord, Reply, Turned, fits_reply};
use crate::service::changes::PETITION_MS;
use crate::service::ports::{Clock, IndexFailure, Parts, Store};
use crate::service::resolver::error_chain;

use super::Moves;

/// How much the clocks of two nodes may differ, in milliseconds.
const CLOCK_SLACK_MS: u64 = 60_000;

impl<P: Parts> Moves<P> {
    /// Answers a node that brings a petition. Nothing is decided here: it is worked on later, and asked
    /// again.
    pub fn heard(&self, peer: &PublicKey, plea: Plea) -> Result<Reply, IndexFailure<P>> {
        let Plea { petition, word } = plea;
        let wish = petition.unverified();
        let Some(state) = self.scope(&wish.to)? else {
            return Ok(Reply::Turned(Turned::NotHeld));
        };
        let is_frozen = self.store.latest().fork(&wish.to)?.is_some();
        if is_frozen || self.council.weight_held(&state.descriptor) == 0 {
            return Ok(Reply::Turned(Turned::NotHeld));
        }
        let entry = self.entry(state.no, &wish.to_path)?;
        if self.is_there(&state, wish)? {
            return self.proven(&state, wish, PleaAnswer::Arrived);
        }
        let kept = Entry::Reserved {
            uid: wish.uid,
            from: wish.from,
        };
        let is_kept = entry.as_ref() == Some(&kept);
        let key = (Side::Comes, petition.digest());
        let known = self.book().get(&key);
        if let PleaWord::Drop(withdrawal) = word {
            return Ok(Reply::Plea(self.dropped(&petition, withdrawal, known)));
        }
        let journey = match known {
            Some(journey) => journey,
            None => match self.new_arrival(peer, &petition, (&state, entry.as_ref())) {
                Ok(journey) => journey,
                Err(reply) => return Ok(reply),
            },
        };
        match journey.stage {
            Stage::Refused | Stage::Cancelled => {
                return Ok(Reply::Plea(PleaAnswer::Refused(journey.said)));
            }
            Stage::Held => return Ok(Reply::Plea(PleaAnswer::Held)),
            _ => {}
        }
        if let PleaWord::Take(passage) = word {
            self.book().bring(key.1, passage);
            self.wake.notify_one();
            return Ok(Reply::Plea(PleaAnswer::Held));
        }
        if is_kept {
            return self.proven(&state, wish, PleaAnswer::Kept);
        }
        Ok(Reply::Plea(PleaAnswer::Held))
    }

    /// Whether the entry came, wherever it is by now.
    fn is_there(&self, state: &ScopeState, wish: &Petition) -> Result<bool, IndexFailure<P>> {
        let location = self.store.latest().locate(&wish.uid)?;
        let Some(location) = location.filter(|at| at.scope == state.no) else {
            return Ok(false);
        };
        let entry = self.entry(state.no, &location.path)?;
        Ok(matches!(entry, Some(Entry::Bound(version)) if version.uid == wish.uid))
    }

    /// An answer with what the scope says at the path.
    fn proven(
        &self,
        state: &ScopeState,
        wish: &Petition,
        answer: impl FnOnce(Box<Proof>) -> PleaAnswer,
    ) -> Result<Reply, IndexFailure<P>> {
        let Ok(name) = wish.to_path.to_name(&Name::root()) else {
            return Ok(Reply::Turned(Turned::Unprovable));
        };
        let snapshot = self.store.latest();
        match prove_below(snapshot.as_ref(), &Apex::alone(state.uid), &name) {
            Ok(proof) if fits_reply(&proof) => Ok(Reply::Plea(answer(Box::new(proof)))),
            Err(NoProof::View(error)) => Err(error),
            Ok(_) | Err(_) => Ok(Reply::Turned(Turned::Unprovable)),
        }
    }

    /// Takes a petition that is new, or says why not.
    fn new_arrival(
        &self,
        peer: &PublicKey,
        petition: &Signed<Petition>,
        (state, entry): (&ScopeState, Option<&Entry>),
    ) -> Result<Journey, Reply> {
        let wish = petition.unverified();
        let now = self.clock.now();
        let refused = |reason: &str| Err(Reply::Plea(PleaAnswer::Refused(reason.to_owned())));
        let kept = Entry::Reserved {
            uid: wish.uid,
            from: wish.from,
        };
        // What the anchors of the scope kept a path for may come, whoever admitted it.
        let is_kept = entry == Some(&kept);
        if !is_kept && now > wish.not_after {
            return refused("its time is over");
        }
        if wish.not_after > now.plus_millis(PETITION_MS + CLOCK_SLACK_MS) {
            return refused("it asks for a path for longer than is done");
        }
        if wish.from == wish.to {
            return refused("it is in that scope already");
        }
        let is_taken = matches!(
            entry,
            Some(Entry::Bound(_) | Entry::Moved(_) | Entry::Delegated(_) | Entry::Reserved { .. })
        );
        if is_taken && !is_kept {
            return refused("the path is taken");
        }
        if !self.book().has_room(peer) {
            return Err(Reply::Turned(Turned::TooMuch));
        }
        if petition.clone().verify().is_err() {
            return refused("its signature does not hold");
        }
        let reserve = Op::Reserve {
            path: wish.to_path.clone(),
            uid: wish.uid,
            from: wish.from,
        };
        let grants = state.descriptor.grants.iter();
        let mut grants = grants.filter(|grant| grant.key == wish.author);
        let stage = if is_kept || grants.any(|grant| grant.covers(&reserve)) {
            Stage::Admitted
        } else {
            Stage::Held
        };
        let journey = Journey {
            side: Side::Comes,
            petition: petition.clone(),
            stage,
            said: String::new(),
            peer: Some(*peer),
            proposal: None,
            changed: now,
        };
        self.note(journey.clone());
        Ok(journey)
    }

    /// A petition is taken back by its author.
    fn dropped(
        &self,
        petition: &Signed<Petition>,
        withdrawal: Signed<Withdrawal>,
        known: Option<Journey>,
    ) -> PleaAnswer {
        let wish = petition.unverified();
        let is_about = |word: &Withdrawal| {
            (word.scope, word.proposal, word.author) == (wish.from, petition.digest(), wish.author)
        };
        let known = known.filter(|j| matches!(j.stage, Stage::Held | Stage::Admitted));
        let is_its = is_about(withdrawal.unverified()) && withdrawal.verify().is_ok();
        let said = "it was taken back".to_owned();
        match known {
            Some(journey) if is_its => self.note(Journey {
                stage: Stage::Cancelled,
                said: said.clone(),
                ..journey
            }),
            Some(_) if !is_its => return PleaAnswer::Held,
            _ => {}
        }
        PleaAnswer::Refused(said)
    }

    /// Takes the next step of an entry that comes; an error is what it waits for.
    pub(super) async fn arrive(&self, journey: &Journey) -> Result<Journey, String> {
        let wish = journey.petition.unverified();
        let state = self.scope(&wish.to).map_err(|error| error_chain(&error))?;
        let state = state.ok_or("the scope that it comes to is not held any more")?;
        let entry = self.entry(state.no, &wish.to_path);
        let entry = entry.map_err(|error| error_chain(&error))?;
        let kept = Entry::Reserved {
            uid: wish.uid,
            from: wish.from,
        };
        let is_kept = entry.as_ref() == Some(&kept);
        let is_there = self.is_there(&state, wish);
        if is_there.map_err(|error| error_chain(&error))? {
            return Ok(Journey {
                stage: Stage::Arrived,
                said: String::new(),
                ..journey.clone()
            });
        }
        match journey.stage {
            Stage::Held if self.clock.now() > wish.not_after => Ok(Journey {
                stage: Stage::Refused,
                said: "nobody admitted it in time".to_owned(),
                ..journey.clone()
            }),
            Stage::Admitted => self.admit_further(journey, is_kept).await,
            Stage::Refused | Stage::Cancelled if is_kept => {
                let given_back = self.change(journey, self.changes.give_back(wish)).await;
                match given_back.map_err(|error| error.to_string())? {
                    (next, true) => Ok(Journey {
                        said: journey.said.clone(),
                        ..next
                    }),
                    (_, false) => Err("the path is not given back yet".to_owned()),
                }
            }
            _ => Ok(journey.clone()),
        }
    }

    /// Keeps the path, or takes the entry in if it left.
    async fn admit_further(&self, journey: &Journey, is_kept: bool) -> Result<Journey, String> {
        let wish = journey.petition.unverified();
        let digest = journey.key().1;
        let source = self
            .scope(&wish.from)
            .map_err(|error| error_chain(&error))?;
        if source.is_none() {
            // Said before the entry leaves: without that lineage it could not be taken in.
            return Err("follow the scope that it leaves first: `kedge mirror SCOPE`".to_owned());
        }
        let passage = self.book().passage(&digest);
        let done = match passage {
            Some(passage) => {
                let number = self.number(wish, &digest, &passage)?;
                let take = self.changes.take_in(wish, (number, passage), is_kept);
                self.change(journey, take).await
            }
            // What was brought before may have proven nothing; that stays said.
            None if is_kept => return Ok(journey.clone()),
            None => self.change(journey, self.changes.keep_path(wish)).await,
        };
        let (next, _) = done.map_err(|error| error.to_string())?;
        Ok(next)
    }

    /// The number of the version that comes, if the passage proves it.
    fn number(&self, wish: &Petition, petition: &Digest, bytes: &[u8]) -> Result<u64, String> {
        let passage = Passage::from_bytes(bytes).map_err(Into::into);
        let passed = passage.and_then(|passage| passage.verify(&wish.from));
        match passed {
            Ok(passed)
                if (passed.uid, passed.to) == (wish.uid, wish.to)
                    && passed.to_path == wish.to_path =>
            {
                Ok(passed.last.number)
            }
            Ok(_) => {
                self.book().refuse_passage(petition);
                Err("what was brought is of another entry".to_owned())
            }
            Err(error) => {
                self.book().refuse_passage(petition);
                Err(error_chain(&error))
            }
        }
    }
}
