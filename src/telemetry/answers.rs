//! `Counts`: answers by where they came from and what they say.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::durations::{Durations, add_alone, add_together, read};
use super::scopes::{SLOTS, ScopeSlot};

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The governed index.
    Governed,
    /// A zone file.
    Zone,
    /// Legacy DNS.
    Legacy,
    /// Built in: special-use names.
    BuiltIn,
    /// Nowhere: nothing was looked up.
    Refused,
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 5] = [
        Self::Governed,
        Self::Zone,
        Self::Legacy,
        Self::BuiltIn,
        Self::Refused,
    ];

    const fn place(self) -> usize {
        match self {
            Self::Governed => 0,
            Self::Zone => 1,
            Self::Legacy => 2,
            Self::BuiltIn => 3,
            Self::Refused => 4,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Governed => "governed",
            Self::Zone => "zone",
            Self::Legacy => "legacy",
            Self::BuiltIn => "built-in",
            Self::Refused => "refused",
        })
    }
}

/// Why nothing was looked up for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read.
    Malformed,
    /// Its opcode or type is not implemented.
    NotImplemented,
    /// It is of another version of EDNS.
    Version,
    /// Its class or type is not served to anybody.
    NotServed,
    /// Its sender gets no answer at all.
    Access,
    /// Its sender gets no names resolved that are not served here.
    Recursion,
    /// Its signature does not hold.
    Signature,
    /// There was no room for it to wait.
    Overload,
    /// Its cookie is none of this node, or was all that it had.
    Cookie,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::NotImplemented,
        Self::Version,
        Self::NotServed,
        Self::Access,
        Self::Recursion,
        Self::Signature,
        Self::Overload,
        Self::Cookie,
    ];

    fn place(self) -> usize {
        let mut all = Self::ALL.into_iter();
        all.position(|one| one == self).unwrap_or(0)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Malformed => "malformed",
            Self::NotImplemented => "not-implemented",
            Self::Version => "version",
            Self::NotServed => "not-served",
            Self::Access => "access",
            Self::Recursion => "recursion",
            Self::Signature => "signature",
            Self::Overload => "overload",
            Self::Cookie => "cookie",
        })
    }
}

/// Why a message was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is no question: too short, or a response.
    NoQuestion,
    /// It came from a port to which nothing can be sent.
    NoPort,
    /// There were too many answers to its network.
    Limit,
}

impl Dropped {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::NoQuestion, Self::NoPort, Self::Limit];

    const fn place(self) -> usize {
        match self {
            Self::NoQuestion => 0,
            Self::NoPort => 1,
            Self::Limit => 2,
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoQuestion => "no-question",
            Self::NoPort => "no-port",
            Self::Limit => "limit",
        })
    }
}

/// Response codes that are told apart, and how they are printed.
pub const RCODES: [&str; 14] = [
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
    "BADVERS",
    "BADCOOKIE",
    "other",
];

/// The place of a response code in [`RCODES`].
pub const fn rcode_place(code: u16) -> usize {
    match code {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 3,
        4 => 4,
        5 => 5,
        6 => 6,
        7 => 7,
        8 => 8,
        9 => 9,
        10 => 10,
        16 => 11,
        23 => 12,
        _ => 13,
    }
}

/// What of an answer is counted. It is kept with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Where it came from.
    pub route: Route,
    /// Its response code.
    pub rcode: u16,
    /// The scope that decides over the name.
    pub scope: ScopeSlot,
    /// Why nothing was looked up, if so.
    pub refusal: Option<Refusal>,
}

impl Account {
    /// That of an answer with a response code from somewhere.
    pub const fn of(route: Route, rcode: u16) -> Self {
        Self {
            route,
            rcode,
            scope: ScopeSlot::NONE,
            refusal: None,
        }
    }

    /// That of a refusal.
    pub const fn refused(refusal: Refusal, rcode: u16) -> Self {
        Self {
            refusal: Some(refusal),
            ..Self::of(Route::Refused, rcode)
        }
    }
}

type ByRoute<T> = [T; Route::ALL.len()];
type ByRcode = [AtomicU64; RCODES.len()];

/// Some of the counts. On lines of memory of its own, so that threads do not take them from each other.
#[derive(Debug)]
#[repr(align(128))]
pub struct Part {
    kept: ByRoute<ByRcode>,
    made: ByRoute<ByRcode>,
    durations: ByRoute<Durations>,
    refused: [AtomicU64; Refusal::ALL.len()],
    dropped: [AtomicU64; Dropped::ALL.len()],
    /// Questions that an answer was looked for in vain among those that are kept.
    misses: AtomicU64,
    scopes: Box<[AtomicU64]>,
    kept_count: AtomicU64,
    kept_bytes: AtomicU64,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            kept: ByRoute::default(),
            made: ByRoute::default(),
            durations: ByRoute::default(),
            refused: Default::default(),
            dropped: Default::default(),
            misses: AtomicU64::new(0),
            scopes: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            kept_count: AtomicU64::new(0),
            kept_bytes: AtomicU64::new(0),
        }
    }
}

impl Part {
    fn cells(&self) -> impl Iterator<Item = &AtomicU64> {
        let answers = self.kept.iter().chain(&self.made).flatten();
        let others = self.refused.iter().chain(&self.dropped);
        let gauges = [&self.misses, &self.kept_count, &self.kept_bytes];
        answers.chain(others).chain(&self.scopes).chain(gauges)
    }

    /// Adds what another part counted.
    pub(super) fn add_all(&self, other: &Self) {
        for (to, from) in self.cells().zip(other.cells()) {
            add_together(to, read(from));
        }
        for (to, from) in self.durations.iter().zip(&other.durations) {
            to.add_all(from);
        }
    }

    /// Answers from somewhere with a response code, by its place in [`RCODES`].
    pub fn answered(&self, route: Route, rcode: usize) -> u64 {
        [&self.kept, &self.made]
            .map(|all| cell(all, route, rcode).map_or(0, read))
            .iter()
            .sum()
    }

    /// Answers that were kept and given again.
    pub fn hits(&self) -> u64 {
        self.kept.iter().flatten().map(read).sum()
    }

    /// Questions that an answer was looked for in vain among those that are kept.
    pub fn misses(&self) -> u64 {
        read(&self.misses)
    }

    /// How many answers are kept, and their bytes.
    pub fn held(&self) -> (u64, u64) {
        (read(&self.kept_count), read(&self.kept_bytes))
    }

    /// How long answers from somewhere took.
    pub fn durations(&self, route: Route) -> Option<&Durations> {
        self.durations.get(route.place())
    }

    /// Messages that were refused for a reason.
    pub fn refused(&self, why: Refusal) -> u64 {
        self.refused.get(why.place()).map_or(0, read)
    }

    /// Messages that were not answered for a reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped.get(why.place()).map_or(0, read)
    }

    /// Questions over which a scope decides.
    pub fn asked(&self, slot: ScopeSlot) -> u64 {
        self.scopes.get(slot.place()).map_or(0, read)
    }
}

fn cell(all: &ByRoute<ByRcode>, route: Route, rcode: usize) -> Option<&AtomicU64> {
    all.get(route.place())?.get(rcode)
}

/// Adds to a part.
#[derive(Debug, Clone)]
pub struct Counts {
    part: Arc<Part>,
    is_alone: bool,
}

impl Counts {
    pub(super) fn alone() -> (Self, Arc<Part>) {
        let part = Arc::<Part>::default();
        let counts = Self {
            part: Arc::clone(&part),
            is_alone: true,
        };
        (counts, part)
    }

    pub(super) fn together() -> Self {
        Self {
            part: Arc::default(),
            is_alone: false,
        }
    }

    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    fn add(&self, cell: &AtomicU64, more: u64) {
        if self.is_alone {
            add_alone(cell, more);
        } else {
            add_together(cell, more);
        }
    }

    fn answer(&self, all: &ByRoute<ByRcode>, account: Account) {
        if let Some(cell) = cell(all, account.route, rcode_place(account.rcode)) {
            self.add(cell, 1);
        }
        let scopes = &self.part.scopes;
        if account.scope != ScopeSlot::NONE
            && let Some(cell) = scopes.get(account.scope.place())
        {
            self.add(cell, 1);
        }
    }

    /// An answer that was kept was given again.
    pub fn kept(&self, account: Account) {
        self.answer(&self.part.kept, account);
    }

    /// An answer was made.
    pub fn made(&self, account: Account) {
        self.answer(&self.part.made, account);
        if let Some(why) = account.refusal
            && let Some(cell) = self.part.refused.get(why.place())
        {
            self.add(cell, 1);
        }
    }

    /// No kept answer was found.
    pub fn missed(&self) {
        self.add(&self.part.misses, 1);
    }

    /// A message is not answered.
    pub fn dropped(&self, why: Dropped) {
        if let Some(cell) = self.part.dropped.get(why.place()) {
            self.add(cell, 1);
        }
    }

    /// So many answers from somewhere took so long each.
    pub fn took(&self, route: Route, nanos: u64, count: u64) {
        if let Some(durations) = self.part.durations(route) {
            durations.add(nanos, count, |cell, more| self.add(cell, more));
        }
    }

    /// So many answers are kept now, of so many bytes.
    pub fn holds(&self, count: usize, bytes: usize) {
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.part.kept_count.store(number(count), Ordering::Relaxed);
        self.part.kept_bytes.store(number(bytes), Ordering::Relaxed);
    }
}

/// Answers of one batch that leave together, by where they came from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Batch(ByRoute<u32>);

impl Batch {
    /// One more.
    pub fn add(&mut self, route: Route) {
        if let Some(count) = self.0.get_mut(route.place()) {
            *count += 1;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// All of them left, and there is none any more.
    pub fn left(&mut self, counts: &Counts, nanos: u64) {
        for (route, count) in Route::ALL.into_iter().zip(&mut self.0) {
            match std::mem::take(count) {
                0 => {}
                some => counts.took(route, nanos, some.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_lists() {
        for (place, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route.place(), place);
        }
        for (place, why) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(why.place(), place);
        }
        for (code, text) in [
            (0, "NOERROR"),
            (10, "NOTZONE"),
            (16, "BADVERS"),
            (23, "BADCOOKIE"),
            (24, "other"),
        ] {
            assert_eq!(RCODES[rcode_place(code)], text);
        }
    }

    #[test]
    fn a_refusal_is_counted_as_an_answer_and_by_its_reason() {
        let counts = Counts::together();
        counts.made(Account::refused(Refusal::Access, 5));
        let part = counts.part();
        assert_eq!(part.refused(Refusal::Access), 1);
        assert_eq!(part.answered(Route::Refused, 5), 1);
        assert_eq!((part.hits(), part.misses()), (0, 0));
    }

    #[test]
    fn a_batch_is_counted_once_with_the_time_of_all() {
        let (counts, part) = Counts::alone();
        let mut batch = Batch::default();
        batch.add(Route::Governed);
        batch.add(Route::Governed);
        batch.left(&counts, 20_000);
        assert!(batch.is_empty());
        batch.left(&counts, 20_000);
        let durations = part.durations(Route::Governed).unwrap();
        let (counts, all) = durations.cumulative();
        assert_eq!((counts[0], counts[1], all), (0, 2, 2));
        assert_eq!(durations.nanos(), 40_000);
    }
}
