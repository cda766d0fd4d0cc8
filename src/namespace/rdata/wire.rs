//! Wire data against the table: `Cursor` walks it, [`skip`] checks one field.

use crate::base::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};

use super::schema::Shape;
use super::{bitmap, hosts, loc, prefixes, svc};

/// Reads wire data from the front.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Reads all of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }

    /// An octet.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two octets, big-endian.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four octets, big-endian.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A length octet and that many bytes.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// An uncompressed name, root label included.
    pub(super) fn name(&mut self) -> Option<&'a [u8]> {
        let all = self.rest;
        loop {
            let label = self.string()?;
            if label.len() > LABEL_BYTES_MAX {
                return None;
            }
            let used = all.len() - self.rest.len();
            if used > NAME_BYTES_MAX {
                return None;
            }
            if label.is_empty() {
                return all.get(..used);
            }
        }
    }
}

/// Goes over one field, or answers none if the bytes are no such field.
pub(super) fn skip(shape: Shape, cursor: &mut Cursor<'_>) -> Option<()> {
    match shape {
        Shape::U8 | Shape::Algorithm => cursor.take(1).map(drop),
        Shape::U16 | Shape::CertType | Shape::Type => cursor.take(2).map(drop),
        Shape::U32 | Shape::Period | Shape::Time | Shape::Ip4 => cursor.take(4).map(drop),
        Shape::Eui48 => cursor.take(6).map(drop),
        Shape::Eui64 | Shape::Locator64 => cursor.take(8).map(drop),
        Shape::Ip6 => cursor.take(16).map(drop),
        Shape::Name | Shape::NameAsIs => cursor.name().map(drop),
        Shape::TextOrNone if cursor.is_empty() => Some(()),
        Shape::Text | Shape::TextOrNone | Shape::Salt => cursor.string().map(drop),
        Shape::Texts => {
            cursor.string()?;
            while !cursor.is_empty() {
                cursor.string()?;
            }
            Some(())
        }
        Shape::Tag => is_tag(cursor.string()?).then_some(()),
        Shape::Hash32 => (!cursor.string()?.is_empty()).then_some(()),
        Shape::Hex | Shape::Base64 => (!cursor.rest().is_empty()).then_some(()),
        Shape::TextRest | Shape::Base64OrNone => {
            cursor.rest();
            Some(())
        }
        Shape::Types if cursor.is_empty() => None,
        Shape::Types | Shape::TypesOrNone => bitmap::skip(cursor),
        Shape::Params => svc::check(cursor.rest()).ok(),
        Shape::Location => loc::skip(cursor),
        Shape::Prefixes => prefixes::skip(cursor),
        Shape::Gateway => hosts::skip_gateway(cursor),
        Shape::HostIdentity => hosts::skip_identity(cursor),
    }
}

/// Whether these are letters and digits, as RFC 8659 section 4.1 asks of a CAA tag.
pub(super) fn is_tag(tag: &[u8]) -> bool {
    !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric)
}
