//! The two records whose fields depend on each other: IPSECKEY (RFC 4025) and HIP (RFC 8005).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};

use super::BadRdata;
use super::read::Reader;
use super::text::{self, decimal};
use super::wire::Cursor;

/// Goes over gateway type, algorithm and gateway.
pub(super) fn skip_gateway(cursor: &mut Cursor<'_>) -> Option<()> {
    let [gateway, _algorithm] = cursor.array()?;
    match gateway {
        0 => Some(()),
        1 => cursor.take(4).map(drop),
        2 => cursor.take(16).map(drop),
        3 => cursor.name().map(drop),
        _ => None,
    }
}

/// Whether the key is missing that the algorithm of IPSECKEY data needs.
pub(super) fn lacks_key(bytes: &[u8]) -> bool {
    let [_precedence, _gateway, algorithm, ..] = bytes else {
        return true;
    };
    let mut cursor = Cursor::new(bytes);
    *algorithm != 0
        && (cursor.u8().is_none() || skip_gateway(&mut cursor).is_none() || cursor.is_empty())
}

/// Reads gateway type, algorithm and gateway; `.` where there is none.
pub(super) fn read_gateway(reader: &mut Reader<'_, '_>) -> Result<(), BadRdata> {
    reader.number::<1>(3)?;
    let gateway = reader.out.last().copied();
    reader.number::<1>(u64::from(u8::MAX))?;
    match gateway {
        Some(0) => reader.with_word(|word| (word == b".").then_some([])),
        Some(1) => reader.with_word(|word| {
            let address: Ipv4Addr = std::str::from_utf8(word).ok()?.parse().ok()?;
            Some(address.octets())
        }),
        Some(2) => reader.with_word(|word| {
            let address: Ipv6Addr = std::str::from_utf8(word).ok()?.parse().ok()?;
            Some(address.octets())
        }),
        _ => reader.name(),
    }
}

/// Writes gateway type, algorithm and gateway.
pub(super) fn write_gateway(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let [gateway, algorithm] = cursor.array()?;
    write!(out, " {gateway} {algorithm} ").ok()?;
    match gateway {
        0 => out.push('.'),
        1 => write!(out, "{}", Ipv4Addr::from(cursor.array::<4>()?)).ok()?,
        2 => write!(out, "{}", Ipv6Addr::from(cursor.array::<16>()?)).ok()?,
        _ => text::write_name(cursor.name()?, out),
    }
    Some(())
}

/// Goes over a HIP record: tag length, algorithm, key length, tag, key, servers.
pub(super) fn skip_identity(cursor: &mut Cursor<'_>) -> Option<()> {
    let [tag_length, _algorithm] = cursor.array()?;
    let key_length = cursor.u16()?;
    if tag_length == 0 || key_length == 0 {
        return None;
    }
    cursor.take(usize::from(tag_length))?;
    cursor.take(usize::from(key_length))?;
    while !cursor.is_empty() {
        cursor.name()?;
    }
    Some(())
}

/// Reads algorithm, tag, key and servers.
pub(super) fn read_identity(reader: &mut Reader<'_, '_>) -> Result<(), BadRdata> {
    let word = reader.word()?;
    let algorithm = decimal(word, 255).and_then(|number| u8::try_from(number).ok());
    let algorithm = algorithm.ok_or_else(|| reader.bad(word))?;
    let word = reader.word()?;
    let tag = HEXLOWER_PERMISSIVE
        .decode(word)
        .map_err(|_| reader.bad(word))?;
    let tag_length = u8::try_from(tag.len()).map_err(|_| reader.bad(word))?;
    let word = reader.word()?;
    let key = text::base64(word).ok_or_else(|| reader.bad(word))?;
    let key_length = u16::try_from(key.len()).map_err(|_| reader.bad(word))?;
    reader.out.extend_from_slice(&[tag_length, algorithm]);
    reader.out.extend_from_slice(&key_length.to_be_bytes());
    reader.out.extend_from_slice(&tag);
    reader.out.extend_from_slice(&key);
    while let Some(word) = reader.more()? {
        reader.push_name(word)?;
    }
    Ok(())
}

/// Writes algorithm, tag, key and servers.
pub(super) fn write_identity(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let [tag_length, algorithm] = cursor.array()?;
    let key_length = cursor.u16()?;
    write!(out, " {algorithm} ").ok()?;
    HEXLOWER.encode_append(cursor.take(usize::from(tag_length))?, out);
    out.push(' ');
    BASE64.encode_append(cursor.take(usize::from(key_length))?, out);
    while !cursor.is_empty() {
        out.push(' ');
        text::write_name(cursor.name()?, out);
    }
    Some(())
}
