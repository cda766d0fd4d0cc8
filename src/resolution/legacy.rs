//! What is asked of legacy DNS and what comes back.

use std::fmt;

use crate::namespace::name::Name;
use crate::namespace::record::Record;
use crate::namespace::rtype::RecordType;

/// A question for legacy DNS, class IN, with the wishes that change the answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegacyQuestion {
    /// The name.
    pub name: Name,
    /// The type.
    pub kind: RecordType,
    /// DO: signatures are wanted (RFC 3225).
    pub dnssec_ok: bool,
    /// CD: the upstream shall not validate (RFC 4035 section 3.2.2).
    pub checking_disabled: bool,
}

/// The response codes that carry an answer; every other code is a [`LegacyFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyCode {
    /// NOERROR: the name exists, or a CNAME leads on.
    NoError,
    /// NXDOMAIN: the last name of the chain does not exist.
    NxDomain,
}

impl fmt::Display for LegacyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoError => "NOERROR",
            Self::NxDomain => "NXDOMAIN",
        })
    }
}

/// A usable reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyReply {
    /// NOERROR or NXDOMAIN.
    pub code: LegacyCode,
    /// AD: the upstream says that it validated the answer.
    pub authentic: bool,
    /// The answer section, in the upstream's order.
    pub answers: Vec<Record>,
    /// The authority section: the SOA of a negative answer, proofs when DO was set.
    pub authorities: Vec<Record>,
    /// The additional section without OPT.
    pub additionals: Vec<Record>,
}

/// What was wrong with data that must be signed and is not validly so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A signature or a proof of absence does not hold.
    Wrong,
    /// Every signature ended before now.
    Expired,
    /// Every signature begins after now.
    NotYetValid,
    /// The parent names keys and none of the zone's keys is one of them.
    NoKey,
    /// There is no signature.
    NoSignature,
    /// There is no proof of the absence.
    NoProof,
}

/// Why legacy DNS gave no usable reply. Never an absence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LegacyFailure {
    /// There is no upstream for this name.
    #[error("no upstream is configured for this name")]
    NoUpstream,
    /// No upstream answered before the deadline.
    #[error("no upstream answered in time")]
    Timeout,
    /// No upstream could be reached.
    #[error("no upstream could be reached: {0}")]
    Unreachable(String),
    /// An upstream answered with an error code.
    #[error("upstream {upstream} answered {rcode}")]
    Code {
        /// The upstream's address, or a dash when several were asked.
        upstream: String,
        /// The response code's mnemonic, or what else made the reply no answer.
        rcode: String,
    },
    /// The answer came, and validation here found it wrong (RFC 4035 section 4.3).
    #[error("{text}")]
    Bogus {
        /// What was wrong.
        flaw: Flaw,
        /// Which records, for people.
        text: String,
    },
    /// An upstream says that there is nothing where there were records until just now, and it is not
    /// believed yet.
    #[error(
        "upstream {upstream} answered {code}, without records, for what had records until just now"
    )]
    SuddenlyEmpty {
        /// The upstream's address.
        upstream: String,
        /// What it said.
        code: LegacyCode,
    },
    /// No authority of the name gave anything that can be used.
    #[error("no authority could be asked: {0}")]
    NoAuthority(String),
    /// Resolving the name would take too many messages.
    #[error("resolving this takes more than {0} messages")]
    TooCostly(u32),
    /// Too many legacy questions are waiting already.
    #[error("too many legacy questions are waiting")]
    Overloaded,
}
