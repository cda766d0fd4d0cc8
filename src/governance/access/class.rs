//! `CallerClass`: callers whom a graph treats alike, whatever they ask.

use crate::governance::predicate::{Caller, Predicate};

use super::AccessGraph;
use super::compiled::bit;

/// What the tests about the caller itself say of a caller, two bits a test: callers of one class get
/// one verdict to the same question at the same moment. An answer that is kept for some callers is
/// kept by the classes of the scopes on its way, together with what else the verdict may hang on:
/// [`CallerClass::is_enough`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerClass {
    number: u128,
    is_enough: bool,
}

impl CallerClass {
    /// The number that callers of a class have in common.
    pub const fn number(self) -> u128 {
        self.number
    }

    /// Whether class and question (name, type and verb) decide: no test reads the time or the load.
    pub const fn is_enough(self) -> bool {
        self.is_enough
    }
}

impl AccessGraph {
    /// The class of a caller.
    pub fn class_of(&self, caller: &Caller<'_>) -> CallerClass {
        let told = self.compiled.tell(caller);
        let about_callers = self.compiled.about_callers();
        // At most 64 tests, so that two bits each fit.
        let nodes = self.nodes().iter().enumerate();
        let number = nodes.fold(0, |number: u128, (at, node)| {
            let said = if about_callers & bit(at) == 0 {
                0
            } else {
                match self.holds((at, node), told, caller) {
                    None => 1,
                    Some(false) => 2,
                    Some(true) => 3,
                }
            };
            number << 2 | said
        });
        let moves = |test: &Predicate| matches!(test, Predicate::Hours(_) | Predicate::Load(_));
        CallerClass {
            number,
            is_enough: !self.nodes().iter().any(|node| moves(&node.test)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::time::Timestamp;
    use crate::governance::access::{AccessNode, Next, Verdict};
    use crate::governance::predicate::Transport;
    use crate::namespace::name::Name;
    use crate::namespace::rtype::RecordType;

    const TESTS: [&str; 11] = [
        "source 10.0.0.0/8",
        "source 10.1.0.0/16",
        "source 2001:db8::/32",
        "transport tcp",
        "transport tls",
        "tsig a",
        "tsig b",
        "hours 08:00-18:00",
        "type A,TXT",
        "name **.secret",
        "load 3",
    ];
    const ADDRESSES: [&str; 5] = ["10.0.0.1", "10.1.0.1", "192.0.2.1", "2001:db8::1", "::1"];

    fn any_graph() -> impl Strategy<Value = AccessGraph> {
        let node = (0..TESTS.len(), any::<(u8, u8)>());
        proptest::collection::vec(node, 1..12).prop_map(|nodes| {
            let count = nodes.len();
            let lead = |from: usize, pick: u8| {
                let pick = usize::from(pick) % (Verdict::ALL.len() + 3);
                let to = from + 1 + pick.saturating_sub(Verdict::ALL.len());
                match Verdict::ALL.get(pick) {
                    Some(verdict) => Next::Verdict(*verdict),
                    None if to < count => Next::Node(u16::try_from(to).unwrap()),
                    None => Next::Verdict(Verdict::Refuse),
                }
            };
            let node = |(index, (test, picks)): (usize, (usize, (u8, u8)))| AccessNode {
                name: String::new(),
                test: TESTS[test].parse().unwrap(),
                then: lead(index, picks.0),
                otherwise: lead(index, picks.1),
            };
            AccessGraph::new(nodes.into_iter().enumerate().map(node).collect()).unwrap()
        })
    }

    /// Who asks: address, transport, key.
    type Who = (usize, usize, usize);
    /// What and when: hour, type, whether a secret name, load.
    type What = (u64, bool, bool, u32);

    fn judged(graph: &AccessGraph, who: Who, what: What) -> (CallerClass, Verdict) {
        let keys: [Name; 2] = ["a.".parse().unwrap(), "b.".parse().unwrap()];
        let labels: &[&[u8]] = if what.2 { &[b"secret"] } else { &[b"open"] };
        let caller = Caller {
            address: ADDRESSES.get(who.0).map(|text| text.parse().unwrap()),
            transport: Transport::ALL.get(who.1).copied(),
            key: keys.get(who.2),
            time: Some(Timestamp::from_millis(what.0 * 3_600_000)),
            name: Some(labels),
            load: Some(what.3),
            ..Caller::unknown(if what.1 {
                RecordType::A
            } else {
                RecordType::MX
            })
        };
        (graph.class_of(&caller), graph.verdict(&caller))
    }

    proptest! {
        #[test]
        fn callers_of_a_class_get_one_verdict_to_the_same_question(
            graph in any_graph(),
            one in (0..6_usize, 0..4_usize, 0..3_usize),
            other in (0..6_usize, 0..4_usize, 0..3_usize),
            what in (0..24_u64, any::<bool>(), any::<bool>(), 0..6_u32),
            later in (0..24_u64, 0..6_u32),
        ) {
            let (class, verdict) = judged(&graph, one, what);
            let (other_class, other_verdict) = judged(&graph, other, what);
            if class == other_class {
                prop_assert_eq!(verdict, other_verdict);
            }
            if class.is_enough() {
                let then = judged(&graph, one, (later.0, what.1, what.2, later.1));
                prop_assert_eq!(then, (class, verdict));
            }
        }
    }
}
