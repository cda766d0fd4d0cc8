//! Random record data in master file text.

use std::fmt::Write as _;

use super::common::Chance;
use super::name::Name;

/// Types of ordinary names.
pub(crate) const DATA_TYPES: &[&str] = &[
    "A",
    "A",
    "AAAA",
    "AAAA",
    "TXT",
    "TXT",
    "MX",
    "MX",
    "SRV",
    "SRV",
    "CAA",
    "SVCB",
    "HTTPS",
    "NAPTR",
    "TLSA",
    "SSHFP",
    "TYPE65280",
    "PTR",
    "HINFO",
    "RP",
    "URI",
    "EUI48",
    "LOC",
    "SPF",
];

/// Data of a type; names in it are `target`.
pub(crate) fn data(kind: &str, target: &Name, chance: &mut Chance) -> String {
    let number = chance.below(1000);
    let small = chance.below(3);
    let host = target.text(chance);
    match kind {
        "A" => format!("192.0.2.{}", chance.byte()),
        "AAAA" => format!("2001:db8::{number:x}"),
        "TXT" | "SPF" => format!("\"text {number}\" \"{}\"", "long ".repeat(small * 4)),
        "MX" => format!("{number} {host}"),
        "SRV" => format!("{small} {number} 443 {host}"),
        "CAA" => format!("{} issue \"ca{number}.example\"", small * 64),
        "SVCB" if small == 0 => format!("0 {host}"),
        "SVCB" | "HTTPS" => format!("{} {host} alpn=h2,h3 port={number}", small + 1),
        "NAPTR" => format!("{number} 10 \"s\" \"SIP+D2U\" \"\" {host}"),
        "TLSA" => format!("3 1 1 {}", hex(32, chance)),
        "SSHFP" => format!("4 2 {}", hex(32, chance)),
        "DS" => format!("{number} 13 2 {}", hex(32, chance)),
        "PTR" => host,
        "HINFO" => format!("\"PC-{number}\" \"Any\""),
        "RP" => format!("{host} {host}"),
        "URI" => format!("{small} {number} \"https://u{number}.example/\""),
        "EUI48" => format!("00-00-5e-00-53-{:02x}", chance.byte()),
        "LOC" => format!("52 22 {small}.000 N 4 53 32.000 E -2.00m 1m 10000m 10m"),
        _ => {
            let length = 1 + chance.below(20);
            format!("\\# {length} {}", hex(length, chance))
        }
    }
}

fn hex(bytes: usize, chance: &mut Chance) -> String {
    let mut text = String::new();
    for _ in 0..bytes {
        write!(text, "{:02x}", chance.byte()).unwrap();
    }
    text
}
