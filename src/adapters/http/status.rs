//! The one table from what went wrong to HTTP status codes and hints.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use crate::governance::device::{Death, NoChallenge};
use crate::governance::lease::LeaseRefusal;
use crate::governance::ticket::TicketRefusal;
use crate::index::devices::DeviceRefusal;
use crate::index::export::RestoreRefusal;
use crate::index::refusal::Refusal;
use crate::service::changes::{NoProposal, PlanError};
use crate::service::devices::DeviceError;
use crate::service::governor::ChangeError;
use crate::service::leases::LeaseError;

use super::audited::Reason;
use super::wire::ErrorBody;

/// What a refused input is told in; longer texts are not ours.
const REJECTION_BYTES_MAX: usize = 4_096;

/// A failed call.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: String,
    hint: Option<&'static str>,
}

impl Failure {
    /// A failure with a code of its own.
    pub(super) fn new(
        status: StatusCode,
        error: impl Into<String>,
        hint: Option<&'static str>,
    ) -> Self {
        Self {
            status,
            error: error.into(),
            hint,
        }
    }

    /// The call's input is wrong.
    pub(super) fn bad(error: impl Into<String>, hint: Option<&'static str>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: error.into(),
            hint,
        }
    }

    /// The call's input has not the right fields.
    pub(super) fn unfit(error: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            error: error.into(),
            hint: Some("docs/API.md and GET /v1/openapi.json say what the call takes"),
        }
    }

    /// What was asked for does not exist.
    pub(super) fn not_found(error: impl Into<String>, hint: Option<&'static str>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            error: error.into(),
            hint,
        }
    }

    /// The node failed.
    pub(super) fn internal(error: impl Into<String>) -> Self {
        let hint = Some("check the disk and the log; `kedge doctor` looks for causes");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: error.into(),
            hint,
        }
    }
}

impl Failure {
    /// The same, about the change with this number.
    pub(super) fn at(self, number: usize) -> Self {
        Self {
            error: format!("change {number}: {}", self.error),
            ..self
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let hint = self.hint.map(ToOwned::to_owned);
        (
            self.status,
            Extension(Reason(self.error.clone())),
            Json(ErrorBody {
                error: self.error,
                hint,
            }),
        )
            .into_response()
    }
}

/// Gives a failure that never reached an answer the body of all others: a wrong method, a query or
/// a body that does not parse.
pub(super) async fn in_json(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let (status, headers) = (response.status(), response.headers());
    let is_json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|is| is == "application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allowed = headers.get(ALLOW).cloned();
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, REJECTION_BYTES_MAX).await;
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let (error, hint) = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            ("the call has other methods", "docs/API.md lists the calls")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            text.as_ref(),
            "send JSON, and say so: content-type: application/json",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            (text.as_ref(), "docs/API.md says how large bodies may be")
        }
        _ => (
            text.as_ref(),
            "docs/API.md and GET /v1/openapi.json say what the call takes",
        ),
    };
    let failure = Failure {
        status,
        error: if error.is_empty() {
            status.to_string()
        } else {
            error.to_owned()
        },
        hint: Some(hint),
    };
    let mut response = failure.into_response();
    // Who called is said in them.
    response.extensions_mut().extend(parts.extensions);
    if let Some(allowed) = allowed {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Change(change) => change.into(),
            PlanError::NoPlace(_) => Self::not_found(
                error.to_string(),
                Some("`kedge scope list` shows what is held"),
            ),
            PlanError::Proposal(NoProposal::Unknown(_)) => Self::not_found(
                error.to_string(),
                Some("`kedge pending` shows what waits; `kedge log` what was decided"),
            ),
            PlanError::Proposal(_) => Self::bad(
                error.to_string(),
                Some("`kedge pending` shows what waits, `kedge scope show` the anchors"),
            ),
            PlanError::Misdirected(_) => Self::bad(error.to_string(), None),
            PlanError::Key(_) => Self::internal(error.to_string()),
            PlanError::Ticket(refusal) => refusal.into(),
        }
    }
}

impl From<TicketRefusal> for Failure {
    fn from(refusal: TicketRefusal) -> Self {
        let hint = match &refusal {
            TicketRefusal::Forged(_) | TicketRefusal::Stranger(_) => {
                "copy it whole, and ask whoever sent it; nothing was changed in the scope"
            }
            TicketRefusal::OtherNode { .. } => {
                "`kedge join --prepare SCOPE` prints what a ticket for this node is made from"
            }
            TicketRefusal::NoKey(_) => {
                "`kedge join --prepare SCOPE` makes such a key; was it made on another data directory?"
            }
            TicketRefusal::Used(_) => "`kedge anchor list SCOPE` shows the seats",
            TicketRefusal::OtherScope { .. } => {
                "a node holds one scope by a name: another data directory can hold the other"
            }
            TicketRefusal::Expired { .. }
            | TicketRefusal::Outdated { .. }
            | TicketRefusal::Group(_) => {
                "ask for another ticket: `kedge scope invite` makes it on a node of an anchor"
            }
        };
        Self::new(StatusCode::CONFLICT, refusal.to_string(), Some(hint))
    }
}

impl From<NoChallenge> for Failure {
    fn from(none: NoChallenge) -> Self {
        let (status, hint) = match none {
            NoChallenge::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "wait a minute; a device needs a proof only now and then",
            ),
            NoChallenge::Unknown => (StatusCode::CONFLICT, "ask for a new challenge"),
            NoChallenge::Other => (
                StatusCode::FORBIDDEN,
                "ask for a challenge and send its proof from the same address",
            ),
        };
        Self {
            status,
            error: none.to_string(),
            hint: Some(hint),
        }
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Challenge(none) => none.into(),
            DeviceError::Change(change) => change.into(),
            DeviceError::Store(_) => Self::internal(error.to_string()),
            DeviceError::Several(_) => {
                Self::bad(error.to_string(), Some("write more of its digits"))
            }
        }
    }
}

impl From<DeviceRefusal> for Failure {
    fn from(refusal: DeviceRefusal) -> Self {
        let (status, hint) = match refusal {
            DeviceRefusal::Stranger => (
                StatusCode::FORBIDDEN,
                "is this the device's newest file? `kedge device renew` makes another one",
            ),
            DeviceRefusal::Dead(Death::Broken) => (
                StatusCode::FORBIDDEN,
                "two copies of its file were used; find out whose the other is, then `kedge device \
                 renew`",
            ),
            DeviceRefusal::Dead(Death::Revoked) | DeviceRefusal::Revoked => (
                StatusCode::FORBIDDEN,
                "whoever governs the scope can enrol it anew with `kedge device enrol`",
            ),
            DeviceRefusal::NoSeat => (
                StatusCode::FORBIDDEN,
                "devices are kept where the scope's keys are",
            ),
            DeviceRefusal::Full => (
                StatusCode::CONFLICT,
                "`kedge device revoke` makes room for another one",
            ),
            DeviceRefusal::Unknown => (
                StatusCode::NOT_FOUND,
                "`kedge device list` shows the devices of a scope",
            ),
        };
        Self {
            status,
            error: refusal.to_string(),
            hint: Some(hint),
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        let text = error.to_string();
        match error {
            ChangeError::Refused(refusal) => {
                let status = match refusal {
                    Refusal::NoEntry(_)
                    | Refusal::NoVersion(..)
                    | Refusal::NotHere(_)
                    | Refusal::UnknownScope(_)
                    | Refusal::NoProposal => StatusCode::NOT_FOUND,
                    Refusal::Mirrored(_)
                    | Refusal::Author { .. }
                    | Refusal::Approvals { .. }
                    | Refusal::Quorum { .. }
                    | Refusal::Joint(_)
                    | Refusal::Quota { .. }
                    | Refusal::Trust { .. }
                    | Refusal::NoVoice
                    | Refusal::NotAuthor
                    | Refusal::Signature(_)
                    | Refusal::Seats => StatusCode::FORBIDDEN,
                    Refusal::Frozen { .. }
                    | Refusal::Stale { .. }
                    | Refusal::Epoch { .. }
                    | Refusal::Taken(_)
                    | Refusal::Voted(_)
                    | Refusal::Contradiction(_)
                    | Refusal::NoRecovery(_)
                    | Refusal::NotDue(_)
                    | Refusal::Recovered
                    | Refusal::Vetoed(_)
                    | Refusal::Impact { .. } => StatusCode::CONFLICT,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                Self {
                    status,
                    error: text,
                    hint: hint(&refusal),
                }
            }
            ChangeError::Restore(refusal) => {
                let (status, hint) = restore(&refusal);
                Self {
                    status,
                    error: text,
                    hint,
                }
            }
            ChangeError::Device(refusal) => refusal.into(),
            ChangeError::Signer(_) => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                error: text,
                hint: Some("`kedge doctor` asks the signer; nothing was changed"),
            },
            ChangeError::Store(_) => Self::internal(text),
            ChangeError::Busy | ChangeError::Stopping => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                error: text,
                hint: Some("try again in a moment"),
            },
        }
    }
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        let text = error.to_string();
        let (status, hint) = match &error {
            LeaseError::Refused(refusal) => lease(refusal),
            LeaseError::Store(_) => return Self::internal(text),
            LeaseError::Busy | LeaseError::Stopping => (
                StatusCode::SERVICE_UNAVAILABLE,
                Some("try again in a moment"),
            ),
        };
        Self {
            status,
            error: text,
            hint,
        }
    }
}

fn lease(refusal: &LeaseRefusal) -> (StatusCode, Option<&'static str>) {
    match refusal {
        LeaseRefusal::NoService(_) | LeaseRefusal::NoInstance(_) => (
            StatusCode::NOT_FOUND,
            Some("`kedge name put` registers a name, `kedge lease list NAME` shows its instances"),
        ),
        LeaseRefusal::Signature(_) => (StatusCode::FORBIDDEN, None),
        LeaseRefusal::NotGranted(_) => (
            StatusCode::FORBIDDEN,
            Some("an anchor may, and a key with a grant: `kedge grant add SCOPE --deeds announce`"),
        ),
        LeaseRefusal::Scope { .. } | LeaseRefusal::Sequence { .. } => (
            StatusCode::CONFLICT,
            Some("look the service up again, then announce anew"),
        ),
        LeaseRefusal::Held { .. } => (
            StatusCode::CONFLICT,
            Some("another key may drain, resume or end it, but not put it elsewhere"),
        ),
        LeaseRefusal::WouldBeEmpty { .. } => (
            StatusCode::CONFLICT,
            Some("say --may-empty if the service shall answer with no instance"),
        ),
        LeaseRefusal::Clock { .. } | LeaseRefusal::Expired { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("set the clocks of the announcer's and this machine"),
        ),
        LeaseRefusal::Address(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("loopback and link-local addresses need [leases] local-addresses = true"),
        ),
        LeaseRefusal::Check(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Some("[leases] check lists the networks in which instances are checked"),
        ),
        LeaseRefusal::Alias
        | LeaseRefusal::Port
        | LeaseRefusal::SequenceAhead { .. }
        | LeaseRefusal::Lifetime { .. }
        | LeaseRefusal::Full { .. } => (StatusCode::UNPROCESSABLE_ENTITY, None),
    }
}

/// What is wrong with an export is the caller's; what does not fit this node is refused.
fn restore(refusal: &RestoreRefusal) -> (StatusCode, Option<&'static str>) {
    let (status, hint) = match refusal {
        RestoreRefusal::File(_) | RestoreRefusal::Frame { .. } => (
            StatusCode::BAD_REQUEST,
            "nothing was changed; copy the file again, or export anew",
        ),
        RestoreRefusal::Fork { .. } => (
            StatusCode::CONFLICT,
            "nothing was changed; the scope's keys decided both, so find out which one holds",
        ),
        RestoreRefusal::Misplaced { .. } | RestoreRefusal::NotDelegated(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "nothing was changed; --as is the name that the scope has on this node, or --apex \
             makes a root one",
        ),
        RestoreRefusal::Rules { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "nothing was changed; a scope that took entries from others needs those first: export \
             the whole tree with --tree",
        ),
        RestoreRefusal::Scope { .. } | RestoreRefusal::Order { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "nothing was changed; export anew",
        ),
    };
    (status, Some(hint))
}

fn hint(refusal: &Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::Taken(_) => "`kedge name get` shows what is there; retire or rename it first",
        Refusal::Stale { .. } => {
            "look at it again with `kedge name get`, then repeat the change if it still fits"
        }
        Refusal::Epoch { .. } => {
            "look at it again with `kedge scope show`, then repeat the change if it still fits"
        }
        Refusal::NoRecovery(_) => "`kedge scope recovery announce` comes first",
        Refusal::NotDue(_) => "until then the scope's own anchors can object by any change",
        Refusal::Vetoed(_) => "`kedge scope recovery abandon` takes the announcement back",
        Refusal::TooSoon { .. } => "make the offer again, with a longer `--after`",
        Refusal::NoEntry(_) => "`kedge name put` registers a name",
        Refusal::WouldBeEmpty(_) => {
            "say --may-empty to leave the name without records, or `kedge name retire` to end it"
        }
        Refusal::NotBound { .. } | Refusal::Occluded { .. } => {
            "`kedge explain NAME` shows where the name leads"
        }
        Refusal::Ttl { .. } => "`kedge scope policy SCOPE` shows and sets the bounds",
        Refusal::Mirrored(_) => {
            "propose at a node that governs it: `kedge mirror list` shows where this one follows it"
        }
        Refusal::Frozen { .. } => "`kedge doctor` names both blocks; somebody signed twice",
        Refusal::Quorum { .. } => "the scope's keys must be in this node's keys directory",
        Refusal::Author { .. } => {
            "a key needs a seat or a grant: `kedge anchor list`, `kedge grant list`"
        }
        Refusal::Impact { .. } => "`kedge pending ID` shows the present impact; vote on that",
        Refusal::Clock { .. } => "set the clocks of the author's and this machine",
        Refusal::Quota { .. } => "the quota starts anew at midnight UTC",
        Refusal::Approvals { .. } | Refusal::Delayed { .. } => {
            "a move between scopes happens at once; it needs scopes whose author decides"
        }
        Refusal::NamesBelow { .. } => "say --subtree to take them along",
        _ => return None,
    })
}
