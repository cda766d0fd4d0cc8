//! `Standing`: whether what answers were made from is still what it was.

/// Numbers that rise with every change of what answers are made from. Two that are equal lie
/// before and after no change. Read it before an answer is made: what changes meanwhile is then
/// taken for newer than the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Setups that were put in force, with their zones, rules, access lists and upstreams.
    pub setup: u64,
    /// How often the legacy cache was told to forget.
    pub forgotten: u64,
    /// Commits of the index, entries that became services, and scopes that became stale or fresh.
    pub index: u64,
}

impl Standing {
    /// Whether zones, rules and what legacy DNS said are the same.
    pub const fn differs_by_the_index_alone(&self, other: &Self) -> bool {
        self.setup == other.setup && self.forgotten == other.forgotten
    }
}
