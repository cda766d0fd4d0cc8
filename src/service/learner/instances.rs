//! Instances of services of other nodes, as those who hold their leases showed them.
//!
//! Leases say themselves who signed them; whether that key may announce is judged for each question,
//! by the scope as it was proven.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::base::limits::LAST_GOOD_SECS_MAX;
use crate::base::time::Timestamp;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::replication::wire::LeaseRow;
use crate::resolution::instances::{
    Elsewhere, Health, Instance, Nearness, Service, Services, Standing,
};

use super::book::Sight;

/// How long what was shown counts as present, in milliseconds: as long as answers with instances may be
/// kept.
const FRESH_MS: u64 = 5_000;
/// Memory for services of other nodes.
const BYTES_MAX: u64 = 16 << 20;
/// What an instance takes, and a service beside its instances.
const INSTANCE_BYTES: u64 = 320;
const SERVICE_BYTES: u64 = 160;

/// What was shown of one entry.
#[derive(Debug)]
struct Shown {
    service: Option<Arc<Service>>,
    heard: Timestamp,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Uid, Arc<Shown>> for ByBytes {
    fn weight(&self, _key: &Uid, val: &Arc<Shown>) -> u64 {
        let instances = val
            .service
            .as_ref()
            .map_or(0, |service| service.instances.len());
        let instances = u64::try_from(instances).unwrap_or(u64::MAX);
        SERVICE_BYTES + instances.saturating_mul(INSTANCE_BYTES)
    }
}

/// Services of other nodes.
pub(super) struct LearnedServices(Cache<Uid, Arc<Shown>, ByBytes>);

impl Default for LearnedServices {
    fn default() -> Self {
        let items = BYTES_MAX / (SERVICE_BYTES + INSTANCE_BYTES);
        let items = usize::try_from(items).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, BYTES_MAX, ByBytes))
    }
}

impl LearnedServices {
    /// Takes in what a node showed of an entry of a scope. Leases that are over, of another service, or
    /// not signed by whom they name are left out; gives whether one of the last was among them.
    pub(super) fn take(
        &self,
        (scope, uid): (ScopeUid, Uid),
        rows: Vec<LeaseRow>,
        now: Timestamp,
    ) -> bool {
        let mut is_forged = false;
        let mut instances: Vec<Arc<Instance>> = Vec::with_capacity(rows.len());
        for LeaseRow { lease, works } in rows {
            let said = lease.unverified();
            // What ended a while ago may be the last known good. Nobody elsewhere runs on this machine.
            let last = Timestamp::from_millis(said.expires.as_millis().saturating_sub(1));
            let in_time = now.min(last);
            let lately = now < said.expires.plus_millis(LAST_GOOD_SECS_MAX * 1_000);
            let fits = lately && said.judge(in_time, false).is_ok();
            if (said.scope, said.service) != (scope, uid) || !fits {
                continue;
            }
            let Ok(lease) = lease.verify() else {
                is_forged = true;
                continue;
            };
            let mut instance = Instance::of(lease.object(), None, now);
            instance.health = match works {
                Some(true) => Health::Passing,
                Some(false) => Health::Failing,
                None => Health::AsBefore,
            };
            // Nobody says when it came to its condition; it was announced then.
            instance.since = now.min(instance.issued);
            instances.push(Arc::new(instance));
        }
        instances.sort_by(|one, other| {
            let newer = other.sequence.cmp(&one.sequence);
            one.label.cmp(&other.label).then(newer)
        });
        instances.dedup_by(|one, other| one.label == other.label);
        let service = (!instances.is_empty()).then(|| {
            Arc::new(Service {
                uid,
                // No epoch is this one: rights are judged anew for each question.
                standing: Standing {
                    scope,
                    epoch: u64::MAX,
                    path: NamePath::empty(),
                },
                instances,
            })
        });
        let shown = Shown {
            service,
            heard: now,
        };
        self.0.insert(uid, Arc::new(shown));
        is_forged
    }

    /// What is known at a time; what is past its time only if `may_be_stale`.
    fn known(&self, uid: &Uid, now: Timestamp, may_be_stale: bool) -> Elsewhere {
        let Some(shown) = self.0.get(uid) else {
            return if may_be_stale {
                Elsewhere::Silent
            } else {
                Elsewhere::Unknown
            };
        };
        let is_fresh = shown.heard <= now && now.millis_since(shown.heard) < FRESH_MS;
        if is_fresh || may_be_stale {
            Elsewhere::Known(shown.service.clone())
        } else {
            Elsewhere::Unknown
        }
    }
}

/// The services of this node, and what is known of others.
pub struct AllServices<'s> {
    held: &'s dyn Services,
    learned: &'s LearnedServices,
    now: Timestamp,
    may_be_stale: bool,
}

impl std::fmt::Debug for AllServices<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AllServices")
    }
}

impl<'s> AllServices<'s> {
    pub(super) const fn new(
        held: &'s dyn Services,
        learned: &'s LearnedServices,
        sight: &Sight<'_>,
    ) -> Self {
        Self {
            held,
            learned,
            now: sight.now(),
            may_be_stale: sight.may_be_stale(),
        }
    }
}

impl Services for AllServices<'_> {
    fn service(&self, uid: &Uid) -> Option<Arc<Service>> {
        self.held.service(uid)
    }

    fn arrivals(&self) -> u64 {
        self.held.arrivals()
    }

    fn elsewhere(&self, uid: &Uid) -> Elsewhere {
        self.learned.known(uid, self.now, self.may_be_stale)
    }

    fn nearness(&self) -> Arc<Nearness> {
        self.held.nearness()
    }
}
