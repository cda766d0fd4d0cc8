//! `Approval`: an anchor's signed yes or no to a proposal, and the count of them.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::limits::{CLOCK_AHEAD_MILLIS_MAX, NOTE_BYTES_MAX};
use crate::base::signed::{Authored, Signed};
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::anchor::{Anchor, AnchorId};
use super::descriptor::Descriptor;

/// One anchor's opinion: an approval, or an objection if it says no. Approvals conflict with
/// nothing; they are a growing set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The scope.
    pub scope: ScopeUid,
    /// The proposal.
    pub proposal: Digest,
    /// When the proposal expires; the approval with it.
    pub not_after: Timestamp,
    /// The digest of the impact that was shown. A yes counts only while the impact is the same.
    pub impact: Digest,
    /// Yes or no.
    pub yes: bool,
    /// When, by the anchor's clock.
    pub time: Timestamp,
    /// Why, in the anchor's words.
    pub reason: String,
    /// The anchor's vote key.
    pub anchor: PublicKey,
}

impl Canonical for Approval {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.proposal.encode(out);
        self.not_after.encode(out);
        self.impact.encode(out);
        out.bool(self.yes);
        self.time.encode(out);
        out.text(&self.reason);
        self.anchor.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            proposal: Digest::decode(input)?,
            not_after: Timestamp::decode(input)?,
            impact: Digest::decode(input)?,
            yes: input.bool()?,
            time: Timestamp::decode(input)?,
            reason: input.text("reason", NOTE_BYTES_MAX)?,
            anchor: PublicKey::decode(input)?,
        })
    }
}

impl Form for Approval {
    const LABEL: &'static str = "kedge/approval";
    const VERSION: u8 = 2;
}

impl Authored for Approval {
    fn signer(&self) -> PublicKey {
        self.anchor
    }
}

/// What is voted on: approvals of anything else do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Motion {
    /// The scope.
    pub scope: ScopeUid,
    /// The proposal.
    pub proposal: Digest,
    /// When it expires.
    pub not_after: Timestamp,
}

/// The approvals and objections that count, each of a distinct anchor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// What counts, in the order in which it was given.
    pub counted: Vec<Signed<Approval>>,
    /// Who approved, with weight and time.
    pub yes: Vec<(AnchorId, u64, Timestamp)>,
    /// Who objected, with weight.
    pub no: Vec<(AnchorId, u64)>,
}

impl Count {
    /// The weight of the approvals.
    pub fn yes_weight(&self) -> u64 {
        self.yes.iter().map(|(_, weight, _)| weight).sum()
    }

    /// The weight of the objections.
    pub fn no_weight(&self) -> u64 {
        self.no.iter().map(|(_, weight)| weight).sum()
    }

    /// When the weight of the approvals reached `needed`; none if it did not. An anchor alone can
    /// put its own approval into the past, but not the others' that are needed with it.
    pub fn reached(&self, needed: u64) -> Option<Timestamp> {
        let mut by_time: Vec<(Timestamp, u64)> = self
            .yes
            .iter()
            .map(|(_, weight, time)| (*time, *weight))
            .collect();
        by_time.sort_unstable();
        let mut sum = 0;
        by_time.into_iter().find_map(|(time, weight)| {
            sum += weight;
            (sum >= needed).then_some(time)
        })
    }
}

/// Counts votes for a block at `time`: the first valid one of each distinct anchor; objections, and
/// approvals of `impact`, or of any impact if none is given. What does not count is passed over:
/// approvals are a set that strangers may add to.
pub fn count(
    descriptor: &Descriptor,
    motion: &Motion,
    impact: Option<&Digest>,
    time: Timestamp,
    votes: &[Signed<Approval>],
) -> Count {
    let mut count = Count::default();
    for signed in votes {
        let vote = signed.unverified();
        let Some(anchor) = voter(descriptor, motion, time, vote) else {
            continue;
        };
        let counts = !vote.yes || impact.is_none_or(|impact| *impact == vote.impact);
        let seen = count.yes.iter().any(|(id, ..)| *id == anchor.id)
            || count.no.iter().any(|(id, _)| *id == anchor.id);
        if !counts || seen || signed.clone().verify().is_err() {
            continue;
        }
        let weight = u64::from(anchor.weight);
        if vote.yes {
            count.yes.push((anchor.id, weight, vote.time));
        } else {
            count.no.push((anchor.id, weight));
        }
        count.counted.push(signed.clone());
    }
    count
}

/// The anchor that a vote on this motion is of, if it could count; its signature is not checked.
pub fn voter<'d>(
    descriptor: &'d Descriptor,
    motion: &Motion,
    time: Timestamp,
    vote: &Approval,
) -> Option<&'d Anchor> {
    let (_, anchor) = descriptor.anchors.seat_of(&vote.anchor)?;
    let about = Motion {
        scope: vote.scope,
        proposal: vote.proposal,
        not_after: vote.not_after,
    };
    let in_time = vote.time <= time.plus_millis(CLOCK_AHEAD_MILLIS_MAX);
    (about == *motion && in_time).then_some(anchor)
}
