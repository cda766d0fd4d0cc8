//! Devices that prove themselves, and what the DNS then says to their addresses.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::node::{Home, Node, Ran, program, run};

const SCOPE: &str = "liz.mesh.internal";
const NAME: &str = "calendar.liz.mesh.internal";

/// A node with a private scope that answers to its own devices, and challenges all others.
fn home() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    home.run(&["scope", "new", SCOPE]).good();
    home.run(&["name", "put", NAME, "A", "10.9.9.9"]).good();
    access(&home, SCOPE, "device own").good();
    home
}

/// Lets callers into a scope for whom a test holds.
fn access(home: &Home, scope: &str, test: &str) -> Ran {
    access_or(home, scope, (test, "challenge"))
}

/// The same, with what all others get.
fn access_or(home: &Home, scope: &str, (test, otherwise): (&str, &str)) -> Ran {
    let present = home.run(&["scope", "policy", scope]);
    let policy = present.good().lines();
    let policy =
        policy.filter(|line| !line.starts_with("access") && !line.starts_with("challenge"));
    let policy: Vec<&str> = policy.take_while(|line| *line != "[[access]]").collect();
    let policy = policy.join("\n");
    let tests =
        format!("access = [{{ when = \"{test}\", then = \"allow\", else = \"{otherwise}\" }}]");
    let challenge = "challenge = \"run: kedge device prove\"";
    home.write("policy.toml", &format!("{challenge}\n{tests}\n{policy}"));
    home.run(&["scope", "policy", scope, "--file", "policy.toml"])
}

/// What dig says, as a user would ask.
fn dig(server: SocketAddr, more: &[&str]) -> String {
    let mut command = Command::new("dig");
    command
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "+tries=3", "+time=20"])
        .args(more);
    run(&mut command).good().to_owned()
}

fn is_challenged(said: &str) -> bool {
    said.contains("status: REFUSED")
        && said.contains("EDE: 18")
        && said.contains("run: kedge device prove")
}

fn is_answered(said: &str) -> bool {
    said.contains("status: NOERROR") && said.contains("10.9.9.9")
}

fn enrol(home: &Home, note: &str) -> String {
    let file = format!("{note}.device");
    let made = home.json(&["device", "enrol", SCOPE, "--note", note, "--out", &file]);
    made["id"].as_str().unwrap().to_owned()
}

fn prove(home: &Home, note: &str) -> Ran {
    home.run(&["device", "prove", "--file", &format!("{note}.device")])
}

fn copy(home: &Home, from: &str, to: &str) {
    let path = |note: &str| home.path(&format!("{note}.device"));
    std::fs::copy(path(from), path(to)).unwrap();
}

#[test]
fn a_device_is_let_in_while_it_is_known_and_only_over_a_connection() {
    let home = home();
    let node = home.serve();
    let asked = || dig(node.address, &["+tcp", NAME]);
    assert!(is_challenged(&asked()), "{}", asked());
    let phone = enrol(&home, "phone");
    let tablet = enrol(&home, "tablet");
    assert!(is_challenged(&asked()), "enrolled is not proved");
    let proved = prove(&home, "phone");
    assert!(
        proved.good().starts_with("127.0.0.1 counts until "),
        "{proved:?}"
    );
    assert!(is_answered(&asked()), "{}", asked());
    let datagram = dig(node.address, &["+notcp", NAME]);
    assert!(is_challenged(&datagram), "{datagram}");

    let listed = home.json(&["device", "list", SCOPE]);
    let row = |id: &str| {
        let rows = listed.as_array().unwrap().iter();
        rows.clone().find(|row| row["id"] == id).unwrap().clone()
    };
    assert_eq!(row(&phone)["proofs"], 2);
    assert!(row(&phone)["present_until"].is_string());
    assert_eq!(row(&tablet)["proofs"], 0);

    // Another device of the scope is its own: the loss of one does not touch it.
    home.run(&["device", "revoke", SCOPE, &phone]).good();
    assert!(is_challenged(&asked()), "revoked");
    let refused = prove(&home, "phone");
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("revoked"), "{refused:?}");
    prove(&home, "tablet").good();
    assert!(is_answered(&asked()), "{}", asked());
    node.stop();

    // What counted is forgotten with the node; the chain goes on.
    let node = home.serve();
    assert!(is_challenged(&dig(node.address, &["+tcp", NAME])));
    prove(&home, "tablet").good();
    assert!(is_answered(&dig(node.address, &["+tcp", NAME])));
    node.stop();

    let audit = home.run(&["audit", "--limit", "1000"]).good().to_owned();
    for what in ["enrolled", "revoked"] {
        assert!(audit.contains(&format!("what={what}")), "{audit}");
    }
}

#[test]
fn a_copied_device_is_found_out_and_only_an_operator_mends_it() {
    let home = home();
    let mut node = home.serve();
    let id = enrol(&home, "phone");
    prove(&home, "phone").good();
    copy(&home, "phone", "thief");
    prove(&home, "phone").good();
    let asked = || dig(node.address, &["+tcp", NAME]);
    assert!(is_answered(&asked()));
    let thief = prove(&home, "thief");
    assert_eq!(thief.code, 3, "{thief:?}");
    assert!(thief.err.contains("the device is broken"), "{thief:?}");
    assert!(is_challenged(&asked()), "its presence ends");
    let honest = prove(&home, "phone");
    assert_eq!(honest.code, 3, "{honest:?}");
    assert_eq!(home.json(&["device", "list", SCOPE])[0]["state"], "broken");

    let again = ["device", "renew", SCOPE, &id, "--out", "again.device"];
    home.run(&again).good();
    prove(&home, "again").good();
    assert!(is_answered(&asked()));
    let stranger = prove(&home, "thief");
    assert!(
        stranger.err.contains("no device of this scope"),
        "{stranger:?}"
    );
    assert!(is_answered(&asked()), "a stranger breaks nothing");
    node.signal("TERM");
    assert!(node.wait().success());

    let audit = home.run(&["audit", "--limit", "1000"]).good().to_owned();
    assert!(
        audit.contains("what=broken") && audit.contains("what=renewed"),
        "{audit}"
    );
    // Neither log holds a secret, or what a device presents.
    let log = node.said.join("\n");
    let audit = std::fs::read_to_string(home.path("data/audit.log")).unwrap();
    for note in ["phone", "thief", "again"] {
        let file = std::fs::read_to_string(home.path(&format!("{note}.device"))).unwrap();
        let secret = file.trim().strip_prefix("kedge-device-1:").unwrap();
        let bytes = data_encoding::BASE64URL_NOPAD
            .decode(secret.as_bytes())
            .unwrap();
        // Label and version are before the scope's UID, which is no secret; then two secrets.
        let secrets = bytes.get(51..115).unwrap();
        for half in secrets.chunks(32) {
            let digits = data_encoding::HEXLOWER.encode(half);
            assert!(!log.contains(&digits) && !audit.contains(&digits));
        }
        assert!(!log.contains(secret) && !audit.contains(secret));
    }
}

/// The public index only points at a private scope: outsiders see where to ask, and nothing else.
#[test]
fn outsiders_see_where_a_private_scope_is_and_nothing_of_it() {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    let (private, calendar) = ("home.liz.mesh.internal", "calendar.home.liz.mesh.internal");
    home.run(&["scope", "new", SCOPE]).good();
    home.run(&["name", "put", SCOPE, "A", "192.0.2.1"]).good();
    home.run(&["scope", "new", private]).good();
    home.run(&["name", "put", calendar, "A", "10.9.9.9"]).good();
    access_or(&home, private, ("device own", "hide")).good();
    let node = home.serve();
    let ask = |name: &str| {
        dig(
            node.address,
            &["+tcp", "+nocookie", "+noall", "+comments", "+answer", name],
        )
    };
    assert!(ask(SCOPE).contains("192.0.2.1"), "{}", ask(SCOPE));
    let absent = ask("absent.liz.mesh.internal");
    for name in [private, calendar, "nothing.home.liz.mesh.internal"] {
        let said = ask(name);
        assert!(said.contains("status: NXDOMAIN"), "{name}: {said}");
        let but_id = |said: &str| {
            let lines = said.lines().filter(|line| !line.contains("HEADER"));
            lines.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            but_id(&said),
            but_id(&absent),
            "{name} differs from what is absent"
        );
    }
    let enrol = ["device", "enrol", private, "--out", "phone.device"];
    home.run(&enrol).good();
    prove(&home, "phone").good();
    assert!(is_answered(&ask(calendar)), "{}", ask(calendar));
    let datagram = dig(node.address, &["+notcp", calendar]);
    assert!(datagram.contains("status: NXDOMAIN"), "{datagram}");
    node.stop();
}

#[test]
fn another_scope_may_ask_for_a_device_by_the_name_of_its_scope() {
    let home = home();
    let put = access(&home, "eu.mesh.internal", &format!("device {SCOPE}"));
    put.good();
    let uid = home.json(&["scope", "show", SCOPE])["uid"].clone();
    let shown = home.run(&["scope", "policy", "eu.mesh.internal"]);
    let test = format!("device {}", uid.as_str().unwrap());
    assert!(shown.good().contains(&test), "{shown:?}");
    let missing = access(&home, "eu.mesh.internal", "device nobody.mesh.internal");
    assert_ne!(missing.code, 0, "{missing:?}");

    let explain = |more: &[&str]| {
        let question = ["explain", "api.eu.mesh.internal"];
        home.json(&[&question[..], more].concat())["outcome"].clone()
    };
    assert_eq!(explain(&[]), "refused");
    assert_eq!(explain(&["--device", SCOPE]), "found");
    assert_eq!(
        explain(&["--device", SCOPE, "--transport", "udp"]),
        "refused"
    );
    assert_eq!(explain(&["--device", "eu.mesh.internal"]), "refused");

    let node = home.serve();
    enrol(&home, "phone");
    let asked = || dig(node.address, &["+tcp", "api.eu.mesh.internal"]);
    assert!(is_challenged(&asked()));
    prove(&home, "phone").good();
    assert!(asked().contains("status: NOERROR"), "{}", asked());
    node.stop();
}

#[test]
fn a_chain_survives_the_death_of_the_node() {
    let home = home();
    enrol(&home, "phone");
    for _ in 0..4 {
        let node = home.serve();
        prove(&home, "phone").good();
        node.kill();
        // Nobody answers: the file stays as it is.
        let file = std::fs::read(home.path("phone.device")).unwrap();
        let unreachable = prove(&home, "phone");
        assert_eq!(unreachable.code, 5, "{unreachable:?}");
        assert_eq!(std::fs::read(home.path("phone.device")).unwrap(), file);
    }
    let node = home.serve();
    assert_eq!(home.json(&["device", "list", SCOPE])[0]["proofs"], 8);
    node.stop();
}

/// Kills in one run, of each side.
const ROUNDS: usize = 12;

/// Begins to prove a device, and waits as long as some questions take.
fn proving(home: &Home, node: &Node, questions: usize) -> Child {
    let mut command = program(&home.path(""));
    command.args(["--config", "kedge.toml", "device", "prove"]);
    command.args(["--file", "phone.device"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let proving = command.spawn().unwrap();
    for _ in 0..questions {
        node.ask("api.eu.mesh.internal");
    }
    proving
}

#[test]
fn a_chain_survives_whatever_is_killed_whenever() {
    let home = home();
    enrol(&home, "phone");
    for round in 0..ROUNDS {
        let node = home.serve();
        // The device, somewhere between its question and its last write.
        let mut device = proving(&home, &node, 8 * round);
        device.kill().unwrap();
        device.wait().unwrap();
        prove(&home, "phone").good();
        // The node, somewhere between the challenge and the second answer.
        let mut device = proving(&home, &node, 8 * round);
        node.kill();
        device.wait().unwrap();
        let node = home.serve();
        prove(&home, "phone").good();
        let answer = dig(node.address, &["+tcp", NAME]);
        assert!(is_answered(&answer), "round {round}: {answer}");
        node.stop();
    }
    assert_eq!(home.json(&["device", "list", SCOPE])[0]["state"], "live");
}

#[test]
fn commands_about_devices_say_what_is_wrong() {
    let home = home();
    let id = enrol(&home, "phone");
    let fails = |arguments: &[&str], code: i32, words: &str| {
        let ran = home.run(arguments);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.err.contains(words), "{words:?} in {ran:?}");
    };
    let enrol_in = |scope| ["device", "enrol", scope, "--out", "new.device"];
    fails(&enrol_in("nobody.example"), 4, "apex");
    assert!(
        !home.path("new.device").exists(),
        "no file without a device"
    );
    let over = ["device", "enrol", SCOPE, "--out", "phone.device"];
    fails(&over, 2, "phone.device");
    let far = [&enrol_in(SCOPE)[..], &["--server", "ftp://x"]].concat();
    fails(&far, 2, "is no server");
    fails(&["device", "revoke", SCOPE, "zz"], 4, "no such device");
    fails(
        &["device", "prove", "--file", "none.device"],
        2,
        "none.device",
    );
    home.write("bad.device", "kedge-device-1:AAAA\n");
    fails(
        &["device", "prove", "--file", "bad.device"],
        2,
        "lets others",
    );
    home.run(&["device", "revoke", SCOPE, &id]).good();
    fails(&["device", "revoke", SCOPE, &id], 3, "revoked");
}
