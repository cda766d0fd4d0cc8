//! `Asked`: a plain question read where it lies, as the key of what is kept.
//!
//! Anything out of the ordinary is no plain question and goes the long way, where it is judged: this
//! reader never refuses and never answers.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::adapters::dns::decode::refusal_of_type;
use crate::adapters::dns::guard::Cookie;
use crate::base::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX, UDP_PAYLOAD_MAX, UDP_PAYLOAD_PLAIN};

/// ID, flags and counts.
const HEADER_BYTES: usize = 12;
/// Type and class after the name.
const QUESTION_TAIL_BYTES: usize = 4;
/// An OPT record without options: root, type, size, extended flags, length.
const OPT_BYTES: usize = 11;
/// What a cookie begins with, as the only option: some clients send one with every question.
const COOKIE_CODE: [u8; 2] = [0, 10];
/// The class of everything that is served.
const IN: u16 = 1;
/// The type of OPT.
const OPT: u16 = 41;

/// QR, opcode, AA, TC, RA, Z and the response code: zero in a question.
const UNUSUAL: u16 = 0b1111_1110_1100_1111;
/// RD, AD and CD, which answers hang on.
const USUAL: u16 = 0b0000_0001_0011_0000;
/// DO, in the extended flags.
const DNSSEC_OK: u16 = 0x8000;
/// What else the flags of a question may hold here: whether it speaks EDNS, and DO.
const SPEAKS_EDNS: u16 = 1;
const WANTS_DNSSEC: u16 = 2;
/// And whether there is a cookie, which the answer then ends with.
const HAS_COOKIE: u16 = 4;

/// What a question wants beside a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wishes {
    kind: u16,
    /// The flags of the header that matter, and those above.
    flags: u16,
    /// Octets that the answer may have; zero if any number.
    limit: u16,
}

/// A question, read into memory that is used again.
#[derive(Debug)]
pub(super) struct Asked {
    name: [u8; NAME_BYTES_MAX],
    name_bytes: usize,
    pub(super) wishes: Wishes,
    pub(super) hash: u64,
    /// Whether answers are datagrams, which must not be longer than the client takes.
    is_bounded: bool,
    /// Whether cookies are answered; otherwise they change nothing.
    reads_cookies: bool,
    cookie: Option<Cookie>,
}

impl Asked {
    pub(super) const fn new(is_bounded: bool) -> Self {
        Self {
            name: [0; NAME_BYTES_MAX],
            name_bytes: 0,
            wishes: Wishes {
                kind: 0,
                flags: 0,
                limit: 0,
            },
            hash: 0,
            is_bounded,
            reads_cookies: false,
            cookie: None,
        }
    }

    /// Says whether cookies are answered.
    pub(super) const fn read_cookies(&mut self, reads_cookies: bool) {
        self.reads_cookies = reads_cookies;
    }

    /// The cookie of the last question that was plain, if it is to be answered.
    pub(super) const fn cookie(&self) -> Option<&Cookie> {
        self.cookie.as_ref()
    }

    /// The name in lower case.
    pub(super) fn name(&self) -> &[u8] {
        self.name.get(..self.name_bytes).unwrap_or_default()
    }

    /// Reads a message; false if it is no plain question.
    pub(super) fn read(&mut self, query: &[u8], hasher: &impl BuildHasher) -> bool {
        self.read_plain(query, hasher).is_some()
    }

    fn read_plain(&mut self, query: &[u8], hasher: &impl BuildHasher) -> Option<()> {
        let (header, rest) = query.split_first_chunk::<HEADER_BYTES>()?;
        let [_, _, high, low, counts @ ..] = header;
        let flags = u16::from_be_bytes([*high, *low]);
        if flags & UNUSUAL != 0 {
            return None;
        }
        let has_opt = match counts {
            [0, 1, 0, 0, 0, 0, 0, 0] => false,
            [0, 1, 0, 0, 0, 0, 0, 1] => true,
            _ => return None,
        };
        let name_bytes = name_bytes(rest)?;
        let (name, rest) = rest.split_at_checked(name_bytes)?;
        let (tail, rest) = rest.split_first_chunk::<QUESTION_TAIL_BYTES>()?;
        let [kind_high, kind_low, class_high, class_low] = *tail;
        let kind = u16::from_be_bytes([kind_high, kind_low]);
        if u16::from_be_bytes([class_high, class_low]) != IN || refusal_of_type(kind).is_some() {
            return None;
        }
        let (mut edns, limit, cookie) = if has_opt {
            opt(rest)?
        } else if rest.is_empty() {
            (0, u16::try_from(UDP_PAYLOAD_PLAIN).ok()?, None)
        } else {
            return None;
        };
        self.cookie = cookie.filter(|_| self.reads_cookies);
        if self.cookie.is_some() {
            edns |= HAS_COOKIE;
        }
        let to = self.name.get_mut(..name_bytes)?;
        to.copy_from_slice(name);
        // Length octets are at most 63 and thus never upper-case letters.
        to.make_ascii_lowercase();
        self.name_bytes = name_bytes;
        self.wishes = Wishes {
            kind,
            flags: flags & USUAL | edns,
            limit: if self.is_bounded { limit } else { 0 },
        };
        let mut state = hasher.build_hasher();
        state.write(self.name.get(..name_bytes)?);
        let Wishes { kind, flags, limit } = self.wishes;
        state.write_u64(u64::from(kind) << 32 | u64::from(flags) << 16 | u64::from(limit));
        self.hash = state.finish();
        Some(())
    }
}

/// A plain question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainQuestion {
    /// The name in lower case.
    pub name: Vec<u8>,
    /// The type.
    pub kind: u16,
    /// Octets that the answer may have.
    pub limit: usize,
    /// What the client shows of earlier talk.
    pub cookie: Option<Cookie>,
}

/// What a datagram asks if it is a plain question. Says the same as
/// [`decode`](super::super::decode()), or nothing.
pub fn plain_question(query: &[u8]) -> Option<PlainQuestion> {
    let mut asked = Asked::new(true);
    asked.read_cookies(true);
    asked.read_plain(query, &RandomState::new())?;
    let Wishes { kind, limit, .. } = asked.wishes;
    Some(PlainQuestion {
        name: asked.name().to_vec(),
        kind,
        limit: limit.into(),
        cookie: asked.cookie,
    })
}

/// How long the uncompressed name is that bytes begin with.
fn name_bytes(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some(at);
        }
        at += length;
        if length > LABEL_BYTES_MAX || at >= NAME_BYTES_MAX {
            return None;
        }
    }
}

/// Reads an OPT record that is all of `bytes`: flags, the size of answers, and a cookie.
fn opt(bytes: &[u8]) -> Option<(u16, u16, Option<Cookie>)> {
    let (record, options) = bytes.split_first_chunk::<OPT_BYTES>()?;
    let [
        0,
        kind_high,
        kind_low,
        size @ ..,
        0,
        0,
        flags_high,
        flags_low,
        length_high,
        length_low,
    ] = *record
    else {
        return None;
    };
    if u16::from_be_bytes([kind_high, kind_low]) != OPT {
        return None;
    }
    if usize::from(u16::from_be_bytes([length_high, length_low])) != options.len() {
        return None;
    }
    let cookie = if options.is_empty() {
        None
    } else {
        Some(cookie(options)?)
    };
    let flags = u16::from_be_bytes([flags_high, flags_low]);
    if flags & !DNSSEC_OK != 0 {
        return None;
    }
    let dnssec = if flags == DNSSEC_OK { WANTS_DNSSEC } else { 0 };
    let size = usize::from(u16::from_be_bytes(size));
    let limit = size.clamp(UDP_PAYLOAD_PLAIN, UDP_PAYLOAD_MAX);
    Some((SPEAKS_EDNS | dnssec, u16::try_from(limit).ok()?, cookie))
}

/// Reads options that are one cookie.
fn cookie(options: &[u8]) -> Option<Cookie> {
    let (head, value) = options.split_first_chunk::<4>()?;
    let [code @ .., high, low] = *head;
    let is_alone =
        code == COOKIE_CODE && usize::from(u16::from_be_bytes([high, low])) == value.len();
    Cookie::read(value).filter(|_| is_alone)
}
