//! `Book`: the last words of other anchors.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::keys::PublicKey;
use crate::base::signed::{Signed, Verified};
use crate::base::time::Timestamp;
use crate::governance::beacon::{Beacon, TakenBack, Testimony, Word};
use crate::namespace::scope::ScopeUid;
use crate::replication::witness::BEACON_AHEAD_MS_MAX;

/// Cases of which evidence is kept, one for each anchor and scope: more than people look at.
const EVIDENCE_MAX: usize = 1_024;

/// One anchor of one scope.
pub(super) type Place = (ScopeUid, PublicKey);

/// What other anchors said last. Of each anchor and scope one word is kept, which is never replaced by
/// one that takes it back.
#[derive(Debug, Default)]
pub(super) struct Book {
    latest: BTreeMap<PublicKey, Verified<Beacon>>,
    words: BTreeMap<ScopeUid, BTreeMap<PublicKey, Word>>,
    confirmed: BTreeMap<ScopeUid, Timestamp>,
    evidence: BTreeMap<Place, TakenBack>,
    ahead: BTreeMap<PublicKey, Timestamp>,
    /// What the disk does not have.
    changed: BTreeSet<Place>,
    unkept: Vec<TakenBack>,
}

impl Book {
    /// The last words about a scope.
    pub(super) fn words<'b>(
        &'b self,
        scope: &ScopeUid,
    ) -> impl Iterator<Item = &'b Word> + use<'b> {
        self.words.get(scope).into_iter().flat_map(BTreeMap::values)
    }

    /// The last beacon of an anchor.
    pub(super) fn beacon(&self, anchor: &PublicKey) -> Option<&Verified<Beacon>> {
        self.latest.get(anchor)
    }

    /// A beacon that was checked before, if it is one of the last.
    pub(super) fn checked(&self, signed: &Signed<Beacon>) -> Option<Verified<Beacon>> {
        let latest = self.latest.get(&signed.unverified().anchor)?;
        (latest.signed() == signed).then(|| latest.clone())
    }

    /// Takes in a beacon. What it says again is renewed; gives the scopes whose places under it are
    /// not known.
    pub(super) fn hear(&mut self, beacon: &Verified<Beacon>, scopes: &[ScopeUid]) -> Vec<ScopeUid> {
        let Beacon { anchor, time, .. } = *beacon.object();
        self.ahead.remove(&anchor);
        let latest = self.latest.entry(anchor).or_insert_with(|| beacon.clone());
        if latest.object().time < time {
            *latest = beacon.clone();
        }
        let mut lacking = Vec::new();
        for scope in scopes {
            let words = self.words.entry(*scope).or_default();
            let Some(word) = words.get_mut(&anchor) else {
                lacking.push(*scope);
                continue;
            };
            if word.time() >= time {
                continue;
            }
            match word.again(beacon) {
                Some(again) => {
                    *word = again;
                    self.changed.insert((*scope, anchor));
                }
                None => lacking.push(*scope),
            }
        }
        lacking
    }

    /// Takes in a word; gives whether it convicts the anchor, which is noted once.
    pub(super) fn put(&mut self, word: Word) -> bool {
        let (scope, anchor) = (word.sight().scope, word.anchor());
        let words = self.words.entry(scope).or_default();
        let Some(held) = words.get_mut(&anchor) else {
            words.insert(anchor, word);
            self.changed.insert((scope, anchor));
            return false;
        };
        match word.is_later_than(held) {
            Ok(true) => {
                *held = word;
                self.changed.insert((scope, anchor));
                false
            }
            Ok(false) => false,
            Err(taken) => self.convict((scope, anchor), *taken),
        }
    }

    fn convict(&mut self, place: Place, taken: TakenBack) -> bool {
        let is_new = !self.evidence.contains_key(&place) && self.evidence.len() < EVIDENCE_MAX;
        if is_new {
            self.unkept.push(taken.clone());
            self.evidence.insert(place, taken);
        }
        is_new
    }

    /// A beacon is of a time to come; it is not heard.
    pub(super) fn note_ahead(&mut self, anchor: PublicKey, time: Timestamp) {
        self.ahead.insert(anchor, time);
    }

    /// Anchors that are not heard, each with the time of its last beacon.
    pub(super) fn ahead(&self) -> Vec<(PublicKey, Timestamp)> {
        let ahead = self.ahead.iter();
        ahead.map(|(anchor, time)| (*anchor, *time)).collect()
    }

    /// What convicts anchors.
    pub(super) fn evidence(&self) -> impl Iterator<Item = &TakenBack> {
        self.evidence.values()
    }

    /// Notes up to when a scope was confirmed, which never goes back, unless the clock did; gives what is
    /// known by now.
    pub(super) fn confirm(
        &mut self,
        scope: ScopeUid,
        as_of: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let known = self.confirmed(&scope, now).max(as_of)?;
        self.confirmed.insert(scope, known);
        Some(known)
    }

    /// Up to when a scope was confirmed.
    pub(super) fn confirmed(&self, scope: &ScopeUid, now: Timestamp) -> Option<Timestamp> {
        let known = self.confirmed.get(scope).copied();
        known.filter(|known| *known <= now.plus_millis(BEACON_AHEAD_MS_MAX))
    }

    /// Forgets up to when other scopes were confirmed.
    pub(super) fn keep_confirmed(&mut self, is_kept: impl Fn(&ScopeUid) -> bool) {
        self.confirmed.retain(|scope, _| is_kept(scope));
    }

    /// Forgets what is said of other scopes, and by others.
    pub(super) fn keep(&mut self, of: &BTreeMap<ScopeUid, BTreeSet<PublicKey>>) {
        let changed = &mut self.changed;
        self.words.retain(|scope, words| {
            let seats = of.get(scope);
            words.retain(|anchor, _| {
                let is_kept = seats.is_some_and(|seats| seats.contains(anchor));
                if !is_kept {
                    changed.insert((*scope, *anchor));
                }
                is_kept
            });
            !words.is_empty()
        });
        let anchors: BTreeSet<PublicKey> = of.values().flatten().copied().collect();
        self.latest.retain(|anchor, _| anchors.contains(anchor));
        self.ahead.retain(|anchor, _| anchors.contains(anchor));
    }

    /// Takes in what an earlier run kept, as far as it holds.
    pub(super) fn remember(&mut self, words: &[Testimony], evidence: Vec<TakenBack>) {
        for word in words.iter().filter_map(Testimony::verify) {
            let beacon = word.beacon().clone();
            let anchor = word.anchor();
            self.put(word);
            let latest = self.latest.entry(anchor).or_insert_with(|| beacon.clone());
            if latest.object().time < beacon.object().time {
                *latest = beacon;
            }
        }
        for taken in evidence {
            if let Some((anchor, scope)) = taken.convicts() {
                self.evidence.insert((scope, anchor), taken);
            }
        }
        self.changed.clear();
    }

    /// The words that changed since they were written down, each as it is now.
    pub(super) fn take_changed(&mut self) -> Vec<(Place, Option<Testimony>)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let word = |(scope, anchor): Place| self.words.get(&scope)?.get(&anchor);
        changed
            .map(|place| (place, word(place).map(Word::testimony)))
            .collect()
    }

    /// Evidence that was not written down yet.
    pub(super) fn take_unkept(&mut self) -> Vec<TakenBack> {
        std::mem::take(&mut self.unkept)
    }

    /// What was taken is not on the disk after all.
    pub(super) fn not_written(&mut self, places: Vec<Place>, evidence: Vec<TakenBack>) {
        self.changed.extend(places);
        self.unkept.extend(evidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::keys::SecretKey;
    use crate::governance::beacon::{BeaconTree, Sight};

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn scope(number: u8) -> ScopeUid {
        ScopeUid::new(Digest::from_bytes([number; 32]))
    }

    fn sight(number: u8, height: u64) -> Sight {
        Sight {
            scope: scope(number),
            height,
            head: Digest::of_bytes("block", &height.to_be_bytes()),
            has_precommitted: false,
        }
    }

    /// A beacon over two scopes, and the word about the first.
    fn said(time: u64, height: u64) -> Word {
        let tree = BeaconTree::new(vec![sight(1, height), sight(2, 3)]).unwrap();
        let beacon = tree.beacon(key().public(), Timestamp::from_millis(time));
        let beacon = Verified::sign(beacon, &key()).unwrap();
        Word::new(beacon, tree.place(&scope(1)).unwrap()).unwrap()
    }

    fn held(book: &Book) -> Vec<(u64, u64)> {
        let words = book.words(&scope(1));
        let words = words.map(|word| (word.time().as_millis(), word.sight().height));
        words.collect()
    }

    #[test]
    fn the_same_root_renews_what_is_known_and_another_one_asks_for_places() {
        let mut book = Book::default();
        let scopes = [scope(1)];
        assert_eq!(book.hear(said(100, 5).beacon(), &scopes), scopes);
        assert!(!book.put(said(100, 5)));
        assert_eq!(book.hear(said(130, 5).beacon(), &scopes), []);
        assert_eq!(held(&book), [(130, 5)]);
        // What is older teaches nothing.
        assert_eq!(book.hear(said(120, 6).beacon(), &scopes), []);
        assert_eq!(book.hear(said(160, 6).beacon(), &scopes), scopes);
        assert_eq!(held(&book), [(130, 5)]);
        assert!(!book.put(said(160, 6)));
        assert_eq!(held(&book), [(160, 6)]);
        assert!(book.checked(said(160, 6).beacon().signed()).is_some());
        assert!(book.checked(said(130, 5).beacon().signed()).is_none());
    }

    #[test]
    fn the_highest_head_never_goes_down_and_who_says_so_is_convicted_once() {
        let mut book = Book::default();
        book.put(said(100, 5));
        assert!(book.put(said(130, 4)));
        assert!(!book.put(said(160, 4)));
        assert_eq!(held(&book), [(100, 5)]);
        assert_eq!(book.take_unkept().len(), 1);
        assert_eq!(book.evidence().count(), 1);
        book.put(said(190, 6));
        assert_eq!(held(&book), [(190, 6)]);
    }

    #[test]
    fn what_was_kept_is_checked_and_known_again() {
        let mut book = Book::default();
        book.put(said(100, 5));
        book.put(said(130, 4));
        let kept: Vec<Testimony> = book
            .take_changed()
            .into_iter()
            .filter_map(|(_, word)| word)
            .collect();
        let mut forged = said(200, 9).testimony();
        forged.placed.sight.height = 10;
        let mut again = Book::default();
        again.remember(&[kept, vec![forged]].concat(), book.take_unkept());
        assert_eq!(held(&again), [(100, 5)]);
        assert_eq!(again.evidence().count(), 1);
        assert!(again.take_changed().is_empty());
    }

    #[test]
    fn confirmations_never_go_back_and_strangers_are_forgotten() {
        let mut book = Book::default();
        let at = |ms| Some(Timestamp::from_millis(ms));
        let now = Timestamp::from_millis(100_000);
        assert_eq!(book.confirm(scope(1), None, now), None);
        assert_eq!(book.confirm(scope(1), at(99_000), now), at(99_000));
        assert_eq!(book.confirm(scope(1), at(98_000), now), at(99_000));
        assert_eq!(book.confirm(scope(1), None, now), at(99_000));
        // The clock was set back: what was confirmed is of a time to come.
        let earlier = Timestamp::from_millis(50_000);
        assert_eq!(book.confirm(scope(1), at(40_000), earlier), at(40_000));
        book.keep_confirmed(|_| false);
        assert_eq!(book.confirmed(&scope(1), now), None);
        book.put(said(100, 5));
        book.keep(&BTreeMap::from([(
            scope(1),
            BTreeSet::from([key().public()]),
        )]));
        assert_eq!(held(&book), [(100, 5)]);
        book.keep(&BTreeMap::from([(scope(1), BTreeSet::new())]));
        assert_eq!(held(&book), []);
        let gone = book.take_changed();
        assert_eq!(gone, [((scope(1), key().public()), None)]);
    }
}
