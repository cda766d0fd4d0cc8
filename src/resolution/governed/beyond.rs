//! Where the walk leaves what is known: scopes of other nodes that could be asked.

use std::sync::Arc;

use crate::index::place::Apex;
use crate::index::state::{Edge, ScopeState};
use crate::index::transition::RESERVED_LABELS;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::resolution::directory::{Occupant, Sought, Visit};
use crate::resolution::instances::{Elsewhere, Service};

use super::{Governed, Place, end};

/// What is missing to answer a question, and other nodes may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// What stands at a name.
    Proof(Unproven),
    /// Where the scope is that an entry went to.
    Place(ScopeUid),
    /// The instances behind an entry.
    Instances {
        /// The scope that it is in.
        scope: ScopeUid,
        /// The entry.
        service: Uid,
    },
}

/// A name to be proven from a scope on that is trusted already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    /// The topmost scope on the way that is not held, and its name: the proof begins there.
    pub top: Apex,
    /// The edge by which that scope hangs in one that is held; none for the root of an apex.
    pub edge: Option<Edge>,
    /// The name to be proven.
    pub name: Name,
}

/// Why instances are not known.
pub(super) enum Untold {
    /// Nobody was asked.
    Yet,
    /// Nobody can say.
    ByAnybody,
}

/// A scope on the way, and how it hangs there.
struct Hanging {
    uid: ScopeUid,
    edge: Option<Edge>,
}

impl<V: IndexView> Governed<'_, V> {
    /// Notes that nothing is known of where a scope is.
    pub(super) fn lacks_place_of(&self, scope: ScopeUid) -> Occupant {
        self.lack.replace(Some(Lack::Place(scope)));
        Occupant::Unreachable
    }

    /// The instances of an entry. Those of a scope that is not held are asked for; `Err` says that
    /// nobody told of them.
    pub(super) fn instances_known(
        &self,
        uid: &Uid,
        state: &ScopeState,
    ) -> Result<Option<Arc<Service>>, Untold> {
        if self.view.holds(state.no) {
            return Ok(self.service(uid));
        }
        match self.services.elsewhere(uid) {
            Elsewhere::Known(service) => Ok(service),
            Elsewhere::Silent => Err(Untold::ByAnybody),
            Elsewhere::Unknown => {
                let (scope, service) = (state.uid, *uid);
                self.lack.replace(Some(Lack::Instances { scope, service }));
                Err(Untold::Yet)
            }
        }
    }

    /// What the walk lacked when it ended at a scope that is not held.
    pub fn lack(&self) -> Option<Lack> {
        self.lack.borrow().clone()
    }

    /// Ends the walk at a scope of which nothing is known, `label` below one of which something is.
    pub(super) fn ends_before(
        &self,
        uid: ScopeUid,
        above: Option<(&ScopeState, &[u8])>,
        sought: Sought<'_>,
    ) -> Result<Visit<Place>, V::Error> {
        let edge = above.map(|(parent, label)| parent.child_edge(label));
        self.ends_at(Hanging { uid, edge }, sought.name)
    }

    /// Ends the walk inside a scope of which that path is not known.
    pub(super) fn ends_in(
        &self,
        state: &ScopeState,
        path: &NamePath,
        sought: Sought<'_>,
    ) -> Result<Visit<Place>, V::Error> {
        let (uid, edge) = (state.uid, state.edge.clone());
        let depth = edge.as_ref().map_or(0, |edge| edge.depth);
        let labels = self.apex.name.label_count() + usize::from(depth);
        let above = sought.name.suffix(labels);
        // The proof of a name that exists shows no wildcard beside it: that is a name of its own.
        let name = path.to_name(&above).unwrap_or(above);
        let is_on_the_way = sought.name.is_within(&name);
        let wanted = if is_on_the_way { sought.name } else { &name };
        self.ends_at(Hanging { uid, edge }, wanted)
    }

    fn ends_at(&self, mut top: Hanging, wanted: &Name) -> Result<Visit<Place>, V::Error> {
        while let Some(above) = self.unheld_above(&top)? {
            top = Hanging {
                uid: above.uid,
                edge: above.edge.clone(),
            };
        }
        let depth = top.edge.as_ref().map_or(0, |edge| edge.depth);
        let labels = self.apex.name.label_count() + usize::from(depth);
        let wanted_labels = wanted.labels_down();
        let plain = wanted_labels.take_while(|label| !RESERVED_LABELS.contains(label));
        let lack = Unproven {
            top: Apex {
                name: wanted.suffix(labels),
                root: top.uid,
            },
            edge: top.edge,
            name: wanted.suffix(plain.count().max(labels)),
        };
        self.lack.replace(Some(Lack::Proof(lack)));
        Ok(end(Occupant::Unreachable))
    }

    /// The scope above, if that is not held either.
    fn unheld_above(&self, below: &Hanging) -> Result<Option<Arc<ScopeState>>, V::Error> {
        match &below.edge {
            Some(edge) if !self.view.holds(edge.parent) => self.view.shared_scope(edge.parent),
            _ => Ok(None),
        }
    }
}
