//! Names of scopes that a node does not hold: proven by those that do, or not answered.

#![allow(
    clippy::allow_attributes,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod alike;
mod network;
mod restarts;

use std::sync::Arc;

use kedge::service::learner::{FRESH_MS, STALE_MS_MAX};
use network::{Manner, Network, Node, heads};
use support::talk::{Talk, question_of};
use support::{MemoryStore, World};

/// A tree that is held far away.
const TREE: &str = "
APEX mesh.internal.
SCOPE eu.mesh.internal.
SCOPE payments.eu.mesh.internal.
SCOPE us.mesh.internal.
PUT api.eu.mesh.internal. A 10.1.0.10
PUT *.wild.eu.mesh.internal. A 10.1.0.11
PUT ledger.payments.eu.mesh.internal. A 10.1.8.10
PUT www.us.mesh.internal. CNAME api.eu.mesh.internal.
";

/// A node that holds nothing of a tree, and the nodes that do.
struct Far {
    talk: Talk,
    network: Arc<Network>,
    here: World,
}

fn node(name: &'static str, store: &Arc<MemoryStore>) -> Node {
    Node {
        name,
        store: Arc::clone(store),
        manner: Manner::Honest,
    }
}

impl Far {
    fn new(script: &str) -> Self {
        let talk = Talk::with(script);
        let store = &talk.world.store;
        let network = Network::of(vec![node("near", store), node("nearly", store)]);
        let peers = Arc::<Network>::clone(&network);
        let here = World::far_from(&talk.world, talk.world.apexes(), peers);
        Self {
            talk,
            network,
            here,
        }
    }

    fn ask(&self, question: &str) -> Vec<String> {
        self.here.ask(&question_of(question))
    }

    /// Says what peers say when they commit.
    fn announce(&self) {
        for head in heads(&self.talk.world.store) {
            self.here.learner().went_on(&network::id(0), &head);
        }
    }
}

const API: [&str; 2] = ["NOERROR aa ra", "api.eu.mesh.internal. 60 A 10.1.0.10"];

#[test]
fn a_name_is_proven_once_with_everything_on_the_way() {
    let far = Far::new(TREE);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    // Two are asked at once; the first proof is enough.
    assert!((1..=2).contains(&far.network.take_asked()));
    for _ in 0..10 {
        assert_eq!(far.ask("api.eu.mesh.internal."), API);
    }
    assert_eq!(far.network.take_asked(), 0);
    let stats = far.here.learner().stats();
    assert_eq!((stats.asked, stats.learned, stats.failed), (1, 1, 0));
    assert_eq!(stats.scopes, 2);
    let deep = far.ask("ledger.payments.eu.mesh.internal.");
    assert_eq!(deep[1], "ledger.payments.eu.mesh.internal. 60 A 10.1.8.10");
    let explained = far.here.explain(&question_of("*.wild.eu.mesh.internal."));
    let asked = explained.iter().find(|step| step.starts_with("peers"));
    assert_eq!(
        asked.unwrap(),
        "peers    *.wild.eu.mesh.internal., from mesh.internal. on: proven by near (far, 1 ms away)"
    );
}

#[test]
fn an_absence_is_proven_too() {
    let far = Far::new(TREE);
    let absent = ["NXDOMAIN aa ra", "authority mesh.internal. SOA"];
    assert_eq!(far.ask("nope.eu.mesh.internal."), absent);
    assert!(far.network.take_asked() > 0);
    assert_eq!(far.ask("nope.eu.mesh.internal. AAAA"), absent);
    assert_eq!(far.network.take_asked(), 0);
    let covered = ["NOERROR aa ra", "x.wild.eu.mesh.internal. 60 A 10.1.0.11"];
    assert_eq!(far.ask("x.wild.eu.mesh.internal."), covered);
}

#[test]
fn what_changed_is_seen_when_it_is_announced_and_else_soon() {
    let mut far = Far::new(TREE);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    far.talk.then("PUT api.eu.mesh.internal. A 10.1.0.99");
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    far.announce();
    let changed = ["NOERROR aa ra", "api.eu.mesh.internal. 60 A 10.1.0.99"];
    assert_eq!(far.ask("api.eu.mesh.internal."), changed);
    far.talk.then("PUT api.eu.mesh.internal. A 10.1.0.10");
    far.here.clock.pass_secs(FRESH_MS / 1_000);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    // A change beside a name has it proven anew: what is known of a scope is of one height.
    far.network.take_asked();
    far.talk.then("PUT other.eu.mesh.internal. A 10.1.0.1");
    far.announce();
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    assert!(far.network.take_asked() > 0);
}

#[test]
fn what_is_in_use_is_kept_fresh_without_proofs() {
    let far = Far::new(TREE);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    far.network.take_asked();
    for _ in 0..20 {
        far.here.clock.pass_secs(10);
        far.here.wait(far.here.learner().look());
        assert_eq!(far.ask("api.eu.mesh.internal."), API);
    }
    assert_eq!(far.network.take_asked(), 0);
    // What nobody asks for any more is let go.
    far.here.clock.pass_secs(120);
    far.here.wait(far.here.learner().look());
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    assert!(far.network.take_asked() > 0);
}

#[test]
fn in_the_dark_what_was_known_answers_for_a_day_and_says_so() {
    let far = Far::new(TREE);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    let absent = far.ask("nope.eu.mesh.internal.");
    far.network.set(0, Manner::Dark);
    far.network.set(1, Manner::Dark);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    far.here.clock.pass_secs(FRESH_MS / 1_000);
    let stale = [API[0], "api.eu.mesh.internal. 30 A 10.1.0.10", "ede 3"];
    assert_eq!(far.ask("api.eu.mesh.internal."), stale);
    let stale_absence = [&absent[0], &absent[1], "ede 19"];
    assert_eq!(far.ask("nope.eu.mesh.internal."), stale_absence);
    // What was never known is not made up.
    assert_eq!(far.ask("www.us.mesh.internal."), ["SERVFAIL ra", "ede 22"]);
    // Nobody is asked again for a while.
    let before = far.here.learner().stats().asked;
    assert_eq!(far.ask("api.eu.mesh.internal."), stale);
    assert_eq!(far.here.learner().stats().asked, before);
    far.here.clock.pass_secs(STALE_MS_MAX / 1_000);
    let expired = far.ask("api.eu.mesh.internal.");
    assert_eq!(expired, ["SERVFAIL ra", "ede 22"]);
    far.network.set(1, Manner::Honest);
    far.here.clock.pass_secs(6);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
}

#[test]
fn the_fall_back_policy_has_its_say_when_nobody_can_be_asked() {
    let mut far = Far::new(TREE);
    let rule = "
RULE eu.mesh.internal. governed-first on=unreachable map=eu.example.com.
UPSTREAM api.eu.example.com. A -> NOERROR
  api.eu.example.com. 300 A 192.0.2.9
";
    far.talk.then(rule);
    far.here.rules.clone_from(&far.talk.world.rules);
    far.here.reload();
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    far.network.set(0, Manner::Dark);
    far.network.set(1, Manner::Dark);
    let network = Arc::<Network>::clone(&far.network);
    let here = World::far_from(&far.talk.world, far.talk.world.apexes(), network);
    let mut dark = Far { here, ..far };
    dark.here.rules.clone_from(&dark.talk.world.rules);
    dark.here.reload();
    let legacy = dark.ask("api.eu.mesh.internal.");
    assert_eq!(
        legacy[1..],
        [
            "api.eu.mesh.internal. 60 CNAME api.eu.example.com.",
            "api.eu.example.com. 300 A 192.0.2.9",
            "asked api.eu.example.com. A",
        ]
    );
}

#[test]
fn liars_are_found_out_and_others_asked() {
    for manner in [Manner::Forging, Manner::Confusing] {
        let far = Far::new(TREE);
        far.network.set(0, manner);
        assert_eq!(far.ask("api.eu.mesh.internal."), API, "{manner:?}");
        let complaints = far.network.take_complaints();
        // The honest one may have been faster.
        assert!(complaints.len() <= 1, "{complaints:?}");
        let far = Far::new(TREE);
        far.network.set(0, manner);
        far.network.set(1, manner);
        let lied = far.ask("api.eu.mesh.internal.");
        assert_eq!(lied, ["SERVFAIL ra", "ede 22"], "{manner:?}");
        assert_eq!(far.network.take_complaints().len(), 2, "{manner:?}");
        assert_eq!(far.here.learner().stats().scopes, 0, "{manner:?}");
    }
}

#[test]
fn those_that_hang_do_not_hold_up_those_that_answer() {
    let talk = Talk::with(TREE);
    let store = &talk.world.store;
    let names = ["one", "two", "three", "four"];
    let network = Network::of(names.map(|name| node(name, store)).into());
    (0..3).for_each(|index| network.set(index, Manner::Hanging));
    let peers = Arc::<Network>::clone(&network);
    let here = World::far_from(&talk.world, talk.world.apexes(), peers);
    assert_eq!(here.ask(&question_of("api.eu.mesh.internal.")), API);
}

#[test]
fn an_announcement_is_not_undone_by_whoever_conceals() {
    let mut far = Far::new(TREE);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    far.network.set(0, Manner::Rewinding);
    far.talk.then("PUT api.eu.mesh.internal. A 10.1.0.99");
    for head in heads(&far.talk.world.store) {
        far.here.learner().went_on(&network::id(1), &head);
    }
    let changed = ["NOERROR aa ra", "api.eu.mesh.internal. 60 A 10.1.0.99"];
    assert_eq!(far.ask("api.eu.mesh.internal."), changed);
}

#[test]
fn one_name_in_vain_silences_no_other() {
    let mut far = Far::new(TREE);
    far.talk.then("ELSEWHERE away.mesh.internal.");
    assert_eq!(far.ask("x.away.mesh.internal."), ["SERVFAIL ra", "ede 22"]);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
}

#[test]
fn nothing_goes_back_to_an_earlier_state() {
    let mut far = Far::new(TREE);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    far.talk.then("PUT api.eu.mesh.internal. A 10.1.0.99");
    far.announce();
    let changed = ["NOERROR aa ra", "api.eu.mesh.internal. 60 A 10.1.0.99"];
    assert_eq!(far.ask("api.eu.mesh.internal."), changed);
    far.network.set(0, Manner::Rewinding);
    far.network.set(1, Manner::Rewinding);
    far.here.clock.pass_secs(FRESH_MS / 1_000);
    let stale = [changed[0], "api.eu.mesh.internal. 30 A 10.1.0.99", "ede 3"];
    assert_eq!(far.ask("api.eu.mesh.internal."), stale);
}

#[test]
fn a_policy_far_away_is_obeyed_here() {
    let mut far = Far::new(TREE);
    far.talk
        .then("POLICY eu.mesh.internal. 10.0.0.0/8=allow 0.0.0.0/0=refuse");
    let refused = far.ask("api.eu.mesh.internal. from=192.0.2.1");
    assert_eq!(refused, ["REFUSED", "ede 18"]);
    let allowed = far.ask("api.eu.mesh.internal. from=10.0.0.1");
    assert_eq!(allowed[1], API[1]);
    // The block that put a policy in force is the last one, and the next policy comes with it.
    far.talk
        .then("POLICY eu.mesh.internal. 10.0.0.0/8=hide 0.0.0.0/0=allow");
    far.announce();
    let hidden = far.ask("api.eu.mesh.internal. from=10.0.0.1");
    assert_eq!(hidden[0], "NXDOMAIN aa ra");
}

#[test]
fn a_chain_leads_through_scopes_that_are_not_held() {
    let far = Far::new(TREE);
    let chain = far.ask("www.us.mesh.internal.");
    assert_eq!(
        chain[1..],
        [
            "www.us.mesh.internal. 60 CNAME api.eu.mesh.internal.",
            API[1],
        ]
    );
}

#[test]
fn what_no_proof_shows_is_not_called_absent() {
    let far = Far::new(TREE);
    assert_eq!(far.ask("api.eu.mesh.internal."), API);
    for question in [
        "_v1._ver.api.eu.mesh.internal.",
        "zt4rtgjreh2zkh4o5i5wvtx2oy._uid.mesh.internal.",
    ] {
        assert_eq!(far.ask(question), ["SERVFAIL ra", "ede 22"], "{question}");
    }
    // Leases come with the proof: that there are none is known.
    for question in [
        "_gov.api.eu.mesh.internal. TXT",
        "_inst.api.eu.mesh.internal.",
    ] {
        let near = far.talk.ask(question);
        assert_eq!(far.ask(question), near, "{question}");
    }
    let verb = far.ask("_view._act.api.eu.mesh.internal.");
    assert_eq!(verb[0], "NOERROR aa ra");
}
