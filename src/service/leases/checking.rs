//! `Checker`: finds out whether instances work, at their own address and port.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::governance::lease::Check;
use crate::index::held_lease::LeaseKey;
use crate::resolution::instances::{Health, Instance};
use crate::service::ports::{Clock, Prober, Randomness};

use super::{Finding, Leases};

/// Checks under way at the same time: each is a socket.
const CHECKS_MAX: usize = 128;
/// How long a new instance waits for its first check, at most.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);
/// Failures in a row after which an instance counts as failing: one may be lost on the way.
const FALL: u8 = 3;
/// Passes in a row after which one that failed counts as working again.
const RISE: u8 = 2;
/// The part of an interval by which checks are moved, so that they do not come all at once.
const JITTER_PART: u64 = 10;

/// How instances are checked, by configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRules {
    /// Networks in which they are.
    pub networks: Vec<IpNet>,
    /// Between two checks of one instance.
    pub interval: Duration,
    /// How long one may take.
    pub patience: Duration,
}

/// Rules that a reload replaces.
pub type SharedCheckRules = Arc<ArcSwap<CheckRules>>;

/// Where a check goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    address: IpAddr,
    port: u16,
    check: Check,
}

impl Target {
    fn of(instance: &Instance) -> Self {
        Self {
            address: instance.address,
            port: instance.port,
            check: instance.check.clone(),
        }
    }
}

/// What was found so far, in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Streak {
    passed: u8,
    failed: u8,
}

impl Streak {
    /// What a check makes of an instance's health.
    fn note(&mut self, health: Health, passes: bool) -> Health {
        *self = if passes {
            Self {
                passed: self.passed.saturating_add(1),
                failed: 0,
            }
        } else {
            Self {
                passed: 0,
                failed: self.failed.saturating_add(1),
            }
        };
        match health {
            Health::Failing if self.passed < RISE => Health::Failing,
            // A new instance has no good name to lose.
            Health::New if !passes => Health::Failing,
            _ if passes => Health::Passing,
            _ if self.failed >= FALL => Health::Failing,
            other => other,
        }
    }
}

/// An instance that is checked.
#[derive(Debug)]
struct Checked {
    target: Target,
    health: Health,
    streak: Streak,
    due: Instant,
    under_way: bool,
}

/// Checks instances until it is stopped.
pub struct Checker<P, R, C> {
    leases: Leases,
    prober: Arc<P>,
    randomness: R,
    clock: C,
    rules: SharedCheckRules,
    checked: BTreeMap<LeaseKey, Checked>,
}

impl<P, R, C> std::fmt::Debug for Checker<P, R, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checker")
    }
}

/// What came of one check.
type Came = (LeaseKey, Target, Result<(), String>);

impl<P: Prober, R: Randomness, C: Clock> Checker<P, R, C> {
    /// A checker of the instances of these leases.
    pub fn new(leases: Leases, prober: P, chance: (R, C), rules: SharedCheckRules) -> Self {
        let (randomness, clock) = chance;
        Self {
            leases,
            prober: Arc::new(prober),
            randomness,
            clock,
            rules,
            checked: BTreeMap::new(),
        }
    }

    /// Checks until it is stopped; what is under way then is given up.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut under_way: JoinSet<Came> = JoinSet::new();
        loop {
            let pause = self.rules.load().interval.min(LOOK_EVERY_MAX);
            tokio::select! {
                () = stop.cancelled() => return,
                Some(came) = under_way.join_next(), if !under_way.is_empty() => {
                    let mut found = Vec::new();
                    let mut next = Some(came);
                    while let Some(came) = next {
                        // A check that panicked found nothing out.
                        found.extend(came.ok().and_then(|came| self.came(came)));
                        next = under_way.try_join_next();
                    }
                    self.tell(found);
                }
                () = tokio::time::sleep(pause) => {
                    let found = self.look();
                    self.tell(found);
                }
            }
            self.start(&mut under_way);
        }
    }

    fn tell(&self, found: Vec<Finding>) {
        if !found.is_empty()
            && let Err(error) = self.leases.note_health(found)
        {
            tracing::warn!(%error, "what checks found is lost; the next checks say it again");
        }
    }

    /// Takes in which instances there are now. Those that are not checked any more are as before.
    fn look(&mut self) -> Vec<Finding> {
        let now = self.clock.now();
        let rules = self.rules.load_full();
        let mut before = std::mem::take(&mut self.checked);
        let mut found = Vec::new();
        for service in self.leases.table().all() {
            for instance in &service.instances {
                if instance.check == Check::None || !instance.is_live(now) {
                    continue;
                }
                let key = (service.uid, instance.label.clone());
                let target = Target::of(instance);
                let is_allowed = |net: &IpNet| net.contains(&target.address);
                if !rules.networks.iter().any(is_allowed) {
                    if !instance.health.is_good() {
                        found.push(finding(key, &target, Health::AsBefore));
                    }
                    continue;
                }
                let known = before.remove(&key);
                let checked = match known.filter(|known| known.target == target) {
                    // What was found was perhaps lost on its way.
                    Some(known) => Checked {
                        health: instance.health,
                        ..known
                    },
                    None => Checked {
                        target,
                        health: instance.health,
                        streak: Streak::default(),
                        due: Instant::now(),
                        under_way: false,
                    },
                };
                self.checked.insert(key, checked);
            }
        }
        found
    }

    /// Begins the checks that are due, as many as may be under way.
    fn start(&mut self, under_way: &mut JoinSet<Came>) {
        let rules = self.rules.load_full();
        let now = Instant::now();
        let mut due: Vec<(Instant, LeaseKey)> = self
            .checked
            .iter()
            .filter(|(_, checked)| !checked.under_way && checked.due <= now)
            .map(|(key, checked)| (checked.due, key.clone()))
            .collect();
        due.sort_unstable();
        for (_, key) in due {
            if under_way.len() >= CHECKS_MAX {
                break;
            }
            let next = now + self.jittered(rules.interval);
            let Some(checked) = self.checked.get_mut(&key) else {
                continue;
            };
            checked.under_way = true;
            checked.due = next;
            let (target, patience) = (checked.target.clone(), rules.patience);
            let prober = Arc::clone(&self.prober);
            under_way.spawn(async move {
                let to = SocketAddr::new(target.address, target.port);
                let probing = tokio::time::timeout(patience, prober.probe(to, &target.check));
                let came = probing.await.unwrap_or_else(|_| {
                    Err(format!("no answer within {} ms", patience.as_millis()))
                });
                (key, target, came)
            });
        }
    }

    /// An interval, a tenth of it shorter or longer.
    fn jittered(&self, interval: Duration) -> Duration {
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let span = (millis / JITTER_PART).max(1);
        let moved = self.randomness.u64() % (2 * span);
        Duration::from_millis((millis + moved).saturating_sub(span).max(1))
    }

    /// What a check makes of its instance, if that is news.
    fn came(&mut self, (key, target, came): Came) -> Option<Finding> {
        let checked = self.checked.get_mut(&key)?;
        checked.under_way = false;
        if checked.target != target {
            return None;
        }
        let before = checked.health;
        checked.health = checked.streak.note(before, came.is_ok());
        if checked.health == before {
            return None;
        }
        let health = checked.health;
        let (service, instance) = &key;
        let why = came.err().unwrap_or_default();
        tracing::info!(%service, %instance, %health, %why, "a check found a change");
        Some(finding(key, &target, health))
    }
}

fn finding((service, instance): LeaseKey, target: &Target, health: Health) -> Finding {
    Finding {
        service,
        instance,
        address: target.address,
        port: target.port,
        health,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(health: Health, checks: &[bool]) -> Health {
        let mut streak = Streak::default();
        let note = |health, passes: &bool| streak.note(health, *passes);
        checks.iter().fold(health, note)
    }

    #[test]
    fn one_lost_check_changes_nothing_and_three_do() {
        use Health::{AsBefore, Failing, New, Passing};
        assert_eq!(after(Passing, &[false, false]), Passing);
        assert_eq!(after(Passing, &[false, false, true, false, false]), Passing);
        assert_eq!(after(Passing, &[false, false, false]), Failing);
        assert_eq!(after(AsBefore, &[false, false]), AsBefore);
        assert_eq!(after(AsBefore, &[false, false, false]), Failing);
        assert_eq!(after(AsBefore, &[true]), Passing);
        assert_eq!(after(Failing, &[true]), Failing);
        assert_eq!(after(Failing, &[true, false, true]), Failing);
        assert_eq!(after(Failing, &[true, true]), Passing);
        assert_eq!(after(New, &[true]), Passing);
        assert_eq!(after(New, &[false]), Failing);
    }
}
