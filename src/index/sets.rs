//! The rules that record sets of one entry obey.

use crate::base::limits::{ENTRY_BYTES_MAX, SETS_PER_NAME_MAX};
use crate::governance::op::SetChange;
use crate::governance::policy::Policy;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;

use super::refusal::Refusal;

/// Checks the record sets of an entry as a whole and sorts them by type.
pub fn checked(mut sets: Vec<RecordSet>, policy: &Policy) -> Result<Vec<RecordSet>, Refusal> {
    sets.sort_by_key(RecordSet::kind);
    for pair in sets.windows(2) {
        if let [a, b] = pair
            && a.kind() == b.kind()
        {
            return Err(Refusal::RepeatedType(a.kind()));
        }
    }
    for set in &sets {
        // The SOA is made from the apex's lineage; signatures and denials from its keys.
        if set.kind().is_meta()
            || matches!(
                set.kind(),
                RecordType::SOA | RecordType::NSEC | RecordType::NSEC3
            )
        {
            return Err(Refusal::Type(set.kind()));
        }
        if set.ttl() < policy.ttl_min || set.ttl() > policy.ttl_max {
            return Err(Refusal::Ttl {
                ttl: set.ttl().as_secs(),
                min: policy.ttl_min.as_secs(),
                max: policy.ttl_max.as_secs(),
            });
        }
    }
    let beside_cname = |set: &RecordSet| set.kind() != RecordType::CNAME;
    if sets.iter().any(|set| set.kind() == RecordType::CNAME) && sets.iter().any(beside_cname) {
        return Err(Refusal::CnameBeside);
    }
    let bytes: usize = sets.iter().map(RecordSet::data_bytes).sum();
    if sets.len() > SETS_PER_NAME_MAX || bytes > ENTRY_BYTES_MAX {
        return Err(Refusal::EntryTooLarge);
    }
    Ok(sets)
}

/// Applies changes to record sets; each type may be changed once.
pub fn changed(sets: &[RecordSet], changes: &[SetChange]) -> Result<Vec<RecordSet>, Refusal> {
    let mut kinds: Vec<RecordType> = changes.iter().map(SetChange::kind).collect();
    kinds.sort_unstable();
    if let Some([kind, _]) = kinds
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if a == b))
    {
        return Err(Refusal::RepeatedType(*kind));
    }
    let mut result: Vec<RecordSet> = sets
        .iter()
        .filter(|set| kinds.binary_search(&set.kind()).is_err())
        .cloned()
        .collect();
    for change in changes {
        match change {
            SetChange::Put(set) => result.push(set.clone()),
            SetChange::Remove(_) => {}
        }
    }
    Ok(result)
}
