//! The admin API over TCP: with tokens on loopback, with TLS and certificates, by the program
//! itself and by clients of others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::node::{Home, Node, QUIET, Ran, run};

/// How long an answer may take while others do nothing on purpose.
const PROMPT: Duration = Duration::from_secs(4);

const TLS: &str = "[api]\nlisten = [\"127.0.0.1:0\"]\ncertificate = \"server.pem\"\n\
                   key = \"server.key\"\nclient-ca = \"ca.pem\"\n\
                   [[api.clients]]\nidentity = \"uri:spiffe://mesh/ci\"\nrights = [\"read\", \"propose\"]\n\
                   scopes = [\"eu.mesh.internal\"]\n[legacy]\nupstreams = []\n";

/// Where the API answers, as the node said.
pub(super) fn url(node: &Node) -> String {
    let line = node
        .said
        .iter()
        .find(|line| line.contains("the admin API answers on"));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

fn curl(home: &Home, arguments: &[&str]) -> Ran {
    let mut command = Command::new("curl");
    let command = command.args(["-s", "-w", "\n%{http_code}", "--max-time", "20"]);
    run(command.args(arguments).current_dir(home.path("")))
}

fn status(ran: &Ran) -> &str {
    ran.out.rsplit('\n').next().unwrap()
}

fn openssl(home: &Home, arguments: &str) {
    let words = arguments.split(' ').filter(|word| !word.is_empty());
    let ran = run(Command::new("openssl")
        .args(words)
        .current_dir(home.path("")));
    assert_eq!(ran.code, 0, "openssl {arguments}: {ran:?}");
}

/// A certificate for these names, signed by `ca`.
fn leaf(home: &Home, file: &str, names: &str) {
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        home,
        &format!("req {new} -subj /CN={file} -keyout {file}.key -out {file}.csr"),
    );
    home.write("names", &format!("subjectAltName={names}\n"));
    openssl(
        home,
        &format!(
            "x509 -req -in {file}.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out {file}.pem"
        ),
    );
}

fn with_tls() -> Home {
    let home = Home::new(TLS);
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        &home,
        &format!("req -x509 {new} -days 2 -subj /CN=ca -keyout ca.key -out ca.pem"),
    );
    leaf(&home, "server", "IP:127.0.0.1");
    leaf(&home, "ci", "URI:spiffe://mesh/ci");
    leaf(&home, "guest", "DNS:guest.test");
    home
}

/// Makes a token in a file.
pub(super) fn token(home: &Home, file: &str, arguments: &[&str]) {
    let new = ["token", "new", "--expires", "1h", "--out", file];
    home.run(&[&new[..], arguments].concat()).good();
}

#[test]
fn on_loopback_every_call_needs_a_token() {
    let home = Home::new("[api]\nlisten = [\"127.0.0.1:0\"]\n[legacy]\nupstreams = []\n");
    let node = home.serve();
    let at = url(&node);
    assert!(at.starts_with("http://127.0.0.1:"), "{at}");
    token(&home, "all", &["--right", "read,operate,admin"]);
    token(
        &home,
        "eu",
        &["--right", "read,propose", "--scope", "eu.mesh.internal"],
    );
    let mode = std::fs::metadata(home.path("eu"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let by = |file: &str, arguments: &[&str]| {
        let place = ["--server", &at, "--token-file", file];
        home.run(&[&place[..], arguments].concat())
    };
    let bare = curl(&home, &["-i", &format!("{at}/v1/status")]);
    assert_eq!(status(&bare), "401", "{bare:?}");
    assert!(
        bare.out
            .contains("www-authenticate: Bearer realm=\"kedge\""),
        "{bare:?}"
    );
    by("all", &["status"]).good();
    let audited = by(
        "all",
        &["--json", "audit", "--limit", "1", "--since", "2026-11"],
    );
    let audited: Value = serde_json::from_str(audited.good()).unwrap();
    assert_eq!(audited[0]["path"], "/v1/status");
    assert_eq!(by("eu", &["audit"]).code, 3);
    let refused = by("all", &["audit", "verify"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let refused = by("eu", &["status"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    by(
        "eu",
        &["name", "put", "far.eu.mesh.internal", "A", "10.0.0.7"],
    )
    .good();
    let refused = by(
        "eu",
        &["name", "put", "far.us.mesh.internal", "A", "10.0.0.7"],
    );
    assert!(
        refused.code == 3 && refused.err.contains("eu.mesh.internal."),
        "{refused:?}"
    );
    assert_eq!(node.ask("far.eu.mesh.internal")[0], "NOERROR aa");
    let who = by("eu", &["token", "whoami"]);
    assert!(
        who.good().contains("read,propose below eu.mesh.internal."),
        "{who:?}"
    );
    node.stop();
}

#[test]
fn a_token_is_good_after_a_restart_until_it_is_revoked() {
    let home = Home::new("[api]\nlisten = [\"127.0.0.1:0\"]\n[legacy]\nupstreams = []\n");
    let node = home.serve();
    token(&home, "all", &["--right", "read,admin"]);
    token(
        &home,
        "eu",
        &["--right", "read", "--scope", "eu.mesh.internal"],
    );
    node.stop();
    let node = home.serve();
    let at = url(&node);
    let by = |file: &str, arguments: &[&str]| {
        let place = ["--server", &at, "--token-file", file];
        home.run(&[&place[..], arguments].concat())
    };
    by("eu", &["name", "get", "api.eu.mesh.internal"]).good();
    let listed = home.json(&["token", "list"]);
    let listed = listed.as_array().unwrap();
    let scoped = listed
        .iter()
        .find(|token| token["scopes"][0].is_string())
        .unwrap();
    let id = scoped["id"].as_str().unwrap();
    by("all", &["token", "revoke", &id[..8]]).good();
    let refused = by("eu", &["name", "get", "api.eu.mesh.internal"]);
    assert!(
        refused.code == 3 && refused.err.contains("revoked"),
        "{refused:?}"
    );
    node.stop();
    let audit = home.run(&["audit", "--limit", "100"]);
    for words in [
        &format!("token={id}"),
        "from=127.0.0.1",
        "deed=revoked",
        "status=401",
    ] {
        assert!(audit.good().contains(words), "{words}: {audit:?}");
    }
    let secret = std::fs::read_to_string(home.path("eu")).unwrap();
    let secret = secret.trim().rsplit('_').next().unwrap();
    for file in ["data/audit.log", "data/index.redb"] {
        let bytes = std::fs::read(home.path(file)).unwrap();
        let found = bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{file} holds a secret");
    }
}

#[test]
fn over_tls_certificates_name_clients_and_are_read_again() {
    let home = with_tls();
    let mut node = home.serve();
    let at = url(&node);
    assert!(at.starts_with("https://127.0.0.1:"), "{at}");
    token(&home, "all", &["--right", "read"]);
    let by = |arguments: &[&str]| home.run(&[&["--server", &at][..], arguments].concat());
    let ca = ["--ca", "ca.pem"];
    let with_token = [&ca[..], &["--token-file", "all", "status"]].concat();
    by(&with_token).good();
    // The public authorities do not vouch for this node.
    let unknown = by(&["--token-file", "all", "status"]);
    assert_eq!(unknown.code, 5, "{unknown:?}");
    let own = [
        "--ca",
        "ca.pem",
        "--client-certificate",
        "ci.pem",
        "--client-key",
        "ci.key",
    ];
    let as_ci = |arguments: &[&str]| by(&[&own[..], arguments].concat());
    as_ci(&["name", "put", "ci.eu.mesh.internal", "A", "10.0.0.8"]).good();
    let refused = as_ci(&["name", "get", "api.us.mesh.internal"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    let export = as_ci(&["scope", "export", "eu.mesh.internal", "eu.kedge"]);
    export.good();
    let get = format!("{at}/v1/names/api.eu.mesh.internal");
    let guest = [
        "--cacert",
        "ca.pem",
        "--cert",
        "guest.pem",
        "--key",
        "guest.key",
        &get,
    ];
    let unnamed = curl(&home, &guest);
    assert!(
        status(&unnamed) == "401" && unnamed.out.contains("dns:guest.test"),
        "{unnamed:?}"
    );
    let plain = curl(&home, &[&get.replace("https", "http")]);
    assert_ne!(status(&plain), "200", "{plain:?}");
    // Another certificate, and no rights for the client any more, without a restart.
    leaf(&home, "server", "IP:127.0.0.1,DNS:renewed.test");
    home.configure(&TLS.replace("spiffe://mesh/ci", "spiffe://mesh/other"));
    node.signal("HUP");
    node.wait_for("reloaded");
    let host = at.replace("https://", "");
    let shown = run(Command::new("sh").current_dir(home.path("")).args([
        "-c",
        "openssl s_client -connect \"$0\" -CAfile ca.pem -verify_return_error </dev/null 2>/dev/null \
         | openssl x509 -noout -ext subjectAltName",
        &host,
    ]));
    assert!(shown.good().contains("renewed.test"), "{shown:?}");
    let refused = as_ci(&["name", "get", "api.eu.mesh.internal"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    node.stop();
    let audit = home.run(&["audit", "--limit", "100"]);
    assert!(
        audit.good().contains("identity=uri:spiffe://mesh/ci"),
        "{audit:?}"
    );
}

#[test]
fn handshakes_that_never_end_hold_up_nobody() {
    let home = with_tls();
    let node = home.serve();
    let at = url(&node);
    let host = at.replace("https://", "");
    token(&home, "all", &["--right", "read"]);
    let mut held: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(&host).unwrap())
        .collect();
    for stream in &mut held {
        stream.write_all(&[22, 3, 1]).unwrap();
    }
    let began = Instant::now();
    let place = [
        "--server",
        &at,
        "--ca",
        "ca.pem",
        "--token-file",
        "all",
        "status",
    ];
    home.run(&place).good();
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    // They are given up by themselves.
    for stream in &mut held {
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
    }
    assert!(
        began.elapsed() < Duration::from_secs(40),
        "{:?}",
        began.elapsed()
    );
    node.stop();
}

#[test]
fn what_would_show_a_token_is_refused() {
    let home = Home::new(QUIET);
    home.run(&["init"]).good();
    token(&home, "t", &["--right", "read"]);
    let far = home.run(&[
        "--server",
        "http://192.0.2.1:8053",
        "--token-file",
        "t",
        "status",
    ]);
    assert!(far.code == 2 && far.err.contains("http://"), "{far:?}");
    std::fs::set_permissions(home.path("t"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = home.run(&[
        "--server",
        "http://127.0.0.1:1",
        "--token-file",
        "t",
        "status",
    ]);
    assert!(open.code == 2 && open.err.contains("mode 0644"), "{open:?}");
    let again = home.run(&[
        "token",
        "new",
        "--right",
        "read",
        "--expires",
        "1h",
        "--out",
        "t",
    ]);
    assert_eq!(again.code, 1, "{again:?}");
    let long = home.run(&["token", "new", "--right", "read", "--expires", "400d"]);
    assert_eq!(long.code, 2, "{long:?}");
    let here = home.run(&["--server", "http://127.0.0.1:1", "check"]);
    assert!(
        here.code == 2 && here.err.contains("this machine"),
        "{here:?}"
    );
    let open = Home::new("[api]\nlisten = [\"0.0.0.0:8053\"]\n");
    for command in ["serve", "check"] {
        let ran = open.run(&[command]);
        assert!(ran.code == 2 && ran.err.contains("api.listen"), "{ran:?}");
    }
}
