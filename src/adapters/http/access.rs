//! Access graphs as bodies of the API, and back.

use std::collections::BTreeMap;

use crate::base::limits::{ACCESS_NODES_MAX, CHALLENGE_BYTES_MAX, SETS_PER_NAME_MAX, VERBS_MAX};
use crate::governance::access::{AccessGraph, AccessNode, Next, Verdict};
use crate::governance::verb::{Verb, VerbClass};
use crate::namespace::rtype::RecordType;

use super::government::at_most;
use super::render::bad_value;
use super::status::Failure;
use super::wire_government::AccessTest;

/// Leads to the test that follows.
const NEXT: &str = "next";

pub(super) fn view(graph: &AccessGraph) -> Vec<AccessTest> {
    let nodes = graph.nodes();
    // A node that is led to from elsewhere needs a name.
    let name = |index: usize, node: &AccessNode| {
        if node.name.is_empty() {
            format!("test-{index}")
        } else {
            node.name.clone()
        }
    };
    let mut shown: Vec<AccessTest> = Vec::with_capacity(nodes.len());
    let mut named = vec![false; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let mut word = |next: &Next| match next {
            Next::Verdict(Verdict::Refuse) if index + 1 == nodes.len() => NEXT.to_owned(),
            Next::Verdict(verdict) => verdict.to_string(),
            Next::Node(to) if usize::from(*to) == index + 1 => NEXT.to_owned(),
            Next::Node(to) => {
                let to = usize::from(*to);
                if let Some(named) = named.get_mut(to) {
                    *named = true;
                }
                nodes
                    .get(to)
                    .map_or_else(String::new, |node| name(to, node))
            }
        };
        let (then, otherwise) = (word(&node.then), word(&node.otherwise));
        shown.push(AccessTest {
            name: node.name.clone(),
            when: node.test.to_string(),
            then,
            otherwise,
        });
    }
    for (index, (test, named)) in shown.iter_mut().zip(named).enumerate() {
        if named && test.name.is_empty() {
            test.name = format!("test-{index}");
        }
    }
    shown
}

pub(super) fn read(tests: &[AccessTest]) -> Result<AccessGraph, Failure> {
    at_most("access", tests.len(), ACCESS_NODES_MAX)?;
    let at = |name: &str| tests.iter().position(|test| test.name == name);
    let mut nodes = Vec::with_capacity(tests.len());
    for (index, test) in tests.iter().enumerate() {
        let what = format!("access test {}", index + 1);
        let lead = |text: &str| {
            let to = match text {
                NEXT if index + 1 == tests.len() => return Ok(Next::Verdict(Verdict::Refuse)),
                NEXT => Some(index + 1),
                text => match text.parse() {
                    Ok(verdict) => return Ok(Next::Verdict(verdict)),
                    Err(_) if text.is_empty() => None,
                    Err(_) => at(text),
                },
            };
            to.and_then(|to| u16::try_from(to).ok())
                .map(Next::Node)
                .ok_or_else(|| {
                    let expected = "expected allow, restrict, challenge, refuse, hide, next or \
                                    the name of a later test";
                    bad_value(&format!("{what}: {text:?}"), &expected)
                })
        };
        nodes.push(AccessNode {
            name: test.name.clone(),
            test: test
                .when
                .parse()
                .map_err(|error| bad_value(&format!("{what}: {:?}", test.when), &error))?,
            then: lead(&test.then)?,
            otherwise: lead(&test.otherwise)?,
        });
    }
    AccessGraph::new(nodes).map_err(|error| bad_value("access", &error))
}

pub(super) fn read_kinds(texts: &[String]) -> Result<Vec<RecordType>, Failure> {
    at_most("restricted", texts.len(), SETS_PER_NAME_MAX)?;
    let mut kinds = Vec::with_capacity(texts.len());
    for text in texts {
        kinds.push(
            text.parse()
                .map_err(|error| bad_value(&format!("restricted {text:?}"), &error))?,
        );
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

pub(super) fn read_challenge(text: &str) -> Result<String, Failure> {
    at_most("bytes of challenge", text.len(), CHALLENGE_BYTES_MAX)?;
    Ok(text.to_owned())
}

pub(super) fn read_verbs(verbs: &BTreeMap<String, String>) -> Result<Vec<Verb>, Failure> {
    at_most("verbs", verbs.len(), VERBS_MAX)?;
    let read = |(name, class): (&String, &String)| {
        let known = VerbClass::ALL
            .into_iter()
            .find(|known| known.to_string() == *class);
        let expected = "expected read, write, signal or claim";
        let class =
            known.ok_or_else(|| bad_value(&format!("verb {name}: {class:?}"), &expected))?;
        let expected = "expected letters, digits and hyphens in lower case, at most 63";
        Verb::new(name, class).ok_or_else(|| bad_value(&format!("verb {name:?}"), &expected))
    };
    verbs.iter().map(read).collect()
}
