//! Which side answers first, and what may be handed to the other.

use std::fmt;

use crate::namespace::name::{BadName, Name};

/// The order of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The index alone; nothing of the name ever leaves the node.
    GovernedOnly,
    /// The index, then legacy DNS where the rule lists the outcome.
    GovernedFirst,
    /// Legacy DNS, then the index where the rule lists the outcome.
    LegacyFirst,
    /// Legacy DNS alone.
    LegacyOnly,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::GovernedOnly => "governed-only",
            Self::GovernedFirst => "governed-first",
            Self::LegacyFirst => "legacy-first",
            Self::LegacyOnly => "legacy-only",
        })
    }
}

/// Outcomes that move on to the other side. Refusals, retired names and internal failures are not
/// among them and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FallThrough {
    /// No such name.
    pub absent: bool,
    /// The side could not be asked.
    pub unreachable: bool,
}

/// A rule for every name at and below a suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The suffix.
    pub suffix: Name,
    /// Which side first.
    pub order: Order,
    /// What moves on.
    pub fall_through: FallThrough,
    /// The name that stands for the suffix on the other side.
    pub map_to: Option<Name>,
    /// Legacy names that may be asked on behalf of governed ones; the mapped suffix if empty.
    pub eligible_zones: Vec<Name>,
    /// Only legacy answers that were validated, here or by a trusted upstream.
    pub require_dnssec: bool,
    /// Hand-overs of one question.
    pub handovers_max: u8,
    /// Whether every consultation of the other side is logged.
    pub audit: bool,
}

impl Rule {
    /// A rule that only says the order.
    pub fn plain(suffix: Name, order: Order) -> Self {
        Self {
            suffix,
            order,
            fall_through: FallThrough::default(),
            map_to: None,
            eligible_zones: Vec::new(),
            require_dnssec: false,
            handovers_max: 1,
            audit: false,
        }
    }

    /// The name under which the other side knows `name`.
    pub fn mapped(&self, name: &Name) -> Result<Name, BadName> {
        match &self.map_to {
            Some(to) => name.rebase(&self.suffix, to),
            None => Ok(name.clone()),
        }
    }

    /// Whether a legacy name may be asked. A governed suffix that names no zone and has no mapping
    /// has none that is eligible, so a forgotten line leaks nothing.
    pub fn is_eligible(&self, legacy_name: &Name, suffix_is_governed: bool) -> bool {
        if !self.eligible_zones.is_empty() {
            return self
                .eligible_zones
                .iter()
                .any(|zone| legacy_name.is_within(zone));
        }
        match &self.map_to {
            Some(to) if suffix_is_governed => legacy_name.is_within(to),
            _ => !suffix_is_governed,
        }
    }
}

/// All rules of a node; the longest suffix wins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Sorts the rules by their suffixes, longest first.
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.suffix.label_count()));
        Self { rules }
    }

    /// The rule for a name, if one was written.
    pub fn for_name(&self, name: &Name) -> Option<&Rule> {
        self.rules.iter().find(|rule| name.is_within(&rule.suffix))
    }

    /// All rules.
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_suffix_wins() {
        let rules = Rules::new(vec![
            Rule::plain(name("internal."), Order::GovernedOnly),
            Rule::plain(name("eu.mesh.internal."), Order::GovernedFirst),
        ]);
        let order = |text: &str| rules.for_name(&name(text)).map(|rule| rule.order);
        assert_eq!(order("api.eu.mesh.internal."), Some(Order::GovernedFirst));
        assert_eq!(order("api.us.mesh.internal."), Some(Order::GovernedOnly));
        assert_eq!(order("example.com."), None);
    }

    #[test]
    fn a_governed_suffix_without_mapping_or_list_has_no_eligible_zone() {
        let rule = Rule::plain(name("mesh.internal."), Order::GovernedFirst);
        assert!(!rule.is_eligible(&name("api.mesh.internal."), true));
        let mapped = Rule {
            map_to: Some(name("example.com.")),
            ..rule
        };
        assert!(mapped.is_eligible(&name("api.example.com."), true));
        assert!(!mapped.is_eligible(&name("example.org."), true));
        let listed = Rule {
            eligible_zones: vec![name("eu.example.com.")],
            ..mapped
        };
        assert!(!listed.is_eligible(&name("api.example.com."), true));
    }
}
