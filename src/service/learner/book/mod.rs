//! `Book`: what proofs taught of scopes that are not held, bounded in bytes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::base::canonical::Form;
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::governance::trust::Ledger;
use crate::index::entry::Slot;
use crate::index::floor::Floor;
use crate::index::learned::LEARNED_FROM;
use crate::index::proof::ProvenScope;
use crate::index::state::{Edge, ScopeNo, ScopeState};
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::replication::wire::Head;
use crate::service::ports::FloorChange;

use super::floors::Floors;
use super::untaught::Untaught;

mod restored;
mod sight;

pub use sight::Sight;

/// How long what was proven counts as present without another word, in milliseconds: about as long as
/// an anchor may be silent.
pub const FRESH_MS: u64 = 30_000;
/// How long after that it may be served while nobody can be asked: as long as legacy answers may.
pub const STALE_MS_MAX: u64 = 86_400_000;
/// Scopes asked for within this time are kept fresh.
const IN_USE_MS: u64 = 60_000;
/// Memory for places of names: some 100,000.
const SLOTS_BYTES_MAX: u64 = 32 << 20;
/// An average place, to size the table.
const SLOT_BYTES_TYPICAL: usize = 320;
/// Memory for scopes, whose descriptors hold policies: some 10,000.
const SCOPES_BYTES_MAX: usize = 32 << 20;
/// Numbers that are given before all are forgotten and given again.
const NUMBERS_MAX: u32 = 1 << 30;
/// What a scope takes beside its descriptor.
const SCOPE_BYTES_MORE: usize = 512;

/// What is known of scopes and their names.
pub(super) struct Book {
    known: RwLock<Known>,
    slots: Cache<(ScopeNo, NamePath), Arc<KnownSlot>, ByBytes>,
}

#[derive(Default)]
struct Known {
    by_uid: BTreeMap<ScopeUid, Arc<KnownScope>>,
    by_no: BTreeMap<ScopeNo, Arc<KnownScope>>,
    numbers_given: u32,
    bytes: usize,
    floors: Floors,
}

/// A scope as its last proof showed it.
struct KnownScope {
    state: Arc<ScopeState>,
    bytes: usize,
    /// Who proved it.
    from: PublicKey,
    /// When this was last heard to be its last block.
    heard: AtomicU64,
    /// When a question came by last.
    used: AtomicU64,
    /// Somebody said that it went on.
    is_outdated: AtomicBool,
    /// Its anchors decided two blocks of one height.
    is_frozen: AtomicBool,
    /// It was read from the disk, and nobody said since that it did not go on.
    is_unconfirmed: AtomicBool,
    /// When it was last heard, as the disk has it.
    kept: AtomicU64,
}

/// Where what is noted of a scope comes from.
struct Taught {
    from: PublicKey,
    heard: Timestamp,
    is_frozen: bool,
    is_unconfirmed: bool,
}

struct KnownSlot {
    height: u64,
    slot: Option<Slot>,
    bytes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(ScopeNo, NamePath), Arc<KnownSlot>> for ByBytes {
    fn weight(&self, _key: &(ScopeNo, NamePath), val: &Arc<KnownSlot>) -> u64 {
        val.bytes
    }
}

impl KnownScope {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let heard = Timestamp::from_millis(self.heard.load(Ordering::Relaxed));
        // A clock that was set back makes nothing fresh.
        !self.is_outdated.load(Ordering::Relaxed)
            && !self.is_frozen.load(Ordering::Relaxed)
            && !self.is_unconfirmed.load(Ordering::Relaxed)
            && heard <= now
            && now.millis_since(heard) < FRESH_MS
    }

    fn is_of_use(&self, now: Timestamp) -> bool {
        let heard = Timestamp::from_millis(self.heard.load(Ordering::Relaxed));
        now.millis_since(heard) < FRESH_MS + STALE_MS_MAX
    }

    fn head(&self) -> (u64, Digest) {
        (self.state.height, self.state.head)
    }
}

impl Default for Book {
    fn default() -> Self {
        let items = usize::try_from(SLOTS_BYTES_MAX).unwrap_or(usize::MAX) / SLOT_BYTES_TYPICAL;
        Self {
            known: RwLock::default(),
            slots: Cache::with_weighter(items, SLOTS_BYTES_MAX, ByBytes),
        }
    }
}

impl Book {
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What questions see at a time.
    pub(super) const fn sight(&self, now: Timestamp, may_be_stale: bool) -> Sight<'_> {
        Sight::new(self, now, may_be_stale)
    }

    /// Takes in floors that were kept.
    pub(super) fn remember(&self, floors: Vec<Floor>) {
        self.write().floors = Floors::of(floors);
    }

    /// The floors that the disk does not have.
    pub(super) fn take_changed_floors(&self) -> Vec<FloorChange> {
        self.write().floors.take_changed()
    }

    /// Those that were taken last are not on the disk after all.
    pub(super) fn floors_not_written(&self, changes: &[FloorChange]) {
        self.write().floors.not_written(changes);
    }

    /// Whether anything is known of a scope, however old.
    pub(super) fn knows(&self, scope: &ScopeUid) -> bool {
        self.read().by_uid.contains_key(scope)
    }

    /// Whether a scope was proven at or after a time.
    pub(super) fn was_proven_since(&self, scope: &ScopeUid, time: Timestamp) -> bool {
        let known = self.read();
        let scope = known.by_uid.get(scope);
        scope.is_some_and(|scope| scope.heard.load(Ordering::Relaxed) >= time.as_millis())
    }

    /// Who proved a scope last.
    pub(super) fn taught_by(&self, scope: &ScopeUid) -> Option<PublicKey> {
        self.read().by_uid.get(scope).map(|known| known.from)
    }

    /// Takes in what was proven, the topmost scope first, which hangs by `edge`. A scope never goes
    /// back: what is behind what was proven before is not taken.
    pub(super) fn take(
        &self,
        (scopes, edge): (Vec<ProvenScope>, Option<Edge>),
        from: PublicKey,
        now: Timestamp,
    ) -> Result<(), Untaught> {
        let mut known = self.write();
        let left_out = self.left_out(&mut known, &scopes)?;
        self.begin_anew_if_full(&mut known);
        let mut edge = edge;
        for (scope, is_behind) in scopes.into_iter().zip(left_out) {
            if is_behind {
                edge = known.edge_below(&scope);
                continue;
            }
            let taught = Taught {
                from,
                heard: now,
                is_frozen: false,
                is_unconfirmed: false,
            };
            edge = self.lay_down(&mut known, (scope, edge), &taught, now);
        }
        known.make_room();
        Ok(())
    }

    /// Forgets all but the floors once no number is left.
    fn begin_anew_if_full(&self, known: &mut Known) {
        if known.numbers_given > NUMBERS_MAX {
            let floors = std::mem::take(&mut known.floors);
            *known = Known {
                floors,
                ..Known::default()
            };
            self.slots.clear();
        }
    }

    /// Notes a scope as it was shown, with its slots. Gives the edge of the scope below.
    fn lay_down(
        &self,
        known: &mut Known,
        (scope, edge): (ProvenScope, Option<Edge>),
        taught: &Taught,
        now: Timestamp,
    ) -> Option<Edge> {
        let ProvenScope {
            uid,
            descriptor,
            head,
            slots,
            ..
        } = scope;
        let below = slots.last().and_then(|(path, _)| path.labels().next());
        let no = known.number(&uid, edge.as_ref());
        let height = head.height;
        let state = ScopeState {
            uid,
            no,
            edge,
            descriptor_digest: descriptor.digest(),
            descriptor,
            height,
            head: head.digest(),
            head_time: head.time,
            last_epoch_block: head.prev_epoch_block,
            state_root: head.state_root,
            next_uid: 0,
            live: 0,
            usage: Vec::new(),
            ledger: Ledger::new(),
        };
        let edge = below.map(|label| state.child_edge(&label));
        let floor = Floor::of(&state, now);
        known.floors.raise(Floor {
            is_frozen: taught.is_frozen,
            ..floor
        });
        known.put(KnownScope {
            bytes: state.descriptor.to_bytes().len() + SCOPE_BYTES_MORE,
            state: Arc::new(state),
            from: taught.from,
            heard: AtomicU64::new(taught.heard.as_millis()),
            used: AtomicU64::new(now.as_millis()),
            is_outdated: AtomicBool::new(false),
            is_frozen: AtomicBool::new(taught.is_frozen),
            is_unconfirmed: AtomicBool::new(taught.is_unconfirmed),
            kept: AtomicU64::new(taught.heard.as_millis()),
        });
        for (path, slot) in slots {
            self.note_slot((no, path), height, slot);
        }
        edge
    }

    fn note_slot(&self, (no, path): (ScopeNo, NamePath), height: u64, slot: Option<Slot>) {
        let held = slot.as_ref().map_or(0, |slot| slot.to_bytes().len());
        let bytes = held + path.as_bytes().len() + SLOT_BYTES_TYPICAL / 2;
        let known = KnownSlot {
            height,
            slot,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        };
        self.slots.insert((no, path), Arc::new(known));
    }

    /// Which scopes of a proof are known better already. Its sender may be behind in those above, if they
    /// lead to what is known to hang there.
    fn left_out(&self, known: &mut Known, scopes: &[ProvenScope]) -> Result<Vec<bool>, Untaught> {
        let mut left_out = Vec::with_capacity(scopes.len());
        for (index, scope) in scopes.iter().enumerate() {
            let compared = known.compare(scope);
            let may_be_behind = index + 1 < scopes.len()
                && matches!(compared, Err(Untaught::Behind { .. }))
                && self.leads_alike(known, scope);
            left_out.push(may_be_behind);
            if !may_be_behind {
                compared?;
            }
        }
        Ok(left_out)
    }

    /// Whether what is known of a scope delegates to the same child as an older proof.
    fn leads_alike(&self, known: &Known, older: &ProvenScope) -> bool {
        let present = known.by_uid.get(&older.uid);
        let (Some(present), Some((path, _))) = (present, older.end()) else {
            return false;
        };
        let held = self.slots.get(&(present.state.no, path.clone()));
        held.is_some_and(|held| {
            let child = held.slot.as_ref().and_then(Slot::child);
            held.height == present.state.height && child.is_some() && child == older.child()
        })
    }

    /// Somebody says where a scope stands. Nothing is believed but that one should look; gives
    /// whether.
    pub(super) fn hear(&self, head: &Head, now: Timestamp, is_asked: bool) -> bool {
        let known = self.read();
        let Some(scope) = known.by_uid.get(&head.scope) else {
            return false;
        };
        if scope.head() == (head.height, head.block) {
            if is_asked {
                scope.heard.store(now.as_millis(), Ordering::Relaxed);
                scope.is_unconfirmed.store(false, Ordering::Relaxed);
            }
        } else if head.height > scope.state.height {
            scope.is_outdated.store(true, Ordering::Relaxed);
            return true;
        }
        false
    }

    /// The scopes that questions come by, by who proved them.
    pub(super) fn in_use(&self, now: Timestamp) -> BTreeMap<PublicKey, Vec<ScopeUid>> {
        let mut in_use: BTreeMap<PublicKey, Vec<ScopeUid>> = BTreeMap::new();
        for scope in self.read().by_uid.values() {
            let used = Timestamp::from_millis(scope.used.load(Ordering::Relaxed));
            if now.millis_since(used) < IN_USE_MS {
                in_use.entry(scope.from).or_default().push(scope.state.uid);
            }
        }
        in_use
    }

    /// Scopes and places that are known.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.read().by_uid.len(), self.slots.len())
    }

    /// The scopes whose anchors contradict themselves, each with the height that is served.
    pub(super) fn frozen(&self) -> Vec<(ScopeUid, u64)> {
        let known = self.read();
        let frozen = known.floors.frozen();
        frozen.map(|floor| (floor.scope, floor.height)).collect()
    }
}

impl Known {
    /// Whether a proof goes on from what is known: with descriptors that followed the known one, or
    /// with the same one and blocks that are not older. Heights alone say nothing: anchors that were
    /// voted out can sign any.
    fn compare(&mut self, scope: &ProvenScope) -> Result<(), Untaught> {
        let uid = scope.uid;
        let Some(floor) = self.floors.get(&uid).copied() else {
            return Ok(());
        };
        let Floor { height, block, .. } = floor;
        let forked = Untaught::Forked { scope: uid, height };
        if floor.is_frozen {
            return Err(forked);
        }
        let epoch = usize::try_from(floor.epoch).unwrap_or(usize::MAX);
        let in_force = scope.descriptor.digest();
        let behind = Untaught::Behind {
            scope: uid,
            height: scope.head.height,
            known: height,
        };
        match scope.before.get(epoch) {
            Some(then) if *then == floor.descriptor => return Ok(()),
            Some(_) => return Err(Untaught::Parted { scope: uid }),
            None if scope.before.len() < epoch => return Err(behind),
            None if in_force != floor.descriptor => {
                return Err(Untaught::Parted { scope: uid });
            }
            None => {}
        }
        if scope.head.height < height {
            return Err(behind);
        }
        if scope.head.height == height && scope.head.digest() != block {
            self.floors.freeze(&uid);
            if let Some(known) = self.by_uid.get(&uid) {
                known.is_frozen.store(true, Ordering::Relaxed);
            }
            tracing::error!("{forked}; it is served as it was known before");
            return Err(forked);
        }
        Ok(())
    }

    /// The number of a scope: above that of the scope it hangs in, and the same again if it can be.
    fn number(&mut self, uid: &ScopeUid, edge: Option<&Edge>) -> ScopeNo {
        let present = self.by_uid.get(uid).map(|known| known.state.no);
        let is_above = |no: &ScopeNo| edge.is_none_or(|edge| *no > edge.parent);
        present.filter(is_above).unwrap_or_else(|| {
            let no = ScopeNo(LEARNED_FROM + self.numbers_given);
            self.numbers_given += 1;
            no
        })
    }

    /// How the next scope of a proof hangs in one that is known better.
    fn edge_below(&self, scope: &ProvenScope) -> Option<Edge> {
        let (path, _) = scope.slots.last()?;
        let below = path.labels().next()?;
        let present = self.by_uid.get(&scope.uid)?;
        Some(present.state.child_edge(&below))
    }

    fn put(&mut self, scope: KnownScope) {
        self.remove(&scope.state.uid);
        self.bytes += scope.bytes;
        let scope = Arc::new(scope);
        self.by_no.insert(scope.state.no, Arc::clone(&scope));
        self.by_uid.insert(scope.state.uid, scope);
    }

    fn remove(&mut self, uid: &ScopeUid) {
        if let Some(before) = self.by_uid.remove(uid) {
            self.bytes -= before.bytes;
            self.by_no.remove(&before.state.no);
        }
    }

    /// Forgets the half that was used longest ago once there are too many: so the order is looked at
    /// seldom. Those that are frozen stay.
    fn make_room(&mut self) {
        if self.bytes <= SCOPES_BYTES_MAX {
            return;
        }
        let mut by_use: Vec<(u64, ScopeUid)> = self
            .by_uid
            .values()
            .filter(|scope| !scope.is_frozen.load(Ordering::Relaxed))
            .map(|scope| (scope.used.load(Ordering::Relaxed), scope.state.uid))
            .collect();
        by_use.sort_unstable();
        for (_, uid) in by_use {
            if self.bytes <= SCOPES_BYTES_MAX / 2 {
                break;
            }
            self.remove(&uid);
        }
    }
}
