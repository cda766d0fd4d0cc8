//! `Policy`: what a scope demands of changes and of callers.

use std::fmt;
use std::net::IpAddr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::base::limits::ACCESS_RULES_MAX;
use crate::base::time::Ttl;

use super::access::{AccessRule, Verdict};

/// How much weight decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// More than two thirds: safe while less than a third of the weight lies.
    Bft,
    /// More than half: safe only while nobody lies. Called crash-only in every output.
    Majority,
}

impl Quorum {
    /// The least weight that decides, of a total.
    pub const fn needed(self, total: u64) -> u64 {
        match self {
            Self::Bft => total * 2 / 3 + 1,
            Self::Majority => total / 2 + 1,
        }
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bft => "more than 2/3",
            Self::Majority => "more than 1/2 (crash-only)",
        })
    }
}

/// What a change does, by the care it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Register, update, retire and move entries.
    Routine,
    /// Rename.
    Alias,
    /// Anchors, weights, policy, delegation.
    Governance,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Routine => "routine",
            Self::Alias => "alias",
            Self::Governance => "governance",
        })
    }
}

/// What a class of changes needs before it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// The author's signature, if the author is an anchor or a registrar.
    Author,
    /// Approvals of the anchors that reach the quorum.
    Approvals,
}

/// How long voters wait for each other; read only where more than one anchor orders changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Seconds.
    Interactive,
    /// Hours: anchors that come by now and then.
    Hourly,
    /// Days.
    Daily,
}

/// A scope's policy; part of its certified descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How much weight decides.
    pub quorum: Quorum,
    /// What routine changes need.
    pub routine: Requirement,
    /// What renames need. Governance always needs approvals.
    pub alias: Requirement,
    /// How long voters wait.
    pub pace: Pace,
    /// The shortest TTL an entry may carry.
    pub ttl_min: Ttl,
    /// The longest TTL an entry may carry.
    pub ttl_max: Ttl,
    /// How many live entries the scope may hold.
    pub entries_max: u64,
    /// Who may ask: the first rule that matches decides. An empty list allows every caller; a
    /// list that matches nothing refuses.
    pub access: Vec<AccessRule>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            quorum: Quorum::Bft,
            routine: Requirement::Author,
            alias: Requirement::Author,
            pace: Pace::Interactive,
            ttl_min: Ttl::ZERO,
            ttl_max: Ttl::from_secs(7 * 86_400),
            entries_max: 10_000_000,
            access: Vec::new(),
        }
    }
}

impl Policy {
    /// What a class of changes needs.
    pub fn requirement(&self, class: Class) -> Requirement {
        match class {
            Class::Routine => self.routine,
            Class::Alias => self.alias,
            Class::Governance => Requirement::Approvals,
        }
    }

    /// The verdict for a caller; a missing address matches no rule.
    pub fn verdict(&self, caller: Option<IpAddr>) -> Verdict {
        if self.access.is_empty() {
            return Verdict::Allow;
        }
        let Some(address) = caller.map(|address| address.to_canonical()) else {
            return Verdict::Refuse;
        };
        self.access
            .iter()
            .find(|rule| rule.source.contains(&address))
            .map_or(Verdict::Refuse, |rule| rule.verdict)
    }
}

tagged!(Quorum, "quorum", Quorum::Bft = 0, Quorum::Majority = 1,);
tagged!(
    Class,
    "class",
    Class::Routine = 0,
    Class::Alias = 1,
    Class::Governance = 2,
);
tagged!(
    Requirement,
    "requirement",
    Requirement::Author = 0,
    Requirement::Approvals = 1,
);
tagged!(
    Pace,
    "pace",
    Pace::Interactive = 0,
    Pace::Hourly = 1,
    Pace::Daily = 2,
);
impl Canonical for Policy {
    fn encode(&self, out: &mut Encoder) {
        self.quorum.encode(out);
        self.routine.encode(out);
        self.alias.encode(out);
        self.pace.encode(out);
        self.ttl_min.encode(out);
        self.ttl_max.encode(out);
        out.u64(self.entries_max);
        out.list(&self.access);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            quorum: Quorum::decode(input)?,
            routine: Requirement::decode(input)?,
            alias: Requirement::decode(input)?,
            pace: Pace::decode(input)?,
            ttl_min: Ttl::decode(input)?,
            ttl_max: Ttl::decode(input)?,
            entries_max: input.u64()?,
            access: input.list("access rules", ACCESS_RULES_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_strict() {
        for (total, bft, majority) in [(1, 1, 1), (2, 2, 2), (3, 3, 2), (4, 3, 3), (7, 5, 4)] {
            assert_eq!(Quorum::Bft.needed(total), bft, "total {total}");
            assert_eq!(Quorum::Majority.needed(total), majority, "total {total}");
            assert!(Quorum::Bft.needed(total) * 3 > total * 2);
            assert!(Quorum::Majority.needed(total) * 2 > total);
        }
    }

    #[test]
    fn the_first_matching_rule_decides_and_no_match_refuses() {
        let rule = |source: &str, verdict| AccessRule {
            source: source.parse().unwrap(),
            verdict,
        };
        let policy = Policy {
            access: vec![
                rule("10.1.0.0/16", Verdict::Hide),
                rule("10.0.0.0/8", Verdict::Allow),
            ],
            ..Policy::default()
        };
        let ask = |address: &str| policy.verdict(Some(address.parse().unwrap()));
        assert_eq!(ask("10.1.2.3"), Verdict::Hide);
        assert_eq!(ask("10.2.2.3"), Verdict::Allow);
        assert_eq!(ask("::ffff:10.2.2.3"), Verdict::Allow);
        assert_eq!(ask("192.0.2.1"), Verdict::Refuse);
        assert_eq!(policy.verdict(None), Verdict::Refuse);
        assert_eq!(Policy::default().verdict(None), Verdict::Allow);
    }
}
