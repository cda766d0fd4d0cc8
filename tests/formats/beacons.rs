//! What anchors say of where their scopes stand.

use kedge::base::signed::Verified;
use kedge::base::time::Timestamp;
use kedge::governance::beacon::{BeaconTree, Sight, TakenBack, Testimony};
use kedge::namespace::scope::ScopeUid;
use kedge::replication::wire::{BeaconRow, BeaconWish, Reply, Request};

use crate::samples::{Sample, child, digest, form, root};
use crate::world::key;

fn sight(scope: ScopeUid, height: u64) -> Sight {
    Sight {
        scope,
        height,
        head: digest(4),
        has_precommitted: true,
    }
}

/// What an anchor of two scopes says of one of them.
fn testimony(time: u64, height: u64) -> Testimony {
    let scope = root().scope_uid();
    let other = child().scope_uid();
    let tree = BeaconTree::new(vec![sight(scope, height), sight(other, 3)]).unwrap();
    let beacon = tree.beacon(key(1).public(), Timestamp::from_millis(time));
    Testimony {
        beacon: Verified::sign(beacon, &key(1)).unwrap().signed().clone(),
        placed: tree.place(&scope).unwrap(),
    }
}

fn taken_back() -> TakenBack {
    let (first, then) = (
        testimony(1_700_000_000_000, 9),
        testimony(1_700_000_030_000, 8),
    );
    let taken = TakenBack { first, then };
    assert!(taken.convicts().is_some());
    taken
}

pub(crate) fn samples() -> Vec<Sample> {
    let Testimony { beacon, placed } = testimony(1_700_000_000_000, 9);
    let wish = BeaconWish {
        anchors: vec![key(1).public(), key(2).public()],
        scopes: vec![root().scope_uid()],
    };
    vec![
        form("sight", &placed.sight),
        form("beacon", beacon.unverified()),
        form("testimony", &testimony(1_700_000_000_000, 9)),
        form("taken-back", &taken_back()),
        form("request-beacons", &Request::Beacons(wish)),
        form(
            "reply-beacons",
            &Reply::Beacons(vec![BeaconRow {
                beacon,
                places: vec![placed],
            }]),
        ),
    ]
}
