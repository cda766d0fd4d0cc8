//! Discovery of designated resolvers (RFC 9462): what a node says of its encrypted listeners.

use std::net::SocketAddr;
use std::process::Command;

use super::node::{Home, Node, run};
use super::tls;
use super::upstream::Upstream;

const OWN: &str = "_dns.resolver.arpa";

fn port(node: &Node, kind: &str) -> u16 {
    let kind = format!("({kind})");
    let line = node.said.iter().find(|line| line.ends_with(&kind));
    let (_, rest) = line.unwrap().split_once("listening on ").unwrap();
    let address: SocketAddr = rest.split(' ').next().unwrap().parse().unwrap();
    address.port()
}

fn dig(node: &Node, arguments: &[&str]) -> String {
    let mut dig = Command::new("dig");
    dig.args(["@127.0.0.1", "-p", &port(node, "udp, tcp").to_string()])
        .args(["+time=10", "+tries=1"])
        .args(arguments);
    run(&mut dig).good().to_owned()
}

/// The records of a short answer, one a line.
fn designated(node: &Node) -> Vec<String> {
    let said = dig(node, &["+short", OWN, "SVCB"]);
    let mut lines: Vec<String> = said.lines().map(|line| line.replace('"', "")).collect();
    lines.sort();
    lines
}

#[test]
fn clients_are_told_of_the_listeners_under_the_name_of_the_certificate() {
    let home = tls::home_with(
        "https = [\"127.0.0.1:0\", \"[::1]:0\"]\nquic = [\"127.0.0.1:0\"]\n[https]\npath = \"/q\"\n[legacy]\nupstreams = []\n",
    );
    let mut node = home.serve();
    let mut ports = node.said.iter().filter(|line| line.ends_with("(https)"));
    let ipv6 = ports.find(|line| line.contains("[::1]:")).unwrap();
    let ipv6 = ipv6.split("[::1]:").nth(1).unwrap().split(' ').next();
    let mut expected = vec![
        format!(
            "1 dns.example. alpn=dot port={} ipv4hint=127.0.0.1",
            port(&node, "tls")
        ),
        format!(
            "2 dns.example. alpn=h2 port={} ipv4hint=127.0.0.1 key7=/q{{?dns}}",
            port(&node, "https")
        ),
        format!(
            "2 dns.example. alpn=h2 port={} ipv6hint=::1 key7=/q{{?dns}}",
            ipv6.unwrap()
        ),
        format!(
            "3 dns.example. alpn=doq port={} ipv4hint=127.0.0.1",
            port(&node, "quic")
        ),
    ];
    expected.sort();
    let found = designated(&node);
    let found: Vec<String> = found
        .iter()
        .map(|line| line.replace("dohpath=", "key7="))
        .collect();
    assert_eq!(found, expected);
    let explained = home.json(&["explain", OWN, "SVCB"]);
    assert!(explained.to_string().contains("built in"), "{explained}");
    assert!(
        explained.to_string().contains("SVCB 1 dns.example."),
        "{explained}"
    );
    // With another certificate it is another name, unless one is written down.
    tls::leaf(&home, "ca", "dns", "DNS:*.example,DNS:other.example");
    node.signal("HUP");
    node.wait_for("reloaded");
    assert!(designated(&node)[0].starts_with("1 other.example. "));
    node.stop();
}

#[test]
fn nothing_below_resolver_arpa_is_asked_of_anybody() {
    let upstream = Upstream::start();
    let home = Home::new(&format!(
        "{}[[legacy.route]]\nsuffix = \"arpa.\"\nupstreams = [\"{}\"]\n",
        upstream.config(),
        upstream.address,
    ));
    let node = home.serve();
    for question in [
        &[OWN, "SVCB"][..],
        &[OWN, "A"],
        &["resolver.arpa", "SOA"],
        &["x.resolver.arpa", "TXT"],
        &["_DNS.RESOLVER.arpa", "SVCB"],
    ] {
        let said = dig(&node, question);
        assert!(said.contains("status: NOERROR"), "{question:?} {said}");
        assert!(said.contains("ANSWER: 0"), "{question:?} {said}");
        let said = said.to_lowercase();
        assert!(said.contains("in\tsoa\tresolver.arpa."), "{said}");
    }
    // What is beside it is still asked.
    assert!(dig(&node, &["x.example.arpa", "A"]).contains("ANSWER: 1"));
    node.stop();
}

#[test]
fn a_certificate_without_a_name_designates_nothing_until_one_is_written_down() {
    let home = tls::home_with("[legacy]\nupstreams = []\n");
    tls::leaf(&home, "ca", "dns", "IP:127.0.0.1");
    let node = home.serve();
    assert!(
        node.said
            .iter()
            .any(|line| line.contains("the certificate names no host")),
        "{:?}",
        node.said
    );
    assert_eq!(designated(&node), Vec::<String>::new());
    node.stop();
    let home = tls::home_with("[ddr]\nname = \"mine.example\"\n[legacy]\nupstreams = []\n");
    let node = home.serve();
    assert!(designated(&node)[0].starts_with("1 mine.example. alpn=dot"));
    node.stop();
}
