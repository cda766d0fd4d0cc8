//! Proofs taken apart, so that a node keeps what many of them share once, and put together again.
//!
//! Nothing that was kept is believed: lineages are verified from their genesis and slots against the
//! state root of their head, as if a stranger had brought them.

use std::collections::BTreeMap;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::limits::{PROOF_EPOCHS_MAX, SCOPE_DEPTH_MAX};
use crate::base::time::Timestamp;
use crate::governance::block::Block;
use crate::governance::certificate::Certified;
use crate::governance::descriptor::Descriptor;
use crate::index::entry::Slot;
use crate::index::place::Apex;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

use super::way::Way;
use super::{BadProof, Handover, Proof, ProvenScope, ProvenSlot, ScopeProof};

/// What a proof shows of a scope but for its slots: from the genesis to one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    genesis: Descriptor,
    epochs: Vec<Handover>,
    head: Certified,
    next: Option<Descriptor>,
}

/// A slot, or that there is none, and its way to the state root of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSlot {
    /// The block.
    pub head: Digest,
    slot: ProvenSlot,
}

/// Where a scope was when it was proven last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptScope {
    /// The scope.
    pub scope: ScopeUid,
    /// Its last block then.
    pub head: Digest,
    /// When this was last heard to be its last block, by this node's clock.
    pub heard: Timestamp,
    /// Who proved it.
    pub from: PublicKey,
}

/// One scope of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The scope.
    pub scope: ScopeUid,
    /// The proof's last block of it.
    pub head: Digest,
    /// How that follows from its genesis.
    pub lineage: Lineage,
    /// What stands on the way.
    pub slots: Vec<(NamePath, KeptSlot)>,
    /// What all that takes.
    pub bytes: usize,
}

/// What was kept cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("what was proven before cannot be read")]
pub struct Unreadable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Parts of proofs that were kept. What is not there any more is absent.
pub trait KeptProofs {
    /// Where a scope was.
    fn scope(&self, scope: &ScopeUid) -> Result<Option<KeptScope>, Unreadable>;

    /// How a block of a scope follows from its genesis.
    fn lineage(&self, scope: &ScopeUid, head: &Digest) -> Result<Option<Lineage>, Unreadable>;

    /// What was proven last of a path in a scope.
    fn slot(&self, scope: &ScopeUid, path: &NamePath) -> Result<Option<KeptSlot>, Unreadable>;
}

/// What was known of a scope, verified again.
#[derive(Debug)]
pub struct Regained {
    /// The scope at the block at which it was proven last, with those slots that were proven there.
    pub scope: ProvenScope,
    /// Slots that were proven at blocks before that one, each with its height.
    pub older: Vec<(u64, NamePath, Option<Slot>)>,
    /// Where and when that was.
    pub kept: KeptScope,
}

/// What is left of proofs on the way to a name.
#[derive(Debug, Default)]
pub struct Regathered {
    /// The scopes on the way, the topmost first. Each but the last leads to the next.
    pub scopes: Vec<Regained>,
    /// Whether they show all there is to the name.
    pub is_whole: bool,
    /// Digests of lineages that were verified now.
    pub checked: Vec<Digest>,
    /// Parts that do not verify.
    pub refused: u64,
}

/// Why a way ends before its end.
enum Stop {
    Missing,
    Refused,
    Unreadable(Unreadable),
}

impl From<Unreadable> for Stop {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl Proof {
    /// The parts of a proof that `scopes` were verified from.
    pub fn into_parts(self, scopes: &[ProvenScope]) -> Vec<Part> {
        let both = self.scopes.into_iter().zip(scopes);
        let part = |(proof, proven): (ScopeProof, &ProvenScope)| {
            let head = proven.head.digest();
            let paths = proven.slots.iter().map(|(path, _)| path.clone());
            let slots = proof.slots.into_iter();
            let slots = slots.map(|slot| KeptSlot { head, slot });
            let slots: Vec<_> = paths.zip(slots).collect();
            let lineage = Lineage {
                genesis: proof.genesis,
                epochs: proof.epochs,
                head: proof.head,
                next: proof.next,
            };
            let slot_bytes =
                |(path, slot): &(NamePath, KeptSlot)| path.as_bytes().len() + slot.to_bytes().len();
            Part {
                scope: proven.uid,
                head,
                bytes: lineage.to_bytes().len() + slots.iter().map(slot_bytes).sum::<usize>(),
                lineage,
                slots,
            }
        };
        both.map(part).collect()
    }
}

/// Puts together what was kept on the way from a trusted scope to a name, and verifies it.
/// `is_checked` says of which lineages the signatures were verified before, by the digests of all
/// their bytes.
pub fn regather(
    (top, name): (&Apex, &Name),
    kept: &(impl KeptProofs + ?Sized),
    is_checked: &impl Fn(&Digest) -> bool,
) -> Result<Regathered, Unreadable> {
    let mut found = Regathered::default();
    let Some(path) = NamePath::between(name, &top.name) else {
        return Ok(found);
    };
    let mut labels: Vec<Vec<u8>> = path.labels().collect();
    let mut expected = top.root;
    for _ in 0..=SCOPE_DEPTH_MAX {
        let mut walk = Walk {
            uid: expected,
            above: found.scopes.last().map(|above| above.scope.uid),
            kept,
            is_checked,
            found: &mut found,
        };
        match walk.scope(&labels) {
            Ok(None) => {
                found.is_whole = true;
                break;
            }
            Ok(Some(child)) => {
                expected = child;
                labels.drain(..1);
            }
            Err(Stop::Missing) => break,
            Err(Stop::Refused) => {
                found.refused += 1;
                break;
            }
            Err(Stop::Unreadable(unreadable)) => return Err(unreadable),
        }
    }
    Ok(found)
}

/// One scope on the way.
struct Walk<'w, K: ?Sized, C> {
    uid: ScopeUid,
    above: Option<ScopeUid>,
    kept: &'w K,
    is_checked: &'w C,
    found: &'w mut Regathered,
}

impl<K: KeptProofs + ?Sized, C: Fn(&Digest) -> bool> Walk<'_, K, C> {
    /// Adds what is known of the scope. Gives the child that the way ends at, if it does.
    fn scope(&mut self, labels: &[Vec<u8>]) -> Result<Option<ScopeUid>, Stop> {
        let kept = self.kept.scope(&self.uid)?.ok_or(Stop::Missing)?;
        let mut regained = Regained {
            scope: self.lineage(&kept.head)?,
            older: Vec::new(),
            kept,
        };
        let mut before: BTreeMap<Digest, Block> = BTreeMap::new();
        let way: Result<Way, Stop> = Way::follow(labels, |path| {
            let held = self.kept.slot(&self.uid, path)?.ok_or(Stop::Missing)?;
            let slot = held.slot.slot.clone();
            if held.head == kept.head {
                let root = &regained.scope.head.state_root;
                held.slot
                    .verify(&self.uid, path, root)
                    .map_err(|_| Stop::Refused)?;
                regained.scope.slots.push((path.clone(), slot.clone()));
                return Ok(slot);
            }
            let block = match before.get(&held.head) {
                Some(block) => block.clone(),
                None => self.before(&regained.scope, &held.head)?,
            };
            held.slot
                .verify(&self.uid, path, &block.state_root)
                .map_err(|_| Stop::Refused)?;
            let older = (block.height, path.clone(), slot.clone());
            regained.older.push(older);
            before.insert(held.head, block);
            Ok(slot)
        });
        self.found.scopes.push(regained);
        let way = way?;
        match way.child() {
            // A delegation stands one label below its scope.
            Some(_) if way.path.label_count() != 1 => Err(Stop::Refused),
            child => Ok(child),
        }
    }

    /// The scope as of a block.
    fn lineage(&mut self, head: &Digest) -> Result<ProvenScope, Stop> {
        let lineage = self.kept.lineage(&self.uid, head)?.ok_or(Stop::Missing)?;
        let digest = Digest::of(&lineage);
        let Lineage {
            genesis,
            epochs,
            head: certified,
            next,
        } = lineage;
        // A scope hangs where it was founded to hang.
        let hangs_right = self.above.is_none() || genesis.parent == self.above;
        let is_its_own = certified.block.digest() == *head && certified.block.scope == self.uid;
        if !hangs_right || !is_its_own || genesis.scope_uid() != self.uid {
            return Err(Stop::Refused);
        }
        let proof = ScopeProof {
            genesis,
            epochs,
            head: certified,
            next,
            slots: Vec::new(),
        };
        let descriptor = if (self.is_checked)(&digest) {
            proof.in_force()
        } else {
            let verified = proof.verify_lineage(&self.uid, SCOPE_DEPTH_MAX);
            self.found.checked.push(digest);
            verified.map_err(|_: BadProof| {
                self.found.checked.pop();
                Stop::Refused
            })?
        };
        Ok(ProvenScope {
            uid: self.uid,
            descriptor: descriptor.clone(),
            before: proof.descriptors_before(),
            slots: Vec::new(),
            head: proof.head.block,
        })
    }

    /// A block before the last one, of the same line of descriptors.
    fn before(&mut self, last: &ProvenScope, head: &Digest) -> Result<Block, Stop> {
        let older = self.lineage(head)?;
        let epoch = usize::try_from(older.descriptor.epoch).unwrap_or(usize::MAX);
        let then = older.descriptor.digest();
        let is_of_the_line = match last.before.get(epoch) {
            Some(digest) => *digest == then,
            None => last.descriptor.digest() == then,
        };
        if is_of_the_line && older.head.height < last.head.height {
            Ok(older.head)
        } else {
            Err(Stop::Refused)
        }
    }
}

impl ScopeProof {
    /// The descriptor in force, of a lineage that was verified.
    fn in_force(&self) -> &Descriptor {
        let last = self.epochs.last().map(|epoch| &epoch.next);
        self.next.as_ref().or(last).unwrap_or(&self.genesis)
    }
}

impl Lineage {
    /// The scope and the block that it is of, not to be trusted.
    pub fn claimed(&self) -> (ScopeUid, Digest) {
        (self.genesis.scope_uid(), self.head.block.digest())
    }
}

impl Canonical for Lineage {
    fn encode(&self, out: &mut Encoder) {
        self.genesis.encode(out);
        out.list(&self.epochs);
        self.head.encode(out);
        out.option(self.next.as_ref());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            genesis: Descriptor::decode(input)?,
            epochs: input.list("epochs", PROOF_EPOCHS_MAX)?,
            head: Certified::decode(input)?,
            next: input.option()?,
        })
    }
}

impl Form for Lineage {
    const LABEL: &'static str = "kedge/kept-lineage";
}

impl Canonical for KeptSlot {
    fn encode(&self, out: &mut Encoder) {
        self.head.encode(out);
        self.slot.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            head: Digest::decode(input)?,
            slot: ProvenSlot::decode(input)?,
        })
    }
}

impl Form for KeptSlot {
    const LABEL: &'static str = "kedge/kept-slot";
}

impl Canonical for KeptScope {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.head.encode(out);
        self.heard.encode(out);
        self.from.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            head: Digest::decode(input)?,
            heard: Timestamp::decode(input)?,
            from: PublicKey::decode(input)?,
        })
    }
}

impl Form for KeptScope {
    const LABEL: &'static str = "kedge/kept-scope";
}
