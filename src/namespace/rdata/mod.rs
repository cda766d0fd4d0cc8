//! `Rdata`: the data of one record, as canonical wire bytes.
//!
//! A table gives each known type its fields (`schema.rs`); checking wire bytes, reading text and
//! writing text all walk that table. Every type can also be written as RFC 3597 section 5 has it.

mod bitmap;
mod hosts;
pub mod lexer;
mod loc;
mod make;
mod prefixes;
mod read;
mod schema;
pub mod svc;
#[cfg(test)]
mod tests;
mod text;
mod wire;
mod write;

use std::fmt;

use super::name::{BadName, Name};
use super::rtype::RecordType;
use crate::base::limits::RDATA_BYTES_MAX;
use crate::base::short::ShortBytes;

use self::lexer::{BadText, Lexer, Token};
use self::read::Reader;
use self::schema::{Shape, fields};
use self::svc::BadParam;
use self::wire::Cursor;

pub use self::text::period;

/// An address, or a short host.
const IN_PLACE: usize = 16;

/// Record data: uncompressed, names lower-cased where RFC 4034 section 6.2 says so.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rdata(ShortBytes<IN_PLACE>);

/// Why bytes or text are no data of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRdata {
    /// The wire bytes do not have the type's shape.
    #[error("{kind} record: the {field} does not fit the bytes")]
    Wire {
        /// The type.
        kind: RecordType,
        /// The field that does not fit.
        field: &'static str,
    },
    /// The wire bytes go on after the last field.
    #[error("{kind} record: {count} bytes follow the data")]
    Trailing {
        /// The type.
        kind: RecordType,
        /// How many bytes were left.
        count: usize,
    },
    /// A digest whose length is not that of its algorithm.
    #[error("{kind} record: the digest has {found} octets; its algorithm makes {expected}")]
    DigestLength {
        /// The type.
        kind: RecordType,
        /// Octets that the algorithm makes.
        expected: usize,
        /// Octets found.
        found: usize,
    },
    /// Service parameters that RFC 9460 forbids.
    #[error("{kind} record: {reason}")]
    Param {
        /// The type.
        kind: RecordType,
        /// What is wrong.
        reason: BadParam,
    },
    /// The text ends before a field.
    #[error("{kind} record: the {field} is missing; expected {expected}")]
    Missing {
        /// The type.
        kind: RecordType,
        /// The field that is missing.
        field: &'static str,
        /// What should stand there.
        expected: &'static str,
    },
    /// A word that is no such field.
    #[error("{kind} record: {found:?} is no {field}; expected {expected}")]
    Field {
        /// The type.
        kind: RecordType,
        /// The field.
        field: &'static str,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A field that should be a name.
    #[error("{kind} record: {found:?} is no {field}: {reason}")]
    Name {
        /// The type.
        kind: RecordType,
        /// The field.
        field: &'static str,
        /// What stands there.
        found: String,
        /// Why it is no name.
        reason: BadName,
    },
    /// Words after the last field.
    #[error("{kind} record: {found:?} follows the data")]
    Extra {
        /// The type.
        kind: RecordType,
        /// The first word too many.
        found: String,
    },
    /// A generic length that is not the length of the data.
    #[error("the generic data states {stated} octets and has {found}")]
    GenericLength {
        /// The length stated.
        stated: usize,
        /// Octets found.
        found: usize,
    },
    /// More data than a record can carry.
    #[error("{kind} record: the data is longer than {RDATA_BYTES_MAX} octets")]
    TooLong {
        /// The type.
        kind: RecordType,
    },
    /// Quotes or parentheses that do not match.
    #[error(transparent)]
    Text(#[from] BadText),
}

impl Rdata {
    /// Checks wire bytes against the type's shape and makes them canonical.
    pub fn from_wire(kind: RecordType, bytes: &[u8]) -> Result<Self, BadRdata> {
        Self::canonical(kind, bytes.to_vec())
    }

    /// Reads presentation text: fields separated by white space (RFC 1035 section 5), relative
    /// names completed by `origin`, any type also in the form of RFC 3597 section 5.
    pub fn parse(kind: RecordType, text: &str, origin: &Name) -> Result<Self, BadRdata> {
        let mut lexer = Lexer::new(text.as_bytes());
        let rdata = Self::read(kind, &mut lexer, origin)?;
        while lexer.next_entry() {
            if let Token::Word(found) | Token::Quoted(found) = lexer.token()? {
                let found = read::shown(found);
                return Err(BadRdata::Extra { kind, found });
            }
        }
        Ok(rdata)
    }

    /// Reads presentation text from `lexer` up to the end of the entry.
    pub fn read(kind: RecordType, lexer: &mut Lexer<'_>, origin: &Name) -> Result<Self, BadRdata> {
        let mut ahead = lexer.clone();
        if ahead.token() == Ok(Token::Word(b"\\#")) {
            *lexer = ahead;
            let bytes = Reader::new(kind, lexer, origin).read_generic()?;
            return Self::canonical(kind, bytes);
        }
        let Some(fields) = fields(kind) else {
            let expected = "\\#, a length and hexadecimal digits";
            return Err(match ahead_word(lexer)? {
                None => BadRdata::Missing {
                    kind,
                    field: "generic data",
                    expected,
                },
                Some(found) => BadRdata::Field {
                    kind,
                    field: "generic data",
                    expected,
                    found,
                },
            });
        };
        let bytes = Reader::new(kind, lexer, origin).read_all(fields)?;
        Self::canonical(kind, bytes)
    }

    fn canonical(kind: RecordType, mut bytes: Vec<u8>) -> Result<Self, BadRdata> {
        if bytes.len() > RDATA_BYTES_MAX {
            return Err(BadRdata::TooLong { kind });
        }
        let Some(fields) = fields(kind) else {
            return Ok(Self(bytes.into()));
        };
        let mut at = 0;
        for field in fields {
            let rest = bytes.get_mut(at..).unwrap_or_default();
            let mut cursor = Cursor::new(rest);
            if field.shape == Shape::Params {
                svc::check(cursor.rest()).map_err(|reason| BadRdata::Param { kind, reason })?;
            } else {
                let name = field.name;
                wire::skip(field.shape, &mut cursor).ok_or(BadRdata::Wire { kind, field: name })?;
            }
            let left = cursor.remaining();
            let used = rest.len() - left;
            if field.shape == Shape::Name {
                // Length octets are at most 63 and thus never upper-case letters.
                rest.get_mut(..used)
                    .unwrap_or_default()
                    .make_ascii_lowercase();
            }
            at += used;
        }
        match bytes.len() - at {
            0 => {
                check_digest(kind, &bytes)?;
                check_key(kind, &bytes)?;
                Ok(Self(bytes.into()))
            }
            count => Err(BadRdata::Trailing { kind, count }),
        }
    }

    /// The wire bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The presentation text, with absolute names; [`Rdata::parse`] reads it back.
    pub fn to_text(&self, kind: RecordType) -> String {
        fields(kind)
            .and_then(|fields| write::write_all(fields, &self.0))
            .unwrap_or_else(|| write::write_generic(&self.0))
    }

    /// The name whose addresses a reply adds: the target of NS, MX, SRV, SVCB and their kin.
    /// None for the root, which stands for "no host" and, in SVCB, for the owner.
    pub fn target(&self, kind: RecordType) -> Option<Name> {
        let skipped = match kind {
            RecordType::NS => 0,
            RecordType::SRV => 6,
            RecordType::MX
            | RecordType::KX
            | RecordType::AFSDB
            | RecordType::RT
            | RecordType::SVCB
            | RecordType::HTTPS => 2,
            _ => return None,
        };
        let (name, _) = Name::split_from_wire(self.0.get(skipped..)?).ok()?;
        (!name.is_root()).then_some(name)
    }
}

/// The next word for an error message.
fn ahead_word(lexer: &mut Lexer<'_>) -> Result<Option<String>, BadRdata> {
    Ok(match lexer.token()? {
        Token::End => None,
        Token::Word(found) | Token::Quoted(found) => Some(read::shown(found)),
    })
}

/// Refuses digests that no implementation could have made (RFC 4034 section 5.1.3, RFC 4509,
/// RFC 6605, RFC 4255, RFC 6594, RFC 8976 section 2.2.4).
fn check_digest(kind: RecordType, bytes: &[u8]) -> Result<(), BadRdata> {
    let (at, lengths): (usize, &[(u8, usize)]) = match kind {
        RecordType::DS | RecordType::CDS => (3, &[(1, 20), (2, 32), (4, 48)]),
        RecordType::SSHFP => (1, &[(1, 20), (2, 32)]),
        RecordType::ZONEMD => (5, &[(1, 48), (2, 64)]),
        _ => return Ok(()),
    };
    let Some((&algorithm, digest)) = bytes.get(at..).and_then(<[u8]>::split_first) else {
        return Ok(());
    };
    let Some(&(_, expected)) = lengths.iter().find(|&&(code, _)| code == algorithm) else {
        return Ok(());
    };
    match digest.len() {
        found if found == expected => Ok(()),
        found => Err(BadRdata::DigestLength {
            kind,
            expected,
            found,
        }),
    }
}

/// Refuses data without the key it speaks of (RFC 2535 section 3.1.2, RFC 4025 section 2.4).
fn check_key(kind: RecordType, bytes: &[u8]) -> Result<(), BadRdata> {
    let missing = match (kind, bytes) {
        // Flag bits 0 and 1 together say that there is no key.
        (RecordType::KEY, [flags, _, _, _]) => flags & 0xc0 != 0xc0,
        (RecordType::IPSECKEY, _) => hosts::lacks_key(bytes),
        _ => false,
    };
    if missing {
        let expected = Shape::Base64.expected();
        return Err(BadRdata::Missing {
            kind,
            field: "key",
            expected,
        });
    }
    Ok(())
}

impl fmt::Debug for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rdata({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}
