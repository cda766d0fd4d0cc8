//! Answers that are better than none, and say so.

use crate::base::time::{Timestamp, Ttl};
use crate::index::freshness::Freshness;
use crate::resolution::answer::{Answer, ExtendedError, Outcome, ede};

use super::freshness::{Due, worse};
use super::legacy_cache::STALE_TTL_SECS;
use super::resolver::Begun;

/// Why what an answer was made from may not hold any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Doubts {
    /// Something of a scope that is not held is past its time.
    is_past: bool,
    /// A scope that is followed may have been overtaken.
    due: Option<Due>,
}

impl Doubts {
    /// These, and what another step came upon.
    pub(super) fn and(self, is_past: bool, due: Option<Due>) -> Self {
        Self {
            is_past: self.is_past || is_past,
            due: worse(self.due, due),
        }
    }

    /// Ends with an answer that says what is in doubt (RFC 8767, RFC 8914).
    pub(super) fn done(self, mut answer: Box<Answer>, now: impl Fn() -> Timestamp) -> Begun {
        self.tell(&mut answer, now);
        Begun::Done(answer)
    }

    fn tell(self, answer: &mut Answer, now: impl Fn() -> Timestamp) {
        if self == Self::default() {
            return;
        }
        let Some((freshness, as_of)) = self.due else {
            let text = "no node that holds the scope could be asked; this answer is stale";
            stale(answer, text.to_owned());
            return;
        };
        let age_secs = now().millis_since(as_of) / 1_000;
        let last = format!("a scope on the way was confirmed last {age_secs} s ago");
        if freshness == Freshness::Expired && answer.outcome == Outcome::Unreachable {
            let errors = answer.errors.iter_mut();
            for error in errors.filter(|error| error.code == ede::NO_REACHABLE_AUTHORITY) {
                error.text = format!("{last}; it is not served any more");
            }
        } else {
            stale(answer, format!("{last}; this answer is stale"));
        }
    }
}

/// Makes an answer one of what may not hold any more.
fn stale(answer: &mut Answer, text: String) {
    let ttl = Ttl::from_secs(STALE_TTL_SECS);
    let sections = [
        &mut answer.answers,
        &mut answer.authorities,
        &mut answer.additionals,
    ];
    for record in sections.into_iter().flatten() {
        record.ttl = record.ttl.min(ttl);
    }
    let code = match answer.outcome {
        Outcome::Absent | Outcome::Retired | Outcome::Hidden => ede::STALE_NXDOMAIN,
        Outcome::Found | Outcome::NoData => ede::STALE,
        _ => return,
    };
    answer.errors.push(ExtendedError { code, text });
}
