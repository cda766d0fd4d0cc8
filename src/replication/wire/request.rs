//! `Request`: what a node asks another one.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::index::pending::Pending;
use crate::index::place::Apex;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;
use crate::replication::ordering::Message;

use super::{
    BEACONS_REPLY_BYTES_MAX, BeaconWish, Head, Hello, LEASES_REPLY_BYTES_MAX,
    LINKS_REPLY_BYTES_MAX, LeaseMark, PROOF_REPLY_BYTES_MAX, Plea, REPLY_BYTES_MAX,
    SCOPES_PER_REQUEST_MAX, TooNew, WIRE_VERSION_FIRST,
};

/// A question to a node, or a word to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The first one of a connection.
    Hello(Hello),
    /// Where these scopes stand.
    Heads(Vec<ScopeUid>),
    /// Blocks of a scope in order, each with what belongs to it.
    Links {
        /// The scope.
        scope: ScopeUid,
        /// The height of the first one.
        from: u64,
        /// At most so many.
        count: u16,
    },
    /// Scopes that went on. A hint, for whoever follows them.
    Announce(Vec<Head>),
    /// A proposal that waits in a scope that both govern, with what came to it.
    Lay(Box<Pending>),
    /// What an anchor of a scope says of a height that is being decided.
    Order {
        /// The scope.
        scope: ScopeUid,
        /// What it says.
        message: Box<Message>,
    },
    /// A proof of a name, from a scope on that is trusted.
    Prove {
        /// That scope and its name.
        top: Apex,
        /// The name.
        name: Name,
    },
    /// The name of a scope.
    Locate(ScopeUid),
    /// Leases that changed after this place in the node's own order.
    Leases(LeaseMark),
    /// Leases changed up to this place. A hint, for whoever reads them.
    Leased(LeaseMark),
    /// Leases of one entry.
    Instances(Uid),
    /// What anchors said last.
    Beacons(BeaconWish),
    /// Something about an entry that moves between scopes of the two.
    Plea(Box<Plea>),
    /// What is signed of the height that is open in a scope is to be said again, also what the node that
    /// asks signed itself: it started, and its disk may be an old one.
    Recall(ScopeUid),
}

/// Beacons, moves between nodes and recalls came with it.
const SECOND: u16 = 2;

impl Request {
    /// The version with which it came: a node that speaks an older one does not know it.
    pub const fn since(&self) -> u16 {
        match self {
            Self::Hello(_)
            | Self::Heads(_)
            | Self::Links { .. }
            | Self::Announce(_)
            | Self::Lay(_)
            | Self::Order { .. }
            | Self::Prove { .. }
            | Self::Locate(_)
            | Self::Leases(_)
            | Self::Leased(_)
            | Self::Instances(_) => WIRE_VERSION_FIRST,
            Self::Beacons(_) | Self::Plea(_) | Self::Recall(_) => SECOND,
        }
    }

    /// Whether it may be said where a version is spoken.
    ///
    /// # Errors
    /// If it came later.
    pub const fn fits(&self, spoken: u16) -> Result<(), TooNew> {
        let needed = self.since();
        if needed <= spoken {
            Ok(())
        } else {
            Err(TooNew { spoken, needed })
        }
    }

    /// Whether it is a word between anchors that decide together: many of them come in a moment, each is
    /// checked within shares of its own, and one that is lost is waited for.
    pub const fn is_word(&self) -> bool {
        matches!(self, Self::Lay(_) | Self::Order { .. })
    }

    /// How long the reply to it may be.
    pub const fn reply_bytes_max(&self) -> usize {
        match self {
            Self::Links { .. } => LINKS_REPLY_BYTES_MAX,
            Self::Prove { .. } => PROOF_REPLY_BYTES_MAX + LEASES_REPLY_BYTES_MAX,
            Self::Leases(_) | Self::Instances(_) => LEASES_REPLY_BYTES_MAX,
            Self::Beacons(_) => BEACONS_REPLY_BYTES_MAX,
            Self::Plea(_) => PROOF_REPLY_BYTES_MAX + REPLY_BYTES_MAX,
            Self::Leased(_)
            | Self::Hello(_)
            | Self::Heads(_)
            | Self::Announce(_)
            | Self::Lay(_)
            | Self::Order { .. }
            | Self::Locate(_)
            | Self::Recall(_) => REPLY_BYTES_MAX,
        }
    }
}

impl Canonical for Request {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Hello(hello) => {
                out.u8(0);
                hello.encode(out);
            }
            Self::Heads(scopes) => {
                out.u8(1);
                out.list(scopes);
            }
            Self::Links { scope, from, count } => {
                out.u8(2);
                scope.encode(out);
                out.u64(*from);
                out.u16(*count);
            }
            Self::Announce(heads) => {
                out.u8(3);
                out.list(heads);
            }
            Self::Lay(pending) => {
                out.u8(4);
                pending.encode(out);
            }
            Self::Order { scope, message } => {
                out.u8(5);
                scope.encode(out);
                message.encode(out);
            }
            Self::Prove { top, name } => {
                out.u8(6);
                top.root.encode(out);
                top.name.encode(out);
                name.encode(out);
            }
            Self::Locate(scope) => {
                out.u8(7);
                scope.encode(out);
            }
            Self::Leases(after) => {
                out.u8(8);
                after.encode(out);
            }
            Self::Leased(upto) => {
                out.u8(9);
                upto.encode(out);
            }
            Self::Instances(service) => {
                out.u8(10);
                service.encode(out);
            }
            Self::Beacons(wish) => {
                out.u8(11);
                wish.encode(out);
            }
            Self::Plea(plea) => {
                out.u8(12);
                plea.encode(out);
            }
            Self::Recall(scope) => {
                out.u8(13);
                scope.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Hello(Hello::decode(input)?),
            1 => Self::Heads(input.list("scopes", SCOPES_PER_REQUEST_MAX)?),
            2 => Self::Links {
                scope: ScopeUid::decode(input)?,
                from: input.u64()?,
                count: input.u16()?,
            },
            3 => Self::Announce(input.list("heads", SCOPES_PER_REQUEST_MAX)?),
            4 => Self::Lay(Box::new(Pending::decode(input)?)),
            5 => Self::Order {
                scope: ScopeUid::decode(input)?,
                message: Box::new(Message::decode(input)?),
            },
            6 => Self::Prove {
                top: Apex {
                    root: ScopeUid::decode(input)?,
                    name: Name::decode(input)?,
                },
                name: Name::decode(input)?,
            },
            7 => Self::Locate(ScopeUid::decode(input)?),
            8 => Self::Leases(LeaseMark::decode(input)?),
            9 => Self::Leased(LeaseMark::decode(input)?),
            10 => Self::Instances(Uid::decode(input)?),
            11 => Self::Beacons(BeaconWish::decode(input)?),
            12 => Self::Plea(Box::new(Plea::decode(input)?)),
            13 => Self::Recall(ScopeUid::decode(input)?),
            tag => {
                return Err(DecodeError::Tag {
                    what: "request",
                    tag,
                });
            }
        })
    }
}

impl Form for Request {
    const LABEL: &'static str = "kedge/peer-request";
}
