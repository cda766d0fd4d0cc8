//! `Zone`: a zone file's records as a [`Directory`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

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
    /// In canonical order.
    nodes: Vec<Node>,
    /// Where a path stands among them. A tree of a million names costs a look-up twenty
    /// comparisons, most of them far apart in memory.
    places: HashTable<u32>,
    /// Keyed, as zones may come from those who would like their names to meet.
    hasher: RandomState,
    records: usize,
}

#[derive(Debug)]
struct Node {
    path: NamePath,
    /// None of an empty non-terminal.
    sets: Arc<[RecordSet]>,
}

impl Zone {
    /// Builds the table; none if there is no SOA at the origin or a name lies outside.
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
        let nothing = Arc::from(Vec::new());
        let mut nodes: Vec<Node> = Vec::with_capacity(sets.len());
        let mut records = 0;
        // Canonical order: what is above a name stands before it, so only what is above it and not above
        // the one before can be missing.
        for (name, sets) in sets {
            let path = NamePath::between(&name, &origin)?;
            let before = nodes.last().map(|node| node.path.clone());
            let is_there = |above: &NamePath| {
                let before = before.as_ref();
                before.is_some_and(|before| before.is_within(above))
            };
            let missing: Vec<NamePath> = path.ancestors().take_while(|up| !is_there(up)).collect();
            nodes.extend(missing.into_iter().rev().map(|path| Node {
                path,
                sets: Arc::clone(&nothing),
            }));
            records += sets.iter().map(|set| set.records().len()).sum::<usize>();
            let sets = Arc::from(sets);
            nodes.push(Node { path, sets });
        }
        let hasher = RandomState::new();
        let mut places = HashTable::with_capacity(nodes.len());
        for (place, node) in (0..).zip(&nodes) {
            let hash_of = |at: &u32| hash_at(&hasher, &nodes, *at);
            places.insert_unique(hasher.hash_one(&node.path), place, hash_of);
        }
        Some(Self {
            origin,
            soa,
            nodes,
            places,
            hasher,
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
        self.nodes.iter().map(|node| (&node.path, &*node.sets))
    }

    fn visit(&self, place: NamePath) -> Option<Visit<NamePath>> {
        let node = |at: &u32| self.nodes.get(usize::try_from(*at).ok()?);
        let is_it = |at: &u32| node(at).is_some_and(|node| node.path == place);
        let node = node(self.places.find(self.hasher.hash_one(&place), is_it)?)?;
        let occupant = if node.sets.is_empty() {
            Occupant::Nothing
        } else {
            Occupant::Sets(Arc::clone(&node.sets))
        };
        Some(Visit { place, occupant })
    }
}

fn hash_at(hasher: &RandomState, nodes: &[Node], at: u32) -> u64 {
    let node = usize::try_from(at).ok().and_then(|at| nodes.get(at));
    node.map_or(0, |node| hasher.hash_one(&node.path))
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
