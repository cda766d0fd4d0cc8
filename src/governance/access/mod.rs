//! `AccessGraph`: what a scope says to which caller, as a graph of tests without cycles.

mod class;
mod compiled;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::base::limits::{ACCESS_NODES_MAX, REGION_BYTES_MAX};
use crate::base::reach::Reach;
use crate::namespace::scope::ScopeUid;

use super::predicate::{Caller, Predicate};

use self::compiled::{Compiled, Told, bit};

pub use class::CallerClass;

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
    compiled: Compiled,
    reads_names: bool,
    reads_load: bool,
    reads_time: bool,
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
        let reads_load = nodes
            .iter()
            .any(|node| matches!(node.test, Predicate::Load(_)));
        let reads_time = nodes
            .iter()
            .any(|node| matches!(node.test, Predicate::Hours(_)));
        let compiled = Compiled::new(nodes.iter().map(|node| &node.test));
        Ok(Self {
            nodes,
            compiled,
            reads_names,
            reads_load,
            reads_time,
        })
    }

    /// Whether a test asks how much the scope is asked.
    pub const fn reads_load(&self) -> bool {
        self.reads_load
    }

    /// Whether a test asks for the time.
    pub const fn reads_time(&self) -> bool {
        self.reads_time
    }

    /// Whether a test asks for a device.
    pub const fn reads_devices(&self) -> bool {
        self.compiled.asks_for_devices()
    }

    /// The addresses that no test tells from one: callers there are of one class if they have come
    /// the same way and proved the same.
    pub fn alike(&self, address: IpAddr) -> Reach {
        self.compiled.alike(address)
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
    pub fn reason(&self, decision: &Decision, caller: &Caller<'_>) -> Option<String> {
        let number = decision.by?;
        let node = self.nodes.get(number)?;
        let more = match (&node.test, caller.load) {
            _ if decision.is_blind => ", not known".to_owned(),
            (Predicate::Load(_), Some(now)) => format!(", now {now}"),
            _ => String::new(),
        };
        Some(format!("test {}, {}{more}", number + 1, node.test))
    }

    /// The verdict for a caller, and what led to it. A test whose signal is missing denies. One of
    /// who the caller is leads on to other such tests: one of them must hold before anything lets
    /// the caller in.
    pub fn decide(&self, caller: &Caller<'_>) -> Decision {
        let mut at = 0;
        let mut unproved = None;
        let told = self.compiled.tell(caller);
        // Indices only rise, so this ends.
        while let Some(node) = self.nodes.get(at) {
            let holds = self.holds((at, node), told, caller);
            let next = match (holds, node.otherwise) {
                (Some(true), _) => {
                    if node.test.proves_who() {
                        unproved = None;
                    }
                    node.then
                }
                (Some(false), otherwise) => otherwise,
                (None, Next::Node(to)) if node.test.proves_who() => {
                    unproved = unproved.or(Some(at));
                    Next::Node(to)
                }
                (None, _) => Next::Verdict(node.without_signal()),
            };
            match next {
                Next::Verdict(verdict) => return decided(verdict, (at, holds.is_none()), unproved),
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

impl AccessGraph {
    /// Whether a test holds for a caller of whom the compiled tests have told; none if its signal is
    /// missing.
    fn holds(
        &self,
        (at, node): (usize, &AccessNode),
        told: Told,
        caller: &Caller<'_>,
    ) -> Option<bool> {
        let bit = bit(at);
        if self.compiled.looked_up() & bit == 0 {
            return node.test.holds(caller);
        }
        (told.known & bit != 0).then_some(told.held & bit != 0)
    }
}

/// What a test's verdict comes to for a caller who did not say who it is before.
const fn decided(
    verdict: Verdict,
    (by, is_blind): (usize, bool),
    unproved: Option<usize>,
) -> Decision {
    match unproved {
        Some(first) if verdict.gets() >= Verdict::Restrict.gets() => Decision {
            verdict: Verdict::Refuse,
            by: Some(first),
            is_blind: true,
        },
        _ => Decision {
            verdict,
            by: Some(by),
            is_blind,
        },
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
mod tests;
