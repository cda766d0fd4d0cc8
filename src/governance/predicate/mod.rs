//! `Predicate`: what an access graph can test of a caller.

mod form;
mod text;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::base::identity::Identity;
use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::namespace::rtype::RecordType;
use crate::namespace::scope::ScopeUid;

use super::device::Shown;
use super::name_pattern::NamePattern;
use super::verb::{Intent, VerbClass};

pub use text::BadPredicate;

pub(super) const MINUTES_PER_DAY: u16 = 1_440;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// A datagram; its source address may be forged.
    Udp,
    /// A connection.
    Tcp,
    /// A connection under TLS.
    Tls,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// What is known of who asks, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'q> {
    /// Where the client is.
    pub address: Option<IpAddr>,
    /// How the question came.
    pub transport: Option<Transport>,
    /// When.
    pub time: Option<Timestamp>,
    /// The record type that is asked for.
    pub kind: RecordType,
    /// What the caller means to do; reading unless it says so.
    pub verb: Option<Intent<'q>>,
    /// The labels of the name that is asked, below the scope that judges, topmost first.
    pub name: Option<&'q [&'q [u8]]>,
    /// The key that signed the question, if its signature held.
    pub key: Option<&'q Name>,
    /// Who the client is by its certificate.
    pub certificate: Option<&'q Identity>,
    /// How many questions a second the scope that judges was asked lately.
    pub load: Option<u32>,
    /// The scope that judges.
    pub judge: Option<ScopeUid>,
    /// The devices that the caller has shown.
    pub devices: Shown<'q>,
}

impl Caller<'_> {
    /// A caller of whom nothing is known but the record type.
    pub const fn unknown(kind: RecordType) -> Self {
        Self {
            address: None,
            transport: None,
            time: None,
            kind,
            verb: None,
            name: None,
            key: None,
            certificate: None,
            load: None,
            judge: None,
            devices: Shown::NONE,
        }
    }

    /// Whether the caller has shown a device of a scope; none if it is not known how the question
    /// came. A datagram shows none: anybody may have sent it in the device's name.
    fn has_shown(&self, scope: &ScopeUid) -> Option<bool> {
        let forgeable = self.transport? == Transport::Udp;
        Some(!forgeable && self.devices.is_of(scope, self.address, self.time))
    }
}

/// A test of one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// The client's address lies in a prefix.
    Source(IpNet),
    /// The question came this way.
    Transport(Transport),
    /// The time of day and the day of the week (UTC).
    Hours(Hours),
    /// One of these record types is asked for.
    Kinds(Vec<RecordType>),
    /// The verb is of this class.
    Class(VerbClass),
    /// The verb is this one.
    Verb(String),
    /// The name that is asked is one of these.
    Name(NamePattern),
    /// The question is signed with the key of this name.
    Key(Name),
    /// The client is this one by its certificate.
    Certificate(Identity),
    /// The scope is asked at most so many questions a second.
    Load(u32),
    /// The caller has shown a device of this private scope; without one, of the scope that judges.
    Device(Option<ScopeUid>),
}

/// Hours of some days of the week, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// The first minute of the day.
    pub from_minute: u16,
    /// The minute after the last one; not before the first.
    pub to_minute: u16,
    /// The days, Monday in the lowest bit; at least one.
    pub days: u8,
}

impl Hours {
    fn new(from_minute: u16, to_minute: u16, days: u8) -> Option<Self> {
        let fits = from_minute < to_minute && to_minute <= MINUTES_PER_DAY;
        (fits && (1..0x80).contains(&days)).then_some(Self {
            from_minute,
            to_minute,
            days,
        })
    }

    fn holds(self, time: Timestamp) -> bool {
        let minutes = time.as_secs() / 60;
        let minute = u16::try_from(minutes % u64::from(MINUTES_PER_DAY)).unwrap_or(0);
        // 1970-01-01 was a Thursday.
        let day = (minutes / u64::from(MINUTES_PER_DAY) + 3) % 7;
        let on_day = self.days & (1 << day) != 0;
        on_day && (self.from_minute..self.to_minute).contains(&minute)
    }
}

impl Predicate {
    /// Whether a caller for whom it holds has proved who it is.
    pub const fn proves_who(&self) -> bool {
        matches!(self, Self::Key(_) | Self::Certificate(_) | Self::Device(_))
    }

    /// Whether it holds for a caller; none if the signal is missing.
    pub fn holds(&self, caller: &Caller<'_>) -> Option<bool> {
        Some(match self {
            Self::Source(net) => net.contains(&caller.address?.to_canonical()),
            Self::Transport(transport) => caller.transport? == *transport,
            Self::Hours(hours) => hours.holds(caller.time?),
            // ANY may be answered with any type: which one is not known here.
            Self::Kinds(_) if caller.kind == RecordType::ANY => return None,
            Self::Kinds(kinds) => kinds.contains(&caller.kind),
            Self::Class(class) => match caller.verb {
                None => *class == VerbClass::Read,
                Some(intent) => intent.class? == *class,
            },
            Self::Verb(name) => caller.verb.is_some_and(|verb| verb.name == *name),
            Self::Name(pattern) => pattern.matches(caller.name?),
            Self::Key(name) => caller.key? == name,
            Self::Certificate(identity) => caller.certificate? == identity,
            Self::Load(most) => caller.load? <= *most,
            Self::Device(None) => caller.has_shown(&caller.judge?)?,
            Self::Device(Some(scope)) => caller.has_shown(scope)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;

    #[test]
    fn a_device_counts_for_its_scope_and_over_connections_only() {
        let [own, other] = [1, 2].map(|byte| ScopeUid::new(Digest::from_bytes([byte; 32])));
        let test = |text: &str| text.parse::<Predicate>().unwrap();
        let caller = Caller {
            transport: Some(Transport::Tcp),
            judge: Some(own),
            devices: Shown {
                said: &[own],
                ..Shown::NONE
            },
            ..Caller::unknown(RecordType::A)
        };
        let of = |scope: ScopeUid| test(&format!("device {scope}"));
        assert_eq!(test("device own").holds(&caller), Some(true));
        assert_eq!(of(own).holds(&caller), Some(true));
        assert_eq!(of(other).holds(&caller), Some(false));
        let judge = Some(other);
        let elsewhere = Caller { judge, ..caller };
        assert_eq!(test("device own").holds(&elsewhere), Some(false));
        let transport = Some(Transport::Udp);
        let forgeable = Caller {
            transport,
            ..caller
        };
        assert_eq!(test("device own").holds(&forgeable), Some(false));
        let transport = None;
        let unknown = Caller {
            transport,
            ..caller
        };
        assert_eq!(of(own).holds(&unknown), None);
    }

    #[test]
    fn hours_are_of_the_day_and_the_week_in_utc() {
        let hours: Predicate = "hours 08:00-18:00 mon-fri".parse().unwrap();
        let at = |secs: u64| {
            let caller = Caller {
                time: Some(Timestamp::from_millis(secs * 1_000)),
                ..Caller::unknown(RecordType::A)
            };
            hours.holds(&caller).unwrap()
        };
        // 2026-11-23 was a Monday; 1795392000 is its midnight.
        let midnight = 1_795_392_000;
        assert!(at(midnight + 8 * 3_600) && at(midnight + 18 * 3_600 - 1));
        assert!(!at(midnight + 8 * 3_600 - 1) && !at(midnight + 18 * 3_600));
        assert!(!at(midnight - 86_400 + 12 * 3_600), "Sunday");
        assert!(at(midnight + 4 * 86_400 + 12 * 3_600), "Friday");
    }
}
