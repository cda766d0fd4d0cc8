//! DNS over HTTPS (RFC 8484): other people's clients, in HTTP/2 and HTTP/1.1.

mod abuse;
mod proxies;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::node::{Home, Node, run};
use super::tls;
use super::upstream::Upstream;

const NAME: &str = "api.eu.mesh.internal";
/// A question for that name, as a message in base64url.
const QUESTION: &str = "AAABAAABAAAAAAAAA2FwaQJldQRtZXNoCGludGVybmFsAAABAAE";
const HTTPS: &str = "https = [\"127.0.0.1:0\"]\n";

/// A node that answers over TLS and HTTPS, with a certificate for `dns.example`.
fn home() -> Home {
    tls::home_with(&format!("{HTTPS}[legacy]\nupstreams = []\n"))
}

/// Where a listener is.
fn listener(node: &Node, kind: &str) -> SocketAddr {
    let kind = format!("({kind})");
    let line = node.said.iter().find(|line| line.ends_with(&kind));
    let (_, rest) = line.unwrap().split_once("listening on ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// What one response is.
#[derive(Debug)]
struct Response {
    status: String,
    headers: String,
    body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines();
        lines.find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What curl gets for a path.
fn curl(home: &Home, node: &Node, path: &str, arguments: &[&str]) -> Response {
    let port = listener(node, "https").port();
    let output = Command::new("curl")
        .current_dir(home.path("."))
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--cacert",
            "ca.pem",
        ])
        .args([
            "--resolve",
            &format!("dns.example:{port}:127.0.0.1"),
            "--include",
        ])
        .args(arguments)
        .arg(format!("https://dns.example:{port}{path}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    response(&output.stdout)
}

fn response(bytes: &[u8]) -> Response {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    Response {
        status: status.trim().to_owned(),
        headers: headers.to_owned(),
        body: bytes[end + 4..].to_vec(),
    }
}

fn kdig(home: &Home, node: &Node, arguments: &[&str]) -> String {
    let ca = format!("+tls-ca={}", home.path("ca.pem").display());
    let output = Command::new("kdig")
        .arg("@127.0.0.1")
        .args(["-p", &listener(node, "https").port().to_string()])
        .args([&ca, "+tls-hostname=dns.example", "+time=10"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_resolver_client_is_answered_by_either_method_and_padded_for() {
    let home = home();
    let node = home.serve();
    for method in ["+https", "+https-get"] {
        let said = kdig(&home, &node, &[method, NAME, "A"]);
        assert!(said.contains("status: NOERROR"), "{said}");
        assert!(
            said.contains("10.1.0.10") && said.contains("HTTP/2"),
            "{said}"
        );
        let said = kdig(&home, &node, &[method, "nope.mesh.internal", "A"]);
        assert!(said.contains("status: NXDOMAIN"), "{said}");
        let said = kdig(&home, &node, &[method, "+padding=128", NAME, "A"]);
        assert!(
            said.contains("PADDING: ") && said.contains("Received 468 B"),
            "{said}"
        );
        let said = kdig(&home, &node, &[method, "+nopadding", NAME, "A"]);
        assert!(
            said.contains("10.1.0.10") && !said.contains("PADDING: "),
            "{said}"
        );
        // What stands twice is answered from what was kept.
        let again = kdig(&home, &node, &[method, "+nopadding", NAME, "A"]);
        assert!(again.contains("10.1.0.10"), "{again}");
    }
    node.stop();
}

#[test]
fn a_browser_like_client_finds_its_server_by_this_node() {
    let home = home();
    let zone = "@ 60 IN SOA ns ops 1 2 3 4 30\n@ 60 IN NS ns\nns 60 IN A 127.0.0.1\n\
                www 60 IN A 127.0.0.1\n";
    home.write("zones/web.example.zone", zone);
    let node = home.serve();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = web.accept().unwrap();
        let mut request = [0; 1_024];
        assert!(stream.read(&mut request).unwrap() > 0);
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfound";
        stream.write_all(reply).unwrap();
    });
    let resolver = listener(&node, "https");
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--doh-insecure",
    ])
    .args(["--doh-url", &format!("https://{resolver}/dns-query")])
    .arg(format!("http://www.web.example:{}/", address.port()));
    assert_eq!(run(&mut curl).good(), "found");
    serving.join().unwrap();
    node.stop();
}

#[test]
fn a_reply_says_what_it_is_how_long_and_for_how_long_it_may_be_kept() {
    let home = home();
    let node = home.serve();
    for version in ["--http2", "--http1.1"] {
        let get = curl(
            &home,
            &node,
            &format!("/dns-query?dns={QUESTION}"),
            &[version],
        );
        let spoken = if version == "--http2" {
            "HTTP/2 200"
        } else {
            "HTTP/1.1 200 OK"
        };
        assert_eq!(get.status, spoken);
        assert_eq!(get.header("content-type"), Some("application/dns-message"));
        assert_eq!(get.header("cache-control"), Some("private, max-age=30"));
        assert_eq!(
            get.header("content-length"),
            Some(get.body.len().to_string().as_str())
        );
        assert_eq!(get.body[..2], [0, 0], "the ID is the question's");
        assert!(get.body.windows(4).any(|four| four == [10, 1, 0, 10]));
        let path = format!("/dns-query?dns={QUESTION}");
        let head = curl(&home, &node, &path, &[version, "--head"]);
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(head.header("cache-control"), get.header("cache-control"));
        assert!(head.body.is_empty(), "{head:?}");
        std::fs::write(home.path("question"), message()).unwrap();
        let post = curl(
            &home,
            &node,
            "/dns-query",
            &[
                version,
                "--data-binary",
                "@question",
                "--header",
                "Content-Type: Application/DNS-Message; x=y",
            ],
        );
        assert_eq!((post.status, post.body), (spoken.to_owned(), get.body));
    }
    node.stop();
}

/// The message that [`QUESTION`] stands for.
fn message() -> Vec<u8> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(b"\x03api\x02eu\x04mesh\x08internal\x00\x00\x01\x00\x01");
    message
}

#[test]
fn what_is_no_question_is_refused_with_the_code_that_says_why() {
    let home = home();
    let node = home.serve();
    let kind = "Content-Type: application/dns-message";
    std::fs::write(home.path("long"), vec![0; 65_536]).unwrap();
    std::fs::write(home.path("question"), message()).unwrap();
    let long = format!("/dns-query?dns={}", "A".repeat(20_000));
    for version in ["--http2", "--http1.1"] {
        for (path, arguments, status) in [
            (&*long, &[][..], "431"),
            (
                "/dns-query",
                &["--data-binary", "@long", "--header", kind],
                "413",
            ),
            (
                "/dns-query",
                &["--data-binary", "@long", "--header", kind, "-HExpect:"],
                "413",
            ),
            ("/", &[], "404"),
            ("/dns-query/", &[], "404"),
            ("/dns-query", &[], "400"),
            ("/dns-query?dns=", &[], "400"),
            ("/dns-query?dns=AAAB", &[], "400"),
            ("/dns-query?dns=AAAA==", &[], "400"),
            ("/dns-query?name=a..b", &[], "400"),
            ("/dns-query", &["--request", "DELETE"], "405"),
            ("/dns-query", &["--data-binary", "@question"], "415"),
            (
                "/dns-query",
                &["--data-binary", "x", "--header", kind],
                "400",
            ),
        ] {
            let got = curl(&home, &node, path, &[&[version], arguments].concat());
            assert!(
                got.status.contains(status),
                "{version} {path} {arguments:?}: {got:?}"
            );
            if status == "405" {
                assert_eq!(got.header("allow"), Some("GET, HEAD, POST"));
            }
        }
        // What is a message but cannot be answered is answered in DNS.
        let broken = "/dns-query?dns=AAcBAAABAAAAAAAAP2FiYw";
        let got = curl(&home, &node, broken, &[version]);
        assert!(got.status.contains("200"), "{got:?}");
        assert_eq!(got.body[3] & 15, 1, "FORMERR");
        assert_eq!(got.header("cache-control"), Some("no-store"));
    }
    node.stop();
}

#[test]
fn a_question_in_words_is_answered_in_words() {
    let home = home();
    let node = home.serve();
    let ask = |query: &str| {
        let accept = ["--header", "Accept: application/dns-json"];
        curl(&home, &node, &format!("/dns-query?{query}"), &accept)
    };
    let got = ask(&format!("name={NAME}"));
    assert_eq!(got.header("content-type"), Some("application/dns-json"));
    assert_eq!(got.header("cache-control"), Some("private, max-age=30"));
    let expected = json!({
        "Status": 0, "TC": false, "RD": true, "RA": false, "AD": false, "CD": false,
        "Question": [{ "name": format!("{NAME}."), "type": 1 }],
        "Answer": [
            { "name": format!("{NAME}."), "type": 1, "TTL": 30, "data": "10.1.0.10" },
            { "name": format!("{NAME}."), "type": 1, "TTL": 30, "data": "10.1.0.11" },
        ],
    });
    assert_eq!(got.json(), expected);
    let got = ask("name=nope.mesh.internal&type=MX&cd=1").json();
    assert_eq!((&got["Status"], &got["CD"]), (&json!(3), &json!(true)));
    assert_eq!(got["Authority"][0]["type"], 6);
    assert!(got.get("Answer").is_none(), "{got}");
    // An error that says more than its code.
    let got = ask("name=example.com&type=28").json();
    assert_ne!(got["Status"], 0, "{got}");
    assert!(
        got["Comment"]
            .as_str()
            .unwrap()
            .starts_with("extended error "),
        "{got}"
    );
    let long = format!("name={}", ["a".repeat(63).as_str(); 5].join("."));
    assert!(ask(&long).status.contains("400"));
    node.stop();
}

#[test]
fn the_certificate_is_replaced_by_a_reload_and_kept_when_the_new_one_is_wrong() {
    let home = home();
    let mut node = home.serve();
    let ask = |node: &Node| kdig(&home, node, &["+https", NAME, "A"]);
    home.write("dns.pem", "nothing");
    node.signal("HUP");
    let said = node.wait_for("nothing changed");
    assert!(said.contains("dns.pem holds no certificate"), "{said}");
    assert!(ask(&node).contains("10.1.0.10"));
    tls::leaf(&home, "ca", "dns", "DNS:other.example");
    node.signal("HUP");
    node.wait_for("reloaded");
    let said = ask(&node);
    assert!(!said.contains("10.1.0.10"), "the name is another: {said}");
    node.stop();
}

#[test]
fn a_scope_knows_clients_over_https_by_certificate_and_as_under_tls() {
    let home = home();
    tls::set_access(
        &home,
        r#"{ when = "transport tls", then = "next", else = "hide" },
           { when = "certificate uri:spiffe://mesh/ci", then = "allow", else = "refuse" }"#,
    );
    let node = home.serve();
    let path = format!("/dns-query?name={NAME}");
    let own = ["--cert", "ci.pem", "--key", "ci-key.pem"];
    let known = curl(&home, &node, &path, &own);
    assert_eq!(known.json()["Answer"][0]["data"], "10.1.0.10");
    assert_eq!(curl(&home, &node, &path, &[]).json()["Status"], 5);
    node.stop();
}

#[test]
fn a_question_that_waits_when_the_node_is_stopped_is_answered() {
    let upstream = Upstream::start_slow();
    let home = tls::home_with(&format!(
        "{HTTPS}{}deadline-ms = 30000\n",
        upstream.config()
    ));
    for version in ["--http2", "--http1.1"] {
        let mut node = home.serve();
        let resolver = listener(&node, "https");
        let curl = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                "--insecure",
                version,
            ])
            .arg(format!(
                "https://{resolver}/dns-query?name=slow{version}.example"
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        upstream.came.recv().unwrap();
        node.signal("TERM");
        node.wait_for("stopping");
        upstream.let_go();
        let output = curl.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("192.0.2.44"), "{version}: {said}");
        assert!(node.wait().success());
    }
}
