//! Address prefixes of APL (RFC 3123): family, prefix length, negation, address without its tail
//! of zeros.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::BadRdata;
use super::read::Reader;
use super::text::decimal;
use super::wire::Cursor;

const NEGATED: u8 = 0x80;

/// The address bytes of a family; none for a family whose form is unknown.
const fn family_bytes(family: u16) -> Option<u8> {
    match family {
        1 => Some(4),
        2 => Some(16),
        _ => None,
    }
}

/// Goes over the items; unknown families are opaque.
pub(super) fn skip(cursor: &mut Cursor<'_>) -> Option<()> {
    while !cursor.is_empty() {
        let family = cursor.u16()?;
        let prefix = cursor.u8()?;
        let length = cursor.u8()? & !NEGATED;
        let address = cursor.take(usize::from(length))?;
        if address.last() == Some(&0) {
            return None;
        }
        if let Some(size) = family_bytes(family)
            && (length > size || prefix > size * 8)
        {
            return None;
        }
    }
    Some(())
}

/// Reads items such as `!1:192.0.2.0/24` up to the end of the entry.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), BadRdata> {
    while let Some(word) = reader.more()? {
        let item = read_item(word).ok_or_else(|| reader.bad(word))?;
        reader.out.extend_from_slice(&item);
    }
    Ok(())
}

fn read_item(word: &[u8]) -> Option<Vec<u8>> {
    let (negated, text) = match word {
        [b'!', rest @ ..] => (NEGATED, rest),
        _ => (0, word),
    };
    let (family, text) = std::str::from_utf8(text).ok()?.split_once(':')?;
    let (address, prefix) = text.split_once('/')?;
    let family = u16::try_from(decimal(family.as_bytes(), u64::from(u16::MAX))?).ok()?;
    let mut address = match family {
        1 => address.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
        2 => address.parse::<Ipv6Addr>().ok()?.octets().to_vec(),
        _ => return None,
    };
    let bits = family_bytes(family)? * 8;
    let prefix = u8::try_from(decimal(prefix.as_bytes(), u64::from(bits))?).ok()?;
    while address.last() == Some(&0) {
        address.pop();
    }
    let length = u8::try_from(address.len()).ok()?;
    let mut item = family.to_be_bytes().to_vec();
    item.extend_from_slice(&[prefix, length | negated]);
    item.extend_from_slice(&address);
    Some(item)
}

/// Writes items with a space before each; none for an unknown family.
pub(super) fn write(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    while !cursor.is_empty() {
        let (family, prefix, length) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
        let sign = if length & NEGATED == 0 { "" } else { "!" };
        let address = cursor.take(usize::from(length & !NEGATED))?;
        let mut octets = [0; 16];
        octets.get_mut(..address.len())?.copy_from_slice(address);
        match family {
            1 => {
                let [a, b, c, d, ..] = octets;
                write!(out, " {sign}1:{}/{prefix}", Ipv4Addr::new(a, b, c, d)).ok()?;
            }
            2 => write!(out, " {sign}2:{}/{prefix}", Ipv6Addr::from(octets)).ok()?,
            _ => return None,
        }
    }
    Some(())
}
