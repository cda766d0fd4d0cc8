//! `Grant`: what a key that is no anchor's may propose, and how much of it.

use std::fmt;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::limits::{REGION_BYTES_MAX, SETS_PER_NAME_MAX};
use crate::namespace::path::NamePath;
use crate::namespace::rtype::RecordType;

use super::name_pattern::NamePattern;
use super::op::Op;

/// What a grant lets a key do with names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Register new names.
    Register,
    /// Change record sets.
    Update,
    /// End names.
    Retire,
    /// Rename within the scope.
    Rename,
    /// Move to and from other scopes.
    Move,
    /// Announce instances; no change of the index.
    Announce,
}

impl Deed {
    /// Every deed, in order.
    pub const ALL: [Self; 6] = [
        Self::Register,
        Self::Update,
        Self::Retire,
        Self::Rename,
        Self::Move,
        Self::Announce,
    ];
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Register => "register",
            Self::Update => "update",
            Self::Retire => "retire",
            Self::Rename => "rename",
            Self::Move => "move",
            Self::Announce => "announce",
        })
    }
}

/// What one key may propose besides the anchors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The key.
    pub key: PublicKey,
    /// Who holds it; a label for people.
    pub holder: String,
    /// The names.
    pub names: NamePattern,
    /// The record types, sorted; empty for all.
    pub kinds: Vec<RecordType>,
    /// What it may do, sorted.
    pub deeds: Vec<Deed>,
    /// How many changes it may make in a day (UTC, by the time of blocks); 0 for any number.
    pub changes_per_day: u32,
}

impl Grant {
    /// The grant's digest, which names it.
    pub fn digest(&self) -> Digest {
        let mut out = Encoder::new();
        self.encode(&mut out);
        Digest::of_bytes("kedge/grant/1", &out.into_bytes())
    }

    /// The most changes of its key in a day under which it covers one more.
    pub const fn quota(&self) -> u32 {
        match self.changes_per_day {
            0 => u32::MAX,
            max => max,
        }
    }

    /// Whether the grant lets its key announce instances of an entry.
    pub fn covers_announcing(&self, path: &NamePath) -> bool {
        self.deeds.contains(&Deed::Announce) && self.names.matches_path(path)
    }

    /// Whether the grant covers a change.
    pub fn covers(&self, op: &Op) -> bool {
        let deed = |deed| self.deeds.contains(&deed);
        let every_kind = || self.kinds.is_empty();
        let kind = |kind: RecordType| every_kind() || self.kinds.contains(&kind);
        let name = |path: &NamePath| self.names.matches_path(path);
        match op {
            Op::Register { path, sets } => {
                deed(Deed::Register) && name(path) && sets.iter().all(|set| kind(set.kind()))
            }
            Op::Update { path, changes, .. } => {
                deed(Deed::Update) && name(path) && changes.iter().all(|change| kind(change.kind()))
            }
            // A tag speaks for records of every type.
            Op::Tag { path, .. } => deed(Deed::Update) && name(path) && every_kind(),
            // What ends or leaves takes every type along.
            Op::Retire { path } => deed(Deed::Retire) && name(path) && every_kind(),
            // A subtree may hold names that the pattern does not show.
            Op::Rename { from, to, subtree } => {
                deed(Deed::Rename) && !subtree && name(from) && name(to) && every_kind()
            }
            Op::Reserve { path, .. } | Op::Transfer { path, .. } | Op::Adopt { path, .. } => {
                deed(Deed::Move) && name(path) && every_kind()
            }
            Op::Delegate { .. }
            | Op::Reconfigure { .. }
            | Op::Recover { .. }
            | Op::Confirm { .. }
            | Op::Abandon { .. } => false,
        }
    }
}

crate::base::canonical::tagged!(
    Deed,
    "deed",
    Deed::Register = 0,
    Deed::Update = 1,
    Deed::Retire = 2,
    Deed::Rename = 3,
    Deed::Move = 4,
    Deed::Announce = 5,
);

impl Canonical for Grant {
    fn encode(&self, out: &mut Encoder) {
        self.key.encode(out);
        out.text(&self.holder);
        self.names.encode(out);
        out.list(&self.kinds);
        out.list(&self.deeds);
        out.u32(self.changes_per_day);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let grant = Self {
            key: PublicKey::decode(input)?,
            holder: input.text("holder of a grant", REGION_BYTES_MAX)?,
            names: NamePattern::decode(input)?,
            kinds: input.list("record types of a grant", SETS_PER_NAME_MAX)?,
            deeds: input.list("deeds of a grant", Deed::ALL.len())?,
            changes_per_day: input.u32()?,
        };
        if grant.kinds.is_sorted_by(|a, b| a < b) && grant.deeds.is_sorted_by(|a, b| a < b) {
            Ok(grant)
        } else {
            Err(DecodeError::NotCanonical { what: "grant" })
        }
    }
}
