//! `Made`: what a message came to, with what is kept, counted and noted of it.

use std::sync::Arc;

use domain::base::iana::OptRcode;

use crate::resolution::keeping::Keeping;
use crate::resolution::trail::Trail;
use crate::service::query_log::Why;
use crate::telemetry::answers::{Account, Counts, Dropped, Refusal};

use super::responder::{Later, Reply};

/// What is written down of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noting {
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
pub(super) struct Made {
    pub(super) reply: Reply,
    /// What the answer hangs on, if it may be kept.
    pub(super) keeping: Option<Keeping>,
    /// None where nothing is sent, or not yet.
    pub(super) account: Option<Account>,
    /// Why it is what it is, where that is noted.
    pub(super) why: Option<Arc<Why>>,
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
        }
    }

    /// Counts it, unless it waits.
    pub(super) fn count(&self, counts: &Counts) {
        match (&self.reply, self.account) {
            (_, Some(account)) => counts.made(account),
            (Reply::None, None) => counts.dropped(Dropped::NoQuestion),
            (Reply::Ready(_) | Reply::Later(_), None) => {}
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
