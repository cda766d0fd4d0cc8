//! `BeaconWish` and `BeaconRow`: what anchors said last, from node to node.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::keys::PublicKey;
use crate::base::limits::ANCHORS_MAX;
use crate::base::signed::Signed;
use crate::governance::beacon::{Beacon, Placed};
use crate::namespace::scope::ScopeUid;

/// Anchors whose last beacons are asked for at once, at some 170 bytes each.
pub const BEACONS_PER_REQUEST_MAX: usize = 256;
/// Scopes whose places are asked for at once.
pub const PLACES_PER_REQUEST_MAX: usize = 32;
/// Beacons in one reply: those that were asked for, and one of each anchor of each scope.
pub const BEACONS_PER_REPLY_MAX: usize =
    BEACONS_PER_REQUEST_MAX + PLACES_PER_REQUEST_MAX * ANCHORS_MAX;
/// One beacon with its signature, or one place among a million scopes.
const ROW_BYTES_MAX: usize = 1 << 10;
/// One reply with beacons.
pub const BEACONS_REPLY_BYTES_MAX: usize = 2 * BEACONS_PER_REPLY_MAX * ROW_BYTES_MAX;

/// Whose beacons are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BeaconWish {
    /// The last beacon of each of these.
    pub anchors: Vec<PublicKey>,
    /// What is known of these scopes by beacons of their anchors.
    pub scopes: Vec<ScopeUid>,
}

/// A beacon, and places under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeaconRow {
    /// The beacon.
    pub beacon: Signed<Beacon>,
    /// The places of scopes that were asked for.
    pub places: Vec<Placed>,
}

impl Canonical for BeaconWish {
    fn encode(&self, out: &mut Encoder) {
        out.list(&self.anchors);
        out.list(&self.scopes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            anchors: input.list("anchors", BEACONS_PER_REQUEST_MAX)?,
            scopes: input.list("scopes", PLACES_PER_REQUEST_MAX)?,
        })
    }
}

impl Canonical for BeaconRow {
    fn encode(&self, out: &mut Encoder) {
        self.beacon.encode(out);
        out.list(&self.places);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            beacon: Signed::decode(input)?,
            places: input.list("places", PLACES_PER_REQUEST_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::canonical::Form as _;
    use crate::base::digest::Digest;
    use crate::base::keys::SecretKey;
    use crate::base::time::Timestamp;
    use crate::governance::beacon::{BeaconTree, Sight};
    use crate::replication::wire::{LENGTH_BYTES, Reply, frame};

    #[test]
    fn the_largest_reply_fits_its_frame() {
        let key = SecretKey::from_seed(&[1; 32]);
        let sight = Sight {
            scope: ScopeUid::new(Digest::ZERO),
            height: u64::MAX,
            head: Digest::ZERO,
            has_precommitted: true,
        };
        let tree = BeaconTree::new(vec![sight]).unwrap();
        let beacon = tree.beacon(key.public(), Timestamp::from_millis(u64::MAX));
        let mut placed = tree.place(&sight.scope).unwrap();
        placed.siblings = vec![Digest::ZERO; 32];
        let row = BeaconRow {
            beacon: Signed::new(beacon, &key).unwrap(),
            places: vec![placed],
        };
        let reply = Reply::Beacons(vec![row; BEACONS_PER_REPLY_MAX]);
        assert!(frame(&reply).len() <= BEACONS_REPLY_BYTES_MAX + LENGTH_BYTES);
        assert_eq!(Reply::from_bytes(&reply.to_bytes()), Ok(reply));
    }
}
