//! An upstream's message, read from its own bytes: nothing added, dropped or reordered.

use std::collections::{BTreeMap, BTreeSet};

use domain::base::iana::OptRcode;
use domain::base::name::Label;
use domain::base::{Message, ParsedName, ToName};
use domain::dep::octseq::Parser;

use crate::base::time::Ttl;
use crate::namespace::name::Name;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::Record;
use crate::namespace::rtype::RecordType;
use crate::resolution::legacy::{LegacyCode, LegacyQuestion, LegacyReply};

/// The Internet class (RFC 1035 section 3.2.4), the only one that is forwarded.
const CLASS_IN: u16 = 1;

/// A message that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It ends early, or holds a name or a record that breaks its format.
    #[error("a malformed message")]
    Malformed,
    /// A record of another class than IN.
    #[error("a record of a foreign class")]
    Class,
    /// Neither NOERROR nor NXDOMAIN.
    #[error("an error code")]
    Code,
}

/// Reads a NOERROR or NXDOMAIN message. `trust_ad` says whether its AD flag is believed.
pub fn read(
    message: &[u8],
    question: &LegacyQuestion,
    trust_ad: bool,
) -> Result<LegacyReply, Unreadable> {
    let head = Message::from_slice(message).map_err(|_| Unreadable::Malformed)?;
    let counts = head.header_counts();
    let code = match head.opt_rcode() {
        OptRcode::NOERROR => LegacyCode::NoError,
        OptRcode::NXDOMAIN => LegacyCode::NxDomain,
        _ => return Err(Unreadable::Code),
    };
    let mut parser = Parser::from_ref(message);
    skip_to_answers(&mut parser, counts.qdcount()).ok_or(Unreadable::Malformed)?;
    let mut section = |count| read_section(&mut parser, count, question);
    let answers = on_the_way(section(counts.ancount())?, &question.name);
    Ok(LegacyReply {
        code,
        authentic: trust_ad && head.header().ad(),
        answers,
        authorities: section(counts.nscount())?,
        additionals: section(counts.arcount())?,
    })
}

fn skip_to_answers(parser: &mut Parser<'_, [u8]>, questions: u16) -> Option<()> {
    const HEADER_BYTES: usize = 12;
    const TYPE_AND_CLASS_BYTES: usize = 4;
    parser.advance(HEADER_BYTES).ok()?;
    for _ in 0..questions {
        ParsedName::skip(parser).ok()?;
        parser.advance(TYPE_AND_CLASS_BYTES).ok()?;
    }
    Some(())
}

fn read_section(
    parser: &mut Parser<'_, [u8]>,
    count: u16,
    question: &LegacyQuestion,
) -> Result<Vec<Record>, Unreadable> {
    let mut records = Vec::new();
    for _ in 0..count {
        let (record, class) = read_record(parser).ok_or(Unreadable::Malformed)?;
        // OPT and TSIG belong to the exchange, not to the answer; OPT's class is a size.
        if record.kind.is_meta() {
            continue;
        }
        if class != CLASS_IN {
            return Err(Unreadable::Class);
        }
        if question.dnssec_ok || !is_proof(record.kind) || asks_for(question, record.kind) {
            records.push(record);
        }
    }
    Ok(records)
}

/// The records of the name that was asked for, of those that its aliases lead to, and the DNAME records
/// above them. Nobody asked for others, and who is asked need not be who may speak of them.
fn on_the_way(mut answers: Vec<Record>, asked: &Name) -> Vec<Record> {
    // The first target of each alias; a name has no second one.
    let mut targets: BTreeMap<&Name, Option<Name>> = BTreeMap::new();
    for row in answers.iter().filter(|row| row.kind == RecordType::CNAME) {
        let target = || Name::from_wire(row.rdata.as_bytes()).ok();
        targets.entry(&row.owner).or_insert_with(target);
    }
    let mut names = BTreeSet::from([asked.clone()]);
    let mut next = asked;
    while let Some(Some(target)) = targets.get(next) {
        if !names.insert(target.clone()) {
            break;
        }
        next = target;
    }
    let is_above = |owner: &Name| names.iter().any(|name| name.is_within(owner));
    let belongs =
        |row: &Record| names.contains(&row.owner) || (renames(row) && is_above(&row.owner));
    answers.retain(belongs);
    answers
}

/// Whether a record is a DNAME, or signs one.
fn renames(row: &Record) -> bool {
    let covered = row.rdata.as_bytes().first_chunk::<2>();
    let covers = |code: &[u8; 2]| u16::from_be_bytes(*code) == RecordType::DNAME.code();
    row.kind == RecordType::DNAME || (row.kind == RecordType::RRSIG && covered.is_some_and(covers))
}

/// Types that are left out of answers to those who did not set DO (RFC 4035 section 3.2.1).
fn is_proof(kind: RecordType) -> bool {
    matches!(
        kind,
        RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3
    )
}

fn asks_for(question: &LegacyQuestion, kind: RecordType) -> bool {
    question.kind == kind || question.kind == RecordType::ANY
}

fn read_record(parser: &mut Parser<'_, [u8]>) -> Option<(Record, u16)> {
    let owner = read_name(parser)?;
    let kind = RecordType::new(parser.parse_u16_be().ok()?);
    let class = parser.parse_u16_be().ok()?;
    let ttl = Ttl::from_secs(parser.parse_u32_be().ok()?);
    let length = usize::from(parser.parse_u16_be().ok()?);
    let end = parser.pos().checked_add(length)?;
    let data = plain_data(kind, parser, end)?;
    parser.seek(end).ok()?;
    let rdata = Rdata::from_wire(kind, &data).ok()?;
    let record = Record {
        owner,
        kind,
        ttl,
        rdata,
    };
    Some((record, class))
}

fn read_name(parser: &mut Parser<'_, [u8]>) -> Option<Name> {
    let name = ParsedName::parse_ref(parser).ok()?;
    let labels = name.iter().filter(|label| !label.is_root());
    Name::from_labels(labels.map(Label::as_slice)).ok()
}

/// Where names stand in the data of a type, if they may be compressed there.
struct Layout {
    /// Bytes before the first name.
    before: usize,
    /// Character strings between those bytes and the first name.
    strings: usize,
    /// Names in a row; what follows them is copied.
    names: usize,
}

/// The types whose names senders compress: those of RFC 1035, those that RFC 3597 section 4 asks
/// receivers to expand, and RRSIG and NSEC, where compression is forbidden but seen.
fn layout(kind: RecordType) -> Option<Layout> {
    const MD: RecordType = RecordType::new(3);
    const MF: RecordType = RecordType::new(4);
    const NXT: RecordType = RecordType::new(30);
    let (before, strings, names) = match kind {
        RecordType::NS
        | RecordType::CNAME
        | RecordType::PTR
        | RecordType::DNAME
        | RecordType::MB
        | RecordType::MG
        | RecordType::MR
        | MD
        | MF
        | NXT
        | RecordType::NSEC => (0, 0, 1),
        RecordType::SOA | RecordType::MINFO | RecordType::RP => (0, 0, 2),
        RecordType::MX | RecordType::AFSDB | RecordType::RT | RecordType::KX => (2, 0, 1),
        RecordType::PX => (2, 0, 2),
        RecordType::SRV => (6, 0, 1),
        RecordType::NAPTR => (4, 3, 1),
        RecordType::SIG | RecordType::RRSIG => (18, 0, 1),
        _ => return None,
    };
    Some(Layout {
        before,
        strings,
        names,
    })
}

/// The record data from the parser's place to `end`, its names expanded and their case kept.
fn plain_data(kind: RecordType, parser: &Parser<'_, [u8]>, end: usize) -> Option<Vec<u8>> {
    let message = parser.octets_ref();
    let start = parser.pos();
    let raw = message.get(start..end)?;
    let Some(layout) = layout(kind) else {
        return Some(raw.to_vec());
    };
    // Bounded by the record, so that a name cannot run on into the next one.
    let mut data = Parser::try_with_range(message, ..end)?;
    data.seek(start).ok()?;
    data.advance(layout.before).ok()?;
    for _ in 0..layout.strings {
        let length = data.parse_u8().ok()?;
        data.advance(usize::from(length)).ok()?;
    }
    let mut plain = message.get(start..data.pos())?.to_vec();
    for _ in 0..layout.names {
        let name = ParsedName::parse_ref(&mut data).ok()?;
        name.compose(&mut plain).ok()?;
    }
    plain.extend_from_slice(message.get(data.pos()..end)?);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn question(kind: RecordType) -> LegacyQuestion {
        LegacyQuestion {
            name: "a.example".parse().unwrap(),
            kind,
            dnssec_ok: false,
            checking_disabled: false,
        }
    }

    /// A reply to `a.example` (at offset 12; `example` at 14) with one answer.
    fn message(kind: RecordType, data: &[u8]) -> Vec<u8> {
        let mut message = vec![0, 0, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0];
        message.extend_from_slice(b"\x01a\x07example\0");
        message.extend_from_slice(&kind.code().to_be_bytes());
        message.extend_from_slice(&[0, 1, 0xc0, 12]);
        message.extend_from_slice(&kind.code().to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend_from_slice(data);
        message
    }

    fn data(kind: RecordType, data: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let reply = read(&message(kind, data), &question(kind), false)?;
        Ok(reply.answers[0].rdata.as_bytes().to_vec())
    }

    #[test]
    fn compressed_names_are_expanded_and_the_rest_is_copied() {
        for (kind, compressed, plain) in [
            (
                RecordType::CNAME,
                &b"\x01b\xc0\x0e"[..],
                &b"\x01b\x07example\0"[..],
            ),
            (
                RecordType::MX,
                b"\0\x05\xc0\x0c",
                b"\0\x05\x01a\x07example\0",
            ),
            (
                RecordType::SRV,
                b"\0\x01\0\x02\0\x03\xc0\x0e",
                b"\0\x01\0\x02\0\x03\x07example\0",
            ),
            (
                RecordType::NAPTR,
                b"\0\x01\0\x02\x01u\x03sip\0\xc0\x0e",
                b"\0\x01\0\x02\x01u\x03sip\0\x07example\0",
            ),
            (
                RecordType::SOA,
                b"\x01m\xc0\x0e\xc0\x0c01234567890123456789",
                b"\x01m\x07example\0\x01a\x07example\x0001234567890123456789",
            ),
            (RecordType::TXT, b"\x02\xc0\x0c", b"\x02\xc0\x0c"),
            (RecordType::new(65_280), b"\xc0\x0c", b"\xc0\x0c"),
        ] {
            assert_eq!(data(kind, compressed), Ok(plain.to_vec()), "{kind}");
        }
    }

    #[test]
    fn data_that_ends_early_is_malformed() {
        for (kind, bytes) in [
            (RecordType::MX, &b"\0"[..]),
            (RecordType::CNAME, b"\x05ab"),
            (RecordType::CNAME, b"\xc0\xff"),
            (RecordType::NAPTR, b"\0\x01\0\x02\x09u"),
            (RecordType::SOA, b"\xc0\x0c"),
        ] {
            // A whole SOA has two names; one alone runs into the end.
            assert_eq!(data(kind, bytes), Err(Unreadable::Malformed), "{kind}");
        }
        let whole = message(RecordType::A, &[192, 0, 2, 1]);
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert!(
                read(cut, &question(RecordType::A), false).is_err(),
                "{length}"
            );
        }
    }

    #[test]
    fn a_ttl_above_the_limit_counts_as_zero() {
        let mut message = message(RecordType::A, &[192, 0, 2, 1]);
        let ttl = message.len() - 10;
        message[ttl] = 0x80;
        let reply = read(&message, &question(RecordType::A), false).unwrap();
        assert_eq!(reply.answers[0].ttl, Ttl::ZERO);
    }

    /// A record with the owner and the target of an alias, or an address.
    fn row(owner: &str, kind: RecordType, target: &str) -> Record {
        let rdata = match kind {
            RecordType::A => Rdata::from_wire(kind, &[192, 0, 2, 1]),
            RecordType::RRSIG => Rdata::from_wire(kind, &signature(RecordType::DNAME)),
            _ => Ok(Rdata::of_name(&target.parse().unwrap())),
        };
        Record {
            owner: owner.parse().unwrap(),
            kind,
            ttl: Ttl::from_secs(60),
            rdata: rdata.unwrap(),
        }
    }

    fn signature(covered: RecordType) -> Vec<u8> {
        let mut data = covered.code().to_be_bytes().to_vec();
        data.extend_from_slice(&[13, 1, 0, 0, 0, 60, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0]);
        data.extend_from_slice(&[0; 64]);
        data
    }

    #[test]
    fn records_of_names_that_nobody_asked_for_are_left_out() {
        use RecordType as T;
        let asked: Name = "a.example".parse().unwrap();
        let (own, alias) = (
            row("a.example", T::A, ""),
            row("a.example", T::CNAME, "b.test"),
        );
        let (foreign, behind) = (row("x.test", T::A, ""), row("b.test", T::A, ""));
        let (rename, sig) = (
            row("example", T::DNAME, "test"),
            row("example", T::RRSIG, ""),
        );
        let aside = row("other", T::DNAME, "test");
        let back = row("b.test", T::CNAME, "a.example");
        for (given, kept) in [
            (vec![own.clone(), foreign.clone()], vec![own]),
            (vec![foreign.clone()], vec![]),
            // In whatever order they come.
            (
                vec![behind.clone(), alias.clone(), foreign],
                vec![behind, alias.clone()],
            ),
            (
                vec![rename.clone(), sig.clone(), aside, alias.clone()],
                vec![rename, sig, alias.clone()],
            ),
            // A loop ends.
            (vec![alias.clone(), back.clone()], vec![alias, back]),
        ] {
            assert_eq!(on_the_way(given.clone(), &asked), kept, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn no_message_breaks_the_reader(
            kind in 0_u16..300,
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            counts in proptest::collection::vec(0_u8..4, 4),
        ) {
            let kind = RecordType::new(kind);
            let mut message = message(kind, &bytes);
            for (place, count) in [5, 7, 9, 11].into_iter().zip(counts) {
                message[place] = count;
            }
            drop(read(&message, &question(kind), true));
        }
    }
}
