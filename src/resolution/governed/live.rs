//! Instances in the answers of the index: in place of an entry's addresses, and by their own names.

use std::cell::Cell;
use std::sync::Arc;

use crate::base::limits::{INSTANCE_TTL_SECS_MAX, MESSAGE_BYTES_MAX};
use crate::base::time::{Timestamp, Ttl};
use crate::index::place::absolute;
use crate::index::state::ScopeState;
use crate::index::view::IndexView;
use crate::namespace::instance_name::InstanceLabel;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::uid::Uid;
use crate::resolution::answer::ede;
use crate::resolution::directory::{Occupant, Sought, Visit};
use crate::resolution::instances::{Choice, Instance, Ranked, Service, Shows, Why};
use crate::resolution::trail::{Trail, TrailStep};

use super::beyond::Untold;
use super::{Governed, Place, end};

/// The types for which instances stand.
const KINDS: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::SRV];
/// Owner (compressed), type, class, TTL and length of a record.
const RECORD_HEAD_BYTES: usize = 12;
/// What a message holds beside the records of one set: header, question, OPT.
const MESSAGE_REST_BYTES: usize = 1_024;

/// An entry, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) uid: &'a Uid,
    pub(super) state: &'a ScopeState,
    pub(super) path: &'a NamePath,
}

impl At<'_> {
    /// What is chosen of the service for a question. Each family of addresses is chosen from by
    /// itself: one must not be empty because the other is well.
    fn choose<'s>(&self, service: &'s Service, kind: RecordType, now: Timestamp) -> Choice<'s> {
        service.choose(now, |instance| {
            let asked = match kind {
                RecordType::A => instance.address.is_ipv4(),
                RecordType::AAAA => instance.address.is_ipv6(),
                _ => true,
            };
            asked && self.may_announce(service, instance)
        })
    }

    /// Whether an instance's announcer may still announce it. While rights were judged by what is
    /// in force, they are not judged again.
    fn may_announce(&self, service: &Service, instance: &Instance) -> bool {
        let standing = &service.standing;
        let descriptor = &self.state.descriptor;
        let judged = standing.epoch == descriptor.epoch
            && standing.scope == self.state.uid
            && standing.path == *self.path;
        judged || descriptor.may_announce(&instance.key, self.path)
    }

    /// How long an answer may be kept that shows these instances.
    fn ttl(&self, shown: &[&Instance], now: Timestamp) -> Ttl {
        let left = shown
            .iter()
            .map(|shown| shown.until.millis_since(now))
            .min();
        let secs = u32::try_from(left.unwrap_or(0) / 1_000).unwrap_or(u32::MAX);
        let policy = &self.state.descriptor.policy;
        let ttl = Ttl::from_secs(secs.clamp(1, INSTANCE_TTL_SECS_MAX));
        ttl.clamp(policy.ttl_min, policy.ttl_max.max(policy.ttl_min))
    }
}

impl<V: IndexView> Governed<'_, V> {
    /// The record sets of an entry, with its instances in place of its own addresses if it has
    /// any. Where nobody says whether it has, its own addresses are the answer, and an entry without
    /// any is out of reach: nothing is empty because something is not known.
    pub(super) fn with_instances(
        &self,
        at: At<'_>,
        sets: Arc<[RecordSet]>,
        kind: RecordType,
        trail: &mut Trail,
    ) -> Result<Occupant, V::Error> {
        let is_alias = |set: &RecordSet| set.kind() == RecordType::CNAME;
        if !(KINDS.contains(&kind) || kind == RecordType::ANY) || sets.iter().any(is_alias) {
            return Ok(Occupant::Sets(sets));
        }
        // Without a time no lease can be judged.
        let Some(now) = self.asking.time else {
            return Ok(Occupant::Sets(sets));
        };
        let has_own = sets.iter().any(|set| KINDS.contains(&set.kind()));
        let service = match self.instances_known(at.uid, at.state) {
            Ok(Some(service)) => service,
            Ok(None) => return Ok(Occupant::Sets(sets)),
            Err(Untold::ByAnybody) if has_own => {
                let text = "nobody says whether the entry has instances: these are its own records";
                trail.tell(ede::OTHER, text.to_owned());
                return Ok(Occupant::Sets(sets));
            }
            Err(_) => return Ok(Occupant::Unreachable),
        };
        let choice = at.choose(&service, kind, now);
        let mut said = said(&choice, has_own);
        // Instances of the other family only: these are all the addresses there are.
        said.replaces |= choice.why == Why::Unknown
            && !at.choose(&service, RecordType::SRV, now).shown.is_empty();
        let ranked = self.ranked(&choice, kind);
        trail.note(|| TrailStep::Instances {
            live: choice.live,
            up: choice.up,
            good: choice.good,
            shown: ranked.instances.len(),
            why: said.why.clone(),
            near: ranked.why.clone(),
        });
        if let Some(code) = said.code {
            trail.tell(code, said.why);
        }
        if !said.replaces {
            return Ok(Occupant::Sets(sets));
        }
        let mut sets = sets.to_vec();
        sets.retain(|set| !KINDS.contains(&set.kind()));
        let shown = ranked.all();
        let ttl = at.ttl(&shown, now);
        for family in KINDS {
            if kind != family && kind != RecordType::ANY {
                continue;
            }
            let records = if family == RecordType::SRV {
                let name = absolute(self.view, self.apexes, at.state.no, at.path)?;
                services(name.as_ref(), &ranked)
            } else {
                addresses(family, &shown)
            };
            sets.extend(fitting(family, ttl, records, trail));
        }
        Ok(Occupant::Sets(sets.into()))
    }

    /// What is chosen, the nearest first. An address cannot say how near it is, and clients take any
    /// that they get: where there is a choice, only the nearest are answered. A service record says it
    /// by its priority (RFC 2782).
    fn ranked<'s>(&self, choice: &Choice<'s>, kind: RecordType) -> Ranked<'s> {
        let nearness = self.services.nearness();
        let ranked = nearness.rank(&choice.shown, self.asking.address);
        let is_choice = choice.why == Why::Healthy && kind != RecordType::SRV;
        if is_choice && nearness.shows == Shows::Nearest {
            ranked.nearest()
        } else {
            ranked
        }
    }

    /// `_inst` below a path.
    pub(super) fn instances(
        &self,
        state: &Arc<ScopeState>,
        path: &NamePath,
        asked: (Sought<'_>, &mut Trail),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        let untold = Cell::new(false);
        let bound = |uid| {
            let place = self.instances_of(uid, state, path);
            place.unwrap_or_else(|_| {
                untold.set(true);
                None
            })
        };
        let below = self.below_entry(state, path, asked, (bound, Place::InstancesAt))?;
        if untold.get() {
            return Ok(Some(end(Occupant::Unreachable)));
        }
        Ok(below)
    }

    /// `_inst` below an entry; none if it is no service.
    pub(super) fn instances_of(
        &self,
        uid: Uid,
        state: &Arc<ScopeState>,
        path: &NamePath,
    ) -> Result<Option<Place>, Untold> {
        let service = self.instances_known(&uid, state)?;
        let has_any = service.is_some_and(|service| !service.instances.is_empty());
        Ok(has_any.then(|| Place::Instances(uid, Arc::clone(state), path.clone())))
    }

    /// An instance by its own name: while its lease lasts, draining and failing as well, and while
    /// it is shown as one of the last known good.
    pub(super) fn instance(
        &self,
        uid: Uid,
        (state, path): (&ScopeState, &NamePath),
        (label, kind): (&[u8], RecordType),
        trail: &mut Trail,
    ) -> Option<Visit<Place>> {
        let now = self.asking.time?;
        let service = self.instances_known(&uid, state).ok()??;
        let label = std::str::from_utf8(label).ok()?;
        let instance = service.instance(label)?;
        let at = At {
            uid: &uid,
            state,
            path,
        };
        if !instance.is_live(now) {
            let (family, _) = Rdata::of_address(instance.address);
            let choice = at.choose(&service, family, now);
            let is_shown = choice
                .shown
                .iter()
                .any(|shown| shown.label == instance.label);
            is_shown.then_some(())?;
            if KINDS.contains(&kind) {
                trail.tell(ede::STALE, said(&choice, false).why);
            }
        } else if !at.may_announce(&service, instance) {
            return None;
        }
        let ttl = at.ttl(&[instance], now);
        let (kind, rdata) = Rdata::of_address(instance.address);
        let set = RecordSet::new(kind, ttl, vec![rdata]).ok()?;
        Some(Visit {
            place: Place::End,
            occupant: Occupant::Sets(vec![set].into()),
        })
    }
}

/// An instance under a name that its service no longer has: leads to the same instance under the
/// present name.
pub(super) fn instance_at(present: &Name, label: &[u8]) -> Option<Visit<Place>> {
    let label: InstanceLabel = std::str::from_utf8(label).ok()?.parse().ok()?;
    let to = label.of(present).ok()?;
    let subtree = false;
    Some(Visit {
        place: Place::End,
        occupant: Occupant::Redirect { to, subtree },
    })
}

/// What a client is told of a choice.
struct Said {
    /// For people.
    why: String,
    /// With an extended error, if it is not as it should be.
    code: Option<u16>,
    /// Whether instances stand for the entry's own addresses, also if there are none.
    replaces: bool,
}

fn said(choice: &Choice<'_>, own: bool) -> Said {
    let why = choice.why.to_string();
    let (code, replaces) = match choice.why {
        Why::Healthy => (None, true),
        Why::AllFailing => (Some(ede::OTHER), true),
        Why::Stale(_) => (Some(ede::STALE), true),
        Why::Emptied(_) if choice.live > 0 => (Some(ede::OTHER), true),
        Why::Unknown => (None, false),
        Why::Emptied(_) | Why::Lapsed(_) if own => {
            let why = format!("{why}; the entry's own records are the answer");
            return Said {
                why,
                code: None,
                replaces: false,
            };
        }
        Why::Emptied(_) | Why::Lapsed(_) => (Some(ede::OTHER), false),
    };
    Said {
        why,
        code,
        replaces,
    }
}

fn addresses(family: RecordType, shown: &[&Instance]) -> Vec<Rdata> {
    let of_address = shown.iter().map(|shown| Rdata::of_address(shown.address));
    let of_family = of_address.filter(|(kind, _)| *kind == family);
    of_family.map(|(_, rdata)| rdata).collect()
}

fn services(name: Option<&Name>, ranked: &Ranked<'_>) -> Vec<Rdata> {
    let record = |(rank, instance): &(u16, &Instance)| {
        // An instance whose name would be too long has an address, but no target.
        let target = instance.label.of(name?).ok()?;
        let order = (*rank, instance.weight);
        Some(Rdata::of_srv(order, instance.port, &target))
    };
    ranked.instances.iter().filter_map(record).collect()
}

/// A set of as many records as one message holds, the best ones: an answer that fits nowhere would
/// be none.
fn fitting(
    kind: RecordType,
    ttl: Ttl,
    records: Vec<Rdata>,
    trail: &mut Trail,
) -> Option<RecordSet> {
    let wanted = records.len();
    let mut room = MESSAGE_BYTES_MAX - MESSAGE_REST_BYTES;
    let fits = |rdata: &Rdata| {
        let bytes = RECORD_HEAD_BYTES + rdata.as_bytes().len();
        let left = room.checked_sub(bytes);
        room = left.unwrap_or_default();
        left.is_some()
    };
    let kept: Vec<Rdata> = records.into_iter().take_while(fits).collect();
    if kept.len() < wanted {
        let text = format!(
            "{} of {wanted} instances: more do not fit a message",
            kept.len()
        );
        trail.tell(ede::OTHER, text);
    }
    RecordSet::in_order(kind, ttl, kept).ok()
}
