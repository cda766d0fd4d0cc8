//! What the scopes on the way say to the caller.

use std::sync::Arc;

use crate::governance::access::Verdict;
use crate::governance::policy::is_shown;
use crate::governance::predicate::{Caller, Transport};
use crate::governance::verb::{Intent, VerbClass};
use crate::index::freshness::Freshness;
use crate::index::place::scope_name;
use crate::index::state::{Location, ScopeNo, ScopeState};
use crate::index::view::IndexView;
use crate::namespace::action_name::ACTIONS_LABEL;
use crate::namespace::instance_name::INSTANCES_LABEL;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::uid::Uid;
use crate::namespace::version_name::VERSIONS_LABEL;
use crate::resolution::directory::{Occupant, Sought, Visit};
use crate::resolution::trail::{Trail, TrailStep};

use super::{GOVERNMENT_LABEL, Governed, Place, UID_LABEL, end, uid_of};

/// What a caller is told that is refused.
const REFUSED_BY_POLICY: &str = "refused by policy";

/// Scopes from the apex down, each with the labels by which a path of the last lies below it.
type Way = Vec<(Arc<ScopeState>, Vec<Vec<u8>>)>;

/// A scope's word about one name, before it is carried out.
struct Word {
    verdict: Verdict,
    /// What the caller gets in place of what is there.
    denied: Option<Occupant>,
}

impl<V: IndexView> Governed<'_, V> {
    /// What the scope that is entered says about the name that is asked; none lets the caller on.
    pub(super) fn judge_entry(
        &self,
        state: &ScopeState,
        sought: Sought<'_>,
        trail: &mut Trail,
    ) -> Result<Option<Occupant>, V::Error> {
        trail.enter(state.uid);
        self.must_be_fresh.set(self.does_more_than_read(state));
        let asked = (sought.kind, trail);
        if !state.descriptor.policy.access.reads_names() {
            let word = self.word(state, &[], asked)?;
            return Ok(self.carried_out(state, word));
        }
        if let Some(path) = self.path_of_uid(state, sought.name)? {
            let word = self.word(state, &borrowed(&path), asked)?;
            return Ok(self.carried_out(state, word));
        }
        let labels: Vec<&[u8]> = self.labels_below(state, sought.name).collect();
        let word = self.word(state, &labels, asked)?;
        let hides = word.verdict == Verdict::Hide && !labels.is_empty();
        if !hides || self.hides_itself(state, sought.kind) {
            return Ok(self.carried_out(state, word));
        }
        // Only this name is hidden: below the scope it is as absent as any other.
        Ok(Some(if labels.len() == 1 {
            Occupant::Veiled
        } else {
            Occupant::Hidden
        }))
    }

    /// What every scope from the apex down says about a path of a scope; none lets the caller on.
    pub(super) fn judge_at(
        &self,
        no: ScopeNo,
        path: &NamePath,
        asked: (RecordType, &mut Trail),
    ) -> Result<Option<Occupant>, V::Error> {
        let (kind, trail) = asked;
        let judged = self.judge_way(no, path, (kind, &mut *trail), |state, word| {
            self.carried_out(state, word)
        })?;
        if let Some(state) = self.view.shared_scope(no)? {
            trail.enter(state.uid);
        }
        Ok(judged)
    }

    /// The same about a place that is only named and not read: nothing below is restricted by it.
    pub(super) fn judge_elsewhere(
        &self,
        no: ScopeNo,
        path: &NamePath,
        asked: (RecordType, &mut Trail),
    ) -> Result<Option<Occupant>, V::Error> {
        self.judge_way(no, path, asked, |_, word| word.denied)
    }

    fn judge_way(
        &self,
        no: ScopeNo,
        path: &NamePath,
        (kind, trail): (RecordType, &mut Trail),
        heed: impl Fn(&ScopeState, Word) -> Option<Occupant>,
    ) -> Result<Option<Occupant>, V::Error> {
        let way = self.way_to(no, path)?;
        if way.is_empty() {
            return Ok(Some(Occupant::Unreachable));
        }
        for (state, labels) in way {
            let word = self.word(&state, &borrowed(&labels), (kind, &mut *trail))?;
            if let Some(denied) = heed(&state, word) {
                return Ok(Some(denied));
            }
        }
        Ok(None)
    }

    /// Whether what stands at a path answers for names other than the one that is asked, whose own
    /// path was judged already: a wildcard, a cut, or what rewrites the names below it.
    pub(super) fn speaks_for_others(
        &self,
        occupant: &Occupant,
        (state, path): (&ScopeState, &NamePath),
        sought: Sought<'_>,
    ) -> bool {
        if !self.names_matter.get() {
            return false;
        }
        let speaks_for_names_below = match occupant {
            Occupant::Sets(sets) => sets.iter().any(|set| {
                let kind = set.kind();
                kind == RecordType::NS || kind == RecordType::DNAME
            }),
            Occupant::Redirect { subtree, .. } => *subtree,
            _ => false,
        };
        let asked = self.labels_below(state, sought.name).count();
        let depth = path.label_count();
        let last = path.labels().next_back();
        let above = path.parent().unwrap_or_default();
        let is_wild = last.is_some_and(|last| self.is_wild(&last, (state, &above), sought));
        is_wild || (speaks_for_names_below && depth > 0 && depth < asked)
    }

    /// Whether a label below a path stands for another one that is asked.
    pub(super) fn is_wild(
        &self,
        label: &[u8],
        (state, above): (&ScopeState, &NamePath),
        sought: Sought<'_>,
    ) -> bool {
        let mut asked = self.labels_below(state, sought.name);
        label == b"*" && asked.nth(above.label_count()) != Some(label)
    }

    /// What a caller that was restricted on the way sees of what stands at a place.
    pub(super) fn shown(&self, mut visit: Visit<Place>) -> Visit<Place> {
        let restricting = self.restricting.borrow();
        if restricting.is_empty() {
            return visit;
        }
        if let Occupant::Sets(sets) | Occupant::Version(sets) = &mut visit.occupant {
            let every = |set: &&RecordSet| {
                let mut lists = restricting.iter();
                lists.all(|restricted| is_shown(restricted, set.kind()))
            };
            *sets = sets.iter().filter(every).cloned().collect();
        }
        visit
    }

    /// Whether a scope on the way keeps records of a type from the caller.
    pub fn withholds(&self, kind: RecordType) -> bool {
        let restricting = self.restricting.borrow();
        let mut lists = restricting.iter();
        lists.any(|restricted| !is_shown(restricted, kind))
    }

    /// Whether what was looked up last must not come out of anybody's cache.
    pub const fn must_be_fresh(&self) -> bool {
        self.must_be_fresh.get()
    }

    fn does_more_than_read(&self, state: &ScopeState) -> bool {
        let verb = self.asking.verb.as_deref();
        verb.is_some_and(|verb| state.descriptor.policy.verb_class(verb) != Some(VerbClass::Read))
    }

    /// Refuses a verb that a scope does not know, at every name of it alike.
    pub(super) fn refuses_verb(
        &self,
        state: &ScopeState,
        trail: &mut Trail,
    ) -> Option<Visit<Place>> {
        let verb = self.asking.verb.as_deref()?;
        if state.descriptor.policy.verb_class(verb).is_some() {
            return None;
        }
        trail.deny(state.uid, Verdict::Refuse);
        let told = format!("{verb:?} is no verb of this scope");
        Some(end(Occupant::Refused(told)))
    }

    /// Where an entry is bound, if that is in this tree: another apex's scopes are not asked, as
    /// their verdicts would tell that the entry exists.
    pub(super) fn located_here(&self, uid: &Uid) -> Result<Option<Location>, V::Error> {
        let Some(location) = self.view.locate(uid)? else {
            return Ok(None);
        };
        let way = self.way_to(location.scope, &location.path)?;
        let here = way.first().map(|(state, _)| state.uid) == Some(self.apex.root);
        Ok(here.then_some(location))
    }

    /// A scope's word about the labels below it.
    fn word(
        &self,
        state: &ScopeState,
        labels: &[&[u8]],
        (kind, trail): (RecordType, &mut Trail),
    ) -> Result<Word, V::Error> {
        let policy = &state.descriptor.policy;
        if policy.access.reads_names() {
            self.names_matter.set(true);
        }
        let caller = self.caller(state, labels, kind);
        let decision = policy.access.decide(&caller);
        let verdict = decision.verdict;
        if trail.is_on() {
            let name = scope_name(self.view, self.apexes, state.no)?;
            trail.note(|| TrailStep::Scope {
                scope: name.unwrap_or_else(|| self.apex.name.clone()),
                height: state.height,
                epoch: state.descriptor.epoch,
                anchors: state.descriptor.anchors.anchors().len(),
                verdict,
                because: policy.access.reason(&decision, &caller),
            });
        }
        let denied = match verdict {
            Verdict::Allow | Verdict::Restrict => None,
            Verdict::Challenge if policy.challenge.is_empty() => {
                Some(Occupant::Refused("prove yourself to be let in".to_owned()))
            }
            Verdict::Challenge => Some(Occupant::Refused(policy.challenge.clone())),
            Verdict::Refuse => Some(Occupant::Refused(REFUSED_BY_POLICY.to_owned())),
            Verdict::Hide => Some(Occupant::Hidden),
        };
        if denied.is_some() {
            trail.deny(state.uid, verdict);
        }
        let denied = denied.or_else(|| self.overdue(state));
        Ok(Word { verdict, denied })
    }

    /// Keeps a scope back that may have been overtaken long ago. Whoever is denied learns nothing of
    /// that.
    fn overdue(&self, state: &ScopeState) -> Option<Occupant> {
        let freshness = self.view.freshness(&state.uid);
        if freshness != Freshness::Fresh {
            let mut keeping = self.keeping.borrow_mut();
            keeping.never("a scope on the way may have been overtaken");
        }
        (freshness == Freshness::Expired).then_some(Occupant::Unreachable)
    }

    /// Remembers a restriction for everything below.
    fn carried_out(&self, state: &ScopeState, word: Word) -> Option<Occupant> {
        if word.verdict == Verdict::Restrict {
            let restricted = state.descriptor.policy.restricted.clone();
            self.restricting.borrow_mut().push(restricted);
        }
        word.denied
    }

    /// Whether a scope hides as a whole and not for the name that is asked.
    fn hides_itself(&self, state: &ScopeState, kind: RecordType) -> bool {
        let access = &state.descriptor.policy.access;
        access.verdict(&self.caller(state, &[], kind)) == Verdict::Hide
    }

    /// The caller as a scope sees it: a verb means what its own vocabulary says.
    fn caller<'q>(
        &'q self,
        state: &'q ScopeState,
        labels: &'q [&'q [u8]],
        kind: RecordType,
    ) -> Caller<'q> {
        self.hangs_on(state);
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
            name: Some(labels),
            key: self.asking.key.as_ref(),
            certificate: self.asking.certificate.as_ref(),
            load: self.load(state),
            judge: Some(state.uid),
            devices: self.asking.devices,
        }
    }

    /// Notes what a verdict of these tests hangs on beside the question. Over UDP nobody shows a
    /// device.
    fn hangs_on(&self, state: &ScopeState) {
        let access = &state.descriptor.policy.access;
        let mut keeping = self.keeping.borrow_mut();
        if access.reads_time() || access.reads_load() {
            keeping.never("a scope on the way tests the hour or the load");
        }
        if access.reads_devices() && self.asking.transport != Some(Transport::Udp) {
            keeping.never("a scope on the way tests devices");
        }
        if !self.view.holds(state.no) {
            keeping.never("it was learned of other nodes, for a while");
        }
        match self.asking.address {
            Some(address) => keeping.is_for(access.alike(address)),
            None => keeping.never("nobody knows who asks"),
        }
    }

    /// How much a scope is asked, if it wants to know; this question is counted once.
    fn load(&self, state: &ScopeState) -> Option<u32> {
        if !state.descriptor.policy.access.reads_load() {
            return None;
        }
        let (loads, at) = (self.asking.loads?, self.asking.time?);
        let mut counted = self.counted.borrow_mut();
        if counted.contains(&state.no) {
            return Some(loads.lately(&state.uid, at));
        }
        counted.push(state.no);
        Some(loads.asked(&state.uid, at))
    }

    /// The labels of a name below a scope, as far as they say what the question is about: a version,
    /// a verb, an instance or the government of a name is about that name.
    fn labels_below<'n>(
        &self,
        state: &ScopeState,
        name: &'n Name,
    ) -> impl Iterator<Item = &'n [u8]> + use<'n, V> {
        let depth = state.edge.as_ref().map_or(0, |edge| edge.depth);
        let above = self.apex.name.label_count() + usize::from(depth);
        let is_about = |label: &&[u8]| {
            let labels = [
                VERSIONS_LABEL,
                ACTIONS_LABEL,
                INSTANCES_LABEL,
                GOVERNMENT_LABEL,
            ];
            !labels.contains(label)
        };
        name.labels_down().skip(above).take_while(is_about)
    }

    /// The labels below the apex of the entry whose UID is asked, if one is.
    fn path_of_uid(
        &self,
        state: &ScopeState,
        name: &Name,
    ) -> Result<Option<Vec<Vec<u8>>>, V::Error> {
        let mut labels = self.labels_below(state, name);
        if state.edge.is_some() || labels.next() != Some(UID_LABEL) {
            return Ok(None);
        }
        let Some(uid) = labels.next().and_then(uid_of) else {
            return Ok(None);
        };
        let Some(location) = self.located_here(&uid)? else {
            return Ok(None);
        };
        let way = self.way_to(location.scope, &location.path)?;
        Ok(way.into_iter().next().map(|(_, labels)| labels))
    }

    /// The way to a path of a scope. Empty if a scope on it is not held.
    fn way_to(&self, no: ScopeNo, path: &NamePath) -> Result<Way, V::Error> {
        let mut labels: Vec<Vec<u8>> = path.labels().collect();
        let mut way = Vec::new();
        let mut next = Some(no);
        while let Some(no) = next {
            let Some(state) = self.view.shared_scope(no)? else {
                return Ok(Vec::new());
            };
            let edge = state.edge.clone();
            way.push((state, labels.clone()));
            // Parents were here before their children, so this ends.
            next = edge.as_ref().map(|edge| edge.parent).filter(|to| *to < no);
            if let Some(edge) = edge {
                labels.insert(0, edge.label);
            }
        }
        way.reverse();
        Ok(way)
    }
}

fn borrowed(labels: &[Vec<u8>]) -> Vec<&[u8]> {
    labels.iter().map(Vec::as_slice).collect()
}
