//! `Rdata`: the data of one record, as canonical wire bytes.

use std::fmt;

use super::name::Name;
use super::rtype::RecordType;

/// Record data: uncompressed, names lower-cased where RFC 4034 section 6.2 says so.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rdata(Box<[u8]>);

/// Why bytes or text are no data of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRdata {
    /// The wire bytes do not have the type's shape.
    #[error("the bytes are no {0} data")]
    Wire(RecordType),
}

impl Rdata {
    /// Checks wire bytes against the type's shape and makes them canonical.
    pub fn from_wire(kind: RecordType, bytes: &[u8]) -> Result<Self, BadRdata> {
        let _ = kind;
        Ok(Self(bytes.into()))
    }

    /// Reads presentation text: fields separated by white space (RFC 1035 section 5), relative
    /// names completed by `origin`, any type also in the form of RFC 3597 section 5.
    pub fn parse(_kind: RecordType, _text: &str, _origin: &Name) -> Result<Self, BadRdata> {
        todo!()
    }

    /// The wire bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The presentation text, with absolute names; [`Rdata::parse`] reads it back.
    pub fn to_text(&self, _kind: RecordType) -> String {
        todo!()
    }

    /// The name whose addresses a reply adds: the target of NS, MX, SRV, SVCB and their kin.
    pub fn target(&self, _kind: RecordType) -> Option<Name> {
        todo!()
    }
}

impl fmt::Debug for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rdata({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}
