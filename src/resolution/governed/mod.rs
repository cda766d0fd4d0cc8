//! The governed index as a [`Directory`]: scopes are walked edge by edge, and each says its own
//! verdict before anything of it is read.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::identity::Identity;
use crate::base::time::{Timestamp, Ttl};
use crate::governance::device::Shown;
use crate::governance::predicate::Transport;
use crate::index::entry::{Entry, Redirect, Slot};
use crate::index::place::{Apex, absolute};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::IndexView;
use crate::namespace::action_name::{self, ACTIONS_LABEL};
use crate::namespace::instance_name::{INSTANCES_LABEL, is_about_instances};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::{Record, RecordSet};
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::{self, VERSIONS_LABEL};
use crate::resolution::directory::{Directory, Occupant, Sought, Visit};
use crate::resolution::instances::{NoServices, Service, Services};
use crate::resolution::keeping::Keeping;
use crate::resolution::load::Loads;
use crate::resolution::trail::Trail;

mod about;
mod beyond;
mod judge;
mod live;
mod uids;

pub use beyond::{Lack, Unproven};

/// The label below an apex under which every entry answers by its UID.
pub const UID_LABEL: &[u8] = b"_uid";
/// The label below a name under which its government answers.
pub const GOVERNMENT_LABEL: &[u8] = b"_gov";

/// TTL of the SOA that the apex's lineage gives.
const SOA_TTL: Ttl = Ttl::from_secs(60);
/// How long an absence may be kept: names appear by a vote, and should then be seen within
/// seconds; some stubs keep negatives far longer than told.
const NEGATIVE_TTL_SECS: u32 = 10;
/// Refresh, retry and expire of the SOA, for secondaries that pull the apex.
const SOA_TIMERS_SECS: [u32; 3] = [3_600, 600, 604_800];
/// TTL of answers about government.
const GOVERNMENT_TTL: Ttl = Ttl::from_secs(5);

/// One apex of the index as one caller sees it.
pub struct Governed<'v, V> {
    view: &'v V,
    apexes: &'v [Apex],
    apex: &'v Apex,
    asking: Asking<'v>,
    services: &'v dyn Services,
    /// What the scopes on the way that restrict the caller let it see, by their policies.
    restricting: RefCell<Vec<Vec<RecordType>>>,
    /// Whether a scope on the way tests names.
    names_matter: Cell<bool>,
    /// Whether the verb that is asked does more than read, or nothing that is known, in the scope that
    /// was entered last.
    must_be_fresh: Cell<bool>,
    /// The scopes whose load counts this question already.
    counted: RefCell<Vec<ScopeNo>>,
    /// What the last walk lacked.
    lack: RefCell<Option<Lack>>,
    /// What hangs on who asks, and when.
    keeping: RefCell<Keeping>,
}

impl<V> std::fmt::Debug for Governed<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Governed")
    }
}

/// Who asks, and what for.
#[derive(Debug, Clone, Default)]
pub struct Asking<'q> {
    /// Where the client is.
    pub address: Option<IpAddr>,
    /// How the question came.
    pub transport: Option<Transport>,
    /// When it came.
    pub time: Option<Timestamp>,
    /// The verb in the name that is asked.
    pub verb: Option<String>,
    /// The devices that the client has shown.
    pub devices: Shown<'q>,
    /// The key that signed the question.
    pub key: Option<Name>,
    /// Who the client is by its certificate.
    pub certificate: Option<Identity>,
    /// How much scopes are asked.
    pub loads: Option<&'q dyn Loads>,
}

/// A position in the governed tree.
#[derive(Debug, Clone)]
pub enum Place {
    /// A path in a scope, and the entry that is bound there.
    Path(Arc<ScopeState>, NamePath, Option<Uid>),
    /// A scope that hides the name that is asked.
    Veiled(Arc<ScopeState>),
    /// `_uid` below the apex.
    Uids,
    /// An entry by its UID, and where it is.
    Entry(Uid, Arc<ScopeState>, NamePath),
    /// `_ver` below an entry.
    Versions(Uid),
    /// `_ver` below a redirect; the entry's present name.
    VersionsAt(Name),
    /// `_act` below an entry.
    Actions(Arc<ScopeState>, NamePath),
    /// `_act` below a redirect; the entry's present name.
    ActionsAt(Name),
    /// `_inst` below an entry.
    Instances(Uid, Arc<ScopeState>, NamePath),
    /// `_inst` below a redirect; the entry's present name.
    InstancesAt(Name),
    /// A made-up leaf, or a place whose scope does not let the caller on.
    End,
}

type Step<V> = Result<Visit<Place>, <V as IndexView>::Error>;

impl<'v, V: IndexView> Governed<'v, V> {
    /// The tree under one of `apexes`, for a caller.
    pub fn new(view: &'v V, apexes: &'v [Apex], apex: &'v Apex, asking: Asking<'v>) -> Self {
        Self {
            view,
            apexes,
            apex,
            asking,
            services: &NoServices,
            restricting: RefCell::default(),
            names_matter: Cell::default(),
            must_be_fresh: Cell::default(),
            counted: RefCell::default(),
            lack: RefCell::default(),
            keeping: RefCell::default(),
        }
    }

    /// What everything that was looked up so far hangs on.
    pub fn keeping(&self) -> Keeping {
        let mut keeping = *self.keeping.borrow();
        keeping.reads_index();
        if self.lack.borrow().is_some() {
            keeping.never("what it lacks may be learned of other nodes");
        }
        keeping
    }

    /// The service of an entry. Leases end and checks fail by the minute, so nothing that one
    /// answers is kept; that an entry is no service stands until it becomes one.
    fn service(&self, uid: &Uid) -> Option<Arc<Service>> {
        let service = self.services.service(uid)?;
        let mut keeping = self.keeping.borrow_mut();
        keeping.never("instances come and go with time");
        Some(service)
    }

    /// The same tree, whose entries may have instances.
    #[must_use]
    pub fn with_services(self, services: &'v dyn Services) -> Self {
        Self { services, ..self }
    }

    /// The same tree for a question that some scopes counted already.
    #[must_use]
    pub fn with_counted(self, counted: Vec<ScopeNo>) -> Self {
        let counted = RefCell::new(counted);
        Self { counted, ..self }
    }

    /// The scopes that have counted the question.
    pub fn counted(&self) -> Vec<ScopeNo> {
        self.counted.borrow().clone()
    }

    /// Goes into a scope, the root or one that hangs at a label of another one.
    fn enter(
        &self,
        uid: ScopeUid,
        above: Option<(&ScopeState, &[u8])>,
        (sought, trail): (Sought<'_>, &mut Trail),
    ) -> Step<V> {
        let no = self.view.scope_no(&uid)?;
        let Some(state) = no.map_or(Ok(None), |no| self.view.shared_scope(no))? else {
            return self.ends_before(uid, above, sought);
        };
        // What was learned of it may be older than the edge.
        let edge = above.map(|(parent, label)| parent.child_edge(label));
        if !self.view.holds(state.no) && state.edge != edge {
            return self.ends_before(uid, above, sought);
        }
        match self.judge_entry(&state, sought, trail)? {
            None => {}
            Some(Occupant::Veiled) => {
                let place = Place::Veiled(state);
                let occupant = Occupant::Veiled;
                return Ok(Visit { place, occupant });
            }
            Some(denied) => return Ok(end(denied)),
        }
        let own = NamePath::empty();
        if !self.view.knows(state.no, &own) {
            return self.ends_in(&state, &own, sought);
        }
        let slot = self.view.slot(state.no, &own)?.unwrap_or_default();
        self.visit(state, own, slot, (sought, trail))
    }

    fn visit(
        &self,
        state: Arc<ScopeState>,
        path: NamePath,
        slot: Slot,
        (sought, trail): (Sought<'_>, &mut Trail),
    ) -> Step<V> {
        let is_apex = path.is_empty() && state.edge.is_none();
        let mut bound = None;
        let occupant = match slot.entry {
            Some(Entry::Bound(version)) => {
                bound = Some(version.uid);
                Occupant::Sets(version.sets.into())
            }
            Some(Entry::Moved(redirect)) => self.redirect(&redirect, (sought, trail))?,
            Some(Entry::Retired { .. }) if slot.below == 0 => Occupant::Retired,
            _ => Occupant::Nothing,
        };
        let occupant = match occupant {
            // It has sets of its own, whatever stands there, once a question ends there.
            occupant if is_apex && !matches!(occupant, Occupant::Sets(_)) => Occupant::Nothing,
            occupant => occupant,
        };
        if self.speaks_for_others(&occupant, (&state, &path), sought)
            && let Some(denied) = self.judge_at(state.no, &path, (sought.kind, trail))?
        {
            return Ok(end(denied));
        }
        Ok(Visit {
            place: Place::Path(state, path, bound),
            occupant,
        })
    }

    /// The apex always has an SOA and an NS set, as every zone must.
    fn apex_sets(&self, occupant: Occupant) -> Result<Occupant, V::Error> {
        let mut sets = match occupant {
            Occupant::Sets(sets) => sets.to_vec(),
            _ => Vec::new(),
        };
        let soa = self.soa_over(&sets)?;
        if !sets.iter().any(|set| set.kind() == RecordType::NS)
            && let Ok(server) = self.apex.name.child(b"ns")
            && let Ok(set) = RecordSet::new(RecordType::NS, SOA_TTL, vec![Rdata::of_name(&server)])
        {
            sets.push(set);
        }
        if let Ok(set) = RecordSet::new(RecordType::SOA, soa.ttl, vec![soa.rdata]) {
            sets.push(set);
        }
        Ok(Occupant::Sets(sets.into()))
    }

    fn soa_over(&self, apex_sets: &[RecordSet]) -> Result<Record, V::Error> {
        let apex = &self.apex.name;
        let named = apex_sets
            .iter()
            .find(|set| set.kind() == RecordType::NS)
            .and_then(|set| set.records().first())
            .and_then(|rdata| Name::from_wire(rdata.as_bytes()).ok());
        let primary = named
            .or_else(|| apex.child(b"ns").ok())
            .unwrap_or_else(|| apex.clone());
        let mailbox = apex.child(b"hostmaster").unwrap_or_else(|_| apex.clone());
        // RFC 1982 arithmetic wraps by itself.
        let serial = u32::try_from(self.view.commit_count()? & 0xffff_ffff).unwrap_or(0);
        let [refresh, retry, expire] = SOA_TIMERS_SECS;
        let numbers = [serial, refresh, retry, expire, NEGATIVE_TTL_SECS];
        let rdata = Rdata::of_soa(&primary, &mailbox, numbers);
        Ok(Record {
            owner: apex.clone(),
            kind: RecordType::SOA,
            ttl: SOA_TTL,
            rdata,
        })
    }

    /// Where a redirect leads now: the entry's present place if it has one, else where it went. The
    /// scopes on the way there are asked, or an old name would tell what a new one must not.
    fn redirect(
        &self,
        redirect: &Redirect,
        (sought, trail): (Sought<'_>, &mut Trail),
    ) -> Result<Occupant, V::Error> {
        let mut to = None;
        if let Some(uid) = &redirect.uid
            && let Some(location) = self.view.locate(uid)?
            && let Some(slot) = self.view.slot(location.scope, &location.path)?
            && matches!(&slot.entry, Some(Entry::Bound(version)) if version.uid == *uid)
        {
            to = Some((location.scope, location.path));
        }
        if to.is_none()
            && let Some(no) = self.view.scope_no(&redirect.scope)?
        {
            to = Some((no, redirect.path.clone()));
        }
        let Some((no, path)) = to else {
            return Ok(self.lacks_place_of(redirect.scope));
        };
        match self.judge_elsewhere(no, &path, (sought.kind, trail))? {
            Some(Occupant::Unreachable) => return Ok(self.lacks_place_of(redirect.scope)),
            Some(denied) => return Ok(denied),
            None => {}
        }
        Ok(match absolute(self.view, self.apexes, no, &path)? {
            Some(to) => Occupant::Redirect {
                to,
                subtree: redirect.subtree,
            },
            None => self.lacks_place_of(redirect.scope),
        })
    }

    /// What is one label below a path of a scope.
    fn below(
        &self,
        state: &Arc<ScopeState>,
        path: &NamePath,
        label: &[u8],
        (sought, trail): (Sought<'_>, &mut Trail),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        if label == GOVERNMENT_LABEL {
            return self.government(state, path);
        }
        if label == VERSIONS_LABEL {
            return self.versions(state, path, (sought, trail));
        }
        if label == ACTIONS_LABEL {
            return self.actions(state, path, (sought, trail));
        }
        if label == INSTANCES_LABEL {
            return self.instances(state, path, (sought, trail));
        }
        if label == UID_LABEL {
            return Ok(self.uids(state, path));
        }
        let path = path.child(label);
        if !self.view.knows(state.no, &path) {
            return self.ends_in(state, &path, sought).map(Some);
        }
        let slot = self.view.slot(state.no, &path)?;
        if let Some(Entry::Delegated(child)) = slot.as_ref().and_then(|slot| slot.entry.as_ref()) {
            let above = Some((state.as_ref(), label));
            return self.enter(*child, above, (sought, trail)).map(Some);
        }
        // Before anything tells whether the name is there.
        if let Some(refused) = self.refuses_verb(state, trail) {
            return Ok(Some(refused));
        }
        let Some(slot) = slot else {
            return Ok(None);
        };
        match slot.entry {
            // A reservation is nobody's business until the entry arrives.
            Some(Entry::Reserved { .. }) if slot.below == 0 => Ok(None),
            _ => self
                .visit(Arc::clone(state), path, slot, (sought, trail))
                .map(Some),
        }
    }
}

/// A place from which nothing is walked on.
fn end(occupant: Occupant) -> Visit<Place> {
    Visit {
        place: Place::End,
        occupant,
    }
}

fn uid_of(label: &[u8]) -> Option<Uid> {
    std::str::from_utf8(label).ok()?.parse().ok()
}

impl<V: IndexView> Directory for Governed<'_, V> {
    type Error = V::Error;
    type Place = Place;

    fn apex(&self) -> &Name {
        &self.apex.name
    }

    fn soa(&self) -> Result<Record, V::Error> {
        let no = self.view.scope_no(&self.apex.root)?;
        let own = NamePath::empty();
        let top = match no.filter(|no| self.view.knows(*no, &own)) {
            Some(no) => self.view.slot(no, &own)?.unwrap_or_default().entry,
            None => None,
        };
        match top {
            Some(Entry::Bound(version)) => self.soa_over(&version.sets),
            _ => self.soa_over(&[]),
        }
    }

    /// The head of a wildcard is no version of the names it covers, and would answer for any verb.
    fn may_be_wild(&self, name: &Name) -> bool {
        !version_name::is_about_versions(name)
            && !action_name::is_about_actions(name)
            && !is_about_instances(name)
    }

    fn top(&self, sought: Sought<'_>, trail: &mut Trail) -> Step<V> {
        self.restricting.borrow_mut().clear();
        self.names_matter.set(false);
        self.must_be_fresh.set(false);
        self.lack.replace(None);
        let root = self.enter(self.apex.root, None, (sought, trail))?;
        Ok(self.shown(root))
    }

    fn child(
        &self,
        place: &Place,
        label: &[u8],
        sought: Sought<'_>,
        trail: &mut Trail,
    ) -> Result<Option<Visit<Place>>, V::Error> {
        let visit = match place {
            Place::Path(state, path, _) => self.below(state, path, label, (sought, trail))?,
            Place::Veiled(state) if self.is_wild(label, (state, &NamePath::empty()), sought) => {
                self.below(state, &NamePath::empty(), label, (sought, trail))?
            }
            Place::Uids => self.by_uid(label, (sought, trail))?,
            Place::Entry(uid, ..) if label == VERSIONS_LABEL => Some(Visit {
                place: Place::Versions(*uid),
                occupant: Occupant::Nothing,
            }),
            Place::Entry(uid, state, path) if label == INSTANCES_LABEL => {
                match self.instances_of(*uid, state, path) {
                    Ok(place) => place.map(|place| Visit {
                        place,
                        occupant: Occupant::Nothing,
                    }),
                    Err(_) => Some(end(Occupant::Unreachable)),
                }
            }
            Place::Versions(uid) => self.version(uid, label, (sought, trail))?,
            Place::VersionsAt(present) => about::version_at(present, label),
            Place::Actions(state, path) => self.action(state, path, (label, sought.kind, trail))?,
            Place::ActionsAt(present) => about::action_at(present, label),
            Place::Instances(uid, state, path) => {
                self.instance(*uid, (state, path), (label, sought.kind), trail)
            }
            Place::InstancesAt(present) => live::instance_at(present, label),
            Place::Entry(..) | Place::Veiled(_) | Place::End => None,
        };
        Ok(visit.map(|visit| self.shown(visit)))
    }

    /// The instances of the service at a place stand for its addresses.
    fn arrive(
        &self,
        visit: Visit<Place>,
        kind: RecordType,
        trail: &mut Trail,
    ) -> Result<Visit<Place>, V::Error> {
        let Visit { place, occupant } = visit;
        let is_apex = matches!(&place, Place::Path(state, path, _) if path.is_empty() && state.edge.is_none());
        let occupant = if is_apex {
            self.apex_sets(occupant)?
        } else {
            occupant
        };
        let (occupant, replaced) = match (&place, occupant) {
            (
                Place::Path(state, path, Some(uid)) | Place::Entry(uid, state, path),
                Occupant::Sets(sets),
            ) => {
                let at = live::At { uid, state, path };
                (self.with_instances(at, sets, kind, trail)?, true)
            }
            (_, occupant) => (occupant, is_apex),
        };
        let visit = Visit { place, occupant };
        Ok(if replaced { self.shown(visit) } else { visit })
    }
}
