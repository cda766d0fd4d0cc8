//! The governed index as a [`Directory`]: scopes are walked edge by edge, and each says its own
//! verdict before anything of it is read.

use std::cell::RefCell;
use std::net::IpAddr;

use crate::base::time::{Timestamp, Ttl};
use crate::governance::access::Verdict;
use crate::governance::device::Shown;
use crate::governance::policy::Policy;
use crate::governance::predicate::{Caller, Transport};
use crate::governance::verb::Intent;
use crate::index::entry::{Entry, Redirect, Slot};
use crate::index::place::{Apex, absolute, scope_name};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::IndexView;
use crate::namespace::action_name::{self, ACTIONS_LABEL};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::{Record, RecordSet};
use crate::namespace::rtype::RecordType;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::{self, VERSIONS_LABEL};

mod about;

use crate::resolution::directory::{Directory, Occupant, Visit};
use crate::resolution::trail::{Trail, TrailStep};

/// The label below an apex under which every entry answers by its UID.
pub const UID_LABEL: &[u8] = b"_uid";
/// The label below a name under which its government answers.
pub const GOVERNMENT_LABEL: &[u8] = b"_gov";

/// What a caller is told that is refused.
const REFUSED_BY_POLICY: &str = "refused by policy";
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
#[derive(Debug)]
pub struct Governed<'v, V> {
    view: &'v V,
    apexes: &'v [Apex],
    apex: &'v Apex,
    asking: Asking<'v>,
    /// The policies of the scopes on the way that restrict the caller to some record types.
    restricting: RefCell<Vec<Policy>>,
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
}

/// A position in the governed tree.
#[derive(Debug, Clone)]
pub enum Place {
    /// A path in a scope.
    Path(Box<ScopeState>, NamePath),
    /// `_uid` below the apex.
    Uids,
    /// An entry by its UID.
    Entry(Uid),
    /// `_ver` below an entry.
    Versions(Uid),
    /// `_ver` below a redirect; the entry's present name.
    VersionsAt(Name),
    /// `_act` below an entry.
    Actions(Box<ScopeState>, NamePath),
    /// `_act` below a redirect; the entry's present name.
    ActionsAt(Name),
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
            restricting: RefCell::default(),
        }
    }

    fn enter(&self, no: Option<ScopeNo>, kind: RecordType, trail: &mut Trail) -> Step<V> {
        let state = match no {
            Some(no) => self.view.scope(no)?,
            None => None,
        };
        let Some(state) = state else {
            return Ok(Visit {
                place: Place::End,
                occupant: Occupant::Unreachable,
            });
        };
        let policy = &state.descriptor.policy;
        let verdict = policy.access.verdict(&self.caller(&state, kind));
        self.note_scope(&state, verdict, trail)?;
        if !matches!(verdict, Verdict::Allow | Verdict::Restrict) {
            trail.deny(state.uid, verdict);
        }
        let occupant = match verdict {
            Verdict::Allow => None,
            Verdict::Restrict => {
                self.restricting.borrow_mut().push(policy.clone());
                None
            }
            Verdict::Challenge if policy.challenge.is_empty() => {
                Some(Occupant::Refused("prove yourself to be let in".to_owned()))
            }
            Verdict::Challenge => Some(Occupant::Refused(policy.challenge.clone())),
            Verdict::Refuse => Some(Occupant::Refused(REFUSED_BY_POLICY.to_owned())),
            Verdict::Hide => Some(Occupant::Hidden),
        };
        if let Some(occupant) = occupant {
            let place = Place::End;
            return Ok(Visit { place, occupant });
        }
        let slot = self
            .view
            .slot(state.no, &NamePath::empty())?
            .unwrap_or_default();
        self.visit(state, NamePath::empty(), slot)
    }

    /// The caller as a scope sees it: a verb means what its own vocabulary says.
    fn caller(&self, state: &ScopeState, kind: RecordType) -> Caller<'_> {
        let intent = |name| Intent {
            name,
            class: state.descriptor.policy.verb_class(name),
        };
        Caller {
            address: self.asking.address,
            transport: self.asking.transport,
            time: self.asking.time,
            kind,
            verb: self.asking.verb.as_deref().map(intent),
            judge: Some(state.uid),
            devices: self.asking.devices,
        }
    }

    /// What a caller that was restricted on the way sees of what stands at a place.
    fn shown(&self, mut visit: Visit<Place>) -> Visit<Place> {
        let restricting = self.restricting.borrow();
        if let Occupant::Sets(sets) | Occupant::Version(sets) = &mut visit.occupant {
            sets.retain(|set| {
                let unrestricted = |policy: &Policy| policy.is_unrestricted(set.kind());
                restricting.iter().all(unrestricted)
            });
        }
        visit
    }

    fn note_scope(
        &self,
        state: &ScopeState,
        verdict: Verdict,
        trail: &mut Trail,
    ) -> Result<(), V::Error> {
        if !trail.is_on() {
            return Ok(());
        }
        let name = scope_name(self.view, self.apexes, state.no)?;
        trail.note(|| TrailStep::Scope {
            scope: name.unwrap_or_else(|| self.apex.name.clone()),
            height: state.height,
            epoch: state.descriptor.epoch,
            anchors: state.descriptor.anchors.anchors().len(),
            verdict,
        });
        Ok(())
    }

    fn visit(&self, state: ScopeState, path: NamePath, slot: Slot) -> Step<V> {
        let is_apex = path.is_empty() && state.edge.is_none();
        let occupant = match slot.entry {
            Some(Entry::Bound(version)) => Occupant::Sets(version.sets),
            Some(Entry::Moved(redirect)) => self.redirect(&redirect)?,
            Some(Entry::Retired { .. }) if slot.below == 0 => Occupant::Retired,
            _ => Occupant::Nothing,
        };
        let occupant = if is_apex {
            self.apex_sets(occupant)?
        } else {
            occupant
        };
        Ok(Visit {
            place: Place::Path(Box::new(state), path),
            occupant,
        })
    }

    /// The apex always has an SOA and an NS set, as every zone must.
    fn apex_sets(&self, occupant: Occupant) -> Result<Occupant, V::Error> {
        let mut sets = match occupant {
            Occupant::Sets(sets) => sets,
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
        Ok(Occupant::Sets(sets))
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

    /// Where a redirect leads now: the entry's present place if it has one, else where it went.
    fn redirect(&self, redirect: &Redirect) -> Result<Occupant, V::Error> {
        let mut to = None;
        if let Some(uid) = &redirect.uid
            && let Some(location) = self.view.locate(uid)?
            && let Some(slot) = self.view.slot(location.scope, &location.path)?
            && matches!(&slot.entry, Some(Entry::Bound(version)) if version.uid == *uid)
        {
            to = absolute(self.view, self.apexes, location.scope, &location.path)?;
        }
        if to.is_none()
            && let Some(no) = self.view.scope_no(&redirect.scope)?
        {
            to = absolute(self.view, self.apexes, no, &redirect.path)?;
        }
        Ok(match to {
            Some(to) => Occupant::Redirect {
                to,
                subtree: redirect.subtree,
            },
            None => Occupant::Unreachable,
        })
    }

    /// The entry of a UID, whatever its name is now; its scope's verdict holds here too.
    fn by_uid(
        &self,
        label: &[u8],
        kind: RecordType,
        trail: &mut Trail,
    ) -> Result<Option<Visit<Place>>, V::Error> {
        let parsed = std::str::from_utf8(label)
            .ok()
            .and_then(|text| text.parse::<Uid>().ok());
        let Some(uid) = parsed else { return Ok(None) };
        let Some(location) = self.view.locate(&uid)? else {
            return Ok(None);
        };
        // Every scope between the apex and the entry is asked, as on the path by name.
        let mut chain = vec![location.scope];
        while let Some(edge) = chain
            .last()
            .copied()
            .map_or(Ok(None), |no| self.view.scope(no))?
            .and_then(|state| state.edge)
        {
            chain.push(edge.parent);
        }
        let root = chain
            .last()
            .copied()
            .map_or(Ok(None), |no| self.view.scope(no))?;
        // Another apex's scopes are not asked: their verdicts would tell that the entry exists.
        if root.is_none_or(|root| root.uid != self.apex.root) {
            return Ok(None);
        }
        for no in chain.iter().rev() {
            let entered = self.enter(Some(*no), kind, trail)?;
            if matches!(entered.place, Place::End) {
                return Ok(Some(entered));
            }
        }
        let slot = self
            .view
            .slot(location.scope, &location.path)?
            .unwrap_or_default();
        Ok(match slot.entry {
            Some(Entry::Bound(version)) if version.uid == uid => Some(Visit {
                place: Place::Entry(uid),
                occupant: Occupant::Sets(version.sets),
            }),
            _ => Some(Visit {
                place: Place::End,
                occupant: Occupant::Retired,
            }),
        })
    }

    /// What is one label below a path of a scope.
    fn below(
        &self,
        state: &ScopeState,
        path: &NamePath,
        label: &[u8],
        (kind, trail): (RecordType, &mut Trail),
    ) -> Result<Option<Visit<Place>>, V::Error> {
        if label == GOVERNMENT_LABEL {
            return self.government(state, path);
        }
        if label == VERSIONS_LABEL {
            return self.versions(state, path);
        }
        if label == ACTIONS_LABEL {
            return self.actions(state, path);
        }
        if label == UID_LABEL && path.is_empty() && state.edge.is_none() {
            return Ok(Some(Visit {
                place: Place::Uids,
                occupant: Occupant::Nothing,
            }));
        }
        let path = path.child(label);
        let Some(slot) = self.view.slot(state.no, &path)? else {
            return Ok(None);
        };
        match slot.entry {
            Some(Entry::Delegated(child)) => {
                let no = self.view.scope_no(&child)?;
                self.enter(no, kind, trail).map(Some)
            }
            // A reservation is nobody's business until the entry arrives.
            Some(Entry::Reserved { .. }) if slot.below == 0 => Ok(None),
            _ => self.visit(state.clone(), path, slot).map(Some),
        }
    }
}

/// A version under a name that its entry no longer has: leads to the same version under the
/// present name. A name that would be too long is none.
impl<V: IndexView> Directory for Governed<'_, V> {
    type Error = V::Error;
    type Place = Place;

    fn apex(&self) -> &Name {
        &self.apex.name
    }

    fn soa(&self) -> Result<Record, V::Error> {
        let no = self.view.scope_no(&self.apex.root)?;
        let top = match no {
            Some(no) => {
                self.view
                    .slot(no, &NamePath::empty())?
                    .unwrap_or_default()
                    .entry
            }
            None => None,
        };
        match top {
            Some(Entry::Bound(version)) => self.soa_over(&version.sets),
            _ => self.soa_over(&[]),
        }
    }

    /// The head of a wildcard is no version of the names it covers, and would answer for any verb.
    fn may_be_wild(&self, name: &Name) -> bool {
        !version_name::is_about_versions(name) && !action_name::is_about_actions(name)
    }

    fn top(&self, kind: RecordType, trail: &mut Trail) -> Step<V> {
        self.restricting.borrow_mut().clear();
        let no = self.view.scope_no(&self.apex.root)?;
        Ok(self.shown(self.enter(no, kind, trail)?))
    }

    fn child(
        &self,
        place: &Place,
        label: &[u8],
        kind: RecordType,
        trail: &mut Trail,
    ) -> Result<Option<Visit<Place>>, V::Error> {
        let visit = match place {
            Place::Path(state, path) => self.below(state, path, label, (kind, trail))?,
            Place::Uids => self.by_uid(label, kind, trail)?,
            Place::Entry(uid) => (label == VERSIONS_LABEL).then_some(Visit {
                place: Place::Versions(*uid),
                occupant: Occupant::Nothing,
            }),
            Place::Versions(uid) => self.version(uid, label)?,
            Place::VersionsAt(present) => about::version_at(present, label),
            Place::Actions(state, path) => self.action(state, path, (label, trail))?,
            Place::ActionsAt(present) => about::action_at(present, label),
            Place::End => None,
        };
        Ok(visit.map(|visit| self.shown(visit)))
    }
}
