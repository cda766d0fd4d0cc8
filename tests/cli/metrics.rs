//! Metrics, health and readiness, as curl sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::node::{Asked, Home, Node, run};

const PAGE: &str = include_str!("../../docs/METRICS.md");
const PATIENCE: Duration = Duration::from_mins(1);
/// As in `adapters/http/observe.rs`.
const PER_CLIENT_MAX: usize = 8;

const ZONE: &str = "\
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
";

fn observed(more: &str) -> Home {
    let config =
        format!("[observe]\nlisten = [\"127.0.0.1:0\"]\n[zones]\ndirectory = \"zones\"\n{more}");
    let home = Home::new(&config);
    home.write("zones/corp.example.zone", ZONE);
    home
}

/// Where a node gives its metrics.
fn observe_address(node: &Node) -> String {
    let line = node
        .said
        .iter()
        .find(|line| line.contains("metrics are at"));
    let (_, rest) = line.unwrap().split_once("http://").unwrap();
    rest.trim_end_matches("/metrics").to_owned()
}

/// The status and the body of a request of curl.
fn get(arguments: &[&str]) -> (String, String) {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-m", "60", "-w", "\n%{http_code} %{content_type}"]);
    let ran = run(curl.args(arguments));
    let (body, status) = ran.out.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

/// The same over the admin socket.
pub(super) fn get_at(socket: &Path, path: &str) -> (String, String) {
    let socket = socket.to_str().unwrap();
    get(&["--unix-socket", socket, &format!("http://node{path}")])
}

fn get_from(node: &Node, path: &str) -> (String, String) {
    get(&[&format!("http://{}{path}", observe_address(node))])
}

/// Every sample with its value.
fn scrape(node: &Node) -> BTreeMap<String, String> {
    let (status, text) = get_from(node, "/metrics");
    assert_eq!(status, "200 text/plain; version=0.0.4; charset=utf-8");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            (sample.to_owned(), value.to_owned())
        })
        .collect()
}

fn value(samples: &BTreeMap<String, String>, sample: &str) -> u64 {
    let found = samples.get(sample).map(|value| value.parse().unwrap());
    found.unwrap_or_default()
}

fn documented() -> BTreeSet<String> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    names
        .filter(|name| name.starts_with("kedge_") || name.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_is_printed_is_what_the_page_says() {
    let node = observed("[legacy]\nupstreams = []\n").serve();
    let (_, text) = get_from(&node, "/metrics");
    let named = |word: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(word));
        lines
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(named("# HELP "), documented());
    assert_eq!(named("# TYPE "), documented());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split([' ', '{']).next().unwrap();
        let suffixes = ["_bucket", "_sum", "_count"];
        let family = suffixes.iter().find_map(|end| name.strip_suffix(end));
        let is_known = |name: &str| documented().contains(name);
        assert!(is_known(name) || family.is_some_and(is_known), "{line}");
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    node.stop();
}

#[test]
fn every_answer_is_counted_once_where_it_came_from() {
    let node = observed("[legacy]\nupstreams = []\n").serve();
    for _ in 0..5 {
        node.ask("api.eu.mesh.internal");
    }
    node.ask("nothing.eu.mesh.internal");
    node.ask("www.corp.example");
    node.ask("localhost");
    node.ask("www.example.com");
    let server = node.address;
    let mut dig = Command::new("dig");
    dig.arg(format!("@{}", server.ip()));
    dig.args(["-p", &server.port().to_string(), "+tcp", "+opcode=2", "x."]);
    run(&mut dig);
    let samples = scrape(&node);
    for (sample, count) in [
        ("udp\",route=\"governed\",rcode=\"NOERROR\"", 5),
        ("udp\",route=\"governed\",rcode=\"NXDOMAIN\"", 1),
        ("udp\",route=\"zone\",rcode=\"NOERROR\"", 1),
        ("udp\",route=\"built-in\",rcode=\"NOERROR\"", 1),
        ("udp\",route=\"refused\",rcode=\"REFUSED\"", 1),
        ("tcp\",route=\"refused\",rcode=\"NOTIMP\"", 1),
        ("tcp\",route=\"governed\",rcode=\"NOERROR\"", 0),
    ] {
        let sample = format!("kedge_questions_total{{transport=\"{sample}}}");
        assert_eq!(value(&samples, &sample), count, "{sample}: {samples:#?}");
    }
    for (sample, count) in [
        ("kedge_kept_answers{transport=\"udp\"}", 3..=9),
        ("kedge_answer_seconds_count{route=\"governed\"}", 6..=6),
        (
            "kedge_refused_total{transport=\"udp\",reason=\"recursion\"}",
            1..=1,
        ),
        (
            "kedge_refused_total{transport=\"tcp\",reason=\"not-implemented\"}",
            1..=1,
        ),
        ("kedge_connections_accepted_total{transport=\"tcp\"}", 1..=1),
        (
            "kedge_scope_questions_total{scope=\"eu.mesh.internal.\"}",
            6..=6,
        ),
        (
            "kedge_scope_questions_total{scope=\"us.mesh.internal.\"}",
            0..=0,
        ),
        ("kedge_scopes{state=\"fresh\"}", 4..=4),
        ("kedge_ready", 1..=1),
        ("kedge_zones", 1..=1),
    ] {
        let found = value(&samples, sample);
        assert!(count.contains(&found), "{sample} {found}: {samples:#?}");
    }
    // Each thread keeps its own answers, and the system chooses which is asked.
    let [hits, misses] = ["hits", "misses"].map(|what| {
        let sample = format!("kedge_kept_{what}_total{{transport=\"udp\"}}");
        value(&samples, &sample)
    });
    assert!(hits <= 4 && hits + misses == 9, "{hits} {misses}");
    node.stop();
}

#[test]
fn legacy_exchanges_are_counted_by_what_came_of_them() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let upstream = silent.local_addr().unwrap();
    let legacy = format!("[legacy]\nupstreams = [\"{upstream}\"]\ndeadline-ms = 300\n");
    let node = observed(&legacy).serve();
    assert_eq!(node.ask("www.example.com")[0], "SERVFAIL ra");
    let samples = scrape(&node);
    for (sample, count) in [
        ("kedge_legacy_exchanges_total{result=\"timeout\"}", 1),
        ("kedge_legacy_exchanges_total{result=\"answered\"}", 0),
        ("kedge_legacy_exchange_seconds_count", 1),
        ("kedge_legacy_exchange_seconds_bucket{le=\"0.1\"}", 0),
        ("kedge_legacy_cache_misses_total", 1),
        (
            "kedge_questions_total{transport=\"udp\",route=\"legacy\",rcode=\"SERVFAIL\"}",
            1,
        ),
        ("kedge_answer_seconds_count{route=\"legacy\"}", 1),
        (
            "kedge_answer_seconds_bucket{route=\"legacy\",le=\"0.1\"}",
            0,
        ),
    ] {
        assert_eq!(value(&samples, sample), count, "{sample}: {samples:#?}");
    }
    node.stop();
}

#[test]
fn a_node_that_stops_is_not_ready_while_it_finishes() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let upstream = silent.local_addr().unwrap();
    let legacy = format!("[legacy]\nupstreams = [\"{upstream}\"]\ndeadline-ms = 8000\n");
    let mut node = observed(&legacy).serve();
    assert_eq!(get_from(&node, "/ready").1, "ready\n");
    assert_eq!(get_from(&node, "/health").1, "alive\n");
    // A question that waits for its upstream keeps the node for a while.
    let asked = Asked::send(node.address, "www.example.com");
    silent.recv(&mut [0; 512]).unwrap();
    node.signal("TERM");
    node.wait_for("stopping");
    let (status, said) = get_from(&node, "/ready");
    assert!(status.starts_with("503"), "{status}");
    assert_eq!(said, "not ready: the node is stopping\n");
    assert_eq!(get_from(&node, "/health").1, "alive\n");
    assert!(node.wait().success());
    drop(asked);
}

#[test]
fn only_those_may_look_who_are_let_in() {
    let home = observed("[legacy]\nupstreams = []\n");
    let with = |clients: &str| {
        let config = format!(
            "[observe]\nlisten = [\"127.0.0.1:0\"]\nclients = [{clients}]\n\
             [legacy]\nupstreams = []\n"
        );
        home.configure(&config);
    };
    with("\"10.0.0.0/8\"");
    let node = home.serve();
    for path in ["/metrics", "/ready", "/health", "/"] {
        let (status, said) = get_from(&node, path);
        assert!(status.starts_with("403"), "{path}: {status}");
        assert!(said.contains("[observe] clients"), "{said}");
    }
    with("\"127.0.0.0/8\"");
    home.run(&["reload"]).good();
    assert!(get_from(&node, "/metrics").0.starts_with("200"));
    let (status, said) = get_from(&node, "/");
    assert!(status.starts_with("404"), "{status}");
    assert!(said.contains("/metrics"), "{said}");
    let metrics = format!("http://{}/metrics", observe_address(&node));
    assert!(get(&["-X", "POST", &metrics]).0.starts_with("405"));
    node.stop();
}

#[test]
fn the_admin_socket_has_them_and_nobody_listens_unless_told() {
    let home = Home::new("[legacy]\nupstreams = []\n");
    let node = home.serve();
    assert!(!node.said.iter().any(|line| line.contains("metrics are at")));
    let ask = |path: &str| get_at(&home.socket(), path);
    assert_eq!(ask("/ready").1, "ready\n");
    assert!(ask("/metrics").1.contains("\nkedge_ready 1\n"));
    assert!(ask("/v1/metrics").0.starts_with("404"));
    node.stop();
}

#[test]
fn an_address_that_cannot_be_listened_on_is_told_at_the_start() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let home = Home::new(&format!("[observe]\nlisten = [\"{address}\"]\n"));
    let ran = home.run(&["serve"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains(&address.to_string()), "{ran:?}");
    home.configure("[observe]\nlisten = [\"0.0.0.0:0\"]\n");
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("observe.clients"), "{ran:?}");
}

#[test]
fn whoever_asks_too_much_or_takes_nothing_holds_up_nobody() {
    let node = observed("[legacy]\nupstreams = []\n").serve();
    let address = observe_address(&node);
    // A head without an end is not read to its end.
    let mut giant = TcpStream::connect(&address).unwrap();
    giant.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(giant.write_all(b"GET /metrics HTTP/1.1\r\nx: "));
    // Several times what the kernel holds for a node that has no time to read, or to close.
    let filler = [b'x'; 4_096];
    let written = (0..16_000).take_while(|_| giant.write_all(&filler).is_ok());
    assert!(written.count() < 16_000, "64 MB of a head were taken");
    // Many requests whose answers nobody takes, and more connections than one client may have.
    let mut held = Vec::new();
    for _ in 0..3 * PER_CLIENT_MAX {
        let mut slow = TcpStream::connect(&address).unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
        drop(slow.write_all(&request.repeat(100)));
        held.push(slow);
    }
    let mut open = 0;
    for slow in &mut held {
        slow.set_read_timeout(Some(PATIENCE)).unwrap();
        open += usize::from(matches!(slow.read(&mut [0; 1]), Ok(1)));
    }
    assert!((1..=PER_CLIENT_MAX).contains(&open), "{open} were answered");
    assert_eq!(node.ask("www.corp.example")[0], "NOERROR aa");
    // The others make room when they go.
    drop(held);
    let mut curl = Command::new("curl");
    curl.args([
        "-s",
        "--retry",
        "20",
        "--retry-all-errors",
        "--retry-delay",
        "1",
    ]);
    let ran = run(curl.arg(format!("http://{address}/ready")));
    assert_eq!(ran.out, "ready\n", "{ran:?}");
    node.stop();
}
