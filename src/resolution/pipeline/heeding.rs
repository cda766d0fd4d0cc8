//! What the scopes of a name say to the caller, before legacy DNS is asked in their place.

use crate::governance::device::Shown;
use crate::index::place::{Apex, apex_of};
use crate::index::view::IndexView;
use crate::namespace::action_name;
use crate::namespace::name::Name;
use crate::resolution::answer::Side;
use crate::resolution::governed::{Asking, Governed, Lack};
use crate::resolution::lookup::{Found, lookup};
use crate::resolution::trail::{Trail, TrailStep};

use super::attempt::Verdict;
use super::{Plan, Realm, Resolution};

/// What came of it.
pub(super) enum Heeded {
    /// Legacy DNS may be asked.
    Free,
    /// It may not: this is the answer.
    Kept(Verdict),
    /// Other nodes know what the scopes say.
    Lacks(Lack),
}

impl Resolution {
    /// Asks the scopes of the present name. Legacy DNS must not tell whom they refuse, nor tell of a
    /// type that they withhold. A hidden name is to look as if it were not there, and leaves the first
    /// word to legacy DNS as such a name does; so does one whose scopes nobody can be asked about.
    pub(super) fn heed_scopes<V: IndexView>(
        &mut self,
        realm: &Realm<'_, V>,
        plan: &Plan,
        trail: &mut Trail,
    ) -> Result<Heeded, V::Error> {
        let Some(apex) = apex_of(realm.apexes, &self.name) else {
            return Ok(Heeded::Free);
        };
        let kind = self.question.kind;
        let tree = self.tree(realm, apex, &self.name);
        let found = lookup(&tree, &self.name, kind, trail)?;
        trail.keeping_mut().join(&tree.keeping());
        let lack = tree.lack().filter(|_| found == Found::Unreachable);
        let heeded = if let Some(lack) = lack.filter(|lack| self.may_ask_peers(realm, plan, lack)) {
            Heeded::Lacks(lack)
        } else if matches!(found, Found::Refused(_)) || tree.withholds(kind) {
            trail.note(|| TrailStep::Kept {
                reason: "the scopes of the name keep it from this caller",
            });
            let must_be_fresh = tree.must_be_fresh();
            let mut verdict = self.said(&tree, (Side::Governed, &self.name), found, trail)?;
            if must_be_fresh {
                verdict.make_fresh();
            }
            Heeded::Kept(verdict)
        } else {
            // What was to be told with an answer of the index is not told with another one.
            drop(trail.take_told());
            Heeded::Free
        };
        let counted = tree.counted();
        drop(tree);
        self.counted = counted;
        Ok(heeded)
    }

    /// A governed tree as the client of this question sees it.
    pub(super) fn tree<'r, V: IndexView>(
        &'r self,
        realm: &Realm<'r, V>,
        apex: &'r Apex,
        name: &Name,
    ) -> Governed<'r, V> {
        let asking = Asking {
            address: self.question.caller,
            transport: self.question.transport,
            time: self.question.time,
            verb: action_name::parts(name).map(|(verb, _)| verb),
            devices: Shown {
                presences: realm.presences,
                said: &self.question.devices,
            },
            key: self.question.key.clone(),
            certificate: self.question.certificate.clone(),
            loads: realm.loads,
        };
        Governed::new(realm.view, realm.apexes, apex, asking)
            .with_services(realm.services)
            .with_counted(self.counted.clone())
    }
}
