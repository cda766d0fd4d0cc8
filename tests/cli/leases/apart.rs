//! Instances that are announced at one node and found at another.

use kedge::adapters::clock::SystemClock;
use kedge::base::canonical::Form as _;
use kedge::base::keys::SecretKey;
use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::lease::{Check, Condition, Lease};
use kedge::replication::wire::{
    Hello, LeaseMark, LeasePage, LeaseRow, Reply, Request, Turned, frame,
};
use kedge::service::ports::Clock as _;
use std::net::{IpAddr, TcpListener};
use std::process::Command;

use super::super::node::{Home, Node};
use super::super::peers::{FakePeer, any, configure, id, listens, peer, until};
use super::{API, CONFIG, SCOPE, announce, ask_until, has};

/// A node that does not check instances of others.
const BLIND: &str = "[node]\nregion = \"far\"\n[legacy]\nupstreams = []\n[demo]\nenabled = false\n[leases]\nlocal-addresses = true\n";

/// A node that governs the demo and one that follows it.
struct Regions {
    origin: Home,
    mirror: Home,
    near: Node,
    far: Node,
}

impl Regions {
    fn new() -> Self {
        Self::after(|_| ())
    }

    /// The same, where something was done at the first before the second followed it.
    fn after(first: impl FnOnce(&Home)) -> Self {
        let (origin, mirror) = (Home::new(CONFIG), Home::new(BLIND));
        for home in [&origin, &mirror] {
            home.run(&["init"]).good();
        }
        let to_mirror = peer("mirror", &id(&mirror), None);
        configure(&origin, Some(any()), &to_mirror, CONFIG);
        let near = origin.serve();
        let at = listens(&near);
        // A restart listens where the mirror dials.
        configure(&origin, Some(at), &to_mirror, CONFIG);
        configure(
            &mirror,
            None,
            &peer("origin", &id(&origin), Some(at)),
            BLIND,
        );
        let far = mirror.serve();
        let root = origin.json(&["scope", "show", "mesh.internal"]);
        let root = root["uid"].as_str().unwrap();
        first(&origin);
        let from = ["--from", "origin"];
        let apex = ["mirror", "mesh.internal", "--genesis", root];
        mirror.run(&[&apex[..], &from].concat()).good();
        mirror.run(&[&["mirror", SCOPE][..], &from].concat()).good();
        Self {
            origin,
            mirror,
            near,
            far,
        }
    }
}

#[test]
fn an_instance_is_found_wherever_its_scope_is_held() {
    let Regions {
        origin,
        mirror,
        near,
        far,
    } = Regions::after(|origin| {
        announce(origin, API, "i1", "10.0.0.1", &["--ttl", "1h"]).good();
    });
    announce(&origin, API, "i2", "10.0.0.2", &["--ttl", "1h"]).good();
    ask_until(&far, API, |reply| {
        has("10.0.0.1")(reply) && has("10.0.0.2")(reply)
    });
    origin.run(&["lease", "drain", API, "i2"]).good();
    ask_until(&far, API, |reply| !has("10.0.0.2")(reply));
    assert!(has("10.0.0.2")(&far.ask("i2._inst.api.eu.mesh.internal")));

    // Where a peer is, it says itself if nobody else does.
    assert_eq!(origin.json(&["nodes"])[0]["region"], "far");
    // Whoever may announce does so where it is, and is found everywhere.
    mirror.run(&["key", "new", "api.key"]).good();
    let key = mirror.run(&["key", "show", "api.key"]).good().to_owned();
    let key = key.split_whitespace().last().unwrap();
    let grant = [
        "grant", "add", SCOPE, "--key", key, "--names", "api", "--deeds", "announce",
    ];
    origin.run(&grant).good();
    let mine = ["--key", "api.key", "--ttl", "1h"];
    until("the grant", || {
        let ran = announce(&mirror, API, "i3", "10.0.0.3", &mine);
        (ran.code == 0).then_some(())
    });
    ask_until(&near, API, has("10.0.0.3"));
    // By purpose the service is left empty, and the last instance is there for those who know it.
    origin.run(&["lease", "end", API, "i1"]).good();
    // By its own name: another one is nearer there, and alone in the answer.
    ask_until(&far, "i1._inst.api.eu.mesh.internal", |reply| {
        reply[0].starts_with("NXDOMAIN")
    });
    let empty = ["lease", "drain", API, "i3", "--key", "api.key"];
    let refused = mirror.run(&empty);
    assert_eq!(refused.code, 3, "{refused:?}");
    mirror.run(&[&empty[..], &["--may-empty"]].concat()).good();
    let none = ask_until(&near, API, |reply| !has("10.0.0.")(reply));
    assert!(has("ede 0")(&none), "{none:?}");
    mirror
        .run(&["lease", "resume", API, "i3", "--key", "api.key"])
        .good();
    ask_until(&near, API, has("10.0.0.3"));

    // What was heard outlasts whoever was heard, and this node's own end.
    near.kill();
    far.stop();
    let far = mirror.serve();
    assert!(has("10.0.0.3")(&far.ask(API)));
    let near = origin.serve();
    assert!(has("10.0.0.3")(&near.ask(API)));
    // A grant that is taken back counts everywhere.
    let revoke = ["grant", "revoke", SCOPE, "--key", key];
    origin.run(&revoke).good();
    for node in [&near, &far] {
        ask_until(node, API, |reply| !has("10.0.0.3")(reply));
    }
    near.stop();
    far.stop();
}

#[test]
fn a_node_that_does_not_check_an_instance_hears_how_it_is() {
    let Regions {
        origin,
        mirror: _mirror,
        near,
        far,
    } = Regions::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let check = ["--check", "tcp", "--ttl", "1h", "--port", &port];
    announce(&origin, API, "good", "127.0.0.1", &check).good();
    announce(&origin, API, "bad", "127.0.0.2", &check).good();
    let is_right = |reply: &[String]| has("127.0.0.1")(reply) && !has("127.0.0.2")(reply);
    ask_until(&near, API, is_right);
    let chosen = ask_until(&far, API, is_right);
    assert!(!has("ede")(&chosen), "{chosen:?}");
    // None works: all that are up are shown, there as here.
    drop(listener);
    for node in [&near, &far] {
        let all = ask_until(node, API, has("ede 0"));
        assert!(has("127.0.0.1")(&all) && has("127.0.0.2")(&all), "{all:?}");
    }
    near.stop();
    far.stop();
}

fn now() -> Timestamp {
    SystemClock.now()
}

#[test]
fn a_node_that_does_not_hold_the_scope_is_shown_its_instances() {
    let (origin, reader) = (Home::new(CONFIG), Home::new(BLIND));
    for home in [&origin, &reader] {
        home.run(&["init"]).good();
    }
    configure(
        &origin,
        Some(any()),
        &peer("reader", &id(&reader), None),
        CONFIG,
    );
    let near = origin.serve();
    let root = origin.json(&["scope", "show", "mesh.internal"]);
    let pinned = format!(
        "{BLIND}[[apex]]\nname = \"mesh.internal\"\ngenesis = {}\n",
        root["uid"]
    );
    let to_origin = peer("origin", &id(&origin), Some(listens(&near)));
    configure(&reader, None, &to_origin, &pinned);
    let far = reader.serve();
    until("the connection", || {
        let peers = reader.json(&["nodes"]);
        (peers[0]["connected"] == true).then_some(())
    });
    // An entry that has no addresses but its instances.
    let put = ["name", "put", "only.eu.mesh.internal", "TXT", "instances"];
    origin.run(&put).good();
    let only = "only.eu.mesh.internal";
    for (instance, address) in [("i1", "10.0.0.1"), ("i2", "10.0.0.2")] {
        announce(&origin, only, instance, address, &["--ttl", "1h"]).good();
    }
    let both = |reply: &[String]| has("10.0.0.1")(reply) && has("10.0.0.2")(reply);
    // One question to one node shows both the name and its instances.
    let first = far.ask(only);
    assert!(both(&first), "{first:?}");
    let status = reader.json(&["status"]);
    assert_eq!(status["learned"]["asked"], 1, "{status}");
    let services = far.ask("only.eu.mesh.internal SRV");
    let target = "0 1 8080 i1._inst.only.eu.mesh.internal";
    assert!(services[1].ends_with(target), "{services:?}");
    assert!(has("10.0.0.1")(&far.ask("i1._inst.only.eu.mesh.internal")));
    assert_eq!(far.ask("i9._inst.only.eu.mesh.internal")[0], "NXDOMAIN aa");
    origin.run(&["lease", "drain", only, "i2"]).good();
    ask_until(&far, only, |reply| !has("10.0.0.2")(reply));
    assert!(has("10.0.0.2")(&far.ask("i2._inst.only.eu.mesh.internal")));
    // When every lease ran out the last known good are shown there as here.
    let brief = "brief.eu.mesh.internal";
    origin
        .run(&["name", "put", brief, "TXT", "instances"])
        .good();
    announce(&origin, brief, "i1", "10.0.0.7", &["--ttl", "2s"]).good();
    for node in [&near, &far] {
        let stale = ask_until(node, brief, has("ede 3"));
        assert!(has("10.0.0.7")(&stale), "{stale:?}");
    }
    // With nobody to ask, what was shown answers on; it is never empty because nobody says.
    near.kill();
    until("the end of the origin", || {
        let peers = reader.json(&["nodes"]);
        (peers[0]["connected"] == false).then_some(())
    });
    let left = far.ask(only);
    assert!(has("10.0.0.1")(&left), "{left:?}");
    far.stop();
}

#[test]
fn the_nearest_working_instances_answer_and_all_stand_in_service_records() {
    let placed =
        "[node]\nregion = \"eu\"\n[[region]]\nname = \"us\"\nnetworks = [\"127.0.0.2/32\"]\n";
    let home = Home::new(&format!("{CONFIG}{placed}"));
    home.run(&["init"]).good();
    let node = home.serve();
    let ask = |client: &str, kind: &str| {
        let port = node.address.port().to_string();
        let words = ["@127.0.0.1", "-p", &port, "-b", client, API, kind, "+short"];
        let ran = Command::new("dig").args(words).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let check = ["--port", &port, "--check", "tcp"];
    // The node's own region is the region of what it announces, unless it is told another one.
    announce(&home, API, "here", "127.0.0.1", &check).good();
    announce(&home, API, "there", "127.0.0.9", &["--region", "us"]).good();
    announce(&home, API, "somewhere", "127.0.0.8", &["--region", "mars"]).good();
    ask_until(&node, API, has("127.0.0.1"));
    assert_eq!(ask("127.0.0.1", "A"), "127.0.0.1\n");
    assert_eq!(ask("127.0.0.2", "A"), "127.0.0.9\n");
    let target = "_inst.api.eu.mesh.internal.";
    let from_eu = [
        format!("0 1 {port} here.{target}"),
        format!("1 1 8080 somewhere.{target}"),
        format!("1 1 8080 there.{target}"),
    ];
    assert_eq!(ask("127.0.0.1", "SRV"), from_eu.join("\n") + "\n");
    let explained = home.run(&["explain", API, "--from", "127.0.0.2"]);
    let words = "client in \"us\"; 1 in \"eu\", nobody knows how far; 1 in \"mars\", \
                 nobody knows how far; 1 in \"us\", 0 ms";
    assert!(explained.good().contains(words), "{explained:?}");
    // Where the nearest fails, the others answer.
    drop(listener);
    let left = ask_until(&node, API, |reply| !has("127.0.0.1")(reply));
    assert!(
        has("127.0.0.9")(&left) && has("127.0.0.8")(&left),
        "{left:?}"
    );
    let all = format!("{CONFIG}show = \"all\"\n{placed}");
    configure(&home, None, "", &all);
    home.run(&["reload"]).good();
    assert_eq!(ask("127.0.0.2", "A"), "127.0.0.9\n127.0.0.8\n");
    node.stop();
}

#[test]
fn a_peer_cannot_make_up_instances() {
    let home = Home::new(CONFIG);
    home.run(&["init"]).good();
    let scope = home.json(&["scope", "show", SCOPE]);
    let entry = home.json(&["name", "get", API]);
    let lease = |signer: &SecretKey, named: &SecretKey, address: u8| {
        let issued = now();
        let lease = Lease {
            scope: scope["uid"].as_str().unwrap().parse().unwrap(),
            service: entry["uid"].as_str().unwrap().parse().unwrap(),
            instance: format!("made-up-{address}").parse().unwrap(),
            address: IpAddr::from([10, 66, 0, address]),
            port: 80,
            weight: 1,
            region: String::new(),
            condition: Condition::Up,
            check: Check::None,
            sequence: issued.as_millis(),
            issued,
            expires: issued.plus_millis(600_000),
            may_empty: false,
            key: named.public(),
        };
        let lease = Signed::new(lease, signer).unwrap();
        LeaseRow { lease, works: None }
    };
    let (own, other) = (
        SecretKey::from_seed(&[1; 32]),
        SecretKey::from_seed(&[2; 32]),
    );
    // Signed by nobody who may announce, and not signed by whom it names.
    let rows = vec![lease(&own, &own, 1), lease(&other, &own, 2)];
    let page = move |mark: LeaseMark| LeasePage {
        upto: LeaseMark {
            journal: 7,
            number: mark.number + 1,
        },
        is_last: mark.number > 3,
        // Once all was read, there is nothing new.
        rows: if mark.number > 4 {
            Vec::new()
        } else {
            rows.clone()
        },
    };
    let fake = FakePeer::new(93);
    fake.serve(move |request| match request {
        Request::Hello(_) => Some(frame(&Reply::Hello(Hello {
            versions: vec![1],
            ..Hello::of("test")
        }))),
        Request::Leases(after) => Some(frame(&Reply::Leases(page(after)))),
        _ => Some(frame(&Reply::Turned(Turned::NotHeld))),
    });
    let named = peer("fake", &fake.id(), Some(fake.address()));
    configure(&home, Some(any()), &named, CONFIG);
    let node = home.serve();
    until("the complaint", || {
        let peers = home.json(&["nodes"]);
        (peers[0]["complaints"].as_u64()? > 0).then_some(())
    });
    assert!(!has("10.66.")(&node.ask(API)));
    for label in ["made-up-1", "made-up-2"] {
        let name = format!("{label}._inst.{API}");
        assert_eq!(node.ask(&name)[0], "NXDOMAIN aa", "{label}");
    }
    // A lease may come before the grant that lets it be taken, and is not brought again for it.
    let key = SecretKey::from_seed(&[1; 32]).public().to_string();
    let grant = ["grant", "add", SCOPE, "--key", &key, "--names", "api"];
    home.run(&[&grant[..], &["--deeds", "announce"]].concat())
        .good();
    let granted = ask_until(&node, API, has("10.66."));
    assert!(!has("10.66.0.2")(&granted), "{granted:?}");
    node.stop();
}

#[test]
fn a_page_of_the_longest_leases_fits_its_frame() {
    let key = SecretKey::from_seed(&[1; 32]);
    let longest = Lease {
        scope: "0".repeat(64).parse().unwrap(),
        service: kedge::namespace::uid::Uid::from_bytes([1; 16]),
        instance: "i".repeat(63).parse().unwrap(),
        address: IpAddr::from([0xfd; 16]),
        port: 80,
        weight: 1,
        region: "r".repeat(kedge::base::limits::REGION_BYTES_MAX),
        condition: Condition::Up,
        check: Check::Http(format!(
            "/{}",
            "p".repeat(kedge::base::limits::CHECK_PATH_BYTES_MAX - 1)
        )),
        sequence: u64::MAX,
        issued: now(),
        expires: now(),
        may_empty: false,
        key: key.public(),
    };
    let row = LeaseRow {
        lease: Signed::new(longest, &key).unwrap(),
        works: Some(true),
    };
    let rows = vec![row; kedge::replication::wire::LEASES_PER_PAGE_MAX];
    let reply = Reply::Leases(LeasePage {
        upto: LeaseMark::default(),
        is_last: true,
        rows,
    });
    let after = Request::Leases(LeaseMark::default());
    assert!(reply.to_bytes().len() <= after.reply_bytes_max());
    assert_eq!(Reply::from_bytes(&reply.to_bytes()), Ok(reply));
}
