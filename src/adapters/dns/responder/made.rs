//! What messages come to: replies at once, refusals, and replies that wait.

use std::net::SocketAddr;
use std::sync::Arc;

use domain::base::iana::OptRcode;
use tokio::time::Instant;

use crate::base::identity::Identity;
use crate::resolution::keeping::Keeping;
use crate::resolution::trail::Trail;
use crate::service::query_log::Why;
use crate::service::resolver::Pending;
use crate::telemetry::answers::{Account, Counts, Dropped, Refusal};
use crate::telemetry::transport::Transport;

use super::super::compose::Manner;
use super::super::decode::Request;
use super::super::guard::Seen;
use super::super::tsig::{Seal, Signature};

/// What a message came to.
#[derive(Debug)]
pub enum Reply {
    /// Nothing is sent.
    None,
    /// These bytes are sent.
    Ready(Vec<u8>),
    /// Legacy DNS has to be asked first.
    Later(Box<Later>),
}

/// What is written down of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Noting {
    /// Nothing.
    Nothing,
    /// Why its answer is what it is, for those who get it again.
    Why,
    /// A line in the query log.
    Line,
}

impl Noting {
    pub(super) const fn trail(self) -> Trail {
        match self {
            Self::Nothing => Trail::off(),
            Self::Why | Self::Line => Trail::on(),
        }
    }
}

/// What a message came to, with what is kept and counted of it.
pub(in super::super) struct Made {
    pub(in super::super) reply: Reply,
    /// What the answer hangs on, if it may be kept.
    pub(in super::super) keeping: Option<Keeping>,
    /// None where nothing is sent, or not yet.
    pub(in super::super) account: Option<Account>,
    /// Why it is what it is, where that is noted.
    pub(in super::super) why: Option<Arc<Why>>,
    /// Whether the address that it came from is its client's.
    pub(in super::super) is_known: bool,
}

/// A message for which nothing was looked up.
pub(super) struct Refused {
    reply: Option<Vec<u8>>,
    account: Option<Account>,
}

impl Refused {
    /// Nothing is sent.
    pub(super) const SILENTLY: Self = Self {
        reply: None,
        account: None,
    };

    pub(super) fn with(reply: Option<Vec<u8>>, why: Refusal, code: OptRcode) -> Self {
        let account = reply.as_ref().map(|_| Account::refused(why, code.to_int()));
        Self { reply, account }
    }
}

impl From<Refused> for Made {
    fn from(refused: Refused) -> Self {
        Self {
            reply: sent(refused.reply),
            keeping: None,
            why: refused
                .account
                .map(|account| Arc::new(Why::refused(account.refusal))),
            account: refused.account,
            is_known: false,
        }
    }
}

impl Made {
    pub(super) fn waiting(later: Later) -> Self {
        Self {
            reply: Reply::Later(Box::new(later)),
            keeping: None,
            account: None,
            why: None,
            is_known: false,
        }
    }

    /// Counts it, unless it waits.
    pub(in super::super) fn count(&self, counts: &Counts) {
        match (&self.reply, self.account) {
            (_, Some(account)) => counts.made(account),
            (Reply::None, None) => counts.dropped(Dropped::NoQuestion),
            (Reply::Ready(_) | Reply::Later(_), None) => {}
        }
    }
}

/// A reply that waits for legacy DNS.
#[derive(Debug)]
pub struct Later {
    pub(super) waiting: Waiting,
    pub(super) pending: Pending,
}

/// Whose question waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) query: Vec<u8>,
    pub(super) request: Request,
    pub(super) transport: Transport,
    pub(super) idle: Option<u16>,
    pub(super) recursion_available: bool,
    pub(super) signature: Option<Signature>,
    pub(super) seen: Option<Seen>,
    pub(super) began: Instant,
    /// Its way so far, if a line is to be written.
    pub(super) trail: Option<Trail>,
}

impl Waiting {
    /// How its reply goes out.
    pub(super) fn manner<'s>(&self, seal: Option<&'s Seal>) -> Manner<'s> {
        Manner {
            recursion_available: self.recursion_available,
            transport: self.transport,
            idle: self.idle,
            seal,
            cookie: self.seen.map(|seen| seen.reply),
        }
    }

    /// Whether the address that it came from is its client's.
    pub(super) fn is_known(&self) -> bool {
        self.signature.is_some() || self.seen.is_some_and(|seen| seen.is_known())
    }
}

/// Where a message came from and how.
#[derive(Debug, Clone, Copy)]
pub struct Line<'c> {
    /// The client's address.
    pub from: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// Who the client is by its certificate.
    pub certificate: Option<&'c Identity>,
    /// How long the connection may be idle, in units of 100 ms; none for a datagram.
    pub idle: Option<u16>,
}

impl Line<'_> {
    /// That of a client who is known by its address alone.
    pub const fn plain(from: SocketAddr, transport: Transport) -> Self {
        Self {
            from,
            transport,
            certificate: None,
            idle: None,
        }
    }

    /// How what is said over it looks, before anything is known of the question.
    pub(super) fn manner<'s>(&self, seal: Option<&'s Seal>, seen: Option<&Seen>) -> Manner<'s> {
        Manner {
            recursion_available: false,
            transport: self.transport,
            idle: self.idle,
            seal,
            cookie: seen.map(|seen| seen.reply),
        }
    }
}

pub(super) fn sent(bytes: Option<Vec<u8>>) -> Reply {
    bytes.map_or(Reply::None, Reply::Ready)
}

/// Why a message is refused with a code before anything else is known of it.
pub(super) fn why_refused(code: OptRcode) -> Refusal {
    match code {
        OptRcode::NOTIMP => Refusal::NotImplemented,
        OptRcode::BADVERS => Refusal::Version,
        OptRcode::REFUSED => Refusal::NotServed,
        _ => Refusal::Malformed,
    }
}
