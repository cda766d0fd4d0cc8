//! The judgement of single records and of the sets they make.

use super::finding::{Findings, Position, What};
use super::reader::{Placed, Run};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::{BadRecordSet, RecordSet};
use crate::namespace::rtype::RecordType;

/// The names of a zone in canonical order, and who points to whom.
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
    pub(super) references: Vec<Reference>,
}

/// One name with its record sets.
pub(super) struct Node {
    pub(super) path: NamePath,
    pub(super) owner: Name,
    pub(super) sets: Vec<RecordSet>,
    /// Of its first record.
    pub(super) position: Position,
}

/// A record that names a host.
pub(super) struct Reference {
    /// The index of the node that holds it.
    pub(super) node: usize,
    pub(super) kind: RecordType,
    pub(super) target: Name,
    pub(super) position: Position,
}

impl Node {
    /// Whether the node has records of the type.
    pub(super) fn has(&self, kind: RecordType) -> bool {
        self.sets.iter().any(|set| set.kind() == kind)
    }
}

/// Judges one record of the zone by itself.
pub(super) fn record(
    top: &Name,
    owner: &Name,
    record: &Placed,
    findings: &mut Findings,
) -> Result<(), What> {
    let kind = record.kind;
    let inner = owner.labels().skip(1).any(|label| label == b"*");
    if inner {
        findings.warn(
            record.position,
            What::InnerWildcard {
                owner: owner.clone(),
            },
        );
    }
    match kind {
        RecordType::SOA if owner != top => {
            return Err(What::SoaBelowTop {
                owner: owner.clone(),
            });
        }
        RecordType::DS if owner == top => return Err(What::DsAtTop),
        RecordType::NS if is_wildcard(owner) => {
            return Err(What::WildcardNs {
                owner: owner.clone(),
            });
        }
        RecordType::NSEC3 if !is_hash(owner) => {
            return Err(What::Nsec3Owner {
                owner: owner.clone(),
            });
        }
        RecordType::A | RecordType::AAAA | RecordType::MX
            if !is_host(owner, is_wildcard(owner)) =>
        {
            let owner = owner.clone();
            findings.warn(record.position, What::NoHostOwner { owner, kind });
        }
        _ => {}
    }
    if is_reference(kind)
        && let Some(target) = record.rdata.target(kind)
    {
        let owner = owner.clone();
        if kind != RecordType::SRV && is_address(&target, top) {
            findings.warn(
                record.position,
                What::TargetIsAddress {
                    owner,
                    kind,
                    target,
                },
            );
        } else if !is_host(&target, false) {
            findings.warn(
                record.position,
                What::NoHostTarget {
                    owner,
                    kind,
                    target,
                },
            );
        }
    }
    Ok(())
}

/// The types whose targets named looks at.
fn is_reference(kind: RecordType) -> bool {
    matches!(kind, RecordType::NS | RecordType::MX | RecordType::SRV)
}

fn is_wildcard(name: &Name) -> bool {
    name.labels().next() == Some(b"*")
}

/// Whether every label is of letters, digits and inner hyphens (RFC 952, RFC 1123 section 2.1).
fn is_host(name: &Name, wildcard: bool) -> bool {
    name.labels().skip(usize::from(wildcard)).all(|label| {
        let ends = [label.first(), label.last()];
        let bordered = ends.into_iter().flatten().all(u8::is_ascii_alphanumeric);
        bordered
            && label
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    })
}

/// Whether the first label is the base32hex of a hash (RFC 5155 section 3).
fn is_hash(name: &Name) -> bool {
    name.labels().next().is_some_and(|label| {
        label.len() >= 8
            && label
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'v'))
    })
}

/// Whether the name is four numbers, alone or in front of the zone's name.
fn is_address(name: &Name, top: &Name) -> bool {
    let is_octet =
        |label: &[u8]| std::str::from_utf8(label).is_ok_and(|label| label.parse::<u8>().is_ok());
    let relative = name.label_count() == top.label_count() + 4 && name.is_within(top);
    (relative || name.label_count() == 4) && name.labels().take(4).all(is_octet)
}

/// Gathers the records of each name, in canonical order, into sets.
pub(super) fn group(runs: Vec<Run>, top: &Name, findings: &mut Findings) -> Nodes {
    let mut keyed: Vec<(NamePath, Run)> = runs
        .into_iter()
        .map(|run| (NamePath::between(&run.owner, top).unwrap_or_default(), run))
        .collect();
    // Stable: the records of a name stay in the order of the files.
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut gathered: Vec<(NamePath, Run)> = Vec::with_capacity(keyed.len());
    for (path, run) in keyed {
        match gathered.last_mut() {
            Some((last, into)) if *last == path => into.records.extend(run.records),
            _ => gathered.push((path, run)),
        }
    }
    let mut nodes = Nodes {
        nodes: Vec::with_capacity(gathered.len()),
        references: Vec::new(),
    };
    for (path, run) in gathered {
        nodes.add(path, run, findings);
    }
    nodes
}

impl Nodes {
    fn add(&mut self, path: NamePath, run: Run, findings: &mut Findings) {
        let Run { owner, mut records } = run;
        let Some(position) = records.first().map(|record| record.position) else {
            return;
        };
        check_cname(&owner, &records, findings);
        let node = self.nodes.len();
        for record in records.iter().filter(|record| is_reference(record.kind)) {
            if let Some(target) = record.rdata.target(record.kind) {
                let (kind, position) = (record.kind, record.position);
                self.references.push(Reference {
                    node,
                    kind,
                    target,
                    position,
                });
            }
        }
        records.sort_by_key(|record| record.kind);
        let mut sets = Vec::new();
        let mut rest = records.into_iter().peekable();
        while let Some(first) = rest.next() {
            let kind = first.kind;
            let mut same = vec![first];
            while let Some(record) = rest.next_if(|record| record.kind == kind) {
                same.push(record);
            }
            sets.extend(make_set(&owner, same, findings));
        }
        self.nodes.push(Node {
            path,
            owner,
            sets,
            position,
        });
    }
}

/// A CNAME stands alone, but for what signs it (RFC 2181 section 10.1, RFC 4034 section 3).
fn check_cname(owner: &Name, records: &[Placed], findings: &mut Findings) {
    let place = |wanted: fn(RecordType) -> bool| {
        records
            .iter()
            .find(|record| wanted(record.kind))
            .map(|record| record.position)
    };
    let cname = place(|kind| kind == RecordType::CNAME);
    let other = place(|kind| {
        !matches!(
            kind,
            RecordType::CNAME
                | RecordType::RRSIG
                | RecordType::NSEC
                | RecordType::KEY
                | RecordType::SIG
        )
    });
    if let (Some(cname), Some(other)) = (cname, other) {
        findings.error(
            cname.max(other),
            What::CnameAndOther {
                owner: owner.clone(),
            },
        );
    }
}

/// Makes one set; its TTL is that of its first record, as with named.
fn make_set(owner: &Name, records: Vec<Placed>, findings: &mut Findings) -> Option<RecordSet> {
    let first = records.first()?;
    let (kind, ttl) = (first.kind, first.ttl);
    let second = records.iter().find(|record| record.rdata != first.rdata);
    let second = second.unwrap_or(first).position;
    if let Some(other) = records.iter().find(|record| record.ttl != ttl) {
        let what = What::TtlDiffers {
            owner: owner.clone(),
            kind,
            kept: ttl,
        };
        findings.warn(other.position, what);
    }
    let data: Vec<Rdata> = records.into_iter().map(|record| record.rdata).collect();
    // Of a faulty set one record stays, so that the set does not also seem to be missing.
    let one = data.first().cloned();
    match RecordSet::new(kind, ttl, data) {
        Ok(set) => return Some(set),
        Err(BadRecordSet::Singleton(_)) => {
            findings.error(
                second,
                What::Several {
                    owner: owner.clone(),
                    kind,
                },
            );
        }
        Err(BadRecordSet::TooMany) => {
            findings.error(
                second,
                What::SetTooLarge {
                    owner: owner.clone(),
                    kind,
                },
            );
        }
        // Neither can come from the reader.
        Err(BadRecordSet::Empty | BadRecordSet::Meta(_)) => {}
    }
    RecordSet::new(kind, ttl, one.into_iter().collect()).ok()
}
