//! `AccessGraph`: what a scope says to which caller, as a graph of tests without cycles.

use std::fmt;
use std::str::FromStr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::base::limits::{ACCESS_NODES_MAX, REGION_BYTES_MAX};
use crate::namespace::scope::ScopeUid;

use super::predicate::{Caller, Predicate};

/// What a scope says to a caller, from the mildest to the hardest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Answer.
    Allow,
    /// Answer with some record types only.
    Restrict,
    /// REFUSED, with an extended error that says how to prove oneself.
    Challenge,
    /// REFUSED, with an extended error.
    Refuse,
    /// As if the name did not exist.
    Hide,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 5] = [
        Self::Allow,
        Self::Restrict,
        Self::Challenge,
        Self::Refuse,
        Self::Hide,
    ];

    /// How much the caller gets: to be hidden from is no less than to be refused.
    const fn gets(self) -> u8 {
        match self {
            Self::Allow => 3,
            Self::Restrict => 2,
            Self::Challenge => 1,
            Self::Refuse | Self::Hide => 0,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allow => "allow",
            Self::Restrict => "restrict",
            Self::Challenge => "challenge",
            Self::Refuse => "refuse",
            Self::Hide => "hide",
        })
    }
}

/// A word that is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected allow, restrict, challenge, refuse or hide")]
pub struct BadVerdict;

impl FromStr for Verdict {
    type Err = BadVerdict;

    fn from_str(text: &str) -> Result<Self, BadVerdict> {
        let named = |verdict: &Self| verdict.to_string() == text;
        Self::ALL.into_iter().find(named).ok_or(BadVerdict)
    }
}

/// Where a test leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To an end.
    Verdict(Verdict),
    /// To a later node, by its index.
    Node(u16),
}

/// One test of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessNode {
    /// What other nodes call it; may be empty.
    pub name: String,
    /// The test.
    pub test: Predicate,
    /// Where to go if it holds.
    pub then: Next,
    /// Where to go if it does not.
    pub otherwise: Next,
}

impl AccessNode {
    /// What a caller is told whose signal is missing. To go on would let it in by hiding what it is;
    /// a denial that stands on the other edge is the one that was meant for it.
    const fn without_signal(&self) -> Verdict {
        match self.otherwise {
            Next::Verdict(Verdict::Challenge) => Verdict::Challenge,
            Next::Verdict(Verdict::Hide) => Verdict::Hide,
            _ => Verdict::Refuse,
        }
    }
}

/// The tests of a scope, from the first one on. Edges lead forwards only, so there is no cycle and
/// no way is longer than the graph. Without nodes every caller is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessGraph {
    nodes: Vec<AccessNode>,
    reads_names: bool,
}

/// What a graph says to a caller, and which test said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What it says.
    pub verdict: Verdict,
    /// The index of the last test on the way; none if there are no tests.
    pub by: Option<usize>,
    /// Whether that test lacked its signal.
    pub is_blind: bool,
}

/// Why nodes make no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGraph {
    /// Too many tests for every question.
    #[error("an access graph has at most {ACCESS_NODES_MAX} nodes")]
    TooMany,
    /// An edge that leads back, to itself or out.
    #[error("node {0} leads to itself, back, or to a node that is not there")]
    Edge(usize),
    /// A name twice.
    #[error("two nodes are called {0:?}")]
    Name(String),
}

impl AccessGraph {
    /// A graph of nodes, checked as a whole.
    pub fn new(nodes: Vec<AccessNode>) -> Result<Self, BadGraph> {
        if nodes.len() > ACCESS_NODES_MAX {
            return Err(BadGraph::TooMany);
        }
        for (index, node) in nodes.iter().enumerate() {
            let forwards = |next: &Next| match next {
                Next::Verdict(_) => true,
                Next::Node(to) => usize::from(*to) > index && usize::from(*to) < nodes.len(),
            };
            if !forwards(&node.then) || !forwards(&node.otherwise) {
                return Err(BadGraph::Edge(index));
            }
            let twin = |other: &AccessNode| other.name == node.name;
            if !node.name.is_empty() && nodes.iter().take(index).any(twin) {
                return Err(BadGraph::Name(node.name.clone()));
            }
        }
        let reads_names = nodes
            .iter()
            .any(|node| matches!(node.test, Predicate::Name(_)));
        Ok(Self { nodes, reads_names })
    }

    /// Whether a test asks for the name.
    pub const fn reads_names(&self) -> bool {
        self.reads_names
    }

    /// The tests.
    pub fn nodes(&self) -> &[AccessNode] {
        &self.nodes
    }

    /// The verdict for a caller.
    pub fn verdict(&self, caller: &Caller<'_>) -> Verdict {
        self.decide(caller).verdict
    }

    /// The test that led to a decision, in words.
    pub fn reason(&self, decision: &Decision) -> Option<String> {
        let number = decision.by?;
        let node = self.nodes.get(number)?;
        let blind = if decision.is_blind { ", not known" } else { "" };
        Some(format!("test {}, {}{blind}", number + 1, node.test))
    }

    /// The verdict for a caller, and what led to it. A test whose signal is missing denies.
    pub fn decide(&self, caller: &Caller<'_>) -> Decision {
        let mut at = 0;
        // Indices only rise, so this ends.
        while let Some(node) = self.nodes.get(at) {
            let holds = node.test.holds(caller);
            let next = match holds {
                None => Next::Verdict(node.without_signal()),
                Some(true) => node.then,
                Some(false) => node.otherwise,
            };
            match next {
                Next::Verdict(verdict) => {
                    return Decision {
                        verdict,
                        by: Some(at),
                        is_blind: holds.is_none(),
                    };
                }
                Next::Node(to) => at = usize::from(to),
            }
        }
        Decision {
            verdict: Verdict::Allow,
            by: None,
            is_blind: false,
        }
    }
}

/// Whether another graph lets callers do more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessChange {
    /// Some caller gets more.
    pub widened: bool,
    /// Some caller gets less.
    pub narrowed: bool,
}

/// Callers that are compared; graphs that tell more apart count as both widened and narrowed.
const PROBES_MAX: usize = 100_000;

/// Compares two graphs of a scope for every caller that either of them could tell apart.
pub fn compare(scope: ScopeUid, before: &AccessGraph, after: &AccessGraph) -> AccessChange {
    if before == after {
        return AccessChange::default();
    }
    let tests = before.nodes.iter().chain(&after.nodes);
    let tests: Vec<&Predicate> = tests.map(|node| &node.test).collect();
    let mut change = AccessChange::default();
    let told = super::probes::each_caller(scope, &tests, PROBES_MAX, |caller| {
        let (was, is) = (before.verdict(caller).gets(), after.verdict(caller).gets());
        change.widened |= is > was;
        change.narrowed |= is < was;
    });
    if told {
        change
    } else {
        AccessChange {
            widened: true,
            narrowed: true,
        }
    }
}

tagged!(
    Verdict,
    "verdict",
    Verdict::Allow = 0,
    Verdict::Refuse = 1,
    Verdict::Hide = 2,
    Verdict::Restrict = 3,
    Verdict::Challenge = 4,
);

impl Canonical for Next {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Verdict(verdict) => {
                out.u8(0);
                verdict.encode(out);
            }
            Self::Node(index) => {
                out.u8(1);
                out.u16(*index);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Verdict::decode(input).map(Self::Verdict),
            1 => input.u16().map(Self::Node),
            tag => Err(DecodeError::Tag { what: "edge", tag }),
        }
    }
}

impl Canonical for AccessNode {
    fn encode(&self, out: &mut Encoder) {
        out.text(&self.name);
        self.test.encode(out);
        self.then.encode(out);
        self.otherwise.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: input.text("name of a node", REGION_BYTES_MAX)?,
            test: Predicate::decode(input)?,
            then: Next::decode(input)?,
            otherwise: Next::decode(input)?,
        })
    }
}

impl Canonical for AccessGraph {
    fn encode(&self, out: &mut Encoder) {
        out.list(&self.nodes);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let nodes = input.list("access nodes", ACCESS_NODES_MAX)?;
        Self::new(nodes).map_err(|_| DecodeError::NotCanonical {
            what: "access graph",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::governance::predicate::Transport;
    use crate::namespace::rtype::RecordType;

    /// Tests in order, each with a verdict; what none matches is refused.
    fn list(rules: &[&str]) -> AccessGraph {
        let count = u16::try_from(rules.len()).unwrap();
        let node = |(index, text): (usize, &&str)| {
            let (test, verdict) = text.split_once('=').unwrap();
            let next = u16::try_from(index).unwrap() + 1;
            AccessNode {
                name: String::new(),
                test: test.parse().unwrap(),
                then: Next::Verdict(verdict.parse().unwrap()),
                otherwise: if next < count {
                    Next::Node(next)
                } else {
                    Next::Verdict(Verdict::Refuse)
                },
            }
        };
        AccessGraph::new(rules.iter().enumerate().map(node).collect()).unwrap()
    }

    fn caller(address: &str) -> Caller<'static> {
        Caller {
            address: Some(address.parse().unwrap()),
            transport: Some(Transport::Udp),
            ..Caller::unknown(RecordType::A)
        }
    }

    fn scope(byte: u8) -> ScopeUid {
        ScopeUid::new(Digest::from_bytes([byte; 32]))
    }

    #[test]
    fn the_first_test_that_holds_decides_and_none_refuses() {
        let graph = list(&["source 10.1.0.0/16=hide", "source 10.0.0.0/8=allow"]);
        assert_eq!(graph.verdict(&caller("10.1.2.3")), Verdict::Hide);
        assert_eq!(graph.verdict(&caller("10.2.2.3")), Verdict::Allow);
        assert_eq!(graph.verdict(&caller("::ffff:10.2.2.3")), Verdict::Allow);
        assert_eq!(graph.verdict(&caller("192.0.2.1")), Verdict::Refuse);
        assert_eq!(
            AccessGraph::default().verdict(&caller("192.0.2.1")),
            Verdict::Allow
        );
    }

    #[test]
    fn a_missing_signal_refuses_whatever_would_follow() {
        let graph = list(&["hours 00:00-24:00=allow", "source 0.0.0.0/0=allow"]);
        assert_eq!(graph.verdict(&caller("10.0.0.1")), Verdict::Refuse);
        let nobody = Caller {
            address: None,
            ..caller("10.0.0.1")
        };
        let anybody = list(&["source 0.0.0.0/0=hide", "transport udp=allow"]);
        assert_eq!(anybody.verdict(&nobody), Verdict::Refuse);
    }

    #[test]
    fn a_missing_signal_is_challenged_or_hidden_from_where_that_is_what_others_get() {
        let signed = |otherwise: &str| {
            AccessGraph::new(vec![AccessNode {
                name: String::new(),
                test: "tsig ci-key".parse().unwrap(),
                then: Next::Verdict(Verdict::Allow),
                otherwise: Next::Verdict(otherwise.parse().unwrap()),
            }])
            .unwrap()
        };
        for (otherwise, expected) in [
            ("challenge", Verdict::Challenge),
            ("hide", Verdict::Hide),
            ("refuse", Verdict::Refuse),
            ("restrict", Verdict::Refuse),
            ("allow", Verdict::Refuse),
        ] {
            let graph = signed(otherwise);
            let decision = graph.decide(&caller("10.0.0.1"));
            assert_eq!(decision.verdict, expected, "{otherwise}");
            assert!(decision.is_blind);
            let key = "ci-key.".parse().unwrap();
            let known = Caller {
                key: Some(&key),
                ..caller("10.0.0.1")
            };
            assert_eq!(graph.verdict(&known), Verdict::Allow);
            let other = "other-key.".parse().unwrap();
            let stranger = Caller {
                key: Some(&other),
                ..caller("10.0.0.1")
            };
            assert_eq!(graph.verdict(&stranger), otherwise.parse().unwrap());
        }
    }

    #[test]
    fn edges_lead_forwards_only() {
        let node = |then| AccessNode {
            name: String::new(),
            test: "transport tcp".parse().unwrap(),
            then,
            otherwise: Next::Verdict(Verdict::Refuse),
        };
        for to in [0, 1, 9] {
            let nodes = vec![node(Next::Verdict(Verdict::Allow)), node(Next::Node(to))];
            assert_eq!(AccessGraph::new(nodes), Err(BadGraph::Edge(1)), "to {to}");
        }
        let ends = vec![node(Next::Verdict(Verdict::Allow)); ACCESS_NODES_MAX + 1];
        assert_eq!(AccessGraph::new(ends), Err(BadGraph::TooMany));
    }

    #[test]
    fn a_change_of_access_is_seen_for_every_caller_that_is_told_apart() {
        let change = |before: &[&str], after: &[&str]| {
            let AccessChange { widened, narrowed } = compare(scope(1), &list(before), &list(after));
            (widened, narrowed)
        };
        assert_eq!(change(&[], &[]), (false, false));
        assert_eq!(change(&[], &["source 10.0.0.0/8=allow"]), (false, true));
        assert_eq!(change(&["source 10.0.0.0/8=allow"], &[]), (true, false));
        let one = ["source 10.1.0.0/16=hide", "source 10.0.0.0/8=allow"];
        assert_eq!(change(&one, &["source 10.0.0.0/8=allow"]), (true, false));
        assert_eq!(change(&["source 10.0.0.0/8=allow"], &one), (false, true));
        let other = ["source 10.2.0.0/16=hide", "source 10.0.0.0/8=allow"];
        assert_eq!(change(&one, &other), (true, true));
        let refused = ["source 10.1.0.0/16=refuse", "source 10.0.0.0/8=allow"];
        assert_eq!(change(&one, &refused), (false, false), "both get nothing");
        let typed = ["type TXT=restrict", "source ::/0=allow"];
        assert_eq!(change(&["source ::/0=allow"], &typed), (true, true));
        let verbs = ["class write=challenge", "source 10.0.0.0/8=allow"];
        assert_eq!(change(&["source 10.0.0.0/8=allow"], &verbs), (true, true));
        let every = ["source 0.0.0.0/0=allow", "source ::/0=allow"];
        let named = |rules: &[&str]| {
            let rules: Vec<&str> = rules.iter().chain(&every).copied().collect();
            list(&rules)
        };
        let between = |before: &[&str], after: &[&str]| {
            let AccessChange { widened, narrowed } =
                compare(scope(1), &named(before), &named(after));
            (widened, narrowed)
        };
        assert_eq!(between(&[], &["name *.secret=hide"]), (false, true));
        assert_eq!(
            between(&["name **.secret=hide"], &["name *.secret=hide"]),
            (true, false)
        );
        // Only `api.web` is told apart, which neither pattern is.
        let before = ["name api.*=allow", "name *.web=hide"];
        let after = ["name *.web=hide", "name api.*=allow"];
        assert_eq!(between(&before, &after), (false, true));
        let keyed = ["tsig a=allow", "tsig b=allow"];
        assert_eq!(change(&keyed, &["tsig a=allow"]), (false, true));
        assert_eq!(change(&["tsig a=allow"], &keyed), (true, false));
    }

    #[test]
    fn a_change_of_access_is_seen_for_every_device_that_is_told_apart() {
        let change = |before: &[&str], after: &[&str]| {
            let AccessChange { widened, narrowed } = compare(scope(1), &list(before), &list(after));
            (widened, narrowed)
        };
        let named = |byte| format!("device {}=allow", scope(byte));
        let own = ["device own=allow"];
        assert_eq!(change(&[], &own), (false, true));
        assert_eq!(change(&own, &[&named(1)]), (false, false), "the same scope");
        assert_eq!(change(&own, &[&named(2)]), (true, true));
        assert_eq!(change(&own, &[own[0], &named(2)]), (true, false));
        assert_eq!(
            change(&own, &["transport udp=hide", own[0]]),
            (false, false)
        );
        assert_eq!(change(&own, &["transport tcp=hide", own[0]]), (false, true));
        let many: Vec<String> = (0..40).map(named).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(change(&many, &own), (true, true), "too many to tell apart");
    }
}
