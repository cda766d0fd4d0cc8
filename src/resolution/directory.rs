//! `Directory`: the one shape in which governed names and zone files are looked up.

use std::sync::Arc;

use crate::namespace::name::Name;
use crate::namespace::record::{Record, RecordSet};
use crate::namespace::rtype::RecordType;

use super::trail::Trail;

/// What stands at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupant {
    /// Only names below: an empty non-terminal.
    Nothing,
    /// Record sets, shared with whoever keeps them.
    Sets(Arc<[RecordSet]>),
    /// Record sets of one version of an entry. They are shown, not obeyed: an NS set among them is
    /// no cut and a DNAME rewrites nothing, as the names they would speak for are elsewhere.
    Version(Arc<[RecordSet]>),
    /// A redirect to another name, alone or with everything below.
    Redirect {
        /// The new name.
        to: Name,
        /// Whether everything below went along.
        subtree: bool,
    },
    /// The name ended; nothing shall answer instead.
    Retired,
    /// The caller may not know; what it is told instead.
    Refused(String),
    /// The caller may not even know that it exists.
    Hidden,
    /// The caller may not know that a name below exists; a wildcard here covers it as it covers what
    /// is absent.
    Veiled,
    /// The scope that knows is not held here.
    Unreachable,
}

/// A place in the tree and what stands there.
#[derive(Debug, Clone)]
pub struct Visit<P> {
    /// The place, from which the tree is walked on.
    pub place: P,
    /// What stands there.
    pub occupant: Occupant,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'q> {
    /// The name.
    pub name: &'q Name,
    /// The record type.
    pub kind: RecordType,
}

/// A tree of names below one apex, walked label by label from the top.
pub trait Directory {
    /// What reading can fail with.
    type Error;
    /// A position in the tree.
    type Place;

    /// The name of the top.
    fn apex(&self) -> &Name;

    /// The SOA of the apex, for negative answers.
    fn soa(&self) -> Result<Record, Self::Error>;

    /// Whether a wildcard may answer for a name that does not exist.
    fn may_be_wild(&self, _name: &Name) -> bool {
        true
    }

    /// The top itself, for a question for records of a type.
    fn top(&self, sought: Sought<'_>, trail: &mut Trail)
    -> Result<Visit<Self::Place>, Self::Error>;

    /// What stands at a place that the question is for, once the walk ends there: what would cost
    /// too much to find out about every place on the way.
    fn arrive(
        &self,
        visit: Visit<Self::Place>,
        _kind: RecordType,
        _trail: &mut Trail,
    ) -> Result<Visit<Self::Place>, Self::Error> {
        Ok(visit)
    }

    /// The place one label below; none if the name does not exist and nothing lies below it.
    fn child(
        &self,
        place: &Self::Place,
        label: &[u8],
        sought: Sought<'_>,
        trail: &mut Trail,
    ) -> Result<Option<Visit<Self::Place>>, Self::Error>;
}
