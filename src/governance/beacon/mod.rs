//! `Beacon`: an anchor's signed word where all of its scopes stand at a time.
//!
//! A certificate proves that a block was decided, and never that none was decided since. A beacon says
//! that, for one anchor: what it held then, and whether it had voted for anything above. One signature
//! is enough for any number of scopes; the place of each is shown by a path of digests.

mod tree;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::signed::{Authored, Signed, Verified};
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

pub use self::tree::{BeaconTree, Placed};

/// Where a scope stands for an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// The scope.
    pub scope: ScopeUid,
    /// The height of the last block that the anchor holds.
    pub height: u64,
    /// That block.
    pub head: Digest,
    /// Whether the anchor gave its second vote to a block above it, which may be decided by that.
    pub has_precommitted: bool,
}

/// What an anchor signs about all the scopes in which its key has a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beacon {
    /// The anchor, by its vote key.
    pub anchor: PublicKey,
    /// When, by the anchor's clock; later with every beacon.
    pub time: Timestamp,
    /// How many scopes there are.
    pub scope_count: u32,
    /// The root over their sights.
    pub root: Digest,
}

/// A beacon and the place of one scope under it; nobody checked either yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testimony {
    /// The beacon.
    pub beacon: Signed<Beacon>,
    /// The scope's place under it.
    pub placed: Placed,
}

/// What an anchor said of a scope: its signature held, and the scope has its place under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    beacon: Verified<Beacon>,
    placed: Placed,
}

/// Two words of one anchor about one scope, of which one cannot be true: it takes back a block or a
/// vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// What it said.
    pub first: Testimony,
    /// What it said at the same time or later.
    pub then: Testimony,
}

impl Testimony {
    /// The anchor's word, if it is one.
    pub fn verify(&self) -> Option<Word> {
        let beacon = self.beacon.clone().verify().ok()?;
        Word::new(beacon, self.placed.clone())
    }
}

impl Word {
    /// A word, if the scope has that place under the beacon.
    pub fn new(beacon: Verified<Beacon>, placed: Placed) -> Option<Self> {
        let root = placed.root(beacon.object().scope_count)?;
        (root == beacon.object().root).then_some(Self { beacon, placed })
    }

    /// Who said it.
    pub fn anchor(&self) -> PublicKey {
        self.beacon.object().anchor
    }

    /// When.
    pub fn time(&self) -> Timestamp {
        self.beacon.object().time
    }

    /// What.
    pub const fn sight(&self) -> &Sight {
        &self.placed.sight
    }

    /// The beacon.
    pub const fn beacon(&self) -> &Verified<Beacon> {
        &self.beacon
    }

    /// For keeping and passing on.
    pub fn testimony(&self) -> Testimony {
        Testimony {
            beacon: self.beacon.signed().clone(),
            placed: self.placed.clone(),
        }
    }

    /// The same said again, by a later beacon of the same anchor with the same root.
    pub fn again(&self, beacon: &Verified<Beacon>) -> Option<Self> {
        let (before, now) = (self.beacon.object(), beacon.object());
        let is_same = before.anchor == now.anchor
            && before.root == now.root
            && before.scope_count == now.scope_count;
        (is_same && before.time < now.time).then(|| Self {
            beacon: beacon.clone(),
            placed: self.placed.clone(),
        })
    }

    /// Whether this word is later than another one of the same anchor about the same scope.
    ///
    /// # Errors
    /// If the two cannot both be true.
    pub fn is_later_than(&self, other: &Self) -> Result<bool, Box<TakenBack>> {
        let (first, then) = if self.time() < other.time() {
            (self, other)
        } else {
            (other, self)
        };
        if takes_back(first, then) {
            return Err(Box::new(TakenBack {
                first: first.testimony(),
                then: then.testimony(),
            }));
        }
        Ok(self.time() > other.time())
    }
}

/// Whether what is said then contradicts what was said first. Heights only rise, a block that was held
/// stays, and so does a vote until its height is decided.
fn takes_back(first: &Word, then: &Word) -> bool {
    let (a, b) = (first.sight(), then.sight());
    if first.time() == then.time() {
        return a != b;
    }
    b.height < a.height
        || (b.height == a.height
            && (b.head != a.head || (a.has_precommitted && !b.has_precommitted)))
}

impl TakenBack {
    /// The anchor and the scope, if these are two words of one anchor that contradict each other.
    pub fn convicts(&self) -> Option<(PublicKey, ScopeUid)> {
        let (first, then) = (self.first.verify()?, self.then.verify()?);
        let (anchor, scope) = (first.anchor(), first.sight().scope);
        let is_about_the_same = (anchor, scope) == (then.anchor(), then.sight().scope);
        let is_in_order = first.time() <= then.time();
        (is_about_the_same && is_in_order && takes_back(&first, &then)).then_some((anchor, scope))
    }
}

impl Authored for Beacon {
    fn signer(&self) -> PublicKey {
        self.anchor
    }
}

impl Canonical for Sight {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        out.u64(self.height);
        self.head.encode(out);
        out.bool(self.has_precommitted);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            height: input.u64()?,
            head: Digest::decode(input)?,
            has_precommitted: input.bool()?,
        })
    }
}

impl Form for Sight {
    const LABEL: &'static str = "kedge/sight";
}

impl Canonical for Beacon {
    fn encode(&self, out: &mut Encoder) {
        self.anchor.encode(out);
        self.time.encode(out);
        out.u32(self.scope_count);
        self.root.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            anchor: PublicKey::decode(input)?,
            time: Timestamp::decode(input)?,
            scope_count: input.u32()?,
            root: Digest::decode(input)?,
        })
    }
}

impl Form for Beacon {
    const LABEL: &'static str = "kedge/beacon";
}

impl Canonical for Testimony {
    fn encode(&self, out: &mut Encoder) {
        self.beacon.encode(out);
        self.placed.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            beacon: Signed::decode(input)?,
            placed: Placed::decode(input)?,
        })
    }
}

impl Form for Testimony {
    const LABEL: &'static str = "kedge/testimony";
}

impl Canonical for TakenBack {
    fn encode(&self, out: &mut Encoder) {
        self.first.encode(out);
        self.then.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            first: Testimony::decode(input)?,
            then: Testimony::decode(input)?,
        })
    }
}

impl Form for TakenBack {
    const LABEL: &'static str = "kedge/taken-back";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::SecretKey;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn sight(height: u64, head: &str, has_precommitted: bool) -> Sight {
        Sight {
            scope: ScopeUid::new(Digest::ZERO),
            height,
            head: Digest::of_bytes("test", head.as_bytes()),
            has_precommitted,
        }
    }

    fn word(time: u64, sight: Sight) -> Word {
        let tree = BeaconTree::new(vec![sight]).unwrap();
        let beacon = tree.beacon(key().public(), Timestamp::from_millis(time));
        let beacon = Verified::sign(beacon, &key()).unwrap();
        Word::new(beacon, tree.place(&sight.scope).unwrap()).unwrap()
    }

    #[test]
    fn an_anchor_goes_on_and_never_takes_anything_back() {
        let held = word(100, sight(5, "a", false));
        for (later, is_later) in [
            (word(101, sight(5, "a", false)), true),
            (word(101, sight(5, "a", true)), true),
            (word(101, sight(6, "b", false)), true),
            (word(99, sight(5, "a", false)), false),
            (word(99, sight(4, "z", true)), false),
            (word(100, sight(5, "a", false)), false),
        ] {
            assert_eq!(later.is_later_than(&held), Ok(is_later), "{later:?}");
        }
        for other in [
            word(101, sight(4, "z", false)),
            word(101, sight(5, "b", false)),
            word(100, sight(6, "b", false)),
            word(99, sight(6, "b", false)),
            word(99, sight(5, "a", true)),
        ] {
            let taken = other.is_later_than(&held).unwrap_err();
            let convicted = (key().public(), ScopeUid::new(Digest::ZERO));
            assert_eq!(taken.convicts(), Some(convicted), "{other:?}");
        }
    }

    #[test]
    fn evidence_is_two_words_that_contradict_each_other_in_order() {
        let (low, high) = (
            word(100, sight(4, "z", false)),
            word(101, sight(5, "a", false)),
        );
        let evidence = |first: &Word, then: &Word| TakenBack {
            first: first.testimony(),
            then: then.testimony(),
        };
        assert_eq!(evidence(&low, &high).convicts(), None);
        assert_eq!(evidence(&high, &low).convicts(), None);
        let mut forged = evidence(&high, &word(102, sight(4, "z", false)));
        assert!(forged.convicts().is_some());
        forged.then.placed.sight.height = 3;
        assert_eq!(forged.convicts(), None);
    }

    #[test]
    fn a_word_is_said_again_by_a_later_beacon_with_the_same_root() {
        let first = word(100, sight(5, "a", false));
        let again = word(130, sight(5, "a", false));
        assert_eq!(first.again(again.beacon()), Some(again.clone()));
        assert_eq!(again.again(first.beacon()), None);
        assert_eq!(first.again(word(130, sight(6, "b", false)).beacon()), None);
    }

    #[test]
    fn a_place_under_another_beacon_is_no_word() {
        let (one, other) = (
            word(100, sight(5, "a", false)),
            word(100, sight(5, "b", false)),
        );
        assert_eq!(Word::new(one.beacon.clone(), other.placed), None);
    }
}
