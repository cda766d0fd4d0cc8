//! From absolute names to scopes and paths, and back.

use crate::governance::block::Body;
use crate::governance::op::Op;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;

use super::entry::Entry;
use super::state::{ScopeNo, ScopeState};
use super::view::IndexView;

/// Slots that are read at once where all may have to be looked at.
const SLOTS_PER_PAGE: usize = 1_024;

/// A governed tree: the name it hangs under and its root scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apex {
    /// The name.
    pub name: Name,
    /// The root scope.
    pub root: ScopeUid,
}

impl Apex {
    /// A scope taken for the root of all names, for proofs of what is in it: what it is called is of no
    /// concern there.
    pub fn alone(root: ScopeUid) -> Self {
        let name = Name::root();
        Self { name, root }
    }
}

/// A name inside a scope held here.
#[derive(Debug, Clone)]
pub struct Place {
    /// The scope that decides over the name.
    pub scope: ScopeState,
    /// The scope's name.
    pub scope_name: Name,
    /// The path in it.
    pub path: NamePath,
}

/// Why a name has no place here.
#[derive(Debug, thiserror::Error)]
pub enum NoPlace<E: std::error::Error + 'static> {
    /// It lies under no apex.
    #[error("{0} lies under no apex of this node")]
    NotGoverned(Name),
    /// Its scope is held by other nodes.
    #[error("{name} belongs to a scope that this node does not hold")]
    NotHeld {
        /// The name.
        name: Name,
        /// The topmost scope on the way to it that is not held.
        scope: ScopeUid,
        /// That scope's name.
        scope_name: Name,
    },
    /// The index could not be read.
    #[error("the index could not be read")]
    View(#[source] E),
}

/// The governed trees whose roots are held.
pub fn held_apexes<V: IndexView>(view: &V) -> Result<Vec<Apex>, V::Error> {
    let held = view.apexes()?.into_iter();
    Ok(held.map(|(name, root)| Apex { name, root }).collect())
}

/// The apex a name lies under; the longest, if several match.
pub fn apex_of<'a>(apexes: &'a [Apex], name: &Name) -> Option<&'a Apex> {
    apexes
        .iter()
        .filter(|apex| name.is_within(&apex.name))
        .max_by_key(|apex| apex.name.label_count())
}

/// Walks delegations from the apex to the scope that decides over a name.
pub fn find<V: IndexView>(
    view: &V,
    apexes: &[Apex],
    name: &Name,
) -> Result<Place, NoPlace<V::Error>> {
    let apex = apex_of(apexes, name).ok_or_else(|| NoPlace::NotGoverned(name.clone()))?;
    let held = |uid: &ScopeUid, labels: usize| -> Result<ScopeState, NoPlace<V::Error>> {
        let state = view.scope_of(uid).map_err(NoPlace::View)?;
        state.ok_or_else(|| NoPlace::NotHeld {
            name: name.clone(),
            scope: *uid,
            scope_name: name.suffix(labels),
        })
    };
    let mut labels_used = apex.name.label_count();
    let mut scope = held(&apex.root, labels_used)?;
    loop {
        let scope_name = name.suffix(labels_used);
        let path = NamePath::between(name, &scope_name).unwrap_or_default();
        let Some(first) = path.labels().next() else {
            return Ok(Place {
                scope,
                scope_name,
                path,
            });
        };
        let edge = NamePath::empty().child(&first);
        let slot = view.slot(scope.no, &edge).map_err(NoPlace::View)?;
        match slot.and_then(|slot| slot.entry) {
            Some(Entry::Delegated(child)) => {
                labels_used += 1;
                scope = held(&child, labels_used)?;
            }
            _ => {
                return Ok(Place {
                    scope,
                    scope_name,
                    path,
                });
            }
        }
    }
}

/// The absolute name of a scope; none while an edge above it is not held here.
pub fn scope_name<V: IndexView>(
    view: &V,
    apexes: &[Apex],
    no: ScopeNo,
) -> Result<Option<Name>, V::Error> {
    let mut labels: Vec<Vec<u8>> = Vec::new();
    let mut no = no;
    // Depth is bounded by the edges themselves: each parent was there before its child.
    while let Some(state) = view.scope(no)? {
        let Some(edge) = state.edge else {
            let Some(apex) = apexes.iter().find(|apex| apex.root == state.uid) else {
                return Ok(None);
            };
            let mut name = apex.name.clone();
            for label in labels.iter().rev() {
                match name.child(label) {
                    Ok(longer) => name = longer,
                    Err(_) => return Ok(None),
                }
            }
            return Ok(Some(name));
        };
        if edge.parent >= no {
            return Ok(None);
        }
        labels.push(edge.label);
        no = edge.parent;
    }
    Ok(None)
}

/// The absolute name of a path in a scope.
pub fn absolute<V: IndexView>(
    view: &V,
    apexes: &[Apex],
    no: ScopeNo,
    path: &NamePath,
) -> Result<Option<Name>, V::Error> {
    Ok(scope_name(view, apexes, no)?.and_then(|name| path.to_name(&name).ok()))
}

/// The child scopes that a block delegated to or gave another label, each with the label it has
/// now. `view` has the block applied.
pub fn edges_left_by<V: IndexView>(
    view: &V,
    scope: ScopeNo,
    body: &Body,
) -> Result<Vec<(ScopeUid, Vec<u8>)>, V::Error> {
    let mut edges = Vec::new();
    for decided in &body.decided {
        for op in &decided.proposal.unverified().ops {
            let path = match op {
                Op::Delegate { label, .. } => NamePath::empty().child(label),
                Op::Rename { to, .. } => to.clone(),
                _ => continue,
            };
            // Only the last place that a block leaves a delegation at holds one.
            if let Some(Entry::Delegated(child)) = entry(view, scope, &path)?
                && let Some(label) = path.labels().next()
            {
                edges.push((child, label));
            }
        }
    }
    Ok(edges)
}

/// The label at which a scope delegates to a child; `seen` is where it did once, if that is known.
/// Without it every name of the scope may have to be looked at.
pub fn label_of<V: IndexView>(
    view: &V,
    parent: ScopeNo,
    child: &ScopeUid,
    seen: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, V::Error> {
    let delegated = Some(Entry::Delegated(*child));
    if let Some(label) = seen
        && entry(view, parent, &NamePath::empty().child(label))? == delegated
    {
        return Ok(Some(label.to_vec()));
    }
    let mut after = None;
    loop {
        let page = view.slots(parent, &NamePath::empty(), after.as_ref(), SLOTS_PER_PAGE)?;
        let mut slots = page.iter();
        if let Some((path, _)) = slots.find(|(_, slot)| slot.entry == delegated) {
            return Ok(path.labels().next());
        }
        match page.into_iter().next_back() {
            Some((last, _)) => after = Some(last),
            None => return Ok(None),
        }
    }
}

fn entry<V: IndexView>(
    view: &V,
    scope: ScopeNo,
    path: &NamePath,
) -> Result<Option<Entry>, V::Error> {
    Ok(view.slot(scope, path)?.and_then(|slot| slot.entry))
}
