//! The one table from outcomes to response codes.

use domain::base::iana::OptRcode;

use crate::resolution::answer::Outcome;

/// The response code of an outcome.
pub(super) fn rcode(outcome: Outcome) -> OptRcode {
    match outcome {
        Outcome::Found | Outcome::NoData => OptRcode::NOERROR,
        Outcome::Absent | Outcome::Retired | Outcome::Hidden => OptRcode::NXDOMAIN,
        Outcome::Refused | Outcome::NotOurs => OptRcode::REFUSED,
        Outcome::TooLong => OptRcode::YXDOMAIN,
        Outcome::Unreachable | Outcome::LegacyFailed | Outcome::Bogus | Outcome::Failed => {
            OptRcode::SERVFAIL
        }
    }
}
