//! `Book`: every lease that is remembered, and the rules by which one follows another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::keys::PublicKey;
use crate::base::limits::{
    CLOCK_AHEAD_MILLIS_MAX, INSTANCES_PER_SERVICE_MAX, LEASE_SECS_MAX, LEASES_MAX,
    LEASES_PER_KEY_MAX, LEASES_PER_SERVICE_MAX, RESTART_GRACE_SECS_MAX,
};
use crate::base::signed::Verified;
use crate::base::time::Timestamp;
use crate::governance::lease::{Check, Condition, Lease, LeaseRefusal};
use crate::index::held_lease::{HeldLease, KeptLease, LeaseChange, LeaseKey};
use crate::namespace::instance_name::InstanceLabel;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::resolution::instances::{Health, Instance, Service, Standing};

use super::table::Changed;
use super::{Finding, Taken};

mod judging;

use judging::{again, is_renewal, judge_emptying};

/// How long a lease is remembered after it ended: no older one can still be in time then.
const MEMORY_MILLIS: u64 = LEASE_SECS_MAX * 1_000 + CLOCK_AHEAD_MILLIS_MAX;

/// How a lease comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coming {
    /// When.
    pub(super) at: Timestamp,
    /// Whether another node took it before, which judged what is the announcer's to be told.
    pub(super) is_by_peer: bool,
}

impl Coming {
    pub(super) const fn by_announcer(at: Timestamp) -> Self {
        let is_by_peer = false;
        Self { at, is_by_peer }
    }

    pub(super) const fn by_peer(at: Timestamp) -> Self {
        let is_by_peer = true;
        Self { at, is_by_peer }
    }
}

/// The last lease of an instance.
#[derive(Debug, Clone)]
struct Row {
    instance: Arc<Instance>,
    /// What nodes say that check the instance, where this one does not.
    words: BTreeMap<PublicKey, bool>,
    /// Whether its end by itself was seen and written down.
    lapsed: bool,
}

impl Row {
    /// How the instance does by the words of other nodes: it works if one of those that check it says
    /// so, and counts as before while none does.
    fn health_by_words(&self) -> Health {
        let works = self.words.values().copied();
        match works.reduce(|one, other| one || other) {
            Some(true) => Health::Passing,
            Some(false) => Health::Failing,
            None => Health::AsBefore,
        }
    }
    /// When something is to be done about it.
    fn due(&self) -> Timestamp {
        let Instance {
            condition,
            until,
            since,
            ..
        } = *self.instance;
        match condition {
            Condition::Ended => since.plus_millis(MEMORY_MILLIS),
            _ if self.lapsed => until.plus_millis(MEMORY_MILLIS),
            _ => until,
        }
    }
}

/// The leases of one service.
#[derive(Debug, Clone)]
struct Keeping {
    standing: Standing,
    rows: BTreeMap<InstanceLabel, Row>,
}

impl Keeping {
    fn service(&self, uid: Uid) -> Service {
        let rows = self.rows.values();
        Service {
            uid,
            standing: self.standing.clone(),
            instances: rows.map(|row| Arc::clone(&row.instance)).collect(),
        }
    }
}

/// Every lease of the node.
#[derive(Debug, Default)]
pub(super) struct Book {
    services: BTreeMap<Uid, Keeping>,
    /// The services by the time at which something is to be done about one of their leases.
    due: BTreeSet<(Timestamp, Uid)>,
    by_key: BTreeMap<PublicKey, usize>,
    count: usize,
}

/// Changes on their way into the book.
#[derive(Debug, Default)]
pub(super) struct Draft {
    services: BTreeMap<Uid, Keeping>,
    /// Leases that are new, by their key.
    added: BTreeMap<PublicKey, usize>,
    /// What is to be written down.
    pub(super) changes: Vec<LeaseChange>,
}

impl Book {
    /// A book of what was kept. What ended while the node was down counts on for a while, so that
    /// its announcer can come back.
    pub(super) fn open(kept: Vec<KeptLease>, now: Timestamp) -> Self {
        let mut services: BTreeMap<Uid, Keeping> = BTreeMap::new();
        for KeptLease { held, lapsed } in kept {
            let lease = held.lease.unverified();
            let mut instance = Instance::of(lease, None, held.received);
            instance.since = held.since;
            if lease.check != Check::None {
                instance.health = Health::AsBefore;
            }
            if !lapsed && lease.condition != Condition::Ended && instance.until <= now {
                let grace = (RESTART_GRACE_SECS_MAX * 1_000).min(instance.lifetime_millis);
                instance.until = now.plus_millis(grace);
            }
            let row = Row {
                instance: Arc::new(instance),
                words: BTreeMap::new(),
                lapsed,
            };
            // Where the entry is, is looked up before anything is shown.
            let nowhere = || Keeping {
                standing: Standing {
                    scope: lease.scope,
                    epoch: u64::MAX,
                    path: NamePath::empty(),
                },
                rows: BTreeMap::new(),
            };
            services
                .entry(lease.service)
                .or_insert_with(nowhere)
                .rows
                .insert(lease.instance.clone(), row);
        }
        let mut book = Self::default();
        let draft = Draft {
            services,
            ..Draft::default()
        };
        drop(book.commit(draft));
        book
    }

    /// Every service.
    pub(super) fn uids(&self) -> Vec<Uid> {
        self.services.keys().copied().collect()
    }

    /// The services whose entry was in one of these scopes.
    pub(super) fn in_scopes(&self, scopes: &BTreeSet<ScopeUid>) -> Vec<Uid> {
        let standing = self.services.iter();
        standing
            .filter(|(_, keeping)| scopes.contains(&keeping.standing.scope))
            .map(|(uid, _)| *uid)
            .collect()
    }

    /// The scopes that services stand in.
    pub(super) fn scopes(&self) -> BTreeSet<ScopeUid> {
        let keeping = self.services.values();
        keeping.map(|keeping| keeping.standing.scope).collect()
    }

    /// Puts changes in force, and gives what the services are now; none for those that are gone.
    pub(super) fn commit(&mut self, draft: Draft) -> Vec<Changed> {
        let mut changed = Vec::with_capacity(draft.services.len());
        for (uid, keeping) in draft.services {
            if let Some(old) = self.services.remove(&uid) {
                self.count -= old.rows.len();
                if let Some(due) = due_of(&old) {
                    self.due.remove(&(due, uid));
                }
                for row in old.rows.values() {
                    if let Some(count) = self.by_key.get_mut(&row.instance.key) {
                        *count = count.saturating_sub(1);
                    }
                }
            }
            if keeping.rows.is_empty() {
                changed.push((uid, None));
                continue;
            }
            self.count += keeping.rows.len();
            for row in keeping.rows.values() {
                *self.by_key.entry(row.instance.key).or_default() += 1;
            }
            self.due.extend(due_of(&keeping).map(|due| (due, uid)));
            changed.push((uid, Some(Arc::new(keeping.service(uid)))));
            self.services.insert(uid, keeping);
        }
        self.by_key.retain(|_, count| *count > 0);
        changed
    }

    /// The leases of a service as they are with the draft.
    fn keeping<'a>(&'a self, draft: &'a Draft, uid: &Uid) -> Option<&'a Keeping> {
        draft.services.get(uid).or_else(|| self.services.get(uid))
    }

    /// The same, to be changed; empty if there are none.
    fn drafted<'d>(&self, draft: &'d mut Draft, uid: Uid, standing: &Standing) -> &'d mut Keeping {
        draft.services.entry(uid).or_insert_with(|| {
            let present = self.services.get(&uid).cloned();
            present.unwrap_or_else(|| Keeping {
                standing: standing.clone(),
                rows: BTreeMap::new(),
            })
        })
    }

    /// Takes a lease that was judged by itself and whose announcer may announce it.
    pub(super) fn take(
        &self,
        draft: &mut Draft,
        verified: &Verified<Lease>,
        standing: &Standing,
        coming: Coming,
    ) -> Result<Taken, LeaseRefusal> {
        let (lease, now) = (verified.object(), coming.at);
        let keeping = self.keeping(draft, &lease.service);
        let held = keeping.and_then(|keeping| keeping.rows.get(&lease.instance));
        // Shared, so that the draft can be changed meanwhile.
        let known = held.map(|row| Arc::clone(&row.instance));
        let known = known.as_deref();
        if let Some(known) = known
            && lease.sequence <= known.sequence
        {
            return again(lease, known);
        }
        let gone = known.is_none_or(|known| known.condition == Condition::Ended);
        // Another node knew it: an older lease must not bring it back here.
        if gone && lease.condition == Condition::Ended && !coming.is_by_peer {
            return Err(LeaseRefusal::NoInstance(lease.instance.clone()));
        }
        // Others of its key's standing may take it out or back, but not take its name elsewhere.
        if let Some(known) = known
            && known.is_live(now)
            && known.key != lease.key
            && (known.address, known.port) != (lease.address, lease.port)
        {
            return Err(LeaseRefusal::Held {
                instance: lease.instance.clone(),
                key: known.key.short(),
                until: known.until,
            });
        }
        if !coming.is_by_peer {
            judge_emptying(keeping, known, (lease, now))?;
        }
        self.judge_room(draft, keeping, known, (lease, now))?;
        let instance = Arc::new(Instance::of(lease, known, now));
        // At another place, what was said of it says nothing.
        let words = held.filter(|_| instance.health != Health::New);
        let words = words.map(|row| row.words.clone()).unwrap_or_default();
        let renewed = known.is_some_and(|known| is_renewal(known, &instance, now));
        if known.is_none() {
            *draft.added.entry(lease.key).or_default() += 1;
        }
        let staged = self.drafted(draft, lease.service, standing);
        staged.standing = standing.clone();
        let row = Row {
            instance: Arc::clone(&instance),
            words,
            lapsed: false,
        };
        staged.rows.insert(lease.instance.clone(), row);
        let held = HeldLease {
            lease: verified.signed().clone(),
            received: now,
            since: instance.since,
        };
        draft.changes.push(LeaseChange::Put(held.key(), held));
        let is_new = true;
        Ok(Taken {
            instance,
            renewed,
            is_new,
        })
    }

    fn judge_room(
        &self,
        draft: &Draft,
        keeping: Option<&Keeping>,
        known: Option<&Instance>,
        (lease, now): (&Lease, Timestamp),
    ) -> Result<(), LeaseRefusal> {
        let full = |what, max| Err(LeaseRefusal::Full { what, max });
        let rows = keeping.map(|keeping| &keeping.rows);
        if known.is_none() {
            let added: usize = draft.added.values().sum();
            let of_key = |counts: &BTreeMap<PublicKey, usize>| {
                counts.get(&lease.key).copied().unwrap_or_default()
            };
            if rows.is_some_and(|rows| rows.len() >= LEASES_PER_SERVICE_MAX) {
                return full("the service, ended ones included,", LEASES_PER_SERVICE_MAX);
            }
            if of_key(&self.by_key) + of_key(&draft.added) >= LEASES_PER_KEY_MAX {
                return full("the key", LEASES_PER_KEY_MAX);
            }
            if self.count + added >= LEASES_MAX {
                return full("this node", LEASES_MAX);
            }
        }
        if !known.is_some_and(|known| known.is_live(now)) {
            let live = rows.map_or(0, |rows| {
                let rows = rows.values();
                rows.filter(|row| row.instance.is_live(now)).count()
            });
            if live >= INSTANCES_PER_SERVICE_MAX {
                return full("the service", INSTANCES_PER_SERVICE_MAX);
            }
        }
        Ok(())
    }

    /// Notes what a check found, if the instance is still where it was checked and that is news.
    pub(super) fn note_health(&self, draft: &mut Draft, finding: &Finding) -> bool {
        let Some(keeping) = self.keeping(draft, &finding.service) else {
            return false;
        };
        let place = (finding.address, finding.port);
        let row = keeping.rows.get(&finding.instance);
        let Some(row) = row.filter(|row| (row.instance.address, row.instance.port) == place) else {
            return false;
        };
        let health = match finding.health {
            // It is not checked here, or no longer.
            Health::AsBefore => row.health_by_words(),
            found => found,
        };
        if row.instance.health == health {
            return false;
        }
        let standing = keeping.standing.clone();
        let staged = self.drafted(draft, finding.service, &standing);
        if let Some(row) = staged.rows.get_mut(&finding.instance) {
            Arc::make_mut(&mut row.instance).health = health;
        }
        true
    }

    /// Notes what another node says of an instance that this one does not check.
    pub(super) fn note_word(
        &self,
        draft: &mut Draft,
        lease: &Lease,
        (peer, works): (PublicKey, Option<bool>),
    ) {
        let keeping = self.keeping(draft, &lease.service);
        let row = keeping.and_then(|keeping| Some((keeping, keeping.rows.get(&lease.instance)?)));
        let Some((keeping, row)) = row.filter(|_| lease.check != Check::None) else {
            return;
        };
        if row.words.get(&peer).copied() == works && row.instance.health != Health::New {
            return;
        }
        let standing = keeping.standing.clone();
        let staged = self.drafted(draft, lease.service, &standing);
        let Some(row) = staged.rows.get_mut(&lease.instance) else {
            return;
        };
        match works {
            Some(works) => drop(row.words.insert(peer, works)),
            None => drop(row.words.remove(&peer)),
        }
        let health = row.health_by_words();
        Arc::make_mut(&mut row.instance).health = health;
    }

    /// Forgets what nodes said that cannot be reached any more.
    pub(super) fn forget_words(&self, draft: &mut Draft, reached: &BTreeSet<PublicKey>) {
        for (uid, keeping) in &self.services {
            let is_gone = |row: &&Row| row.words.keys().any(|peer| !reached.contains(peer));
            if keeping.rows.values().find(is_gone).is_none() {
                continue;
            }
            let staged = self.drafted(draft, *uid, &keeping.standing);
            for row in staged.rows.values_mut().filter(|row| !row.words.is_empty()) {
                row.words.retain(|peer, _| reached.contains(peer));
                let health = row.health_by_words();
                Arc::make_mut(&mut row.instance).health = health;
            }
        }
    }

    /// Notes where an entry is now, and forgets the leases of announcers that may no longer
    /// announce; all of them if the entry is gone.
    pub(super) fn stand(
        &self,
        draft: &mut Draft,
        uid: Uid,
        standing: Option<&Standing>,
        may: impl Fn(&PublicKey) -> bool,
    ) {
        let Some(keeping) = self.keeping(draft, &uid) else {
            return;
        };
        let gone: Vec<LeaseKey> = keeping
            .rows
            .iter()
            .filter(|(_, row)| standing.is_none() || !may(&row.instance.key))
            .map(|(label, _)| (uid, label.clone()))
            .collect();
        let same = standing.is_some_and(|standing| *standing == keeping.standing);
        if gone.is_empty() && same {
            return;
        }
        let standing = standing.unwrap_or(&keeping.standing).clone();
        let staged = self.drafted(draft, uid, &standing);
        for (_, label) in &gone {
            staged.rows.remove(label);
        }
        staged.standing = standing;
        draft
            .changes
            .extend(gone.into_iter().map(LeaseChange::Remove));
    }

    /// Notes what ended by itself, and forgets what need not be remembered any more.
    pub(super) fn tick(&self, draft: &mut Draft, now: Timestamp) {
        let due: Vec<Uid> = self
            .due
            .iter()
            .take_while(|(due, _)| *due <= now)
            .map(|(_, uid)| *uid)
            .collect();
        for uid in due {
            let Some(keeping) = self.keeping(draft, &uid) else {
                continue;
            };
            let standing = keeping.standing.clone();
            let mut changes = Vec::new();
            let staged = self.drafted(draft, uid, &standing);
            staged.rows.retain(|label, row| {
                if row.due() > now {
                    return true;
                }
                let key = (uid, label.clone());
                if row.lapsed || row.instance.condition == Condition::Ended {
                    changes.push(LeaseChange::Remove(key));
                    return false;
                }
                row.lapsed = true;
                changes.push(LeaseChange::Lapsed(key));
                true
            });
            draft.changes.extend(changes);
        }
    }
}

fn due_of(keeping: &Keeping) -> Option<Timestamp> {
    keeping.rows.values().map(Row::due).min()
}

#[cfg(test)]
mod tests;
