//! An entry that moves between scopes of two nodes: each step is a change of one scope, decided by its
//! own policy.

use crate::base::signed::Signed;
use crate::governance::op::{Op, Precondition};
use crate::governance::petition::Petition;
use crate::governance::withdrawal::Withdrawal;
use crate::index::entry::{Entry, Redirect};
use crate::index::passage::Passage;
use crate::index::place::{Apex, NoPlace, Place, find};
use crate::index::refusal::Refusal;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::service::governor::{ChangeError, Done};
use crate::service::ports::{Clock, Parts, Randomness, Store};
use crate::service::resolver::error_chain;

use super::{Changes, PlanError, no_place};

/// How long a petition asks for a path, in milliseconds: people who must admit it may be away for a
/// week.
pub const PETITION_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// Where an entry is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To a scope that is governed here.
    Here,
    /// To one that other nodes govern.
    Elsewhere {
        /// The scope.
        scope: ScopeUid,
        /// The path in it, as far as is known here: a scope below it would be in the way.
        path: NamePath,
    },
}

impl<P: Parts> Changes<P> {
    /// Where a name is governed.
    pub fn destination(&self, apexes: &[Apex], to: &Name) -> Result<Destination, PlanError> {
        let place = match find(self.store.latest().as_ref(), apexes, to) {
            Ok(place) => place,
            Err(NoPlace::NotHeld {
                scope, scope_name, ..
            }) => {
                let path = NamePath::between(to, &scope_name).unwrap_or_default();
                return Ok(Destination::Elsewhere { scope, path });
            }
            Err(error) => return Err(no_place(&error)),
        };
        match self.must_be_ours(&place.scope) {
            Ok(()) => Ok(Destination::Here),
            Err(PlanError::Change(ChangeError::Refused(Refusal::Mirrored(scope)))) => {
                let path = place.path;
                Ok(Destination::Elsewhere { scope, path })
            }
            Err(error) => Err(error),
        }
    }

    /// The word of an anchor of this node that an entry shall go to a scope of another node.
    pub fn petition(
        &self,
        apexes: &[Apex],
        from: &Name,
        (to, to_path): (ScopeUid, NamePath),
        note: &str,
    ) -> Result<Signed<Petition>, PlanError> {
        let place = self.place(apexes, from)?;
        self.must_be_ours(&place.scope)?;
        let head = self.head(&place)?;
        let head = head.ok_or_else(|| Refusal::NoEntry(place.path.clone()))?;
        self.ask_to_take(place, head.uid, (to, to_path), note)
    }

    /// The same word for an entry that left already, as its redirect says where to.
    pub fn petition_after(
        &self,
        apexes: &[Apex],
        from: &Name,
        note: &str,
    ) -> Result<Signed<Petition>, PlanError> {
        let place = self.place(apexes, from)?;
        self.must_be_ours(&place.scope)?;
        match self.entry(&place)? {
            Some(Entry::Moved(Redirect {
                uid: Some(uid),
                scope,
                path,
                last: Some(_),
                ..
            })) => self.ask_to_take(place, uid, (scope, path), note),
            _ => Err(PlanError::NoPlace(format!(
                "no entry left for another scope at {from}"
            ))),
        }
    }

    fn ask_to_take(
        &self,
        place: Place,
        uid: Uid,
        (to, to_path): (ScopeUid, NamePath),
        note: &str,
    ) -> Result<Signed<Petition>, PlanError> {
        let descriptor = &place.scope.descriptor;
        let needed = descriptor.quorum_weight();
        let author = self.keyring.seats(descriptor);
        let author = author
            .first()
            .ok_or(Refusal::Quorum { weight: 0, needed })?;
        let petition = Petition {
            from: place.scope.uid,
            from_path: place.path,
            uid,
            to,
            to_path,
            not_after: self.clock.now().plus_millis(PETITION_MS),
            note: note.to_owned(),
            nonce: self.randomness.u64(),
            author: author.public(),
        };
        let signed = self.keyring.sign(petition);
        Ok(signed.ok_or(Refusal::Quorum { weight: 0, needed })??)
    }

    /// Keeps a path for the entry, in the scope that it comes to.
    pub async fn keep_path(&self, wish: &Petition) -> Result<Done, PlanError> {
        let op = reserve(wish);
        let free = Precondition::Absent(wish.to_path.clone());
        self.step(&wish.to, vec![op], vec![free], &wish.note).await
    }

    /// Lets the entry go. This is the commit point of the move.
    pub async fn let_go(&self, wish: &Petition) -> Result<Done, PlanError> {
        let op = Op::Transfer {
            path: wish.from_path.clone(),
            to: wish.to,
            to_path: wish.to_path.clone(),
        };
        let state = self.scope_of(&wish.from)?;
        self.must_be_provable(&state, &wish.from_path)?;
        let slot = self.store.latest().slot(state.no, &wish.from_path);
        let slot = slot.map_err(|error| ChangeError::Store(error_chain(&error)))?;
        let same = match slot.and_then(|slot| slot.entry) {
            Some(Entry::Bound(head)) if head.uid == wish.uid => {
                Precondition::VersionIs(head.uid, head.number)
            }
            _ => return Err(Refusal::NoEntry(wish.from_path.clone()).into()),
        };
        self.decide(&state, vec![op], vec![same], &wish.note).await
    }

    /// The author's word that a petition is taken back.
    pub fn drop_petition(&self, petition: &Signed<Petition>) -> Option<Signed<Withdrawal>> {
        let wish = petition.unverified();
        let withdrawal = Withdrawal {
            scope: wish.from,
            proposal: petition.digest(),
            reason: String::new(),
            author: wish.author,
        };
        self.keyring.sign(withdrawal)?.ok()
    }

    /// What left cannot come back, so it must be possible to prove that it left.
    fn must_be_provable(&self, state: &ScopeState, path: &NamePath) -> Result<(), PlanError> {
        let possible = Passage::is_possible(self.store.latest().as_ref(), state.no, path);
        match possible {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::NoPassage("its proof would be too long".to_owned()).into()),
            Err(error) => Err(Refusal::NoPassage(error_chain(&error)).into()),
        }
    }

    /// Takes the entry in; a path that was given back meanwhile is kept anew in the same change.
    pub async fn take_in(
        &self,
        wish: &Petition,
        (number, passage): (u64, Vec<u8>),
        is_kept: bool,
    ) -> Result<Done, PlanError> {
        let adopt = Op::Adopt {
            path: wish.to_path.clone(),
            uid: wish.uid,
            number,
            from: wish.from,
            passage,
        };
        let mut ops = vec![adopt];
        if !is_kept {
            ops.insert(0, reserve(wish));
        }
        let free = Precondition::Absent(wish.to_path.clone());
        self.step(&wish.to, ops, vec![free], &wish.note).await
    }

    /// Gives a path back that was kept.
    pub async fn give_back(&self, wish: &Petition) -> Result<Done, PlanError> {
        let op = Op::Retire {
            path: wish.to_path.clone(),
        };
        self.step(&wish.to, vec![op], Vec::new(), &wish.note).await
    }

    async fn step(
        &self,
        scope: &ScopeUid,
        ops: Vec<Op>,
        preconditions: Vec<Precondition>,
        note: &str,
    ) -> Result<Done, PlanError> {
        let state = self.scope_of(scope)?;
        self.decide(&state, ops, preconditions, note).await
    }

    fn scope_of(&self, scope: &ScopeUid) -> Result<ScopeState, PlanError> {
        let state = self.store.latest().scope_of(scope);
        let state = state.map_err(|error| ChangeError::Store(error_chain(&error)))?;
        Ok(state.ok_or(Refusal::UnknownScope(*scope))?)
    }
}

fn reserve(wish: &Petition) -> Op {
    Op::Reserve {
        path: wish.to_path.clone(),
        uid: wish.uid,
        from: wish.from,
    }
}
