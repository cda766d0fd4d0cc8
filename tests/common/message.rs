//! DNS messages as tests see them: composed byte by byte, read into text that can be compared.
//!
//! Written apart from the program, so that a fault in its reader cannot hide one in its writer.

use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use kedge::namespace::rtype::RecordType;

/// Pointers that one name may follow; each must lead backwards, so real ones need few.
const POINTERS_MAX: usize = 128;

/// Records of a section that are printed.
const SHOWN_MAX: usize = 8;

pub(crate) const AA: u16 = 0x0400;
pub(crate) const TC: u16 = 0x0200;
pub(crate) const RD: u16 = 0x0100;
pub(crate) const RA: u16 = 0x0080;
pub(crate) const Z: u16 = 0x0040;
pub(crate) const AD: u16 = 0x0020;
pub(crate) const CD: u16 = 0x0010;

/// A question to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// Uncompressed, as it goes on the wire.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    /// The payload size of an OPT record.
    pub(crate) edns: Option<u16>,
    /// DO, if there is an OPT record.
    pub(crate) dnssec_ok: bool,
}

impl Query {
    pub(crate) fn new(id: u16, name: &[u8], kind: u16) -> Self {
        Self {
            id,
            flags: 0,
            name: name.to_vec(),
            kind,
            class: 1,
            edns: Some(1232),
            dnssec_ok: false,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = header(
            self.id,
            self.flags,
            [1, 0, 0, u16::from(self.edns.is_some())],
        );
        bytes.extend_from_slice(&self.name);
        bytes.extend_from_slice(&self.kind.to_be_bytes());
        bytes.extend_from_slice(&self.class.to_be_bytes());
        if let Some(size) = self.edns {
            let flags = if self.dnssec_ok { 0x8000 } else { 0 };
            bytes.extend_from_slice(&opt(size, 0, flags, &[]));
        }
        bytes
    }
}

/// A header; `flags` hold everything between id and counts.
pub(crate) fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let fields = [id, flags].into_iter().chain(counts);
    fields.flat_map(u16::to_be_bytes).collect()
}

/// An OPT record.
pub(crate) fn opt(size: u16, version: u8, flags: u16, options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 41];
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&[0, version]);
    bytes.extend_from_slice(&flags.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(options);
    bytes
}

/// A plain host name on the wire; no escapes.
pub(crate) fn wire_name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A message that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// The question section's bytes.
    pub(crate) question: Vec<u8>,
    /// Answer, authority, additional without OPT.
    pub(crate) sections: [Vec<Record>; 3],
    pub(crate) opt: Option<Opt>,
    pub(crate) length: usize,
}

/// An OPT record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opt {
    pub(crate) size: u16,
    pub(crate) high_rcode: u8,
    pub(crate) version: u8,
    pub(crate) flags: u16,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

/// A record in a form where equal records are equal: names in small letters, data as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) owner: String,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) data: String,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = RecordType::new(self.kind);
        write!(f, "{} {} {kind} {}", self.owner, self.ttl, self.data)
    }
}

impl Message {
    /// Reads a message; none if it is malformed in any way, bytes behind its end included.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 0 };
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        for _ in 0..counts[0] {
            reader.name()?;
            reader.take(4)?;
        }
        let mut message = Self {
            id,
            flags,
            question: bytes.get(12..reader.at)?.to_vec(),
            sections: Default::default(),
            opt: None,
            length: bytes.len(),
        };
        for (section, count) in counts[1..].iter().enumerate() {
            for _ in 0..*count {
                let owner = reader.name()?;
                let kind = reader.u16()?;
                if kind == 41 && section == 2 && message.opt.is_none() {
                    message.opt = Some(reader.opt()?);
                } else {
                    message.sections[section].push(reader.record(owner, kind)?);
                }
            }
        }
        (reader.at == bytes.len()).then_some(message)
    }

    pub(crate) fn rcode(&self) -> u16 {
        let high = self.opt.as_ref().map_or(0, |opt| opt.high_rcode);
        self.flags & 0x0f | u16::from(high) << 4
    }

    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (AA, "aa"),
            (TC, "tc"),
            (RD, "rd"),
            (RA, "ra"),
            (AD, "ad"),
            (CD, "cd"),
        ];
        write!(f, "rcode {}", self.rcode())?;
        for (_, word) in flags.iter().filter(|(flag, _)| self.has(*flag)) {
            write!(f, " {word}")?;
        }
        writeln!(f, ", {} bytes", self.length)?;
        for (section, records) in ["answer", "authority", "additional"]
            .iter()
            .zip(&self.sections)
        {
            for record in records.iter().take(SHOWN_MAX) {
                writeln!(f, "    {section:<10} {record}")?;
            }
            if let Some(hidden) = records.len().checked_sub(SHOWN_MAX + 1) {
                writeln!(f, "    {section:<10} and {} more", hidden + 1)?;
            }
        }
        Ok(())
    }
}

/// Text of an rcode as RFC 8906 and dig write it.
pub(crate) fn rcode_text(code: u16) -> String {
    let known = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ];
    match (code, known.get(usize::from(code))) {
        (16, _) => "BADVERS".into(),
        (23, _) => "BADCOOKIE".into(),
        (_, Some(text)) => (*text).into(),
        (_, None) => format!("RCODE{code}"),
    }
}

struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, count: usize) -> Option<&'m [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.first_chunk()?;
        Some(u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes))
    }

    /// A name in small letters, in master file form.
    fn name(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut place = self.at;
        let mut pointers = 0;
        loop {
            let length = usize::from(*self.bytes.get(place)?);
            match length {
                0 => {
                    place += 1;
                    break;
                }
                1..=63 => {
                    let label = self.bytes.get(place + 1..place + 1 + length)?;
                    push_label(&mut text, label);
                    place += 1 + length;
                }
                192.. => {
                    let low = usize::from(*self.bytes.get(place + 1)?);
                    if pointers == 0 {
                        self.at = place + 2;
                    }
                    let to = (length - 192) << 8 | low;
                    pointers += 1;
                    if to >= place || pointers > POINTERS_MAX {
                        return None;
                    }
                    place = to;
                }
                _ => return None,
            }
        }
        if pointers == 0 {
            self.at = place;
        }
        if text.is_empty() {
            text.push('.');
        }
        Some(text)
    }

    fn record(&mut self, owner: String, kind: u16) -> Option<Record> {
        let (class, ttl) = (self.u16()?, self.u32()?);
        let end = usize::from(self.u16()?).checked_add(self.at)?;
        let data = self.data(kind, end)?;
        (self.at == end).then_some(Record {
            owner,
            kind,
            class,
            ttl,
            data,
        })
    }

    fn opt(&mut self) -> Option<Opt> {
        let size = self.u16()?;
        let [high_rcode, version] = *self.take(2)?.first_chunk()?;
        let flags = self.u16()?;
        let end = usize::from(self.u16()?).checked_add(self.at)?;
        let mut options = Vec::new();
        while self.at < end {
            let (code, length) = (self.u16()?, self.u16()?);
            options.push((code, self.take(usize::from(length))?.to_vec()));
        }
        (self.at == end).then_some(Opt {
            size,
            high_rcode,
            version,
            flags,
            options,
        })
    }

    /// Record data as text: names in small letters wherever the type has them, the rest as
    /// addresses or bytes.
    fn data(&mut self, kind: u16, end: usize) -> Option<String> {
        let length = end.checked_sub(self.at)?;
        let mut text = String::new();
        match (RecordType::new(kind), length) {
            (RecordType::A, 4) => {
                return Some(Ipv4Addr::from(*self.take(4)?.first_chunk::<4>()?).to_string());
            }
            (RecordType::AAAA, 16) => {
                return Some(Ipv6Addr::from(*self.take(16)?.first_chunk::<16>()?).to_string());
            }
            // A compressed name may stand in the oldest types only; the names of all are found.
            (RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME, _) => {
                text = self.name()?;
            }
            (RecordType::SOA | RecordType::RP, _) => {
                write!(text, "{} {}", self.name()?, self.name()?).ok()?;
            }
            (RecordType::MX | RecordType::SVCB | RecordType::HTTPS, _) => {
                write!(text, "{} {}", self.u16()?, self.name()?).ok()?;
            }
            (RecordType::SRV, _) => {
                let numbers = (self.u16()?, self.u16()?, self.u16()?);
                let (a, b, c) = numbers;
                write!(text, "{a} {b} {c} {}", self.name()?).ok()?;
            }
            (RecordType::NAPTR, _) => self.naptr(&mut text)?,
            _ => {}
        }
        let rest = self.take(end.checked_sub(self.at)?)?;
        if !rest.is_empty() {
            text.push_str(if text.is_empty() { "" } else { " " });
            for byte in rest {
                write!(text, "{byte:02x}").ok()?;
            }
        }
        Some(text)
    }

    fn naptr(&mut self, text: &mut String) -> Option<()> {
        write!(text, "{} {}", self.u16()?, self.u16()?).ok()?;
        for _ in 0..3 {
            let length = usize::from(*self.take(1)?.first()?);
            write!(text, " {}", self.take(length)?.escape_ascii()).ok()?;
        }
        write!(text, " {}", self.name()?).ok()
    }
}

fn push_label(text: &mut String, label: &[u8]) {
    for byte in label {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' => text.push(char::from(*byte)),
            b'A'..=b'Z' => text.push(char::from(byte.to_ascii_lowercase())),
            _ => write!(text, "\\{byte:03}").unwrap_or_default(),
        }
    }
    text.push('.');
}
