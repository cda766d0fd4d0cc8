//! `Anchor` and `AnchorGroup`: the keys that govern one scope, with their weights.

use std::fmt;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::digest::Digest;
use crate::base::keys::{PublicKey, Signature};
use crate::base::limits::{ANCHORS_MAX, NODES_PER_ANCHOR_MAX, REGION_BYTES_MAX, WEIGHT_MAX};

/// Names an anchor through every rotation of its key: the digest of its first vote key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnchorId(Digest);

impl AnchorId {
    /// The identity of an anchor whose first vote key is `key`.
    pub fn of_first_key(key: &PublicKey) -> Self {
        Self(Digest::of_bytes("kedge/anchor-id/1", key.as_bytes()))
    }

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Debug for AnchorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnchorId({})", self.short())
    }
}

impl fmt::Display for AnchorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Canonical for AnchorId {
    fn encode(&self, out: &mut Encoder) {
        self.0.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Digest::decode(input).map(Self)
    }
}

/// One seat in a scope's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The seat's identity.
    pub id: AnchorId,
    /// The key that signs approvals and votes.
    pub vote_key: PublicKey,
    /// Transport keys of the nodes that hold the scope for this anchor; another kind of key.
    pub nodes: Vec<PublicKey>,
    /// Its share of the decision, 1 to [`WEIGHT_MAX`].
    pub weight: u32,
    /// Who runs it; a label for people and lint.
    pub organisation: String,
    /// Where it runs; a label for people and nearness.
    pub region: String,
}

impl Anchor {
    /// A new seat of weight 1 whose identity comes from `key`.
    pub fn new(key: PublicKey, region: &str) -> Self {
        Self {
            id: AnchorId::of_first_key(&key),
            vote_key: key,
            nodes: Vec::new(),
            weight: 1,
            organisation: String::new(),
            region: region.to_owned(),
        }
    }
}

impl Canonical for Anchor {
    fn encode(&self, out: &mut Encoder) {
        self.id.encode(out);
        self.vote_key.encode(out);
        out.list(&self.nodes);
        out.u32(self.weight);
        out.text(&self.organisation);
        out.text(&self.region);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: AnchorId::decode(input)?,
            vote_key: PublicKey::decode(input)?,
            nodes: input.list("nodes of an anchor", NODES_PER_ANCHOR_MAX)?,
            weight: input.u32()?,
            organisation: input.text("organisation", REGION_BYTES_MAX)?,
            region: input.text("region", REGION_BYTES_MAX)?,
        })
    }
}

/// Three equal anchors hold exactly a third each.
const CAPPED_ANCHORS_MIN: usize = 4;

/// The anchors of a scope: at least one, in the order of their ids, no id or vote key twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorGroup {
    anchors: Vec<Anchor>,
    total_weight: u64,
}

/// Why anchors make no group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAnchorGroup {
    /// Nobody could ever decide.
    #[error("a scope needs at least one anchor")]
    Empty,
    /// More anchors than votes can be exchanged among.
    #[error("a scope has at most {ANCHORS_MAX} anchors")]
    TooMany,
    /// One seat or key would count twice.
    #[error("anchor {0} or its key appears twice")]
    Repeated(AnchorId),
    /// A weight of zero or above the limit.
    #[error("the weight of anchor {0} is not in 1..={WEIGHT_MAX}")]
    Weight(AnchorId),
}

impl AnchorGroup {
    /// Sorts the anchors by id and checks the group as a whole.
    pub fn new(mut anchors: Vec<Anchor>) -> Result<Self, BadAnchorGroup> {
        if anchors.len() > ANCHORS_MAX {
            return Err(BadAnchorGroup::TooMany);
        }
        anchors.sort_by_key(|anchor| anchor.id);
        let mut total_weight = 0;
        for (index, anchor) in anchors.iter().enumerate() {
            if anchor.weight == 0 || anchor.weight > WEIGHT_MAX {
                return Err(BadAnchorGroup::Weight(anchor.id));
            }
            let clash = |other: &Anchor| other.id == anchor.id || other.vote_key == anchor.vote_key;
            if anchors.iter().take(index).any(clash) {
                return Err(BadAnchorGroup::Repeated(anchor.id));
            }
            // At most ANCHORS_MAX * WEIGHT_MAX: cannot wrap.
            total_weight += u64::from(anchor.weight);
        }
        if total_weight == 0 {
            Err(BadAnchorGroup::Empty)
        } else {
            Ok(Self {
                anchors,
                total_weight,
            })
        }
    }

    /// The anchors in the order of their ids.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// The sum of all weights.
    pub fn total_weight(&self) -> u64 {
        self.total_weight
    }

    /// Whether each weight is below a third of the sum; true for fewer than four anchors, which
    /// cannot hold to it.
    pub fn each_below_a_third(&self) -> bool {
        let below = |anchor: &Anchor| u64::from(anchor.weight) * 3 < self.total_weight;
        self.anchors.len() < CAPPED_ANCHORS_MIN || self.anchors.iter().all(below)
    }

    /// The anchor of an identity.
    pub fn get(&self, id: &AnchorId) -> Option<&Anchor> {
        self.anchors.iter().find(|anchor| anchor.id == *id)
    }

    /// The seat that votes with `key`, and its index.
    pub fn seat_of(&self, key: &PublicKey) -> Option<(u16, &Anchor)> {
        self.anchors
            .iter()
            .enumerate()
            .find(|(_, anchor)| anchor.vote_key == *key)
            .and_then(|(index, anchor)| Some((u16::try_from(index).ok()?, anchor)))
    }

    /// The anchor at an index of a certificate.
    pub fn at(&self, index: u16) -> Option<&Anchor> {
        self.anchors.get(usize::from(index))
    }
}

impl Canonical for AnchorGroup {
    fn encode(&self, out: &mut Encoder) {
        out.list(&self.anchors);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        const NOT_CANONICAL: DecodeError = DecodeError::NotCanonical {
            what: "anchor group",
        };
        let anchors: Vec<Anchor> = input.list("anchors", ANCHORS_MAX)?;
        if !anchors
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.id < b.id))
        {
            return Err(NOT_CANONICAL);
        }
        Self::new(anchors).map_err(|_| NOT_CANONICAL)
    }
}

/// A signature by the anchor at an index of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatSignature {
    /// Index into [`AnchorGroup::anchors`].
    pub seat: u16,
    /// The signature.
    pub signature: Signature,
}

impl Canonical for SeatSignature {
    fn encode(&self, out: &mut Encoder) {
        out.u16(self.seat);
        self.signature.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            seat: input.u16()?,
            signature: Signature::decode(input)?,
        })
    }
}

/// Sums the weight of distinct seats whose signature over `message` holds. Every signature is
/// checked; a stranger, a repeat or a bad signature refuses the whole list.
pub fn signed_weight(
    group: &AnchorGroup,
    message_of: impl Fn(&Anchor) -> Vec<u8>,
    signatures: &[SeatSignature],
) -> Option<u64> {
    let mut weight = 0;
    let mut last = None;
    for SeatSignature { seat, signature } in signatures {
        let anchor = group.at(*seat)?;
        if last.is_some_and(|last| last >= *seat)
            || !anchor.vote_key.verifies(&message_of(anchor), signature)
        {
            return None;
        }
        last = Some(*seat);
        weight += u64::from(anchor.weight);
    }
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::SecretKey;

    fn anchor(seed: u8) -> Anchor {
        Anchor::new(SecretKey::from_seed(&[seed; 32]).public(), "eu")
    }

    #[test]
    fn a_group_is_sorted_and_refuses_repeats_and_bad_weights() {
        let group = AnchorGroup::new(vec![anchor(1), anchor(2), anchor(3)]).unwrap();
        assert_eq!(group.total_weight(), 3);
        assert!(
            group
                .anchors()
                .windows(2)
                .all(|pair| pair[0].id < pair[1].id)
        );
        assert_eq!(AnchorGroup::new(vec![]), Err(BadAnchorGroup::Empty));
        let twice = vec![anchor(1), anchor(1)];
        assert!(matches!(
            AnchorGroup::new(twice),
            Err(BadAnchorGroup::Repeated(_))
        ));
        let weightless = vec![Anchor {
            weight: 0,
            ..anchor(1)
        }];
        assert!(matches!(
            AnchorGroup::new(weightless),
            Err(BadAnchorGroup::Weight(_))
        ));
    }

    #[test]
    fn a_signature_counts_once_and_a_bad_one_spoils_the_list() {
        let keys: Vec<SecretKey> = (1..4)
            .map(|seed| SecretKey::from_seed(&[seed; 32]))
            .collect();
        let group = AnchorGroup::new(
            keys.iter()
                .map(|key| Anchor::new(key.public(), ""))
                .collect(),
        )
        .unwrap();
        let sign = |message: &[u8]| {
            let mut list: Vec<SeatSignature> = keys
                .iter()
                .map(|key| SeatSignature {
                    seat: group.seat_of(&key.public()).unwrap().0,
                    signature: key.sign(message),
                })
                .collect();
            list.sort_by_key(|entry| entry.seat);
            list
        };
        let message = |_: &Anchor| b"m".to_vec();
        let good = sign(b"m");
        assert_eq!(signed_weight(&group, message, &good), Some(3));
        assert_eq!(signed_weight(&group, message, &good[..2]), Some(2));
        let repeated = [good[0].clone(), good[0].clone()];
        assert_eq!(signed_weight(&group, message, &repeated), None);
        assert_eq!(signed_weight(&group, message, &sign(b"x")), None);
        let stranger = [SeatSignature {
            seat: 9,
            ..good[0].clone()
        }];
        assert_eq!(signed_weight(&group, message, &stranger), None);
    }
}
