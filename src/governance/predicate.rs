//! `Predicate`: what an access graph can test of a caller.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::base::limits::{LABEL_BYTES_MAX, SETS_PER_NAME_MAX};
use crate::base::time::Timestamp;
use crate::namespace::rtype::RecordType;

use super::verb::{Intent, Verb, VerbClass};

pub(super) const MINUTES_PER_DAY: u16 = 1_440;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// A datagram; its source address may be forged.
    Udp,
    /// A connection.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
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
        })
    }
}

/// Text that is no test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected source PREFIX, transport udp|tcp, hours HH:MM-HH:MM [mon-fri], type TYPE[,TYPE], \
     class read|write|signal|claim, or verb WORD"
)]
pub struct BadPredicate;

impl FromStr for Predicate {
    type Err = BadPredicate;

    fn from_str(text: &str) -> Result<Self, BadPredicate> {
        let (word, rest) = text.trim().split_once(' ').ok_or(BadPredicate)?;
        let rest = rest.trim();
        let test = match word {
            "source" => rest
                .parse::<IpNet>()
                .or_else(|_| rest.parse::<IpAddr>().map(IpNet::from))
                .ok()
                .map(|net| Self::Source(net.trunc())),
            "transport" => [Transport::Udp, Transport::Tcp]
                .into_iter()
                .find(|transport| transport.to_string() == rest)
                .map(Self::Transport),
            "hours" => read_hours(rest).map(Self::Hours),
            "type" => read_kinds(rest).map(Self::Kinds),
            "class" => VerbClass::ALL
                .into_iter()
                .find(|class| class.to_string() == rest)
                .map(Self::Class),
            "verb" => Verb::new(rest, VerbClass::Read).map(|verb| Self::Verb(verb.name)),
            _ => None,
        };
        test.ok_or(BadPredicate)
    }
}

fn read_kinds(text: &str) -> Option<Vec<RecordType>> {
    let kinds = text.split(',').map(|kind| kind.trim().parse().ok());
    let mut kinds: Vec<RecordType> = kinds.collect::<Option<_>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    (kinds.len() <= SETS_PER_NAME_MAX).then_some(kinds)
}

fn read_hours(text: &str) -> Option<Hours> {
    let (hours, days) = text.split_once(' ').unwrap_or((text, "mon-sun"));
    let (from, to) = hours.split_once('-')?;
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour <= 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let day = |text: &str| DAYS.iter().position(|day| *day == text.trim());
    let mut bits = 0;
    for part in days.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        if first > last {
            return None;
        }
        for day in first..=last {
            bits |= 1 << day;
        }
    }
    Hours::new(minute(from)?, minute(to)?, bits)
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(net) => write!(f, "source {net}"),
            Self::Transport(transport) => write!(f, "transport {transport}"),
            Self::Hours(hours) => write!(f, "hours {hours}"),
            Self::Kinds(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                write!(f, "type {}", kinds.join(","))
            }
            Self::Class(class) => write!(f, "class {class}"),
            Self::Verb(name) => write!(f, "verb {name}"),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from_minute, self.to_minute);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )?;
        let days = DAYS.iter().enumerate();
        let days = days.filter(|(day, _)| self.days & (1 << day) != 0);
        let days: Vec<&str> = days.map(|(_, name)| *name).collect();
        if days.len() < DAYS.len() {
            write!(f, " {}", days.join(","))?;
        }
        Ok(())
    }
}

tagged!(
    Transport,
    "transport",
    Transport::Udp = 0,
    Transport::Tcp = 1,
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
            tag => return Err(DecodeError::Tag { what, tag }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_written_as_they_are_read() {
        for text in [
            "source 10.0.0.0/8",
            "source 2001:db8::/32",
            "transport tcp",
            "hours 08:00-18:30",
            "hours 00:00-24:00 mon,tue,wed,thu,fri",
            "type A,TXT,AAAA",
            "class write",
            "verb pay",
        ] {
            assert_eq!(text.parse::<Predicate>().unwrap().to_string(), text);
        }
        let written = |text: &str| text.parse::<Predicate>().unwrap().to_string();
        assert_eq!(written("source 10.1.2.3"), "source 10.1.2.3/32");
        assert_eq!(written("source 10.1.2.3/8"), "source 10.0.0.0/8");
        assert_eq!(
            written("hours 8:00-9:00 sat-sun"),
            "hours 08:00-09:00 sat,sun"
        );
    }

    #[test]
    fn what_is_no_test_is_refused() {
        for text in [
            "",
            "source",
            "source x",
            "source 10.0.0.0/33",
            "transport smtp",
            "hours 9-10",
            "hours 10:00-09:00",
            "hours 09:00-25:00",
            "hours 09:00-10:00 someday",
            "hours 09:00-10:00 fri-mon",
            "type",
            "type FOO BAR",
            "class kill",
            "verb a.b",
            "verb A",
            "weather rain",
        ] {
            assert_eq!(text.parse::<Predicate>(), Err(BadPredicate), "{text:?}");
        }
    }

    #[test]
    fn hours_are_of_the_day_and_the_week_in_utc() {
        let hours: Predicate = "hours 08:00-18:00 mon-fri".parse().unwrap();
        let at = |secs: u64| {
            let caller = Caller {
                address: None,
                transport: None,
                time: Some(Timestamp::from_millis(secs * 1_000)),
                kind: RecordType::A,
                verb: None,
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
