//! Leases of instances, from the configuration to what runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters::checks::NetworkProber;
use crate::adapters::clock::SystemClock;
use crate::adapters::randomness::SystemRandomness;
use crate::adapters::storage::{LeaseFile, RedbStore, StoreError};
use crate::config::Config;
use crate::service::leases::{
    CheckRules, Checker, Counts, Keeper, LeaseRules, Leases, SharedCheckRules, Table,
};
use crate::service::ports::{Clock as _, Level, PeerNetwork, Symptom};

/// How late the end of a lease is written down, and a renewal, at most. Answers know it at once.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// Between two looks at round trips, which connections measure all the time.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// The keeper of a real node.
pub type NodeKeeper = Keeper<RedbStore, LeaseFile, SystemClock>;

/// Opens the leases of a node.
pub(super) fn open(
    config: &Config,
    store: &Arc<RedbStore>,
) -> Result<(Leases, NodeKeeper, SharedCheckRules), StoreError> {
    let file = LeaseFile::open(&config.leases_path())?;
    let (leases, keeper) = Leases::open(Arc::clone(store), file, SystemClock, rules(config))?;
    place(config, &leases);
    let checks = Arc::new(ArcSwap::from_pointee(check_rules(config)));
    Ok((leases, keeper, checks))
}

/// Puts in force where this node and its clients are.
pub(super) fn place(config: &Config, leases: &Leases) {
    leases.table().change_nearness(|nearness| {
        nearness.own = config.peers.region.as_str().into();
        nearness.networks.clone_from(&config.regions.networks);
        nearness.shows = config.regions.shows;
    });
}

/// Measures how far the regions of peers are, until told to stop.
pub(super) async fn measure(
    table: Arc<Table>,
    network: Arc<dyn PeerNetwork>,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(MEASURE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let mut round_trips: BTreeMap<Box<str>, u64> = BTreeMap::new();
        for peer in network.peers() {
            if let (true, Some(rtt_us)) = (peer.is_connected, peer.rtt_us) {
                let least = round_trips.entry(peer.region.into()).or_insert(rtt_us);
                *least = rtt_us.min(*least);
            }
        }
        // What was measured stays when a region goes dark: its instances are as far as before.
        table.change_nearness(|nearness| nearness.round_trips_us.extend(round_trips.clone()));
    }
}

/// What leases are taken.
pub(super) fn rules(config: &Config) -> LeaseRules {
    LeaseRules {
        check: config.leases.check.clone(),
        local: config.leases.local_addresses,
    }
}

/// How instances are checked.
pub(super) fn check_rules(config: &Config) -> CheckRules {
    CheckRules {
        networks: config.leases.check.clone(),
        interval: Duration::from_millis(config.leases.check_interval_ms),
        patience: Duration::from_millis(config.leases.check_timeout_ms),
    }
}

/// Runs what leases need besides their keeper: checks, and the time.
pub(super) fn tend(
    tasks: &TaskTracker,
    leases: &Leases,
    checks: SharedCheckRules,
    stop: &CancellationToken,
) {
    let chance = (SystemRandomness, SystemClock);
    let checker = Checker::new(leases.clone(), NetworkProber, chance, checks);
    tasks.spawn(checker.run(stop.clone()));
    tasks.spawn(tick(leases.clone(), stop.clone()));
}

/// Lets leases end whose time is over.
async fn tick(leases: Leases, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => leases.tick(),
        }
    }
}

/// How leases are, if there are any.
pub(super) fn look_at(leases: &Leases) -> Option<Symptom> {
    if let Some(error) = leases.failure() {
        let hint = "make room or mend the disk; renewals since then are lost in a restart, other \
                    leases are refused";
        return Some(Symptom {
            level: Level::Fail,
            what: "leases".to_owned(),
            message: format!("they could not be written down: {error}"),
            hint: Some(hint.to_owned()),
        });
    }
    let Counts {
        services,
        instances,
        unhealthy,
        failing,
        stale,
    } = leases.counts(SystemClock.now());
    if services == 0 {
        return None;
    }
    let ok = failing == 0 && stale == 0;
    let mut parts = vec![format!("{instances} instance(s) of {services} service(s)")];
    if unhealthy > 0 {
        parts.push(format!("{unhealthy} unhealthy"));
    }
    if !ok {
        parts.push(format!("{failing} service(s) without a healthy instance"));
        parts.push(format!("{stale} with the last known good"));
    }
    Some(Symptom {
        level: if ok { Level::Ok } else { Level::Warn },
        what: "leases".to_owned(),
        message: parts.join(", "),
        hint: (!ok).then(|| "`kedge lease list NAME` shows a service's instances".to_owned()),
    })
}
