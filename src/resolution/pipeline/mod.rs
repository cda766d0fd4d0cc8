//! `Resolution`: a question taken to its answer across both sides.
//!
//! Pure: where legacy DNS or another node must be asked the resolution stops and hands out the
//! question, and goes on with the reply. The fall-back policy is checked before a question is handed
//! out, so nothing leaves the node that a rule keeps here.

mod attempt;
mod continued;
mod heeding;
mod seeking;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::limits::CHAIN_HOPS_MAX;
use crate::governance::device::Presences;
use crate::index::place::{Apex, apex_of};
use crate::index::state::ScopeNo;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::record::Record;

use super::answer::{Answer, ExtendedError, Outcome, Side, ede};
use super::fallback::{Order, Rule, Rules};
use super::governed::Lack;
use super::instances::Services;
use super::legacy::LegacyQuestion;
use super::load::Loads;
use super::question::Question;
use super::trail::{Trail, TrailStep};
use super::zone::Zone;

pub use continued::{LegacyOutcome, Waiting};
pub use seeking::{PeerOutcome, Seeking};

/// Everything local that answers are made from, at one moment.
#[derive(Clone)]
pub struct Realm<'r, V> {
    /// The index.
    pub view: &'r V,
    /// The governed trees.
    pub apexes: &'r [Apex],
    /// The zones by their origin.
    pub zones: &'r BTreeMap<Name, Arc<Zone>>,
    /// The fall-back rules.
    pub rules: &'r Rules,
    /// Suffixes that somebody configured upstreams for; special-use names below them are asked.
    pub routes: &'r [Name],
    /// What the resolver says of its encrypted listeners.
    pub designated: &'r [Record],
    /// Where devices have shown themselves; none for the past.
    pub presences: Option<&'r Presences>,
    /// The instances of services.
    pub services: &'r dyn Services,
    /// How much scopes are asked; none where that is not known.
    pub loads: Option<&'r dyn Loads>,
    /// Whether other nodes can be asked about scopes that are not held.
    pub asks_peers: bool,
}

impl<V> std::fmt::Debug for Realm<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Realm")
    }
}

/// What a resolution needs next.
#[derive(Debug)]
pub enum Step {
    /// Nothing: here is the answer.
    Done(Box<Answer>),
    /// A reply from legacy DNS.
    AskLegacy(LegacyQuestion, Box<Waiting>),
    /// A proof from a node that holds a scope.
    AskPeers(Lack, Box<Seeking>),
}

/// One of the two sides in the order of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Half {
    Governed,
    Legacy,
}

/// A resolution on its way.
#[derive(Debug)]
struct Resolution {
    question: Question,
    /// The name asked now; differs from the question's after a CNAME.
    name: Name,
    /// Records of the chain so far.
    answers: Vec<Record>,
    /// That wildcards of the chain so far may be used (RFC 4035 section 3.1.3.3).
    proofs: Vec<Record>,
    authoritative: Option<bool>,
    /// Whether every part so far was validated legacy data.
    authentic: bool,
    /// Whether a rule on the way demanded validated data; what it leads to must be validated too.
    validated_only: bool,
    errors: Vec<ExtendedError>,
    hops: u8,
    handovers: u8,
    /// How often other nodes were asked.
    peer_asks: u8,
    /// The scopes whose load counts the question already.
    counted: Vec<ScopeNo>,
    /// What was asked of which side already; ends every loop.
    visited: Vec<(Half, Name)>,
}

/// The sides still to be asked for the present name, and by which rule.
#[derive(Debug)]
struct Plan {
    rule: Rule,
    governed_suffix: bool,
    rest: Vec<Half>,
    /// The side that was asked first and what it said, kept as the answer if the other side has
    /// none.
    fallen: Option<Box<Answer>>,
    /// No other node could say more of the present name.
    peers_silent: bool,
    /// What was lacking when other nodes were asked last.
    lacked: Option<Lack>,
    /// A scope on the way keeps the type that is asked from the caller.
    withheld: bool,
}

/// Begins a resolution.
pub fn start<V: IndexView>(
    realm: &Realm<'_, V>,
    question: Question,
    trail: &mut Trail,
) -> Result<Step, V::Error> {
    let resolution = Resolution {
        name: question.name.clone(),
        question,
        answers: Vec::new(),
        proofs: Vec::new(),
        authoritative: None,
        authentic: true,
        validated_only: false,
        errors: Vec::new(),
        hops: 0,
        handovers: 0,
        peer_asks: 0,
        counted: Vec::new(),
        visited: Vec::new(),
    };
    resolution.advance(realm, trail)
}

impl Resolution {
    /// Asks the sides for the present name in the order of its rule.
    fn advance<V: IndexView>(
        self,
        realm: &Realm<'_, V>,
        trail: &mut Trail,
    ) -> Result<Step, V::Error> {
        let apex = apex_of(realm.apexes, &self.name);
        let governed = apex.is_some();
        // A rule speaks for an apex only if it names it or something below: a wide rule must not
        // open a private tree by accident.
        let reaches = |rule: &&Rule| apex.is_none_or(|apex| rule.suffix.is_within(&apex.name));
        let (rule, source) = match realm.rules.for_name(&self.name).filter(reaches) {
            Some(rule) => (rule.clone(), format!("rule for {}", rule.suffix)),
            None if governed => (
                Rule::plain(self.name.clone(), Order::GovernedOnly),
                "default of an apex".into(),
            ),
            None => (
                Rule::plain(self.name.clone(), Order::LegacyOnly),
                "default".into(),
            ),
        };
        trail.note(|| TrailStep::Route {
            name: self.name.clone(),
            order: rule.order,
            rule: source,
        });
        let rest = match rule.order {
            Order::GovernedOnly => vec![Half::Governed],
            // Taken from the back.
            Order::GovernedFirst => vec![Half::Legacy, Half::Governed],
            Order::LegacyFirst => vec![Half::Governed, Half::Legacy],
            Order::LegacyOnly => vec![Half::Legacy],
        };
        let governed_suffix = apex_of(realm.apexes, &rule.suffix).is_some();
        self.next_side(
            realm,
            Plan {
                rule,
                governed_suffix,
                rest,
                fallen: None,
                peers_silent: false,
                lacked: None,
                withheld: false,
            },
            trail,
        )
    }

    /// Goes on at another name, or gives up a chain that is too long.
    fn follow<V: IndexView>(
        mut self,
        realm: &Realm<'_, V>,
        target: Name,
        trail: &mut Trail,
    ) -> Result<Step, V::Error> {
        self.hops += 1;
        if self.hops > CHAIN_HOPS_MAX {
            let answer = Answer::empty(Outcome::Failed, Side::Governed)
                .with_error(ede::OTHER, "the chain of aliases is too long");
            return Ok(self.finish(answer));
        }
        self.name = target;
        self.advance(realm, trail)
    }

    /// Whether this side was asked for this name before; remembers that it is now.
    fn repeats(&mut self, half: Half, name: &Name) -> bool {
        let key = (half, name.clone());
        if self.visited.contains(&key) {
            return true;
        }
        self.visited.push(key);
        false
    }

    /// Joins the last part with the chain before it.
    fn finish(self, last: Answer) -> Step {
        let (mut answers, mut authorities) = (self.answers, self.proofs);
        let failed = matches!(
            last.outcome,
            Outcome::Failed
                | Outcome::LegacyFailed
                | Outcome::Bogus
                | Outcome::Unreachable
                | Outcome::Refused
        );
        if failed {
            // A reply that ends in an error carries no half of a chain.
            answers.clear();
            authorities.clear();
        }
        let whole_chain_is_legacy = self.authentic && last.side == Side::Legacy;
        let mut errors = self.errors;
        errors.extend(last.errors);
        join(&mut answers, last.answers);
        join(&mut authorities, last.authorities);
        Step::Done(Box::new(Answer {
            outcome: last.outcome,
            // An error claims nothing about the name.
            authoritative: !failed && self.authoritative.unwrap_or(last.authoritative),
            authentic: whole_chain_is_legacy && last.authentic,
            answers,
            authorities,
            additionals: last.additionals,
            errors,
            side: last.side,
        }))
    }

    /// Ends a chain that leads to a name this client may not have resolved here: what was found so
    /// far is the answer (RFC 1034 section 4.3.2), and without any the question is refused.
    fn not_ours(self) -> Step {
        if self.answers.is_empty() {
            let text = if self.question.recursion_desired {
                "recursion is not offered here, or not to this address"
            } else {
                "the name is not served here and recursion was not desired"
            };
            let answer = Answer::empty(Outcome::NotOurs, Side::Legacy)
                .with_error(ede::NOT_AUTHORITATIVE, text);
            return self.finish(answer);
        }
        let authoritative = self.authoritative.unwrap_or(false);
        let answer = Answer {
            authoritative,
            ..Answer::empty(Outcome::Found, Side::Governed)
        };
        self.finish(answer)
    }
}

/// Adds the records of the next part of a chain. A DNAME that the chain passes twice stands in the
/// answer once (RFC 2181 section 5).
fn join(answers: &mut Vec<Record>, more: Vec<Record>) {
    let known = answers.len();
    for record in more {
        if !answers.iter().take(known).any(|row| *row == record) {
            answers.push(record);
        }
    }
}
