//! How fresh scopes of other nodes must be.

use crate::index::freshness::FreshnessBounds;
use crate::service::beacons::BeaconRules;

use super::file_v1;
use super::valid::Fault;

/// Seldomer than that nobody learns of anything in time.
const BEACON_SECS_MAX: u32 = 3_600;
/// A year: whoever means for ever writes 0.
const BOUND_SECS_MAX: u32 = 31_536_000;

pub(super) fn rules(written: &file_v1::Freshness) -> Result<BeaconRules, Fault> {
    let (every, stale, expire) = (written.beacon_secs, written.stale_secs, written.expire_secs);
    let fault = |key: &str, problem: String| (format!("freshness.{key}"), problem);
    if !(1..=BEACON_SECS_MAX).contains(&every) {
        let problem = format!("expected 1 to {BEACON_SECS_MAX} seconds");
        return Err(fault("beacon-secs", problem));
    }
    let twice = every.saturating_mul(2);
    if !(twice..=BOUND_SECS_MAX).contains(&stale) {
        let problem = format!("expected {twice}, twice beacon-secs, to {BOUND_SECS_MAX} seconds");
        return Err(fault("stale-secs", problem));
    }
    if expire != 0 && !(stale..=BOUND_SECS_MAX).contains(&expire) {
        let problem = format!(
            "expected {stale}, as stale-secs is, to {BOUND_SECS_MAX} seconds, or 0 for never"
        );
        return Err(fault("expire-secs", problem));
    }
    let millis = |secs: u32| u64::from(secs) * 1_000;
    Ok(BeaconRules {
        every_ms: millis(every),
        bounds: FreshnessBounds {
            stale_after_ms: millis(stale),
            expire_after_ms: (expire != 0).then(|| millis(expire)),
        },
    })
}
