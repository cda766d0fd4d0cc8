//! The fields of every known type, as one table: wire, text and canonical form follow from it.

use crate::namespace::rtype::RecordType as T;

/// One field of a type's data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// The name errors give it.
    pub(super) name: &'static str,
    /// Its form on the wire and in text.
    pub(super) shape: Shape,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One octet.
    U8,
    /// Two octets.
    U16,
    /// Four octets.
    U32,
    /// Four octets of seconds; text may use units, `1h30m`.
    Period,
    /// A DNSSEC algorithm by number or mnemonic (RFC 4034 appendix A.1).
    Algorithm,
    /// A certificate type by number or mnemonic (RFC 4398 section 2.1).
    CertType,
    /// A record type by mnemonic.
    Type,
    /// Seconds since 1970 modulo 2^32, in text as `YYYYMMDDHHmmSS` (RFC 4034 section 3.2).
    Time,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// A name whose letter case carries no meaning (RFC 4034 section 6.2, RFC 6840 section 5.1).
    Name,
    /// A name whose bytes a signature covers as they are.
    NameAsIs,
    /// A character string (RFC 1035 section 3.3).
    Text,
    /// A character string or nothing, at the end.
    TextOrNone,
    /// One or more character strings up to the end.
    Texts,
    /// Text up to the end, without a length.
    TextRest,
    /// A CAA tag: a character string of letters and digits (RFC 8659 section 4.1).
    Tag,
    /// Bytes up to the end in hexadecimal.
    Hex,
    /// Bytes up to the end in base64.
    Base64,
    /// Bytes up to the end in base64, or nothing.
    Base64OrNone,
    /// A length octet and bytes in hexadecimal; `-` for none (RFC 5155 section 3.3).
    Salt,
    /// A length octet and bytes in base32hex (RFC 5155 section 3.3).
    Hash32,
    /// One or more types up to the end, as windows of bits (RFC 4034 section 4.1.2).
    Types,
    /// Types up to the end, or none: an NSEC3 record may stand for an empty non-terminal.
    TypesOrNone,
    /// Six octets with dashes (RFC 7043).
    Eui48,
    /// Eight octets with dashes (RFC 7043).
    Eui64,
    /// Eight octets as four groups with colons (RFC 6742).
    Locator64,
    /// Service parameters up to the end (RFC 9460).
    Params,
    /// A place on earth (RFC 1876).
    Location,
    /// Address prefixes up to the end (RFC 3123).
    Prefixes,
    /// Gateway type, algorithm and gateway (RFC 4025); text puts the type before the algorithm too.
    Gateway,
    /// All of a HIP record, whose lengths stand before its parts (RFC 8005).
    HostIdentity,
}

impl Shape {
    /// What an error says was expected.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::U8 => "a number from 0 to 255",
            Self::U16 => "a number from 0 to 65535",
            Self::U32 => "a number from 0 to 4294967295",
            Self::Period => "seconds, or a time such as 1h30m",
            Self::Algorithm => "an algorithm number or mnemonic",
            Self::CertType => "a certificate type by number or mnemonic",
            Self::Type => "a record type",
            Self::Time => "a time as YYYYMMDDHHmmSS",
            Self::Ip4 => "an IPv4 address",
            Self::Ip6 => "an IPv6 address",
            Self::Name | Self::NameAsIs => "a name",
            Self::Text | Self::TextOrNone | Self::Texts => "a string of at most 255 octets",
            Self::TextRest => "a string",
            Self::Tag => "letters and digits",
            Self::Hex => "hexadecimal digits",
            Self::Base64 | Self::Base64OrNone => "base64",
            Self::Salt => "hexadecimal digits or -",
            Self::Hash32 => "base32hex",
            Self::Types | Self::TypesOrNone => "record types",
            Self::Eui48 => "six octets such as 00-00-5e-00-53-2a",
            Self::Eui64 => "eight octets such as 00-00-5e-ef-10-00-00-2a",
            Self::Locator64 => "four groups such as 2001:db8:1140:1000",
            Self::Params => "parameters such as port=443",
            Self::Location => "a place such as 52 22 23.0 N 4 53 32.0 E 2m",
            Self::Prefixes => "prefixes such as 1:192.0.2.0/24",
            Self::Gateway => "a gateway of the given type",
            Self::HostIdentity => "algorithm, hexadecimal tag, base64 key and servers",
        }
    }
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape }
}

macro_rules! fields {
    ($($name:literal $shape:ident),*) => {
        Some(const { &[$(field($name, Shape::$shape)),*] })
    };
}

/// The fields of a type; none for a type that only RFC 3597's generic form can write.
pub(super) fn fields(kind: T) -> Option<&'static [Field]> {
    match kind {
        T::A => fields!("address" Ip4),
        T::AAAA => fields!("address" Ip6),
        T::NS | T::CNAME | T::PTR | T::DNAME => fields!("target" Name),
        T::MB | T::MG | T::MR => fields!("mailbox" Name),
        T::MX | T::KX => fields!("preference" U16, "exchanger" Name),
        T::AFSDB => fields!("subtype" U16, "host" Name),
        T::RT => fields!("preference" U16, "host" Name),
        T::PX => fields!("preference" U16, "RFC 822 name" Name, "X.400 name" Name),
        T::SRV => fields!("priority" U16, "weight" U16, "port" U16, "target" Name),
        T::SOA => fields!(
            "primary" Name, "mailbox" Name, "serial" U32, "refresh" Period, "retry" Period,
            "expire" Period, "minimum" Period
        ),
        T::MINFO => fields!("responsible mailbox" Name, "error mailbox" Name),
        T::RP => fields!("mailbox" Name, "text name" Name),
        T::TXT | T::SPF => fields!("text" Texts),
        T::HINFO => fields!("CPU" Text, "system" Text),
        T::X25 => fields!("address" Text),
        T::ISDN => fields!("address" Text, "subaddress" TextOrNone),
        T::NAPTR => fields!(
            "order" U16, "preference" U16, "flags" Text, "services" Text, "regexp" Text,
            "replacement" Name
        ),
        T::CAA => fields!("flags" U8, "tag" Tag, "value" TextRest),
        T::URI => fields!("priority" U16, "weight" U16, "target" TextRest),
        T::SVCB | T::HTTPS => fields!("priority" U16, "target" NameAsIs, "parameters" Params),
        T::LOC => fields!("place" Location),
        T::APL => fields!("prefixes" Prefixes),
        T::HIP => fields!("identity" HostIdentity),
        T::IPSECKEY => fields!("precedence" U8, "gateway" Gateway, "key" Base64OrNone),
        T::NID => fields!("preference" U16, "node" Locator64),
        T::L32 => fields!("preference" U16, "locator" Ip4),
        T::L64 => fields!("preference" U16, "locator" Locator64),
        T::LP => fields!("preference" U16, "name" NameAsIs),
        T::EUI48 => fields!("address" Eui48),
        T::EUI64 => fields!("address" Eui64),
        _ => security_fields(kind),
    }
}

/// The types of DNSSEC and of keys and certificates.
fn security_fields(kind: T) -> Option<&'static [Field]> {
    match kind {
        T::DS | T::CDS => {
            fields!("key tag" U16, "algorithm" Algorithm, "digest type" U8, "digest" Hex)
        }
        T::DNSKEY | T::CDNSKEY => {
            fields!("flags" U16, "protocol" U8, "algorithm" Algorithm, "key" Base64)
        }
        T::KEY => fields!("flags" U16, "protocol" U8, "algorithm" Algorithm, "key" Base64OrNone),
        T::RRSIG | T::SIG => fields!(
            "type covered" Type, "algorithm" Algorithm, "labels" U8, "original TTL" U32,
            "expiration" Time, "inception" Time, "key tag" U16, "signer" Name, "signature" Base64
        ),
        T::NSEC => fields!("next name" NameAsIs, "types" Types),
        T::NSEC3 => fields!(
            "hash algorithm" U8, "flags" U8, "iterations" U16, "salt" Salt, "next hash" Hash32,
            "types" TypesOrNone
        ),
        T::NSEC3PARAM => {
            fields!("hash algorithm" U8, "flags" U8, "iterations" U16, "salt" Salt)
        }
        T::CSYNC => fields!("serial" U32, "flags" U16, "types" TypesOrNone),
        T::ZONEMD => fields!("serial" U32, "scheme" U8, "hash algorithm" U8, "digest" Hex),
        T::TLSA | T::SMIMEA => {
            fields!("usage" U8, "selector" U8, "matching type" U8, "data" Hex)
        }
        T::SSHFP => fields!("algorithm" U8, "fingerprint type" U8, "fingerprint" Hex),
        T::CERT => {
            fields!("type" CertType, "key tag" U16, "algorithm" Algorithm, "certificate" Base64)
        }
        T::OPENPGPKEY => fields!("key" Base64),
        T::DHCID => fields!("digest" Base64),
        _ => None,
    }
}

/// DNSSEC algorithms by mnemonic (the IANA registry); they are written as numbers.
pub(super) const ALGORITHMS: &[(&str, u16)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("ECC", 4),
    ("RSASHA1", 5),
    ("NSEC3DSA", 6),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3RSASHA1", 7),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECCGOST", 12),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ECDSA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// Certificate types by mnemonic (RFC 4398 section 2.1).
pub(super) const CERT_TYPES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];
