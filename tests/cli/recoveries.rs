//! Scopes whose anchors are lost, recovered by the word of the scope above.

use super::node::{Home, Ran};
use super::peers::{Pair, until};

const EU: &str = "eu.mesh.internal";

fn home() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    recovery(&home, &["delay", EU, "0"]).good();
    home
}

fn recovery(home: &Home, rest: &[&str]) -> Ran {
    let command: Vec<&str> = ["scope", "recovery"].iter().chain(rest).copied().collect();
    home.run(&command)
}

/// Takes the keys of a scope out of a home.
fn lose_keys(home: &Home, scope: &str) {
    let keys = std::fs::read_dir(home.path("data/keys")).unwrap();
    let lost: Vec<_> = keys
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            name.starts_with(&format!("{scope}-"))
        })
        .collect();
    assert!(!lost.is_empty(), "no key of {scope}");
    for path in lost {
        std::fs::remove_file(path).unwrap();
    }
}

fn put(home: &Home, name: &str) -> Ran {
    home.run(&["name", "put", name, "A", "10.9.9.9"])
}

/// Waits until the announced recovery can be confirmed, and confirms it.
fn confirm(home: &Home) {
    until("the delay", || {
        (recovery(home, &["confirm", EU]).code == 0).then_some(())
    });
}

#[test]
fn a_scope_without_keys_is_recovered_and_keeps_what_it_holds() {
    let home = home();
    let before = home.json(&["scope", "show", EU]);
    lose_keys(&home, EU);
    let node = home.serve();
    let answer = node.ask("api.eu.mesh.internal");
    let refused = put(&home, "new.eu.mesh.internal");
    assert_eq!(refused.code, 3, "{refused:?}");

    let early = recovery(&home, &["confirm", EU]);
    assert!(early.err.contains("no recovery is announced"), "{early:?}");
    recovery(&home, &["announce", EU, "--after", "3", "--note", "lost"]).good();
    let shown = recovery(&home, &["show", EU]);
    assert!(shown.good().contains("announced: block"), "{shown:?}");
    let early = recovery(&home, &["confirm", EU]);
    assert_eq!(early.code, 3, "{early:?}");
    assert!(early.err.contains("can be confirmed from"), "{early:?}");
    let refused = put(&home, "new.eu.mesh.internal");
    assert_eq!(
        refused.code, 3,
        "an announcement changes nothing: {refused:?}"
    );
    confirm(&home);

    until("the new anchor", || {
        (put(&home, "new.eu.mesh.internal").code == 0).then_some(())
    });
    assert_eq!(node.ask("new.eu.mesh.internal")[0], "NOERROR aa");
    assert_eq!(node.ask("api.eu.mesh.internal"), answer);
    let shown = recovery(&home, &["show", EU]);
    assert!(shown.good().contains("in force: block"), "{shown:?}");
    let after = home.json(&["scope", "show", EU]);
    assert_eq!(after["uid"], before["uid"]);
    assert_eq!(
        after["epoch"].as_u64().unwrap(),
        before["epoch"].as_u64().unwrap() + 1
    );
    assert_ne!(after["anchors"][0]["key"], before["anchors"][0]["key"]);
    let again = recovery(&home, &["abandon", EU]);
    assert_eq!(again.code, 3, "what is in force stays so: {again:?}");
    let log = home.run(&["log", EU]);
    assert!(log.good().contains("recovered"), "{log:?}");

    // Whoever knows the apex only is convinced, and so is whoever replays everything.
    let proof = home.json(&["prove", "new.eu.mesh.internal"]);
    let apex = format!(
        "{}={}",
        proof["apex"].as_str().unwrap(),
        proof["root"].as_str().unwrap()
    );
    home.write("proof", proof["proof"].as_str().unwrap());
    let at = home.path("proof");
    let verified = home.run(&["verify", at.to_str().unwrap(), "--apex", &apex]);
    verified.good();
    home.run(&["verify"]).good();
    node.stop();
    home.run(&["verify"]).good();
    put(&home, "later.eu.mesh.internal").good();
}

#[test]
fn one_more_block_of_the_old_anchors_is_their_veto() {
    let home = home();
    recovery(&home, &["announce", EU, "--after", "1"]).good();
    put(&home, "alive.eu.mesh.internal").good();
    let vetoed = recovery(&home, &["confirm", EU]);
    assert_eq!(vetoed.code, 3, "{vetoed:?}");
    assert!(vetoed.err.contains("has gone on since"), "{vetoed:?}");
    let shown = recovery(&home, &["show", EU]);
    assert!(shown.good().contains("vetoed: block"), "{shown:?}");
    recovery(&home, &["abandon", EU]).good();
    let shown = recovery(&home, &["show", EU]);
    assert!(
        shown.good().contains("no recovery is announced"),
        "{shown:?}"
    );
    home.run(&["verify"]).good();
}

#[test]
fn a_scope_asks_for_its_own_delay_and_an_apex_has_nobody_above_it() {
    let home = home();
    recovery(&home, &["delay", EU, "3600"]).good();
    let short = recovery(&home, &["announce", EU, "--after", "60"]);
    assert_eq!(short.code, 2, "{short:?}");
    assert!(short.err.contains("stays public for 3600 s"), "{short:?}");
    let apex = recovery(&home, &["offer", "mesh.internal"]);
    assert_ne!(apex.code, 0);
    assert!(apex.err.contains("is an apex"), "{apex:?}");
    let long = recovery(&home, &["delay", EU, "31622401"]);
    assert_eq!(long.code, 3, "{long:?}");
    assert!(long.err.contains("more than 366 days"), "{long:?}");
    let spoiled = recovery(&home, &["announce", EU, "--offer", "kedge-recovery-1:AAAA"]);
    assert_eq!(spoiled.code, 2, "{spoiled:?}");
    assert!(
        spoiled.err.contains("kedge scope recovery offer"),
        "{spoiled:?}"
    );
}

#[test]
fn a_mirror_takes_over_and_the_node_that_lost_the_keys_follows_it() {
    let pair = Pair::new();
    let other = pair.mirror.serve();
    pair.follow(&[EU]);
    recovery(&pair.origin, &["delay", EU, "0"]).good();
    let Pair {
        origin,
        mirror,
        node,
        ..
    } = pair;
    let epoch = origin.json(&["scope", "show", EU])["epoch"].clone();
    until("the delay at the mirror", || {
        (mirror.json(&["scope", "show", EU])["epoch"] == epoch).then_some(())
    });
    node.stop();
    lose_keys(&origin, EU);
    let node = origin.serve();
    let offered = recovery(&mirror, &["offer", EU, "--region", "us", "--after", "2"]);
    let offer = offered.good().trim().to_owned();
    recovery(&origin, &["announce", EU, "--offer", &offer]).good();
    confirm(&origin);
    until("the new anchor", || {
        (put(&mirror, "new.eu.mesh.internal").code == 0).then_some(())
    });
    let seen = ["NOERROR aa", "new.eu.mesh.internal. 60 A 10.9.9.9"];
    assert_eq!(other.ask("new.eu.mesh.internal"), seen);
    until("the change where the keys were lost", || {
        (node.ask("new.eu.mesh.internal") == seen).then_some(())
    });
    let refused = put(&origin, "old.eu.mesh.internal");
    assert_eq!(refused.code, 3, "{refused:?}");
    for (home, node) in [(origin, node), (mirror, other)] {
        node.stop();
        home.run(&["verify"]).good();
    }
}
