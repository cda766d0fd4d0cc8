//! Master files: text to records, judged as a primary server judges them.
//!
//! The reader does no I/O: `$INCLUDE` goes through [`Includes`]. What is accepted and refused is
//! what `named-checkzone -i local` accepts and refuses; `tests/zone_files.rs` compares them.

mod check;
mod directive;
mod finding;
mod generate;
mod integrity;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::namespace::name::Name;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;

pub use self::finding::{Finding, What};

use self::finding::Findings;
use self::reader::Reader;

/// A zone whose records may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneData {
    /// The top of the zone.
    pub origin: Name,
    /// The record sets of every name that has some, each sorted by type.
    pub sets: BTreeMap<Name, Vec<RecordSet>>,
    /// What a person should look at, in the order found.
    pub warnings: Vec<Finding>,
}

/// Where `$INCLUDE` finds files.
pub trait Includes {
    /// Reads the file that `path` means inside the file `from`.
    fn open(&self, from: &str, path: &str) -> Result<Included, BadInclude>;
}

/// A file that `$INCLUDE` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// Its name, for findings and for the files it includes itself.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why a file could not be included.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInclude {
    /// There is no such file.
    #[error("there is no such file")]
    NotFound,
    /// The file may not be read from here.
    #[error("including it is not allowed here")]
    Forbidden,
    /// The file is too large.
    #[error("the file is too large")]
    TooLarge,
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
}

/// Refuses every `$INCLUDE`: for zone text that comes without a directory.
#[derive(Debug, Clone, Copy)]
pub struct NoIncludes;

impl Includes for NoIncludes {
    fn open(&self, _from: &str, _path: &str) -> Result<Included, BadInclude> {
        Err(BadInclude::Forbidden)
    }
}

/// Reads records below `origin` that are no zone: the SOA, the NS records and what they imply are
/// not asked for, and an SOA at the origin is left out, since a governed scope has its own. For
/// names that go into a scope, in canonical order; a name outside is a fault.
pub fn load_entries(
    file: &str,
    bytes: &[u8],
    origin: &Name,
    includes: &impl Includes,
) -> Result<Vec<(Name, Vec<RecordSet>)>, Vec<Finding>> {
    let mut findings = Findings::new(file);
    let records = Reader::new(origin, includes, &mut findings).read_zone(bytes);
    let nodes = check::group(records, origin, &mut findings);
    if findings.has_errors() {
        return Err(findings.into_errors());
    }
    let outside = |finding: &Finding| matches!(finding.what, What::OutOfZone { .. });
    let outside: Vec<Finding> = findings
        .into_warnings()
        .into_iter()
        .filter(outside)
        .collect();
    if !outside.is_empty() {
        return Err(outside);
    }
    let mut names = Vec::with_capacity(nodes.nodes.len());
    for node in nodes.nodes {
        let mut sets = node.sets;
        if node.owner == *origin {
            sets.retain(|set| set.kind() != RecordType::SOA);
        }
        if !sets.is_empty() {
            names.push((node.owner, sets));
        }
    }
    Ok(names)
}

/// Reads and judges the zone `origin` from the master file `file`. Every fault is collected, up
/// to a bound; a zone with a fault is not loaded at all.
pub fn load(
    file: &str,
    bytes: &[u8],
    origin: &Name,
    includes: &impl Includes,
) -> Result<ZoneData, Vec<Finding>> {
    let mut findings = Findings::new(file);
    let zone = Reader::new(origin, includes, &mut findings).read_zone(bytes);
    // Records that could not be read would make false findings about what is missing.
    if findings.has_errors() {
        return Err(findings.into_errors());
    }
    let nodes = check::group(zone, origin, &mut findings);
    integrity::check(&nodes, origin, &mut findings);
    if findings.has_errors() {
        return Err(findings.into_errors());
    }
    let sets = nodes
        .nodes
        .into_iter()
        .map(|node| (node.owner, node.sets))
        .collect();
    Ok(ZoneData {
        origin: origin.clone(),
        sets,
        warnings: findings.into_warnings(),
    })
}
