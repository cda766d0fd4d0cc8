//! DNS over QUIC (RFC 9250): other people's clients, and what they may and may not do.

mod abuse;
mod client;
mod other_clients;

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::metrics::get_at;
use super::node::{Home, Node};
use super::peers::until;
use super::tls;
use super::upstream::Upstream;

use client::{Client, ask, closed, question, run};

const NAME: &str = "api.eu.mesh.internal";
const QUIC: &str = "quic = [\"127.0.0.1:0\"]\n";

/// A node that answers over TLS and QUIC, with a certificate for `dns.example`.
fn home() -> Home {
    tls::home_with(&format!("{QUIC}[legacy]\nupstreams = []\n"))
}

/// Where QUIC is answered.
fn listener(node: &Node) -> SocketAddr {
    let line = node.said.iter().find(|line| line.ends_with("(quic)"));
    let (_, rest) = line.unwrap().split_once("listening on ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

fn kdig_at(home: &Home, address: SocketAddr, arguments: &[&str]) -> String {
    let ca = format!("+tls-ca={}", home.path("ca.pem").display());
    let output = Command::new("kdig")
        .arg(format!("@{}", address.ip()))
        .args(["-p", &address.port().to_string()])
        .args([&ca, "+tls-hostname=dns.example", "+time=10"])
        .args(arguments)
        // Last: what is said of TLS before it would have kdig speak TLS over TCP.
        .arg("+quic")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What kdig prints over QUIC.
fn kdig(home: &Home, node: &Node, arguments: &[&str]) -> String {
    kdig_at(home, listener(node), arguments)
}

/// The value of a metric.
fn counter(home: &Home, name: &str) -> u64 {
    let (_, page) = get_at(&home.socket(), "/metrics");
    let value = page.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap().trim().parse().unwrap()
}

fn until_zero(home: &Home, name: &str) {
    until(name, || (counter(home, name) == 0).then_some(()));
}

#[test]
fn a_resolver_client_is_answered_and_padded_for() {
    let home = home();
    let node = home.serve();
    let said = kdig(&home, &node, &[NAME, "A"]);
    assert!(
        said.contains("status: NOERROR") && said.contains("10.1.0.10") && said.contains("QUIC"),
        "{said}"
    );
    let said = kdig(&home, &node, &["nope.mesh.internal", "A"]);
    assert!(said.contains("status: NXDOMAIN"), "{said}");
    let said = kdig(&home, &node, &["+padding=128", NAME, "A"]);
    assert!(
        said.contains("PADDING: ") && said.contains("Received 468 B"),
        "{said}"
    );
    // What stands twice is answered from what was kept.
    for _ in 0..2 {
        let said = kdig(&home, &node, &["+nopadding", NAME, "A"]);
        assert!(
            said.contains("10.1.0.10") && !said.contains("PADDING: "),
            "{said}"
        );
    }
    node.stop();
}

#[test]
fn many_queries_of_one_connection_are_answered_each_on_its_stream() {
    let home = home();
    let node = home.serve();
    run(async {
        let client = Client::new(&home, &node);
        let connection = client.connect().await.unwrap();
        for _ in 0..5 {
            let mut asked = tokio::task::JoinSet::new();
            for _ in 0..100 {
                let (connection, query) = (connection.clone(), question(0, NAME, &[]));
                asked.spawn(async move { ask(&connection, &query).await.unwrap() });
            }
            while let Some(reply) = asked.join_next().await {
                let reply = reply.unwrap();
                assert_eq!((&reply[..2], reply[3] & 15), (&[0, 0][..], 0));
                assert!(reply.windows(4).any(|four| four == [10, 1, 0, 10]));
            }
        }
    });
    let line = "kedge_questions_total{transport=\"quic\",route=\"governed\",rcode=\"NOERROR\"}";
    assert_eq!(counter(&home, line), 500);
    assert_eq!(
        counter(
            &home,
            "kedge_connections_accepted_total{transport=\"quic\"}"
        ),
        1
    );
    until_zero(&home, "kedge_connections{transport=\"quic\"}");
    node.stop();
}

#[test]
fn a_scope_knows_its_clients_by_certificate_over_quic_too() {
    let home = home();
    tls::set_access(
        &home,
        r#"{ when = "transport tls", then = "next", else = "hide" },
           { when = "certificate uri:spiffe://mesh/ci", then = "allow", else = "challenge" }"#,
    );
    let node = home.serve();
    let file = |name: &str| home.path(name).display().to_string();
    let own = [
        format!("+tls-certfile={}", file("ci.pem")),
        format!("+tls-keyfile={}", file("ci-key.pem")),
    ];
    let said = kdig(&home, &node, &[&own[0], &own[1], NAME, "A"]);
    assert!(said.contains("10.1.0.10"), "{said}");
    let said = kdig(&home, &node, &[NAME, "A"]);
    assert!(
        said.contains("REFUSED") && said.contains("ask ops"),
        "{said}"
    );
    assert_eq!(node.ask(NAME)[0], "NXDOMAIN aa");
    node.stop();
}

#[test]
fn a_new_certificate_is_shown_to_the_next_client_and_connections_go_on() {
    let home = home();
    let node = home.serve();
    run(async {
        let client = Client::new(&home, &node);
        let before = client.connect().await.unwrap();
        tls::leaf(&home, "ca", "dns", "DNS:other.example");
        home.run(&["reload"]).good();
        let refused = client.connect().await.unwrap_err().to_string();
        assert!(refused.contains("certificate"), "{refused}");
        ask(&before, &question(0, NAME, &[])).await.unwrap();
    });
    node.stop();
}

#[test]
fn replies_leave_from_the_address_that_was_asked() {
    let home = tls::home_with("quic = [\"0.0.0.0:0\"]\n[legacy]\nupstreams = []\n");
    let node = home.serve();
    let port = listener(&node).port();
    for address in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        let said = kdig_at(&home, address, &[NAME, "A"]);
        assert!(said.contains("10.1.0.10"), "{address}: {said}");
    }
    node.stop();
}

#[test]
fn a_query_that_waits_when_the_node_is_stopped_is_answered_and_then_it_ends() {
    let upstream = Upstream::start_slow();
    let home = tls::home_with(&format!("{QUIC}{}", upstream.config()));
    let mut node = home.serve();
    run(async {
        let client = Client::new(&home, &node);
        let connection = client.connect().await.unwrap();
        let query = question(0, "www.example.com", &[]);
        let waits = ask(&connection, &query);
        let stops = async {
            tokio::task::block_in_place(|| {
                upstream.came.recv().unwrap();
                node.signal("TERM");
                node.wait_for("stopping");
                upstream.let_go();
            });
        };
        let (reply, ()) = tokio::join!(waits, stops);
        let reply = reply.unwrap();
        assert!(
            reply
                .windows(4)
                .any(|four| four == super::upstream::ADDRESS)
        );
        assert_eq!(closed(&connection).await, Some(0));
    });
    assert!(node.wait().success());
}

#[test]
fn lines_of_the_query_log_say_how_it_was_asked() {
    let home = tls::home_with(&format!(
        "{QUIC}[legacy]\nupstreams = []\n[query-log]\nto = \"q.jsonl\"\n"
    ));
    let node = home.serve();
    for _ in 0..2 {
        kdig(&home, &node, &[NAME, "A"]);
    }
    node.stop();
    let log = std::fs::read_to_string(home.path("q.jsonl")).unwrap();
    let quic = log.matches("\"transport\":\"quic\"").count();
    assert_eq!(quic, 2, "{log}");
}
