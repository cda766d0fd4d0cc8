//! What verification can find, and where.

use std::fmt;

use crate::base::digest::Digest;
use crate::index::lineage::LinkError;
use crate::index::state::ScopeNo;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

/// A row of the index, as people look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The commit of a number.
    Commit(u64),
    /// A block, its body or its certificate.
    Block {
        /// The scope.
        scope: ScopeNo,
        /// The height.
        height: u64,
    },
    /// The descriptor from which a scope was founded.
    Genesis(ScopeNo),
    /// A scope's state.
    Scope(ScopeNo),
    /// The number of a scope.
    ScopeNumber(ScopeUid),
    /// A slot.
    Slot(ScopeNo, NamePath),
    /// Where an entry was last bound.
    Location(Uid),
    /// A version that is no head.
    Version(Uid, u64),
    /// Where a proposal was decided.
    Decided(Digest),
    /// The votes on a decided proposal.
    Ballot(Digest),
    /// A leaf of a scope's trie.
    Leaf(ScopeNo, Digest),
    /// A node of a scope's trie.
    TrieNode(ScopeNo),
    /// An apex.
    Apex(Name),
    /// The apex of a root scope.
    ApexOf(ScopeNo),
    /// Some row of a kind.
    Any(&'static str),
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(sequence) => write!(f, "commit {sequence}"),
            Self::Block { scope, height } => write!(f, "block {height} of scope {}", scope.0),
            Self::Genesis(scope) => write!(f, "the genesis of scope {}", scope.0),
            Self::Scope(scope) => write!(f, "the state of scope {}", scope.0),
            Self::ScopeNumber(uid) => write!(f, "the number of scope {}", uid.short()),
            Self::Slot(scope, path) => write!(f, "the slot {path} of scope {}", scope.0),
            Self::Location(uid) => write!(f, "the location of entry {uid}"),
            Self::Version(uid, number) => write!(f, "version {number} of entry {uid}"),
            Self::Decided(proposal) => write!(f, "the decision on proposal {}", proposal.short()),
            Self::Ballot(proposal) => write!(f, "the votes on proposal {}", proposal.short()),
            Self::Leaf(scope, at) => write!(f, "trie leaf {} of scope {}", at.short(), scope.0),
            Self::TrieNode(scope) => write!(f, "a trie node of scope {}", scope.0),
            Self::Apex(name) => write!(f, "the apex {name}"),
            Self::ApexOf(scope) => write!(f, "the apex of root scope {}", scope.0),
            Self::Any(kind) => write!(f, "one of the {kind}"),
        }
    }
}

/// The first thing that is wrong. `S` is what reading the store fails with, `F` what the index
/// into which it is replayed fails with.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError<S: std::error::Error + 'static, F: std::error::Error + 'static> {
    /// A stored row cannot be read.
    #[error("{row} cannot be read")]
    Unreadable {
        /// The row.
        row: Row,
        /// Why.
        source: S,
    },
    /// The index into which the lineage is replayed failed; it says nothing about the store.
    #[error("the index that is rebuilt for comparison failed")]
    Rebuild(#[source] F),
    /// The index into which the lineage is replayed holds something already.
    #[error("the index that is rebuilt for comparison is not empty")]
    NotEmpty,
    /// A block does not follow from those before it.
    #[error("scope {}, height {height}: {source}", .scope.0)]
    Link {
        /// The scope.
        scope: ScopeNo,
        /// The height.
        height: u64,
        /// Why.
        source: LinkError<F>,
    },
    /// A child scope whose parent never delegated it.
    #[error("scope {} was founded at height 0 and no block of its parent delegates it", .0.0)]
    NotDelegated(ScopeNo),
    /// A row that the lineage calls for is not stored.
    #[error("{0} is missing")]
    Missing(Row),
    /// A stored row that no lineage calls for.
    #[error("{0} is stored and follows from no block")]
    Extra(Row),
    /// A stored row is not what the lineage gives.
    #[error("{0} is not what the lineage gives")]
    Differs(Row),
    /// More or fewer rows than the lineage gives, none of them at a place that is ever read.
    #[error("{stored} {kind} are stored; the lineage gives {replayed}")]
    Count {
        /// What is counted.
        kind: &'static str,
        /// How many are stored.
        stored: u64,
        /// How many there should be.
        replayed: u64,
    },
}
