//! Anchors of one scope on four nodes: they decide together, without one of them, and not without two.

use std::net::SocketAddr;
use std::thread;

use hyper::Method;
use kedge::adapters::http::Client;
use serde_json::Value;

use super::node::{Home, Node, QUIET, Ran};
use super::peers::{any, configure, id, listens, peer, until};

const SCOPE: &str = "mesh.internal";
pub(super) const ANCHOR: &str = "data/keys/anchor.key";
pub(super) const NODES: usize = 4;

/// Four nodes that know each other, each with an anchor of the scope.
pub(super) struct Council {
    pub(super) homes: Vec<Home>,
    pub(super) nodes: Vec<Option<Node>>,
}

impl Council {
    pub(super) fn new() -> Self {
        Self::with("")
    }

    /// With more in the configuration of each.
    pub(super) fn with(more: &str) -> Self {
        let mut homes = vec![Home::new("[legacy]\nupstreams = []\n")];
        homes.extend((1..NODES).map(|_| Home::new(QUIET)));
        let mut keys = Vec::new();
        for (at, home) in homes.iter().enumerate() {
            home.run(&["init"]).good();
            if at > 0 {
                std::fs::create_dir_all(home.path("data/keys")).unwrap();
                let made = home.run(&["key", "new", ANCHOR]);
                let words = made.good().split_whitespace();
                let key = words.into_iter().find(|word| word.len() == 64);
                keys.push(key.unwrap().to_owned());
            }
        }
        let ids: Vec<String> = homes.iter().map(id).collect();
        let mut council = Self {
            homes,
            nodes: Vec::new(),
        };
        council.meet(&ids, more);
        council.seat(&keys);
        council
    }

    /// Starts all, each dialling those that were started before it.
    fn meet(&mut self, ids: &[String], more: &str) {
        let mut addresses = Vec::new();
        for (at, home) in self.homes.iter().enumerate() {
            let others = ids.iter().enumerate().filter(|(other, _)| *other != at);
            let peers: String = others
                .map(|(other, id)| peer(&format!("n{other}"), id, addresses.get(other).copied()))
                .collect();
            let rest = if at == 0 {
                "[legacy]\nupstreams = []\n"
            } else {
                QUIET
            };
            let rest = format!("{rest}{more}");
            configure(home, Some(any()), &peers, &rest);
            let node = home.serve();
            let address = listens(&node);
            // The same one after a restart.
            configure(home, Some(address), &peers, &rest);
            addresses.push(address);
            self.nodes.push(Some(node));
        }
    }

    /// Gives each of the others a seat: those that are there decide, and the new one accepts.
    fn seat(&self, keys: &[String]) {
        let origin = &self.homes[0];
        let root = origin.json(&["scope", "show", SCOPE])["uid"].clone();
        for (at, key) in keys.iter().enumerate() {
            let home = &self.homes[at + 1];
            let genesis = root.as_str().unwrap();
            home.run(&["mirror", SCOPE, "--from", "n0", "--genesis", genesis])
                .good();
            origin.run(&["anchor", "add", SCOPE, "--key", key]).good();
            let proposal = origin.json(&["pending"])[0]["id"].clone();
            let proposal = proposal.as_str().unwrap();
            let file = home.path(ANCHOR).display().to_string();
            origin
                .run(&["anchor", "accept", proposal, "--key", &file])
                .good();
            for (voter, home) in self.homes.iter().enumerate().take(at + 1).skip(1) {
                until("the proposal", || {
                    (home.run(&["pending", proposal]).code == 0).then_some(())
                });
                // Whoever votes last waits for the anchors as an author does.
                let said = home.run(&["approve", proposal]);
                assert_eq!(
                    said.good().starts_with("committed"),
                    voter == at,
                    "{said:?}"
                );
            }
            until("the seat", || {
                let anchors = home.json(&["anchor", "list", SCOPE]);
                (anchors.as_array().unwrap().len() == at + 2).then_some(())
            });
        }
    }

    pub(super) fn put(&self, at: usize, name: &str, address: &str) -> Ran {
        put(&self.homes[at], name, address)
    }

    /// The key of a node, and where it listens for others.
    pub(super) fn reached_at(&self, at: usize) -> (String, SocketAddr) {
        let node = self.nodes[at].as_ref().unwrap();
        (id(&self.homes[at]), listens(node))
    }

    pub(super) fn kill(&mut self, at: usize) {
        self.nodes[at].take().unwrap().kill();
    }

    pub(super) fn start(&mut self, at: usize) {
        self.nodes[at] = Some(self.homes[at].serve());
    }

    /// Waits until a node answers with an address.
    pub(super) fn answers(&self, at: usize, name: &str, address: &str) {
        let question = format!("{name}.{SCOPE}");
        let seen = [
            "NOERROR aa".to_owned(),
            format!("{question}. 60 A {address}"),
        ];
        let node = self.nodes[at].as_ref().unwrap();
        until(&format!("{question} at n{at}"), || {
            (node.ask(&question) == seen).then_some(())
        });
    }

    fn height(&self, at: usize) -> u64 {
        let scope = self.homes[at].json(&["scope", "show", SCOPE]);
        scope["height"].as_u64().unwrap()
    }

    /// All end, and what each of them holds verifies and is the same.
    pub(super) fn end(mut self) {
        let root = |home: &Home| home.json(&["scope", "show", SCOPE])["state_root"].clone();
        until("one state", || {
            let roots: Vec<Value> = self.homes.iter().map(root).collect();
            roots.windows(2).all(|two| two[0] == two[1]).then_some(())
        });
        for node in self.nodes.drain(..).flatten() {
            node.stop();
        }
        for home in &self.homes {
            home.run(&["verify"]).good();
        }
    }
}

fn put(home: &Home, name: &str, address: &str) -> Ran {
    let name = format!("{name}.{SCOPE}");
    home.run(&["name", "put", &name, "A", address])
}

#[test]
fn four_nodes_decide_together_go_on_without_one_and_wait_without_two() {
    let mut council = Council::new();
    for at in 0..NODES {
        let (name, address) = (format!("a{at}"), format!("10.1.0.{at}"));
        let done = council.put(at, &name, &address);
        assert!(done.good().starts_with("committed"), "{done:?}");
        (0..NODES).for_each(|other| council.answers(other, &name, &address));
    }
    let log = council.homes[2].run(&["log", SCOPE, "--limit", "1"]);
    assert!(log.good().contains("signature(s), epoch 3"), "{log:?}");
    council.kill(3);
    let done = council.put(1, "without-one", "10.2.0.1");
    assert!(done.good().starts_with("committed"), "{done:?}");
    (0..3).for_each(|at| council.answers(at, "without-one", "10.2.0.1"));
    council.kill(2);
    let before = council.height(0);
    let waits = council.put(0, "without-two", "10.2.0.2");
    assert!(waits.good().starts_with("pending"), "{waits:?}");
    assert_eq!(council.height(0), before, "two of four decide nothing");
    // What waited is decided by whoever comes back; who was away longest catches up.
    council.start(2);
    (0..3).for_each(|at| council.answers(at, "without-two", "10.2.0.2"));
    council.start(3);
    council.answers(3, "without-two", "10.2.0.2");
    council.answers(3, "without-one", "10.2.0.1");
    let done = council.put(3, "again", "10.2.0.3");
    assert!(done.good().starts_with("committed"), "{done:?}");
    council.end();
}

#[test]
fn an_anchor_that_was_away_catches_up_also_without_the_node_that_it_followed_first() {
    let mut council = Council::new();
    council.kill(3);
    for round in 0..3 {
        let done = council.put(1, &format!("away{round}"), "10.6.0.1");
        assert!(done.good().starts_with("committed"), "{done:?}");
    }
    // All others follow the scope at this one, from before they had a seat.
    council.kill(0);
    council.start(3);
    council.answers(3, "away2", "10.6.0.1");
    let done = council.put(3, "back", "10.6.0.2");
    assert!(done.good().starts_with("committed"), "{done:?}");
    council.start(0);
    council.answers(0, "back", "10.6.0.2");
    council.end();
}

/// More at the same time than a scope lets one author have waiting.
#[test]
fn changes_that_come_together_take_turns() {
    const CHANGES: u64 = 150;
    let council = Council::new();
    let before = council.height(1);
    let socket = council.homes[1].path("data/admin.sock");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for at in 0..CHANGES {
            let client = Client::Socket(socket.clone());
            let body = serde_json::json!({ "type": "A", "data": [format!("10.3.0.{at}")] });
            let path = format!("/names/w{at}.{SCOPE}");
            writers.spawn(async move {
                let said: Result<Value, _> = client.send(Method::PUT, &path, &body).await;
                said
            });
        }
        while let Some(said) = writers.join_next().await {
            let said = said.unwrap().unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(said["outcome"], "committed", "{said}");
        }
    });
    let blocks = council.height(1) - before;
    assert!(blocks < CHANGES, "none shares a block with another one");
    let node = council.nodes[1].as_ref().unwrap();
    for at in 0..CHANGES {
        let reply = node.ask(&format!("w{at}.{SCOPE}"));
        assert_eq!(reply[0], "NOERROR aa", "{at}");
    }
}

#[test]
fn of_two_changes_that_contradict_each_other_one_is_decided() {
    let council = Council::new();
    put(&council.homes[0], "one", "10.3.1.1").good();
    (0..NODES).for_each(|at| council.answers(at, "one", "10.3.1.1"));
    // Each from the version that all saw: whoever comes later than the others contradicts them, too.
    let from_first = |home: &Home, address: &str| {
        let words = ["name", "put", "one.mesh.internal", "A", address];
        home.run(&[&words[..], &["--if-version", "1"]].concat())
    };
    let outcomes: Vec<Ran> = thread::scope(|scope| {
        let homes = council.homes.iter().enumerate();
        let puts: Vec<_> = homes
            .map(|(at, home)| scope.spawn(move || from_first(home, &format!("10.3.0.{at}"))))
            .collect();
        puts.into_iter().map(|put| put.join().unwrap()).collect()
    });
    let won: Vec<usize> = (0..NODES).filter(|at| outcomes[*at].code == 0).collect();
    let [winner] = won.as_slice() else {
        panic!("not one winner: {outcomes:?}");
    };
    assert!(outcomes[*winner].out.starts_with("committed"));
    for at in (0..NODES).filter(|at| at != winner) {
        assert_eq!(outcomes[at].code, 3, "{:?}", outcomes[at]);
    }
    let address = format!("10.3.0.{winner}");
    (0..NODES).for_each(|at| council.answers(at, "one", &address));
    council.end();
}

#[test]
fn what_was_acknowledged_stays_whoever_is_killed() {
    let mut council = Council::new();
    let mut acknowledged = Vec::new();
    for round in 0..8 {
        let victim = round % NODES;
        let at = (victim + 1) % NODES;
        let (name, address) = (format!("k{round}"), format!("10.4.0.{round}"));
        let node = council.nodes[victim].take().unwrap();
        let done = thread::scope(|scope| {
            let home = &council.homes[at];
            let putting = scope.spawn(|| put(home, &name, &address));
            node.kill();
            putting.join().unwrap()
        });
        if done.out.starts_with("committed") {
            acknowledged.push((name, address));
        }
        council.start(victim);
    }
    assert!(acknowledged.len() >= 6, "{acknowledged:?}");
    for (name, address) in &acknowledged {
        (0..NODES).for_each(|at| council.answers(at, name, address));
    }
    council.end();
}
