//! Which upstreams a name goes to.

use std::collections::BTreeMap;

use super::*;

#[tokio::test]
async fn the_longest_route_decides_and_an_empty_one_forwards_nothing() {
    let names = [
        "www.example.",
        "notcorp.example.",
        "corp.example.",
        "a.b.corp.example.",
        "x.lab.corp.example.",
    ];
    let answer = |last| Script {
        answers: names.map(|name| address(name, last)).to_vec(),
        ..Script::default()
    };
    let (default, corp, lab) = (
        TestUpstream::start(answer(1)).await,
        TestUpstream::start(answer(2)).await,
        TestUpstream::start(answer(3)).await,
    );
    let route = |suffix: &str, group| (suffix.parse().unwrap(), group);
    let forwarder = forwarding(ForwardPlan {
        default: default.group(),
        routes: BTreeMap::from([
            route("corp.example", corp.group()),
            route("lab.corp.example", lab.group()),
            route("mesh.internal", UpstreamGroup::default()),
        ]),
        ..ForwardPlan::default()
    });
    for (name, last) in [
        ("www.example A", 1),
        ("notcorp.example A", 1),
        ("corp.example A", 2),
        ("a.b.corp.example A", 2),
        ("x.lab.corp.example A", 3),
    ] {
        let reply = ask(&forwarder, &question(name)).await.unwrap().reply;
        assert_eq!(reply.answers[0].rdata.as_bytes()[3], last, "{name}");
    }
    for name in ["mesh.internal A", "api.eu.mesh.internal A"] {
        let refused = ask(&forwarder, &question(name)).await;
        assert_eq!(refused.unwrap_err(), LegacyFailure::NoUpstream, "{name}");
        assert!(forwarder.upstreams_for(&question(name).name).is_empty());
    }
    assert_eq!(default.seen().len(), 2);
}
