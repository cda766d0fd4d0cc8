//! `Timestamp` and `Ttl`: time as a value.

use std::fmt;
use std::str::FromStr;

use super::canonical::{Canonical, DecodeError, Decoder, Encoder};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This time and `millis` more; saturates.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to here; 0 if the clock went backwards.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, in_day) = (self.as_secs() / 86_400, self.as_secs() % 86_400);
        // Days to civil date by eras of 400 years that start on 1 March.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            in_day / 3600,
            in_day / 60 % 60,
            in_day % 60,
            self.0 % 1000
        )
    }
}

/// Text that is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 2026-11-23T10:00:00Z or 2026-11-23T12:00:00+02:00")]
pub struct BadTimestamp;

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    /// Reads RFC 3339: a time not before 1970, with any offset. Beyond milliseconds, digits of a
    /// fraction are dropped; a leap second counts as the second after it.
    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        read_rfc_3339(text.as_bytes()).ok_or(BadTimestamp)
    }
}

fn read_rfc_3339(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let (mark, rest) = rest.split_first()?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = numbers(date, *b"--", [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, *b"::", [2, 2, 2])?;
    if !matches!(mark, b'T' | b't' | b' ') || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let digits = match rest.strip_prefix(b".") {
        Some(fraction) => fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count(),
        None => 0,
    };
    let (fraction, offset) = match rest.strip_prefix(b".") {
        Some(fraction) if digits > 0 => fraction.split_at_checked(digits)?,
        Some(_) => return None,
        None => (rest, rest),
    };
    let digit = |at: usize| match fraction.get(at) {
        Some(byte) if digits > 0 => u64::from(byte - b'0'),
        _ => 0,
    };
    let millis = digit(0) * 100 + digit(1) * 10 + digit(2);
    let local = (days_since_epoch(year, month, day)? * 24 + hour) * 60 + minute;
    let minutes = match offset.split_first()? {
        (b'Z' | b'z', []) => local,
        (sign @ (b'+' | b'-'), offset) => {
            let [hours, minutes] = numbers(offset, *b":", [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if *sign == b'+' {
                local.checked_sub(offset)?
            } else {
                local + offset
            }
        }
        _ => return None,
    };
    Some(Timestamp((minutes * 60 + second) * 1000 + millis))
}

/// Numbers of so many digits each, with marks between them.
fn numbers<const N: usize, const M: usize>(
    text: &[u8],
    marks: [u8; M],
    digits: [usize; N],
) -> Option<[u64; N]> {
    let mut rest = text;
    let mut marks = marks.iter();
    let mut found = [0; N];
    for (at, (number, count)) in found.iter_mut().zip(digits).enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(std::slice::from_ref(marks.next()?))?;
        }
        let (read, tail) = rest.split_at_checked(count)?;
        if !read.iter().all(u8::is_ascii_digit) {
            return None;
        }
        *number = read
            .iter()
            .fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        rest = tail;
    }
    rest.is_empty().then_some(found)
}

/// Days from 1970-01-01; none for a day that no calendar has.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let month_days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || day == 0 || day > month_days {
        return None;
    }
    // Years begin on 1 March, so that the leap day is the last.
    let (year, month_from_march) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    (365 * year + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(719_468)
}

impl Canonical for Timestamp {
    fn encode(&self, out: &mut Encoder) {
        out.u64(self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.u64().map(Self)
    }
}

/// A time to live in seconds, at most `i32::MAX` (RFC 2181 section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(u32);

impl Ttl {
    /// The longest TTL that RFC 2181 section 8 allows.
    pub const MAX: Self = Self(0x7fff_ffff);
    /// Not to be kept at all.
    pub const ZERO: Self = Self(0);

    /// A TTL in seconds; a value with the top bit set counts as zero (RFC 2181 section 8).
    pub const fn from_secs(secs: u32) -> Self {
        if secs > Self::MAX.0 {
            Self::ZERO
        } else {
            Self(secs)
        }
    }

    /// The TTL in seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Canonical for Ttl {
    fn encode(&self, out: &mut Encoder) {
        out.u32(self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u32()? {
            secs if secs <= Self::MAX.0 => Ok(Self(secs)),
            _ => Err(DecodeError::NotCanonical { what: "TTL" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_rfc_3339() {
        assert_eq!(
            Timestamp::from_millis(0).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            Timestamp::from_millis(951_782_400_123).to_string(),
            "2000-02-29T00:00:00.123Z"
        );
        assert_eq!(
            Timestamp::from_millis(1_795_392_000_000).to_string(),
            "2026-11-23T00:00:00.000Z"
        );
    }

    #[test]
    fn rfc_3339_is_read_with_offsets_and_fractions() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t02:00:00.5+02:00", 500),
            ("1969-12-31T23:00:00-01:00", 0),
            ("2000-02-29T00:00:00.123Z", 951_782_400_123),
            ("2000-02-29 00:00:00.1239z", 951_782_400_123),
            ("2026-11-23T05:30:00+05:30", 1_795_392_000_000),
            ("2026-11-22T23:59:60Z", 1_795_392_000_000),
        ] {
            // Local days before 1970 are not read, whatever their offset.
            let wanted = (!text.starts_with("1969")).then_some(Timestamp::from_millis(millis));
            assert_eq!(text.parse().ok(), wanted, "{text}");
        }
        for text in [
            "",
            "2026",
            "2026-11-23",
            "2026-11-23T10:00:00",
            "2026-11-23T10:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T10:60:00Z",
            "2026-11-23T10:00:00.Z",
            "2026-11-23T10:00:00ZZ",
            "2026-11-23T10:00:00+0200",
            "2026-11-23T10:00:00+25:00",
            "2026/11/23T10:00:00Z",
            "+026-11-23T10:00:00Z",
            "1970-01-01T00:00:00+00:01",
            "2026-11-23T10:00:00é",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(BadTimestamp), "{text:?}");
        }
    }

    #[test]
    fn a_time_comes_back_from_its_text() {
        let days = (0..60_000).step_by(7).map(|day| day * 86_400_000);
        for millis in days.flat_map(|day| [day, day + 86_399_999, day + 43_200_001]) {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string().parse(), Ok(time), "{time}");
        }
    }

    #[test]
    fn a_ttl_with_the_top_bit_set_is_zero() {
        assert_eq!(Ttl::from_secs(0x8000_0000), Ttl::ZERO);
        assert_eq!(Ttl::from_secs(0x7fff_ffff), Ttl::MAX);
    }
}
