//! `Service`: the instances behind an entry, and which of them are shown at a time.
//!
//! Leases are judged where they are taken; here is only what follows from them, by the time of the
//! question. A service is never empty by accident: when every check fails all that are up are
//! shown, and when every lease ended the last known good instances are, for a while.

use std::cmp::Reverse;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::keys::PublicKey;
use crate::base::limits::LAST_GOOD_SECS_MAX;
use crate::base::time::Timestamp;
use crate::governance::lease::{Check, Condition, Lease, LeaseRefusal};
use crate::namespace::instance_name::InstanceLabel;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

mod nearness;

pub use self::nearness::{Nearness, Ranked, Shows};

/// What checks say of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It works, or declares no check.
    Passing,
    /// It was there before this node started; nothing was found out since.
    AsBefore,
    /// It is new here, and its first check is to come.
    New,
    /// Its checks fail.
    Failing,
}

impl Health {
    /// Whether it counts as working.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Passing | Self::AsBefore)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passing => "passing",
            Self::AsBefore => "as before",
            Self::New => "new",
            Self::Failing => "failing",
        })
    }
}

/// An instance of a service, as its last lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// What it is called.
    pub label: InstanceLabel,
    /// Where it runs.
    pub address: IpAddr,
    /// The port it serves.
    pub port: u16,
    /// Its share.
    pub weight: u16,
    /// The region it runs in.
    pub region: Box<str>,
    /// What it is doing.
    pub condition: Condition,
    /// How it is checked.
    pub check: Check,
    /// Who announces it.
    pub key: PublicKey,
    /// The number of its lease.
    pub sequence: u64,
    /// When its lease was signed.
    pub issued: Timestamp,
    /// When its lease came here, or its condition changed, whichever is later.
    pub since: Timestamp,
    /// It counts until then, by this node's clock.
    pub until: Timestamp,
    /// How long its lease lasts, in milliseconds.
    pub lifetime_millis: u64,
    /// What checks say.
    pub health: Health,
}

impl Instance {
    /// What a lease makes of an instance: `held` is what is known of it, `now` when it came.
    pub fn of(lease: &Lease, held: Option<&Self>, now: Timestamp) -> Self {
        let same_place = |held: &&Self| {
            held.address == lease.address
                && held.port == lease.port
                && held.check == lease.check
                && held.condition != Condition::Ended
                // What was gone for longer starts anew.
                && now < held.until.plus_millis(held.lifetime_millis)
        };
        let lifetime_millis = lease.lifetime_millis();
        let health = match held.filter(same_place) {
            Some(held) => held.health,
            None if lease.check == Check::None => Health::Passing,
            None => Health::New,
        };
        let same = held.filter(|held| held.condition == lease.condition);
        Self {
            label: lease.instance.clone(),
            address: lease.address,
            port: lease.port,
            weight: lease.weight,
            region: lease.region.as_str().into(),
            condition: lease.condition,
            check: lease.check.clone(),
            key: lease.key,
            sequence: lease.sequence,
            issued: lease.issued,
            since: same.map_or(now, |held| held.since),
            // An announcer whose clock is ahead gets no longer lease than it asked for.
            until: lease.expires.min(now.plus_millis(lifetime_millis)),
            lifetime_millis,
            health,
        }
    }

    /// Whether its lease lasts and it is not gone.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.condition != Condition::Ended && now < self.until
    }

    /// Whether its lease lasts and it takes what comes.
    pub fn is_up(&self, now: Timestamp) -> bool {
        self.condition == Condition::Up && now < self.until
    }
}

/// Where the service's entry was, and who governed it, when the rights of its announcers were
/// judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The scope.
    pub scope: ScopeUid,
    /// Its epoch.
    pub epoch: u64,
    /// The path in it.
    pub path: NamePath,
}

/// The instances behind an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The entry.
    pub uid: Uid,
    /// What its announcers' rights were judged by.
    pub standing: Standing,
    /// Its instances, ended ones included, in the order of their labels.
    pub instances: Vec<Arc<Instance>>,
}

/// What is known of the instances behind an entry of a scope that is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// These; none if it is no service.
    Known(Option<Arc<Service>>),
    /// Nothing, or nothing fresh: other nodes may know.
    Unknown,
    /// Nothing, and nobody can say.
    Silent,
}

/// Services by their entry.
pub trait Services {
    /// The instances behind an entry; none if it never had any.
    fn service(&self, uid: &Uid) -> Option<Arc<Service>>;

    /// Rises whenever an entry becomes a service that was none, once that is seen.
    fn arrivals(&self) -> u64;

    /// The instances behind an entry of a scope that is not held.
    fn elsewhere(&self, uid: &Uid) -> Elsewhere;

    /// Where instances are, as seen from here.
    fn nearness(&self) -> Arc<Nearness>;
}

/// No services: for looking back, and where nothing but the index is wanted.
#[derive(Debug, Clone, Copy)]
pub struct NoServices;

impl Services for NoServices {
    fn service(&self, _: &Uid) -> Option<Arc<Service>> {
        None
    }

    fn arrivals(&self) -> u64 {
        0
    }

    fn elsewhere(&self, _: &Uid) -> Elsewhere {
        Elsewhere::Known(None)
    }

    fn nearness(&self) -> Arc<Nearness> {
        Arc::default()
    }
}

/// Why instances are shown, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// They are up and work.
    Healthy,
    /// They are up, and none works: better all than none.
    AllFailing,
    /// Every lease ended by itself, the last then: the last known good instances.
    Stale(Timestamp),
    /// The last instance was drained or ended on purpose.
    Emptied(Timestamp),
    /// Every lease ended by itself, and too long ago to be shown.
    Lapsed(Timestamp),
    /// There never was an instance, or none is remembered.
    Unknown,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("they work"),
            Self::AllFailing => {
                f.write_str("no instance passes its check: all that are up are shown")
            }
            Self::Stale(last) => write!(
                f,
                "every lease expired, the last at {last}: the last known good instances, until {}",
                last.plus_millis(LAST_GOOD_SECS_MAX * 1_000)
            ),
            Self::Emptied(since) => {
                write!(
                    f,
                    "the last instance was drained or ended on purpose at {since}"
                )
            }
            Self::Lapsed(last) => write!(f, "every lease expired, the last at {last}"),
            Self::Unknown => f.write_str("there are none"),
        }
    }
}

/// What is shown of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'s> {
    /// The instances, best first.
    pub shown: Vec<&'s Instance>,
    /// Why these.
    pub why: Why,
    /// Instances whose lease lasts.
    pub live: usize,
    /// Those of them that are up.
    pub up: usize,
    /// Those of these that work.
    pub good: usize,
}

impl Service {
    /// An instance by its name.
    pub fn instance(&self, label: &str) -> Option<&Instance> {
        let at = self
            .instances
            .binary_search_by(|instance| instance.label.as_str().cmp(label))
            .ok()?;
        self.instances.get(at).map(AsRef::as_ref)
    }

    /// Chooses what is shown at a time, among instances whose announcers `may` still announce.
    pub fn choose(&self, now: Timestamp, may: impl Fn(&Instance) -> bool) -> Choice<'_> {
        let all = self.instances.iter().map(AsRef::as_ref);
        let known: Vec<&Instance> = all.filter(|instance| may(instance)).collect();
        let up: Vec<&Instance> = filtered(&known, |instance| instance.is_up(now));
        let good: Vec<&Instance> = filtered(&up, |instance| instance.health.is_good());
        let (live, up_count, good_count) = (
            known
                .iter()
                .filter(|instance| instance.is_live(now))
                .count(),
            up.len(),
            good.len(),
        );
        let (mut shown, why) = if !good.is_empty() {
            (good, Why::Healthy)
        } else if !up.is_empty() {
            (up, Why::AllFailing)
        } else {
            remembered(&known, now)
        };
        shown.sort_by_key(|instance| {
            let health = if instance.health.is_good() {
                Health::Passing
            } else {
                instance.health
            };
            (health, Reverse(instance.weight), &instance.label)
        });
        Choice {
            shown,
            why,
            live,
            up: up_count,
            good: good_count,
        }
    }

    /// Whether a lease that drains or ends an instance would leave the service without a healthy
    /// one; it must say that this is meant.
    pub fn judge_leaving(&self, lease: &Lease, now: Timestamp) -> Result<(), LeaseRefusal> {
        let leaves = self
            .instance(lease.instance.as_str())
            .filter(|held| held.is_up(now) && lease.condition != Condition::Up);
        let (Some(leaves), false) = (leaves, lease.may_empty) else {
            return Ok(());
        };
        // Who asks for addresses of one family is not helped by the other.
        let mut others = self.instances.iter().filter(|other| {
            other.is_up(now)
                && other.label != leaves.label
                && other.address.is_ipv4() == leaves.address.is_ipv4()
        });
        let stays = if leaves.health.is_good() {
            others.any(|other| other.health.is_good())
        } else {
            others.next().is_some()
        };
        if stays {
            Ok(())
        } else {
            let family = if leaves.address.is_ipv4() {
                "IPv4"
            } else {
                "IPv6"
            };
            let instance = lease.instance.clone();
            Err(LeaseRefusal::WouldBeEmpty { instance, family })
        }
    }
}

fn filtered<'s>(instances: &[&'s Instance], keep: impl Fn(&Instance) -> bool) -> Vec<&'s Instance> {
    let kept = instances.iter().copied();
    kept.filter(|instance| keep(instance)).collect()
}

/// What is shown when nothing is up: what went last decides. Was it by purpose, then nothing; did
/// its lease run out, then those that ran out together with it.
fn remembered<'s>(known: &[&'s Instance], now: Timestamp) -> (Vec<&'s Instance>, Why) {
    let lapsed = filtered(known, |instance| instance.condition == Condition::Up);
    let left = known
        .iter()
        .filter(|instance| instance.condition != Condition::Up)
        .map(|instance| instance.since)
        .max();
    let last = lapsed.iter().map(|instance| instance.until).max();
    match (last, left) {
        (None, None) => (Vec::new(), Why::Unknown),
        (None, Some(left)) => (Vec::new(), Why::Emptied(left)),
        (Some(last), Some(left)) if left > last => (Vec::new(), Why::Emptied(left)),
        (Some(last), _) if now >= last.plus_millis(LAST_GOOD_SECS_MAX * 1_000) => {
            (Vec::new(), Why::Lapsed(last))
        }
        (Some(last), _) => {
            // Announcers renew at different moments: what ended within its own lifetime before the
            // last one may have been cut off by the same fault.
            let together =
                |instance: &Instance| instance.until.plus_millis(instance.lifetime_millis) >= last;
            (filtered(&lapsed, together), Why::Stale(last))
        }
    }
}

#[cfg(test)]
mod tests;
