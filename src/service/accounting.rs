//! What of an answer is counted.

use crate::namespace::scope::ScopeUid;
use crate::resolution::answer::{Answer, Outcome, Side};
use crate::resolution::trail::Trail;
use crate::telemetry::Telemetry;
use crate::telemetry::answers::{Account, Refusal, Route};

/// The account of an answer with its way and its response code.
pub(super) fn account(
    telemetry: &Telemetry,
    (trail, answer, rcode): (&Trail, &Answer, u16),
    is_held: impl FnOnce(&ScopeUid) -> bool,
) -> Account {
    let route = match (answer.outcome, answer.side) {
        // Who asks is not served that: nobody looked the name up.
        (Outcome::NotOurs, _) => return Account::refused(Refusal::Recursion, rcode),
        (_, Side::Governed) => Route::Governed,
        (_, Side::Zone) => Route::Zone,
        (_, Side::Legacy) => Route::Legacy,
        (_, Side::BuiltIn) => Route::BuiltIn,
    };
    let mut account = Account::of(route, rcode);
    if let (Route::Governed, Some(scope)) = (route, trail.scope()) {
        account.scope = telemetry.scopes().slot(&scope, || is_held(&scope));
    }
    account
}
