//! `Answer`: what a question came to. One table in the DNS adapter makes it a response code.

use std::fmt;

use crate::namespace::record::Record;

/// What became of a question. Absence, refusal and failure are never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Records of the type, or a referral.
    Found,
    /// The name exists, the type does not.
    NoData,
    /// No such name.
    Absent,
    /// The name ended and nothing shall answer instead.
    Retired,
    /// Policy says no in the words of an absence; never an absence to the other side.
    Hidden,
    /// Policy says no.
    Refused,
    /// The question is not ours to answer: no recursion for this client, or not wanted.
    NotOurs,
    /// A scope that is not held here could not be asked.
    Unreachable,
    /// A DNAME made the name too long (RFC 6672 section 2.2).
    TooLong,
    /// Legacy DNS gave no usable reply.
    LegacyFailed,
    /// Legacy DNS gave a reply that validation here found wrong.
    Bogus,
    /// The store or the program failed.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Found => "found",
            Self::NoData => "no data",
            Self::Absent => "absent",
            Self::Retired => "retired",
            Self::Hidden => "hidden",
            Self::Refused => "refused",
            Self::NotOurs => "not ours",
            Self::Unreachable => "unreachable",
            Self::TooLong => "too long",
            Self::LegacyFailed => "legacy failed",
            Self::Bogus => "bogus",
            Self::Failed => "failed",
        })
    }
}

/// Which side an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The governed index.
    Governed,
    /// A zone file.
    Zone,
    /// Legacy DNS, forwarded or asked from its root down.
    Legacy,
    /// Built in: special-use names.
    BuiltIn,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Governed => "governed",
            Self::Zone => "zone file",
            Self::Legacy => "legacy",
            Self::BuiltIn => "built in",
        })
    }
}

/// An extended error (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedError {
    /// The info code.
    pub code: u16,
    /// The text for people.
    pub text: String,
}

/// Info codes of RFC 8914 that are used here.
pub mod ede {
    /// Stale Answer.
    pub const STALE: u16 = 3;
    /// DNSSEC Bogus.
    pub const BOGUS: u16 = 6;
    /// Signature Expired.
    pub const SIGNATURE_EXPIRED: u16 = 7;
    /// Signature Not Yet Valid.
    pub const SIGNATURE_NOT_YET_VALID: u16 = 8;
    /// DNSKEY Missing: no key of the zone is one that the parent names.
    pub const DNSKEY_MISSING: u16 = 9;
    /// RRSIGs Missing: no signature, or policy wants validated data and this is not.
    pub const RRSIGS_MISSING: u16 = 10;
    /// NSEC Missing: no proof of an absence.
    pub const NSEC_MISSING: u16 = 12;
    /// Cached Error: the failure is one that is remembered.
    pub const CACHED_ERROR: u16 = 13;
    /// Prohibited.
    pub const PROHIBITED: u16 = 18;
    /// Stale NXDOMAIN Answer.
    pub const STALE_NXDOMAIN: u16 = 19;
    /// Not Authoritative: recursion was not desired.
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// No Reachable Authority.
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// Network Error.
    pub const NETWORK_ERROR: u16 = 23;
    /// Other Error.
    pub const OTHER: u16 = 0;
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What became of the question.
    pub outcome: Outcome,
    /// AA: the first owner name is ours.
    pub authoritative: bool,
    /// AD: every record came from legacy DNS and was validated, there or here.
    pub authentic: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section without OPT.
    pub additionals: Vec<Record>,
    /// Extended errors.
    pub errors: Vec<ExtendedError>,
    /// Where the last part of the answer came from.
    pub side: Side,
}

impl Answer {
    /// An answer without records.
    pub fn empty(outcome: Outcome, side: Side) -> Self {
        Self {
            outcome,
            authoritative: false,
            authentic: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            errors: Vec::new(),
            side,
        }
    }

    /// The answer with an extended error.
    #[must_use]
    pub fn with_error(mut self, code: u16, text: impl Into<String>) -> Self {
        self.errors.push(ExtendedError {
            code,
            text: text.into(),
        });
        self
    }
}
