//! An answer to the bytes of a reply, within the size the client takes.

use domain::base::iana::{Class, OptRcode, OptionCode, Rtype};
use domain::base::message::Message;
use domain::base::message_builder::{
    AdditionalBuilder, AnswerBuilder, MessageBuilder, PushError, StaticCompressor,
};
use domain::base::name::Name as WireName;
use domain::base::rdata::{ComposeRecordData, RecordData};
use domain::base::wire::Composer;
use domain::dep::octseq::OctetsBuilder;

use crate::base::limits::{MESSAGE_BYTES_MAX, UDP_PAYLOAD_MAX, UDP_PAYLOAD_PLAIN};
use crate::namespace::record::Record;
use crate::resolution::answer::{Answer, ExtendedError, Outcome};
use crate::telemetry::transport::Transport;

use super::decode::{Edns, Request};
use super::guard::COOKIE_BYTES;
use super::rcode::rcode;
use super::tsig::Seal;

/// An OPT record without options (RFC 6891 section 6.1.2).
const OPT_BYTES: usize = 11;
/// An extended error: option header and info code (RFC 8914 section 2).
const EXTENDED_ERROR_BYTES: usize = 6;
/// The option code of extended errors.
const EXTENDED_ERROR_CODE: u16 = 15;
/// The option code of padding (RFC 7830).
const PADDING_CODE: u16 = 12;
/// The option code of how long a connection may be idle (RFC 7828).
const KEEPALIVE_CODE: u16 = 11;
/// Its value, in units of 100 ms.
const KEEPALIVE_BYTES: u16 = 2;
/// The option code of cookies (RFC 7873).
const COOKIE_CODE: u16 = 10;
/// Code and length of an option.
const OPTION_HEADER_BYTES: usize = 4;
/// Replies under TLS are a whole number of these (RFC 8467 section 4.1).
const PADDING_BLOCK_BYTES: usize = 468;
/// Text of an extended error that still leaves room for records.
const EXTENDED_TEXT_MAX: usize = 200;

type Target = StaticCompressor<Vec<u8>>;

/// How a reply goes out, whatever it says.
pub(super) struct Manner<'r> {
    /// RA.
    pub(super) recursion_available: bool,
    /// How the question came.
    pub(super) transport: Transport,
    /// How long the connection that it goes to may be idle, in units of 100 ms; none for a datagram.
    pub(super) idle: Option<u16>,
    /// What stands at its end.
    pub(super) seal: Option<&'r Seal>,
    /// The cookie for its client.
    pub(super) cookie: Option<[u8; COOKIE_BYTES]>,
}

impl Manner<'_> {
    /// RFC 7830 section 6: only under encryption, and only for who padded too.
    fn pads(&self, edns: Option<Edns>) -> bool {
        self.transport.is_encrypted() && edns.is_some_and(|edns| edns.padded)
    }

    /// RFC 7828 section 3.2.1: only on a connection; here only to who asks.
    fn keepalive(&self, edns: Option<Edns>) -> Option<u16> {
        self.idle
            .filter(|_| edns.is_some_and(|edns| edns.keepalive))
    }
}

/// The reply to an answered question.
pub(super) fn reply(
    query: &[u8],
    request: &Request,
    answer: &Answer,
    manner: &Manner<'_>,
) -> Option<Vec<u8>> {
    let limit = match (manner.transport, &request.edns) {
        (Transport::Tcp | Transport::Tls | Transport::Quic, _) => MESSAGE_BYTES_MAX,
        (Transport::Udp, Some(edns)) => usize::from(edns.payload_size).min(UDP_PAYLOAD_MAX),
        (Transport::Udp, None) => UDP_PAYLOAD_PLAIN,
    };
    let errors = if request.edns.is_some() {
        answer.errors.as_slice()
    } else {
        &[]
    };
    let keepalive = manner.keepalive(request.edns);
    let cookie = manner.cookie.is_some();
    let opt = request
        .edns
        .map_or(0, |_| opt_bytes(errors, keepalive, cookie));
    let reserved = opt + manner.seal.map_or(0, Seal::room);
    let mut composition = Composition {
        query,
        edns: request.edns,
        errors,
        limit: limit.saturating_sub(reserved),
        rcode: rcode(answer.outcome),
        truncated: false,
        authoritative: answer.authoritative,
        // RFC 6840 section 5.8: AD only to who asked for it.
        authentic: answer.authentic
            && (request.authentic_wanted || request.edns.is_some_and(|edns| edns.dnssec_ok)),
        recursion_available: manner.recursion_available,
        seal: manner.seal,
        pads: manner.pads(request.edns),
        keepalive,
        cookie: manner.cookie,
    };
    if let Some(bytes) = composition.compose(Some(answer)) {
        return Some(bytes);
    }
    composition.truncated = true;
    composition.compose(None)
}

/// The reply to a message that was refused before it was looked up. The question is echoed if it
/// can be read.
pub(super) fn refusal(
    query: &[u8],
    code: OptRcode,
    edns: Option<Edns>,
    manner: &Manner<'_>,
) -> Option<Vec<u8>> {
    Composition {
        query,
        edns,
        errors: &[],
        limit: UDP_PAYLOAD_PLAIN,
        rcode: code,
        truncated: false,
        authoritative: false,
        authentic: false,
        recursion_available: false,
        seal: manner.seal,
        pads: manner.pads(edns),
        keepalive: manner.keepalive(edns),
        cookie: manner.cookie,
    }
    .compose(None)
}

/// In place of a reply that is not sent: that there is one over TCP, or over UDP to whoever shows the
/// cookie that it comes with.
pub(super) fn in_place(query: &[u8], edns: Option<Edns>, manner: &Manner<'_>) -> Option<Vec<u8>> {
    let has_cookie = manner.cookie.is_some();
    Composition {
        query,
        edns,
        errors: &[],
        limit: UDP_PAYLOAD_PLAIN,
        rcode: if has_cookie {
            OptRcode::BADCOOKIE
        } else {
            OptRcode::NOERROR
        },
        truncated: !has_cookie,
        authoritative: false,
        authentic: false,
        recursion_available: manner.recursion_available,
        seal: None,
        pads: false,
        keepalive: None,
        cookie: manner.cookie,
    }
    .compose(None)
}

fn opt_bytes(errors: &[ExtendedError], keepalive: Option<u16>, cookie: bool) -> usize {
    let options: usize = errors
        .iter()
        .map(|e| EXTENDED_ERROR_BYTES + cut(&e.text).len())
        .sum();
    let keepalive = keepalive.map_or(0, |_| OPTION_HEADER_BYTES + usize::from(KEEPALIVE_BYTES));
    let cookie = if cookie {
        OPTION_HEADER_BYTES + COOKIE_BYTES
    } else {
        0
    };
    OPT_BYTES + options + keepalive + cookie
}

fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(EXTENDED_TEXT_MAX);
    text.get(..end).unwrap_or_default()
}

/// Everything a reply is made from but its records.
struct Composition<'q> {
    query: &'q [u8],
    edns: Option<Edns>,
    errors: &'q [ExtendedError],
    limit: usize,
    rcode: OptRcode,
    truncated: bool,
    authoritative: bool,
    authentic: bool,
    recursion_available: bool,
    seal: Option<&'q Seal>,
    pads: bool,
    keepalive: Option<u16>,
    cookie: Option<[u8; COOKIE_BYTES]>,
}

impl Composition<'_> {
    /// Composes the reply; none if records that must be there do not fit.
    fn compose(&self, answer: Option<&Answer>) -> Option<Vec<u8>> {
        let query = Message::from_slice(self.query).ok()?;
        let target = StaticCompressor::new(Vec::with_capacity(512));
        let mut builder = MessageBuilder::from_target(target).ok()?;
        builder.set_push_limit(self.limit);
        let asked = query.header();
        let header = builder.header_mut();
        header.set_id(asked.id());
        header.set_qr(true);
        header.set_opcode(asked.opcode());
        header.set_rd(asked.rd());
        header.set_cd(asked.cd());
        header.set_ra(self.recursion_available);
        header.set_aa(self.authoritative);
        header.set_ad(self.authentic);
        header.set_tc(self.truncated);
        header.set_rcode(self.rcode.rcode());
        let mut question = builder.question();
        if let Ok(asked) = query.sole_question() {
            question.push(asked).ok()?;
        }
        let additional = Self::records(question.answer(), answer)?;
        self.options(additional)
    }

    fn records(
        mut section: AnswerBuilder<Target>,
        answer: Option<&Answer>,
    ) -> Option<AdditionalBuilder<Target>> {
        let Some(answer) = answer else {
            return Some(section.additional());
        };
        for record in &answer.answers {
            push(record, |row| section.push(row)).ok()?;
        }
        let mut section = section.authority();
        for record in &answer.authorities {
            push(record, |row| section.push(row)).ok()?;
        }
        let mut section = section.additional();
        // RFC 9471: a referral without its glue would leave the client nowhere to go.
        let glue_is_needed = answer.outcome == Outcome::Found && answer.answers.is_empty();
        for record in &answer.additionals {
            match push(record, |row| section.push(row)) {
                Ok(()) => {}
                Err(_) if glue_is_needed => return None,
                Err(_) => break,
            }
        }
        Some(section)
    }

    /// The padding that fills a reply of so many bytes up to a whole number of blocks.
    fn padding(&self, bytes: usize) -> Option<u16> {
        let seal = self.seal.map_or(0, Seal::room);
        let opt = opt_bytes(self.errors, self.keepalive, self.cookie.is_some());
        let whole = bytes + opt + OPTION_HEADER_BYTES + seal;
        let missing = whole.next_multiple_of(PADDING_BLOCK_BYTES) - whole;
        let fits = self.pads && whole + missing <= MESSAGE_BYTES_MAX;
        u16::try_from(missing).ok().filter(|_| fits)
    }

    fn options(&self, mut section: AdditionalBuilder<Target>) -> Option<Vec<u8>> {
        section.clear_push_limit();
        let padding = self.padding(section.as_slice().len());
        if let Some(edns) = &self.edns {
            let pushed = section.opt(|opt| {
                opt.set_udp_payload_size(u16::try_from(UDP_PAYLOAD_MAX).unwrap_or(u16::MAX));
                opt.set_dnssec_ok(edns.dnssec_ok);
                opt.set_rcode(self.rcode);
                for error in self.errors {
                    let text = cut(&error.text).as_bytes();
                    let length = u16::try_from(2 + text.len()).unwrap_or(2);
                    let code = OptionCode::from_int(EXTENDED_ERROR_CODE);
                    opt.push_raw_option(code, length, |target| {
                        target.append_slice(&error.code.to_be_bytes())?;
                        target.append_slice(text)
                    })?;
                }
                if let Some(idle) = self.keepalive {
                    let code = OptionCode::from_int(KEEPALIVE_CODE);
                    opt.push_raw_option(code, KEEPALIVE_BYTES, |target| {
                        target.append_slice(&idle.to_be_bytes())
                    })?;
                }
                if let Some(padding) = padding {
                    let code = OptionCode::from_int(PADDING_CODE);
                    let zeros = vec![0; usize::from(padding)];
                    opt.push_raw_option(code, padding, |target| target.append_slice(&zeros))?;
                }
                // The last one: where the reply is kept, the next client's takes its place.
                if let Some(cookie) = &self.cookie {
                    let code = OptionCode::from_int(COOKIE_CODE);
                    let length = u16::try_from(cookie.len()).unwrap_or(0);
                    opt.push_raw_option(code, length, |target| target.append_slice(cookie))?;
                }
                Ok(())
            });
            pushed.ok()?;
        }
        if let Some(seal) = self.seal {
            seal.push(&mut section).ok()?;
        }
        Some(section.finish().into_target())
    }
}

fn push(
    record: &Record,
    to: impl FnOnce((&WireName<[u8]>, Class, u32, Data<'_>)) -> Result<(), PushError>,
) -> Result<(), PushError> {
    let Ok(owner) = WireName::from_slice(record.owner.as_wire()) else {
        return Ok(());
    };
    let data = Data {
        kind: Rtype::from_int(record.kind.code()),
        bytes: record.rdata.as_bytes(),
    };
    to((owner, Class::IN, record.ttl.as_secs(), data))
}

/// Record data as the composer wants it; names of the oldest types are compressed
/// (RFC 3597 section 4 allows no others).
struct Data<'a> {
    kind: Rtype,
    bytes: &'a [u8],
}

impl Data<'_> {
    /// How many bytes stand before the names, and how many names follow.
    fn names(&self) -> Option<(usize, usize)> {
        match self.kind {
            Rtype::NS | Rtype::CNAME | Rtype::PTR => Some((0, 1)),
            Rtype::MX => Some((2, 1)),
            Rtype::SOA => Some((0, 2)),
            _ => None,
        }
    }
}

impl RecordData for Data<'_> {
    fn rtype(&self) -> Rtype {
        self.kind
    }
}

impl ComposeRecordData for Data<'_> {
    fn rdlen(&self, compress: bool) -> Option<u16> {
        if compress && self.names().is_some() {
            None
        } else {
            u16::try_from(self.bytes.len()).ok()
        }
    }

    fn compose_rdata<T: Composer + ?Sized>(&self, target: &mut T) -> Result<(), T::AppendError> {
        let Some((skip, names)) = self.names() else {
            return target.append_slice(self.bytes);
        };
        let (head, mut rest) = self
            .bytes
            .split_at_checked(skip)
            .unwrap_or((self.bytes, &[]));
        target.append_slice(head)?;
        for _ in 0..names {
            let Ok((_, tail)) = crate::namespace::name::Name::split_from_wire(rest) else {
                break;
            };
            let name = rest.get(..rest.len() - tail.len()).unwrap_or_default();
            if let Ok(name) = WireName::from_slice(name) {
                target.append_compressed_name(name)?;
            }
            rest = tail;
        }
        target.append_slice(rest)
    }

    fn compose_canonical_rdata<T: Composer + ?Sized>(
        &self,
        target: &mut T,
    ) -> Result<(), T::AppendError> {
        target.append_slice(self.bytes)
    }
}
