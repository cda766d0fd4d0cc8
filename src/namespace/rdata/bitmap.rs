//! Type bitmaps: windows of 256 types, each a window number, a length and bits (RFC 4034 4.1.2).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::namespace::rtype::RecordType;

use super::wire::Cursor;

const WINDOW_BYTES_MAX: usize = 32;

/// Goes over the windows: ascending, none empty, none with trailing zero octets.
pub(super) fn skip(cursor: &mut Cursor<'_>) -> Option<()> {
    let mut last = None;
    while !cursor.is_empty() {
        let window = cursor.u8()?;
        let bits = cursor.string()?;
        let ordered = last.is_none_or(|last| last < window);
        let canonical = bits.len() <= WINDOW_BYTES_MAX && bits.last().is_some_and(|&end| end != 0);
        if !ordered || !canonical {
            return None;
        }
        last = Some(window);
    }
    Some(())
}

/// Writes the bitmap of these types.
pub(super) fn push(out: &mut Vec<u8>, types: &BTreeSet<RecordType>) {
    let mut types = types
        .iter()
        .map(|kind| kind.code().to_be_bytes())
        .peekable();
    while let Some(&[window, _]) = types.peek() {
        let mut bits = [0u8; WINDOW_BYTES_MAX];
        let mut used = 0u8;
        while let Some([_, low]) = types.next_if(|&[high, _]| high == window) {
            used = low / 8 + 1;
            if let Some(octet) = bits.get_mut(usize::from(low / 8)) {
                *octet |= 0x80 >> (low % 8);
            }
        }
        out.extend_from_slice(&[window, used]);
        out.extend(bits.iter().take(usize::from(used)));
    }
}

/// Writes the types with a space before each.
pub(super) fn write(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    while !cursor.is_empty() {
        let window = cursor.u8()?;
        for (low, octet) in (0u8..=248).step_by(8).zip(cursor.string()?) {
            for bit in (0..8u8).filter(|bit| octet & (0x80 >> bit) != 0) {
                let kind = RecordType::new(u16::from_be_bytes([window, low.saturating_add(bit)]));
                write!(out, " {kind}").ok()?;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_comes_back() {
        let types: BTreeSet<RecordType> = (0..=511).map(RecordType::new).collect();
        let mut bytes = Vec::new();
        push(&mut bytes, &types);
        assert_eq!(bytes.len(), 2 * (2 + WINDOW_BYTES_MAX));
        assert_eq!(skip(&mut Cursor::new(&bytes)), Some(()));
        let mut text = String::new();
        write(&mut Cursor::new(&bytes), &mut text).unwrap();
        let read: BTreeSet<RecordType> = text
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        assert_eq!(read, types);
    }
}
