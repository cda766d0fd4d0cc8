//! DNS on the wire: datagrams and streams to questions, answers to replies.

mod compose;
mod decode;
mod guard;
mod https;
mod kept;
mod quic;
mod rcode;
mod responder;
mod tcp;
mod tsig;
mod udp;

pub use crate::telemetry::transport::Transport;
pub use decode::{Decoded, Edns, Request, decode};
pub use guard::{
    BadCookieSecrets, Cookie, CookieSecrets, Guard, GuardInForce, GuardParts, GuardPlan,
    GuardStats, Limits, Places, RATE_MAX, Rates, TakenPlace,
};
pub use https::{BadTarget, HTTPS_PROTOCOLS, HttpRules, Target};
pub use kept::{PlainQuestion, SharedAnswers, WireAnswers, plain_question};
pub use quic::{OneQuery, QUIC_PROTOCOLS, QueryFault, QuicDoor, QuicSocket, serve_quic};
pub use responder::{Later, Line, Reply, Responder};
pub use tcp::{Connections, Door, Frames, Speech, TcpLimits, serve_tcp};
pub use tsig::{BadTsigAlgorithm, BadTsigKey, TsigAlgorithm, TsigKeys, TsigKeysInForce};
pub use udp::{UdpDoor, UdpThreads, UdpWork};
