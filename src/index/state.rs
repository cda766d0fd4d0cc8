//! `ScopeState`: where a scope's lineage stands, and the local numbers of scopes.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::{GRANTS_MAX, LABEL_BYTES_MAX, LEDGER_MAX};
use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;
use crate::governance::descriptor::Descriptor;
use crate::governance::trust::{Ledger, Tally};
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

/// A scope's number on this node: short keys in the store. Never signed, never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeNo(pub u32);

/// Where an entry is bound on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The scope.
    pub scope: ScopeNo,
    /// The path in it.
    pub path: NamePath,
}

/// The edge by which a scope hangs in its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The parent's number on this node.
    pub parent: ScopeNo,
    /// The label.
    pub label: Vec<u8>,
    /// Scopes between the apex and this one.
    pub depth: u8,
}

/// Where a scope's lineage stands on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeState {
    /// The scope.
    pub uid: ScopeUid,
    /// Its number here.
    pub no: ScopeNo,
    /// Its edge; none for the root of an apex.
    pub edge: Option<Edge>,
    /// The descriptor in force for the next block.
    pub descriptor: Descriptor,
    /// The digest of that descriptor.
    pub descriptor_digest: Digest,
    /// The height of the last block.
    pub height: u64,
    /// The digest of the last block.
    pub head: Digest,
    /// The time of the last block.
    pub head_time: Timestamp,
    /// The last block that changed the descriptor; zero if none did.
    pub last_epoch_block: Digest,
    /// The root of the state after the last block.
    pub state_root: Digest,
    /// The counter of the next UID.
    pub next_uid: u64,
    /// How many live entries the scope holds.
    pub live: u64,
    /// What keys did under their grants, each beside the first of its grants; shorter than the
    /// grants while the rest is unused.
    pub usage: Vec<Usage>,
    /// How the anchors voted so far.
    pub ledger: Ledger,
}

/// What one key did under its grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The day (UTC), counted from 1970-01-01.
    pub day: u32,
    /// Changes on that day.
    pub changes: u32,
}

impl ScopeState {
    /// The time of a block made now: a lineage's time only rises, also when the clock went back.
    pub fn next_time(&self, now: Timestamp) -> Timestamp {
        now.max(self.head_time.plus_millis(1))
    }

    /// How an anchor voted so far.
    pub fn tally(&self, anchor: &AnchorId) -> Tally {
        self.ledger.get(anchor).copied().unwrap_or_default()
    }

    /// The edge of a child at a label of this scope.
    pub fn child_edge(&self, label: &[u8]) -> Edge {
        let depth = self.edge.as_ref().map_or(0, |edge| edge.depth);
        Edge {
            parent: self.no,
            label: label.to_vec(),
            depth: depth.saturating_add(1),
        }
    }
}

impl Canonical for ScopeNo {
    fn encode(&self, out: &mut Encoder) {
        out.u32(self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.u32().map(Self)
    }
}

impl Canonical for Edge {
    fn encode(&self, out: &mut Encoder) {
        self.parent.encode(out);
        out.bytes(&self.label);
        out.u8(self.depth);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            parent: ScopeNo::decode(input)?,
            label: input.bytes("label", LABEL_BYTES_MAX)?.to_vec(),
            depth: input.u8()?,
        })
    }
}

impl Canonical for ScopeState {
    fn encode(&self, out: &mut Encoder) {
        self.uid.encode(out);
        self.no.encode(out);
        out.option(self.edge.as_ref());
        self.descriptor.encode(out);
        self.descriptor_digest.encode(out);
        out.u64(self.height);
        self.head.encode(out);
        self.head_time.encode(out);
        self.last_epoch_block.encode(out);
        self.state_root.encode(out);
        out.u64(self.next_uid);
        out.u64(self.live);
        out.list(&self.usage);
        out.count(self.ledger.len());
        for (anchor, tally) in &self.ledger {
            anchor.encode(out);
            tally.encode(out);
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            uid: ScopeUid::decode(input)?,
            no: ScopeNo::decode(input)?,
            edge: input.option()?,
            descriptor: Descriptor::decode(input)?,
            descriptor_digest: Digest::decode(input)?,
            height: input.u64()?,
            head: Digest::decode(input)?,
            head_time: Timestamp::decode(input)?,
            last_epoch_block: Digest::decode(input)?,
            state_root: Digest::decode(input)?,
            next_uid: input.u64()?,
            live: input.u64()?,
            usage: input.list("usage of grants", GRANTS_MAX)?,
            ledger: ledger(input)?,
        })
    }
}

fn ledger(input: &mut Decoder<'_>) -> Result<Ledger, DecodeError> {
    let mut ledger = Ledger::new();
    for _ in 0..input.count("ledger", LEDGER_MAX)? {
        let anchor = AnchorId::decode(input)?;
        if ledger
            .last_key_value()
            .is_some_and(|(last, _)| *last >= anchor)
        {
            return Err(DecodeError::NotCanonical { what: "ledger" });
        }
        ledger.insert(anchor, Tally::decode(input)?);
    }
    Ok(ledger)
}

impl Canonical for Usage {
    fn encode(&self, out: &mut Encoder) {
        out.u32(self.day);
        out.u32(self.changes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            day: input.u32()?,
            changes: input.u32()?,
        })
    }
}

impl Form for ScopeState {
    const LABEL: &'static str = "kedge/scope-state";
    const VERSION: u8 = 2;
}
