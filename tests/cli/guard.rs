//! Cookies and limits of answers, asked by dig, kdig and by floods from networks of loopback.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use kedge::adapters::clock::SystemClock;
use kedge::base::time::Timestamp;
use kedge::service::ports::Clock as _;

use super::node::{Home, Node, QUIET, Ran, run};

const ZONE: &str = "\
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
";

const SECRET: &str = "000102030405060708090a0b0c0d0e0f";

/// A node that serves a zone, with a section `[guard]`.
fn guarded(guard: &str) -> Home {
    let home = Home::new(&format!(
        "{QUIET}[zones]\ndirectory = \"zones\"\n[guard]\n{guard}"
    ));
    home.write("zones/corp.example.zone", ZONE);
    home
}

fn dig(node: &Node, arguments: &[&str]) -> Ran {
    let port = node.address.port().to_string();
    let mut dig = Command::new("dig");
    dig.args(["@127.0.0.1", "-p", &port, "+tries=5", "+time=5"]);
    run(dig.args(arguments))
}

/// The cookie that dig says it was given.
fn cookie_of(ran: &Ran) -> String {
    let (_, rest) = ran.good().split_once("; COOKIE: ").expect("a cookie");
    rest.split_whitespace().next().unwrap().to_owned()
}

fn secrets(home: &Home, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    home.write("cookie.secrets", text);
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(home.path("cookie.secrets"), mode).unwrap();
}

#[test]
fn dig_is_given_a_cookie_and_its_own_comes_back() {
    let home = guarded("");
    let node = home.serve();
    for _ in 0..3 {
        // A new client each time, and the answer is kept from the second on.
        let ran = dig(&node, &["www.corp.example"]);
        assert!(ran.good().contains("(good)"), "{ran:?}");
        assert!(ran.good().contains("192.0.2.80"), "{ran:?}");
        let cookie = cookie_of(&ran);
        assert_eq!(cookie.len(), 48);
        let again = dig(&node, &[&format!("+cookie={cookie}"), "www.corp.example"]);
        assert_eq!(cookie_of(&again), cookie, "it is fresh, so it stays");
    }
    let ran = dig(&node, &["+cookie", "+header-only"]);
    assert!(ran.good().contains("status: NOERROR"), "{ran:?}");
    assert!(ran.good().contains("(good)"), "{ran:?}");
    let wrong = "+cookie=0102030405060708010000005cf7a871d4a564a1442aca77";
    let ran = dig(&node, &["+nobadcookie", "+header-only", wrong]);
    assert!(ran.good().contains("status: BADCOOKIE"), "{ran:?}");
    let ran = dig(&node, &[wrong, "www.corp.example"]);
    assert!(ran.good().contains("status: NOERROR"), "{ran:?}");
    assert_ne!(cookie_of(&ran), wrong.trim_start_matches("+cookie="));
    let ran = dig(&node, &["+cookie=0102", "+nobadcookie", "www.corp.example"]);
    assert!(ran.good().contains("status: FORMERR"), "{ran:?}");
    node.stop();
    let node = guarded("cookies = false\n").serve();
    let ran = dig(&node, &["www.corp.example"]);
    assert!(!ran.good().contains("COOKIE"), "{ran:?}");
    let ran = dig(&node, &["+cookie", "+header-only"]);
    assert!(ran.good().contains("status: FORMERR"), "{ran:?}");
    node.stop();
}

#[test]
fn where_cookies_are_required_clients_learn_one_and_ask_again() {
    let home = guarded("require-cookies = true\n");
    let node = home.serve();
    let ran = dig(&node, &["+nobadcookie", "www.corp.example"]);
    assert!(ran.good().contains("status: BADCOOKIE"), "{ran:?}");
    assert!(!ran.good().contains("192.0.2.80"), "{ran:?}");
    let ran = dig(&node, &["+badcookie", "www.corp.example"]);
    assert!(ran.good().contains("192.0.2.80"), "{ran:?}");
    let ran = dig(&node, &["+tcp", "+nobadcookie", "www.corp.example"]);
    assert!(ran.good().contains("192.0.2.80"), "{ran:?}");
    let ran = dig(&node, &["+nocookie", "+short", "www.corp.example"]);
    assert_eq!(ran.good(), "192.0.2.80\n");
    let mut kdig = Command::new("kdig");
    let port = node.address.port().to_string();
    kdig.args(["@127.0.0.1", "-p", &port, "+cookie", "+badcookie", "+short"]);
    assert_eq!(
        run(kdig.arg("www.corp.example")).good().trim(),
        "192.0.2.80"
    );
    assert!(home.run(&["doctor"]).good().contains("3 BADCOOKIE"));
    node.stop();
}

#[test]
fn nodes_with_one_file_of_secrets_believe_each_other_and_the_secret_before() {
    let file = "require-cookies = true\ncookie-secret-file = \"cookie.secrets\"\n";
    let homes = [guarded(file), guarded(file)];
    for home in &homes {
        secrets(home, SECRET);
    }
    let [one, mut other] = [homes[0].serve(), homes[1].serve()];
    let ran = dig(&one, &["+badcookie", "www.corp.example"]);
    let cookie = format!("+cookie={}", cookie_of(&ran));
    let asks = |node: &Node| dig(node, &["+nobadcookie", &cookie, "www.corp.example"]);
    assert!(asks(&other).good().contains("192.0.2.80"));
    for (text, is_believed) in [
        (
            format!("# new\n{}\n{SECRET}\n", SECRET.replace('0', "a")),
            true,
        ),
        (SECRET.replace('0', "b"), false),
    ] {
        secrets(&homes[1], &text);
        other.signal("HUP");
        other.wait_for("reloaded");
        let ran = asks(&other);
        assert_eq!(ran.good().contains("192.0.2.80"), is_believed, "{ran:?}");
        assert_eq!(ran.good().contains("BADCOOKIE"), !is_believed, "{ran:?}");
    }
    secrets(&homes[1], "abc");
    let ran = homes[1].run(&["check"]);
    assert!(ran.err.contains("line 1: expected a secret"), "{ran:?}");
    one.stop();
    other.stop();
}

#[test]
fn a_secret_that_was_made_up_is_believed_after_the_next_one() {
    let home = guarded("require-cookies = true\n");
    let mut node = home.serve();
    let cookie = cookie_of(&dig(&node, &["+badcookie", "www.corp.example"]));
    node.signal("HUP");
    node.wait_for("reloaded");
    let ran = dig(
        &node,
        &[
            "+nobadcookie",
            &format!("+cookie={cookie}"),
            "www.corp.example",
        ],
    );
    assert!(ran.good().contains("192.0.2.80"), "{ran:?}");
    assert_ne!(cookie_of(&ran), cookie, "it is replaced");
    node.stop();
}

fn millis_since(then: Timestamp) -> usize {
    let millis = SystemClock.now().as_millis() - then.as_millis();
    usize::try_from(millis).unwrap()
}

/// What came back of a flood.
#[derive(Debug, Default)]
struct Flood {
    sent_bytes: usize,
    whole: usize,
    cut: usize,
    bytes: usize,
}

impl Flood {
    /// Sends a question so often from an address and counts what comes back.
    fn of(node: &Node, from: &str, question: &[u8], times: usize) -> Self {
        let socket = UdpSocket::bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        socket.connect(node.address).unwrap();
        let mut flood = Self {
            sent_bytes: question.len() * times,
            ..Self::default()
        };
        for nth in 0..times {
            socket.send(question).unwrap();
            if nth % 32 == 31 {
                flood.drain(&socket, Duration::from_millis(5));
            }
        }
        flood.drain(&socket, Duration::from_secs(1));
        flood
    }

    fn drain(&mut self, socket: &UdpSocket, patience: Duration) {
        socket.set_read_timeout(Some(patience)).unwrap();
        while self.receive(socket) {}
    }

    fn receive(&mut self, socket: &UdpSocket) -> bool {
        let mut buffer = [0; 4_096];
        let Ok(length) = socket.recv(&mut buffer) else {
            return false;
        };
        self.bytes += length;
        if buffer[2] & 2 != 0 {
            self.cut += 1;
        } else {
            self.whole += 1;
        }
        true
    }
}

/// A question with EDNS.
fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// Loopback in part: some of its networks count as strangers.
const NEAR: &str = "exempt = [\"127.0.0.0/24\"]\n";

#[test]
fn a_flood_of_questions_is_answered_at_the_rate_and_others_do_not_notice() {
    let home = guarded(&format!(
        "answers-per-sec = 20\nnxdomain-per-sec = 20\nslip = 2\n{NEAR}"
    ));
    let node = home.serve();
    let began = SystemClock.now();
    for (name, kind) in [("www.corp.example", 1), ("nope.corp.example", 1)] {
        let asked = question(name, kind);
        let flood = Flood::of(&node, "127.0.7.1", &asked, 1_000);
        let secs = millis_since(began) / 1_000 + 2;
        assert!((20..=20 * secs).contains(&flood.whole), "{name} {flood:?}");
        let cut = (1_000 - flood.whole).div_ceil(2);
        assert!(
            flood.cut <= cut && flood.cut > cut * 9 / 10,
            "{name} {flood:?}"
        );
        let near = Flood::of(&node, "127.0.0.1", &asked, 200);
        assert_eq!((near.whole, near.cut), (200, 0), "{name}");
        let neighbour = Flood::of(&node, "127.0.8.1", &asked, 10);
        assert_eq!(neighbour.whole, 10, "{name}");
    }
    let ran = home.run(&["doctor"]);
    let guard = ran
        .good()
        .lines()
        .find(|line| line.contains("guard"))
        .unwrap();
    assert!(
        guard.contains("answers a second to a network 20"),
        "{guard}"
    );
    assert!(
        !guard.contains(" 0 dropped") && !guard.contains(" 0 cut"),
        "{guard}"
    );
    node.stop();
}

#[test]
fn a_real_client_of_a_flooded_network_gets_its_answer() {
    let node = guarded(&format!("answers-per-sec = 1\nslip = 1\n{NEAR}")).serve();
    let from = ["-b", "127.0.7.9", "www.corp.example"];
    let ask = |how: &[&str]| {
        let ran = dig(&node, &[&from[..], how].concat());
        assert!(ran.good().contains("192.0.2.80"), "{ran:?}");
        ran
    };
    // The second one in a second is one too many.
    let first_with = |how: &str, words: &str| {
        let mut all = (0..20).map(|_| ask(&[how]));
        all.find(|ran| ran.out.contains(words)).expect(words)
    };
    drop(first_with("+nocookie", "retrying in TCP mode"));
    let ran = first_with("+badcookie", "BADCOOKIE, retrying");
    let cookie = format!("+cookie={}", cookie_of(&ran));
    for _ in 0..5 {
        let ran = ask(&["+nobadcookie", &cookie]);
        assert!(!ran.out.contains("TCP"), "{ran:?}");
    }
    node.stop();
}

#[test]
fn a_node_that_strangers_reach_by_mistake_does_them_no_harm() {
    let home = guarded(NEAR);
    let long = format!(" \"{}\"", "x".repeat(60)).repeat(16);
    let many: Vec<String> = (0..40)
        .map(|nth| format!("many TXT \"{nth} {}\"", "y".repeat(90)))
        .collect();
    let many = many.join("\n");
    home.write(
        "zones/corp.example.zone",
        &format!("{ZONE}long TXT{long}\n{many}\nmany A 192.0.2.1\n"),
    );
    let node = home.serve();
    println!("| asked | question | answer | of 10,000 in | came back |");
    let cases = [
        ("TXT of 1 KB", "long.corp.example", 16),
        ("TXT of 4 KB", "many.corp.example", 16),
        ("ANY", "many.corp.example", 255),
        ("DNSKEY", "corp.example", 48),
        ("A", "www.corp.example", 1),
        ("NXDOMAIN", "nope.corp.example", 1),
        ("a name that is not served", "www.example.com", 1),
    ];
    for (nth, (case, name, kind)) in cases.into_iter().enumerate() {
        let asked = question(name, kind);
        let one = Flood::of(&node, "127.0.0.1", &asked, 1);
        let began = SystemClock.now();
        let flood = Flood::of(&node, &format!("127.0.{}.1", 10 + nth), &asked, 10_000);
        let millis = millis_since(began);
        println!(
            "| {case} | {} | {} | {millis} ms | {}.{:02} x |",
            asked.len(),
            one.bytes,
            flood.bytes / flood.sent_bytes,
            flood.bytes * 100 / flood.sent_bytes % 100
        );
        assert!(one.bytes <= 1_232, "{case} {one:?}");
        // The rate with one window, an answer that goes beyond it, and half of the rest cut.
        let secs = millis / 1_000 + 2;
        let bound = secs * 200 * 512 + 1_232 + 5_000 * asked.len();
        assert!(flood.bytes <= bound, "{case} {flood:?} beyond {bound}");
    }
    node.stop();
}
