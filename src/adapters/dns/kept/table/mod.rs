//! `KeptAnswers`: finished answers of one thread, found by the question as it came.
//!
//! A hit takes no lock and allocates nothing. What is kept is right as long as what it was made
//! from stands; whether it does is seen from numbers that every change raises.

use std::net::IpAddr;
use std::sync::Arc;

use crate::adapters::dns::guard::COOKIE_BYTES;
use crate::base::reach::Reach;
use crate::base::time::Timestamp;
use crate::resolution::keeping::Keeping;
use crate::service::query_log::Why;
use crate::service::standing::Standing;
use crate::telemetry::answers::Account;

use super::asked::{Asked, Wishes};

/// Sets of a table; a question's answers are all in one.
const SETS: usize = 1 << 16;
/// Answers of a set: with twice as many places as answers hardly any set is full.
const WAYS: usize = 8;
/// What an allocation costs beside its bytes.
const ALLOCATION_BYTES: usize = 16;
/// ID, flags and counts.
const HEADER_BYTES: usize = 12;
/// The type of OPT, whose TTL is none.
const OPT: u16 = 41;
/// Code and length of the option that the answer to a question with a cookie ends with.
const COOKIE_HEAD: [u8; 4] = [0, 10, 0, 24];
/// Questions that are remembered as asked once, a power of two; each new one may take another's place.
const ASKED_ONCE: usize = 1 << 16;

/// A table of answers.
#[derive(Debug)]
pub(super) struct KeptAnswers {
    /// By set: the upper half of a question's hash, and the place of its answer from one on; zero
    /// where there is none.
    tags: Vec<u64>,
    answers: Vec<Kept>,
    bytes: usize,
    bytes_max: usize,
    /// The place that is looked at next when there is no room.
    hand: usize,
    /// Marks of questions that came once when there was no room: names that come by once, as when somebody
    /// goes through a zone, take nobody's place.
    once: Vec<u32>,
    /// Whether there was no room once.
    is_full: bool,
    /// What stands now.
    standing: Standing,
    /// Raised when the setup changes, and when the index does.
    eras: Eras,
}

/// How often what answers are made from was seen to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Eras {
    setup: u64,
    index: u64,
}

/// An answer and what it is for.
#[derive(Debug)]
struct Kept {
    wishes: Wishes,
    name_bytes: usize,
    /// Octets of the answer; the name stands before it, the places of its TTLs behind.
    reply_bytes: usize,
    bytes: Box<[u8]>,
    eras: Eras,
    reads_index: bool,
    reach: Reach,
    ages: Option<Ages>,
    legacy: u8,
    account: Account,
    /// For the query log, if there was one.
    why: Option<Arc<Why>>,
    /// Where its tag is.
    tag: usize,
}

/// Whom an answer is for, and what is said of it.
#[derive(Debug)]
pub(super) struct Whose {
    /// The callers who get it.
    pub(super) reach: Reach,
    /// What of it is counted.
    pub(super) account: Account,
    /// Why it is what it is, for the query log.
    pub(super) why: Option<Arc<Why>>,
}

/// How an answer's TTLs count down.
#[derive(Debug, Clone, Copy)]
struct Ages {
    from: Timestamp,
    /// Until its least TTL is over, or until it is to be made anew.
    life_ms: u64,
}

impl Kept {
    fn weight(&self) -> usize {
        let why = self.why.as_ref();
        let why = why.map_or(0, |why| {
            size_of::<Why>() + why.text.len() + 2 * ALLOCATION_BYTES
        });
        size_of::<Self>() + self.bytes.len() + ALLOCATION_BYTES + why
    }

    fn name(&self) -> &[u8] {
        self.bytes.get(..self.name_bytes).unwrap_or_default()
    }

    fn reply(&self) -> &[u8] {
        let end = self.name_bytes + self.reply_bytes;
        self.bytes.get(self.name_bytes..end).unwrap_or_default()
    }

    /// Where TTLs stand in the answer.
    fn ttls(&self) -> impl Iterator<Item = usize> {
        let places = self.bytes.get(self.name_bytes + self.reply_bytes..);
        let places = places.unwrap_or_default().as_chunks::<2>().0;
        places.iter().map(|at| usize::from(u16::from_be_bytes(*at)))
    }

    fn is_of(&self, asked: &Asked) -> bool {
        self.wishes == asked.wishes && self.name() == asked.name()
    }

    fn stands(&self, now: Eras) -> bool {
        self.eras.setup == now.setup && (!self.reads_index || self.eras.index == now.index)
    }

    /// Whole seconds since its TTLs were as they are kept; none if it is over, or if the clock went
    /// back.
    fn age_secs(&self, now: Timestamp) -> Option<u32> {
        let Some(Ages { from, life_ms }) = self.ages else {
            return Some(0);
        };
        let millis = now.as_millis().checked_sub(from.as_millis())?;
        if millis >= life_ms {
            return None;
        }
        u32::try_from(millis / 1_000).ok()
    }
}

/// An answer that was found.
#[derive(Debug)]
pub(super) struct Found<'k> {
    kept: &'k Kept,
    age_secs: u32,
}

impl Found<'_> {
    /// Answers of the legacy cache that are in it.
    pub(super) const fn legacy_parts(&self) -> u8 {
        self.kept.legacy
    }

    /// What of it is counted.
    pub(super) const fn account(&self) -> Account {
        self.kept.account
    }

    /// Why it is what it is, if that was written down.
    pub(super) fn why(&self) -> Option<Arc<Why>> {
        self.kept.why.clone()
    }

    /// Writes it as the answer to a question, with the cookie for its client if it has one.
    pub(super) fn write(&self, query: &[u8], cookie: Option<&[u8]>, to: &mut Vec<u8>) {
        to.extend_from_slice(self.kept.reply());
        echo(to, query, self.kept.name_bytes);
        if let Some(cookie) = cookie {
            let begin = to.len().saturating_sub(cookie.len());
            if let Some(place) = to.get_mut(begin..).filter(|at| at.len() == cookie.len()) {
                place.copy_from_slice(cookie);
            }
        }
        if self.age_secs > 0 {
            for at in self.kept.ttls() {
                count_down(to, at, self.age_secs);
            }
        }
    }
}

/// An answer has the ID of its question, and its name in the same letters.
fn echo(reply: &mut [u8], query: &[u8], name_bytes: usize) {
    for range in [0..2, HEADER_BYTES..HEADER_BYTES + name_bytes] {
        if let (Some(to), Some(asked)) = (reply.get_mut(range.clone()), query.get(range)) {
            to.copy_from_slice(asked);
        }
    }
}

fn count_down(reply: &mut [u8], at: usize, age_secs: u32) {
    let place = reply.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>);
    if let Some(place) = place {
        let left = u32::from_be_bytes(*place).saturating_sub(age_secs);
        *place = left.to_be_bytes();
    }
}

impl KeptAnswers {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            tags: vec![0; SETS * WAYS],
            answers: Vec::new(),
            bytes: 0,
            bytes_max,
            hand: 0,
            once: vec![0; ASKED_ONCE],
            is_full: false,
            standing: Standing::default(),
            eras: Eras::default(),
        }
    }

    /// Says what stands from now on. What was made before a change is found no longer; what is made
    /// from now on must be read after this was called.
    pub(super) fn stand(&mut self, standing: Standing) {
        if standing == self.standing {
            return;
        }
        self.eras.index += 1;
        if !standing.differs_by_the_index_alone(&self.standing) {
            self.eras.setup += 1;
        }
        self.standing = standing;
    }

    /// The answer to a question of somebody at an address, at a time.
    pub(super) fn find(&self, asked: &Asked, from: IpAddr, now: Timestamp) -> Option<Found<'_>> {
        let (_, tags) = self.set(asked.hash);
        let mut kept = tags.iter().filter_map(|tag| self.tagged(*tag, asked.hash));
        let is_right =
            |kept: &&Kept| kept.is_of(asked) && kept.stands(self.eras) && kept.reach.holds(from);
        let kept = kept.find(is_right)?;
        let age_secs = kept.age_secs(now)?;
        Some(Found { kept, age_secs })
    }

    /// Keeps an answer. If there is no room it takes the place of another one, but only when its
    /// question comes for the second time.
    pub(super) fn keep(&mut self, asked: &Asked, reply: &[u8], keeping: &Keeping, whose: Whose) {
        if self.is_full && !self.has_older(asked) && self.comes_first(asked.hash) {
            return;
        }
        let Some(mut kept) = self.made(asked, reply, keeping, whose) else {
            return;
        };
        while self.bytes + kept.weight() > self.bytes_max && !self.answers.is_empty() {
            self.is_full = true;
            self.give_up_one();
        }
        let (begin, tags) = self.set(asked.hash);
        let is_older = |tag: &u64| {
            let older = self.tagged(*tag, asked.hash);
            older.is_some_and(|older| older.is_of(asked) && older.reach == kept.reach)
        };
        let is_over = |tag: &u64| {
            let at = place(*tag).and_then(|at| self.answers.get(at));
            at.is_none_or(|kept| !kept.stands(self.eras))
        };
        let way = tags.iter().position(is_older);
        let way = way.or_else(|| tags.iter().position(is_over));
        // Any other one is as good as the next; the upper bits have no part in choosing the set.
        let way = way.unwrap_or_else(|| low_bits(asked.hash >> 32, WAYS));
        kept.tag = begin + way;
        self.put(kept, asked.hash);
    }

    fn made(
        &self,
        asked: &Asked,
        reply: &[u8],
        keeping: &Keeping,
        Whose {
            reach,
            account,
            why,
        }: Whose,
    ) -> Option<Kept> {
        if keeping.why_never().is_some() {
            return None;
        }
        // What a client is to be shown of its own must stand where it is looked for.
        if asked.cookie().is_some() && !ends_with_a_cookie(reply) {
            return None;
        }
        let name = asked.name();
        let (places, least) = ttls(reply, HEADER_BYTES + name.len() + 4)?;
        // A TTL of zero says that every question is to be answered by itself.
        if least == Some(0) {
            return None;
        }
        let ages = match (keeping.ages_from(), least) {
            (None, _) => None,
            (Some(from), Some(life_secs)) => {
                let whole = u64::from(life_secs) * 1_000;
                let until = keeping.until();
                let until = until.map(|end| end.as_millis().saturating_sub(from.as_millis()));
                let life_ms = until.map_or(whole, |until| until.min(whole));
                Some(Ages { from, life_ms })
            }
            // Without a record nothing says how long it lasts.
            (Some(_), None) => return None,
        };
        let mut bytes = [name, reply].concat();
        if ages.is_some() {
            for at in places {
                bytes.extend_from_slice(&at.to_be_bytes());
            }
        }
        Some(Kept {
            wishes: asked.wishes,
            name_bytes: name.len(),
            reply_bytes: reply.len(),
            bytes: bytes.into(),
            eras: self.eras,
            reads_index: keeping.ends_with_the_index(),
            reach,
            ages,
            legacy: keeping.legacy_parts(),
            account,
            why,
            tag: 0,
        })
    }

    /// Whether there is an answer to the question, even one that no longer stands.
    fn has_older(&self, asked: &Asked) -> bool {
        let (_, tags) = self.set(asked.hash);
        let older = |tag: &u64| self.tagged(*tag, asked.hash);
        tags.iter().filter_map(older).any(|kept| kept.is_of(asked))
    }

    /// Whether a question has not come before, as far as is known.
    fn comes_first(&mut self, hash: u64) -> bool {
        // Neither the bits that choose the set nor all of those of the tag.
        let at = low_bits(hash >> 15, ASKED_ONCE);
        let mark = u32::try_from(hash >> 32).unwrap_or(0) | 1;
        let known = self.once.get_mut(at);
        known.is_none_or(|known| std::mem::replace(known, mark) != mark)
    }

    /// How many answers there are, those included that are over.
    pub(super) fn count(&self) -> usize {
        self.answers.len()
    }

    /// Memory of all of them, about.
    pub(super) const fn byte_count(&self) -> usize {
        self.bytes
    }

    /// The tags of a hash's set, and where the first of them is.
    fn set(&self, hash: u64) -> (usize, &[u64]) {
        let begin = low_bits(hash, SETS) * WAYS;
        let tags = self.tags.get(begin..begin + WAYS);
        (begin, tags.unwrap_or_default())
    }

    fn tagged(&self, tag: u64, hash: u64) -> Option<&Kept> {
        if tag >> 32 != hash >> 32 {
            return None;
        }
        self.answers.get(place(tag)?)
    }

    /// Puts an answer behind its tag, where another one may be.
    fn put(&mut self, kept: Kept, hash: u64) {
        let Some(tag) = self.tags.get_mut(kept.tag) else {
            return;
        };
        self.bytes += kept.weight();
        if let Some(before) = place(*tag).and_then(|at| self.answers.get_mut(at)) {
            self.bytes -= before.weight();
            *tag = tag_of(hash, place(*tag).unwrap_or(0));
            *before = kept;
        } else {
            *tag = tag_of(hash, self.answers.len());
            self.answers.push(kept);
        }
    }

    /// Gives up the answer that the hand points to; the last one takes its place.
    fn give_up_one(&mut self) {
        if self.hand >= self.answers.len() {
            self.hand = 0;
        }
        if self.answers.is_empty() {
            return;
        }
        let gone = self.answers.swap_remove(self.hand);
        self.bytes -= gone.weight();
        if let Some(tag) = self.tags.get_mut(gone.tag) {
            *tag = 0;
        }
        if let Some(moved) = self.answers.get(self.hand)
            && let Some(tag) = self.tags.get_mut(moved.tag)
        {
            *tag = tag_of(*tag, self.hand);
        }
        self.hand += 1;
    }
}

/// The place that a tag speaks of.
fn place(tag: u64) -> Option<usize> {
    usize::try_from(tag & u64::from(u32::MAX))
        .ok()?
        .checked_sub(1)
}

/// The upper half of a hash with a place.
fn tag_of(hash: u64, at: usize) -> u64 {
    let at = u32::try_from(at + 1).unwrap_or(0);
    (hash >> 32) << 32 | u64::from(at)
}

/// The hash as a number below `count`, a power of two.
fn low_bits(hash: u64, count: usize) -> usize {
    usize::try_from(hash).unwrap_or(usize::MAX) & (count - 1)
}

/// Where the TTLs of an answer stand behind its question, and the least of them; none if it cannot
/// be read.
fn ttls(reply: &[u8], question_end: usize) -> Option<(Vec<u16>, Option<u32>)> {
    let counts = reply.get(6..HEADER_BYTES)?.as_chunks::<2>().0;
    let records: usize = counts
        .iter()
        .map(|count| usize::from(u16::from_be_bytes(*count)))
        .sum();
    let (mut places, mut least) = (Vec::with_capacity(records), None::<u32>);
    let mut at = question_end;
    for _ in 0..records {
        at = name_end(reply, at)?;
        let head = reply.get(at..)?.first_chunk::<10>()?;
        let [kind_high, kind_low, _, _, ttl @ .., length_high, length_low] = *head;
        if u16::from_be_bytes([kind_high, kind_low]) != OPT {
            places.push(u16::try_from(at + 4).ok()?);
            let ttl = u32::from_be_bytes(ttl);
            least = Some(least.map_or(ttl, |least| least.min(ttl)));
        }
        at += head.len() + usize::from(u16::from_be_bytes([length_high, length_low]));
    }
    (at == reply.len()).then_some((places, least))
}

/// The least TTL of a reply to a question; none without records.
pub(in super::super) fn least_ttl(reply: &[u8]) -> Option<u32> {
    let has_question = reply.get(4..6) == Some(&[0, 1]);
    let end = if has_question {
        name_end(reply, HEADER_BYTES)? + 4
    } else {
        HEADER_BYTES
    };
    ttls(reply, end)?.1
}

/// Whether the last option of a reply that ends with its OPT record is a cookie of usual length.
fn ends_with_a_cookie(reply: &[u8]) -> bool {
    let option = reply.split_last_chunk::<COOKIE_BYTES>();
    option.is_some_and(|(before, _)| before.ends_with(&COOKIE_HEAD))
}

/// Where a name ends that may end in a pointer.
fn name_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            192.. => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests;
