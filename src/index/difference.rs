//! What differs between the record sets of two versions, record by record.

use crate::base::time::Ttl;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;

/// Which of the two versions has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Only the first.
    Removed,
    /// Only the second.
    Added,
}

/// A record that one version has and the other has not. A record whose TTL changed is two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The type.
    pub kind: RecordType,
    /// Which version has it.
    pub sign: Sign,
    /// The TTL of its set.
    pub ttl: Ttl,
    /// The data.
    pub rdata: Rdata,
}

/// The records that differ: type by type, those that went before those that came.
pub fn difference(from: &[RecordSet], to: &[RecordSet]) -> Vec<Line> {
    let mut lines: Vec<Line> = only_in(Sign::Removed, from, to)
        .chain(only_in(Sign::Added, to, from))
        .collect();
    lines.sort_by_key(|line| (line.kind, line.sign));
    lines
}

fn only_in<'s>(
    sign: Sign,
    sets: &'s [RecordSet],
    others: &'s [RecordSet],
) -> impl Iterator<Item = Line> + use<'s> {
    sets.iter().flat_map(move |set| {
        let (kind, ttl) = (set.kind(), set.ttl());
        let same = |other: &&RecordSet| other.kind() == kind && other.ttl() == ttl;
        let other = others.iter().find(same);
        // Records of a set are sorted.
        let is_missing = move |rdata: &&Rdata| {
            other.is_none_or(|other| other.records().binary_search(rdata).is_err())
        };
        let missing = set.records().iter().filter(is_missing).cloned();
        missing.map(move |rdata| Line {
            kind,
            sign,
            ttl,
            rdata,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_sets() -> impl Strategy<Value = Vec<RecordSet>> {
        let set = (1u32..3, proptest::collection::btree_set(0u8..4, 1..4));
        let set_of = |kind: RecordType, bytes: usize| {
            move |(ttl, data): (u32, std::collections::BTreeSet<u8>)| {
                let records = data.into_iter().map(|byte| {
                    let wire = vec![byte; bytes];
                    Rdata::from_wire(kind, &wire).unwrap()
                });
                RecordSet::new(kind, Ttl::from_secs(ttl), records.collect()).unwrap()
            }
        };
        (
            proptest::option::of(set.clone().prop_map(set_of(RecordType::A, 4))),
            proptest::option::of(set.prop_map(set_of(RecordType::AAAA, 16))),
        )
            .prop_map(|(a, aaaa)| a.into_iter().chain(aaaa).collect())
    }

    fn rows(sets: &[RecordSet]) -> Vec<(RecordType, Ttl, Rdata)> {
        let row = |set: &RecordSet| {
            let (kind, ttl) = (set.kind(), set.ttl());
            let records = set.records().to_vec().into_iter();
            records
                .map(move |rdata| (kind, ttl, rdata))
                .collect::<Vec<_>>()
        };
        sets.iter().flat_map(row).collect()
    }

    proptest! {
        #[test]
        fn the_lines_lead_from_the_first_to_the_second(from in any_sets(), to in any_sets()) {
            let lines = difference(&from, &to);
            prop_assert_eq!(lines.is_empty(), from == to);
            let of = |sign| {
                let lines = lines.iter().filter(move |line| line.sign == sign);
                lines.map(|line| (line.kind, line.ttl, line.rdata.clone())).collect::<Vec<_>>()
            };
            let (removed, added) = (of(Sign::Removed), of(Sign::Added));
            let mut walked = rows(&from);
            walked.retain(|row| !removed.contains(row));
            walked.extend(added.clone());
            walked.sort();
            let mut wanted = rows(&to);
            wanted.sort();
            prop_assert_eq!(walked, wanted);
            prop_assert!(removed.iter().all(|row| rows(&from).contains(row)));
            prop_assert!(added.iter().all(|row| !rows(&from).contains(row)));
        }
    }
}
