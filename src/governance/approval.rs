//! `Approval`: an anchor's signed yes or no to a proposal.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::base::signed::{Authored, Signed};
use crate::namespace::scope::ScopeUid;

use super::descriptor::Descriptor;

/// One anchor's opinion. Approvals conflict with nothing; they are a growing set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The scope.
    pub scope: ScopeUid,
    /// The proposal.
    pub proposal: Digest,
    /// Yes or no.
    pub yes: bool,
    /// The last height at which it counts.
    pub not_after_height: u64,
    /// The anchor's vote key.
    pub anchor: PublicKey,
}

impl Canonical for Approval {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.proposal.encode(out);
        out.bool(self.yes);
        out.u64(self.not_after_height);
        self.anchor.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            proposal: Digest::decode(input)?,
            yes: input.bool()?,
            not_after_height: input.u64()?,
            anchor: PublicKey::decode(input)?,
        })
    }
}

impl Form for Approval {
    const LABEL: &'static str = "kedge/approval";
}

impl Authored for Approval {
    fn signer(&self) -> PublicKey {
        self.anchor
    }
}

/// The approvals that count for `proposal` at `height` and the weight they hold: a valid yes of each
/// distinct anchor of `descriptor`. What does not count is passed over: approvals are a set that
/// strangers may add to.
pub fn counted(
    descriptor: &Descriptor,
    proposal: &Digest,
    height: u64,
    approvals: &[Signed<Approval>],
) -> (Vec<Signed<Approval>>, u64) {
    let scope = descriptor.scope_uid();
    let mut seats: Vec<u16> = Vec::new();
    let mut counted = Vec::new();
    let mut weight = 0;
    for signed in approvals {
        let approval = signed.unverified();
        let Some((seat, anchor)) = descriptor.anchors.seat_of(&approval.anchor) else {
            continue;
        };
        let counts = approval.yes
            && approval.scope == scope
            && approval.proposal == *proposal
            && height <= approval.not_after_height
            && !seats.contains(&seat);
        if counts && signed.clone().verify().is_ok() {
            seats.push(seat);
            counted.push(signed.clone());
            weight += u64::from(anchor.weight);
        }
    }
    (counted, weight)
}
