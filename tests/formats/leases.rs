//! Forms about instances of services.

use std::net::IpAddr;

use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::lease::{Check, Condition, Lease};
use kedge::index::held_lease::HeldLease;

use crate::samples::{Sample, form, root, row, uid};
use crate::world::key;

pub(crate) fn samples() -> Vec<Sample> {
    let signed = signed();
    let held = HeldLease {
        lease: signed.clone(),
        received: Timestamp::from_millis(1_700_000_000_050),
        since: Timestamp::from_millis(1_700_000_000_040),
    };
    vec![
        form("lease-up", &up()),
        form("lease-ended", &ended()),
        row("signed-lease", &signed),
        form("held-lease", &held),
    ]
}

pub(crate) fn signed() -> Signed<Lease> {
    Signed::new(up(), &key(31)).unwrap()
}

fn up() -> Lease {
    Lease {
        scope: root().scope_uid(),
        service: uid(1),
        instance: "web-1".parse().unwrap(),
        address: IpAddr::from([10, 0, 0, 1]),
        port: 8_080,
        weight: 10,
        region: "eu".to_owned(),
        condition: Condition::Up,
        check: Check::Http("/health".to_owned()),
        sequence: 1_700_000_000_000,
        issued: Timestamp::from_millis(1_700_000_000_000),
        expires: Timestamp::from_millis(1_700_000_030_000),
        may_empty: false,
        key: key(31).public(),
    }
}

fn ended() -> Lease {
    Lease {
        address: "2001:db8::1".parse().unwrap(),
        condition: Condition::Ended,
        check: Check::Tcp,
        may_empty: true,
        ..up()
    }
}
