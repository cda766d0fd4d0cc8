//! `Reply`: what a node answers another one.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::limits::EXPORT_LINK_BYTES_MAX;
use crate::governance::descriptor::Descriptor;
use crate::index::export::{decode_link, encode_link};
use crate::index::proof::Proof;
use crate::index::view::Link;
use crate::namespace::name::Name;

use super::{
    BEACONS_PER_REPLY_MAX, BeaconRow, Head, Hello, LEASES_PER_PAGE_MAX, LINKS_PER_REPLY_MAX,
    LeasePage, LeaseRow, PROOF_REPLY_BYTES_MAX, PleaAnswer, SCOPES_PER_REQUEST_MAX,
    decode_versions, encode_versions,
};

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To the first request of a connection: the version that is spoken from now on comes alone.
    Hello(Hello),
    /// Where scopes stand; those that the node does not hold, or does not show, are left out.
    Heads(Vec<Head>),
    /// Blocks of a scope.
    Links(Box<Links>),
    /// A word was heard.
    Heard,
    /// The request is not answered.
    Turned(Turned),
    /// What the node's scopes say of a name, and leases of the entry there, if it holds any.
    Proof(Box<Proof>, Vec<LeaseRow>),
    /// Where a scope is, by the node's word: a reason to look there.
    Located(Name),
    /// Leases that the node took.
    Leases(LeasePage),
    /// What anchors said last, as far as the node knows.
    Beacons(Vec<BeaconRow>),
    /// How a petition stands.
    Plea(PleaAnswer),
}

/// Blocks of a scope in order, as many as fit; at least one if the node has the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// The descriptor that the scope was founded from, where the first block is its first.
    pub genesis: Option<Descriptor>,
    /// The blocks, with all that is needed to replay them.
    pub links: Vec<Link>,
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Turned {
    /// The two speak no common version, or an older one than the request is of.
    #[error("it speaks wire versions {known:?}, none that this takes")]
    Version {
        /// Those that it speaks; the one that was agreed on, where that is too old.
        known: Vec<u16>,
    },
    /// Nothing comes before a greeting, and only one greeting comes.
    #[error("it expected a greeting, once and first")]
    Greeting,
    /// The scope is not held there, or not shown to this node.
    #[error("it holds no such scope for this node")]
    NotHeld,
    /// Too many requests, or too much was asked for.
    #[error("it was asked too much; it answers again in a while")]
    TooMuch,
    /// The node cannot answer now.
    #[error("it cannot answer now")]
    Failing,
    /// No proof of the name can be made, or none that may be sent.
    #[error("it has no proof of that name")]
    Unprovable,
}

impl Canonical for Links {
    fn encode(&self, out: &mut Encoder) {
        match &self.genesis {
            None => out.u8(0),
            Some(genesis) => {
                out.u8(1);
                out.bytes(&genesis.to_bytes());
            }
        }
        out.count(self.links.len());
        self.links.iter().for_each(|link| encode_link(link, out));
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let genesis = if input.bool()? {
            let bytes = input.bytes("genesis", EXPORT_LINK_BYTES_MAX)?;
            Some(Descriptor::from_bytes(bytes)?)
        } else {
            None
        };
        let count = input.count("links", LINKS_PER_REPLY_MAX)?;
        let links = (0..count).map(|_| decode_link(input));
        Ok(Self {
            genesis,
            links: links.collect::<Result<_, _>>()?,
        })
    }
}

impl Canonical for Turned {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Version { known } => {
                out.u8(0);
                encode_versions(known, out);
            }
            Self::Greeting => out.u8(1),
            Self::NotHeld => out.u8(2),
            Self::TooMuch => out.u8(3),
            Self::Failing => out.u8(4),
            Self::Unprovable => out.u8(5),
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Version {
                known: decode_versions(input)?,
            },
            1 => Self::Greeting,
            2 => Self::NotHeld,
            3 => Self::TooMuch,
            4 => Self::Failing,
            5 => Self::Unprovable,
            tag => {
                return Err(DecodeError::Tag {
                    what: "refusal of a peer",
                    tag,
                });
            }
        })
    }
}

impl Canonical for Reply {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Hello(hello) => {
                out.u8(0);
                hello.encode(out);
            }
            Self::Heads(heads) => {
                out.u8(1);
                out.list(heads);
            }
            Self::Links(links) => {
                out.u8(2);
                links.encode(out);
            }
            Self::Heard => out.u8(3),
            Self::Turned(turned) => {
                out.u8(4);
                turned.encode(out);
            }
            Self::Proof(proof, leases) => {
                out.u8(5);
                out.bytes(&proof.to_bytes());
                out.list(leases);
            }
            Self::Located(name) => {
                out.u8(6);
                name.encode(out);
            }
            Self::Leases(page) => {
                out.u8(7);
                page.encode(out);
            }
            Self::Beacons(rows) => {
                out.u8(8);
                out.list(rows);
            }
            Self::Plea(answer) => {
                out.u8(9);
                answer.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Hello(Hello::decode(input)?),
            1 => Self::Heads(input.list("heads", SCOPES_PER_REQUEST_MAX)?),
            2 => Self::Links(Box::new(Links::decode(input)?)),
            3 => Self::Heard,
            4 => Self::Turned(Turned::decode(input)?),
            5 => {
                let bytes = input.bytes("proof", PROOF_REPLY_BYTES_MAX)?;
                let proof = Box::new(Proof::from_bytes(bytes)?);
                Self::Proof(proof, input.list("leases", LEASES_PER_PAGE_MAX)?)
            }
            6 => Self::Located(Name::decode(input)?),
            7 => Self::Leases(LeasePage::decode(input)?),
            8 => Self::Beacons(input.list("beacons", BEACONS_PER_REPLY_MAX)?),
            9 => Self::Plea(PleaAnswer::decode(input)?),
            tag => {
                return Err(DecodeError::Tag { what: "reply", tag });
            }
        })
    }
}

impl Form for Reply {
    const LABEL: &'static str = "kedge/peer-reply";
}
