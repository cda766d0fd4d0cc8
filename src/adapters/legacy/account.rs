//! `Account`: what one question may still cost, and what was learnt of the servers while it was resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::{DnsResponse, Query};
use hickory_resolver::proto::rr::Name;

use crate::resolution::legacy::LegacyFailure;

/// Zones whose other servers are looked for, for one question: what it needs is rarely broken in more
/// places, and who breaks it on purpose shall not send us far.
const DETOURS_MAX: u32 = 6;

tokio::task_local! {
    static ACCOUNT: Account;
}

/// What one question may still cost.
#[derive(Debug, Clone)]
pub(super) struct Account {
    wanted: Arc<AtomicU32>,
    queries_max: u32,
    /// Whether the last server asked said nothing.
    is_silent: Arc<AtomicBool>,
    learnt: Arc<Mutex<Learnt>>,
}

/// A question's name and type.
type Asked = (Name, u16);

/// What was learnt on the way.
#[derive(Debug, Default)]
struct Learnt {
    /// Who answered last, by question. Not more than were asked.
    sources: BTreeMap<Asked, IpAddr>,
    /// Who is not asked a question again.
    aside: BTreeSet<(Asked, IpAddr)>,
    /// Whether a server answered that has no authority, and whether that would do.
    hearsay: Hearsay,
    /// Who was asked what.
    asked: BTreeSet<(Asked, IpAddr)>,
    /// Searches for other servers of a zone, and whether one is under way.
    detours: u32,
    is_on_detour: bool,
    /// Why the first answer was bogus, while another one is looked for.
    bogus: Option<LegacyFailure>,
}

/// What is made of answers without authority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Hearsay {
    /// There was none.
    #[default]
    None,
    /// There was one, and other servers were asked.
    Refused,
    /// Others had nothing better.
    Accepted,
}

impl Account {
    /// An account for so many messages.
    pub(super) fn new(queries_max: u32) -> Self {
        Self {
            wanted: Arc::default(),
            queries_max,
            is_silent: Arc::default(),
            learnt: Arc::default(),
        }
    }

    /// Runs a future at the expense of this account.
    pub(super) async fn pay<F: Future>(&self, future: F) -> F::Output {
        ACCOUNT.scope(self.clone(), future).await
    }

    /// Whether more was wanted than there was.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > self.queries_max
    }

    /// Whether the last server that was asked said nothing. The recursor has only words for it.
    pub(super) fn ends_in_silence(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    /// Notes whether a server said something.
    pub(super) fn note(answer: &Result<DnsResponse, NetError>) {
        let is_silence = matches!(answer, Err(NetError::Timeout));
        let _ = ACCOUNT.try_with(|account| account.is_silent.store(is_silence, Ordering::Relaxed));
    }

    /// Takes one message, to a server, from the account of the present question.
    pub(super) fn charge(query: &Query, server: IpAddr) -> bool {
        let charged = ACCOUNT.try_with(|account| {
            let is_paid = account.wanted.fetch_add(1, Ordering::Relaxed) < account.queries_max;
            if is_paid {
                account.lock().asked.insert((asked(query), server));
            }
            is_paid
        });
        // Nobody asks without an account; if somebody did, it would have nothing to spend.
        charged.unwrap_or(false)
    }

    /// Whether the present question got all that it asked for so far.
    pub(super) fn is_in_order() -> bool {
        let is_in_order = |account: &Self| !account.ends_in_silence() && !account.is_overdrawn();
        ACCOUNT.try_with(is_in_order).unwrap_or(false)
    }

    /// Remembers why the first answer was bogus: without a better one, that is what is said, whatever
    /// became of looking for one.
    pub(super) fn note_bogus(failure: LegacyFailure) {
        let _ = ACCOUNT.try_with(|account| {
            account.lock().bogus.get_or_insert(failure);
        });
    }

    /// Why the first answer was bogus, if it was.
    pub(super) fn bogus(&self) -> Option<LegacyFailure> {
        self.lock().bogus.clone()
    }

    /// Whether an answer without authority will do. If not, it is remembered that there was one.
    pub(super) fn accepts_hearsay() -> bool {
        let accepts = ACCOUNT.try_with(|account| {
            let hearsay = &mut account.lock().hearsay;
            if *hearsay == Hearsay::None {
                *hearsay = Hearsay::Refused;
            }
            *hearsay == Hearsay::Accepted
        });
        accepts.unwrap_or(false)
    }

    /// Whether answers without authority do already.
    pub(super) fn has_accepted_hearsay() -> bool {
        let has_accepted = |account: &Self| account.lock().hearsay == Hearsay::Accepted;
        ACCOUNT.try_with(has_accepted).unwrap_or(false)
    }

    /// Where nobody else had an answer, one without authority will do from now on. Says whether there was
    /// one that was refused.
    pub(super) fn accept_hearsay() -> bool {
        let was_refused = ACCOUNT.try_with(|account| {
            let hearsay = &mut account.lock().hearsay;
            if *hearsay != Hearsay::None {
                *hearsay = Hearsay::Accepted;
            }
            *hearsay != Hearsay::None
        });
        was_refused.unwrap_or(false)
    }

    /// Remembers whose answer is used.
    pub(super) fn came_from(query: &Query, server: IpAddr) {
        let _ = ACCOUNT.try_with(|account| account.lock().sources.insert(asked(query), server));
    }

    /// Has a question asked of another server than the one whose answer was used last; none if that is
    /// not known.
    pub(super) fn set_aside(query: &Query) -> Option<IpAddr> {
        let aside = ACCOUNT.try_with(|account| {
            let mut learnt = account.lock();
            let server = learnt.sources.remove(&asked(query))?;
            learnt.aside.insert((asked(query), server));
            Some(server)
        });
        aside.ok().flatten()
    }

    /// Whether a server is not to be asked a question again.
    pub(super) fn is_aside(query: &Query, server: IpAddr) -> bool {
        let is_aside = ACCOUNT.try_with(|account| {
            let learnt = account.lock();
            !learnt.aside.is_empty() && learnt.aside.contains(&(asked(query), server))
        });
        is_aside.unwrap_or(false)
    }

    /// Whether a server was asked a question already.
    pub(super) fn was_asked(query: &Query, server: IpAddr) -> bool {
        let was_asked = ACCOUNT.try_with(|account| {
            let learnt = account.lock();
            learnt.asked.contains(&(asked(query), server))
        });
        was_asked.unwrap_or(false)
    }

    /// Begins to look for other servers of a zone, if that may be done once more and is not being done.
    pub(super) fn begin_detour() -> bool {
        let begins = ACCOUNT.try_with(|account| {
            let mut learnt = account.lock();
            if learnt.is_on_detour || learnt.detours == DETOURS_MAX {
                return false;
            }
            learnt.detours += 1;
            learnt.is_on_detour = true;
            true
        });
        begins.unwrap_or(false)
    }

    /// What looking for other servers found is being asked, or nothing was found.
    pub(super) fn end_detour() {
        let _ = ACCOUNT.try_with(|account| account.lock().is_on_detour = false);
    }

    fn lock(&self) -> MutexGuard<'_, Learnt> {
        // It is whole between any two statements.
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn asked(query: &Query) -> Asked {
    (query.name.clone(), u16::from(query.query_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::RecordType;

    #[tokio::test]
    async fn a_server_is_set_aside_for_the_question_that_it_answered() {
        let query = |text: &str| Query::query(Name::from_ascii(text).unwrap(), RecordType::A);
        let server = IpAddr::from([192, 0, 2, 1]);
        Account::new(1)
            .pay(async {
                assert_eq!(Account::set_aside(&query("a.")), None);
                Account::came_from(&query("a."), server);
                assert!(!Account::is_aside(&query("a."), server));
                assert_eq!(Account::set_aside(&query("A.")), Some(server));
                assert!(Account::is_aside(&query("a."), server));
                assert!(!Account::is_aside(&query("b."), server));
                // It has answered nothing since.
                assert_eq!(Account::set_aside(&query("a.")), None);
            })
            .await;
        assert!(!Account::is_aside(&query("a."), server));
    }
}
