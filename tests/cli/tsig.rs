//! Signed questions (RFC 8945): keys from files, other people's clients, and what is not accepted.

use std::io::Write as _;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use kedge::adapters::clock::SystemClock;
use kedge::service::ports::Clock as _;

use super::node::{Home, Node};

const SCOPE: &str = "eu.mesh.internal";
const NAME: &str = "api.eu.mesh.internal";
/// 32 bytes of `k`, and what a client with another secret has.
const SECRET: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
const WRONG: &str = "d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3c=";
const KEYS: [(&str, &str); 3] = [
    ("ci-key", "hmac-sha256"),
    ("mid-key", "hmac-sha384"),
    ("long-key", "hmac-sha512"),
];
const BADSIG: u16 = 16;
const BADTIME: u16 = 18;
const BADTRUNC: u16 = 22;
const FORMERR: u8 = 1;
const NOTAUTH: u8 = 9;

fn secret(home: &Home, file: &str, text: &str, mode: u32) {
    home.write(file, &format!("{text}\n"));
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(home.path(file), permissions).unwrap();
}

fn home() -> Home {
    let key = |(name, algorithm): (&str, &str)| {
        let file = format!("secret-file = \"{name}.tsig\"");
        format!("[[tsig]]\nname = \"{name}\"\nalgorithm = \"{algorithm}\"\n{file}\n")
    };
    let keys = KEYS.map(key).concat();
    let home = Home::new(&format!("[legacy]\nupstreams = []\n{keys}"));
    for (name, _) in KEYS {
        secret(&home, &format!("{name}.tsig"), SECRET, 0o600);
    }
    home.run(&["init"]).good();
    home
}

fn set_access(home: &Home, tests: &str) {
    let present = home.run(&["scope", "policy", SCOPE]);
    let policy = present.good().replace("access = []\n", "");
    let policy = policy.replace("challenge = \"\"\n", "");
    let text = format!("challenge = \"ask ops for a key\"\naccess = [{tests}]\n{policy}");
    home.write("policy.toml", &text);
    home.run(&["scope", "policy", SCOPE, "--file", "policy.toml"])
        .good();
}

/// What a client prints.
fn client(program: &str, node: &Node, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .arg("@127.0.0.1")
        .args(["-p", &node.address.port().to_string()])
        .args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

/// What a client says when the signature of a reply does not hold.
fn complains(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "could not be validated",
        "couldn't verify",
        "failed to verify",
        "tsig verify",
        "bad signature",
    ]
    .iter()
    .any(|words| text.contains(words))
}

#[test]
fn dig_and_kdig_sign_and_believe_the_signed_answer() {
    let home = home();
    let node = home.serve();
    for program in ["dig", "kdig"] {
        for (name, algorithm) in KEYS {
            let key = format!("{algorithm}:{name}:{SECRET}");
            for transport in ["+notcp", "+tcp"] {
                let said = client(program, &node, &["-y", &key, transport, NAME, "A"]);
                assert!(said.contains("status: NOERROR"), "{program} {key}: {said}");
                assert!(said.contains("10.1.0.10"), "{program} {key}: {said}");
                assert!(said.contains("TSIG"), "{program} {key}: {said}");
                assert!(!complains(&said), "{program} {key}: {said}");
            }
        }
        // A wrong secret, a key that is not known, and one that signs otherwise than agreed.
        for key in [
            format!("hmac-sha256:ci-key:{WRONG}"),
            format!("hmac-sha256:no-key:{SECRET}"),
            format!("hmac-sha512:ci-key:{SECRET}"),
        ] {
            let said = client(program, &node, &["-y", &key, NAME, "A"]);
            let codes = ["NOTAUTH", "BADSIG", "BADKEY"];
            assert!(
                codes.iter().any(|code| said.contains(code)),
                "{program} {key}: {said}"
            );
            assert!(!said.contains("10.1.0.10"), "{program} {key}: {said}");
        }
    }
}

#[test]
fn a_long_answer_leaves_room_for_its_signature() {
    let home = home();
    let texts: Vec<String> = (0..10)
        .map(|n| format!("\"{n}{}\"", "x".repeat(40)))
        .collect();
    let mut put = vec!["name", "put", "long.eu.mesh.internal", "TXT"];
    put.extend(texts.iter().map(String::as_str));
    home.run(&put).good();
    let node = home.serve();
    let key = format!("hmac-sha512:long-key:{SECRET}");
    let ask = |more: &[&str]| {
        let all = [
            &["-y", &key, "+ignore", "long.eu.mesh.internal", "TXT"],
            more,
        ]
        .concat();
        client("dig", &node, &all)
    };
    let size = |said: &str| -> usize {
        let (_, rest) = said.split_once("MSG SIZE  rcvd: ").unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let whole = ask(&["+bufsize=1232"]);
    assert!(!whole.contains(" tc") && !complains(&whole), "{whole}");
    let records = size(&whole) - 150;
    // Room for the records, but not for the signature too.
    for bufsize in [512, records, size(&whole) - 1] {
        let cut = ask(&[&format!("+bufsize={bufsize}")]);
        assert!(cut.contains(" tc") && !complains(&cut), "{bufsize}: {cut}");
        assert!(
            cut.contains("TSIG") && size(&cut) <= bufsize,
            "{bufsize}: {cut}"
        );
    }
    let plain = ask(&["+noedns"]);
    assert!(
        plain.contains(" tc") && size(&plain) <= 512 && !complains(&plain),
        "{plain}"
    );
    let stream = ask(&["+tcp", "+noedns"]);
    assert!(!stream.contains(" tc") && !complains(&stream), "{stream}");
}

#[test]
fn a_scope_lets_a_key_in_and_tells_others_where_to_get_one() {
    let home = home();
    set_access(
        &home,
        r#"{ when = "tsig ci-key", then = "allow", else = "challenge" }"#,
    );
    let node = home.serve();
    let key = format!("hmac-sha256:ci-key:{SECRET}");
    for transport in ["+notcp", "+tcp"] {
        let said = client("dig", &node, &["-y", &key, transport, NAME, "A"]);
        assert!(said.contains("10.1.0.10"), "{said}");
        let other = format!("hmac-sha384:mid-key:{SECRET}");
        let said = client("dig", &node, &["-y", &other, transport, NAME, "A"]);
        assert!(
            said.contains("REFUSED") && said.contains("ask ops for a key"),
            "{said}"
        );
        assert!(!complains(&said), "a refusal is signed too: {said}");
        let said = client("dig", &node, &[transport, NAME, "A"]);
        assert!(
            said.contains("REFUSED") && said.contains("ask ops for a key"),
            "{said}"
        );
    }
    let explain = |arguments: &[&str]| home.json(&[&["explain", NAME], arguments].concat());
    assert_eq!(explain(&["--tsig", "ci-key"])["outcome"], "found");
    let other = explain(&["--tsig", "mid-key"]);
    assert_eq!(other["outcome"], "refused");
    let steps = other["steps"].to_string();
    assert!(
        steps.contains("challenge (test 1, tsig ci-key.)"),
        "{steps}"
    );
    let steps = explain(&[])["steps"].to_string();
    assert!(
        steps.contains("challenge (test 1, tsig ci-key., not known)"),
        "{steps}"
    );
    node.stop();
    let audit = home.run(&["audit"]);
    assert!(audit.good().contains("verdict=challenge"), "{audit:?}");
}

/// A question for the name without EDNS.
fn question(id: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    bytes.extend(wire(NAME));
    bytes.extend([0, 1, 0, 1]);
    bytes
}

fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// HMAC-SHA256 with the secret, by a program that shares nothing with ours.
fn hmac(bytes: &[u8]) -> Vec<u8> {
    let hexkey = format!("hexkey:{}", "6b".repeat(32));
    let mut child = Command::new("openssl")
        .args([
            "dgst", "-sha256", "-mac", "HMAC", "-macopt", &hexkey, "-binary",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// What a signature covers besides the message (RFC 8945 section 4.3.3).
fn variables(time: u64, fudge: u16, error: u16, other: &[u8]) -> Vec<u8> {
    let mut bytes = wire("ci-key");
    bytes.extend([0, 255, 0, 0, 0, 0]);
    bytes.extend(wire("hmac-sha256"));
    bytes.extend_from_slice(&time.to_be_bytes()[2..]);
    bytes.extend(fudge.to_be_bytes());
    bytes.extend(error.to_be_bytes());
    bytes.extend(u16::try_from(other.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(other);
    bytes
}

/// A question with a signature of some length made at a time; and its whole signature.
fn signed(question: &[u8], time: u64, fudge: u16, mac_bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let covered = [question, &variables(time, fudge, 0, &[])].concat();
    let mut mac = hmac(&covered);
    mac.resize(mac_bytes, 0);
    let mut rdata = wire("hmac-sha256");
    rdata.extend_from_slice(&time.to_be_bytes()[2..]);
    rdata.extend(fudge.to_be_bytes());
    rdata.extend(u16::try_from(mac.len()).unwrap().to_be_bytes());
    rdata.extend_from_slice(&mac);
    rdata.extend_from_slice(&question[..2]);
    rdata.extend([0; 4]);
    let mut bytes = question.to_vec();
    bytes[11] += 1;
    bytes.extend(wire("ci-key"));
    bytes.extend([0, 250, 0, 255, 0, 0, 0, 0]);
    bytes.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
    bytes.extend(rdata);
    (bytes, mac)
}

/// A reply taken apart.
struct Replied {
    rcode: u8,
    answers: u8,
    /// Without its signature, as that covers it.
    bare: Vec<u8>,
    error: u16,
    mac: Vec<u8>,
    other: Vec<u8>,
}

fn ask(node: &Node, message: &[u8]) -> Replied {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket.connect(node.address).unwrap();
    socket.send(message).unwrap();
    let mut buffer = [0; 4_096];
    let length = socket.recv(&mut buffer).unwrap();
    let reply = &buffer[..length];
    let mut head = wire("ci-key");
    head.extend([0, 250, 0, 255, 0, 0, 0, 0]);
    let mut replied = Replied {
        rcode: reply[3] & 15,
        answers: reply[7],
        bare: reply.to_vec(),
        error: 0,
        mac: Vec::new(),
        other: Vec::new(),
    };
    let Some(at) = reply.windows(head.len()).position(|bytes| bytes == head) else {
        return replied;
    };
    replied.bare.truncate(at);
    replied.bare[11] -= 1;
    // Behind the length, the algorithm, the time and the fudge.
    let rest = &reply[at + head.len() + 2 + wire("hmac-sha256").len() + 8..];
    let (size, rest) = rest.split_at(2);
    let (mac, rest) = rest.split_at(usize::from(size[1]));
    replied.mac = mac.to_vec();
    replied.error = u16::from_be_bytes([rest[2], rest[3]]);
    replied.other = rest[6..].to_vec();
    replied
}

/// Whether a reply's signature is that of somebody who has the secret and saw the question.
fn is_proven(replied: &Replied, asked: &[u8], time: u64, fudge: u16) -> bool {
    let mut covered = u16::try_from(asked.len()).unwrap().to_be_bytes().to_vec();
    covered.extend_from_slice(asked);
    covered.extend_from_slice(&replied.bare);
    covered.extend(variables(time, fudge, replied.error, &replied.other));
    replied.mac == hmac(&covered)
}

fn now() -> u64 {
    SystemClock.now().as_secs()
}

#[test]
fn a_signature_that_does_not_hold_is_said_so_and_nothing_is_answered() {
    let home = home();
    let node = home.serve();
    let time = now();
    let (good, _) = signed(&question(7), time, 300, 32);
    let replied = ask(&node, &good);
    assert_eq!((replied.rcode, replied.answers, replied.error), (0, 2, 0));
    // The same again, within the time it is good for: a question changes nothing.
    assert_eq!(ask(&node, &good).answers, 2);
    let mut unknown = good.clone();
    let key = good
        .windows(8)
        .position(|bytes| bytes == wire("ci-key"))
        .unwrap();
    unknown[key + 1] = b'x';
    assert_eq!(ask(&node, &unknown).rcode, NOTAUTH);
    // Another name under the same signature.
    let mut forged = good.clone();
    forged[13] ^= 1;
    let replied = ask(&node, &forged);
    assert_eq!((replied.rcode, replied.error), (NOTAUTH, BADSIG));
    assert!(replied.mac.is_empty() && replied.answers == 0);
    // An hour ago, and an hour ahead.
    for (time, id) in [(time - 3_600, 8), (time + 3_600, 9)] {
        let (late, mac) = signed(&question(id), time, 300, 32);
        let replied = ask(&node, &late);
        assert_eq!((replied.rcode, replied.error), (NOTAUTH, BADTIME));
        assert_eq!((replied.answers, replied.other.len()), (0, 6));
        assert!(is_proven(&replied, &mac, time, 300), "BADTIME is signed");
    }
    // Half of the signature is checked, but too little for us.
    let (short, half) = signed(&question(10), time, 300, 16);
    let replied = ask(&node, &short);
    assert_eq!((replied.rcode, replied.error), (NOTAUTH, BADTRUNC));
    assert!(replied.answers == 0 && is_proven(&replied, &half, time, 300));
    let mut false_half = short.clone();
    let last = false_half.len() - 7;
    false_half[last] ^= 1;
    assert_eq!(ask(&node, &false_half).error, BADSIG);
    for length in [0, 9, 15, 33] {
        let (odd, _) = signed(&question(11), time, 300, length);
        let replied = ask(&node, &odd);
        assert_eq!((replied.rcode, replied.answers), (FORMERR, 0), "{length}");
    }
    // Two signatures, and one that is not the last record.
    let (twice, _) = signed(&good, time, 300, 32);
    assert_eq!(ask(&node, &twice).rcode, FORMERR);
    let mut behind = good.clone();
    behind[11] += 1;
    behind.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    assert_eq!(ask(&node, &behind).rcode, FORMERR);
}

#[test]
fn secrets_are_for_their_owner_and_replaced_by_a_reload() {
    let home = home();
    secret(&home, "ci-key.tsig", SECRET, 0o644);
    let refused = home.run(&["serve"]);
    assert!(refused.err.contains("chmod 600"), "{refused:?}");
    assert!(!refused.err.contains(SECRET), "{refused:?}");
    secret(&home, "ci-key.tsig", "c2hvcnQ=", 0o600);
    let refused = home.run(&["serve"]);
    assert!(refused.err.contains("at least 16 bytes"), "{refused:?}");
    secret(&home, "ci-key.tsig", SECRET, 0o600);
    let node = home.serve();
    let (old, new) = (
        format!("hmac-sha256:ci-key:{SECRET}"),
        format!("hmac-sha256:ci-key:{WRONG}"),
    );
    let answers = |key: &str| client("dig", &node, &["-y", key, NAME, "A"]).contains("10.1.0.10");
    assert!(answers(&old) && !answers(&new));
    secret(&home, "ci-key.tsig", "no base64!", 0o600);
    assert_ne!(home.run(&["reload"]).code, 0);
    assert!(answers(&old), "a reload that fails changes nothing");
    secret(&home, "ci-key.tsig", WRONG, 0o600);
    home.run(&["reload"]).good();
    assert!(!answers(&old) && answers(&new));
}
