//! DNS over TLS (RFC 7858): other people's clients, their certificates, and connections that stall.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::node::{Home, Node};

const SCOPE: &str = "eu.mesh.internal";
const NAME: &str = "api.eu.mesh.internal";
const CONFIG: &str = "\
tls = [\"127.0.0.1:0\"]
tls-certificate = \"dns.pem\"
tls-key = \"dns-key.pem\"
tls-client-ca = \"ca.pem\"
";

fn openssl(home: &Home, arguments: &str) {
    let ran = Command::new("openssl")
        .current_dir(home.path("."))
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ran.status.success(), "openssl {arguments}: {ran:?}");
}

/// An authority `ca.pem`.
fn authority(home: &Home, ca: &str) {
    openssl(
        home,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -subj /CN={ca} -keyout {ca}-key.pem -out {ca}.pem"
        ),
    );
}

/// A certificate `name.pem` with a key, under an authority.
pub(crate) fn leaf(home: &Home, ca: &str, name: &str, alternative: &str) {
    openssl(
        home,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} \
             -keyout {name}-key.pem -out {name}.csr"
        ),
    );
    home.write("extensions", &format!("subjectAltName={alternative}\n"));
    openssl(
        home,
        &format!(
            "x509 -req -days 2 -in {name}.csr -CA {ca}.pem -CAkey {ca}-key.pem -CAcreateserial \
             -extfile extensions -out {name}.pem"
        ),
    );
    let key = home.path(&format!("{name}-key.pem"));
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn home() -> Home {
    home_with("[legacy]\nupstreams = []\n")
}

/// A node with a certificate for `dns.example`, whose authority is in `ca.pem`.
pub(crate) fn home_with(config: &str) -> Home {
    let home = Home::new(&format!("{CONFIG}{config}"));
    authority(&home, "ca");
    leaf(&home, "ca", "dns", "DNS:dns.example");
    leaf(&home, "ca", "ci", "URI:spiffe://mesh/ci");
    home.run(&["init"]).good();
    home
}

/// Where TLS is answered.
pub(crate) fn secure(node: &Node) -> SocketAddr {
    let line = node.said.iter().find(|line| line.ends_with("(tls)"));
    let (_, rest) = line.unwrap().split_once("listening on ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// What kdig prints over TLS.
fn kdig(home: &Home, node: &Node, arguments: &[&str]) -> String {
    let ca = format!("+tls-ca={}", home.path("ca.pem").display());
    let output = Command::new("kdig")
        .arg("@127.0.0.1")
        .args(["-p", &secure(node).port().to_string()])
        .args(["+tls", &ca, "+tls-hostname=dns.example", "+time=10"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn certificate_of(home: &Home, name: &str) -> [String; 2] {
    let file = |file: String| home.path(&file).display().to_string();
    [
        format!("+tls-certfile={}", file(format!("{name}.pem"))),
        format!("+tls-keyfile={}", file(format!("{name}-key.pem"))),
    ]
}

pub(crate) fn set_access(home: &Home, tests: &str) {
    let present = home.run(&["scope", "policy", SCOPE]);
    let policy = present.good().replace("access = []\n", "");
    let policy = policy.replace("challenge = \"\"\n", "");
    let text = format!("challenge = \"ask ops\"\naccess = [{tests}]\n{policy}");
    home.write("policy.toml", &text);
    home.run(&["scope", "policy", SCOPE, "--file", "policy.toml"])
        .good();
}

#[test]
fn a_client_over_tls_is_answered_and_padded_for() {
    let home = home();
    let node = home.serve();
    let said = kdig(&home, &node, &[NAME, "A"]);
    assert!(
        said.contains("status: NOERROR") && said.contains("10.1.0.10"),
        "{said}"
    );
    let said = kdig(&home, &node, &["+padding=128", NAME, "A"]);
    assert!(said.contains("PADDING: "), "{said}");
    assert!(said.contains("Received 468 B"), "{said}");
    let plain = kdig(&home, &node, &["+nopadding", NAME, "A"]);
    assert!(!plain.contains("PADDING: "), "{plain}");
    // ALPN: `dot` is agreed on, another protocol is not spoken.
    for (protocol, is_agreed) in [("dot", true), ("h2", false)] {
        let address = secure(&node).to_string();
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &address, "-alpn", protocol])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.contains("ALPN protocol: dot"), is_agreed, "{text}");
    }
}

#[test]
fn a_scope_knows_its_clients_by_certificate() {
    let home = home();
    set_access(
        &home,
        r#"{ when = "transport tls", then = "next", else = "hide" },
           { when = "certificate uri:spiffe://mesh/ci", then = "allow", else = "challenge" }"#,
    );
    authority(&home, "other");
    leaf(&home, "other", "stranger", "URI:spiffe://mesh/ci");
    leaf(&home, "ca", "deploy", "URI:spiffe://mesh/deploy");
    let node = home.serve();
    let ask = |name: &str| {
        let [file, key] = certificate_of(&home, name);
        kdig(&home, &node, &[&file, &key, NAME, "A"])
    };
    let said = ask("ci");
    assert!(said.contains("10.1.0.10"), "{said}");
    let said = ask("deploy");
    assert!(
        said.contains("REFUSED") && !said.contains("10.1.0.10"),
        "{said}"
    );
    // Without a certificate: the connection is made, the scope challenges.
    let said = kdig(&home, &node, &[NAME, "A"]);
    assert!(
        said.contains("REFUSED") && said.contains("ask ops"),
        "{said}"
    );
    // The same name under an authority that nobody named.
    let said = ask("stranger");
    assert!(!said.contains("10.1.0.10"), "{said}");
    // kdig keeps back what the node does not ask for; another client does not, and is shut out.
    for (name, is_let_in) in [("ci", true), ("stranger", false)] {
        let ran = Command::new("openssl")
            .current_dir(home.path("."))
            .args([
                "s_client",
                "-tls1_2",
                "-connect",
                &secure(&node).to_string(),
            ])
            .args(["-cert", &format!("{name}.pem")])
            .args(["-key", &format!("{name}-key.pem")])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(ran.status.success(), is_let_in, "{name}: {ran:?}");
    }
    // In the clear there is nothing.
    assert_eq!(node.ask(NAME)[0], "NXDOMAIN aa");
    let explain = |arguments: &[&str]| home.json(&[&["explain", NAME], arguments].concat());
    let known = explain(&["--certificate", "uri:spiffe://mesh/ci"]);
    assert_eq!(known["outcome"], "found");
    assert_eq!(explain(&["--transport", "tls"])["outcome"], "refused");
    assert_eq!(explain(&[])["outcome"], "hidden");
    node.stop();
    let audit = home.run(&["audit"]);
    assert!(audit.good().contains("verdict=challenge"), "{audit:?}");
    assert!(audit.good().contains("verdict=hide"), "{audit:?}");
}

#[test]
fn who_stalls_in_the_handshake_holds_up_nobody_and_is_dropped() {
    let home = home();
    let node = home.serve();
    let mut stalled: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(secure(&node)).unwrap())
        .collect();
    for stream in &mut stalled {
        // The head of a handshake record, and no more.
        stream.write_all(&[22, 3, 1, 2, 0]).unwrap();
    }
    let said = kdig(&home, &node, &[NAME, "A"]);
    assert!(said.contains("10.1.0.10"), "{said}");
    for mut stream in stalled {
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut rest = Vec::new();
        // The end, or a reset: not the client's own patience.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
}

#[test]
fn the_certificate_is_replaced_by_a_reload_and_kept_when_the_new_one_is_wrong() {
    let home = home();
    let node = home.serve();
    home.write("dns.pem", "nothing");
    assert_ne!(home.run(&["reload"]).code, 0);
    assert!(kdig(&home, &node, &[NAME, "A"]).contains("10.1.0.10"));
    leaf(&home, "ca", "dns", "DNS:other.example");
    home.run(&["reload"]).good();
    let said = kdig(&home, &node, &[NAME, "A"]);
    assert!(!said.contains("10.1.0.10"), "the name is another: {said}");
    node.stop();
    let key = home.path("dns-key.pem");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = home.run(&["serve"]);
    assert!(refused.err.contains("chmod 600"), "{refused:?}");
}
