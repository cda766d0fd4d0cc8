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

/// The changes that give record sets the state of older ones; none where they are alike.
pub fn restoring(sets: &[RecordSet], older: &[RecordSet]) -> Vec<SetChange> {
    let gone = sets
        .iter()
        .map(RecordSet::kind)
        .filter(|kind| older.iter().all(|set| set.kind() != *kind))
        .map(SetChange::Remove);
    let put = older
        .iter()
        .filter(|set| !sets.contains(set))
        .cloned()
        .map(SetChange::Put);
    gone.chain(put).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Ttl;
    use crate::namespace::rdata::Rdata;
    use proptest::prelude::*;

    fn any_sets() -> impl Strategy<Value = Vec<RecordSet>> {
        let kinds = [RecordType::A, RecordType::AAAA, RecordType::TXT];
        proptest::collection::btree_map(0..kinds.len(), (0u8..3, 1u32..3), 0..3).prop_map(
            move |sets| {
                let set = |(kind, (byte, ttl)): (usize, (u8, u32))| {
                    let (kind, wire) = match kinds[kind] {
                        RecordType::A => (RecordType::A, vec![byte; 4]),
                        RecordType::AAAA => (RecordType::AAAA, vec![byte; 16]),
                        kind => (kind, vec![1, byte]),
                    };
                    let rdata = Rdata::from_wire(kind, &wire).unwrap();
                    RecordSet::new(kind, Ttl::from_secs(ttl), vec![rdata]).unwrap()
                };
                sets.into_iter().map(set).collect()
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_restored_is_what_was(now in any_sets(), before in any_sets()) {
            let changes = restoring(&now, &before);
            prop_assert_eq!(changes.is_empty(), now == before);
            let sorted = |mut sets: Vec<RecordSet>| {
                sets.sort_by_key(RecordSet::kind);
                sets
            };
            let restored = sorted(changed(&now, &changes).unwrap());
            prop_assert_eq!(restored, sorted(before));
        }
    }
}
