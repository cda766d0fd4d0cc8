//! A datagram or stream message to a request, or to the code that refuses it.
//!
//! What is not a question is dropped or refused here, before anything is looked up. The manners
//! are those of RFC 8906 and RFC 6891; `docs/RFC8906.md` lists them case by case.

use domain::base::iana::{Class, Opcode, OptRcode, OptionCode, Rtype};
use domain::base::message::Message;
use domain::base::name::ToName;
use domain::base::opt::{AllOptData, Opt, UnknownOptData};

use crate::base::limits::UDP_PAYLOAD_PLAIN;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;

use super::guard::Cookie;

/// Shorter than a header: nothing can be answered.
const HEADER_BYTES: usize = 12;

/// The client's EDNS wishes (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram the client takes; at least 512.
    pub payload_size: u16,
    /// DO.
    pub dnssec_ok: bool,
    /// Whether the message is padded (RFC 7830).
    pub padded: bool,
    /// Whether the client asks how long its connection may be idle (RFC 7828).
    pub keepalive: bool,
    /// What it shows of earlier talk (RFC 7873).
    pub cookie: Option<Cookie>,
}

/// A question that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The name.
    pub name: Name,
    /// The type.
    pub kind: RecordType,
    /// RD.
    pub recursion_desired: bool,
    /// CD.
    pub checking_disabled: bool,
    /// AD: the client understands AD in the reply (RFC 6840 section 5.7).
    pub authentic_wanted: bool,
    /// EDNS, if the client speaks it.
    pub edns: Option<Edns>,
    /// Whether its last record is a signature, which is still to be checked.
    pub is_signed: bool,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A question.
    Request(Request),
    /// No question, but a cookie to be answered (RFC 7873 section 5.4).
    CookieAlone(Edns),
    /// Not to be answered at all: too short, or itself a response. Answering a response could
    /// make two servers talk for ever.
    Drop,
    /// Refused with a code; the EDNS wishes tell whether the reply carries an OPT.
    Refuse(OptRcode, Option<Edns>),
}

impl Decoded {
    /// The EDNS wishes of a message that is answered in some way.
    pub(super) fn edns(&self) -> Option<Edns> {
        match self {
            Self::Request(request) => request.edns,
            Self::CookieAlone(edns) => Some(*edns),
            Self::Refuse(_, edns) => *edns,
            Self::Drop => None,
        }
    }
}

/// Reads a message.
pub fn decode(bytes: &[u8]) -> Decoded {
    let Ok(message) = Message::from_slice(bytes) else {
        return Decoded::Drop;
    };
    let header = message.header();
    if bytes.len() < HEADER_BYTES || header.qr() {
        return Decoded::Drop;
    }
    if header.opcode() != Opcode::QUERY {
        return Decoded::Refuse(OptRcode::NOTIMP, None);
    }
    let (edns, is_signed) = match read_records(message) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    if message.header_counts().qdcount() == 0
        && let Some(edns) = edns.filter(|edns| edns.cookie.is_some())
    {
        return Decoded::CookieAlone(edns);
    }
    match read_question(message) {
        Ok((name, kind)) => Decoded::Request(Request {
            name,
            kind,
            recursion_desired: header.rd(),
            checking_disabled: header.cd(),
            authentic_wanted: header.ad(),
            edns,
            is_signed,
        }),
        Err(rcode) => Decoded::Refuse(rcode, edns),
    }
}

/// Walks every section, so that a message that lies about its contents is found out, and reads the
/// OPT record where it may stand. Says also whether a signature ends the message.
fn read_records(message: &Message<[u8]>) -> Result<(Option<Edns>, bool), Decoded> {
    const FORMERR: Decoded = Decoded::Refuse(OptRcode::FORMERR, None);
    let (_, answers, authorities, additionals) = message.sections().map_err(|_| FORMERR)?;
    for record in answers.chain(authorities) {
        if matches!(
            record.map_err(|_| FORMERR)?.rtype(),
            Rtype::OPT | Rtype::TSIG
        ) {
            return Err(FORMERR);
        }
    }
    let (mut edns, mut is_signed) = (None, false);
    for record in additionals {
        let record = record.map_err(|_| FORMERR)?;
        if is_signed {
            // RFC 8945 section 5.1: a signature is the last record.
            return Err(FORMERR);
        }
        if record.rtype() == Rtype::TSIG {
            is_signed = true;
        }
        if record.rtype() != Rtype::OPT {
            continue;
        }
        // RFC 6891 section 6.1.1: one OPT, owned by the root.
        if edns.is_some() || !record.owner().is_root() {
            return Err(FORMERR);
        }
        let payload_size = record.class().to_int();
        let ttl = record.ttl().as_secs().to_be_bytes();
        let [_, version, flags, _] = ttl;
        let wishes = Edns {
            payload_size: payload_size.max(u16::try_from(UDP_PAYLOAD_PLAIN).unwrap_or(512)),
            dnssec_ok: flags & 0x80 != 0,
            padded: false,
            keepalive: false,
            cookie: None,
        };
        if version != 0 {
            return Err(Decoded::Refuse(OptRcode::BADVERS, Some(wishes)));
        }
        let Ok(Some(options)) = record.to_record::<Opt<_>>() else {
            return Err(FORMERR);
        };
        // The record itself was understood, so the reply has one (RFC 6891 section 6.1.1).
        let options = read_options(&options.data().for_slice_ref(), wishes);
        edns = Some(options.ok_or(Decoded::Refuse(OptRcode::FORMERR, Some(wishes)))?);
    }
    Ok((edns, is_signed))
}

/// What the options of an OPT record wish; none if one of them cannot be read.
fn read_options(options: &Opt<&[u8]>, wishes: Edns) -> Option<Edns> {
    let mut edns = wishes;
    for option in options.iter::<AllOptData<_, _>>() {
        match option.ok()? {
            AllOptData::Padding(_) => edns.padded = true,
            AllOptData::TcpKeepalive(_) => edns.keepalive = true,
            _ => {}
        }
    }
    // RFC 7873 section 5.2: only the first one counts.
    for option in options.iter::<UnknownOptData<_>>() {
        let option = option.ok()?;
        if option.code() == OptionCode::COOKIE {
            edns.cookie = Some(Cookie::read(option.data())?);
            break;
        }
    }
    Some(edns)
}

fn read_question(message: &Message<[u8]>) -> Result<(Name, RecordType), OptRcode> {
    let question = message.sole_question().map_err(|_| OptRcode::FORMERR)?;
    let kind = RecordType::new(question.qtype().to_int());
    match question.qclass() {
        Class::IN => {}
        // Nothing is served in other classes; `version.bind` tells strangers what to attack.
        _ => return Err(OptRcode::REFUSED),
    }
    if let Some(rcode) = refusal_of_type(kind.code()) {
        return Err(rcode);
    }
    let wire = question.qname().to_vec();
    let name = Name::from_wire(wire.as_slice()).map_err(|_| OptRcode::FORMERR)?;
    Ok((name, kind))
}

/// The code that a type of question is refused with whatever the name.
pub(super) fn refusal_of_type(kind: u16) -> Option<OptRcode> {
    match Rtype::from_int(kind) {
        // Transfers need a key, and there is none.
        Rtype::AXFR | Rtype::IXFR => Some(OptRcode::REFUSED),
        Rtype::MAILA | Rtype::MAILB => Some(OptRcode::NOTIMP),
        Rtype::OPT | Rtype::TSIG | Rtype::TKEY => Some(OptRcode::FORMERR),
        _ => None,
    }
}
