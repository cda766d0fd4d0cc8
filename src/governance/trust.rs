//! Trust: what a lineage shows about how its anchors vote, as integers that anybody recomputes.

use std::collections::BTreeMap;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};

use super::anchor::{AnchorGroup, AnchorId};
use super::policy::TRUST_MAX;

/// What an anchor did, counted over the lineage of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Votes that agreed with what became of the proposal.
    pub aligned: u32,
    /// Votes that did not.
    pub contested: u32,
    /// Proposals that expired without a vote of it.
    pub missed: u32,
    /// Proposals on which it signed both a yes and a no to the same impact.
    pub contradicted: u32,
}

/// A contradiction weighs as much as this many missed votes: it is no accident.
const CONTRADICTION_MISSES: u64 = 20;

/// Events after which an anchor's trust counts in full: trust matures.
const EVENTS_MATURE: u64 = 64;

/// The weight of a mature anchor with full trust; a new one has 1.
const WEIGHT_FULL: u64 = 100;

impl Tally {
    /// Votes given.
    pub const fn cast(&self) -> u32 {
        self.aligned.saturating_add(self.contested)
    }

    /// Trust out of [`TRUST_MAX`]. Starts in the middle; rises with votes that agree with the
    /// outcome, stays with votes that do not (dissent is no fault), falls with votes missed and
    /// far with contradictions.
    pub fn trust(&self) -> u16 {
        let [aligned, contested, missed, contradicted] =
            [self.aligned, self.contested, self.missed, self.contradicted].map(u64::from);
        let good = 2 + 2 * aligned + contested;
        let all = 4 + 2 * (aligned + contested + missed + CONTRADICTION_MISSES * contradicted);
        u16::try_from(u64::from(TRUST_MAX) * good / all).unwrap_or(TRUST_MAX)
    }

    /// The weight that trust and experience speak for, 1 to [`WEIGHT_FULL`], before any cap.
    fn earned_weight(&self) -> u64 {
        let events = u64::from(self.cast()) + u64::from(self.missed);
        let mature = events.min(EVENTS_MATURE);
        1 + (WEIGHT_FULL - 1) * u64::from(self.trust()) * mature
            / (u64::from(TRUST_MAX) * EVENTS_MATURE)
    }
}

/// The tallies of a scope's anchors, those of former ones included: who comes back is known.
pub type Ledger = BTreeMap<AnchorId, Tally>;

/// The weights that a ledger proposes for a group. They take force by an ordinary proposal only.
/// With `cap`, and four anchors or more, each stays below a third of the sum.
pub fn earned_weights(ledger: &Ledger, group: &AnchorGroup, cap: bool) -> BTreeMap<AnchorId, u32> {
    let earned = |id: &AnchorId| ledger.get(id).copied().unwrap_or_default().earned_weight();
    let mut weights: BTreeMap<AnchorId, u64> = group
        .anchors()
        .iter()
        .map(|anchor| (anchor.id, earned(&anchor.id)))
        .collect();
    if cap && weights.len() > 3 {
        // Lowering one weight raises the share of the others, so again until none is too large.
        for _ in 0..weights.len() * weights.len() {
            let sum: u64 = weights.values().sum();
            let Some(weight) = weights.values_mut().find(|weight| **weight * 3 >= sum) else {
                break;
            };
            *weight = ((sum - *weight).saturating_sub(1) / 2).max(1);
        }
    }
    weights
        .into_iter()
        .map(|(id, weight)| (id, u32::try_from(weight).unwrap_or(1)))
        .collect()
}

impl Canonical for Tally {
    fn encode(&self, out: &mut Encoder) {
        out.u32(self.aligned);
        out.u32(self.contested);
        out.u32(self.missed);
        out.u32(self.contradicted);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            aligned: input.u32()?,
            contested: input.u32()?,
            missed: input.u32()?,
            contradicted: input.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::SecretKey;
    use crate::governance::anchor::Anchor;

    fn group(count: u8) -> AnchorGroup {
        let anchors = (1..=count)
            .map(|seed| Anchor::new(SecretKey::from_seed(&[seed; 32]).public(), ""))
            .collect();
        AnchorGroup::new(anchors).unwrap()
    }

    fn tally(aligned: u32, contested: u32, missed: u32, contradicted: u32) -> Tally {
        Tally {
            aligned,
            contested,
            missed,
            contradicted,
        }
    }

    #[test]
    fn trust_rises_with_agreement_and_falls_with_absence_and_contradiction() {
        assert_eq!(Tally::default().trust(), 500);
        assert!(tally(10, 0, 0, 0).trust() > 900);
        assert_eq!(tally(0, 10, 0, 0).trust(), 500, "dissent is no fault");
        assert!(tally(10, 0, 10, 0).trust() < 600);
        assert!(tally(10, 0, 0, 1).trust() < tally(10, 0, 10, 0).trust());
        assert!(tally(u32::MAX, u32::MAX, u32::MAX, u32::MAX).trust() <= TRUST_MAX);
    }

    #[test]
    fn sixty_fresh_anchors_do_not_outweigh_four_trusted_ones() {
        let group = group(64);
        let ids: Vec<AnchorId> = group.anchors().iter().map(|anchor| anchor.id).collect();
        let (trusted, fresh) = ids.split_at(4);
        let ledger: Ledger = trusted
            .iter()
            .map(|id| (*id, tally(200, 0, 0, 0)))
            .collect();
        let weights = earned_weights(&ledger, &group, true);
        let sum = |ids: &[AnchorId]| ids.iter().map(|id| u64::from(weights[id])).sum::<u64>();
        assert!(
            sum(fresh) * 3 < sum(trusted) + sum(fresh),
            "{} fresh, {} trusted",
            sum(fresh),
            sum(trusted)
        );
    }

    #[test]
    fn no_weight_reaches_a_third_where_the_cap_can_hold() {
        for count in 4..12 {
            let group = group(count);
            for favoured in 1..usize::from(count) {
                let ids = group.anchors().iter().map(|anchor| anchor.id);
                let ledger: Ledger = ids
                    .take(favoured)
                    .map(|id| (id, tally(500, 0, 0, 0)))
                    .collect();
                let weights = earned_weights(&ledger, &group, true);
                let sum: u64 = weights.values().copied().map(u64::from).sum();
                for weight in weights.values() {
                    assert!(
                        u64::from(*weight) * 3 < sum,
                        "{count} {favoured} {weights:?}"
                    );
                }
            }
        }
    }
}
