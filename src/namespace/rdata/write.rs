//! Wire to text: one field after another, each with a space before it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, Encoding, HEXLOWER, HEXUPPER};

use crate::namespace::rtype::RecordType;

use super::schema::{Field, Shape};
use super::wire::Cursor;
use super::{bitmap, hosts, loc, prefixes, svc, text};

/// Writes all fields; none for data that only the generic form can write.
pub(super) fn write_all(fields: &[Field], bytes: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(bytes);
    let mut out = String::new();
    for field in fields {
        write_field(field.shape, &mut cursor, &mut out)?;
    }
    match out.strip_prefix(' ') {
        Some(text) => Some(text.to_owned()),
        None => Some(out),
    }
}

/// Writes the form of RFC 3597 section 5, which every type has.
pub(super) fn write_generic(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "\\# 0".to_owned();
    }
    format!("\\# {} {}", bytes.len(), HEXLOWER.encode(bytes))
}

fn write_field(shape: Shape, cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    match shape {
        Shape::U8 | Shape::Algorithm => write!(out, " {}", cursor.u8()?).ok(),
        Shape::U16 | Shape::CertType => write!(out, " {}", cursor.u16()?).ok(),
        Shape::U32 | Shape::Period => write!(out, " {}", cursor.u32()?).ok(),
        Shape::Type => write!(out, " {}", RecordType::new(cursor.u16()?)).ok(),
        Shape::Time => {
            out.push(' ');
            text::write_time(cursor.u32()?, out);
            Some(())
        }
        Shape::Ip4 => write!(out, " {}", Ipv4Addr::from(cursor.array::<4>()?)).ok(),
        Shape::Ip6 => write!(out, " {}", Ipv6Addr::from(cursor.array::<16>()?)).ok(),
        Shape::Name | Shape::NameAsIs => {
            out.push(' ');
            text::write_name(cursor.name()?, out);
            Some(())
        }
        Shape::Text => write_string(cursor.string()?, out),
        Shape::TextOrNone | Shape::Texts => {
            while !cursor.is_empty() {
                write_string(cursor.string()?, out)?;
            }
            Some(())
        }
        Shape::TextRest => write_string(cursor.rest(), out),
        Shape::Tag => {
            out.push(' ');
            text::write_escaped(cursor.string()?, out);
            Some(())
        }
        Shape::Hex => write_encoded(&HEXLOWER, cursor.rest(), out),
        Shape::Base64OrNone if cursor.is_empty() => Some(()),
        Shape::Base64 | Shape::Base64OrNone => write_encoded(&BASE64, cursor.rest(), out),
        Shape::Salt => match cursor.string()? {
            [] => out.write_str(" -").ok(),
            salt => write_encoded(&HEXUPPER, salt, out),
        },
        Shape::Hash32 => write_encoded(&BASE32HEX_NOPAD, cursor.string()?, out),
        Shape::Types | Shape::TypesOrNone => bitmap::write(cursor, out),
        Shape::Eui48 => write_groups(cursor.take(6)?, 1, '-', out),
        Shape::Eui64 => write_groups(cursor.take(8)?, 1, '-', out),
        Shape::Locator64 => write_groups(cursor.take(8)?, 2, ':', out),
        Shape::Params => svc::write(cursor, out),
        Shape::Location => loc::write(cursor, out),
        Shape::Prefixes => prefixes::write(cursor, out),
        Shape::Gateway => hosts::write_gateway(cursor, out),
        Shape::HostIdentity => hosts::write_identity(cursor, out),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one arm of many that may fail")]
fn write_string(bytes: &[u8], out: &mut String) -> Option<()> {
    out.push(' ');
    text::write_quoted(bytes, out);
    Some(())
}

#[expect(clippy::unnecessary_wraps, reason = "one arm of many that may fail")]
fn write_encoded(encoding: &Encoding, bytes: &[u8], out: &mut String) -> Option<()> {
    out.push(' ');
    encoding.encode_append(bytes, out);
    Some(())
}

fn write_groups(bytes: &[u8], size: usize, separator: char, out: &mut String) -> Option<()> {
    for (index, group) in bytes.chunks(size).enumerate() {
        out.push(if index == 0 { ' ' } else { separator });
        for octet in group {
            write!(out, "{octet:02x}").ok()?;
        }
    }
    Some(())
}
