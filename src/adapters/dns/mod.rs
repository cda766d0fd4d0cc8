//! DNS on the wire: datagrams and streams to questions, answers to replies.

mod compose;
mod decode;
mod kept;
mod rcode;
mod responder;
mod tcp;
mod tsig;
mod udp;

pub use decode::{Decoded, Edns, Request, decode};
pub use kept::{SharedAnswers, WireAnswers, plain_question};
pub use responder::{Later, Line, Reply, Responder, Transport};
pub use tcp::{Connections, Door, Frames, TcpLimits, serve_tcp};
pub use tsig::{BadTsigAlgorithm, BadTsigKey, TsigAlgorithm, TsigKeys, TsigKeysInForce};
pub use udp::{UdpDoor, UdpThreads, UdpWork};
