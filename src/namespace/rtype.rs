//! `RecordType`: the type of a record set, by number and mnemonic.

use std::fmt;
use std::str::FromStr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};

/// A resource record type (RFC 1035 section 3.2.2 and the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(u16);

/// A word that names no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no record type; write a mnemonic such as AAAA, or TYPE and a number")]
pub struct BadRecordType(pub String);

macro_rules! record_types {
    ($($name:ident $code:literal $text:literal,)*) => {
        impl RecordType {
            $(#[doc = concat!("`", $text, "`.")] pub const $name: Self = Self($code);)*

            fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    _ => None,
                }
            }

            fn from_mnemonic(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

record_types! {
    A 1 "A", NS 2 "NS", CNAME 5 "CNAME", SOA 6 "SOA", MB 7 "MB", MG 8 "MG", MR 9 "MR",
    PTR 12 "PTR", HINFO 13 "HINFO", MINFO 14 "MINFO", MX 15 "MX", TXT 16 "TXT", RP 17 "RP",
    AFSDB 18 "AFSDB", X25 19 "X25", ISDN 20 "ISDN", RT 21 "RT", SIG 24 "SIG", KEY 25 "KEY",
    PX 26 "PX", AAAA 28 "AAAA", LOC 29 "LOC", SRV 33 "SRV", NAPTR 35 "NAPTR", KX 36 "KX",
    CERT 37 "CERT", DNAME 39 "DNAME", OPT 41 "OPT", APL 42 "APL", DS 43 "DS", SSHFP 44 "SSHFP",
    IPSECKEY 45 "IPSECKEY", RRSIG 46 "RRSIG", NSEC 47 "NSEC", DNSKEY 48 "DNSKEY",
    DHCID 49 "DHCID", NSEC3 50 "NSEC3", NSEC3PARAM 51 "NSEC3PARAM", TLSA 52 "TLSA",
    SMIMEA 53 "SMIMEA", HIP 55 "HIP", CDS 59 "CDS", CDNSKEY 60 "CDNSKEY",
    OPENPGPKEY 61 "OPENPGPKEY", CSYNC 62 "CSYNC", ZONEMD 63 "ZONEMD", SVCB 64 "SVCB",
    HTTPS 65 "HTTPS", SPF 99 "SPF", NID 104 "NID", L32 105 "L32", L64 106 "L64", LP 107 "LP",
    EUI48 108 "EUI48", EUI64 109 "EUI64", TKEY 249 "TKEY", TSIG 250 "TSIG", IXFR 251 "IXFR",
    AXFR 252 "AXFR", MAILB 253 "MAILB", MAILA 254 "MAILA", ANY 255 "ANY", URI 256 "URI",
    CAA 257 "CAA",
}

impl RecordType {
    /// The type of this number.
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number on the wire.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether the type exists only in questions or messages and can never be stored: OPT and
    /// 128-255 (RFC 6895 section 3.1), and the reserved type 0.
    pub const fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }

    /// Whether a name may hold only one record of the type: CNAME (RFC 2181 section 10.1),
    /// DNAME (RFC 6672 section 2.4) and SOA (RFC 1035 section 5.2).
    pub const fn is_singleton(self) -> bool {
        matches!(self, Self::CNAME | Self::DNAME | Self::SOA)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.pad(text),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordType {
    type Err = BadRecordType;

    /// Reads a mnemonic or `TYPEnnn` (RFC 3597 section 5), in any letter case.
    fn from_str(text: &str) -> Result<Self, BadRecordType> {
        let upper = text.to_ascii_uppercase();
        if let Some(known) = Self::from_mnemonic(&upper) {
            return Ok(known);
        }
        match upper.strip_prefix("TYPE") {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .map(Self)
                .map_err(|_| BadRecordType(text.to_owned())),
            _ => Err(BadRecordType(text.to_owned())),
        }
    }
}

impl Canonical for RecordType {
    fn encode(&self, out: &mut Encoder) {
        out.u16(self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        input.u16().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_and_numbers_come_back() {
        for (text, shown, code) in [
            ("aaaa", "AAAA", 28),
            ("TYPE28", "AAAA", 28),
            ("type65280", "TYPE65280", 65280),
        ] {
            let parsed: RecordType = text.parse().unwrap();
            assert_eq!((parsed.code(), parsed.to_string().as_str()), (code, shown));
        }
        for bad in ["", "TYPE", "TYPE65536", "TYPE+1", "NOPE"] {
            assert!(bad.parse::<RecordType>().is_err(), "{bad}");
        }
    }
}
