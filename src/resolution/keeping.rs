//! `Keeping`: for whom, and until when, the bytes of an answer stay what they are.
//!
//! Whoever reads something that an answer hangs on says so here while it is made. What nobody may
//! keep is said once and stays said.

use std::fmt;
use std::net::IpAddr;

use crate::base::reach::Reach;
use crate::base::time::Timestamp;

/// What an answer hangs on beside its question and the setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keeping {
    never: Option<&'static str>,
    reads_index: bool,
    /// None while no scope told callers apart.
    reach: Option<Reach>,
    /// Since when the TTLs in it count down; none if they stand still.
    ages_from: Option<Timestamp>,
    legacy: u8,
    /// When it is to be made anew, if that is before its TTLs are over.
    until: Option<Timestamp>,
    /// Whether part of it has TTLs that stand still.
    is_still: bool,
}

impl Keeping {
    /// Nothing so far.
    pub const NEW: Self = Self {
        never: None,
        reads_index: false,
        reach: None,
        ages_from: None,
        legacy: 0,
        until: None,
        is_still: false,
    };

    /// It is for this moment or this caller alone.
    pub fn never(&mut self, why: &'static str) {
        self.never = self.never.or(Some(why));
    }

    /// It was read from the index, and stands until that changes.
    pub fn reads_index(&mut self) {
        self.reads_index = true;
    }

    /// It is for these callers.
    pub fn is_for(&mut self, reach: Reach) {
        self.reach = Some(self.reach.map_or(reach, |before| before.and(reach)));
    }

    /// Part of it came out of the legacy cache, its TTLs whole seconds at a time.
    pub fn ages(&mut self, from: Timestamp) {
        let earliest = self.ages_from.map_or(from, |before| before.min(from));
        self.ages_from = Some(earliest);
        self.legacy = self.legacy.saturating_add(1);
    }

    /// Part of it is to be made anew at a time.
    pub fn lasts_until(&mut self, end: Timestamp) {
        self.until = Some(self.until.map_or(end, |before| before.min(end)));
    }

    /// Part of it is from here, and its TTLs stand still.
    pub fn stands_still(&mut self) {
        self.is_still = true;
    }

    /// Adds what a part of the answer hangs on.
    pub fn join(&mut self, part: &Self) {
        if let Some(why) = part.never {
            self.never(why);
        }
        self.reads_index |= part.reads_index;
        self.is_still |= part.is_still;
        if let Some(reach) = part.reach {
            self.is_for(reach);
        }
        if let Some(end) = part.until {
            self.lasts_until(end);
        }
        if let Some(from) = part.ages_from {
            self.ages(from);
            self.legacy = self.legacy.saturating_add(part.legacy.saturating_sub(1));
        }
    }

    /// Why nobody may keep it; none if somebody may.
    pub const fn why_never(&self) -> Option<&'static str> {
        if self.never.is_none() && self.is_still && self.ages_from.is_some() {
            return Some("some of its TTLs count down and some stand still");
        }
        self.never
    }

    /// Whether it ends with the next change of the index.
    pub const fn ends_with_the_index(&self) -> bool {
        self.reads_index
    }

    /// The callers who get the same, around one who got it.
    pub fn reach(&self, caller: IpAddr) -> Reach {
        self.reach.unwrap_or_else(|| Reach::around(caller))
    }

    /// Since when its TTLs count down; none if they stand still.
    pub const fn ages_from(&self) -> Option<Timestamp> {
        self.ages_from
    }

    /// When it is to be made anew; none if that is when its TTLs are over.
    pub const fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Answers of the legacy cache that it is made from.
    pub const fn legacy_parts(&self) -> u8 {
        self.legacy
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = self.why_never() {
            return write!(f, "no, {why}");
        }
        f.write_str(match (self.reads_index, self.ages_from.is_some()) {
            (true, true) => "while its TTL lasts and the index stays as it is",
            (true, false) => "while the index stays as it is",
            (false, true) => "while its TTL lasts",
            (false, false) => "until the next reload",
        })?;
        self.reach
            .iter()
            .try_for_each(|reach| write!(f, ", for callers from {reach}"))
    }
}
