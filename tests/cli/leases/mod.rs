//! Instances of services, from the command that announces them to what clients are told.

use std::sync::mpsc;
use std::time::Duration;

use hyper::Method;
use kedge::adapters::http::Client;
use kedge::adapters::http::wire_leases::{AnnounceBody, LeaseView};

use super::node::{Home, Node, Ran, program};

mod apart;
mod checks;

const SCOPE: &str = "eu.mesh.internal";
const API: &str = "api.eu.mesh.internal";
const CONFIG: &str = "[legacy]\nupstreams = []\n[leases]\nlocal-addresses = true\n\
                      check = [\"127.0.0.0/8\"]\ncheck-interval-ms = 100\ncheck-timeout-ms = 100\n";
/// How often something that takes time is looked at, and how long between.
const LOOKS_MAX: usize = 600;
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn home() -> Home {
    let home = Home::new(CONFIG);
    home.run(&["init"]).good();
    home
}

fn refused(ran: &Ran, code: i32, words: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.err.contains(words), "{ran:?}");
}

/// Announces an instance at an address, with more options.
fn announce(home: &Home, service: &str, instance: &str, address: &str, more: &[&str]) -> Ran {
    let command = ["lease", "announce", service, "--instance", instance];
    let mut all = [&command[..], &["--address", address], more].concat();
    if !more.contains(&"--port") {
        all.extend(["--port", "8080"]);
    }
    home.run(&all)
}

/// Lets the node's own clock go on: a lease is measured by it.
fn pause(span: Duration) {
    let (_nobody, waiting) = mpsc::channel::<()>();
    assert!(waiting.recv_timeout(span).is_err());
}

/// Asks until the reply is as it should be.
fn ask_until(node: &Node, question: &str, is_right: impl Fn(&[String]) -> bool) -> Vec<String> {
    let mut reply = Vec::new();
    for _ in 0..LOOKS_MAX {
        reply = node.ask(question);
        if is_right(&reply) {
            return reply;
        }
        pause(LOOK_EVERY);
    }
    panic!("{question}: {reply:#?}");
}

fn has(words: &str) -> impl Fn(&[String]) -> bool {
    move |reply| reply.iter().any(|line| line.contains(words))
}

#[test]
fn instances_stand_for_the_addresses_of_their_service() {
    let home = home();
    let node = home.serve();
    let own = node.ask(API);
    assert!(own[1].contains("10.1.0.10"), "{own:?}");
    announce(&home, API, "i1", "10.0.0.1", &[]).good();
    announce(&home, API, "i2", "10.0.0.2", &["--weight", "5"]).good();
    announce(&home, API, "i3", "10.0.0.3", &["--weight", "5"]).good();
    let answer = node.ask(API);
    let addresses: Vec<&str> = answer[1..]
        .iter()
        .map(|line| &line[line.len() - 8..])
        .collect();
    assert_eq!(
        addresses,
        ["10.0.0.2", "10.0.0.3", "10.0.0.1"],
        "{answer:?}"
    );
    let ttl: u32 = answer[1].split(' ').nth(1).unwrap().parse().unwrap();
    assert!((1..=5).contains(&ttl), "{answer:?}");
    let services = node.ask("api.eu.mesh.internal SRV");
    assert!(
        services[1].ends_with("0 5 8080 i2._inst.api.eu.mesh.internal"),
        "{services:?}"
    );
    assert!(
        services[3].ends_with("0 1 8080 i1._inst.api.eu.mesh.internal"),
        "{services:?}"
    );
    // Types that no instance speaks for stay, and so do addresses that nobody announced.
    assert_eq!(node.ask("api.eu.mesh.internal AAAA")[0], "NOERROR aa");
    assert!(!has("fd00:1::10")(&node.ask("api.eu.mesh.internal AAAA")));

    let drained = home.run(&["lease", "drain", API, "i2"]);
    assert!(drained.good().contains("i2 is draining"), "{drained:?}");
    assert!(!has("10.0.0.2")(&node.ask(API)));
    assert!(has("10.0.0.2")(&node.ask("i2._inst.api.eu.mesh.internal")));
    home.run(&["lease", "resume", API, "i2"]).good();
    assert!(has("10.0.0.2")(&node.ask(API)));
    home.run(&["lease", "end", API, "i2"]).good();
    assert_eq!(node.ask("i2._inst.api.eu.mesh.internal")[0], "NXDOMAIN aa");
    refused(&home.run(&["lease", "end", API, "i2"]), 4, "no instance i2");

    let explained = home.run(&["explain", API]);
    let step = "instance 2 live, 2 up, 2 healthy, 0 draining; 2 shown: they work";
    assert!(explained.good().contains(step), "{explained:?}");
    let list = home.run(&["lease", "list", API]);
    assert!(list.good().contains("2 of 3 instance(s) shown"), "{list:?}");
    node.stop();
}

#[test]
fn instances_answer_under_every_name_of_their_service() {
    let home = home();
    let node = home.serve();
    announce(&home, API, "i1", "10.0.0.1", &[]).good();
    let uid = home.json(&["name", "get", API])["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let by_uid = format!("{uid}._uid.mesh.internal");
    assert!(has("10.0.0.1")(&node.ask(&by_uid)));
    assert!(has("10.0.0.1")(&node.ask(&format!("i1._inst.{by_uid}"))));
    assert!(has("10.0.0.1")(
        &node.ask("_view._act.api.eu.mesh.internal")
    ));
    home.run(&["name", "rename", API, "api2.eu.mesh.internal"])
        .good();
    let moved = node.ask("i1._inst.api.eu.mesh.internal");
    assert!(
        has("CNAME i1._inst.api2.eu.mesh.internal")(&moved),
        "{moved:?}"
    );
    assert!(has("10.0.0.1")(&moved), "{moved:?}");
    // A version is what it was, whoever runs it now.
    assert!(has("10.1.0.10")(
        &node.ask("_v1._ver.api2.eu.mesh.internal")
    ));
    refused(
        &home.run(&[
            "name",
            "put",
            "_inst.api2.eu.mesh.internal",
            "A",
            "10.0.0.1",
        ]),
        3,
        "",
    );
    home.run(&["verify"]).good();
    node.stop();
}

#[test]
fn a_service_is_emptied_only_on_purpose() {
    let home = home();
    let node = home.serve();
    announce(&home, API, "i1", "10.0.0.1", &[]).good();
    announce(&home, API, "i2", "10.0.0.2", &[]).good();
    announce(&home, API, "v6", "fd00::1", &[]).good();
    home.run(&["lease", "drain", API, "i1"]).good();
    let last = home.run(&["lease", "drain", API, "i2"]);
    refused(
        &last,
        3,
        "the last healthy instance of the service with an IPv4 address",
    );
    refused(&home.run(&["lease", "end", API, "i2"]), 3, "--may-empty");
    assert!(has("10.0.0.2")(&node.ask(API)));
    home.run(&["lease", "drain", API, "i2", "--may-empty"])
        .good();
    let emptied = node.ask(API);
    assert_eq!(emptied[0], "NOERROR aa");
    assert!(has("ede 0")(&emptied), "{emptied:?}");
    // With the last lease ended, the entry's own addresses are the answer again.
    home.run(&["lease", "end", API, "i1"]).good();
    home.run(&["lease", "end", API, "i2", "--may-empty"]).good();
    home.run(&["lease", "end", API, "v6", "--may-empty"]).good();
    assert!(has("10.1.0.10")(&node.ask(API)));
    node.stop();
}

#[test]
fn a_key_announces_what_its_grant_names_and_proposes_nothing() {
    let home = home();
    let node = home.serve();
    let key = home.run(&["key", "new", "ci.key"]);
    let key = key.good().trim().to_owned();
    let sign = ["--key", "ci.key"];
    refused(
        &announce(&home, API, "i1", "10.0.0.1", &sign),
        3,
        "may not announce",
    );
    let grant = [
        "grant", "add", SCOPE, "--key", &key, "--names", "api", "--deed", "announce",
    ];
    home.run(&grant).good();
    announce(&home, API, "i1", "10.0.0.1", &sign).good();
    assert!(has("10.0.0.1")(&node.ask(API)));
    let other = announce(&home, "db.eu.mesh.internal", "i1", "10.0.0.1", &sign);
    refused(&other, 3, "may not announce");
    let change =
        "[[change]]\nchange = \"put\"\nname = \"api\"\ntype = \"A\"\ndata = ['10.0.0.9']\n";
    home.write("changes.toml", change);
    let proposed = home.run(&["propose", SCOPE, "changes.toml", "--key", "ci.key"]);
    refused(&proposed, 3, "may not propose");
    home.run(&["grant", "revoke", SCOPE, "--key", &key]).good();
    let now = node.ask(API);
    assert!(has("10.1.0.10")(&now) && !has("10.0.0.1")(&now), "{now:?}");
    refused(
        &announce(&home, API, "i1", "10.0.0.1", &sign),
        3,
        "may not announce",
    );
    // What was forgotten with the grant does not come back with it.
    home.run(&grant).good();
    ask_until(&node, API, has("10.1.0.10"));
    let db = "db.eu.mesh.internal";
    announce(&home, db, "i1", "10.0.0.1", &[]).good();
    assert!(has("10.0.0.1")(&node.ask(db)));
    home.run(&["name", "retire", db]).good();
    assert_eq!(node.ask(db)[0], "NXDOMAIN aa");
    assert_eq!(node.ask("i1._inst.db.eu.mesh.internal")[0], "NXDOMAIN aa");
    refused(&announce(&home, db, "i1", "10.0.0.1", &[]), 4, "retired");
    node.stop();
}

#[test]
fn what_cannot_be_announced_is_refused_with_the_reason() {
    let home = home();
    let node = home.serve();
    for (address, more, code, words) in [
        (
            "0.0.0.0",
            &[][..],
            3,
            "no instance can be announced at 0.0.0.0",
        ),
        ("224.0.0.1", &[], 3, "no instance can be announced"),
        (
            "10.0.0.1",
            &["--check", "tcp"],
            3,
            "does not check instances at 10.0.0.1",
        ),
        (
            "10.0.0.1",
            &["--check", "http:/a b"],
            2,
            "expected none, tcp",
        ),
        (
            "10.0.0.1",
            &["--check", "exec:/bin/true"],
            2,
            "expected none, tcp",
        ),
        (
            "10.0.0.1",
            &["--ttl", "1s"],
            2,
            "expected 2 to 3600 seconds",
        ),
        (
            "10.0.0.1",
            &["--ttl", "2h"],
            2,
            "expected 2 to 3600 seconds",
        ),
    ] {
        refused(&announce(&home, API, "i1", address, more), code, words);
    }
    refused(
        &announce(&home, API, "i_1", "10.0.0.1", &[]),
        2,
        "expected a-z",
    );
    let alias = announce(&home, "www.eu.mesh.internal", "i1", "10.0.0.1", &[]);
    refused(&alias, 3, "alias");
    let nobody = announce(&home, "nobody.eu.mesh.internal", "i1", "10.0.0.1", &[]);
    refused(&nobody, 4, "no entry");
    refused(&home.run(&["lease", "list", "example.com"]), 4, "no apex");
    let list = home.run(&["lease", "list", API]);
    assert!(list.good().contains("0 of 0"), "{list:?}");
    node.stop();
}

#[test]
fn leases_survive_a_kill_and_their_end_during_it_empties_nothing() {
    let home = home();
    let node = home.serve();
    announce(&home, API, "long", "10.0.0.1", &["--ttl", "1h"]).good();
    announce(
        &home,
        "db.eu.mesh.internal",
        "short",
        "10.0.0.2",
        &["--ttl", "2"],
    )
    .good();
    node.kill();
    // Its lease ends while the node is down.
    pause(Duration::from_secs(3));
    let node = home.serve();
    assert!(has("10.0.0.1")(&node.ask(API)));
    let graced = node.ask("db.eu.mesh.internal");
    assert!(
        has("10.0.0.2")(&graced) && !has("ede")(&graced),
        "{graced:?}"
    );
    // Nobody comes back: the last known good, with the word that it is stale.
    let stale = ask_until(&node, "db.eu.mesh.internal", has("ede 3"));
    assert!(has("10.0.0.2")(&stale), "{stale:?}");
    assert!(has("10.0.0.2")(
        &node.ask("short._inst.db.eu.mesh.internal")
    ));
    let list = home.run(&["lease", "list", "db.eu.mesh.internal"]);
    assert!(list.good().contains("expired"), "{list:?}");
    node.stop();
    // A lease whose end was seen is not counted as cut off by the next start.
    let node = home.serve();
    assert!(has("ede 3")(&node.ask("db.eu.mesh.internal")));
    announce(
        &home,
        "db.eu.mesh.internal",
        "short",
        "10.0.0.2",
        &["--ttl", "30"],
    )
    .good();
    assert!(!has("ede")(&node.ask("db.eu.mesh.internal")));
    node.stop();
}

#[test]
fn a_kept_lease_is_renewed_and_ended_with_the_command_that_keeps_it() {
    let home = home();
    let mut node = home.serve();
    announce(&home, API, "other", "10.0.0.2", &["--ttl", "1h"]).good();
    let mut keeping = program(&home.path(""))
        .args(["--config", "kedge.toml", "lease", "announce", API, "--keep"])
        .args([
            "--instance",
            "kept",
            "--address",
            "10.0.0.1",
            "--port",
            "80",
            "--ttl",
            "2",
        ])
        .spawn()
        .unwrap();
    ask_until(&node, API, has("10.0.0.1"));
    // Drained by an operator: renewals do not take that back.
    home.run(&["lease", "drain", API, "kept"]).good();
    // A node that was away finds its announcers when it is back.
    node.stop();
    node = home.serve();
    let until = |home: &Home| {
        let list = home.json(&["lease", "list", API]);
        let instances = list["instances"].as_array().unwrap();
        let kept = instances
            .iter()
            .find(|view| view["instance"] == "kept")
            .unwrap();
        (
            kept["condition"].clone(),
            kept["sequence"].as_u64().unwrap(),
        )
    };
    let (_, first) = until(&home);
    let renewed = (0..LOOKS_MAX).find_map(|_| {
        pause(LOOK_EVERY);
        let (condition, sequence) = until(&home);
        (sequence > first).then_some(condition)
    });
    assert_eq!(renewed.unwrap(), "draining");
    home.run(&["lease", "resume", API, "kept"]).good();
    let pid = keeping.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-s", "TERM", &pid])
        .status();
    assert!(killed.unwrap().success());
    assert!(keeping.wait().unwrap().success());
    assert_eq!(
        node.ask("kept._inst.api.eu.mesh.internal")[0],
        "NXDOMAIN aa"
    );
    assert!(has("10.0.0.2")(&node.ask(API)));
    node.stop();
}

async fn put(client: Client, number: u16) {
    let [high, low] = number.to_be_bytes();
    let body = AnnounceBody {
        address: format!("10.9.{high}.{low}"),
        port: 80,
        weight: 1,
        region: String::new(),
        ttl: 600,
        check: "none".to_owned(),
        condition: "up".to_owned(),
        may_empty: false,
    };
    let path = format!("/names/{API}/instances/instance-{number:04}");
    let put = client.send::<_, LeaseView>(Method::PUT, &path, &body).await;
    put.unwrap();
}

#[test]
fn a_thousand_instances_are_cut_off_by_a_flag_and_never_by_silence() {
    const COUNT: u16 = 1_000;
    let home = home();
    let node = home.serve();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let tasks = runtime.handle().clone();
    runtime.block_on(async {
        let puts: Vec<_> = (0..COUNT)
            .map(|number| tasks.spawn(put(Client::Socket(home.socket()), number)))
            .collect();
        for put in puts {
            put.await.unwrap();
        }
    });
    for kind in ["A", "SRV"] {
        let over_udp = node.ask(&format!("{API} {kind}"));
        assert_eq!(over_udp[0], "NOERROR aa tc", "{kind}");
        let over_tcp = dig(&node, &["+tcp", API, kind]);
        assert_eq!(over_tcp.lines().count(), usize::from(COUNT), "{kind}");
    }
    node.stop();
}

/// What `dig +short` prints.
fn dig(node: &Node, arguments: &[&str]) -> String {
    let output = std::process::Command::new("dig")
        .arg(format!("@{}", node.address.ip()))
        .args(["-p", &node.address.port().to_string(), "+short"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
