//! The algorithm of RFC 1034 section 4.3.2 with wildcards (RFC 4592), DNAME (RFC 6672) and empty
//! non-terminals (RFC 8020), over any [`Directory`].

use crate::base::time::Ttl;
use crate::namespace::name::Name;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::{Record, RecordSet};
use crate::namespace::rtype::RecordType;

use super::directory::{Directory, Occupant, Sought, Visit};
use super::trail::Trail;

/// TTL of the CNAME or DNAME that stands for a redirect: long enough to spare queries, short
/// enough that the old name can be given up within a minute.
const REDIRECT_TTL: Ttl = Ttl::from_secs(60);
/// Targets of one answer whose addresses are added: each is two look-ups from the apex, and more
/// than these do not fit a datagram.
const TARGETS_MAX: usize = 16;

/// What a directory says to a name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Records of the type; for ANY, of one type (RFC 8482).
    Answer(Vec<Record>),
    /// The name exists without the type.
    NoData,
    /// No such name.
    Absent,
    /// A CNAME, or the DNAME and CNAME that stand for a subtree: go on at the target.
    Chain {
        /// The records for the answer section.
        records: Vec<Record>,
        /// The next name.
        target: Name,
        /// What it was.
        by: &'static str,
    },
    /// The DNAME makes the name too long; the record explains.
    TooLong(Record),
    /// The name belongs to another server.
    Referral {
        /// The NS records of the cut, and its DS records.
        authorities: Vec<Record>,
        /// Addresses of the name servers.
        glue: Vec<Record>,
    },
    /// The name ended, or one above it did.
    Retired,
    /// The caller may not know.
    Refused(String),
    /// The caller may not even know that it exists.
    Hidden,
    /// The scope that knows is not held here.
    Unreachable,
}

impl Found {
    /// A word for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Answer(_) => "found",
            Self::NoData => "no data",
            Self::Absent => "absent",
            Self::Chain { by, .. } => by,
            Self::TooLong(_) => "DNAME target too long",
            Self::Referral { .. } => "delegated to other servers",
            Self::Retired => "retired",
            Self::Refused(_) => "refused",
            Self::Hidden => "hidden",
            Self::Unreachable => "scope not held here",
        }
    }
}

/// Looks a name up. `name` must lie within the directory's apex.
pub fn lookup<D: Directory>(
    directory: &D,
    name: &Name,
    kind: RecordType,
    trail: &mut Trail,
) -> Result<Found, D::Error> {
    let sought = Sought { name, kind };
    let apex_labels = directory.apex().label_count();
    let labels: Vec<&[u8]> = name.labels_down().skip(apex_labels).collect();
    let mut visit = directory.top(sought, trail)?;
    for (index, label) in labels.iter().enumerate() {
        if visit.occupant == Occupant::Veiled {
            return covered(directory, &visit, sought, trail);
        }
        let here = || name.suffix(apex_labels + index);
        if let Some(found) = stop_above(directory, &visit, index, &here, name)? {
            return Ok(ended_by_its_alias(found, kind));
        }
        let Some(next) = directory.child(&visit.place, label, sought, trail)? else {
            return no_child(directory, &visit, sought, trail);
        };
        if next.occupant == Occupant::Hidden {
            return covered(directory, &visit, sought, trail);
        }
        visit = next;
    }
    if let Occupant::Sets(sets) = &visit.occupant
        && !labels.is_empty()
        && kind != RecordType::DS
        && let Some(ns) = set_of(sets, RecordType::NS)
    {
        return referral(directory, name, sets, ns);
    }
    let arrived = directory.arrive(visit, kind, trail)?;
    Ok(at_name(&arrived.occupant, name, kind))
}

/// A question for the CNAME itself is answered by the one that a DNAME makes (RFC 6672 section
/// 3.1); only other questions go on at its target (RFC 1034 section 3.6.2).
fn ended_by_its_alias(found: Found, kind: RecordType) -> Found {
    match found {
        Found::Chain { records, .. } if matches!(kind, RecordType::CNAME | RecordType::ANY) => {
            Found::Answer(records)
        }
        found => found,
    }
}

/// A wildcard covers what is hidden as it covers what is absent: nobody can tell.
fn covered<D: Directory>(
    directory: &D,
    encloser: &Visit<D::Place>,
    sought: Sought<'_>,
    trail: &mut Trail,
) -> Result<Found, D::Error> {
    let found = no_child(directory, encloser, sought, trail)?;
    Ok(if found == Found::Absent {
        Found::Hidden
    } else {
        found
    })
}

/// What a name above the one asked for says about everything below it.
fn stop_above<D: Directory>(
    directory: &D,
    visit: &Visit<D::Place>,
    depth: usize,
    here: &impl Fn() -> Name,
    name: &Name,
) -> Result<Option<Found>, D::Error> {
    Ok(match &visit.occupant {
        Occupant::Refused(told) => Some(Found::Refused(told.clone())),
        Occupant::Hidden | Occupant::Veiled => Some(Found::Hidden),
        // RFC 8020: nothing is below a name that does not exist.
        Occupant::Retired => Some(Found::Retired),
        Occupant::Unreachable => Some(Found::Unreachable),
        Occupant::Redirect { to, subtree: true } => Some(rewrite(&here(), to, REDIRECT_TTL, name)),
        Occupant::Sets(sets) => {
            if depth > 0
                && let Some(ns) = set_of(sets, RecordType::NS)
            {
                return referral(directory, &here(), sets, ns).map(Some);
            }
            set_of(sets, RecordType::DNAME).and_then(|set| {
                let target = single_name(set)?;
                Some(rewrite(&here(), &target, set.ttl(), name))
            })
        }
        Occupant::Redirect { .. } | Occupant::Version(_) | Occupant::Nothing => None,
    })
}

/// The closest encloser is known: a wildcard just below it answers, or nothing does.
fn no_child<D: Directory>(
    directory: &D,
    encloser: &Visit<D::Place>,
    sought: Sought<'_>,
    trail: &mut Trail,
) -> Result<Found, D::Error> {
    let Sought { name, kind } = sought;
    if !directory.may_be_wild(name) {
        return Ok(Found::Absent);
    }
    match directory.child(&encloser.place, b"*", sought, trail)? {
        Some(wildcard) => {
            let arrived = directory.arrive(wildcard, kind, trail)?;
            Ok(at_name(&arrived.occupant, name, kind))
        }
        None => Ok(Found::Absent),
    }
}

fn at_name(occupant: &Occupant, name: &Name, kind: RecordType) -> Found {
    match occupant {
        Occupant::Nothing => Found::NoData,
        Occupant::Retired => Found::Retired,
        Occupant::Refused(told) => Found::Refused(told.clone()),
        Occupant::Hidden | Occupant::Veiled => Found::Hidden,
        Occupant::Unreachable => Found::Unreachable,
        Occupant::Redirect { to, subtree } => {
            let cname = cname(name, REDIRECT_TTL, to);
            match kind {
                RecordType::CNAME | RecordType::ANY => Found::Answer(vec![cname]),
                RecordType::DNAME if *subtree => Found::Answer(vec![Record {
                    kind: RecordType::DNAME,
                    ..cname
                }]),
                _ => Found::Chain {
                    records: vec![cname],
                    target: to.clone(),
                    by: "moved entry",
                },
            }
        }
        Occupant::Sets(sets) | Occupant::Version(sets) => from_sets(sets, name, kind),
    }
}

fn from_sets(sets: &[RecordSet], name: &Name, kind: RecordType) -> Found {
    if kind == RecordType::ANY {
        // RFC 8482 section 4.1: one set is a lawful answer to ANY; the smallest, so that the
        // question amplifies least.
        let smallest = sets.iter().min_by_key(|set| (set.data_bytes(), set.kind()));
        return smallest.map_or(Found::NoData, |set| Found::Answer(owned(name, set)));
    }
    if let Some(set) = set_of(sets, kind) {
        return Found::Answer(owned(name, set));
    }
    match set_of(sets, RecordType::CNAME).and_then(|set| Some((set, single_name(set)?))) {
        Some((set, target)) => Found::Chain {
            records: owned(name, set),
            target,
            by: "CNAME",
        },
        None => Found::NoData,
    }
}

/// Rewrites a name below a DNAME and synthesises the CNAME that older clients need
/// (RFC 6672 section 3.1).
fn rewrite(owner: &Name, to: &Name, ttl: Ttl, name: &Name) -> Found {
    let dname = Record {
        kind: RecordType::DNAME,
        ..cname(owner, ttl, to)
    };
    match name.rebase(owner, to) {
        Ok(target) => {
            let records = vec![dname, cname(name, ttl, &target)];
            Found::Chain {
                records,
                target,
                by: "DNAME",
            }
        }
        Err(_) => Found::TooLong(dname),
    }
}

fn referral<D: Directory>(
    directory: &D,
    cut: &Name,
    sets: &[RecordSet],
    ns: &RecordSet,
) -> Result<Found, D::Error> {
    let mut authorities = owned(cut, ns);
    if let Some(ds) = set_of(sets, RecordType::DS) {
        authorities.extend(owned(cut, ds));
    }
    let glue = addresses(directory, ns.kind(), ns.records(), true)?;
    Ok(Found::Referral { authorities, glue })
}

/// The addresses of the targets of records of a type, as far as this directory holds them. Below a cut they
/// are glue, which only a referral may carry.
pub fn addresses<'r, D: Directory>(
    directory: &D,
    kind: RecordType,
    rdatas: impl IntoIterator<Item = &'r Rdata>,
    with_glue: bool,
) -> Result<Vec<Record>, D::Error> {
    let mut found = Vec::new();
    let mut seen: Vec<Name> = Vec::new();
    for rdata in rdatas {
        let Some(target) = rdata.target(kind) else {
            continue;
        };
        if seen.len() >= TARGETS_MAX && !with_glue {
            break;
        }
        if target.is_within(directory.apex()) && !seen.contains(&target) {
            for family in [RecordType::A, RecordType::AAAA] {
                found.extend(address(directory, &target, family, with_glue)?);
            }
            seen.push(target);
        }
    }
    Ok(found)
}

fn address<D: Directory>(
    directory: &D,
    name: &Name,
    kind: RecordType,
    with_glue: bool,
) -> Result<Vec<Record>, D::Error> {
    let mut trail = Trail::off();
    let sought = Sought { name, kind };
    let mut visit = directory.top(sought, &mut trail)?;
    let mut below_cut = false;
    for label in name.labels_down().skip(directory.apex().label_count()) {
        if let Some(next) = directory.child(&visit.place, label, sought, &mut trail)? {
            visit = next;
        } else if below_cut || !directory.may_be_wild(name) {
            // Nothing there is ours to make up.
            return Ok(Vec::new());
        } else if let Some(wildcard) = directory.child(&visit.place, b"*", sought, &mut trail)? {
            visit = wildcard;
            break;
        } else {
            return Ok(Vec::new());
        }
        below_cut |= matches!(&visit.occupant, Occupant::Sets(sets) if set_of(sets, RecordType::NS).is_some());
    }
    if below_cut && !with_glue {
        return Ok(Vec::new());
    }
    let visit = directory.arrive(visit, kind, &mut trail)?;
    Ok(match &visit.occupant {
        Occupant::Sets(sets) | Occupant::Version(sets) => set_of(sets, kind)
            .map(|set| owned(name, set))
            .unwrap_or_default(),
        _ => Vec::new(),
    })
}

fn set_of(sets: &[RecordSet], kind: RecordType) -> Option<&RecordSet> {
    sets.iter().find(|set| set.kind() == kind)
}

fn single_name(set: &RecordSet) -> Option<Name> {
    set.records()
        .first()
        .and_then(|rdata| Name::from_wire(rdata.as_bytes()).ok())
}

/// The records of a set under an owner name.
pub fn owned(owner: &Name, set: &RecordSet) -> Vec<Record> {
    set.records()
        .iter()
        .map(|rdata| Record {
            owner: owner.clone(),
            kind: set.kind(),
            ttl: set.ttl(),
            rdata: rdata.clone(),
        })
        .collect()
}

/// A CNAME record.
pub fn cname(owner: &Name, ttl: Ttl, target: &Name) -> Record {
    Record {
        owner: owner.clone(),
        kind: RecordType::CNAME,
        ttl,
        rdata: Rdata::of_name(target),
    }
}
