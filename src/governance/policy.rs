//! `Policy`: what a scope demands of changes and of callers.

use std::fmt;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::base::limits::{CHALLENGE_BYTES_MAX, SETS_PER_NAME_MAX, VERBS_MAX};
use crate::base::time::Ttl;
use crate::namespace::rtype::RecordType;

use super::access::AccessGraph;
use super::verb::{Verb, VerbClass};

/// Full trust; scores and floors are parts of it.
pub const TRUST_MAX: u16 = 1_000;

/// The vocabulary of a scope that lists no verbs.
pub const USUAL_VERBS: [(&str, VerbClass); 5] = [
    ("claim", VerbClass::Claim),
    ("edit", VerbClass::Write),
    ("notify", VerbClass::Signal),
    ("pay", VerbClass::Write),
    ("view", VerbClass::Read),
];

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

    /// Whether one lying anchor can fork the scope.
    pub const fn is_crash_only(self) -> bool {
        matches!(self, Self::Majority)
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

/// Whose word a class of changes needs before it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// The author's signature, if the author is an anchor or holds a grant.
    Author,
    /// Approvals of the anchors that reach the quorum.
    Approvals,
}

/// How long a proposal may wait unless its scope says otherwise.
const EXPIRY_SECS_DEFAULT: u32 = 30 * 86_400;

/// What a class of changes needs before it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassRule {
    /// Whose word.
    pub requirement: Requirement,
    /// The least weight of approvals; 0 for the quorum. Governance never needs less than the
    /// quorum.
    pub weight: u64,
    /// Seconds between the approval that decides and the block that puts it in force.
    pub delay_secs: u32,
    /// Seconds that a proposal may wait, from when it was made.
    pub expiry_secs: u32,
}

impl ClassRule {
    /// The author's word is enough.
    pub const AUTHOR: Self = Self {
        requirement: Requirement::Author,
        weight: 0,
        delay_secs: 0,
        expiry_secs: EXPIRY_SECS_DEFAULT,
    };
    /// The quorum of the anchors must approve.
    pub const QUORUM: Self = Self {
        requirement: Requirement::Approvals,
        ..Self::AUTHOR
    };
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
    pub routine: ClassRule,
    /// What renames need.
    pub alias: ClassRule,
    /// What governance needs; always approvals.
    pub governance: ClassRule,
    /// Whether each anchor's weight stays below a third of the sum, so that no single one can block
    /// or decide. Binds groups of four and more; fewer cannot hold to it.
    pub cap_weight: bool,
    /// The least trust, of 1000, that an anchor needs to propose; 0 for any. Its votes count all
    /// the same, or low trust could leave a scope without a quorum.
    pub trust_floor: u16,
    /// How long voters wait.
    pub pace: Pace,
    /// The shortest TTL an entry may carry.
    pub ttl_min: Ttl,
    /// The longest TTL an entry may carry.
    pub ttl_max: Ttl,
    /// How many live entries the scope may hold.
    pub entries_max: u64,
    /// Who may ask for what, how and when; without nodes everybody.
    pub access: AccessGraph,
    /// The record types that a restricted caller sees, rising; addresses if empty.
    pub restricted: Vec<RecordType>,
    /// What a challenged caller is told: where to prove itself.
    pub challenge: String,
    /// The verbs that callers may use, by name, rising; the usual ones if empty.
    pub verbs: Vec<Verb>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            quorum: Quorum::Bft,
            routine: ClassRule::AUTHOR,
            alias: ClassRule::AUTHOR,
            governance: ClassRule::QUORUM,
            cap_weight: true,
            trust_floor: 0,
            pace: Pace::Interactive,
            ttl_min: Ttl::ZERO,
            ttl_max: Ttl::from_secs(7 * 86_400),
            entries_max: 10_000_000,
            access: AccessGraph::default(),
            restricted: Vec::new(),
            challenge: String::new(),
            verbs: Vec::new(),
        }
    }
}

impl Policy {
    /// What a class of changes needs.
    pub const fn rule(&self, class: Class) -> ClassRule {
        match class {
            Class::Routine => self.routine,
            Class::Alias => self.alias,
            Class::Governance => self.governance,
        }
    }

    /// Why nobody could live by this policy, in a group of this weight.
    pub fn fault(&self, total_weight: u64) -> Option<&'static str> {
        let rules = [self.routine, self.alias, self.governance];
        let idle_delay = |rule: &ClassRule| {
            rule.requirement == Requirement::Author && (rule.delay_secs > 0 || rule.weight > 0)
        };
        if self.governance.requirement == Requirement::Author {
            Some("governance always needs approvals")
        } else if rules.iter().any(|rule| rule.weight > total_weight) {
            Some("a class needs more weight than all anchors have")
        } else if rules.iter().any(idle_delay) {
            Some(
                "a weight or a delay goes with approvals: only these show when a change was agreed",
            )
        } else if rules.iter().any(|rule| rule.expiry_secs <= rule.delay_secs) {
            Some("a class expires before its delay is over")
        } else if !self.verbs.is_sorted_by(|a, b| a.name < b.name) {
            Some("a verb has two classes, or the verbs are not in order")
        } else if !self.restricted.is_sorted_by(|a, b| a < b) {
            Some("the restricted types are not in order")
        } else if self.trust_floor > TRUST_MAX {
            Some("trust is at most 1000")
        } else {
            None
        }
    }

    /// The class of a verb; none if it is not in the scope's vocabulary.
    pub fn verb_class(&self, name: &str) -> Option<VerbClass> {
        if self.verbs.is_empty() {
            let usual = USUAL_VERBS.iter().find(|(usual, _)| *usual == name);
            return usual.map(|(_, class)| *class);
        }
        let listed = self.verbs.iter().find(|verb| verb.name == name);
        listed.map(|verb| verb.class)
    }
}

/// Whether a record type is shown where only some are: those listed, or addresses if none is. What
/// belongs to the shape of the tree is always shown, or a resolver could not follow it.
pub fn is_shown(restricted: &[RecordType], kind: RecordType) -> bool {
    const SHAPE: [RecordType; 4] = [
        RecordType::SOA,
        RecordType::NS,
        RecordType::CNAME,
        RecordType::DNAME,
    ];
    const ADDRESSES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];
    let listed = if restricted.is_empty() {
        ADDRESSES.contains(&kind)
    } else {
        restricted.contains(&kind)
    };
    listed || SHAPE.contains(&kind)
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
impl Canonical for ClassRule {
    fn encode(&self, out: &mut Encoder) {
        self.requirement.encode(out);
        out.u64(self.weight);
        out.u32(self.delay_secs);
        out.u32(self.expiry_secs);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            requirement: Requirement::decode(input)?,
            weight: input.u64()?,
            delay_secs: input.u32()?,
            expiry_secs: input.u32()?,
        })
    }
}

impl Canonical for Policy {
    fn encode(&self, out: &mut Encoder) {
        self.quorum.encode(out);
        self.routine.encode(out);
        self.alias.encode(out);
        self.governance.encode(out);
        out.bool(self.cap_weight);
        out.u16(self.trust_floor);
        self.pace.encode(out);
        self.ttl_min.encode(out);
        self.ttl_max.encode(out);
        out.u64(self.entries_max);
        self.access.encode(out);
        out.list(&self.restricted);
        out.text(&self.challenge);
        out.list(&self.verbs);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            quorum: Quorum::decode(input)?,
            routine: ClassRule::decode(input)?,
            alias: ClassRule::decode(input)?,
            governance: ClassRule::decode(input)?,
            cap_weight: input.bool()?,
            trust_floor: input.u16()?,
            pace: Pace::decode(input)?,
            ttl_min: Ttl::decode(input)?,
            ttl_max: Ttl::decode(input)?,
            entries_max: input.u64()?,
            access: AccessGraph::decode(input)?,
            restricted: input.list("restricted types", SETS_PER_NAME_MAX)?,
            challenge: input.text("challenge", CHALLENGE_BYTES_MAX)?,
            verbs: input.list("verbs", VERBS_MAX)?,
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
}
