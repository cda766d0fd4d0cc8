//! The only rules of state: one change, applied to a stage or refused.

use crate::base::canonical::Form as _;
use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::governance::op::{Op, SetChange};
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::{TAGS_MAX, Tag, Tagged};

use super::changeset::Stage;
use super::entry::{Change, Entry, Last, Redirect, Slot, Version};
use super::history;
use super::passage::{BadPassage, Passage, Passed};
use super::refusal::Refusal;
use super::sets;
use super::state::{Location, ScopeNo, ScopeState};
use super::view::IndexView;

mod recovery;
mod structure;

/// Labels under which the server speaks about entries; nobody can register them.
pub const RESERVED_LABELS: [&[u8]; 5] = [b"_uid", b"_gov", b"_ver", b"_act", b"_inst"];

/// A refusal, or a failure to read the state it would be judged by. Never mixed up: a failure is
/// no verdict.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError<E: std::error::Error + 'static> {
    /// The change is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The index could not be read.
    #[error("the index could not be read")]
    View(#[source] E),
}

pub(super) type Outcome<T, E> = Result<T, TransitionError<E>>;

/// What every change of one proposal shares.
#[derive(Debug, Clone, Copy)]
pub struct Occasion {
    /// The scope that decides.
    pub scope: ScopeNo,
    /// The proposal.
    pub proposal: Digest,
    /// The time of the block.
    pub time: Timestamp,
}

/// The sets and provenance of the version that a change makes.
struct NewVersion {
    uid: Uid,
    number: u64,
    predecessor: Digest,
    change: Change,
    sets: Vec<RecordSet>,
    tags: Vec<Tagged>,
}

/// The changes of one proposal on their way to a stage. The scope's own state is held here and
/// staged once at the end.
#[derive(Debug)]
pub struct Transition<'s, 'v, V> {
    stage: &'s mut Stage<'v, V>,
    occasion: Occasion,
    state: ScopeState,
}

impl<'s, 'v, V: IndexView> Transition<'s, 'v, V> {
    /// Begins with the scope as `state` says.
    pub fn begin(stage: &'s mut Stage<'v, V>, occasion: Occasion, state: ScopeState) -> Self {
        Self {
            stage,
            occasion,
            state,
        }
    }

    /// Applies one change.
    pub fn apply(&mut self, op: &Op) -> Outcome<(), V::Error> {
        match op {
            Op::Register { path, sets } => self.register(path, sets),
            Op::Update {
                path,
                changes,
                may_empty,
            } => self.update(path, changes, *may_empty),
            Op::Tag { path, tag, number } => self.tag(path, tag, *number),
            Op::Retire { path } => self.retire(path),
            Op::Rename { from, to, subtree } => self.rename(from, to, *subtree),
            Op::Reserve { path, uid, from } => self.reserve(path, *uid, *from),
            Op::Transfer { path, to, to_path } => self.transfer(path, *to, to_path),
            Op::Adopt { .. } => self.adopt(op),
            Op::Delegate {
                label,
                child,
                seats,
            } => self.delegate(label, child, seats),
            Op::Reconfigure { next } => self.reconfigure(next),
            Op::Recover {
                label,
                delay_secs,
                offer,
            } => self.recover(label, *delay_secs, offer),
            Op::Confirm { label } => self.confirm(label),
            Op::Abandon { label } => self.abandon(label),
        }
    }

    /// Stages the scope as the changes left it.
    pub fn finish(self) {
        self.stage.put_scope(self.state);
    }

    fn register(&mut self, path: &NamePath, sets: &[RecordSet]) -> Outcome<(), V::Error> {
        let slot = self.require_free(path)?;
        let sets = self.judged(path, slot.below, sets.to_vec())?;
        if sets.is_empty() {
            return Err(Refusal::WouldBeEmpty(path.clone()).into());
        }
        let uid = Uid::allocate(
            &self.state.uid,
            self.state.next_uid,
            &self.occasion.proposal,
        );
        self.state.next_uid += 1;
        let change = Change::Registered;
        let new = NewVersion {
            uid,
            number: 1,
            predecessor: Digest::ZERO,
            change,
            sets,
            tags: Vec::new(),
        };
        self.bind(path, slot, new)
    }

    fn update(
        &mut self,
        path: &NamePath,
        changes: &[SetChange],
        may_empty: bool,
    ) -> Outcome<(), V::Error> {
        let (head, below) = self.bound(path)?;
        let sets = self.judged(path, below, sets::changed(&head.sets, changes)?)?;
        if sets.is_empty() && !may_empty {
            return Err(Refusal::WouldBeEmpty(path.clone()).into());
        }
        let tags = head.tags.clone();
        self.succeed(path, head, Change::Updated, (sets, tags))
    }

    fn tag(&mut self, path: &NamePath, tag: &Tag, number: Option<u64>) -> Outcome<(), V::Error> {
        let (head, _) = self.bound(path)?;
        let mut tags = head.tags.clone();
        tags.retain(|tagged| tagged.tag != *tag);
        if let Some(number) = number {
            if !(1..=head.number).contains(&number) {
                return Err(Refusal::NoVersion(head.uid, number).into());
            }
            if tags.len() >= TAGS_MAX {
                return Err(Refusal::TooManyTags.into());
            }
            let at = tags.partition_point(|tagged| tagged.tag < *tag);
            let tag = tag.clone();
            tags.insert(at, Tagged { tag, number });
        }
        if tags == head.tags {
            return Err(Refusal::NoChange.into());
        }
        let sets = head.sets.clone();
        self.succeed(path, head, Change::Tagged, (sets, tags))
    }

    fn retire(&mut self, path: &NamePath) -> Outcome<(), V::Error> {
        let slot = self.slot(path)?;
        let last = match slot.entry {
            Some(Entry::Bound(head)) => {
                let last = self.version(
                    path,
                    NewVersion {
                        uid: head.uid,
                        number: head.number + 1,
                        predecessor: head.digest(),
                        change: Change::Retired,
                        sets: Vec::new(),
                        tags: Vec::new(),
                    },
                );
                let digest = last.digest();
                self.stage.archive(head);
                self.stage.archive(last);
                digest
            }
            Some(Entry::Moved(_)) => Digest::ZERO,
            // Gives the path back; the entry may still come to another one.
            Some(Entry::Reserved { .. }) => return self.put(path, None),
            entry => return Err(not_bound(path, entry.as_ref()).into()),
        };
        self.put(path, Some(Entry::Retired { last }))
    }

    fn reserve(&mut self, path: &NamePath, uid: Uid, from: ScopeUid) -> Outcome<(), V::Error> {
        self.require_free(path)?;
        self.put(path, Some(Entry::Reserved { uid, from }))
    }

    fn transfer(
        &mut self,
        path: &NamePath,
        to: ScopeUid,
        to_path: &NamePath,
    ) -> Outcome<(), V::Error> {
        let (head, _) = self.bound(path)?;
        let redirect = Redirect {
            uid: Some(head.uid),
            scope: to,
            path: to_path.clone(),
            subtree: false,
            last: Some(Last {
                number: head.number,
                digest: head.digest(),
            }),
        };
        self.stage.archive(head);
        self.put(path, Some(Entry::Moved(redirect)))
    }

    fn adopt(&mut self, op: &Op) -> Outcome<(), V::Error> {
        let Op::Adopt {
            path,
            uid,
            number,
            from,
            passage,
        } = op
        else {
            return Err(Refusal::NoChange.into());
        };
        let reserved = Entry::Reserved {
            uid: *uid,
            from: *from,
        };
        if self.slot(path)?.entry.as_ref() != Some(&reserved) {
            return Err(Refusal::Taken(path.clone()).into());
        }
        let none = || Refusal::NoTransfer(*uid);
        let passage = Passage::from_bytes(passage).map_err(BadPassage::from);
        let passed = passage.and_then(|passage| passage.verify(from));
        let passed = passed.map_err(|_| none())?;
        let comes_here =
            (passed.uid, passed.to) == (*uid, self.state.uid) && passed.to_path == *path;
        if !comes_here || passed.last.number != *number {
            return Err(none().into());
        }
        let last = self.witnessed(from, &passed)?.ok_or_else(none)?;
        self.put(path, None)?;
        let slot = self.require_free(path)?;
        let new = NewVersion {
            uid: *uid,
            number: number.checked_add(1).ok_or_else(none)?,
            predecessor: passed.last.digest,
            change: Change::Moved { from: *from },
            sets: self.judged(path, slot.below, last.sets)?,
            tags: last.tags,
        };
        self.bind(path, slot, new)
    }

    /// The version that left, if the lineage of the scope that it left holds what the passage shows,
    /// and nothing came after it anywhere. That scope may have gone on since, but must be held: a
    /// certificate alone does not show that its blocks follow the rules, and an entry must not come
    /// twice by the same passage.
    fn witnessed(&self, from: &ScopeUid, passed: &Passed) -> Outcome<Option<Version>, V::Error> {
        let source = self.lift(self.stage.scope_no(from))?;
        let source = source.ok_or(Refusal::UnknownScope(*from))?;
        let header = self.lift(self.stage.header(source, passed.height))?;
        if header.map(|header| header.digest()) != Some(passed.block) {
            return Ok(None);
        }
        let Last { number, digest } = passed.last;
        let next = match number.checked_add(1) {
            Some(next) => self.lift(self.stage.archived(&passed.uid, next))?,
            None => return Ok(None),
        };
        let head = self.lift(history::head(self.stage, &passed.uid))?;
        let is_newest = next.is_none() && head.is_none();
        let last = self.lift(self.stage.archived(&passed.uid, number))?;
        Ok(last.filter(|last| is_newest && last.digest() == digest))
    }

    /// Makes the next version of a bound entry at a path.
    fn succeed(
        &mut self,
        path: &NamePath,
        head: Version,
        change: Change,
        (sets, tags): (Vec<RecordSet>, Vec<Tagged>),
    ) -> Outcome<(), V::Error> {
        let new = NewVersion {
            uid: head.uid,
            number: head.number + 1,
            predecessor: head.digest(),
            change,
            sets,
            tags,
        };
        self.stage.archive(head);
        let slot = self.slot(path)?;
        self.bind(path, slot, new)
    }

    fn bind(&mut self, path: &NamePath, slot: Slot, new: NewVersion) -> Outcome<(), V::Error> {
        let uid = new.uid;
        let stays = matches!(new.change, Change::Updated | Change::Tagged);
        let version = self.version(path, new);
        self.put_over(path, slot, Some(Entry::Bound(version)))?;
        if !stays {
            let location = Location {
                scope: self.occasion.scope,
                path: path.clone(),
            };
            self.stage.put_location(uid, location);
        }
        Ok(())
    }

    fn version(&self, path: &NamePath, new: NewVersion) -> Version {
        Version {
            uid: new.uid,
            number: new.number,
            predecessor: new.predecessor,
            time: self.occasion.time,
            scope: self.state.uid,
            path: path.clone(),
            proposal: self.occasion.proposal,
            change: new.change,
            sets: new.sets,
            tags: new.tags,
        }
    }

    /// Puts an entry and keeps the scope's count and quota.
    fn put(&mut self, path: &NamePath, entry: Option<Entry>) -> Outcome<(), V::Error> {
        let slot = self.slot(path)?;
        self.put_over(path, slot, entry)
    }

    /// Puts an entry over the slot that is known to be at the path.
    fn put_over(
        &mut self,
        path: &NamePath,
        slot: Slot,
        entry: Option<Entry>,
    ) -> Outcome<(), V::Error> {
        let staged = self.stage.put_entry(self.occasion.scope, path, slot, entry);
        let delta = self.lift(staged)?;
        self.state.live = self.state.live.saturating_add_signed(i64::from(delta));
        let max = self.state.descriptor.policy.entries_max;
        if delta > 0 && self.state.live > max {
            return Err(Refusal::Full { max }.into());
        }
        Ok(())
    }

    /// Record sets under the scope's policy and the rules that depend on the place.
    fn judged(
        &self,
        path: &NamePath,
        below: u64,
        sets: Vec<RecordSet>,
    ) -> Result<Vec<RecordSet>, Refusal> {
        let sets = sets::checked(sets, &self.state.descriptor.policy)?;
        let has = |kind| sets.iter().any(|set| set.kind() == kind);
        if has(RecordType::CNAME) && path.is_empty() {
            return Err(Refusal::CnameBeside);
        }
        if has(RecordType::NS) && path.is_empty() && self.state.edge.is_some() {
            return Err(Refusal::CutAtScope);
        }
        if has(RecordType::DNAME) && below > 0 {
            return Err(Refusal::NamesBelow {
                path: path.clone(),
                count: below,
            });
        }
        Ok(sets)
    }

    /// Nothing live is at the path, and nothing above it speaks for it. Gives the slot there.
    fn require_free(&self, path: &NamePath) -> Outcome<Slot, V::Error> {
        let slot = self.slot(path)?;
        if let Some(entry) = &slot.entry
            && !matches!(entry, Entry::Retired { .. })
        {
            return Err(Refusal::Taken(path.clone()).into());
        }
        if path
            .labels()
            .any(|label| RESERVED_LABELS.contains(&label.as_slice()))
        {
            return Err(Refusal::ReservedLabel(path.clone()).into());
        }
        for above in path.ancestors() {
            let is = match self.slot(&above)?.entry {
                Some(Entry::Delegated(_)) => "delegated to another scope",
                Some(Entry::Moved(redirect)) if redirect.subtree => "a moved subtree",
                Some(Entry::Bound(version)) if version.set(RecordType::DNAME).is_some() => {
                    "redirected by a DNAME"
                }
                _ => continue,
            };
            return Err(Refusal::Occluded {
                path: path.clone(),
                above,
                is,
            }
            .into());
        }
        Ok(slot)
    }

    /// The head version at a path, and how many names lie below.
    fn bound(&self, path: &NamePath) -> Outcome<(Version, u64), V::Error> {
        let slot = self.slot(path)?;
        match slot.entry {
            Some(Entry::Bound(version)) => Ok((version, slot.below)),
            entry => Err(not_bound(path, entry.as_ref()).into()),
        }
    }

    fn slot(&self, path: &NamePath) -> Outcome<Slot, V::Error> {
        self.lift(self.stage.slot(self.occasion.scope, path))
            .map(Option::unwrap_or_default)
    }

    #[expect(clippy::unused_self, reason = "reads as a step of the transition")]
    fn lift<T>(&self, read: Result<T, V::Error>) -> Outcome<T, V::Error> {
        read.map_err(TransitionError::View)
    }
}

fn not_bound(path: &NamePath, entry: Option<&Entry>) -> Refusal {
    let path = path.clone();
    let is = match entry {
        Some(Entry::Bound(_)) => "an entry",
        Some(Entry::Moved(_)) => "a redirect",
        Some(Entry::Delegated(_)) => "delegated to another scope",
        Some(Entry::Reserved { .. }) => "reserved for an entry that is moving here",
        Some(Entry::Retired { .. }) => "retired",
        None => return Refusal::NoEntry(path),
    };
    Refusal::NotBound { path, is }
}
