//! Access tests as people write them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::base::limits::SETS_PER_NAME_MAX;
use crate::governance::verb::{Verb, VerbClass};
use crate::namespace::rtype::RecordType;

use super::{Hours, Predicate, Transport};

/// The scope that judges, as a test of `device` names it.
const OWN: &str = "own";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Text that is no test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected source PREFIX, transport udp|tcp|tls, hours HH:MM-HH:MM [mon-fri], type TYPE[,TYPE], \
     class read|write|signal|claim, verb WORD, name PATTERN, tsig KEY, \
     certificate uri:URI|dns:NAME|sha256:DIGITS, load QUESTIONS-A-SECOND, or device own|SCOPE-UID"
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
            "transport" => Transport::ALL
                .into_iter()
                .find(|transport| transport.to_string() == rest)
                .map(Self::Transport),
            "hours" => read_hours(rest).map(Self::Hours),
            "type" => read_kinds(rest).map(Self::Kinds),
            "class" => VerbClass::ALL
                .into_iter()
                .find(|class| class.to_string() == rest)
                .map(Self::Class),
            "device" if rest == OWN => Some(Self::Device(None)),
            "device" => rest.parse().ok().map(|scope| Self::Device(Some(scope))),
            "verb" => Verb::new(rest, VerbClass::Read).map(|verb| Self::Verb(verb.name)),
            "name" => rest.parse().ok().map(Self::Name),
            "tsig" => rest.parse().ok().map(Self::Key),
            "certificate" => rest.parse().ok().map(Self::Certificate),
            "load" => rest.parse().ok().map(Self::Load),
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
            Self::Name(pattern) => write!(f, "name {pattern}"),
            Self::Key(name) => write!(f, "tsig {name}"),
            Self::Certificate(identity) => write!(f, "certificate {identity}"),
            Self::Load(most) => write!(f, "load {most}"),
            Self::Device(None) => write!(f, "device {OWN}"),
            Self::Device(Some(scope)) => write!(f, "device {scope}"),
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
            "name *.secret.**",
            "name @",
            "tsig ci-key.",
            "certificate uri:spiffe://mesh/CI",
            "certificate dns:ci.example",
            "transport tls",
            "load 200",
            "device own",
            "device 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        ] {
            assert_eq!(text.parse::<Predicate>().unwrap().to_string(), text);
        }
        let written = |text: &str| text.parse::<Predicate>().unwrap().to_string();
        assert_eq!(written("tsig CI-Key"), "tsig ci-key.");
        assert_eq!(written("name API"), "name api");
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
            "name a..b",
            "name **.**.**",
            "tsig",
            "tsig a..b",
            "certificate ci",
            "load -1",
            "load 1.5",
            "device",
            "device eu.mesh.internal",
            "weather rain",
        ] {
            assert_eq!(text.parse::<Predicate>(), Err(BadPredicate), "{text:?}");
        }
    }
}
