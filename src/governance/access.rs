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

/// Whether another list lets more or fewer callers ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessChange {
    /// Some caller may ask that could not.
    pub widened: bool,
    /// Some caller may not ask that could.
    pub narrowed: bool,
}

/// The verdict of an access list: the first rule that matches decides. An empty list allows every
/// caller; a list that matches nothing refuses; a missing address matches no rule.
pub fn verdict(rules: &[AccessRule], caller: Option<IpAddr>) -> Verdict {
    if rules.is_empty() {
        return Verdict::Allow;
    }
    let Some(address) = caller.map(|address| address.to_canonical()) else {
        return Verdict::Refuse;
    };
    rules
        .iter()
        .find(|rule| rule.source.contains(&address))
        .map_or(Verdict::Refuse, |rule| rule.verdict)
}

/// Compares two access lists for every caller. Verdicts change only at the borders of prefixes, so
/// the addresses on both sides of each border stand for all.
pub fn compare(before: &[AccessRule], after: &[AccessRule]) -> AccessChange {
    let mut change = AccessChange::default();
    let probes = before.iter().chain(after).flat_map(borders).map(Some);
    let ends = [
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ];
    let ends = ends.iter().map(|end| end.parse().ok());
    for caller in probes.chain(ends).chain([None]) {
        let may = |rules| verdict(rules, caller) == Verdict::Allow;
        change.widened |= !may(before) && may(after);
        change.narrowed |= may(before) && !may(after);
    }
    change
}

/// The first and last address of a rule's prefix and their neighbours outside.
fn borders(rule: &AccessRule) -> Vec<IpAddr> {
    match rule.source {
        IpNet::V4(net) => {
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            let around = [first.saturating_sub(1), first, last, last.saturating_add(1)];
            around.map(|bits| IpAddr::V4(bits.into())).to_vec()
        }
        IpNet::V6(net) => {
            let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
            let around = [first.saturating_sub(1), first, last, last.saturating_add(1)];
            around.map(|bits| IpAddr::V6(bits.into())).to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rules: &[&str]) -> Vec<AccessRule> {
        let rule = |text: &&str| {
            let (source, verdict) = text.split_once('=').unwrap();
            AccessRule {
                source: source.parse().unwrap(),
                verdict: verdict.parse().unwrap(),
            }
        };
        rules.iter().map(rule).collect()
    }

    #[test]
    fn the_first_matching_rule_decides_and_no_match_refuses() {
        let rules = list(&["10.1.0.0/16=hide", "10.0.0.0/8=allow"]);
        let ask = |address: &str| verdict(&rules, Some(address.parse().unwrap()));
        assert_eq!(ask("10.1.2.3"), Verdict::Hide);
        assert_eq!(ask("10.2.2.3"), Verdict::Allow);
        assert_eq!(ask("::ffff:10.2.2.3"), Verdict::Allow);
        assert_eq!(ask("192.0.2.1"), Verdict::Refuse);
        assert_eq!(verdict(&rules, None), Verdict::Refuse);
        assert_eq!(verdict(&[], None), Verdict::Allow);
    }

    #[test]
    fn a_change_of_access_is_seen_at_the_borders() {
        let change = |before: &[&str], after: &[&str]| {
            let AccessChange { widened, narrowed } = compare(&list(before), &list(after));
            (widened, narrowed)
        };
        assert_eq!(change(&[], &[]), (false, false));
        assert_eq!(change(&[], &["10.0.0.0/8=allow"]), (false, true));
        assert_eq!(change(&["10.0.0.0/8=allow"], &[]), (true, false));
        let one = ["10.1.0.0/16=hide", "10.0.0.0/8=allow"];
        assert_eq!(change(&one, &["10.0.0.0/8=allow"]), (true, false));
        assert_eq!(change(&["10.0.0.0/8=allow"], &one), (false, true));
        let other = ["10.2.0.0/16=hide", "10.0.0.0/8=allow"];
        assert_eq!(change(&one, &other), (true, true));
        let refused = ["10.1.0.0/16=refuse", "10.0.0.0/8=allow"];
        assert_eq!(change(&one, &refused), (false, false));
        assert_eq!(
            change(&["::/0=allow"], &["2001:db8::/32=allow"]),
            (false, true)
        );
    }
}
