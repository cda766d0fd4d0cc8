//! Answers that are better than none, and say so.

use crate::base::time::Ttl;
use crate::resolution::answer::{Answer, Outcome, ede};

use super::legacy_cache::STALE_TTL_SECS;

/// An answer made of what may not hold any more, and says so (RFC 8767, RFC 8914).
pub(super) fn stale(mut answer: Answer) -> Answer {
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
        _ => return answer,
    };
    answer.with_error(
        code,
        "no node that holds the scope could be asked; this answer is stale",
    )
}
