//! `RecordSet`: the records of one type at one name, as canonical wire bytes.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::limits::{RDATA_BYTES_MAX, RECORDS_PER_SET_MAX};
use crate::base::time::Ttl;

use super::name::Name;
use super::rdata::Rdata;
use super::rtype::RecordType;

/// Records of one type that share a TTL (RFC 2181 section 5), sorted and without repeats
/// (RFC 4034 section 6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    kind: RecordType,
    ttl: Ttl,
    records: SmallVec<[Rdata; 1]>,
}

/// One record, as it stands in a section of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner name.
    pub owner: Name,
    /// The type.
    pub kind: RecordType,
    /// How long it may be kept.
    pub ttl: Ttl,
    /// The data, uncompressed.
    pub rdata: Rdata,
}

/// Why records make no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecordSet {
    /// A set without records.
    #[error("a record set holds at least one record")]
    Empty,
    /// More records than a message could carry.
    #[error("a record set holds at most {RECORDS_PER_SET_MAX} records")]
    TooMany,
    /// A type that allows one record per name.
    #[error("a name holds at most one {0} record")]
    Singleton(RecordType),
    /// A type that exists only in questions and messages.
    #[error("{0} is no type of stored records")]
    Meta(RecordType),
}

impl RecordSet {
    /// Sorts the records and drops repeats.
    pub fn new(kind: RecordType, ttl: Ttl, mut records: Vec<Rdata>) -> Result<Self, BadRecordSet> {
        if kind.is_meta() {
            return Err(BadRecordSet::Meta(kind));
        }
        records.sort_unstable();
        records.dedup();
        match records.len() {
            0 => Err(BadRecordSet::Empty),
            2.. if kind.is_singleton() => Err(BadRecordSet::Singleton(kind)),
            1..=RECORDS_PER_SET_MAX => Ok(Self::of(kind, ttl, records)),
            _ => Err(BadRecordSet::TooMany),
        }
    }

    /// Records in an order of the caller's, without repeats: such a set is answered and never
    /// stored.
    pub fn in_order(
        kind: RecordType,
        ttl: Ttl,
        records: impl IntoIterator<Item = Rdata>,
    ) -> Result<Self, BadRecordSet> {
        let mut seen = BTreeSet::new();
        let mut records: Vec<Rdata> = records.into_iter().collect();
        records.retain(|rdata| seen.insert(rdata.clone()));
        match records.len() {
            0 => Err(BadRecordSet::Empty),
            1..=RECORDS_PER_SET_MAX => Ok(Self::of(kind, ttl, records)),
            _ => Err(BadRecordSet::TooMany),
        }
    }

    /// Without the room that the vector has beyond.
    fn of(kind: RecordType, ttl: Ttl, records: Vec<Rdata>) -> Self {
        let mut records: SmallVec<_> = records.into_iter().collect();
        records.shrink_to_fit();
        Self { kind, ttl, records }
    }

    /// The type.
    pub fn kind(&self) -> RecordType {
        self.kind
    }

    /// The TTL of every record.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// The same records with another TTL.
    #[must_use]
    pub fn with_ttl(&self, ttl: Ttl) -> Self {
        Self {
            ttl,
            ..self.clone()
        }
    }

    /// The records, in canonical order.
    pub fn records(&self) -> &[Rdata] {
        &self.records
    }

    /// Bytes of record data, for limits and cache weights.
    pub fn data_bytes(&self) -> usize {
        self.records
            .iter()
            .map(|record| record.as_bytes().len())
            .sum()
    }
}

impl Canonical for RecordSet {
    fn encode(&self, out: &mut Encoder) {
        self.kind.encode(out);
        self.ttl.encode(out);
        out.count(self.records.len());
        for record in &self.records {
            out.bytes(record.as_bytes());
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        const NOT_CANONICAL: DecodeError = DecodeError::NotCanonical { what: "record set" };
        let kind = RecordType::decode(input)?;
        let ttl = Ttl::decode(input)?;
        let count = input.count("record set", RECORDS_PER_SET_MAX)?;
        let mut records: Vec<Rdata> = Vec::new();
        for _ in 0..count {
            let bytes = input.bytes("record data", RDATA_BYTES_MAX)?;
            match Rdata::from_wire(kind, bytes) {
                Ok(rdata)
                    if rdata.as_bytes() == bytes
                        && records.last().is_none_or(|last| *last < rdata) =>
                {
                    records.push(rdata);
                }
                _ => return Err(NOT_CANONICAL),
            }
        }
        Self::new(kind, ttl, records).map_err(|_| NOT_CANONICAL)
    }
}
