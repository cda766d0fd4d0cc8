//! Proofs of names: made by a node, checked where there is neither node nor store.

use serde_json::Value;

use super::node::{Home, Ran, program, run};

fn home() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    home
}

/// A proof of a name, and the apex it is to be checked with.
fn prove(home: &Home, name: &str) -> (String, String) {
    let view = home.json(&["prove", name]);
    let field = |field: &str| view[field].as_str().unwrap().to_owned();
    let trusted = format!("{}={}", field("apex"), field("root"));
    (field("proof"), trusted)
}

/// Checks a proof in a directory that holds nothing else.
fn check(proof: &str, trusted: &str) -> Ran {
    let nowhere = tempfile::tempdir().unwrap();
    let file = nowhere.path().join("proof");
    std::fs::write(&file, proof).unwrap();
    let mut command = program(nowhere.path());
    run(command.args(["--json", "verify", "proof", "--apex", trusted]))
}

fn proven(proof: &str, trusted: &str) -> Value {
    let ran = check(proof, trusted);
    ran.good();
    ran.json()
}

#[test]
fn a_proof_says_what_the_node_answers() {
    let home = home();
    let node = home.serve();
    let (proof, trusted) = prove(&home, "db.eu.mesh.internal");
    let shown = proven(&proof, &trusted);
    let answer = node.ask("db.eu.mesh.internal");
    let sets: Vec<String> = answer
        .iter()
        .filter_map(|line| line.strip_prefix("db.eu.mesh.internal. "))
        .map(ToOwned::to_owned)
        .collect();
    assert!(!sets.is_empty(), "{answer:?}");
    for set in &sets {
        assert!(
            shown["sets"]
                .as_array()
                .unwrap()
                .contains(&set.as_str().into()),
            "{shown}"
        );
    }
    assert_eq!(
        (&shown["state"], &shown["at"]),
        (&"bound".into(), &"db".into())
    );
    // What comes later needs a new proof; the old one still shows what was.
    home.run(&["name", "retire", "db.eu.mesh.internal"]).good();
    assert_eq!(proven(&proof, &trusted)["state"], "bound");
    let (later, same) = prove(&home, "db.eu.mesh.internal");
    let later = proven(&later, &same);
    assert_eq!((same, &later["state"]), (trusted, &"retired".into()));
    assert!(later["height"].as_u64() > shown["height"].as_u64());
    node.stop();
}

#[test]
fn absence_is_proven_too() {
    let home = home();
    let (proof, trusted) = prove(&home, "a.b.nope.eu.mesh.internal");
    let shown = proven(&proof, &trusted);
    assert_eq!(
        (&shown["state"], &shown["at"]),
        (&"absent".into(), &"nope".into())
    );
    let outside = home.run(&["prove", "example.com"]);
    assert_eq!(outside.code, 4, "{outside:?}");
}

#[test]
fn a_proof_is_nothing_without_the_right_apex() {
    let home = home();
    let (proof, trusted) = prove(&home, "api.eu.mesh.internal");
    let (name, uid) = trusted.split_once('=').unwrap();
    let other = home.json(&["scope", "show", "eu.mesh.internal"]);
    let wrong = format!("{name}={}", other["uid"].as_str().unwrap());
    for (apex, code, words) in [
        (wrong, 6, "is not the expected"),
        (format!("example.com={uid}"), 6, "do not fit the name"),
        (name.to_owned(), 2, "is no apex"),
        (format!("{name}=12"), 2, "is no apex"),
    ] {
        let ran = check(&proof, &apex);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.err.contains(words), "{ran:?}");
        assert!(ran.err.contains("hint: "), "{ran:?}");
    }
    let mut forged = proof.clone();
    let middle = forged.len() / 2;
    let letter = if &forged[middle..=middle] == "A" {
        "B"
    } else {
        "A"
    };
    forged.replace_range(middle..=middle, letter);
    let ran = check(&forged, &trusted);
    assert!([2, 6].contains(&ran.code), "{ran:?}");
    let ran = check("no proof", &trusted);
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = home.run(&["verify", "missing", "--apex", &trusted]);
    assert_eq!(ran.code, 2, "{ran:?}");
    home.write("proof", &proof);
    for (asked, code) in [("api.eu.mesh.internal", 0), ("db.eu.mesh.internal", 6)] {
        let command = ["verify", "proof", "--apex", &trusted, "--name", asked];
        let ran = home.run(&command);
        assert_eq!(ran.code, code, "{ran:?}");
    }
    // The server answers for these itself.
    let reserved = home.run(&["prove", "_gov.api.eu.mesh.internal"]);
    assert_eq!(reserved.code, 4, "{reserved:?}");
    let trusts_nothing = home.run(&["verify", "proof"]);
    assert_eq!(trusts_nothing.code, 2, "{trusts_nothing:?}");
}
