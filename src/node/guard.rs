//! The guard of a node: put in force, replaced and looked at.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::adapters::clock::SystemClock;
use crate::adapters::dns::{CookieSecrets, Guard, GuardInForce, GuardParts, GuardStats, Rates};
use crate::adapters::keys::files::load_secret_text;
use crate::adapters::randomness::SystemRandomness;
use crate::config::Config;
use crate::service::ports::{Clock as _, Level, Randomness as _, Symptom};

use super::assemble::StartError;

/// The guard that a configuration wants, its files read.
pub fn parts(config: &Config) -> Result<GuardParts, StartError> {
    let secrets = match &config.guard.secret_file {
        None => None,
        Some(path) => {
            let text = load_secret_text(path)?;
            let secrets = CookieSecrets::parse(&text);
            Some(secrets.map_err(|source| StartError::Cookies {
                path: path.clone(),
                source,
            })?)
        }
    };
    Ok(GuardParts {
        plan: config.guard.plan.clone(),
        secrets,
    })
}

pub(super) fn in_force(parts: GuardParts) -> GuardInForce {
    let guard = Guard::new(parts, &SystemRandomness.seed(), SystemClock.now());
    Arc::new(ArcSwap::from_pointee(guard))
}

/// Puts another one in force; without a file of secrets a new one is made.
pub(super) fn replace(guard: &GuardInForce, parts: GuardParts) {
    let next = guard.load();
    let next = next.replaced(parts, &SystemRandomness.seed(), SystemClock.now());
    guard.store(Arc::new(next));
}

pub(super) fn look_at(guard: &GuardInForce) -> Symptom {
    let guard = guard.load();
    let (plan, stats) = (guard.plan(), guard.stats());
    let cookies = match (plan.cookies, plan.require_cookies) {
        (false, _) => "no cookies",
        (true, false) => "cookies",
        (true, true) => "cookies required",
    };
    let Rates {
        answers_per_sec,
        nxdomain_per_sec,
        errors_per_sec,
    } = plan.limits.rates;
    let GuardStats {
        dropped,
        cut,
        bad_cookies,
        crowded_out,
    } = stats;
    let message = format!(
        "{cookies}; answers a second to a network {answers_per_sec}, NXDOMAIN {nxdomain_per_sec}, errors \
         {errors_per_sec}; since the start {dropped} dropped, {cut} cut, {bad_cookies} BADCOOKIE, \
         {crowded_out} without a place to wait"
    );
    Symptom {
        level: Level::Ok,
        what: "guard".to_owned(),
        message,
        hint: None,
    }
}
