//! `Seeking`: a resolution that waits for a proof from another node, and how it goes on.

use crate::base::limits::PEER_ASKS_MAX;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::resolution::governed::Lack;
use crate::resolution::trail::{Trail, TrailStep};

use super::{Plan, Realm, Resolution, Step};

/// What came of asking other nodes.
#[derive(Debug)]
pub struct PeerOutcome {
    /// Whether the view shows more than before.
    pub has_learned: bool,
    /// Who answered, or why nobody did, for people.
    pub note: String,
}

/// A resolution that waits for a proof from another node.
#[derive(Debug)]
pub struct Seeking {
    resolution: Resolution,
    plan: Plan,
    /// The name as the index knows it; none where legacy DNS comes next, once the scopes let it.
    name: Option<Name>,
}

impl Seeking {
    pub(super) const fn new(resolution: Resolution, plan: Plan, name: Option<Name>) -> Self {
        Self {
            resolution,
            plan,
            name,
        }
    }

    /// Asks the index again, whose view shows what was learned meanwhile. If nothing was, the name
    /// stays unreachable, and the fall-back policy has its say.
    pub fn resume<V: IndexView>(
        self,
        realm: &Realm<'_, V>,
        (lack, outcome): (&Lack, PeerOutcome),
        trail: &mut Trail,
    ) -> Result<Step, V::Error> {
        let Self {
            mut resolution,
            mut plan,
            name,
        } = self;
        trail.note(|| TrailStep::Peers {
            what: match lack {
                Lack::Proof(of) => format!("{}, from {} on", of.name, of.top.name),
                Lack::Place(scope) => format!("where scope {} is", scope.short()),
                Lack::Instances { service, .. } => format!("instances of {service}"),
            },
            note: outcome.note,
        });
        resolution.peer_asks += 1;
        plan.peers_silent |= !outcome.has_learned;
        match name {
            Some(name) => resolution.ask_index(realm, plan, &name, trail),
            None => resolution.next_side(realm, plan, trail),
        }
    }
}

impl Resolution {
    /// Whether another node may be asked for what lacks of the present name. Whoever proved it and
    /// leaves it lacking proves no more when asked again.
    pub(super) fn may_ask_peers<V>(&self, realm: &Realm<'_, V>, plan: &Plan, lack: &Lack) -> bool {
        realm.asks_peers
            && !plan.peers_silent
            && self.peer_asks < PEER_ASKS_MAX
            && plan.lacked.as_ref() != Some(lack)
    }
}
