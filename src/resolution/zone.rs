//! `Zone`: a zone file's records as a [`Directory`].

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::base::time::Ttl;
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::record::{Record, RecordSet};
use crate::namespace::rtype::RecordType;

use super::directory::{Directory, Occupant, Sought, Visit};
use super::trail::Trail;

/// A checked zone. Names are kept as paths below the origin, empty non-terminals included.
#[derive(Debug)]
pub struct Zone {
    origin: Name,
    soa: Record,
    nodes: BTreeMap<NamePath, Vec<RecordSet>>,
    records: usize,
}

impl Zone {
    /// Builds the tree; none if there is no SOA at the origin or a name lies outside.
    pub fn new(origin: Name, sets: BTreeMap<Name, Vec<RecordSet>>) -> Option<Self> {
        let apex = sets.get(&origin)?;
        let soa_set = apex.iter().find(|set| set.kind() == RecordType::SOA)?;
        let rdata = soa_set.records().first()?.clone();
        let soa = Record {
            owner: origin.clone(),
            kind: RecordType::SOA,
            ttl: soa_set.ttl(),
            rdata,
        };
        let mut nodes: BTreeMap<NamePath, Vec<RecordSet>> = BTreeMap::new();
        let mut records = 0;
        for (name, sets) in sets {
            let path = NamePath::between(&name, &origin)?;
            for above in path.ancestors() {
                nodes.entry(above).or_default();
            }
            records += sets.iter().map(|set| set.records().len()).sum::<usize>();
            nodes.insert(path, sets);
        }
        Some(Self {
            origin,
            soa,
            nodes,
            records,
        })
    }

    /// The zone's name.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The serial number of the SOA.
    pub fn serial(&self) -> u32 {
        soa_field(&self.soa, 5)
    }

    /// How many records the zone holds.
    pub fn record_count(&self) -> usize {
        self.records
    }

    /// Every name with its record sets, in canonical order.
    pub fn names(&self) -> impl Iterator<Item = (&NamePath, &[RecordSet])> {
        self.nodes
            .iter()
            .map(|(path, sets)| (path, sets.as_slice()))
    }

    fn visit(&self, place: NamePath) -> Option<Visit<NamePath>> {
        let sets = self.nodes.get(&place)?;
        let occupant = if sets.is_empty() {
            Occupant::Nothing
        } else {
            Occupant::Sets(sets.clone())
        };
        Some(Visit { place, occupant })
    }
}

/// One of the five numbers at the end of an SOA, counted from the back: 1 is the minimum.
fn soa_field(soa: &Record, from_back: usize) -> u32 {
    let bytes = soa.rdata.as_bytes();
    bytes
        .len()
        .checked_sub(4 * from_back)
        .and_then(|at| bytes.get(at..)?.first_chunk::<4>())
        .map_or(0, |field| u32::from_be_bytes(*field))
}

/// The SOA as it stands in a negative answer: its TTL is the time the absence may be kept
/// (RFC 2308 section 3).
pub fn negative_soa(soa: &Record) -> Record {
    let minimum = Ttl::from_secs(soa_field(soa, 1));
    Record {
        ttl: soa.ttl.min(minimum),
        ..soa.clone()
    }
}

impl Directory for Zone {
    type Error = Infallible;
    type Place = NamePath;

    fn apex(&self) -> &Name {
        &self.origin
    }

    fn soa(&self) -> Result<Record, Infallible> {
        Ok(self.soa.clone())
    }

    fn top(&self, _: Sought<'_>, _: &mut Trail) -> Result<Visit<NamePath>, Infallible> {
        let nothing = Visit {
            place: NamePath::empty(),
            occupant: Occupant::Nothing,
        };
        Ok(self.visit(NamePath::empty()).unwrap_or(nothing))
    }

    fn child(
        &self,
        place: &NamePath,
        label: &[u8],
        _: Sought<'_>,
        _: &mut Trail,
    ) -> Result<Option<Visit<NamePath>>, Infallible> {
        Ok(self.visit(place.child(label)))
    }
}
