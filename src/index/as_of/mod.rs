//! `AsOf`: the index as it was at a time, over what it is now.
//!
//! The moment is a cut through the lineages: of each scope the blocks that are not later than the
//! time. Nothing is rolled back. What a path held then is what it holds now, unless a change since
//! then touched it; only for such paths is the lineage read again (`touched`, `fold`). Versions
//! stay in the archive, so record sets are never recomputed.
//!
//! A cost is paid once for each scope that is looked at: its changes since the time, and if there
//! were any, twice its changes before. [`AS_OF_STEPS_MAX`] bounds the sum.

mod fold;
mod touched;
mod view;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::base::limits::AS_OF_STEPS_MAX;
use crate::base::time::Timestamp;
use crate::governance::block::Block;
use crate::governance::descriptor::Descriptor;
use crate::governance::trust::Ledger;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use super::entry::{Entry, Slot, Version};
use super::history::{self, next_descriptor};
use super::state::{Edge, ScopeNo, ScopeState};
use super::view::{IndexView, Link};

use fold::Held;
use touched::Touched;

/// Why the past could not be seen.
#[derive(Debug, thiserror::Error)]
pub enum AsOfError<E: std::error::Error + 'static> {
    /// The index could not be read.
    #[error("the index could not be read")]
    View(#[source] E),
    /// Too much happened for one look back.
    #[error(
        "too many changes: more than {max} would have to be read to see scope {} as it was then",
        .scope.short()
    )]
    TooMuch {
        /// The scope that was looked at.
        scope: ScopeUid,
        /// The bound.
        max: u64,
    },
    /// A block that the scope's state counts is not there.
    #[error("block {height} of scope {} is missing", .scope.short())]
    NoBlock {
        /// The scope.
        scope: ScopeUid,
        /// The height.
        height: u64,
    },
    /// A version that the lineage made is not there.
    #[error("version {number} of the entry {uid} is missing")]
    NoVersion {
        /// The entry.
        uid: Uid,
        /// The number.
        number: u64,
    },
}

/// The index at a time in the past. Later times show the present.
#[derive(Debug)]
pub struct AsOf<'v, V> {
    base: &'v V,
    time: Timestamp,
    steps_max: u64,
    steps_left: Cell<u64>,
    scopes: RefCell<BTreeMap<ScopeNo, Rc<Past>>>,
}

/// A scope as it was.
#[derive(Debug)]
struct Past {
    state: ScopeState,
    /// Slots that may differ from what they are now.
    slots: BTreeMap<NamePath, PastSlot>,
    /// What happened to labels of children since, in order.
    labels: Vec<LabelChange>,
}

/// A slot as it was.
#[derive(Debug, Clone)]
struct PastSlot {
    entry: Was,
    below: u64,
}

/// What a path held.
#[derive(Debug, Clone)]
enum Was {
    /// What it holds now; only the count differs.
    AsNow,
    /// No entry.
    Nothing,
    Held(Held),
}

/// A change that may concern the label of a child scope.
#[derive(Debug)]
enum LabelChange {
    Delegated(ScopeUid),
    Renamed { from: NamePath, to: NamePath },
}

type Seen<T, V> = Result<T, AsOfError<<V as IndexView>::Error>>;

impl<'v, V: IndexView> AsOf<'v, V> {
    /// The index as it was right after every block that is not later than `time`.
    pub fn new(base: &'v V, time: Timestamp) -> Self {
        Self::bounded(base, time, AS_OF_STEPS_MAX)
    }

    /// The same with another bound on what may be read.
    pub fn bounded(base: &'v V, time: Timestamp, steps_max: u64) -> Self {
        Self {
            base,
            time,
            steps_max,
            steps_left: Cell::new(steps_max),
            scopes: RefCell::default(),
        }
    }

    /// The time that is looked at.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    #[expect(clippy::unused_self, reason = "reads as a step of the look back")]
    fn lift<T>(&self, read: Result<T, V::Error>) -> Seen<T, V> {
        read.map_err(AsOfError::View)
    }

    /// Pays for reading `count` changes or names.
    fn spend(&self, scope: ScopeUid, count: usize) -> Seen<(), V> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let left = self.steps_left.get().checked_sub(count);
        let max = self.steps_max;
        self.steps_left
            .set(left.ok_or(AsOfError::TooMuch { scope, max })?);
        Ok(())
    }

    fn header_of(&self, state: &ScopeState, height: u64) -> Seen<Block, V> {
        let scope = state.uid;
        self.lift(self.base.header(state.no, height))?
            .ok_or(AsOfError::NoBlock { scope, height })
    }

    /// The changes of a block, each with the proposal it belongs to.
    fn link_of(&self, state: &ScopeState, height: u64) -> Seen<Link, V> {
        let scope = state.uid;
        let link = self
            .lift(self.base.link(state.no, height))?
            .ok_or(AsOfError::NoBlock { scope, height })?;
        let ops = link.body.decided.iter();
        let count = ops.map(|decided| decided.proposal.unverified().ops.len());
        self.spend(scope, count.sum::<usize>() + 1)?;
        Ok(link)
    }

    /// The height of a scope at the time; none if it was not founded yet.
    fn height_of(&self, state: &ScopeState) -> Seen<Option<u64>, V> {
        if state.head_time <= self.time {
            return Ok(Some(state.height));
        }
        // The first block that is later; time only rises along a lineage.
        let (mut low, mut high) = (0, state.height);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.header_of(state, middle)?.time <= self.time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1))
    }

    fn height_at(&self, no: ScopeNo) -> Seen<Option<u64>, V> {
        match self.lift(self.base.scope(no))? {
            Some(state) => self.height_of(&state),
            None => Ok(None),
        }
    }

    fn past(&self, no: ScopeNo) -> Seen<Option<Rc<Past>>, V> {
        if let Some(past) = self.scopes.borrow().get(&no) {
            return Ok(Some(Rc::clone(past)));
        }
        let Some(now) = self.lift(self.base.scope(no))? else {
            return Ok(None);
        };
        let Some(height) = self.height_of(&now)? else {
            return Ok(None);
        };
        let edge = self.edge(&now)?;
        let past = if height == now.height {
            Past {
                state: ScopeState { edge, ..now },
                slots: BTreeMap::new(),
                labels: Vec::new(),
            }
        } else {
            self.look_back(&now, height, edge)?
        };
        let past = Rc::new(past);
        self.scopes.borrow_mut().insert(no, Rc::clone(&past));
        Ok(Some(past))
    }

    /// The edge of a scope under the label it had.
    fn edge(&self, now: &ScopeState) -> Seen<Option<Edge>, V> {
        let Some(mut edge) = now.edge.clone() else {
            return Ok(None);
        };
        // Edges lead to scopes of lower numbers; one that does not would lead in a circle.
        let parent = if edge.parent < now.no {
            self.past(edge.parent)?
        } else {
            None
        };
        for change in parent.iter().flat_map(|parent| parent.labels.iter().rev()) {
            let here = NamePath::empty().child(&edge.label);
            match change {
                LabelChange::Delegated(child) if *child == now.uid => break,
                LabelChange::Renamed { from, to } if *to == here => {
                    edge.label = from.labels().next().unwrap_or_default();
                }
                _ => {}
            }
        }
        Ok(Some(edge))
    }

    fn look_back(&self, now: &ScopeState, height: u64, edge: Option<Edge>) -> Seen<Past, V> {
        let header = self.header_of(now, height)?;
        let (touched, labels) = self.touched(now, height)?;
        let Touched { paths, registered } = touched;
        let held = if paths.is_empty() {
            BTreeMap::new()
        } else {
            self.fold(now, height, &paths)?
        };
        let (slots, live) = self.counted(now, paths, held)?;
        let last_epoch_block = if header.next_descriptor == header.descriptor {
            header.prev_epoch_block
        } else {
            header.digest()
        };
        let state = ScopeState {
            uid: now.uid,
            no: now.no,
            edge,
            descriptor: self.descriptor(now, height, &header)?,
            descriptor_digest: header.next_descriptor,
            height,
            head: header.digest(),
            head_time: header.time,
            last_epoch_block,
            state_root: header.state_root,
            next_uid: now.next_uid.saturating_sub(registered),
            live,
            // Votes and quotas decide what comes; nobody asks the past for them.
            usage: Vec::new(),
            ledger: Ledger::new(),
        };
        Ok(Past {
            state,
            slots,
            labels,
        })
    }

    /// The descriptor in force after a block.
    fn descriptor(&self, now: &ScopeState, height: u64, header: &Block) -> Seen<Descriptor, V> {
        if header.next_descriptor == now.descriptor_digest {
            return Ok(now.descriptor.clone());
        }
        let scope = now.uid;
        for at in (1..=height).rev() {
            self.spend(scope, 1)?;
            let header = self.header_of(now, at)?;
            if header.next_descriptor == header.descriptor {
                continue;
            }
            let link = self.link_of(now, at)?;
            let height = at;
            return next_descriptor(&link).ok_or(AsOfError::NoBlock { scope, height });
        }
        let height = 0;
        self.lift(self.base.genesis(now.no))?
            .ok_or(AsOfError::NoBlock { scope, height })
    }

    /// Slots of touched paths, and of those above whose counts differ; and how many were live.
    fn counted(
        &self,
        now: &ScopeState,
        paths: impl IntoIterator<Item = NamePath>,
        mut held: BTreeMap<NamePath, Held>,
    ) -> Seen<(BTreeMap<NamePath, PastSlot>, u64), V> {
        let mut slots = BTreeMap::new();
        let mut more_below: BTreeMap<NamePath, i64> = BTreeMap::new();
        let mut live = now.live;
        for path in paths {
            let then = held.remove(&path);
            let slot = self
                .lift(self.base.slot(now.no, &path))?
                .unwrap_or_default();
            let was_live = then.as_ref().is_some_and(Held::is_live);
            let delta = i64::from(was_live) - i64::from(slot.is_live());
            if delta != 0 {
                live = live.saturating_add_signed(delta);
                for above in path.ancestors() {
                    *more_below.entry(above).or_default() += delta;
                }
            }
            let below = slot.below;
            let entry = then.map_or(Was::Nothing, Was::Held);
            slots.insert(path, PastSlot { entry, below });
        }
        for (path, delta) in more_below {
            let below = match slots.get(&path) {
                Some(slot) => slot.below,
                None => self
                    .lift(self.base.slot(now.no, &path))?
                    .map_or(0, |slot| slot.below),
            };
            let as_now = PastSlot {
                entry: Was::AsNow,
                below,
            };
            let slot = slots.entry(path).or_insert(as_now);
            slot.below = below.saturating_add_signed(delta);
        }
        Ok((slots, live))
    }

    /// A slot with its version taken from the archive.
    fn whole(&self, no: ScopeNo, path: &NamePath, past: &PastSlot) -> Seen<Option<Slot>, V> {
        let entry = match &past.entry {
            Was::AsNow => self
                .lift(self.base.slot(no, path))?
                .and_then(|slot| slot.entry),
            Was::Nothing => None,
            Was::Held(held) => Some(self.entry(held)?),
        };
        let below = past.below;
        // What was said of a child's recovery then answers nothing.
        let slot = Slot {
            entry,
            below,
            recovery: None,
        };
        Ok((!slot.is_vacant()).then_some(slot))
    }

    fn entry(&self, held: &Held) -> Seen<Entry, V> {
        let version = |uid: Uid, number: u64| {
            self.lift(history::version(self.base, &uid, number))?
                .ok_or(AsOfError::NoVersion { uid, number })
        };
        Ok(match held {
            Held::Bound(uid, number) => Entry::Bound(version(*uid, *number)?),
            Held::Retired(Some((uid, number))) => Entry::Retired {
                last: version(*uid, *number)?.digest(),
            },
            Held::Retired(None) => Entry::Retired {
                last: crate::base::digest::Digest::ZERO,
            },
            Held::Other(entry) => {
                let mut entry = entry.as_ref().clone();
                if let Entry::Moved(redirect) = &mut entry
                    && let (Some(uid), Some(last)) = (redirect.uid, &mut redirect.last)
                {
                    last.digest = version(uid, last.number)?.digest();
                }
                entry
            }
        })
    }

    /// The newest version that an entry had at the time.
    fn newest(&self, uid: &Uid) -> Seen<Option<Version>, V> {
        let known = |number| -> Seen<Option<Version>, V> {
            let version = self.lift(history::version(self.base, uid, number))?;
            Ok(version.filter(|version| version.time <= self.time))
        };
        let Some(mut newest) = known(1)? else {
            // An entry that came from a scope held elsewhere has its first versions there.
            return self.newest_present(uid);
        };
        let (mut low, mut high) = (1_u64, 2_u64);
        while let Some(version) = known(high)? {
            (newest, low, high) = (version, high, high.saturating_mul(2));
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match known(middle)? {
                Some(version) => (newest, low) = (version, middle),
                None => high = middle,
            }
        }
        Ok(Some(newest))
    }

    fn newest_present(&self, uid: &Uid) -> Seen<Option<Version>, V> {
        let head = self.lift(history::head(self.base, uid))?;
        let mut at = head;
        while let Some(version) = at {
            if version.time <= self.time {
                return Ok(Some(version));
            }
            let before = version.number.saturating_sub(1);
            at = self.lift(self.base.archived(uid, before))?;
        }
        Ok(None)
    }
}
