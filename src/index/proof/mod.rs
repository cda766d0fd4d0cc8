//! `Proof`: what a governed tree says of one name, provable to whoever knows its genesis.
//!
//! A proof follows the name from the apex down. Of each scope it holds the genesis, every block by
//! which the anchors handed over, the last block with its certificate, and the slot of each label
//! with its way to the state root, until the name, its absence, a delegation or a redirect is
//! reached. Nothing of it is believed: whoever verifies it knows the apex and its root scope, whose
//! UID is the digest of its genesis.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::{
    NAME_LABELS_MAX, PROOF_EPOCHS_MAX, PROOF_TEXT_BYTES_MAX, SCOPE_DEPTH_MAX,
};
use crate::base::text_form::TextForm;
use crate::base::time::Timestamp;
use crate::governance::block::Block;
use crate::governance::certificate::{CertificateRefused, Certified};
use crate::governance::descriptor::Descriptor;
use crate::governance::policy::Quorum;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

use self::way::Way;
use super::entry::{Entry, Slot};
use super::place::Apex;
use super::trie::{self, TriePath};

mod kept;
mod make;
mod warrant;
mod way;

pub use self::kept::{
    KeptProofs, KeptScope, KeptSlot, Lineage, Part, Regained, Regathered, Unreadable, regather,
};
pub use self::make::{NoProof, prove, prove_below};
pub use self::warrant::Warrant;
pub(super) use self::warrant::warranted;

/// What a governed tree says of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    name: Name,
    /// The scopes on the way, the root first.
    scopes: Vec<ScopeProof>,
}

/// What one scope says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ScopeProof {
    genesis: Descriptor,
    /// The blocks by which one descriptor followed another, in order.
    epochs: Vec<Handover>,
    head: Certified,
    /// The descriptor that the head puts in force, if it is another one than elected its voters.
    next: Option<Descriptor>,
    /// The slots from the scope's own downwards; the last one is the first that ends the way.
    /// After an absent one, the slot of the wildcard beside it (RFC 4592).
    slots: Vec<ProvenSlot>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Handover {
    by: Certified,
    next: Descriptor,
}

/// A slot, or that there is none, and its way to the state root.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProvenSlot {
    slot: Option<Slot>,
    path: TriePath,
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The name that was asked for.
    pub name: Name,
    /// The scope that decides over it.
    pub scope: ScopeUid,
    /// The epoch of that block's voters. Whoever holds the keys of an earlier epoch can make proofs
    /// of it that hold.
    pub epoch: u64,
    /// How much weight decides there, or in a scope on the way that one lying anchor can fork.
    pub quorum: Quorum,
    /// The height of the scope's last block when the proof was made. A proof cannot show that
    /// there is none after it.
    pub height: u64,
    /// That block.
    pub block: Digest,
    /// Its time.
    pub time: Timestamp,
    /// The path in that scope at which the way ended: the name's own, or one above it.
    pub path: NamePath,
    /// What stands there; none if nothing does.
    pub slot: Option<Slot>,
    /// The slot of the wildcard that would answer instead.
    pub wildcard: Option<Slot>,
}

/// What a proof shows of one scope on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenScope {
    /// The scope.
    pub uid: ScopeUid,
    /// The descriptor in force after its last block.
    pub descriptor: Descriptor,
    /// The digest of every descriptor before that one, by epoch.
    pub before: Vec<Digest>,
    /// Its last block when the proof was made.
    pub head: Block,
    /// The slots on the way, the scope's own first; none of what does not exist.
    pub slots: Vec<(NamePath, Option<Slot>)>,
}

impl ProvenScope {
    /// Where the way in it ends.
    pub fn end(&self) -> Option<(&NamePath, Option<&Slot>)> {
        let (path, slot) = self.slots.last()?;
        Some((path, slot.as_ref()))
    }

    /// The child scope that the way ends at.
    pub fn child(&self) -> Option<ScopeUid> {
        self.end()?.1?.child()
    }
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// It begins with another genesis than the one that is trusted.
    #[error("scope {found} is not the expected {expected}")]
    Genesis {
        /// The scope that was trusted, or delegated to.
        expected: ScopeUid,
        /// The scope whose genesis it holds.
        found: ScopeUid,
    },
    /// A block does not continue what is known.
    #[error("block {height} of scope {scope}: its {field} is wrong")]
    Block {
        /// The scope, shortened.
        scope: String,
        /// The height.
        height: u64,
        /// The field.
        field: &'static str,
    },
    /// A certificate does not hold.
    #[error("block {height} of scope {scope}: {source}")]
    Certificate {
        /// The scope, shortened.
        scope: String,
        /// The height.
        height: u64,
        /// Why.
        source: CertificateRefused,
    },
    /// The parent scope did not confirm a block that would recover the scope, or not in time.
    #[error("block {height} of scope {scope}: no parent scope put this recovery in force")]
    Recovery {
        /// The scope, shortened.
        scope: String,
        /// The height.
        height: u64,
    },
    /// A slot does not follow from the state root.
    #[error("the slot {path} does not follow from the state root of scope {scope}")]
    Slot {
        /// The scope, shortened.
        scope: String,
        /// The path.
        path: NamePath,
    },
    /// Parts are missing or left over, or the name does not lie below the apex.
    #[error("the proof's parts do not fit the name")]
    Shape,
}

impl Proof {
    /// The scope that the proof begins with, not to be trusted.
    pub fn claimed_root(&self) -> Option<ScopeUid> {
        self.scopes.first().map(|scope| scope.genesis.scope_uid())
    }

    /// Checks everything from the genesis of a trusted apex on.
    pub fn verify(&self, apex: &Apex) -> Result<Proven, BadProof> {
        let (mut scopes, way) = self.open(apex)?;
        let mut quorums = scopes.iter().map(|scope| scope.descriptor.policy.quorum);
        let weakest = quorums.find(|quorum| quorum.is_crash_only());
        let last = scopes.pop().ok_or(BadProof::Shape)?;
        let block = &last.head;
        Ok(Proven {
            name: self.name.clone(),
            scope: last.uid,
            epoch: block.epoch,
            quorum: weakest.unwrap_or(last.descriptor.policy.quorum),
            height: block.height,
            block: block.digest(),
            time: block.time,
            path: way.path,
            slot: way.slot,
            wildcard: way.wildcard,
        })
    }

    /// The same; gives every scope on the way, the root first.
    pub fn verify_scopes(&self, apex: &Apex) -> Result<Vec<ProvenScope>, BadProof> {
        self.open(apex).map(|(scopes, _)| scopes)
    }

    /// The scopes on the way, not to be trusted.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeUid> + '_ {
        self.scopes.iter().map(|scope| scope.genesis.scope_uid())
    }

    /// The entry that it ends at, or the wildcard that stands for it; not to be trusted.
    pub fn entry(&self) -> Option<Uid> {
        match self
            .scopes
            .last()?
            .slots
            .last()?
            .slot
            .as_ref()?
            .entry
            .as_ref()?
        {
            Entry::Bound(version) => Some(version.uid),
            _ => None,
        }
    }

    /// The name that it is of.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The scopes on the way from a trusted apex, and where the way ends in the last one.
    fn open(&self, apex: &Apex) -> Result<(Vec<ProvenScope>, Way), BadProof> {
        let path = NamePath::between(&self.name, &apex.name);
        let mut labels: Vec<Vec<u8>> = path.ok_or(BadProof::Shape)?.labels().collect();
        let mut expected = apex.root;
        let mut opened: Vec<ProvenScope> = Vec::with_capacity(self.scopes.len());
        let mut scopes = self.scopes.iter();
        loop {
            let scope = scopes.next().ok_or(BadProof::Shape)?;
            // A scope hangs where it was founded to hang, or anybody could claim it for its own.
            if let Some(above) = opened.last()
                && scope.genesis.parent != Some(above.uid)
            {
                return Err(BadProof::Shape);
            }
            let descriptor = scope.verify_lineage(&expected, SCOPE_DEPTH_MAX)?.clone();
            let (way, slots) = scope.walk(&expected, &labels)?;
            opened.push(ProvenScope {
                uid: expected,
                descriptor,
                before: scope.descriptors_before(),
                head: scope.head.block.clone(),
                slots,
            });
            if scopes.as_slice().is_empty() {
                return Ok((opened, way));
            }
            expected = way.child().ok_or(BadProof::Shape)?;
            if way.path.label_count() != 1 {
                return Err(BadProof::Shape);
            }
            labels.drain(..way.path.label_count());
        }
    }
}

impl ScopeProof {
    /// Checks that the head follows from the genesis of a scope. Gives the descriptor in force. Scopes
    /// that recovered this one, and each other, are at most `depth`.
    fn verify_lineage(&self, uid: &ScopeUid, depth: u8) -> Result<&Descriptor, BadProof> {
        let genesis = &self.genesis;
        if genesis.scope_uid() != *uid || (genesis.scope, genesis.epoch) != (None, 0) {
            return Err(BadProof::Genesis {
                expected: *uid,
                found: genesis.scope_uid(),
            });
        }
        let mut voters = genesis;
        let mut last = (Digest::ZERO, None);
        for Handover { by, next } in &self.epochs {
            by.verify(uid, (voters, Some(next)), last, depth)?;
            let follows = by.block.next_descriptor == next.digest()
                && next.scope == Some(*uid)
                && next.epoch == voters.epoch + 1;
            if !follows {
                return Err(by.wrong(uid, "next descriptor"));
            }
            last = (by.block.digest(), Some(by.block.height));
            voters = next;
        }
        self.head
            .verify(uid, (voters, self.next.as_ref()), last, depth)?;
        let in_force = match &self.next {
            None => voters,
            Some(next) if next.scope == Some(*uid) && next.epoch == voters.epoch + 1 => next,
            Some(_) => return Err(self.head.wrong(uid, "next descriptor")),
        };
        if in_force.digest() != self.head.block.next_descriptor {
            return Err(self.head.wrong(uid, "next descriptor"));
        }
        Ok(in_force)
    }

    /// The digests of the descriptors that were in force, but for the present one.
    fn descriptors_before(&self) -> Vec<Digest> {
        let mut before = vec![self.genesis.digest()];
        before.extend(self.epochs.iter().map(|epoch| epoch.next.digest()));
        if self.next.is_none() {
            before.pop();
        }
        before
    }

    /// Follows labels down the scope until something ends the way.
    #[expect(clippy::type_complexity, reason = "the way and what was seen on it")]
    fn walk(
        &self,
        uid: &ScopeUid,
        labels: &[Vec<u8>],
    ) -> Result<(Way, Vec<(NamePath, Option<Slot>)>), BadProof> {
        let mut slots = self.slots.iter();
        let mut seen = Vec::with_capacity(self.slots.len());
        let way = Way::follow(labels, |path| {
            let proven = slots.next().ok_or(BadProof::Shape)?;
            proven.verify(uid, path, &self.head.block.state_root)?;
            seen.push((path.clone(), proven.slot.clone()));
            Ok(proven.slot.clone())
        })?;
        match slots.next() {
            None => Ok((way, seen)),
            Some(_) => Err(BadProof::Shape),
        }
    }
}

impl Certified {
    /// Checks a block of a lineage against the descriptor in force and the last handover. Anchors
    /// decided it, or their parent in their place.
    fn verify(
        &self,
        uid: &ScopeUid,
        (voters, next): (&Descriptor, Option<&Descriptor>),
        (last, height): (Digest, Option<u64>),
        depth: u8,
    ) -> Result<(), BadProof> {
        let block = &self.block;
        let field = if block.scope != *uid {
            "scope"
        } else if (block.epoch, block.descriptor) != (voters.epoch, voters.digest()) {
            "descriptor"
        } else if block.prev_epoch_block != last {
            "epoch link"
        } else if height.is_some_and(|height| block.height <= height) {
            "height"
        } else if let Some(warrant) = self.certificate.warrant_of(block) {
            return warrant::check(block, warrant, (voters, next), depth);
        } else {
            let verified = self.certificate.verify(block, voters);
            return verified.map_err(|source| BadProof::Certificate {
                scope: uid.short(),
                height: block.height,
                source,
            });
        };
        Err(self.wrong(uid, field))
    }

    fn wrong(&self, uid: &ScopeUid, field: &'static str) -> BadProof {
        BadProof::Block {
            scope: uid.short(),
            height: self.block.height,
            field,
        }
    }
}

impl ProvenSlot {
    fn verify(&self, uid: &ScopeUid, path: &NamePath, root: &Digest) -> Result<(), BadProof> {
        let (position, value) = trie::slot_leaf(path, self.slot.as_ref());
        if self.path.root(&position, value.as_ref()) == Some(*root) {
            return Ok(());
        }
        Err(BadProof::Slot {
            scope: uid.short(),
            path: path.clone(),
        })
    }
}

impl Canonical for ProvenSlot {
    fn encode(&self, out: &mut Encoder) {
        out.option(self.slot.as_ref());
        self.path.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            slot: input.option()?,
            path: TriePath::decode(input)?,
        })
    }
}

impl Canonical for Handover {
    fn encode(&self, out: &mut Encoder) {
        self.by.encode(out);
        self.next.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            by: Certified::decode(input)?,
            next: Descriptor::decode(input)?,
        })
    }
}

impl Canonical for ScopeProof {
    fn encode(&self, out: &mut Encoder) {
        self.genesis.encode(out);
        out.list(&self.epochs);
        self.head.encode(out);
        out.option(self.next.as_ref());
        out.list(&self.slots);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            genesis: Descriptor::decode(input)?,
            epochs: input.list("epochs", PROOF_EPOCHS_MAX)?,
            head: Certified::decode(input)?,
            next: input.option()?,
            slots: input.list("slots", NAME_LABELS_MAX + 1)?,
        })
    }
}

impl Canonical for Proof {
    fn encode(&self, out: &mut Encoder) {
        self.name.encode(out);
        out.list(&self.scopes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: Name::decode(input)?,
            scopes: input.list("scopes", usize::from(SCOPE_DEPTH_MAX) + 1)?,
        })
    }
}

impl Form for Proof {
    const LABEL: &'static str = "kedge/proof";
    const VERSION: u8 = 6;
}

impl TextForm for Proof {
    const PREFIX: &'static str = "kedge-proof-1:";
    const TEXT_BYTES_MAX: usize = PROOF_TEXT_BYTES_MAX;
}
