//! What graphs say to callers, and what a change of one lets whom do.

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
fn who_lacks_one_proof_may_bring_another_one_and_nothing_else() {
    let key = "ci-key.".parse().unwrap();
    let identity = "dns:ci.example".parse().unwrap();
    let nobody = caller("10.0.0.1");
    let signed = Caller {
        key: Some(&key),
        ..nobody
    };
    let certified = Caller {
        certificate: Some(&identity),
        ..nobody
    };
    let either = list(&["tsig ci-key=allow", "certificate dns:ci.example=restrict"]);
    assert_eq!(either.verdict(&signed), Verdict::Allow);
    assert_eq!(either.verdict(&certified), Verdict::Restrict);
    assert_eq!(either.verdict(&nobody), Verdict::Refuse);
    let place = list(&["tsig ci-key=refuse", "source 10.0.0.0/8=allow"]);
    let decision = place.decide(&nobody);
    assert_eq!(
        (decision.verdict, decision.by, decision.is_blind),
        (Verdict::Refuse, Some(0), true),
        "a place is no proof"
    );
    let hidden = list(&["tsig ci-key=allow", "source 10.0.0.0/8=hide"]);
    assert_eq!(hidden.verdict(&nobody), Verdict::Hide, "denials stand");
    let any = Caller {
        kind: RecordType::ANY,
        ..signed
    };
    let typed = list(&["type TXT=refuse", "tsig ci-key=allow"]);
    assert_eq!(typed.verdict(&signed), Verdict::Allow);
    assert_eq!(
        typed.verdict(&any),
        Verdict::Refuse,
        "a proof says nothing of the type"
    );
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
        let AccessChange { widened, narrowed } = compare(scope(1), &named(before), &named(after));
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
