//! `Descriptor`: who governs a scope in one epoch, and by which policy.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::base::keys::{NotSigned, PublicKey, Signer};
use crate::base::limits::{ANCHORS_MAX, GRANTS_MAX, RECOVERY_DELAY_SECS_MAX};
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

use super::anchor::{Anchor, AnchorGroup, AnchorId, SeatSignature, signed_weight};
use super::grant::Grant;
use super::policy::{Class, Policy};

/// One epoch of a scope's government. A change of anchors or policy makes a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The scope; none in the genesis descriptor, whose digest is the scope's identity.
    pub scope: Option<ScopeUid>,
    /// 0 at genesis, one more with each change.
    pub epoch: u64,
    /// The scope that delegated this one; none for the root of an apex.
    pub parent: Option<ScopeUid>,
    /// Random bytes of the genesis, so that equal settings still make two scopes.
    pub salt: [u8; 16],
    /// The voters.
    pub anchors: AnchorGroup,
    /// The rules.
    pub policy: Policy,
    /// What keys besides the anchors' may propose.
    pub grants: Vec<Grant>,
    /// Keys kept offline that may propose a recovery when the anchors are lost.
    pub recovery_keys: Vec<PublicKey>,
    /// How long a recovery stays public before it takes force, in seconds.
    pub recovery_delay_secs: u64,
}

impl Descriptor {
    /// The genesis descriptor of a new scope.
    pub fn genesis(
        parent: Option<ScopeUid>,
        salt: [u8; 16],
        anchors: AnchorGroup,
        policy: Policy,
    ) -> Self {
        Self {
            scope: None,
            epoch: 0,
            parent,
            salt,
            anchors,
            policy,
            grants: Vec::new(),
            recovery_keys: Vec::new(),
            recovery_delay_secs: 72 * 3_600,
        }
    }

    /// The scope's identity; for a genesis descriptor, its own digest.
    pub fn scope_uid(&self) -> ScopeUid {
        self.scope
            .unwrap_or_else(|| ScopeUid::new(Digest::of(self)))
    }

    /// The descriptor's digest, which blocks name.
    pub fn digest(&self) -> Digest {
        Digest::of(self)
    }

    /// Why no scope can be governed like this; none if it can.
    pub fn fault(&self) -> Option<&'static str> {
        if !self.keys_are_usable() {
            Some("it names a key that is no ed25519 key of full order")
        } else if self.recovery_delay_secs > RECOVERY_DELAY_SECS_MAX {
            Some("a recovery would have to stay public for more than 366 days")
        } else if self.policy.cap_weight && !self.anchors.each_below_a_third() {
            Some("an anchor holds a third of the weight or more, and the policy caps it")
        } else {
            self.policy.fault(self.anchors.total_weight())
        }
    }

    /// Whether every key that the descriptor names could verify something.
    fn keys_are_usable(&self) -> bool {
        let anchors = self.anchors.anchors().iter();
        anchors
            .flat_map(|anchor| std::iter::once(&anchor.vote_key).chain(&anchor.nodes))
            .chain(self.grants.iter().map(|grant| &grant.key))
            .chain(&self.recovery_keys)
            .all(PublicKey::is_usable)
    }

    /// Whether a key may announce instances of the entry at a path: an anchor's may, others with
    /// a grant.
    pub fn may_announce(&self, key: &PublicKey, path: &NamePath) -> bool {
        let granted = |grant: &Grant| grant.key == *key && grant.covers_announcing(path);
        self.anchors.seat_of(key).is_some() || self.grants.iter().any(granted)
    }

    /// The weight of approvals that decides a class of changes.
    pub fn weight_needed(&self, class: Class) -> u64 {
        let quorum = self.quorum_weight();
        match (self.policy.rule(class).weight, class) {
            (0, _) => quorum,
            (weight, Class::Governance) => weight.max(quorum),
            (weight, _) => weight,
        }
    }

    /// The least weight that decides.
    pub fn quorum_weight(&self) -> u64 {
        self.policy.quorum.needed(self.anchors.total_weight())
    }

    /// Signs the acceptance of every seat whose key is given.
    ///
    /// # Errors
    /// If one of the signers does not sign.
    pub fn accept_seats<'a, K: Signer + 'a>(
        &self,
        keys: impl IntoIterator<Item = &'a K>,
    ) -> Result<Vec<SeatSignature>, NotSigned> {
        let bytes = Seat::of(self).to_bytes();
        let mut seats = Vec::new();
        for key in keys {
            if let Some((seat, _)) = self.anchors.seat_of(&key.public()) {
                let signature = key.try_sign(&bytes)?;
                seats.push(SeatSignature { seat, signature });
            }
        }
        seats.sort_by_key(|entry| entry.seat);
        seats.dedup_by_key(|entry| entry.seat);
        Ok(seats)
    }

    /// The anchors whose signature accepts their seat; none if one of the signatures is wrong.
    pub fn accepted(&self, seats: &[SeatSignature]) -> Option<Vec<AnchorId>> {
        let message = |_: &Anchor| Seat::of(self).to_bytes();
        signed_weight(&self.anchors, message, seats)?;
        let anchors = seats.iter().filter_map(|seat| self.anchors.at(seat.seat));
        Some(anchors.map(|anchor| anchor.id).collect())
    }

    /// Whether anchors holding a quorum of this descriptor's own weights accepted their seats, so
    /// that a typing error cannot leave a scope without a voice.
    pub fn seats_accepted(&self, seats: &[SeatSignature]) -> bool {
        let message = |_: &Anchor| Seat::of(self).to_bytes();
        signed_weight(&self.anchors, message, seats)
            .is_some_and(|weight| weight >= self.quorum_weight())
    }
}

impl Canonical for Descriptor {
    fn encode(&self, out: &mut Encoder) {
        out.option(self.scope.as_ref());
        out.u64(self.epoch);
        out.option(self.parent.as_ref());
        out.fixed(&self.salt);
        self.anchors.encode(out);
        self.policy.encode(out);
        out.list(&self.grants);
        out.list(&self.recovery_keys);
        out.u64(self.recovery_delay_secs);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: input.option()?,
            epoch: input.u64()?,
            parent: input.option()?,
            salt: input.array()?,
            anchors: AnchorGroup::decode(input)?,
            policy: Policy::decode(input)?,
            grants: input.list("grants", GRANTS_MAX)?,
            recovery_keys: input.list("recovery keys", ANCHORS_MAX)?,
            recovery_delay_secs: input.u64()?,
        })
    }
}

impl Form for Descriptor {
    const LABEL: &'static str = "kedge/descriptor";
    const VERSION: u8 = 2;
}

/// What an anchor signs to take a seat.
struct Seat {
    scope: ScopeUid,
    descriptor: Digest,
}

impl Seat {
    fn of(descriptor: &Descriptor) -> Self {
        Self {
            scope: descriptor.scope_uid(),
            descriptor: descriptor.digest(),
        }
    }
}

impl Canonical for Seat {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.descriptor.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            descriptor: Digest::decode(input)?,
        })
    }
}

impl Form for Seat {
    const LABEL: &'static str = "kedge/seat";
}
