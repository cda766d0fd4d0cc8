//! Versions and the past: `_ver`, `name diff`, `name get --at`, `explain --at`.

use serde_json::Value;

use super::node::{Home, Ran};

const NAME: &str = "past.eu.mesh.internal";

fn home() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    home
}

/// Makes a change; gives the height and the time of its block.
fn change(home: &Home, arguments: &[&str]) -> (u64, String) {
    let done = home.json(arguments);
    let time = done["time"].as_str().unwrap().to_owned();
    (done["height"].as_u64().unwrap(), time)
}

fn put(home: &Home, name: &str, data: &str) -> (u64, String) {
    change(home, &["name", "put", name, "A", data])
}

fn addresses(view: &Value) -> String {
    view["sets"][0]["data"].to_string()
}

fn at(home: &Home, name: &str, when: &str) -> Ran {
    home.run(&["name", "get", name, "--at", when])
}

/// The answer section that `explain` gives.
fn explained(home: &Home, arguments: &[&str]) -> (String, String) {
    let mut command = vec!["explain"];
    command.extend(arguments);
    let view = home.json(&command);
    let answers = view["answers"].as_array().unwrap().iter();
    let answers: Vec<&str> = answers.map(|line| line.as_str().unwrap()).collect();
    let outcome = view["outcome"].as_str().unwrap().to_owned();
    (outcome, answers.join(" | "))
}

#[test]
fn a_stub_asks_for_any_version_by_name() {
    let home = home();
    put(&home, NAME, "10.1.0.1");
    put(&home, NAME, "10.1.0.2");
    let node = home.serve();
    let ask = |question: &str| node.ask(question).join(" | ");
    assert_eq!(
        ask("_v1._ver.past.eu.mesh.internal"),
        "NOERROR aa | _v1._ver.past.eu.mesh.internal. 60 A 10.1.0.1"
    );
    assert_eq!(
        ask("_v2._ver.past.eu.mesh.internal"),
        "NOERROR aa | _v2._ver.past.eu.mesh.internal. 60 A 10.1.0.2"
    );
    assert!(ask("_v3._ver.past.eu.mesh.internal").starts_with("NXDOMAIN aa"));
    assert!(ask("_ver.past.eu.mesh.internal").starts_with("NOERROR aa"));
    node.stop();
}

#[test]
fn an_alias_with_a_version_is_that_version_and_nothing_else_takes_one() {
    let home = home();
    put(&home, NAME, "10.1.0.1");
    put(&home, NAME, "10.1.0.2");
    for name in ["internal@mesh.eu/past.v1", "_v1._ver.past.eu.mesh.internal"] {
        let view = home.json(&["name", "get", name]);
        assert_eq!(addresses(&view), "[\"10.1.0.1\"]", "{name}");
        assert_eq!(
            (&view["version"], &view["state"]),
            (&1.into(), &"past".into())
        );
        assert_eq!(view["name"], "past.eu.mesh.internal.");
        assert_eq!(view["alias"], "internal@mesh/eu/past.v1");
        let answer = "_v1._ver.past.eu.mesh.internal. 60 IN A 10.1.0.1";
        let expected = ("found".to_owned(), answer.to_owned());
        assert_eq!(explained(&home, &[name]), expected, "{name}");
    }
    let head = home.json(&["name", "get", "internal@mesh.eu/past.v2"]);
    assert_eq!(head["state"], "bound");
    let refusals: [(&[&str], i32, &str); 5] = [
        (
            &["name", "get", "internal@mesh.eu/past.v3"],
            4,
            "no version 3",
        ),
        (
            &["name", "retire", "internal@mesh.eu/past.v1"],
            2,
            "no place here",
        ),
        (
            &["name", "get", "view:internal@mesh.eu/past.v1"],
            2,
            "no place here",
        ),
        (&["explain", "com@example/www.v1"], 2, "lies under no apex"),
        (&["name", "get", "internal@mesh.eu/nope.v1"], 4, "no entry"),
    ];
    for (command, code, word) in refusals {
        let ran = home.run(command);
        assert_eq!(ran.code, code, "{command:?}: {ran:?}");
        assert!(ran.err.contains(word), "{command:?}: {ran:?}");
    }
}

#[test]
fn a_difference_is_what_went_and_what_came() {
    let home = home();
    put(&home, NAME, "10.1.0.1");
    change(&home, &["name", "put", NAME, "A", "10.1.0.2", "--add"]);
    change(&home, &["name", "put", NAME, "TXT", "\"x\"", "--ttl", "30"]);
    change(
        &home,
        &["name", "put", NAME, "A", "10.1.0.2", "--ttl", "30"],
    );
    let record = |line: &str| line.replace("NAME", "past.eu.mesh.internal.");
    let diff = |arguments: &[&str]| -> Vec<String> {
        let mut command = vec!["name", "diff", NAME];
        command.extend(arguments);
        let ran = home.run(&command);
        let lines = ran.good().lines().map(ToOwned::to_owned);
        lines.collect()
    };
    let to_head = [
        "-NAME 60 IN A 10.1.0.1",
        "+NAME 30 IN A 10.1.0.2",
        "+NAME 30 IN TXT \"x\"",
    ]
    .map(record);
    assert_eq!(diff(&["1"])[2..], to_head);
    assert!(diff(&["1"])[0].starts_with("--- past.eu.mesh.internal. version 1 of 2"));
    assert!(diff(&["1"])[1].starts_with("+++ past.eu.mesh.internal. version 4 of 2"));
    assert_eq!(diff(&["2", "1"])[2..], [record("-NAME 60 IN A 10.1.0.2")]);
    assert_eq!(diff(&["4"])[2..], ["the record sets are the same"]);
    // By UID too, and after the end of the entry only so.
    let uid = home.json(&["name", "get", NAME])["uid"].clone();
    let uid = uid.as_str().unwrap();
    change(&home, &["name", "retire", NAME]);
    let view = home.json(&["name", "diff", uid, "2"]);
    assert_eq!(
        (&view["uid"], &view["to"]["version"]),
        (&uid.into(), &5.into())
    );
    let lines = view["lines"].to_string();
    let gone = record("{\"record\":\"NAME 60 IN A 10.1.0.1\",\"sign\":\"-\"}");
    assert!(lines.contains(&gone), "{lines}");
    for (arguments, code) in [
        ([NAME, "1", "2"], 4),
        ([uid, "0", "2"], 4),
        ([uid, "2", "9"], 4),
        ([uid, "one", "2"], 4),
        ([uid, "One", "2"], 2),
        (["aaaaaaaaaaaaaaaaaaaaaaaaaa", "1", "2"], 4),
    ] {
        let mut command = vec!["name", "diff"];
        command.extend(arguments);
        let ran = home.run(&command);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_name_is_shown_as_it_was_at_a_height_and_at_a_time() {
    let home = home();
    let (first, first_time) = put(&home, NAME, "10.1.0.1");
    let (second, _) = put(&home, NAME, "10.1.0.2");
    let (_, retired) = change(&home, &["name", "retire", NAME]);
    let (third, _) = put(&home, NAME, "10.1.0.3");
    let shown = |when: &str| {
        let view = home.json(&["name", "get", NAME, "--at", when]);
        let known = (addresses(&view), view["version"].as_u64());
        (known, view)
    };
    for (when, address, number) in [
        (first.to_string(), "10.1.0.1", 1),
        (first_time, "10.1.0.1", 1),
        (second.to_string(), "10.1.0.2", 2),
        (third.to_string(), "10.1.0.3", 1),
        ("2100-01-01T00:00:00+02:00".to_owned(), "10.1.0.3", 1),
    ] {
        let (known, view) = shown(&when);
        assert_eq!(known, (format!("[\"{address}\"]"), Some(number)), "{when}");
        assert_eq!(view["at"]["epoch"], 0, "{when}");
    }
    assert_eq!(shown(&second.to_string()).1["at"]["height"], second);
    assert_eq!(
        home.json(&["name", "get", NAME, "--at", &retired])["state"],
        "retired"
    );
    let refusals = [
        ((first - 1).to_string(), 4, "there is no entry"),
        ("999999".to_owned(), 2, "is above"),
        ("yesterday".to_owned(), 2, "expected a time such as"),
        ("1999-01-01T00:00:00Z".to_owned(), 4, "founded later"),
        (String::new(), 2, "expected a time such as"),
    ];
    for (when, code, word) in refusals {
        let ran = at(&home, NAME, &when);
        assert_eq!(ran.code, code, "{when}: {ran:?}");
        assert!(ran.err.contains(word), "{when}: {ran:?}");
    }
    let legacy = at(&home, "www.example.com", "1");
    assert_eq!(legacy.code, 2, "{legacy:?}");
    assert!(legacy.err.contains("under no apex") && legacy.err.contains("hint:"));
}

#[test]
fn an_explanation_follows_names_and_policies_of_then() {
    let home = home();
    put(&home, NAME, "10.1.0.1");
    put(&home, "x.tree.eu.mesh.internal", "10.1.0.9");
    let door = "door.us.mesh.internal";
    change(
        &home,
        &["name", "put", door, "CNAME", "x.tree.eu.mesh.internal."],
    );
    let (before, time) = put(&home, NAME, "10.1.0.2");
    let rename = [
        "name",
        "rename",
        "tree.eu.mesh.internal",
        "grove.eu.mesh.internal",
        "--subtree",
    ];
    change(&home, &rename);
    change(&home, &["name", "retire", door]);
    let policy = [
        "scope",
        "policy",
        "eu.mesh.internal",
        "--access",
        "10.0.0.0/8=allow",
    ];
    change(&home, &policy);
    let before = before.to_string();
    let found = |answer: &str| ("found".to_owned(), answer.to_owned());
    let nothing = |outcome: &str| (outcome.to_owned(), String::new());
    assert_eq!(explained(&home, &[NAME]), nothing("refused"));
    let then = found("past.eu.mesh.internal. 60 IN A 10.1.0.2");
    assert_eq!(explained(&home, &[NAME, "A", "--at", &before]), then);
    assert_eq!(explained(&home, &[NAME, "A", "--at", &time]), then);
    assert_eq!(
        explained(&home, &[NAME, "A", "--at", "1"]),
        nothing("absent")
    );
    let version = "_v1._ver.past.eu.mesh.internal";
    let first = found("_v1._ver.past.eu.mesh.internal. 60 IN A 10.1.0.1");
    assert_eq!(explained(&home, &[version, "A", "--at", &time]), first);
    let chain = "door.us.mesh.internal. 60 IN CNAME x.tree.eu.mesh.internal. | \
                 x.tree.eu.mesh.internal. 60 IN A 10.1.0.9";
    assert_eq!(explained(&home, &[door, "A", "--at", &time]), found(chain));
    assert_eq!(explained(&home, &[door, "A"]), nothing("retired"));
    let steps = |arguments: &[&str]| {
        let mut command = vec!["explain", NAME, "A", "--from", "10.0.0.1"];
        command.extend(arguments);
        home.json(&command)["steps"].to_string()
    };
    let now = steps(&[]);
    assert!(now.contains("epoch 1, 1 anchor(s): allow"), "{now}");
    let then = steps(&["--at", &time]);
    let height = format!("scope    eu.mesh.internal. height {before}, epoch 0, 1 anchor(s): allow");
    assert!(then.contains(&height), "{then}");
    // What was outside the index then is not known.
    let out = "out.us.mesh.internal";
    let (_, time) = change(&home, &["name", "put", out, "CNAME", "www.example.com."]);
    let view = home.json(&["explain", out, "A", "--at", &time]);
    assert_eq!(
        view["answers"][0],
        "out.us.mesh.internal. 60 IN CNAME www.example.com."
    );
    assert!(view["steps"].to_string().contains("is not known"), "{view}");
    let refused = home.run(&["explain", "www.example.com", "A", "--at", "1"]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn a_tag_names_a_version_until_it_goes_to_another_one() {
    let home = home();
    put(&home, NAME, "10.1.0.1");
    put(&home, NAME, "10.1.0.2");
    home.run(&["name", "tag", NAME, "stable", "1"]).good();
    home.run(&["name", "tag", NAME, "canary"]).good();
    // Taking a tag is a version, too.
    let head = home.json(&["name", "get", NAME]);
    assert_eq!(head["version"], 4);
    let node = home.serve();
    let ask = |tag: &str| node.ask(&format!("_{tag}._ver.{NAME}")).join(" | ");
    let answer = |tag: &str, data: &str| format!("NOERROR aa | _{tag}._ver.{NAME}. 60 A {data}");
    assert_eq!(ask("stable"), answer("stable", "10.1.0.1"));
    assert_eq!(ask("canary"), answer("canary", "10.1.0.2"));
    assert!(ask("other").starts_with("NXDOMAIN aa"));

    // Tags go along with the entry, and the old name still leads to them.
    home.run(&["name", "move", NAME, "past.us.mesh.internal"])
        .good();
    assert_eq!(
        ask("stable"),
        format!(
            "NOERROR aa | _stable._ver.{NAME}. 60 CNAME _stable._ver.past.us.mesh.internal. | \
             _stable._ver.past.us.mesh.internal. 60 A 10.1.0.1"
        )
    );
    let moved = "past.us.mesh.internal";
    let diff = home.json(&["name", "diff", moved, "stable", "canary"]);
    assert_eq!(
        (&diff["from"]["version"], &diff["to"]["version"]),
        (&1.into(), &3.into())
    );
    home.run(&["name", "undo", moved, "--to", "stable"]).good();
    home.run(&["name", "tag", moved, "stable"]).good();
    let view = home.json(&["name", "get", moved]);
    assert_eq!(addresses(&view), "[\"10.1.0.1\"]");
    assert_eq!(view["tags"][1]["tag"], "stable");
    home.run(&["name", "tag", moved, "stable", "--remove"])
        .good();
    // What the tags did is no part of what is undone.
    home.run(&["name", "undo", moved]).good();
    let view = home.json(&["name", "get", moved]);
    assert_eq!(addresses(&view), "[\"10.1.0.2\"]");
    let gone = home.run(&["name", "get", &format!("_stable._ver.{moved}")]);
    assert_eq!(gone.code, 4, "{gone:?}");
    assert!(gone.err.contains("no version tagged stable"), "{gone:?}");
    node.stop();
    home.run(&["verify"]).good();
}

#[test]
fn what_is_no_tag_or_no_version_is_refused() {
    let home = home();
    put(&home, NAME, "10.1.0.1");
    let refusals: [(&[&str], i32, &str); 6] = [
        (&["name", "tag", NAME, "v3"], 2, "expected a letter"),
        (&["name", "tag", NAME, "3"], 2, "expected a letter"),
        (&["name", "tag", NAME, "Stable"], 2, "expected a letter"),
        (&["name", "tag", NAME, "stable", "7"], 4, "no version 7"),
        (
            &["name", "tag", NAME, "stable", "canary"],
            4,
            "no version tagged canary",
        ),
        (&["name", "tag", NAME, "stable", "--remove"], 3, "no change"),
    ];
    for (command, code, word) in refusals {
        let ran = home.run(command);
        assert_eq!(ran.code, code, "{command:?}: {ran:?}");
        assert!(ran.err.contains(word), "{command:?}: {ran:?}");
    }
    for number in 0..16 {
        home.run(&["name", "tag", NAME, &format!("r{number}"), "1"])
            .good();
    }
    let full = home.run(&["name", "tag", NAME, "more"]);
    assert_eq!(full.code, 3, "{full:?}");
    assert!(full.err.contains("at most 16 tags"), "{full:?}");
}
