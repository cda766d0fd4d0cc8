//! The small forms of text: numbers, periods, times, strings and names, read and written.

use std::fmt::Write as _;

use data_encoding::BASE64;

use crate::base::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};
use crate::namespace::name::{BadName, Name, unescape, write_label};

const DAY_SECS: u64 = 86_400;

/// Decimal digits up to `max`.
pub(super) fn decimal(text: &[u8], max: u64) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let mut value = 0u64;
    for byte in text {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit <= 9)?;
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (value <= max).then_some(value)
}

/// Seconds, plain or with the units `w d h m s`: `3600`, `1h30m`.
pub fn period(text: &[u8]) -> Option<u32> {
    if let Some(secs) = decimal(text, u64::from(u32::MAX)) {
        return u32::try_from(secs).ok();
    }
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let (unit, tail) = tail.split_first()?;
        let factor = match unit.to_ascii_lowercase() {
            b'w' => 7 * DAY_SECS,
            b'd' => DAY_SECS,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total += decimal(number, u64::from(u32::MAX))?.checked_mul(factor)?;
        rest = tail;
    }
    u32::try_from(total).ok().filter(|_| !text.is_empty())
}

/// Reads `YYYYMMDDHHmmSS`, or seconds since 1970 (RFC 4034 section 3.2).
pub(super) fn time(text: &[u8]) -> Option<u32> {
    if text.len() != 14 {
        return u32::try_from(decimal(text, u64::from(u32::MAX))?).ok();
    }
    let part = |from, to| text.get(from..to).and_then(|digits| decimal(digits, 9999));
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let valid = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !valid {
        return None;
    }
    let days = days_before_year(year) + days_before_month(year, month) + day - 1;
    let secs = days * DAY_SECS + hour * 3600 + minute * 60 + second;
    // Times are compared modulo 2^32 (RFC 4034 section 3.1.5).
    u32::try_from(secs & u64::from(u32::MAX)).ok()
}

/// Writes seconds since 1970 as `YYYYMMDDHHmmSS`.
pub(super) fn write_time(secs: u32, out: &mut String) {
    let (days, rest) = (u64::from(secs) / DAY_SECS, u64::from(secs) % DAY_SECS);
    let mut year = 1970 + days / 366;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let day = days - days_before_year(year);
    let month = (1..=12)
        .rev()
        .find(|&month| days_before_month(year, month) <= day)
        .unwrap_or(1);
    let day = day - days_before_month(year, month) + 1;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let _ = write!(
        out,
        "{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}"
    );
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1970-01-01 to the start of `year`.
fn days_before_year(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn days_before_month(year: u64, month: u64) -> u64 {
    let lengths = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    (1..month).zip(lengths).map(|(_, days)| days).sum()
}

/// Base64 with its padding, which stands at the end only.
pub(super) fn base64(digits: &[u8]) -> Option<Vec<u8>> {
    // The decoder would also take several padded texts in a row.
    let padding = digits
        .iter()
        .position(|&byte| byte == b'=')
        .unwrap_or(digits.len());
    if padding + 2 < digits.len() {
        return None;
    }
    BASE64.decode(digits).ok()
}

/// Appends `text` without its escapes; none if an escape is wrong.
pub(super) fn unescape_into(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' {
            let (byte, tail) = unescape(rest)?;
            out.push(byte);
            rest = tail;
        } else {
            out.push(byte);
        }
    }
    Some(())
}

/// Appends a length octet and the unescaped string.
pub(super) fn push_string(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let start = out.len();
    out.push(0);
    unescape_into(out, text)?;
    let length = u8::try_from(out.len() - start - 1).ok()?;
    *out.get_mut(start)? = length;
    Some(())
}

/// Writes bytes between quotes.
pub(super) fn write_quoted(bytes: &[u8], out: &mut String) {
    out.push('"');
    write_escaped(bytes, out);
    out.push('"');
}

/// Writes bytes with the escapes a quoted string needs.
pub(super) fn write_escaped(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:03}");
            }
        }
    }
}

/// Appends a name in wire form, letter case kept; like [`Name::parse`], without its allocations.
pub(super) fn push_name(out: &mut Vec<u8>, text: &[u8], origin: &Name) -> Result<(), BadName> {
    match text {
        b"" => return Err(BadName::Empty),
        b"@" => {
            out.extend_from_slice(origin.as_wire());
            return Ok(());
        }
        b"." => {
            out.push(0);
            return Ok(());
        }
        _ => {}
    }
    let start = out.len();
    let mut label = out.len();
    out.push(0);
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'.' => {
                close_label(out, label)?;
                label = out.len();
                out.push(0);
            }
            b'\\' => {
                let (byte, tail) = unescape(rest).ok_or(BadName::Escape)?;
                out.push(byte);
                rest = tail;
            }
            0x21..=0x7e => out.push(byte),
            _ => return Err(BadName::NotAscii),
        }
        if out.len() - start > NAME_BYTES_MAX + 1 {
            // A label too long is the better message, where it is the cause.
            return Err(match out.len() - label - 1 {
                0..=LABEL_BYTES_MAX => BadName::NameTooLong,
                _ => BadName::LabelTooLong,
            });
        }
    }
    if label + 1 < out.len() {
        close_label(out, label)?;
        out.extend_from_slice(origin.as_wire());
    }
    if out.len() - start > NAME_BYTES_MAX {
        return Err(BadName::NameTooLong);
    }
    Ok(())
}

fn close_label(out: &mut [u8], label: usize) -> Result<(), BadName> {
    let length = match u8::try_from(out.len() - label - 1) {
        Ok(0) => return Err(BadName::EmptyLabel),
        Ok(length) if usize::from(length) <= LABEL_BYTES_MAX => length,
        _ => return Err(BadName::LabelTooLong),
    };
    if let Some(octet) = out.get_mut(label) {
        *octet = length;
    }
    Ok(())
}

/// Writes a name given in wire form, letter case kept.
pub(super) fn write_name(wire: &[u8], out: &mut String) {
    if wire == [0] {
        out.push('.');
    }
    let mut rest = wire;
    while let Some((&length, tail)) = rest.split_first() {
        let Some((label, tail)) = tail.split_at_checked(usize::from(length)) else {
            return;
        };
        if !label.is_empty() {
            let _ = write_label(out, label);
            out.push('.');
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_add_their_units() {
        for (text, secs) in [
            ("0", Some(0)),
            ("3600", Some(3600)),
            ("1h30m", Some(5400)),
            ("1W2D", Some(777_600)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("1h30", None),
            ("h", None),
            ("1x", None),
            ("", None),
            ("99999w", None),
        ] {
            assert_eq!(period(text.as_bytes()), secs, "{text}");
        }
    }

    #[test]
    fn times_come_back() {
        for (text, secs) in [
            ("19700101000000", 0),
            ("20000229000000", 951_782_400),
            ("20261123000000", 1_795_392_000),
            ("21060207062815", u32::MAX),
        ] {
            assert_eq!(time(text.as_bytes()), Some(secs));
            let mut shown = String::new();
            write_time(secs, &mut shown);
            assert_eq!(shown, text);
        }
        assert_eq!(time(b"1795392000"), Some(1_795_392_000));
        assert_eq!(time(b"20261323000000"), None);
    }

    #[test]
    fn names_are_read_as_name_reads_them() {
        let origin: Name = "Example.".parse().unwrap();
        for text in [
            "a",
            "@",
            ".",
            "a.b.",
            "a..b",
            ".a",
            "a\\",
            "a\\.b",
            "\\065",
            "a b",
            "..",
            "",
            &"a".repeat(64),
            &"abcdefg.".repeat(32),
            &"abcdefg.".repeat(31),
            &"1.".repeat(127),
            &"a".repeat(300),
        ] {
            let mut wire = Vec::new();
            let got = push_name(&mut wire, text.as_bytes(), &origin)
                .map(|()| Name::from_wire(&wire).unwrap());
            assert_eq!(got, Name::parse(text.as_bytes(), Some(&origin)), "{text}");
        }
    }
}
