//! Every command, against a running node and against the store of a node that does not run.

use std::collections::BTreeMap;

use serde_json::Value;

use super::node::Home;

/// What a value is made of, without what it holds: equal for a node and for its store.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
        Value::Array(items) => {
            let shapes: BTreeMap<String, Value> = items
                .iter()
                .map(|item| (shape(item).to_string(), shape(item)))
                .collect();
            shapes.into_values().collect()
        }
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "truth".into(),
        Value::Null => "nothing".into(),
    }
}

/// Commands in the order of a session; each works on what those before it did.
const SESSION: &[&[&str]] = &[
    &["status"],
    &[
        "name",
        "put",
        "web.eu.mesh.internal",
        "A",
        "10.1.0.80",
        "--note",
        "first",
    ],
    &[
        "name",
        "put",
        "web.eu.mesh.internal",
        "A",
        "10.1.0.81",
        "--add",
        "--ttl",
        "30",
    ],
    &[
        "name",
        "put",
        "web.eu.mesh.internal",
        "TXT",
        "\"a b\"",
        "\"c\"",
    ],
    &["name", "put", "web.eu.mesh.internal", "TXT", "--remove"],
    &["name", "undo", "web.eu.mesh.internal", "--to", "1"],
    &["name", "get", "web.eu.mesh.internal"],
    &["name", "get", "internal@mesh.eu/web"],
    &["name", "history", "web.eu.mesh.internal"],
    &["name", "history", "web.eu.mesh.internal", "--limit", "1"],
    &["name", "diff", "web.eu.mesh.internal", "1"],
    &["name", "diff", "web.eu.mesh.internal", "2", "3"],
    &["name", "get", "internal@mesh.eu/web.v2"],
    &[
        "name",
        "get",
        "web.eu.mesh.internal",
        "--at",
        "2100-01-01T00:00:00Z",
    ],
    &["explain", "internal@mesh.eu/web.v2"],
    &[
        "explain",
        "web.eu.mesh.internal",
        "TXT",
        "--at",
        "2100-01-01T00:00:00Z",
    ],
    &[
        "name",
        "rename",
        "web.eu.mesh.internal",
        "www2.eu.mesh.internal",
    ],
    &[
        "name",
        "move",
        "www2.eu.mesh.internal",
        "www.us.mesh.internal",
    ],
    &["name", "get", "web.eu.mesh.internal"],
    &["name", "retire", "www.us.mesh.internal"],
    &["name", "put", "a.tree.eu.mesh.internal", "A", "10.1.0.82"],
    &[
        "name",
        "rename",
        "tree.eu.mesh.internal",
        "grove.eu.mesh.internal",
        "--subtree",
    ],
    &["name", "import", "us.mesh.internal", "import.zone"],
    &["scope", "new", "lab.us.mesh.internal", "--region", "us"],
    &["scope", "new", "corp.internal", "--apex"],
    &["scope", "list"],
    &["scope", "show", "eu.mesh.internal"],
    &["scope", "policy", "eu.mesh.internal"],
    &[
        "scope",
        "policy",
        "eu.mesh.internal",
        "--ttl-max",
        "600",
        "--access",
        "127.0.0.0/8=allow",
    ],
    &["scope", "policy", "eu.mesh.internal", "--open"],
    &["scope", "export", "us.mesh.internal", "us.kedge", "--tree"],
    &["scope", "import", "us.kedge", "--as", "us.mesh.internal"],
    &["log", "eu.mesh.internal"],
    &["log", "api.eu.mesh.internal", "--limit", "2"],
    &["prove", "api.eu.mesh.internal"],
    &["explain", "api.eu.mesh.internal"],
    &[
        "explain",
        "nope.eu.mesh.internal",
        "AAAA",
        "--from",
        "192.0.2.1",
    ],
    &["audit", "--limit", "3"],
    &["audit", "verify"],
    &["zone", "list"],
    &["zone", "check", "zones/corp.example.zone"],
    &["verify"],
    &["doctor"],
    &["reload"],
    &["status"],
    &["check"],
    &["config", "default"],
];

const ZONE: &str = "\
$TTL 300
@ SOA ns mail 1 3600 600 86400 300
@ NS ns
ns A 192.0.2.53
";

fn home() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n[zones]\ndirectory = \"zones\"\n");
    home.write("zones/corp.example.zone", ZONE);
    home.write(
        "import.zone",
        "$TTL 60\nimported A 10.2.0.9\nimported TXT \"x\"\n",
    );
    home.run(&["init"]).good();
    home
}

#[test]
fn a_node_and_its_store_give_the_same_json_to_every_command() {
    let (alone, served) = (home(), home());
    let node = served.serve();
    for command in SESSION {
        let (alone, served) = (alone.json(command), served.json(command));
        assert_eq!(
            shape(&alone),
            shape(&served),
            "{command:?}\n{alone}\n{served}"
        );
    }
    node.stop();
}

#[test]
fn init_makes_a_data_directory_once_and_leaves_a_running_one_alone() {
    let home = Home::new("[legacy]\nupstreams = []\n");
    let first = home.json(&["init"]);
    assert_eq!(
        (&first["created"], &first["demo"]),
        (&true.into(), &true.into())
    );
    let again = home.json(&["init"]);
    assert_eq!(
        (&again["created"], &again["demo"]),
        (&false.into(), &false.into())
    );
    let node = home.serve();
    let refused = home.run(&["init", "--json"]);
    assert_eq!((refused.code, refused.out.as_str()), (5, ""), "{refused:?}");
    node.stop();
}

#[test]
fn every_command_says_something_to_people_too() {
    let home = home();
    for command in SESSION {
        let ran = home.run(command);
        assert!(!ran.good().trim().is_empty(), "{command:?}: {ran:?}");
    }
}

#[test]
fn what_a_command_changed_is_answered_at_once_and_by_the_next_node() {
    let home = home();
    let node = home.serve();
    home.run(&["name", "put", "new.eu.mesh.internal", "A", "10.1.0.90"])
        .good();
    let expected = ["NOERROR aa", "new.eu.mesh.internal. 60 A 10.1.0.90"];
    assert_eq!(node.ask("new.eu.mesh.internal"), expected);
    home.run(&["scope", "new", "corp.internal", "--apex"])
        .good();
    home.run(&["name", "put", "x.corp.internal", "A", "10.9.0.1"])
        .good();
    let corp = ["NOERROR aa", "x.corp.internal. 60 A 10.9.0.1"];
    assert_eq!(node.ask("x.corp.internal"), corp);
    node.stop();
    home.run(&["name", "put", "alone.eu.mesh.internal", "A", "10.1.0.91"])
        .good();
    let node = home.serve();
    assert_eq!(node.ask("new.eu.mesh.internal"), expected);
    assert_eq!(node.ask("x.corp.internal"), corp);
    assert_eq!(node.ask("alone.eu.mesh.internal")[0], "NOERROR aa");
}

#[test]
fn an_older_version_comes_back_as_a_new_one() {
    let home = home();
    let name = "undo.eu.mesh.internal";
    let put = |data: &str| {
        home.run(&["name", "put", name, "A", data])
            .good()
            .to_owned()
    };
    put("10.1.0.1");
    put("10.1.0.2");
    home.run(&["name", "put", name, "TXT", "\"x\""]).good();
    let sets = || home.json(&["name", "get", name])["sets"].to_string();
    let third = sets();
    home.run(&["name", "undo", name]).good();
    assert!(sets().contains("10.1.0.2") && !sets().contains("TXT"));
    home.run(&["name", "undo", name, "--to", "1"]).good();
    assert!(sets().contains("10.1.0.1"), "{}", sets());
    home.run(&["name", "undo", name, "--to", "3"]).good();
    assert_eq!(sets(), third);
    let history = home.json(&["name", "history", name]);
    assert_eq!(history["versions"].as_array().unwrap().len(), 6);
    // The same sets, no such version, another head than the one that was seen, nothing there.
    let refusals: [(&[&str], i32); 4] = [
        (&["--to", "6"], 2),
        (&["--to", "9"], 4),
        (&["--to", "1", "--if-version", "2"], 3),
        (&["--to", "0"], 4),
    ];
    for (arguments, code) in refusals {
        let mut command = vec!["name", "undo", name];
        command.extend(arguments);
        let refused = home.run(&command);
        assert_eq!(refused.code, code, "{arguments:?}: {refused:?}");
    }
    let nothing = home.run(&["name", "undo", "nothing.eu.mesh.internal"]);
    assert_eq!(nothing.code, 4, "{nothing:?}");
    assert_eq!(sets(), third);
}

#[test]
fn the_printed_default_configuration_is_valid() {
    let home = home();
    let text = home.run(&["config", "default"]).good().to_owned();
    home.write("printed.toml", &text);
    let ran = home.run(&["--config", "printed.toml", "check"]);
    ran.good();
}

#[test]
fn a_policy_that_is_printed_can_be_put_back() {
    let home = home();
    let printed = home.run(&["scope", "policy", "us.mesh.internal"]);
    home.write("policy.toml", printed.good());
    home.run(&[
        "scope",
        "policy",
        "us.mesh.internal",
        "--access",
        "10.0.0.0/8=hide",
    ])
    .good();
    let before = home.run(&["scope", "policy", "us.mesh.internal"]);
    assert!(before.good().contains("hide"), "{before:?}");
    home.run(&[
        "scope",
        "policy",
        "us.mesh.internal",
        "--file",
        "policy.toml",
    ])
    .good();
    let after = home.run(&["scope", "policy", "us.mesh.internal"]);
    assert_eq!(after.good(), printed.good());
}
