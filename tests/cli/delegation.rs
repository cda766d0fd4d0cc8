//! Scopes that another node holds: offered there, delegated to here.

use super::node::Home;
use super::upstream::Upstream;

const EDGE: &str = "edge.eu.mesh.internal";

/// A home whose demo was made.
fn home(config: &str) -> Home {
    let home = Home::new(config);
    home.run(&["init"]).good();
    home
}

fn quiet() -> Home {
    home("[legacy]\nupstreams = []\n")
}

/// What `child` offers for a name whose parent is `eu.mesh.internal` of `parent`.
fn offer(parent: &Home, child: &Home, name: &str) -> String {
    let scope = parent.json(&["scope", "show", "eu.mesh.internal"]);
    let uid = scope["uid"].as_str().unwrap();
    let offered = child.run(&["scope", "offer", name, "--parent", uid, "--region", "ap"]);
    offered.good().trim().to_owned()
}

#[test]
fn a_scope_of_another_node_is_delegated_and_its_names_cannot_be_reached() {
    let (here, there) = (quiet(), quiet());
    let keys = || std::fs::read_dir(there.path("data/keys")).unwrap().count();
    let before = keys();
    let offer = offer(&here, &there, EDGE);
    assert_eq!(keys(), before + 1, "the key stays where the offer was made");
    let node = here.serve();
    here.run(&["scope", "new", EDGE, "--offer", &offer]).good();
    assert_eq!(node.ask("x.edge.eu.mesh.internal"), ["SERVFAIL", "ede 22"]);
    assert_eq!(node.ask(EDGE), ["SERVFAIL", "ede 22"]);
    // Neighbours and the parent's own lineage are as before.
    assert_eq!(node.ask("api.eu.mesh.internal")[0], "NOERROR aa");
    let held = here.run(&["scope", "list"]);
    assert!(!held.good().contains(EDGE), "{held:?}");
    let explained = here.run(&["explain", "x.edge.eu.mesh.internal"]);
    assert!(
        explained.good().contains("scope not held here"),
        "{explained:?}"
    );
    here.run(&["verify"]).good();
    // The edge and what is below it are the other scope's to read and to change.
    for command in [
        &["name", "get", EDGE][..],
        &["name", "put", "x.edge.eu.mesh.internal", "A", "10.0.0.1"],
    ] {
        let refused = here.run(command);
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(refused.err.contains("does not hold"), "{refused:?}");
    }
    // Its label is the parent's, as with a scope held here.
    let moved = "rim.eu.mesh.internal";
    here.run(&["name", "rename", EDGE, moved]).good();
    let reply = node.ask("x.edge.eu.mesh.internal");
    assert_eq!(reply[0], "SERVFAIL", "{reply:?}");
    let explained = here.run(&["explain", "x.rim.eu.mesh.internal"]);
    assert!(
        explained.good().contains("scope not held here"),
        "{explained:?}"
    );
    here.run(&["verify"]).good();
    node.stop();
}

#[test]
fn a_rule_may_let_what_cannot_be_reached_move_on() {
    let upstream = Upstream::start();
    let rule = "[[fallback]]\nsuffix = \"edge.eu.mesh.internal\"\norder = \"governed-first\"\n\
                fall-through-on = [\"unreachable\"]\nmap-to = \"edge.example.com\"\n";
    let (here, there) = (home(&format!("{}{rule}", upstream.config())), quiet());
    let offer = offer(&here, &there, EDGE);
    here.run(&["scope", "new", EDGE, "--offer", &offer]).good();
    let node = here.serve();
    let reply = node.ask("x.edge.eu.mesh.internal");
    assert_eq!(reply[0], "NOERROR aa ra", "{reply:?}");
    assert_eq!(
        reply.last().unwrap(),
        "x.edge.example.com. 300 A 192.0.2.44"
    );
    node.stop();
}

#[test]
fn an_offer_is_for_one_parent_and_goes_to_a_free_label() {
    let (here, there) = (quiet(), quiet());
    let offer = offer(&here, &there, EDGE);
    let taken = |name: &str, offer: &str| here.run(&["scope", "new", name, "--offer", offer]);
    let other = taken("edge.us.mesh.internal", &offer);
    assert_ne!(other.code, 0);
    assert!(other.err.contains("for another parent"), "{other:?}");
    let deep = taken("a.edge.eu.mesh.internal", &offer);
    assert_ne!(deep.code, 0, "{deep:?}");
    let mut spoiled = offer.clone();
    spoiled.replace_range(60..64, "AAAA");
    let forged = taken(EDGE, &spoiled);
    assert_eq!(forged.code, 2, "{forged:?}");
    assert!(
        forged.err.contains("hint: `kedge scope offer`"),
        "{forged:?}"
    );
    let both = here.run(&["scope", "new", EDGE, "--offer", &offer, "--apex"]);
    assert_eq!(both.code, 2, "{both:?}");
    taken(EDGE, &offer).good();
    let again = taken(EDGE, &offer);
    assert_eq!(again.code, 4, "{again:?}");
    assert!(again.err.contains("does not hold"), "{again:?}");
    let no_uid = there.run(&["scope", "offer", EDGE, "--parent", "eu"]);
    assert_eq!(no_uid.code, 2, "{no_uid:?}");
    assert!(no_uid.err.contains("kedge scope show"), "{no_uid:?}");
}
