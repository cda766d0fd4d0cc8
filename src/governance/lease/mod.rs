//! `Lease`: a key's signed word that an instance of a service runs at an address until a time.
//!
//! Names and grants are governed; leases are not voted on and are no part of any lineage.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::keys::PublicKey;
use crate::base::limits::{
    CHECK_PATH_BYTES_MAX, CLOCK_AHEAD_MILLIS_MAX, LEASE_SECS_MAX, LEASE_SECS_MIN, REGION_BYTES_MAX,
};
use crate::base::signed::Authored;
use crate::base::time::Timestamp;
use crate::namespace::instance_name::InstanceLabel;
use crate::namespace::scope::ScopeUid;
use crate::namespace::uid::Uid;

/// What an announcer says of its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It takes what comes.
    Up,
    /// It finishes what it began: no part of the service's answer, reachable by its own name.
    Draining,
    /// It is gone.
    Ended,
}

impl Condition {
    /// Every condition, in order.
    pub const ALL: [Self; 3] = [Self::Up, Self::Draining, Self::Ended];
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Draining => "draining",
            Self::Ended => "ended",
        })
    }
}

/// How a node finds out whether an instance works, at its own address and port only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Not at all: it works while its lease is renewed.
    None,
    /// A TCP connection is accepted.
    Tcp,
    /// A GET of the path is answered with 2xx or 3xx.
    Http(String),
}

/// Text that is no check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected none, tcp, or http:/path with a path of visible ASCII characters, at most \
     {CHECK_PATH_BYTES_MAX}"
)]
pub struct BadCheck;

impl FromStr for Check {
    type Err = BadCheck;

    fn from_str(text: &str) -> Result<Self, BadCheck> {
        match text {
            "none" => Ok(Self::None),
            "tcp" => Ok(Self::Tcp),
            _ => {
                let path = text.strip_prefix("http:").ok_or(BadCheck)?;
                // No space and no control: the path is one word of a request line.
                let fits = path.starts_with('/')
                    && path.len() <= CHECK_PATH_BYTES_MAX
                    && path.bytes().all(|byte| byte.is_ascii_graphic());
                fits.then(|| Self::Http(path.to_owned())).ok_or(BadCheck)
            }
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Tcp => f.pad("tcp"),
            Self::Http(path) => write!(f, "http:{path}"),
        }
    }
}

/// An instance, as the key says that announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The scope that governs the service.
    pub scope: ScopeUid,
    /// The service: an entry.
    pub service: Uid,
    /// What the instance is called in its service.
    pub instance: InstanceLabel,
    /// Where it runs.
    pub address: IpAddr,
    /// The port it serves.
    pub port: u16,
    /// Its share among the instances.
    pub weight: u16,
    /// The region it runs in; a label for people and for nearness.
    pub region: String,
    /// What it is doing.
    pub condition: Condition,
    /// How it is checked.
    pub check: Check,
    /// Rises with each lease of the instance: an older one never replaces a newer one.
    pub sequence: u64,
    /// When it was signed, by the announcer's clock.
    pub issued: Timestamp,
    /// The instance counts until then.
    pub expires: Timestamp,
    /// The service may be left without an instance by this.
    pub may_empty: bool,
    /// Who announces it.
    pub key: PublicKey,
}

/// How far the number of a lease may be above its time in milliseconds: more than anybody counts in
/// its lifetime, and the next one still fits.
const SEQUENCE_AHEAD_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Why a lease is not taken. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseRefusal {
    /// The service is no entry here.
    #[error("no entry here has the UID {0}")]
    NoService(Uid),
    /// The entry belongs to another scope.
    #[error("the lease names scope {said}, but the service belongs to scope {is}")]
    Scope {
        /// The scope in the lease, short.
        said: String,
        /// The scope of the entry, short.
        is: String,
    },
    /// An alias has the addresses of another name.
    #[error("the entry is an alias or a delegation to other servers, which have no instances")]
    Alias,
    /// The signature is not the key's.
    #[error("the lease is not signed by key {0}")]
    Signature(String),
    /// The key may not.
    #[error("key {0} may not announce instances of this service")]
    NotGranted(String),
    /// Signed in the future.
    #[error("the lease was issued at {issued}, but here it is {now}: the clocks differ too much")]
    Clock {
        /// When it was signed.
        issued: Timestamp,
        /// The time here.
        now: Timestamp,
    },
    /// It is over.
    #[error("the lease expired at {expires}; here it is {now}")]
    Expired {
        /// When it ended.
        expires: Timestamp,
        /// The time here.
        now: Timestamp,
    },
    /// Too short or too long.
    #[error("the lease lasts {secs} s; {LEASE_SECS_MIN} to {LEASE_SECS_MAX} s are taken")]
    Lifetime {
        /// How long it lasts.
        secs: u64,
    },
    /// An address that no instance has, or may have here.
    #[error("no instance can be announced at {0}")]
    Address(IpAddr),
    /// Nothing listens on port 0.
    #[error("no instance serves port 0")]
    Port,
    /// A check that this node does not make.
    #[error("this node does not check instances at {0}")]
    Check(IpAddr),
    /// An older lease, or another one with the same number.
    #[error("the lease has sequence {said}, but {held} is held")]
    Sequence {
        /// Of the lease.
        said: u64,
        /// Of the one that is held.
        held: u64,
    },
    /// A number that leaves no room for those to come.
    #[error("the lease has sequence {said}; at most {most} is taken now")]
    SequenceAhead {
        /// Of the lease.
        said: u64,
        /// The most.
        most: u64,
    },
    /// Nothing to drain or to end.
    #[error("the service has no instance {0}")]
    NoInstance(InstanceLabel),
    /// Another key announces it.
    #[error("instance {instance} is announced by key {key} until {until}")]
    Held {
        /// The instance.
        instance: InstanceLabel,
        /// The first digits of the key that announces it.
        key: String,
        /// Until when.
        until: Timestamp,
    },
    /// The service would be left without a healthy instance on purpose.
    #[error("{instance} is the last healthy instance of the service with an {family} address")]
    WouldBeEmpty {
        /// The instance.
        instance: InstanceLabel,
        /// The family of its address.
        family: &'static str,
    },
    /// A bound is reached.
    #[error("{what} has {max} leases already")]
    Full {
        /// Who has them.
        what: &'static str,
        /// How many.
        max: usize,
    },
}

impl Lease {
    /// How long it lasts by its own times, in milliseconds.
    pub const fn lifetime_millis(&self) -> u64 {
        self.expires.millis_since(self.issued)
    }

    /// Judges what depends on nothing but the time: its bounds, its address.
    ///
    /// `local` says whether loopback and link-local addresses are taken.
    pub fn judge(&self, now: Timestamp, local: bool) -> Result<(), LeaseRefusal> {
        let (issued, expires) = (self.issued, self.expires);
        if issued > now.plus_millis(CLOCK_AHEAD_MILLIS_MAX) {
            return Err(LeaseRefusal::Clock { issued, now });
        }
        if expires <= now {
            return Err(LeaseRefusal::Expired { expires, now });
        }
        let bounds = LEASE_SECS_MIN * 1_000..=LEASE_SECS_MAX * 1_000;
        if !bounds.contains(&self.lifetime_millis()) {
            let secs = self.lifetime_millis() / 1_000;
            return Err(LeaseRefusal::Lifetime { secs });
        }
        let most = issued
            .min(now)
            .as_millis()
            .saturating_add(SEQUENCE_AHEAD_MAX);
        if self.sequence > most {
            let said = self.sequence;
            return Err(LeaseRefusal::SequenceAhead { said, most });
        }
        if self.port == 0 {
            return Err(LeaseRefusal::Port);
        }
        if !is_announceable(self.address, local) {
            return Err(LeaseRefusal::Address(self.address));
        }
        Ok(())
    }
}

/// Whether an instance can have an address. IPv4 addresses inside IPv6 are announced as IPv4.
fn is_announceable(address: IpAddr, local: bool) -> bool {
    match address {
        IpAddr::V4(address) => v4_is_announceable(address, local),
        IpAddr::V6(address) => v6_is_announceable(address, local),
    }
}

fn v4_is_announceable(address: Ipv4Addr, local: bool) -> bool {
    let [first, ..] = address.octets();
    let is_local = address.is_loopback() || address.is_link_local();
    // 0/8 means "this network" (RFC 1122 section 3.2.1.3), 240/4 was never given to anybody.
    let nobody = first == 0 || first >= 240 || address.is_multicast();
    !nobody && (local || !is_local)
}

fn v6_is_announceable(address: Ipv6Addr, local: bool) -> bool {
    let is_local = address.is_loopback() || address.is_unicast_link_local();
    let nobody =
        address.is_unspecified() || address.is_multicast() || address.to_ipv4_mapped().is_some();
    !nobody && (local || !is_local)
}

crate::base::canonical::tagged!(
    Condition,
    "condition",
    Condition::Up = 0,
    Condition::Draining = 1,
    Condition::Ended = 2,
);

impl Canonical for Check {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::None => out.u8(0),
            Self::Tcp => out.u8(1),
            Self::Http(path) => {
                out.u8(2);
                out.text(path);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::None),
            1 => Ok(Self::Tcp),
            2 => {
                const WHAT: &str = "path of a check";
                let path = input.text(WHAT, CHECK_PATH_BYTES_MAX)?;
                format!("http:{path}")
                    .parse()
                    .map_err(|_| DecodeError::NotCanonical { what: WHAT })
            }
            tag => Err(DecodeError::Tag { what: "check", tag }),
        }
    }
}

impl Canonical for Lease {
    fn encode(&self, out: &mut Encoder) {
        self.scope.encode(out);
        self.service.encode(out);
        self.instance.encode(out);
        self.address.encode(out);
        out.u16(self.port);
        out.u16(self.weight);
        out.text(&self.region);
        self.condition.encode(out);
        self.check.encode(out);
        out.u64(self.sequence);
        self.issued.encode(out);
        self.expires.encode(out);
        out.bool(self.may_empty);
        self.key.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scope: ScopeUid::decode(input)?,
            service: Uid::decode(input)?,
            instance: InstanceLabel::decode(input)?,
            address: IpAddr::decode(input)?,
            port: input.u16()?,
            weight: input.u16()?,
            region: input.text("region", REGION_BYTES_MAX)?,
            condition: Condition::decode(input)?,
            check: Check::decode(input)?,
            sequence: input.u64()?,
            issued: Timestamp::decode(input)?,
            expires: Timestamp::decode(input)?,
            may_empty: input.bool()?,
            key: PublicKey::decode(input)?,
        })
    }
}

impl Form for Lease {
    const LABEL: &'static str = "kedge/lease";
}

impl Authored for Lease {
    fn signer(&self) -> PublicKey {
        self.key
    }
}

#[cfg(test)]
mod tests;
