//! How a lease follows the one before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::time::Timestamp;
use crate::governance::lease::{Condition, Lease, LeaseRefusal};
use crate::resolution::instances::Instance;

use super::super::Taken;
use super::{Keeping, Row};

/// The same lease once more changes nothing and is no fault: its answer may have been lost.
pub(super) fn again(lease: &Lease, known: &Instance) -> Result<Taken, LeaseRefusal> {
    let (said, held) = (lease.sequence, known.sequence);
    let same = said == held
        && lease.issued == known.issued
        && lease.key == known.key
        && lease.condition == known.condition
        && lease.lifetime_millis() == known.lifetime_millis
        && (lease.address, lease.port) == (known.address, known.port);
    if same {
        Ok(Taken {
            instance: Arc::new(known.clone()),
            renewed: true,
            is_new: false,
        })
    } else {
        Err(LeaseRefusal::Sequence { said, held })
    }
}

/// Whether a lease says nothing new but that the instance is still there: losing it in a crash
/// costs no more than the moment until the next one.
pub(super) fn is_renewal(known: &Instance, next: &Instance, now: Timestamp) -> bool {
    known.is_live(now)
        && *next
            == Instance {
                sequence: next.sequence,
                issued: next.issued,
                until: next.until,
                lifetime_millis: next.lifetime_millis,
                ..known.clone()
            }
}

/// Whether a lease would leave a service without an answer that it has: without a healthy instance,
/// without any of a family of addresses, or with instances of which none is shown. It must say that
/// this is meant.
pub(super) fn judge_emptying(
    keeping: Option<&Keeping>,
    known: Option<&Instance>,
    (lease, now): (&Lease, Timestamp),
) -> Result<(), LeaseRefusal> {
    let moves = known.is_some_and(|known| known.address.is_ipv4() != lease.address.is_ipv4());
    if lease.may_empty || (lease.condition == Condition::Up && !moves) {
        return Ok(());
    }
    let family = |is_ipv4| if is_ipv4 { "IPv4" } else { "IPv6" };
    let refuse = |is_ipv4| {
        let (instance, family) = (lease.instance.clone(), family(is_ipv4));
        Err(LeaseRefusal::WouldBeEmpty { instance, family })
    };
    let Some(keeping) = keeping else {
        // The entry's own records answer, and would no longer.
        return refuse(lease.address.is_ipv4());
    };
    let before = keeping.service(lease.service);
    before.judge_leaving(lease, now)?;
    let mut after = keeping.clone();
    let row = Row {
        instance: Arc::new(Instance::of(lease, known, now)),
        words: BTreeMap::new(),
        lapsed: false,
    };
    after.rows.insert(lease.instance.clone(), row);
    let after = after.service(lease.service);
    for is_ipv4 in [true, false] {
        let of = |instance: &Instance| instance.address.is_ipv4() == is_ipv4;
        let was = !before.choose(now, of).shown.is_empty();
        if was && after.choose(now, of).shown.is_empty() {
            return refuse(is_ipv4);
        }
    }
    Ok(())
}
