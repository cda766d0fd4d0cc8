//! What beacons of a scope's anchors prove together: until when nothing newer was decided.
//!
//! A newer block would need second votes of a quorum's weight. Any two quorums share anchors of more
//! weight than may lie, so an honest one of them would have signed both: its vote for that block, and a
//! beacon that says that it gave none.

use crate::base::digest::Digest;
use crate::base::time::Timestamp;
use crate::governance::beacon::Word;
use crate::governance::descriptor::Descriptor;
use crate::index::state::ScopeState;

/// How far the clock of an anchor may be ahead. As much longer a scope may count as fresh, so it is a
/// small part of the time after which it does not.
pub const BEACON_AHEAD_MS_MAX: u64 = 10_000;

/// A scope as it is held.
#[derive(Debug, Clone, Copy)]
pub struct Held<'s> {
    /// The height of its last block.
    pub height: u64,
    /// That block.
    pub head: Digest,
    /// Who decides the next one.
    pub descriptor: &'s Descriptor,
}

impl<'s> From<&'s ScopeState> for Held<'s> {
    fn from(state: &'s ScopeState) -> Self {
        Self {
            height: state.height,
            head: state.head,
            descriptor: &state.descriptor,
        }
    }
}

/// What anchors said of a scope as it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Findings {
    /// Nothing newer was decided up to then; none if too few say so.
    pub as_of: Option<Timestamp>,
    /// The weight of those who say that they know of nothing newer.
    pub weight: u64,
    /// The highest block that any of them holds above it.
    pub ahead: Option<u64>,
    /// The weight of those who gave a vote to a block above it.
    pub deciding: u64,
    /// The weight of those who hold another block in its place.
    pub contradicting: u64,
}

/// What one anchor says of it.
enum Saying {
    /// Nothing newer is known.
    Level,
    /// A block above it is held.
    Ahead(u64),
    /// A block above it may be decided.
    Deciding,
    /// Another block is held in its place.
    Other,
    /// A vote for this block or for one above it.
    Unclear,
}

fn saying(held: &Held<'_>, word: &Word) -> Saying {
    let sight = word.sight();
    if sight.height > held.height {
        return Saying::Ahead(sight.height);
    }
    // Whoever holds less and voted for more voted for what is held by now, or for what comes after it if
    // its blocks were lost since.
    if sight.height < held.height {
        return if sight.has_precommitted {
            Saying::Unclear
        } else {
            Saying::Level
        };
    }
    if sight.head != held.head {
        Saying::Other
    } else if sight.has_precommitted {
        Saying::Deciding
    } else {
        Saying::Level
    }
}

/// What the last words of anchors say of a scope that is held: one word of each, those of others are
/// passed over.
pub fn findings<'w>(
    held: Held<'_>,
    words: impl IntoIterator<Item = &'w Word>,
    now: Timestamp,
) -> Findings {
    let mut found = Findings::default();
    let mut level: Vec<(Timestamp, u64)> = Vec::new();
    for word in words {
        let Some((_, seat)) = held.descriptor.anchors.seat_of(&word.anchor()) else {
            continue;
        };
        // The clock was set back since it was heard: it says nothing of now.
        if word.time() > now.plus_millis(BEACON_AHEAD_MS_MAX) {
            continue;
        }
        let weight = u64::from(seat.weight);
        match saying(&held, word) {
            Saying::Level => level.push((word.time().min(now), weight)),
            Saying::Ahead(height) => found.ahead = found.ahead.max(Some(height)),
            Saying::Deciding => found.deciding += weight,
            Saying::Other => found.contradicting += weight,
            Saying::Unclear => {}
        }
    }
    level.sort_unstable_by(|a, b| b.cmp(a));
    let needed = held.descriptor.quorum_weight();
    for (time, weight) in level {
        found.weight += weight;
        if found.as_of.is_none() && found.weight >= needed {
            found.as_of = Some(time);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::keys::SecretKey;
    use crate::base::signed::Verified;
    use crate::governance::anchor::{Anchor, AnchorGroup};
    use crate::governance::beacon::{BeaconTree, Sight};
    use crate::governance::policy::Policy;
    use crate::namespace::scope::ScopeUid;

    const HEIGHT: u64 = 7;
    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn descriptor(weights: &[u32]) -> Descriptor {
        let seats = weights.iter().zip(1..).map(|(weight, seed)| Anchor {
            weight: *weight,
            ..Anchor::new(key(seed).public(), "eu")
        });
        let group = AnchorGroup::new(seats.collect()).unwrap();
        Descriptor::genesis(None, [7; 16], group, Policy::default())
    }

    fn block(height: u64, which: u8) -> Digest {
        Digest::of_bytes("block", &[which, height.to_be_bytes()[7]])
    }

    fn word(seed: u8, time: u64, (height, which): (u64, u8), has_precommitted: bool) -> Word {
        let sight = Sight {
            scope: ScopeUid::new(Digest::ZERO),
            height,
            head: block(height, which),
            has_precommitted,
        };
        let tree = BeaconTree::new(vec![sight]).unwrap();
        let beacon = tree.beacon(key(seed).public(), Timestamp::from_millis(time));
        let beacon = Verified::sign(beacon, &key(seed)).unwrap();
        Word::new(beacon, tree.place(&sight.scope).unwrap()).unwrap()
    }

    fn found(descriptor: &Descriptor, words: &[Word]) -> Findings {
        let held = Held {
            height: HEIGHT,
            head: block(HEIGHT, 0),
            descriptor,
        };
        findings(held, words, NOW)
    }

    fn at(time: u64) -> Timestamp {
        Timestamp::from_millis(time)
    }

    #[test]
    fn one_anchor_alone_confirms_its_own_scope() {
        let alone = descriptor(&[1]);
        let level = word(1, 500, (HEIGHT, 0), false);
        assert_eq!(
            found(&alone, std::slice::from_ref(&level)).as_of,
            Some(at(500))
        );
        assert_eq!(found(&alone, &[]).as_of, None);
        let ahead = found(&alone, &[word(1, 500, (HEIGHT + 2, 0), false)]);
        assert_eq!((ahead.as_of, ahead.ahead), (None, Some(HEIGHT + 2)));
        let deciding = found(&alone, &[word(1, 500, (HEIGHT, 0), true)]);
        assert_eq!((deciding.as_of, deciding.deciding), (None, 1));
        let other = found(&alone, &[word(1, 500, (HEIGHT, 1), false)]);
        assert_eq!((other.as_of, other.contradicting), (None, 1));
        // What was said of less was said before what is held was decided.
        let behind = |voted| found(&alone, &[word(1, 500, (HEIGHT - 1, 1), voted)]);
        assert_eq!(behind(false).as_of, Some(at(500)));
        assert_eq!(behind(true), Findings::default());
        let future = word(1, 1_010_001, (HEIGHT, 0), false);
        assert_eq!(found(&alone, &[future]), Findings::default());
        // A clock that is ahead makes nothing newer than now.
        let early = found(&alone, &[word(1, 1_005_000, (HEIGHT, 0), false)]);
        assert_eq!(early.as_of, Some(NOW));
        assert_eq!(
            found(&alone, &[word(9, 500, (HEIGHT, 0), false)]),
            Findings::default()
        );
    }

    #[test]
    fn three_of_four_confirm_up_to_the_oldest_of_the_latest_three() {
        let four = descriptor(&[1, 1, 1, 1]);
        let level = |seed, time| word(seed, time, (HEIGHT, 0), false);
        let mut words = vec![level(1, 900), level(2, 500)];
        assert_eq!(found(&four, &words).as_of, None);
        words.push(level(3, 700));
        assert_eq!(found(&four, &words).as_of, Some(at(500)));
        words.push(level(4, 800));
        assert_eq!(found(&four, &words).as_of, Some(at(700)));
        words[0] = word(1, 901, (HEIGHT + 1, 0), false);
        let three = found(&four, &words);
        assert_eq!(
            (three.as_of, three.ahead),
            (Some(at(500)), Some(HEIGHT + 1))
        );
    }

    proptest! {
        /// Four equal anchors, one of which says what it likes. Others vote for the next block each at a
        /// time of its own, and their last beacons are of some time. Where a certificate was complete,
        /// no beacons confirm a later time.
        #[test]
        fn nothing_is_confirmed_after_a_certificate(
            votes in prop::array::uniform3(0u64..1_000),
            beacons in prop::array::uniform4(0u64..1_000),
        ) {
            let four = descriptor(&[1, 1, 1, 1]);
            let mut words: Vec<Word> = (0..3)
                .map(|at| word(u8::try_from(at + 1).unwrap(), beacons[at], (HEIGHT, 0), beacons[at] >= votes[at]))
                .collect();
            // The liar voted at once and says that it did not.
            words.push(word(4, beacons[3], (HEIGHT, 0), false));
            let mut sorted = votes;
            sorted.sort_unstable();
            // With the liar's vote two honest ones are enough.
            let certified = Timestamp::from_millis(sorted[1]);
            if let Some(as_of) = found(&four, &words).as_of {
                prop_assert!(as_of < certified, "{as_of} {certified}");
            }
        }
    }
}
