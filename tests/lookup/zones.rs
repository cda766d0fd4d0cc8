//! A zone from lines, and lookups in it as one line of text.

use std::collections::BTreeMap;

use kedge::base::time::Ttl;
use kedge::namespace::name::Name;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::{Record, RecordSet};
use kedge::namespace::rtype::RecordType;
use kedge::resolution::lookup::{Found, lookup};
use kedge::resolution::trail::Trail;
use kedge::resolution::zone::Zone;

use super::support::name;

/// TTL of every record here.
const TTL: Ttl = Ttl::from_secs(3_600);

/// A zone from lines of `owner type data`, names absolute. The SOA is added.
pub(crate) fn zone(origin: &str, lines: &str) -> Zone {
    let origin = name(origin);
    let mut records: BTreeMap<Name, BTreeMap<RecordType, Vec<Rdata>>> = BTreeMap::new();
    let soa = Rdata::of_soa(&origin, &origin, [1, 2, 3, 4, 300]);
    records
        .entry(origin.clone())
        .or_default()
        .insert(RecordType::SOA, vec![soa]);
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let parts: Vec<&str> = line.trim().splitn(3, ' ').collect();
        let kind: RecordType = parts[1].parse().unwrap();
        let rdata = Rdata::parse(kind, parts[2].trim(), &origin).unwrap();
        let owner = records.entry(name(parts[0])).or_default();
        owner.entry(kind).or_default().push(rdata);
    }
    let sets = records.into_iter().map(|(owner, kinds)| {
        let sets = kinds
            .into_iter()
            .map(|(kind, rdatas)| RecordSet::new(kind, TTL, rdatas).unwrap());
        (owner, sets.collect())
    });
    Zone::new(origin, sets.collect()).unwrap()
}

/// What the zone says to `name type`.
pub(crate) fn found(zone: &Zone, question: &str) -> String {
    let (owner, kind) = question.split_once(' ').unwrap();
    let kind = kind.parse().unwrap();
    let found = lookup(zone, &name(owner), kind, &mut Trail::off());
    match found {
        Ok(found) => text(&found),
        Err(never) => match never {},
    }
}

/// Holds a zone to rows of question and what it must come to.
pub(crate) fn check(zone: &Zone, rows: &[(&str, &str)]) {
    for (question, expected) in rows {
        assert_eq!(found(zone, question), *expected, "{question}");
    }
}

fn text(found: &Found) -> String {
    match found {
        Found::Answer(answer) => records(answer),
        Found::Chain {
            records: chain,
            target,
            ..
        } => format!("{} -> {target}", records(chain)),
        Found::Referral { authorities, glue } if glue.is_empty() => {
            format!("referral {}", records(authorities))
        }
        Found::Referral { authorities, glue } => {
            format!("referral {} glue {}", records(authorities), records(glue))
        }
        Found::TooLong(dname) => format!("too long {}", records(std::slice::from_ref(dname))),
        other => other.word().to_owned(),
    }
}

fn records(records: &[Record]) -> String {
    let one = |record: &Record| {
        let data = record.rdata.to_text(record.kind);
        format!("{} {} {data}", record.owner, record.kind)
    };
    records.iter().map(one).collect::<Vec<_>>().join(", ")
}
