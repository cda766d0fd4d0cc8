//! `IndexRows`: every derived row of the index in order, for those who must see all of them.

use crate::namespace::uid::Uid;

use super::entry::Version;
use super::state::Location;
use super::trie::TrieView;
use super::view::{Decision, IndexView};

/// Full scans, in pages: up to `count` rows that come after `after`.
pub trait IndexRows: IndexView + TrieView<Failure = <Self as IndexView>::Error> {
    /// How many rows there are of each kind.
    fn row_counts(&self) -> Result<RowCounts, <Self as IndexView>::Error>;

    /// Where every entry was last bound.
    fn locations(
        &self,
        after: Option<&Uid>,
        count: usize,
    ) -> Result<Vec<(Uid, Location)>, <Self as IndexView>::Error>;

    /// Every version that is no longer a head.
    #[expect(clippy::type_complexity, reason = "rows are keys and values")]
    fn archive(
        &self,
        after: Option<&(Uid, u64)>,
        count: usize,
    ) -> Result<Vec<((Uid, u64), Version)>, <Self as IndexView>::Error>;

    /// Every proposal that was decided, and at which height.
    fn decisions(
        &self,
        after: Option<&Decision>,
        count: usize,
    ) -> Result<Vec<(Decision, u64)>, <Self as IndexView>::Error>;
}

/// How many rows of each kind an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// States of scopes.
    pub scopes: u64,
    /// Numbers of scopes.
    pub scope_numbers: u64,
    /// Descriptors from which scopes were founded.
    pub genesis: u64,
    /// Slots of all scopes.
    pub slots: u64,
    /// Places of entries.
    pub locations: u64,
    /// Versions that are no heads.
    pub archived: u64,
    /// Decided proposals.
    pub decided: u64,
    /// Votes on decided proposals that have not expired.
    pub ballots: u64,
    /// Headers with their certificates.
    pub blocks: u64,
    /// Bodies.
    pub bodies: u64,
    /// Commits in their order.
    pub commits: u64,
    /// Apexes.
    pub apexes: u64,
    /// Nodes of all tries.
    pub trie_nodes: u64,
}

impl RowCounts {
    /// The counts with the names of what they count.
    pub const fn named(&self) -> [(&'static str, u64); 13] {
        [
            ("scopes", self.scopes),
            ("scope numbers", self.scope_numbers),
            ("genesis descriptors", self.genesis),
            ("slots", self.slots),
            ("locations", self.locations),
            ("archived versions", self.archived),
            ("decided proposals", self.decided),
            ("ballots", self.ballots),
            ("blocks", self.blocks),
            ("bodies", self.bodies),
            ("commits", self.commits),
            ("apexes", self.apexes),
            ("trie nodes", self.trie_nodes),
        ]
    }
}
