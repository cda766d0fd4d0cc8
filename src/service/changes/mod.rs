//! What people want changed, planned against the latest state and committed by the governor.

use std::sync::Arc;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::keys::NotSigned;
use crate::base::limits::{NOTE_BYTES_MAX, OPS_PER_PROPOSAL_MAX, SETS_PER_NAME_MAX};
use crate::governance::op::{Op, Precondition, SetChange};
use crate::governance::policy::Requirement;
use crate::governance::ticket::TicketRefusal;
use crate::index::admission::Candidate;
use crate::index::entry::{Entry, Version};
use crate::index::place::{Apex, NoPlace, Place, find};
use crate::index::refusal::Refusal;
use crate::index::replica::ReplicaView as _;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;

use super::council::Council;
use super::governor::{ChangeError, Done, Governor, Move, Work};
use super::keyring::{Draft, Keyring, KeyringError};
use super::ports::{Clock, Parts, Randomness, Store};
use super::resolver::error_chain;

mod approvals;
mod invitations;
mod joint;
mod leases;
mod moves;
mod plan;
mod recoveries;
mod scopes;
mod takeover;
mod versions;

pub use self::approvals::{NoProposal, Waiting};
pub use self::invitations::Offered;
pub use self::moves::{Destination, PETITION_MS};
pub use self::plan::Wanted;
pub use self::recoveries::{RecoveryStage, Takers};
pub use self::scopes::{Reform, Seat};
pub use self::versions::Tagging;

/// Plans changes and has them committed.
pub struct Changes<P: Parts> {
    store: Arc<P::Store>,
    governor: Governor,
    keyring: Arc<Keyring>,
    randomness: P::Randomness,
    clock: P::Clock,
    key_files: P::Keys,
    council: Option<Council>,
}

impl<P: Parts> std::fmt::Debug for Changes<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Changes")
    }
}

/// A change of record sets at one name.
#[derive(Debug, Clone)]
pub struct Put {
    /// The changes.
    pub changes: Vec<SetChange>,
    /// The version the author saw; the present one if none is given.
    pub if_version: Option<u64>,
    /// No record set may be left.
    pub may_empty: bool,
    /// Why.
    pub note: String,
}

/// Many names of one scope, to be registered in one proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportDraft {
    /// Paths and their record sets.
    pub entries: Vec<ImportEntry>,
    /// Why.
    pub note: String,
}

/// One name of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportEntry {
    /// The path.
    pub path: NamePath,
    /// Its record sets.
    pub sets: Vec<RecordSet>,
}

impl Canonical for ImportEntry {
    fn encode(&self, out: &mut Encoder) {
        self.path.encode(out);
        out.list(&self.sets);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            path: NamePath::decode(input)?,
            sets: input.list("record sets", SETS_PER_NAME_MAX)?,
        })
    }
}

impl Canonical for ImportDraft {
    fn encode(&self, out: &mut Encoder) {
        out.list(&self.entries);
        out.text(&self.note);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            entries: input.list("entries", OPS_PER_PROPOSAL_MAX)?,
            note: input.text("note", NOTE_BYTES_MAX)?,
        })
    }
}

/// Why a change could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No such proposal waits here, or several do.
    #[error(transparent)]
    Proposal(#[from] NoProposal),
    /// The name has no place here.
    #[error("{0}")]
    NoPlace(String),
    /// Another command is meant.
    #[error("{0}")]
    Misdirected(String),
    /// Refused or failed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A key could not be written.
    #[error("{0}")]
    Key(String),
    /// A ticket gives no seat.
    #[error(transparent)]
    Ticket(#[from] TicketRefusal),
}

impl From<Refusal> for PlanError {
    fn from(refusal: Refusal) -> Self {
        Self::Change(ChangeError::Refused(refusal))
    }
}

impl From<KeyringError> for PlanError {
    fn from(error: KeyringError) -> Self {
        Self::Change(error.into())
    }
}

impl From<NotSigned> for PlanError {
    fn from(error: NotSigned) -> Self {
        Self::Change(error.into())
    }
}

impl<P: Parts> Changes<P> {
    /// Changes over a store, a governor and the node's keys.
    pub fn new(
        store: Arc<P::Store>,
        governor: Governor,
        keyring: Arc<Keyring>,
        (randomness, clock): (P::Randomness, P::Clock),
        key_files: P::Keys,
    ) -> Self {
        Self {
            store,
            governor,
            keyring,
            randomness,
            clock,
            key_files,
            council: None,
        }
    }

    /// The same, where anchors of other nodes decide, too.
    #[must_use]
    pub fn with_council(self, council: Council) -> Self {
        let council = Some(council);
        Self { council, ..self }
    }

    /// Registers a name or updates its record sets.
    pub async fn put(&self, apexes: &[Apex], name: &Name, put: Put) -> Result<Done, PlanError> {
        let place = self.place(apexes, name)?;
        let path = place.path.clone();
        let (op, precondition) = match self.head(&place)? {
            Some(head) => {
                let seen = put.if_version.unwrap_or(head.number);
                let op = Op::Update {
                    path,
                    changes: put.changes,
                    may_empty: put.may_empty,
                };
                (op, Precondition::VersionIs(head.uid, seen))
            }
            None if put.if_version.is_some() => return Err(Refusal::NoEntry(path).into()),
            None => {
                let sets = put.changes.into_iter().filter_map(|change| match change {
                    SetChange::Put(set) => Some(set),
                    SetChange::Remove(_) => None,
                });
                let op = Op::Register {
                    path: path.clone(),
                    sets: sets.collect(),
                };
                (op, Precondition::Absent(path))
            }
        };
        self.decide(&place.scope, vec![op], vec![precondition], &put.note)
            .await
    }

    /// Registers many names of one scope in one proposal.
    pub async fn register_all(
        &self,
        apexes: &[Apex],
        scope: &Name,
        draft: ImportDraft,
    ) -> Result<Done, PlanError> {
        let place = self.scope_at(apexes, scope)?;
        let ops = draft.entries.into_iter();
        let ops = ops
            .map(|ImportEntry { path, sets }| Op::Register { path, sets })
            .collect();
        let epoch = Precondition::EpochIs(place.scope.descriptor.epoch);
        self.decide(&place.scope, ops, vec![epoch], &draft.note)
            .await
    }

    /// Ends a name.
    pub async fn retire(
        &self,
        apexes: &[Apex],
        name: &Name,
        if_version: Option<u64>,
        note: &str,
    ) -> Result<Done, PlanError> {
        let place = self.place(apexes, name)?;
        let precondition = self
            .head(&place)?
            .map(|head| Precondition::VersionIs(head.uid, if_version.unwrap_or(head.number)));
        let ops = vec![Op::Retire {
            path: place.path.clone(),
        }];
        self.decide(&place.scope, ops, precondition.into_iter().collect(), note)
            .await
    }

    /// Gives a name or subtree another name in its scope.
    pub async fn rename(
        &self,
        apexes: &[Apex],
        (from, to): (&Name, &Name),
        subtree: bool,
        note: &str,
    ) -> Result<Done, PlanError> {
        let old = self.place_of_edge(apexes, from)?;
        let new = self.place(apexes, to)?;
        if old.scope.no != new.scope.no {
            return Err(PlanError::Misdirected(format!(
                "{from} and {to} belong to different scopes; use `name move`"
            )));
        }
        let mut preconditions = vec![Precondition::Absent(new.path.clone())];
        if let Some(head) = self.head(&old)? {
            preconditions.push(Precondition::VersionIs(head.uid, head.number));
        }
        let ops = vec![Op::Rename {
            from: old.path.clone(),
            to: new.path,
            subtree,
        }];
        self.decide(&old.scope, ops, preconditions, note).await
    }

    /// Gives an entry to another scope of this node.
    pub async fn relocate(
        &self,
        apexes: &[Apex],
        (from, to): (&Name, &Name),
        note: &str,
    ) -> Result<Done, PlanError> {
        let old = self.place(apexes, from)?;
        let new = self.place(apexes, to)?;
        if old.scope.no == new.scope.no {
            return Err(PlanError::Misdirected(format!(
                "{from} and {to} belong to the same scope; use `name rename`"
            )));
        }
        let plan = Move {
            from: old.scope.no,
            from_path: old.path,
            to: new.scope.no,
            to_path: new.path,
            note: note.to_owned(),
            nonce: self.randomness.u64(),
        };
        Ok(self.governor.commit(Work::Move(Box::new(plan))).await?)
    }

    async fn decide(
        &self,
        scope: &ScopeState,
        ops: Vec<Op>,
        preconditions: Vec<Precondition>,
        note: &str,
    ) -> Result<Done, PlanError> {
        let candidate = self.author(scope, ops, preconditions, note)?;
        self.commit(Work::Decide(Box::new(candidate))).await
    }

    /// A scope that is followed at other nodes is changed there, unless seats here govern it with
    /// theirs.
    fn must_be_ours(&self, scope: &ScopeState) -> Result<(), PlanError> {
        let council = self.council.as_ref();
        if council.is_some_and(|council| council.is_joint(scope)) {
            return Ok(());
        }
        let mirror = self.store.latest().mirror(&scope.uid);
        let mirror = mirror.map_err(|error| ChangeError::Store(error_chain(&error)))?;
        match mirror {
            Some(mirror) => Err(Refusal::Mirrored(mirror.scope).into()),
            None => Ok(()),
        }
    }

    /// A proposal of this node. Where approvals are needed its author's is the first.
    fn author(
        &self,
        scope: &ScopeState,
        ops: Vec<Op>,
        preconditions: Vec<Precondition>,
        note: &str,
    ) -> Result<Candidate, PlanError> {
        self.must_be_ours(scope)?;
        let draft = Draft {
            ops,
            preconditions,
            note: note.to_owned(),
            nonce: self.randomness.u64(),
        };
        let now = self.clock.now();
        let candidate = self.keyring.author(scope, draft, now)?;
        self.with_own_approval(scope, candidate)
    }

    fn with_own_approval(
        &self,
        scope: &ScopeState,
        mut candidate: Candidate,
    ) -> Result<Candidate, PlanError> {
        let class = candidate.proposal.object().class;
        if scope.descriptor.policy.rule(class).requirement == Requirement::Approvals {
            let impact = self.preview(scope.no, &candidate)?.impact.digest();
            let author = candidate.proposal.object().author;
            candidate
                .approvals
                .extend(self.approval(&candidate, impact, (true, ""), author)?);
        }
        Ok(candidate)
    }

    fn place(&self, apexes: &[Apex], name: &Name) -> Result<Place, PlanError> {
        find(self.store.latest().as_ref(), apexes, name).map_err(|error| no_place(&error))
    }

    /// The place of a name as an edge of the scope above it, if it is one: a delegation is renamed
    /// by its parent.
    fn place_of_edge(&self, apexes: &[Apex], name: &Name) -> Result<Place, PlanError> {
        // Looked for from above: the scope below it need not be held here.
        let above = name
            .parent()
            .and_then(|parent| self.place(apexes, &parent).ok());
        if let (Some(above), Some(label)) = (above, name.first_label()) {
            let path = above.path.child(label);
            let edge = Place { path, ..above };
            if let Some(Entry::Delegated(_)) = self.entry(&edge)? {
                return Ok(edge);
            }
        }
        self.place(apexes, name)
    }

    fn scope_at(&self, apexes: &[Apex], name: &Name) -> Result<Place, PlanError> {
        let place = self.place(apexes, name)?;
        if !place.path.is_empty() {
            return Err(PlanError::NoPlace(format!(
                "{name} is no scope; it is a name of scope {}",
                place.scope_name
            )));
        }
        Ok(place)
    }

    fn head(&self, place: &Place) -> Result<Option<Version>, PlanError> {
        Ok(match self.entry(place)? {
            Some(Entry::Bound(version)) => Some(version),
            _ => None,
        })
    }

    fn entry(&self, place: &Place) -> Result<Option<Entry>, PlanError> {
        let slot = self
            .store
            .latest()
            .slot(place.scope.no, &place.path)
            .map_err(|error| ChangeError::Store(error_chain(&error)))?;
        Ok(slot.and_then(|slot| slot.entry))
    }
}

fn no_place<E: std::error::Error + 'static>(error: &NoPlace<E>) -> PlanError {
    match error {
        NoPlace::View(source) => ChangeError::Store(error_chain(source)).into(),
        other => PlanError::NoPlace(other.to_string()),
    }
}
