//! `Question`: what a client asks, already parsed.

use std::net::IpAddr;

use crate::base::identity::Identity;
use crate::base::time::Timestamp;
use crate::governance::predicate::Transport;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;

/// A question of class IN with the wishes that change its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub kind: RecordType,
    /// RD: the client wants names that are not ours resolved too.
    pub recursion_desired: bool,
    /// DO: signatures are wanted.
    pub dnssec_ok: bool,
    /// CD: the client validates by itself.
    pub checking_disabled: bool,
    /// Where the client is.
    pub caller: Option<IpAddr>,
    /// How the question came.
    pub transport: Option<Transport>,
    /// When it came.
    pub time: Option<Timestamp>,
    /// Scopes of which the client counts as having shown a device, when somebody tries that.
    pub devices: Vec<ScopeUid>,
    /// The key that signed it.
    pub key: Option<Name>,
    /// Who the client is by its certificate.
    pub certificate: Option<Identity>,
    /// Whether the access lists let this client ask legacy DNS through us.
    pub may_recurse: bool,
}
