//! `Op`: one change, and `Precondition`: what must still hold when it happens.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::limits::{ANCHORS_MAX, LABEL_BYTES_MAX, PASSAGE_BYTES_MAX, SETS_PER_NAME_MAX};
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::Tag;

use super::anchor::SeatSignature;
use super::descriptor::Descriptor;
use super::policy::Class;
use super::recovery::RecoveryOffer;

/// One change to one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Binds a free or retired path to a new UID.
    Register {
        /// Where.
        path: NamePath,
        /// Its record sets, each type once.
        sets: Vec<RecordSet>,
    },
    /// Changes record sets of a bound entry.
    Update {
        /// Where.
        path: NamePath,
        /// The changes, each type once.
        changes: Vec<SetChange>,
        /// The author knows that no record set may be left.
        may_empty: bool,
    },
    /// Gives a tag to a version of a bound entry, or takes it away.
    Tag {
        /// Where.
        path: NamePath,
        /// The tag.
        tag: Tag,
        /// The version's number; none to take the tag away.
        number: Option<u64>,
    },
    /// Ends an entry or a redirect; the name answers NXDOMAIN from then on. Gives a reserved path
    /// back, as if it had never been reserved.
    Retire {
        /// Where.
        path: NamePath,
    },
    /// Gives an entry, or a whole subtree, another name in the same scope.
    Rename {
        /// The old path, which redirects from then on.
        from: NamePath,
        /// The new path.
        to: NamePath,
        /// Whether everything below goes along.
        subtree: bool,
    },
    /// Keeps a path free for an entry that another scope is about to transfer here.
    Reserve {
        /// Where.
        path: NamePath,
        /// Which entry.
        uid: Uid,
        /// The scope it comes from.
        from: ScopeUid,
    },
    /// Gives an entry to another scope. This is the commit point of a move.
    Transfer {
        /// The old path, which redirects from then on.
        path: NamePath,
        /// The scope it goes to.
        to: ScopeUid,
        /// Its path there.
        to_path: NamePath,
    },
    /// Takes an entry that another scope transferred here.
    Adopt {
        /// The reserved path.
        path: NamePath,
        /// The entry's UID.
        uid: Uid,
        /// The number of its head version in the old scope.
        number: u64,
        /// The scope it comes from.
        from: ScopeUid,
        /// What proves that it left there for here, and what it was: a passage of the index.
        passage: Vec<u8>,
    },
    /// Hands a label to a new scope with its own anchors.
    Delegate {
        /// The edge.
        label: Vec<u8>,
        /// The child's genesis descriptor.
        child: Box<Descriptor>,
        /// Signatures of the child's anchors that accept their seats.
        seats: Vec<SeatSignature>,
    },
    /// Changes the anchors or the policy from the next block on.
    Reconfigure {
        /// The descriptor of the next epoch. That its anchors accept their seats is recorded
        /// beside the proposal: they may come after it was made.
        next: Box<Descriptor>,
    },
    /// Announces that other anchors will take over a child scope whose own are lost.
    Recover {
        /// The edge.
        label: Vec<u8>,
        /// How long that stays public at least before it can be confirmed, in seconds. What the child
        /// itself asks for is looked at again where its block is added.
        delay_secs: u64,
        /// The child's block that does it.
        offer: Box<RecoveryOffer>,
    },
    /// Puts an announced recovery in force.
    Confirm {
        /// The edge.
        label: Vec<u8>,
    },
    /// Takes an announced recovery back.
    Abandon {
        /// The edge.
        label: Vec<u8>,
    },
}

/// A change of one record set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetChange {
    /// The type has these records from now on.
    Put(RecordSet),
    /// The type has no records from now on.
    Remove(RecordType),
}

impl SetChange {
    /// The type it changes.
    pub fn kind(&self) -> RecordType {
        match self {
            Self::Put(set) => set.kind(),
            Self::Remove(kind) => *kind,
        }
    }
}

impl Op {
    /// The class of the change.
    pub fn class(&self) -> Class {
        match self {
            Self::Register { .. }
            | Self::Update { .. }
            | Self::Tag { .. }
            | Self::Retire { .. }
            | Self::Reserve { .. }
            | Self::Transfer { .. }
            | Self::Adopt { .. } => Class::Routine,
            Self::Rename { .. } => Class::Alias,
            Self::Delegate { .. }
            | Self::Reconfigure { .. }
            | Self::Recover { .. }
            | Self::Confirm { .. }
            | Self::Abandon { .. } => Class::Governance,
        }
    }

    /// The verb, for people.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Update { .. } => "update",
            Self::Tag { .. } => "tag",
            Self::Retire { .. } => "retire",
            Self::Rename { .. } => "rename",
            Self::Reserve { .. } => "reserve",
            Self::Transfer { .. } => "transfer",
            Self::Adopt { .. } => "adopt",
            Self::Delegate { .. } => "delegate",
            Self::Reconfigure { .. } => "reconfigure",
            Self::Recover { .. } => "recover",
            Self::Confirm { .. } => "confirm",
            Self::Abandon { .. } => "abandon",
        }
    }

    /// The path it changes, if it is about one.
    pub fn path(&self) -> Option<NamePath> {
        match self {
            Self::Register { path, .. }
            | Self::Update { path, .. }
            | Self::Tag { path, .. }
            | Self::Retire { path }
            | Self::Reserve { path, .. }
            | Self::Transfer { path, .. }
            | Self::Adopt { path, .. } => Some(path.clone()),
            Self::Rename { from, .. } => Some(from.clone()),
            Self::Delegate { label, .. }
            | Self::Recover { label, .. }
            | Self::Confirm { label }
            | Self::Abandon { label } => Some(NamePath::empty().child(label)),
            Self::Reconfigure { .. } => None,
        }
    }
}

/// What must hold when a proposal is applied; compare-and-set for names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing live is at the path.
    Absent(NamePath),
    /// The entry is bound here and its head version has this number.
    VersionIs(Uid, u64),
    /// The scope is in this epoch.
    EpochIs(u64),
}

/// Stands for no version: they are counted from 1.
const UNTAGGED: u64 = 0;

impl Canonical for SetChange {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Put(set) => {
                out.u8(0);
                set.encode(out);
            }
            Self::Remove(kind) => {
                out.u8(1);
                kind.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => RecordSet::decode(input).map(Self::Put),
            1 => RecordType::decode(input).map(Self::Remove),
            tag => Err(DecodeError::Tag {
                what: "record set change",
                tag,
            }),
        }
    }
}

impl Canonical for Precondition {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Absent(path) => {
                out.u8(0);
                path.encode(out);
            }
            Self::VersionIs(uid, number) => {
                out.u8(1);
                uid.encode(out);
                out.u64(*number);
            }
            Self::EpochIs(epoch) => {
                out.u8(2);
                out.u64(*epoch);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => NamePath::decode(input).map(Self::Absent),
            1 => Ok(Self::VersionIs(Uid::decode(input)?, input.u64()?)),
            2 => input.u64().map(Self::EpochIs),
            tag => Err(DecodeError::Tag {
                what: "precondition",
                tag,
            }),
        }
    }
}

impl Canonical for Op {
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each change, nothing else"
    )]
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Register { path, sets } => {
                out.u8(0);
                path.encode(out);
                out.list(sets);
            }
            Self::Update {
                path,
                changes,
                may_empty,
            } => {
                out.u8(1);
                path.encode(out);
                out.list(changes);
                out.bool(*may_empty);
            }
            Self::Retire { path } => {
                out.u8(2);
                path.encode(out);
            }
            Self::Rename { from, to, subtree } => {
                out.u8(3);
                from.encode(out);
                to.encode(out);
                out.bool(*subtree);
            }
            Self::Reserve { path, uid, from } => {
                out.u8(4);
                path.encode(out);
                uid.encode(out);
                from.encode(out);
            }
            Self::Transfer { path, to, to_path } => {
                out.u8(5);
                path.encode(out);
                to.encode(out);
                to_path.encode(out);
            }
            Self::Adopt {
                path,
                uid,
                number,
                from,
                passage,
            } => {
                out.u8(6);
                path.encode(out);
                uid.encode(out);
                out.u64(*number);
                from.encode(out);
                out.bytes(passage);
            }
            Self::Delegate {
                label,
                child,
                seats,
            } => {
                out.u8(7);
                out.bytes(label);
                child.encode(out);
                out.list(seats);
            }
            Self::Reconfigure { next } => {
                out.u8(8);
                next.encode(out);
            }
            Self::Tag { path, tag, number } => {
                out.u8(9);
                path.encode(out);
                tag.encode(out);
                out.u64(number.unwrap_or(UNTAGGED));
            }
            Self::Recover {
                label,
                delay_secs,
                offer,
            } => {
                out.u8(10);
                out.bytes(label);
                out.u64(*delay_secs);
                offer.encode(out);
            }
            Self::Confirm { label } => {
                out.u8(11);
                out.bytes(label);
            }
            Self::Abandon { label } => {
                out.u8(12);
                out.bytes(label);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Register {
                path: NamePath::decode(input)?,
                sets: sets(input)?,
            },
            1 => Self::Update {
                path: NamePath::decode(input)?,
                changes: input.list("record set changes", SETS_PER_NAME_MAX)?,
                may_empty: input.bool()?,
            },
            2 => Self::Retire {
                path: NamePath::decode(input)?,
            },
            3 => Self::Rename {
                from: NamePath::decode(input)?,
                to: NamePath::decode(input)?,
                subtree: input.bool()?,
            },
            4 => Self::Reserve {
                path: NamePath::decode(input)?,
                uid: Uid::decode(input)?,
                from: ScopeUid::decode(input)?,
            },
            5 => Self::Transfer {
                path: NamePath::decode(input)?,
                to: ScopeUid::decode(input)?,
                to_path: NamePath::decode(input)?,
            },
            6 => Self::Adopt {
                path: NamePath::decode(input)?,
                uid: Uid::decode(input)?,
                number: input.u64()?,
                from: ScopeUid::decode(input)?,
                passage: input.bytes("passage", PASSAGE_BYTES_MAX)?.to_vec(),
            },
            7 => Self::Delegate {
                label: label(input)?,
                child: Box::new(Descriptor::decode(input)?),
                seats: input.list("seats", ANCHORS_MAX)?,
            },
            8 => Self::Reconfigure {
                next: Box::new(Descriptor::decode(input)?),
            },
            9 => Self::Tag {
                path: NamePath::decode(input)?,
                tag: Tag::decode(input)?,
                number: Some(input.u64()?).filter(|number| *number != UNTAGGED),
            },
            10 => Self::Recover {
                label: label(input)?,
                delay_secs: input.u64()?,
                offer: Box::new(RecoveryOffer::decode(input)?),
            },
            11 => Self::Confirm {
                label: label(input)?,
            },
            12 => Self::Abandon {
                label: label(input)?,
            },
            tag => {
                return Err(DecodeError::Tag {
                    what: "change",
                    tag,
                });
            }
        })
    }
}

fn sets(input: &mut Decoder<'_>) -> Result<Vec<RecordSet>, DecodeError> {
    input.list("record sets", SETS_PER_NAME_MAX)
}

fn label(input: &mut Decoder<'_>) -> Result<Vec<u8>, DecodeError> {
    let label = input.bytes("label", LABEL_BYTES_MAX)?;
    if label.is_empty() || label.iter().any(u8::is_ascii_uppercase) {
        return Err(DecodeError::NotCanonical { what: "label" });
    }
    Ok(label.to_vec())
}
