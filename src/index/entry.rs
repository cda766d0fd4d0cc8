//! `Entry`: what a path of a scope holds, and `Version`: one state of a bound entry.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::limits::SETS_PER_NAME_MAX;
use crate::base::time::Timestamp;
use crate::governance::recovery::Recovery;
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::{Tagged, Which, read_tags};

/// Why a version came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The entry was created.
    Registered,
    /// Its record sets changed.
    Updated,
    /// A tag went to one of its versions, or from it.
    Tagged,
    /// Its path changed.
    Renamed {
        /// The path before.
        from: NamePath,
    },
    /// It came from another scope.
    Moved {
        /// The scope before.
        from: ScopeUid,
    },
    /// It ended.
    Retired,
}

/// One state of an entry. Each names the one before, so the head proves the whole history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The entry.
    pub uid: Uid,
    /// 1 for the first, one more with each change.
    pub number: u64,
    /// The digest of the version before; zero for the first.
    pub predecessor: Digest,
    /// The time of the block.
    pub time: Timestamp,
    /// The scope that decided it.
    pub scope: ScopeUid,
    /// The path in that scope after the change.
    pub path: NamePath,
    /// The proposal that made it.
    pub proposal: Digest,
    /// Why.
    pub change: Change,
    /// The record sets, in the order of their types.
    pub sets: Vec<RecordSet>,
    /// The tags of this and earlier versions as they are after the change, in order, each once.
    pub tags: Vec<Tagged>,
}

impl Version {
    /// The number of the version that is meant, if there can be one.
    pub fn number_of(&self, which: &Which) -> Option<u64> {
        match which {
            Which::Number(number) => (1..=self.number).contains(number).then_some(*number),
            Which::Tagged(tag) => {
                let tagged = self.tags.iter().find(|tagged| tagged.tag == *tag);
                tagged.map(|tagged| tagged.number)
            }
        }
    }

    /// The record set of a type.
    pub fn set(&self, kind: RecordType) -> Option<&RecordSet> {
        self.sets.iter().find(|set| set.kind() == kind)
    }

    /// The version's digest.
    pub fn digest(&self) -> Digest {
        Digest::of(self)
    }
}

/// Where a renamed or moved name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The entry; its present place is looked up by this first. None when a subtree or a
    /// delegation moved.
    pub uid: Option<Uid>,
    /// The scope it went to.
    pub scope: ScopeUid,
    /// Its path there.
    pub path: NamePath,
    /// Whether everything below went along (DNAME instead of CNAME).
    pub subtree: bool,
    /// The version that left for another scope; none where the entry stayed in this one.
    pub last: Option<Last>,
}

/// The last version of an entry in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// Its number.
    pub number: u64,
    /// Its digest.
    pub digest: Digest,
}

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A UID and its head version.
    Bound(Version),
    /// A redirect after rename or move.
    Moved(Redirect),
    /// A child scope.
    Delegated(ScopeUid),
    /// Nothing any more, and nothing else shall answer instead.
    Retired {
        /// The digest of the last version; zero when a redirect was retired.
        last: Digest,
    },
    /// Kept free for an entry of another scope; not visible to any question.
    Reserved {
        /// The entry that may come.
        uid: Uid,
        /// The scope it would come from.
        from: ScopeUid,
    },
}

impl Entry {
    /// Whether the name exists for DNS.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Bound(_) | Self::Moved(_) | Self::Delegated(_))
    }
}

/// A path's entry and what lies below it. Paths without an entry exist while names below them do:
/// they are the empty non-terminals, so that absence needs no search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slot {
    /// The entry, if there is one.
    pub entry: Option<Entry>,
    /// How many live entries lie below the path in this scope.
    pub below: u64,
    /// What was said last of the recovery of the child scope that is delegated to here.
    pub recovery: Option<Recovery>,
}

impl Slot {
    /// Whether the slot says nothing and need not be kept.
    pub const fn is_vacant(&self) -> bool {
        self.entry.is_none() && self.below == 0 && self.recovery.is_none()
    }

    /// Whether the entry is live.
    pub fn is_live(&self) -> bool {
        self.entry.as_ref().is_some_and(Entry::is_live)
    }

    /// The child scope that is delegated to here.
    pub const fn child(&self) -> Option<ScopeUid> {
        match &self.entry {
            Some(Entry::Delegated(child)) => Some(*child),
            _ => None,
        }
    }
}

impl Canonical for Change {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Registered => out.u8(0),
            Self::Updated => out.u8(1),
            Self::Renamed { from } => {
                out.u8(2);
                from.encode(out);
            }
            Self::Moved { from } => {
                out.u8(3);
                from.encode(out);
            }
            Self::Retired => out.u8(4),
            Self::Tagged => out.u8(5),
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Registered),
            1 => Ok(Self::Updated),
            2 => Ok(Self::Renamed {
                from: NamePath::decode(input)?,
            }),
            3 => Ok(Self::Moved {
                from: ScopeUid::decode(input)?,
            }),
            4 => Ok(Self::Retired),
            5 => Ok(Self::Tagged),
            tag => Err(DecodeError::Tag {
                what: "kind of version",
                tag,
            }),
        }
    }
}

impl Canonical for Version {
    fn encode(&self, out: &mut Encoder) {
        self.uid.encode(out);
        out.u64(self.number);
        self.predecessor.encode(out);
        self.time.encode(out);
        self.scope.encode(out);
        self.path.encode(out);
        self.proposal.encode(out);
        self.change.encode(out);
        out.list(&self.sets);
        out.list(&self.tags);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            uid: Uid::decode(input)?,
            number: input.u64()?,
            predecessor: Digest::decode(input)?,
            time: Timestamp::decode(input)?,
            scope: ScopeUid::decode(input)?,
            path: NamePath::decode(input)?,
            proposal: Digest::decode(input)?,
            change: Change::decode(input)?,
            sets: input.list("record sets", SETS_PER_NAME_MAX)?,
            tags: read_tags(input)?,
        })
    }
}

impl Form for Version {
    const LABEL: &'static str = "kedge/version";
    const VERSION: u8 = 2;
}

impl Canonical for Redirect {
    fn encode(&self, out: &mut Encoder) {
        out.option(self.uid.as_ref());
        self.scope.encode(out);
        self.path.encode(out);
        out.bool(self.subtree);
        out.option(self.last.as_ref());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            uid: input.option()?,
            scope: ScopeUid::decode(input)?,
            path: NamePath::decode(input)?,
            subtree: input.bool()?,
            last: input.option()?,
        })
    }
}

impl Canonical for Last {
    fn encode(&self, out: &mut Encoder) {
        out.u64(self.number);
        self.digest.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: input.u64()?,
            digest: Digest::decode(input)?,
        })
    }
}

impl Canonical for Entry {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Bound(version) => {
                out.u8(0);
                version.encode(out);
            }
            Self::Moved(redirect) => {
                out.u8(1);
                redirect.encode(out);
            }
            Self::Delegated(child) => {
                out.u8(2);
                child.encode(out);
            }
            Self::Retired { last } => {
                out.u8(3);
                last.encode(out);
            }
            Self::Reserved { uid, from } => {
                out.u8(4);
                uid.encode(out);
                from.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Version::decode(input).map(Self::Bound),
            1 => Redirect::decode(input).map(Self::Moved),
            2 => ScopeUid::decode(input).map(Self::Delegated),
            3 => Ok(Self::Retired {
                last: Digest::decode(input)?,
            }),
            4 => Ok(Self::Reserved {
                uid: Uid::decode(input)?,
                from: ScopeUid::decode(input)?,
            }),
            tag => Err(DecodeError::Tag { what: "entry", tag }),
        }
    }
}

impl Canonical for Slot {
    fn encode(&self, out: &mut Encoder) {
        out.option(self.entry.as_ref());
        out.u64(self.below);
        out.option(self.recovery.as_ref());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            entry: input.option()?,
            below: input.u64()?,
            recovery: input.option()?,
        })
    }
}

impl Form for Slot {
    const LABEL: &'static str = "kedge/slot";
    const VERSION: u8 = 4;
}
