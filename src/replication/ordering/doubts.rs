//! `Doubts`: what a node may have signed that its disk does not say, and up to which heights.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::terms::Standing;

/// Why the rows of a node's anchors may be old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Old {
    /// What is kept beside them says that there were more, and up to which heights.
    Behind,
    /// They are gone, and with them what is kept beside them.
    Lost,
    /// What is kept beside them is gone.
    Unmarked,
    /// Others showed what an anchor here signed and does not know.
    Shown,
}

tagged!(
    Old,
    "reason for doubt",
    Self::Behind = 0,
    Self::Lost = 1,
    Self::Unmarked = 2,
    Self::Shown = 3,
);

impl Old {
    /// Whether it is known of every scope up to which height something was signed.
    const fn is_measured(self) -> bool {
        matches!(self, Self::Behind)
    }
}

impl fmt::Display for Old {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Behind => "ordering.redb is older than ordering.mark beside it",
            Self::Lost => "ordering.redb was not there, though the index is not new",
            Self::Unmarked => "ordering.mark was not there, though ordering.redb is not new",
            Self::Shown => "others were sent votes of this node that ordering.redb does not hold",
        })
    }
}

/// What a node cannot vouch for. Nothing, as a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Why, and since when; the last reason there was.
    pub old: Option<(Old, Timestamp)>,
    /// Whether scopes without a height are doubted, too.
    pub is_open: bool,
    /// By scope, the heights up to which seats sit out.
    pub up_to: BTreeMap<ScopeUid, u64>,
}

impl Doubts {
    /// Takes note of a reason. Unless it is measured, nothing is known of any scope from here on.
    pub fn begin(&mut self, old: Old, now: Timestamp) {
        self.old = Some((old, now));
        if !old.is_measured() {
            self.is_open = true;
            self.up_to.clear();
        }
    }

    /// Seats sit out up to a height of a scope. Gives whether it is news.
    pub fn carry(&mut self, scope: ScopeUid, height: u64) -> bool {
        let is_higher = self.up_to.get(&scope).is_none_or(|up_to| *up_to < height);
        if is_higher {
            self.up_to.insert(scope, height);
        }
        is_higher
    }

    /// Whether it is not known yet up to which height seats of a scope sit out.
    pub fn is_open_in(&self, scope: &ScopeUid) -> bool {
        self.is_open && !self.up_to.contains_key(scope)
    }

    /// Whether it is known that seats sit a height out.
    pub fn covers(&self, scope: &ScopeUid, height: u64) -> bool {
        let up_to = self.up_to.get(scope);
        up_to.is_some_and(|up_to| height <= *up_to)
    }

    /// Whether what is stored for a scope is the newest, as far as it is known here.
    pub fn standing(&self, scope: &ScopeUid) -> Standing {
        match self.up_to.get(scope) {
            Some(up_to) => Standing::Doubted(Some(*up_to)),
            None if self.is_open_in(scope) => Standing::Doubted(None),
            None => Standing::Proven,
        }
    }

    /// Why seats sit a height out, for people; none if they do not.
    pub fn concern(&self, scope: &ScopeUid, height: u64) -> Option<String> {
        let (old, since) = self.old?;
        let until = match self.up_to.get(scope) {
            Some(up_to) if height <= *up_to => {
                format!("until height {up_to} is decided by others")
            }
            None if self.is_open => "until other anchors were heard".to_owned(),
            _ => return None,
        };
        Some(format!(
            "anchors here neither vote nor propose {until}: {old}, found {since}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;

    fn scope(text: &str) -> ScopeUid {
        ScopeUid::new(Digest::of_bytes("test", text.as_bytes()))
    }

    #[test]
    fn measured_doubts_concern_the_scopes_that_were_voted_in() {
        let now = Timestamp::from_millis(7);
        let mut doubts = Doubts::default();
        assert_eq!(doubts.standing(&scope("a")), Standing::Proven);
        doubts.begin(Old::Behind, now);
        assert!(doubts.carry(scope("a"), 9) && !doubts.carry(scope("a"), 8));
        assert_eq!(doubts.standing(&scope("a")), Standing::Doubted(Some(9)));
        assert_eq!(doubts.standing(&scope("b")), Standing::Proven);
        assert!(doubts.concern(&scope("a"), 9).unwrap().contains("height 9"));
        assert_eq!(doubts.concern(&scope("a"), 10), None);
    }

    #[test]
    fn unmeasured_ones_concern_every_scope_until_others_were_heard() {
        let now = Timestamp::from_millis(7);
        let mut doubts = Doubts::default();
        doubts.begin(Old::Behind, now);
        doubts.carry(scope("a"), 2);
        doubts.begin(Old::Shown, now);
        assert!(doubts.is_open_in(&scope("a")) && !doubts.covers(&scope("a"), 2));
        assert_eq!(doubts.standing(&scope("a")), Standing::Doubted(None));
        assert!(doubts.concern(&scope("a"), 3).is_some());
        doubts.carry(scope("a"), 3);
        assert!(!doubts.is_open_in(&scope("a")) && doubts.is_open_in(&scope("b")));
        assert!(doubts.covers(&scope("a"), 3) && !doubts.covers(&scope("a"), 4));
        assert_eq!(doubts.concern(&scope("a"), 4), None);
        // The next reason leaves the earlier one's scopes open.
        doubts.begin(Old::Behind, now);
        assert_eq!(doubts.old, Some((Old::Behind, now)));
        assert!(doubts.is_open_in(&scope("b")));
        doubts.begin(Old::Shown, now);
        assert!(doubts.is_open_in(&scope("a")));
    }
}
