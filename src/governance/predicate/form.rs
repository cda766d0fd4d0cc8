//! The canonical form of access tests.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::base::identity::{IDENTITY_BYTES_MAX, Identity};
use crate::base::limits::{LABEL_BYTES_MAX, SETS_PER_NAME_MAX};
use crate::governance::name_pattern::NamePattern;
use crate::governance::verb::{Verb, VerbClass};
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;

use super::{Hours, Predicate, Transport};

tagged!(
    Transport,
    "transport",
    Transport::Udp = 0,
    Transport::Tcp = 1,
    Transport::Tls = 2,
);

fn encode_net(net: &IpNet, out: &mut Encoder) {
    match net {
        IpNet::V4(net) => {
            out.u8(4);
            out.fixed(&net.addr().octets());
        }
        IpNet::V6(net) => {
            out.u8(6);
            out.fixed(&net.addr().octets());
        }
    }
    out.u8(net.prefix_len());
}

fn decode_net(input: &mut Decoder<'_>) -> Result<IpNet, DecodeError> {
    let address = match input.u8()? {
        4 => IpAddr::from(input.array::<4>()?),
        6 => IpAddr::from(input.array::<16>()?),
        tag => {
            let what = "address family";
            return Err(DecodeError::Tag { what, tag });
        }
    };
    IpNet::new(address, input.u8()?)
        .ok()
        .filter(|net| net.trunc() == *net)
        .ok_or(DecodeError::NotCanonical {
            what: "source prefix",
        })
}

impl Canonical for Predicate {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Source(net) => {
                out.u8(0);
                encode_net(net, out);
            }
            Self::Transport(transport) => {
                out.u8(1);
                transport.encode(out);
            }
            Self::Hours(hours) => {
                out.u8(2);
                out.u16(hours.from_minute);
                out.u16(hours.to_minute);
                out.u8(hours.days);
            }
            Self::Kinds(kinds) => {
                out.u8(3);
                out.list(kinds);
            }
            Self::Class(class) => {
                out.u8(4);
                class.encode(out);
            }
            Self::Verb(name) => {
                out.u8(5);
                out.text(name);
            }
            Self::Name(pattern) => {
                out.u8(6);
                pattern.encode(out);
            }
            Self::Key(name) => {
                out.u8(7);
                name.encode(out);
            }
            Self::Certificate(identity) => {
                out.u8(8);
                out.text(identity.as_str());
            }
            Self::Load(most) => {
                out.u8(9);
                out.u32(*most);
            }
            Self::Device(scope) => {
                out.u8(10);
                out.option(scope.as_ref());
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let what = "access test";
        let not_canonical = DecodeError::NotCanonical { what };
        Ok(match input.u8()? {
            0 => Self::Source(decode_net(input)?),
            1 => Self::Transport(Transport::decode(input)?),
            2 => {
                let hours = Hours::new(input.u16()?, input.u16()?, input.u8()?);
                Self::Hours(hours.ok_or(not_canonical)?)
            }
            3 => {
                let kinds: Vec<RecordType> = input.list("record types", SETS_PER_NAME_MAX)?;
                if kinds.is_empty() || !kinds.is_sorted_by(|a, b| a < b) {
                    return Err(not_canonical);
                }
                Self::Kinds(kinds)
            }
            4 => Self::Class(VerbClass::decode(input)?),
            5 => {
                let name = input.text("verb", LABEL_BYTES_MAX)?;
                let verb = Verb::new(&name, VerbClass::Read);
                Self::Verb(verb.ok_or(not_canonical)?.name)
            }
            6 => Self::Name(NamePattern::decode(input)?),
            7 => Self::Key(Name::decode(input)?),
            9 => Self::Load(input.u32()?),
            8 => {
                let text = input.text("identity", IDENTITY_BYTES_MAX)?;
                let identity = text.parse::<Identity>().ok();
                let same = identity.filter(|identity| identity.as_str() == text);
                Self::Certificate(same.ok_or(not_canonical)?)
            }
            10 => Self::Device(input.option()?),
            tag => return Err(DecodeError::Tag { what, tag }),
        })
    }
}
