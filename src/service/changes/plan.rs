//! Many changes of one scope, planned into one proposal.

use std::collections::BTreeMap;

use crate::base::limits::OPS_PER_PROPOSAL_MAX;
use crate::governance::op::{Op, Precondition, SetChange};
use crate::index::entry::Entry;
use crate::index::place::{Apex, Place};
use crate::index::refusal::Refusal;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::namespace::version_name::Tag;
use crate::service::ports::Parts;

use super::{Changes, PlanError};

/// One change that somebody wants, whatever is at the name now.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// The type has these records from now on; the name is registered if need be.
    Put(NamePath, RecordSet),
    /// The type has no records from now on.
    Remove(NamePath, RecordType),
    /// A tag goes to a version of the name, or from it.
    Tag(NamePath, Tag, Option<u64>),
    /// The name ends.
    Retire(NamePath),
    /// The name or subtree gets another name.
    Rename {
        /// The present path.
        from: NamePath,
        /// The new path.
        to: NamePath,
        /// Whether everything below goes along.
        subtree: bool,
    },
}

/// Changes and what must hold for them.
pub(super) type Plan = (Vec<Op>, Vec<Precondition>);

impl<P: Parts> Changes<P> {
    /// Plans changes of one scope against its latest state: record sets of one name become one
    /// change, and each name that is touched must still be as it is now.
    pub fn plan(
        &self,
        apexes: &[Apex],
        scope: &Name,
        wanted: Vec<Wanted>,
    ) -> Result<Plan, PlanError> {
        if wanted.len() > OPS_PER_PROPOSAL_MAX {
            let error = format!("a proposal holds at most {OPS_PER_PROPOSAL_MAX} changes");
            return Err(PlanError::Misdirected(error));
        }
        let place = self.scope_at(apexes, scope)?;
        let (mut ops, mut preconditions) = (Vec::new(), Vec::new());
        // Where the change of a name's record sets stands among the changes.
        let mut at: BTreeMap<NamePath, usize> = BTreeMap::new();
        for wanted in wanted {
            let (path, change) = match wanted {
                Wanted::Put(path, set) => (path, SetChange::Put(set)),
                Wanted::Remove(path, kind) => (path, SetChange::Remove(kind)),
                Wanted::Retire(path) => {
                    preconditions.extend(self.as_it_is(&place, &path)?);
                    ops.push(Op::Retire { path });
                    continue;
                }
                Wanted::Tag(path, tag, number) => {
                    preconditions.extend(self.as_it_is(&place, &path)?);
                    ops.push(Op::Tag { path, tag, number });
                    continue;
                }
                Wanted::Rename { from, to, subtree } => {
                    preconditions.extend(self.as_it_is(&place, &from)?);
                    preconditions.push(Precondition::Absent(to.clone()));
                    ops.push(Op::Rename { from, to, subtree });
                    continue;
                }
            };
            if let Some(op) = at.get(&path).and_then(|index| ops.get_mut(*index)) {
                join(op, change)?;
                continue;
            }
            at.insert(path.clone(), ops.len());
            let present = self.as_it_is(&place, &path)?;
            ops.push(match (&present, change) {
                (Some(_), change) => Op::Update {
                    path,
                    changes: vec![change],
                    may_empty: false,
                },
                (None, SetChange::Put(set)) => {
                    preconditions.push(Precondition::Absent(path.clone()));
                    let sets = vec![set];
                    Op::Register { path, sets }
                }
                (None, SetChange::Remove(_)) => return Err(Refusal::NoEntry(path).into()),
            });
            preconditions.extend(present);
        }
        Ok((ops, preconditions))
    }

    /// What holds while a bound entry stays as it is; none for anything else.
    fn as_it_is(&self, scope: &Place, path: &NamePath) -> Result<Option<Precondition>, PlanError> {
        let place = Place {
            path: path.clone(),
            ..scope.clone()
        };
        Ok(match self.entry(&place)? {
            Some(Entry::Bound(head)) => Some(Precondition::VersionIs(head.uid, head.number)),
            _ => None,
        })
    }
}

/// Adds a change of a record set to the change of its name.
fn join(op: &mut Op, change: SetChange) -> Result<(), Refusal> {
    match (op, change) {
        (Op::Update { changes, .. }, change) => changes.push(change),
        (Op::Register { sets, .. }, SetChange::Put(set)) => sets.push(set),
        (Op::Register { path, .. }, SetChange::Remove(_)) => {
            return Err(Refusal::NoEntry(path.clone()));
        }
        _ => return Err(Refusal::NoChange),
    }
    Ok(())
}
