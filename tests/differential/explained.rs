//! The differences that are right, each with the text that makes it so.

use kedge::base::limits::CHAIN_HOPS_MAX;
use kedge::namespace::rtype::RecordType;

use super::common::message::Record;
use super::compare::{Case, Part, Server};

/// A class of differences that is no fault.
pub(crate) struct Explained {
    pub(crate) id: &'static str,
    pub(crate) rfc: &'static str,
    pub(crate) why: &'static str,
    /// Whether this difference is of the class.
    pub(crate) matches: fn(&Case<'_>, Server, Part) -> bool,
}

pub(crate) const EXPLAINED: &[Explained] = &[
    Explained {
        id: "chain-into-other-zone",
        rfc: "RFC 1034 section 4.3.2 step 3a",
        why: "an alias is followed from step 1, the choice of the zone; knot stays in its zone and \
              leaves the rest to the resolver",
        matches: |case, server, part| {
            server == Server::Knot && part != Part::Flags && leaves_zone(case)
        },
    },
    Explained {
        id: "ds-of-unsigned-zone",
        rfc: "RFC 4035 section 3.1.4",
        why: "DS goes with a referral when DNSSEC is wanted; the others give it from signed zones \
              only, and nobody validates through an unsigned one",
        matches: |case, server, part| {
            let (ours, theirs) = case.odd(server, part);
            case.query.dnssec_ok
                && part == Part::Authority
                && theirs.is_empty()
                && ours.iter().all(|row| is(row, RecordType::DS))
        },
    },
    Explained {
        id: "wildcard-dname",
        rfc: "RFC 4592 section 4.4",
        why: "a wildcard DNAME has no defined meaning; knot renames the record to a name below it",
        matches: |case, server, part| {
            let mut answers = case.ours().sections[0].iter();
            server == Server::Knot
                && part != Part::Question
                && answers.any(|row| is(row, RecordType::DNAME) && row.owner.starts_with("*."))
        },
    },
    Explained {
        id: "alias-loop",
        rfc: "RFC 1034 section 3.6.2",
        why: "a loop of aliases, or a chain that does not end, is signalled as an error; the others \
              give its steps",
        matches: |case, server, part| {
            let theirs = case.theirs(server);
            let is_loop = loops(&case.name.small(), &theirs.sections[0]);
            part != Part::Question
                && case.ours().rcode() == SERVFAIL
                && (is_loop || case.chain().len() > usize::from(CHAIN_HOPS_MAX))
        },
    },
    Explained {
        id: "glue-outside-referral",
        rfc: "RFC 1034 sections 4.2.1 and 4.3.3",
        why: "glue is used as part of a referral only, and what a wildcard gives is owned by the \
              name asked for; knot adds both to MX, SRV and the like as they stand in the zone",
        matches: |case, server, part| {
            let (ours, theirs) = case.odd(server, part);
            let is_wildcard = |row: &&Record| row.owner.starts_with("*.");
            server == Server::Knot
                && part == Part::Additional
                && (theirs.iter()).all(|row| is_below_cut(case, &row.owner) || is_wildcard(row))
                && (ours.iter()).all(|row| {
                    let mut wildcards = theirs.iter().filter(|row| is_wildcard(row));
                    wildcards.any(|other| (other.kind, &other.data) == (row.kind, &row.data))
                })
        },
    },
    Explained {
        id: "names-of-the-zone-above",
        rfc: "RFC 1034 section 4.2",
        why: "what the zone above holds below its cut does not exist in the zone below; nsd keeps \
              the names of all zones in one tree",
        matches: |case, server, part| {
            server == Server::Nsd
                && part != Part::Question
                && case
                    .chain()
                    .iter()
                    .any(|name| meets_names_above(case, name))
        },
    },
    Explained {
        id: "addresses-left-out",
        rfc: "RFC 1034 section 4.3.2 step 6",
        why: "addresses of the names in an answer are useful but not needed; nsd is told to be brief",
        matches: |case, server, part| {
            let (_, theirs) = case.odd(server, part);
            server == Server::Nsd
                && part == Part::Additional
                && theirs.is_empty()
                && !case.ours().sections[0].is_empty()
        },
    },
    Explained {
        id: "nsec-beside-alias",
        rfc: "RFC 1034 section 3.6.2",
        why: "only a type that is there keeps an alias from being followed; knot takes NSEC to be \
              there, though the zone is not signed",
        matches: |case, server, part| {
            server == Server::Knot
                && case.query.kind == RecordType::NSEC.code()
                && part != Part::Question
        },
    },
    Explained {
        id: "endless-dname",
        rfc: "RFC 1034 section 3.6.2",
        why: "a DNAME to a name below itself never ends and is signalled as an error; the others \
              give its first steps",
        matches: |case, server, part| {
            let theirs = case.theirs(server).sections[0].iter();
            let mut dnames = theirs.filter(|row| is(row, RecordType::DNAME));
            part != Part::Question && dnames.any(|row| is_within(&row.data, &row.owner))
        },
    },
    Explained {
        id: "addresses-of-service-binding",
        rfc: "RFC 9460 section 4.1",
        why: "the addresses of every target should be given; knot gives few for SVCB and HTTPS",
        matches: |case, server, part| {
            let mut answers = case.ours().sections[0].iter();
            server == Server::Knot
                && part == Part::Additional
                && answers.any(|row| is(row, RecordType::SVCB) || is(row, RecordType::HTTPS))
        },
    },
    Explained {
        id: "name-too-long",
        rfc: "RFC 6672 section 2.2",
        why: "a name that a DNAME makes too long is YXDOMAIN and the end; knot goes on as if the \
              name were absent",
        matches: |case, server, part| {
            server == Server::Knot && part != Part::Question && case.ours().rcode() == YXDOMAIN
        },
    },
    Explained {
        id: "long-chain",
        rfc: "RFC 1034 section 3.6.2",
        why: "chains of aliases should be followed; knot leaves those of more than five steps to \
              the resolver",
        matches: |case, server, part| {
            server == Server::Knot && part != Part::Question && case.chain().len() > 1 + 5
        },
    },
    Explained {
        id: "record-twice",
        rfc: "RFC 2181 section 5",
        why: "no two records of a set are the same; knot repeats a DNAME that is passed twice and \
              addresses that two records point to",
        matches: |case, server, part| {
            let (ours, theirs) = case.odd(server, part);
            let has_twins = case.ours().sections.iter().any(|rows| has_twins(rows));
            let is_section = !matches!(part, Part::Rcode | Part::Flags | Part::Question);
            server == Server::Knot
                && is_section
                && !has_twins
                && ours.is_empty()
                && theirs.is_empty()
        },
    },
];

const SERVFAIL: u16 = 2;
const YXDOMAIN: u16 = 6;

/// Whether the aliases of an answer lead from a name back to one of them.
fn loops(name: &str, rows: &[Record]) -> bool {
    let mut seen = vec![name.to_owned()];
    for _ in 0..=rows.len() {
        let here = seen.last();
        let alias = rows
            .iter()
            .find(|row| is(row, RecordType::CNAME) && Some(&row.owner) == here);
        match alias {
            Some(row) if seen.contains(&row.data) => return true,
            Some(row) => seen.push(row.data.clone()),
            None => return false,
        }
    }
    false
}

/// Whether a name lies at or below a delegation of any zone.
fn is_below_cut(case: &Case<'_>, name: &str) -> bool {
    let mut cuts = case.zones.iter().flat_map(|zone| &zone.cuts);
    cuts.any(|cut| is_within(name, &cut.small()))
}

/// Whether another zone has a name below the top of this name's zone, on the way to this name.
fn meets_names_above(case: &Case<'_>, name: &str) -> bool {
    let Some(nearest) = case.zone_of(name) else {
        return false;
    };
    let origin = &nearest.origin;
    let others = case.zones.iter().filter(|zone| zone.origin != *origin);
    let below = others
        .flat_map(|zone| &zone.names)
        .filter(|other| other.is_below(origin));
    below
        .filter_map(|other| other.0.iter().rev().nth(origin.0.len()))
        .any(|label| label == b"*" || is_within(name, &origin.child(label).small()))
}

/// Whether a record stands twice in a sorted section.
fn has_twins(rows: &[Record]) -> bool {
    rows.windows(2).any(|pair| pair.first() == pair.last())
}

fn is_within(name: &str, above: &str) -> bool {
    name == above || name.ends_with(&format!(".{above}"))
}

fn is(row: &Record, kind: RecordType) -> bool {
    row.kind == kind.code()
}

/// Whether our answer follows an alias from one zone into another.
fn leaves_zone(case: &Case<'_>) -> bool {
    let origin = |name: &str| case.zone_of(name).map(|zone| &zone.origin);
    let last = case.chain().pop().unwrap_or_default();
    // A DS record is the zone above's.
    let rises = case.query.kind == RecordType::DS.code()
        && last != case.name.small()
        && origin(&last).is_some_and(|origin| origin.small() == last);
    rises
        || case.ours().sections[0].iter().any(|row| {
            is(row, RecordType::CNAME)
                && origin(&row.data).is_some()
                && origin(&row.data) != origin(&row.owner)
        })
}
