//! The judgement of a zone as a whole: its top, its delegations, and the hosts its records name.

use super::check::{Node, Nodes, Reference};
use super::finding::{Findings, Position, What};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;

/// What a host name inside the zone leads to.
enum Host<'a> {
    Address,
    Cname,
    BelowDname(&'a Name),
    /// Below a delegation, with addresses in this zone or without.
    Delegated {
        glue: bool,
    },
    Nothing,
}

/// Judges the whole zone.
pub(super) fn check(zone: &Nodes, top: &Name, findings: &mut Findings) {
    check_top(zone, findings);
    let hidden = check_hidden(zone, findings);
    for reference in &zone.references {
        let Some(node) = zone.nodes.get(reference.node) else {
            continue;
        };
        if hidden.get(reference.node) == Some(&true) || !reference.target.is_within(top) {
            continue;
        }
        check_reference(zone, node, reference, top, findings);
    }
}

fn check_top(zone: &Nodes, findings: &mut Findings) {
    let start = Position { file: 0, line: 1 };
    let top = zone.nodes.first().filter(|node| node.path.is_empty());
    if !top.is_some_and(|node| node.has(RecordType::SOA)) {
        findings.error(start, What::NoSoa);
    }
    if !top.is_some_and(|node| node.has(RecordType::NS)) {
        findings.error(start, What::NoNs);
    }
    let Some(node) = top else { return };
    let params = node
        .sets
        .iter()
        .find(|set| set.kind() == RecordType::NSEC3PARAM);
    // Hash algorithm 1 is the only one (RFC 5155 section 11).
    let known = |set: &RecordSet| {
        set.records()
            .iter()
            .any(|record| record.as_bytes().first() == Some(&1))
    };
    if params.is_some_and(|set| !known(set)) {
        findings.error(node.position, What::Nsec3Algorithm);
    }
}

/// Tells what no question reaches; answers for each node whether it is hidden.
fn check_hidden(zone: &Nodes, findings: &mut Findings) -> Vec<bool> {
    let mut hidden = Vec::with_capacity(zone.nodes.len());
    let mut above: Option<&Node> = None;
    for node in &zone.nodes {
        // Canonical order puts everything below a name right after it.
        above = above.filter(|above| node.path.is_within(&above.path));
        hidden.push(above.is_some());
        match above {
            Some(above) => tell_hidden(node, above, findings),
            None if hides(node) => above = Some(node),
            None => {}
        }
    }
    hidden
}

fn is_cut(node: &Node) -> bool {
    !node.path.is_empty() && node.has(RecordType::NS)
}

fn hides(node: &Node) -> bool {
    is_cut(node) || node.has(RecordType::DNAME)
}

fn tell_hidden(node: &Node, above: &Node, findings: &mut Findings) {
    let owner = node.owner.clone();
    if !is_cut(above) {
        let dname = above.owner.clone();
        findings.warn(node.position, What::BelowDname { owner, dname });
        return;
    }
    let glue = [RecordType::A, RecordType::AAAA, RecordType::RRSIG];
    if let Some(set) = node.sets.iter().find(|set| !glue.contains(&set.kind())) {
        let (kind, cut) = (set.kind(), above.owner.clone());
        findings.warn(node.position, What::BelowCut { owner, kind, cut });
    }
}

/// Judges what one record names. Only the servers of the zone itself must be right.
fn check_reference(
    zone: &Nodes,
    node: &Node,
    reference: &Reference,
    top: &Name,
    findings: &mut Findings,
) {
    let (owner, kind, target) = (node.owner.clone(), reference.kind, reference.target.clone());
    let at_top_ns = kind == RecordType::NS && node.path.is_empty();
    let path = NamePath::between(&target, top).unwrap_or_default();
    let what = match zone.lookup(&path) {
        Host::Address | Host::Delegated { glue: true } => return,
        Host::Delegated { glue: false } => {
            // Another server looks the target up; only a delegation to it needs the address here.
            if kind == RecordType::NS {
                findings.warn(reference.position, What::GlueMissing { owner, target });
            }
            return;
        }
        Host::Cname => What::TargetIsCname {
            owner,
            kind,
            target,
        },
        Host::BelowDname(dname) => {
            let dname = dname.clone();
            What::TargetBelowDname {
                owner,
                kind,
                target,
                dname,
            }
        }
        Host::Nothing => What::TargetHasNoAddress {
            owner,
            kind,
            target,
        },
    };
    if at_top_ns {
        findings.error(reference.position, what);
    } else {
        findings.warn(reference.position, what);
    }
}

impl Nodes {
    fn at(&self, path: &NamePath) -> Option<&Node> {
        let index = self
            .nodes
            .binary_search_by(|node| node.path.cmp(path))
            .ok()?;
        self.nodes.get(index)
    }

    /// Whether the name exists, be it without records of its own (RFC 4592 section 2.2.2).
    fn exists(&self, path: &NamePath) -> bool {
        let index = self.nodes.partition_point(|node| node.path < *path);
        self.nodes
            .get(index)
            .is_some_and(|node| node.path.is_within(path))
    }

    /// Looks a name up as a server would: DNAME and delegations above it, then the name, then
    /// the wildcard next to it (RFC 1034 section 4.3.2).
    fn lookup(&self, path: &NamePath) -> Host<'_> {
        let mut above: Vec<NamePath> = path.ancestors().collect();
        above.reverse();
        for step in above.iter().filter_map(|step| self.at(step)) {
            if is_cut(step) {
                return self.delegated(path);
            }
            if step.has(RecordType::DNAME) {
                return Host::BelowDname(&step.owner);
            }
        }
        match self.at(path) {
            Some(node) if is_cut(node) => self.delegated(path),
            Some(node) => host(node),
            None if self.exists(path) => Host::Nothing,
            None => {
                let closest = above.iter().rev().find(|step| self.exists(step));
                let wildcard = closest.and_then(|closest| self.at(&closest.child(b"*")));
                wildcard.map_or(Host::Nothing, host)
            }
        }
    }

    fn delegated(&self, path: &NamePath) -> Host<'_> {
        let glue = self.at(path).is_some_and(has_address);
        Host::Delegated { glue }
    }
}

fn has_address(node: &Node) -> bool {
    node.has(RecordType::A) || node.has(RecordType::AAAA)
}

fn host(node: &Node) -> Host<'_> {
    if node.has(RecordType::CNAME) {
        Host::Cname
    } else if has_address(node) {
        Host::Address
    } else {
        Host::Nothing
    }
}
