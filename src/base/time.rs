//! `Timestamp` and `Ttl`: time as a value.

use std::fmt;

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
    fn a_ttl_with_the_top_bit_set_is_zero() {
        assert_eq!(Ttl::from_secs(0x8000_0000), Ttl::ZERO);
        assert_eq!(Ttl::from_secs(0x7fff_ffff), Ttl::MAX);
    }
}
