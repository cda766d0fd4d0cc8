//! `Why`: the steps that led to an answer, in a line.

use std::fmt::Write as _;

use crate::governance::access::Verdict;
use crate::namespace::name::Name;
use crate::resolution::answer::{Answer, Outcome};
use crate::resolution::trail::{Trail, TrailStep};
use crate::telemetry::answers::Refusal;

/// A chain of many names is cut here.
const TEXT_BYTES_MAX: usize = 1_024;

/// Why an answer is what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What became of the question; none where nothing was looked up.
    pub outcome: Option<Outcome>,
    /// The scope that was entered last.
    pub scope: Option<Name>,
    /// The steps that decided.
    pub text: String,
}

impl Why {
    /// From the trail of an answer, which must be on.
    pub fn of(trail: &Trail, answer: &Answer) -> Self {
        let mut text = String::new();
        let mut scope = None;
        for step in trail.steps() {
            if let TrailStep::Scope { scope: name, .. } = step {
                scope = Some(name.clone());
            }
            let before = text.len();
            if before > 0 {
                text.push_str("; ");
            }
            let between = text.len();
            push(&mut text, step);
            if text.len() == between {
                text.truncate(before);
            }
        }
        for error in &answer.errors {
            let _ = write!(text, "; EDE {} {}", error.code, error.text);
        }
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        Self {
            outcome: Some(answer.outcome),
            scope,
            text,
        }
    }

    /// Of a message for which nothing was looked up.
    pub fn refused(refusal: Option<Refusal>) -> Self {
        let text = refusal.map_or_else(String::new, |refusal| refusal.to_string());
        Self {
            outcome: None,
            scope: None,
            text,
        }
    }
}

/// What a step adds; nothing, if the outcome or another step says it.
fn push(text: &mut String, step: &TrailStep) {
    // Memory takes everything.
    let _ = match step {
        TrailStep::Route { order, rule, .. } => write!(text, "{order} ({rule})"),
        TrailStep::Scope {
            scope,
            verdict,
            because,
            ..
        } => match (verdict, because) {
            (Verdict::Allow, None) => Ok(()),
            (_, None) => write!(text, "{scope} {verdict}"),
            (_, Some(because)) => write!(text, "{scope} {verdict} ({because})"),
        },
        TrailStep::Instances {
            live, shown, why, ..
        } => write!(text, "{shown} of {live} instance(s): {why}"),
        TrailStep::Chain { to, by, .. } => write!(text, "{by} to {to}"),
        TrailStep::FallBack { because, to, name } => {
            write!(text, "{because}: ask {to} for {name}")
        }
        TrailStep::Kept { reason } => write!(text, "not handed over: {reason}"),
        TrailStep::Legacy { note, .. } => write!(text, "{note}"),
        TrailStep::Peers { note, .. } => write!(text, "peers: {note}"),
        TrailStep::Lookup { .. } | TrailStep::Asked { .. } => Ok(()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolution::answer::Side;
    use crate::resolution::fallback::Order;

    #[test]
    fn steps_that_decided_are_told_in_their_order() {
        let mut trail = Trail::on();
        let name: Name = "eu.mesh.internal.".parse().unwrap();
        trail.note(|| TrailStep::Route {
            name: name.clone(),
            order: Order::GovernedFirst,
            rule: "rule for eu".into(),
        });
        trail.note(|| TrailStep::Scope {
            scope: name.clone(),
            height: 1,
            epoch: 0,
            anchors: 1,
            verdict: Verdict::Allow,
            because: None,
        });
        trail.note(|| TrailStep::FallBack {
            because: Outcome::Absent,
            to: Side::Legacy,
            name: name.clone(),
        });
        trail.note(|| TrailStep::Legacy {
            name: name.clone(),
            note: "cache hit".into(),
        });
        let answer = Answer::empty(Outcome::Found, Side::Legacy).with_error(3, "old");
        let why = Why::of(&trail, &answer);
        assert_eq!(
            why.text,
            "governed-first (rule for eu); absent: ask legacy for eu.mesh.internal.; cache hit; \
             EDE 3 old"
        );
        assert_eq!(why.scope, Some(name));
    }
}
