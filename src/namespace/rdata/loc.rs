//! A place on earth (RFC 1876): angles in thousandths of a second, lengths in centimetres.

use std::fmt::Write as _;

use super::BadRdata;
use super::read::Reader;
use super::wire::Cursor;

/// The equator and the prime meridian.
const MIDDLE: u32 = 1 << 31;
const DEGREE: u32 = 3_600_000;
const MINUTE: u32 = 60_000;
const SECOND: u32 = 1_000;
/// Altitudes count from 100 km below the reference spheroid.
const SEA_LEVEL_CM: u64 = 10_000_000;

/// Goes over the data; other versions than 0 are opaque (RFC 1876 section 2).
pub(super) fn skip(cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.u8()? != 0 {
        cursor.rest();
        return Some(());
    }
    for _ in 0..3 {
        let octet = cursor.u8()?;
        let (base, exponent) = (octet >> 4, octet & 15);
        if base > 9 || exponent > 9 || (base == 0 && exponent > 0) {
            return None;
        }
    }
    for degrees_max in [90, 180] {
        if cursor.u32()?.abs_diff(MIDDLE) > degrees_max * DEGREE {
            return None;
        }
    }
    cursor.u32().map(drop)
}

/// Reads latitude, longitude, altitude, and up to three sizes with their defaults.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), BadRdata> {
    let latitude = read_angle(reader, 90, [b'N', b'S'])?;
    let longitude = read_angle(reader, 180, [b'E', b'W'])?;
    let word = reader.word()?;
    let altitude = altitude(word).ok_or_else(|| reader.bad(word))?;
    // 1 m, 10 km and 10 m (RFC 1876 section 3).
    let mut sizes = [0x12, 0x16, 0x13];
    for octet in &mut sizes {
        let Some(word) = reader.more()? else { break };
        *octet = size(word).ok_or_else(|| reader.bad(word))?;
    }
    reader.out.push(0);
    reader.out.extend_from_slice(&sizes);
    for number in [latitude, longitude, altitude] {
        reader.out.extend_from_slice(&number.to_be_bytes());
    }
    Ok(())
}

fn read_angle(
    reader: &mut Reader<'_, '_>,
    degrees_max: u32,
    [positive, negative]: [u8; 2],
) -> Result<u32, BadRdata> {
    let word = reader.word()?;
    let degrees = fixed(word, 0).filter(|&degrees| degrees <= u64::from(degrees_max));
    let mut total = degrees.ok_or_else(|| reader.bad(word))? * u64::from(DEGREE);
    let mut parts = [(0, MINUTE), (3, 1)].into_iter();
    let word = loop {
        let word = reader.word()?;
        if !word.first().is_some_and(u8::is_ascii_digit) {
            break word;
        }
        let part = parts.next().and_then(|(decimals, unit)| {
            let value = fixed(word, decimals)? * u64::from(unit);
            (value < u64::from(unit.max(SECOND)) * 60).then_some(value)
        });
        total += part.ok_or_else(|| reader.bad(word))?;
    };
    let total = u32::try_from(total)
        .ok()
        .filter(|&total| total <= degrees_max * DEGREE);
    match (total, word) {
        (Some(total), [letter]) if letter.eq_ignore_ascii_case(&positive) => Ok(MIDDLE + total),
        (Some(total), [letter]) if letter.eq_ignore_ascii_case(&negative) => Ok(MIDDLE - total),
        _ => Err(reader.bad(word)),
    }
}

/// Digits with up to `decimals` after a point, times ten to the power of `decimals`.
fn fixed(text: &[u8], decimals: usize) -> Option<u64> {
    let mut halves = text.splitn(2, |&byte| byte == b'.');
    let whole = halves.next()?;
    let fraction = halves.next().unwrap_or_default();
    if fraction.len() > decimals || whole.len() > 9 {
        return None;
    }
    let padding = std::iter::repeat_n(&b'0', decimals - fraction.len());
    let digits: Vec<u8> = whole
        .iter()
        .chain(fraction)
        .chain(padding)
        .copied()
        .collect();
    super::text::decimal(&digits, u64::MAX)
}

fn metres(text: &[u8]) -> Option<u64> {
    let number = match text {
        [number @ .., b'm' | b'M'] => number,
        _ => text,
    };
    fixed(number, 2)
}

fn altitude(text: &[u8]) -> Option<u32> {
    let centimetres = match text {
        [b'-', rest @ ..] => SEA_LEVEL_CM.checked_sub(metres(rest)?)?,
        [b'+', rest @ ..] => SEA_LEVEL_CM + metres(rest)?,
        _ => SEA_LEVEL_CM + metres(text)?,
    };
    u32::try_from(centimetres).ok()
}

/// One digit and a power of ten, rounded down.
fn size(text: &[u8]) -> Option<u8> {
    let mut base = metres(text)?;
    let mut exponent = 0;
    while base > 9 {
        base /= 10;
        exponent += 1;
    }
    (exponent <= 9).then(|| u8::try_from(base << 4).ok().map(|high| high | exponent))?
}

/// Writes the place in full; none for another version.
pub(super) fn write(cursor: &mut Cursor<'_>, out: &mut String) -> Option<()> {
    let [0, sizes @ ..] = cursor.array::<4>()? else {
        return None;
    };
    write_angle(cursor.u32()?, ['N', 'S'], out)?;
    write_angle(cursor.u32()?, ['E', 'W'], out)?;
    let altitude = u64::from(cursor.u32()?);
    let sign = if altitude < SEA_LEVEL_CM { "-" } else { "" };
    let height = altitude.abs_diff(SEA_LEVEL_CM);
    write!(out, " {sign}{}.{:02}m", height / 100, height % 100).ok()?;
    for octet in sizes {
        let size = u64::from(octet >> 4) * 10u64.pow(u32::from(octet & 15));
        write!(out, " {}.{:02}m", size / 100, size % 100).ok()?;
    }
    Some(())
}

fn write_angle(value: u32, [positive, negative]: [char; 2], out: &mut String) -> Option<()> {
    let letter = if value < MIDDLE { negative } else { positive };
    let total = value.abs_diff(MIDDLE);
    let (degrees, minutes) = (total / DEGREE, total % DEGREE / MINUTE);
    let (seconds, thousandths) = (total % MINUTE / SECOND, total % SECOND);
    write!(
        out,
        " {degrees} {minutes} {seconds}.{thousandths:03} {letter}"
    )
    .ok()
}
