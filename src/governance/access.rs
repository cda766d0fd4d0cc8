//! `AccessRule`: what a scope says to which caller.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};

/// What a scope says to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Answer.
    Allow,
    /// REFUSED, with an extended error.
    Refuse,
    /// As if the name did not exist.
    Hide,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
            Self::Hide => "hide",
        })
    }
}

/// A word that is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected allow, refuse or hide")]
pub struct BadVerdict;

impl FromStr for Verdict {
    type Err = BadVerdict;

    fn from_str(text: &str) -> Result<Self, BadVerdict> {
        match text {
            "allow" => Ok(Self::Allow),
            "refuse" => Ok(Self::Refuse),
            "hide" => Ok(Self::Hide),
            _ => Err(BadVerdict),
        }
    }
}

/// One line of an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRule {
    /// The callers it speaks of, by source address.
    pub source: IpNet,
    /// What they get.
    pub verdict: Verdict,
}

tagged!(
    Verdict,
    "verdict",
    Verdict::Allow = 0,
    Verdict::Refuse = 1,
    Verdict::Hide = 2,
);

impl Canonical for AccessRule {
    fn encode(&self, out: &mut Encoder) {
        match self.source {
            IpNet::V4(net) => {
                out.u8(4);
                out.fixed(&net.addr().octets());
            }
            IpNet::V6(net) => {
                out.u8(6);
                out.fixed(&net.addr().octets());
            }
        }
        out.u8(self.source.prefix_len());
        self.verdict.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let address = match input.u8()? {
            4 => IpAddr::from(input.array::<4>()?),
            6 => IpAddr::from(input.array::<16>()?),
            tag => {
                return Err(DecodeError::Tag {
                    what: "address family",
                    tag,
                });
            }
        };
        let source = IpNet::new(address, input.u8()?).map_err(|_| DecodeError::NotCanonical {
            what: "source prefix",
        })?;
        Ok(Self {
            source,
            verdict: Verdict::decode(input)?,
        })
    }
}
