//! Upstreams over TLS and HTTPS: named with a certificate of a throw-away authority.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::common::must_not_skip;
use super::common::peers::{free_port, installed};
use super::common::process::Process;
use super::*;

/// Between choosing ports and their use other programs may take them.
const STARTS_MAX: usize = 5;

/// A server that speaks DNS over TLS and over HTTPS only.
struct Encrypted {
    tls: SocketAddr,
    https: SocketAddr,
    /// The authority that vouches for it, in PEM form, and one that does not.
    authorities: [String; 2],
    _process: Process,
    _directory: TempDir,
}

impl Encrypted {
    fn start() -> Option<Self> {
        for program in ["named", "openssl"] {
            if installed(program).is_none() {
                assert!(!must_not_skip(), "{program} is not installed");
                return None;
            }
        }
        let directory = TempDir::new().unwrap();
        let home = directory.path();
        for authority in ["own", "other"] {
            openssl(
                home,
                &format!(
                    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                     -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"
                ),
            );
        }
        openssl(
            home,
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server \
             -keyout server.key -out server.csr",
        );
        let names = "subjectAltName=DNS:dns.example,IP:127.0.0.1\n";
        std::fs::write(home.join("names"), names).unwrap();
        openssl(
            home,
            "x509 -req -in server.csr -CA own.pem -CAkey own.key -days 2 -extfile names \
             -out server.pem",
        );
        let zone = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.7\n";
        std::fs::write(home.join("zone"), zone).unwrap();
        let authorities =
            ["own.pem", "other.pem"].map(|file| std::fs::read_to_string(home.join(file)).unwrap());
        for _ in 0..STARTS_MAX {
            let [tls, https] = [free_port(), free_port()];
            if let Ok(process) = start(home, tls, https) {
                let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
                return Some(Self {
                    tls: address(tls),
                    https: address(https),
                    authorities,
                    _process: process,
                    _directory: directory,
                });
            }
        }
        panic!("named does not start");
    }

    fn forwarder(&self, upstream: &str, authority: usize) -> Forwarder {
        forwarding(ForwardPlan {
            default: UpstreamGroup {
                upstreams: vec![upstream.parse().unwrap()],
                trust_ad: false,
            },
            authorities_pem: Some(self.authorities[authority].clone()),
            ..ForwardPlan::default()
        })
    }
}

fn start(home: &Path, tls: u16, https: u16) -> Result<Process, String> {
    let shown = home.display();
    let config = format!(
        "tls t {{ key-file \"{shown}/server.key\"; cert-file \"{shown}/server.pem\"; }};\n\
         http h {{ endpoints {{ \"/dns-query\"; }}; }};\n\
         options {{ directory \"{shown}\"; pid-file none; session-keyfile \"{shown}/session\";\n\
         managed-keys-directory \"{shown}\"; recursion no; dnssec-validation no; notify no;\n\
         listen-on port {tls} tls t {{ 127.0.0.1; }};\n\
         listen-on port {https} tls t http h {{ 127.0.0.1; }};\n\
         listen-on-v6 {{ none; }}; }};\ncontrols {{ }};\n\
         zone \"example\" {{ type primary; file \"{shown}/zone\"; }};\n"
    );
    std::fs::write(home.join("named.conf"), config).unwrap();
    let mut command = Command::new(installed("named").unwrap());
    command
        .args(["-g", "-n", "1", "-c"])
        .arg(home.join("named.conf"));
    let process = Process::start(&mut command).map_err(|error| error.to_string())?;
    process.wait_for(|line| {
        let bad = [
            "cannot bind",
            "can't bind",
            "creating TLS socket failed",
            "exiting",
        ];
        if bad.iter().any(|words| line.contains(words)) {
            return Some(Err(line.to_owned()));
        }
        line.trim_end().ends_with("running").then_some(Ok(()))
    })??;
    Ok(process)
}

fn openssl(home: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .current_dir(home)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}

#[tokio::test]
async fn names_are_forwarded_over_tls_and_https() {
    let Some(server) = Encrypted::start() else {
        return;
    };
    let (tls, https) = (server.tls, server.https);
    for upstream in [
        format!("tls://{tls}#dns.example"),
        // The certificate holds the address too.
        format!("tls://{tls}"),
        format!("https://{https}/dns-query#dns.example"),
        format!("https://{https}"),
    ] {
        let forwarder = server.forwarder(&upstream, 0);
        for _ in 0..2 {
            let answered = ask(&forwarder, &question("www.example A")).await.unwrap();
            assert_eq!(answered.reply.answers[0].rdata.as_bytes(), [192, 0, 2, 7]);
            assert!(upstream.starts_with(answered.upstream.split('/').next().unwrap()));
        }
        let absent = ask(&forwarder, &question("none.example A")).await.unwrap();
        assert_eq!(absent.reply.code, LegacyCode::NxDomain);
        assert_eq!(kinds(&absent.reply.authorities), "example. 5 SOA");
        // named answers for no other zone.
        let refused = ask(&forwarder, &question("www.elsewhere A")).await;
        match refused {
            Err(LegacyFailure::Code { rcode, .. }) => assert_eq!(rcode, "REFUSED", "{upstream}"),
            other => panic!("{upstream}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_vouched_for_is_told_nothing() {
    let Some(server) = Encrypted::start() else {
        return;
    };
    let (tls, https) = (server.tls, server.https);
    for (upstream, authority) in [
        (format!("tls://{tls}#other.example"), 0),
        (format!("tls://{tls}#dns.example"), 1),
        (format!("https://{https}#other.example"), 0),
        (format!("https://{https}#dns.example"), 1),
        (format!("https://{https}/elsewhere#dns.example"), 0),
    ] {
        let forwarder = server.forwarder(&upstream, authority);
        let outcome = ask(&forwarder, &question("www.example A")).await;
        match outcome {
            Err(LegacyFailure::Unreachable(text)) => {
                assert!(text.contains(&upstream[..12]), "{text}");
            }
            other => panic!("{upstream}: {other:?}"),
        }
    }
}

#[test]
fn certificates_that_are_none_are_refused() {
    let plan = ForwardPlan {
        authorities_pem: Some("no certificate".to_owned()),
        ..ForwardPlan::default()
    };
    let error = Forwarder::new(plan, randomness::fill)
        .unwrap_err()
        .to_string();
    assert!(error.contains("CERTIFICATE"), "{error}");
}
