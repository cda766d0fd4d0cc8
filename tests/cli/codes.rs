//! Exit codes, hints, and nothing but JSON on standard output where JSON was asked for.

use std::process::Stdio;

use super::node::{Home, QUIET, program, run};

/// Arguments, exit code, and a word of the message; each row on its own fresh data directory
/// with the demo.
const TABLE: &[(&[&str], i32, &str)] = &[
    (&["status"], 0, ""),
    (&["config", "default"], 0, ""),
    (&["check"], 0, ""),
    // 2: wrong usage or configuration.
    (&["no-such-command"], 2, "unrecognized subcommand"),
    (&["name", "put", "api.eu.mesh.internal"], 2, "required"),
    (&["name", "put", "api.eu.mesh.internal", "A"], 2, "hint:"),
    (
        &["name", "put", "a..b", "A", "10.0.0.1"],
        2,
        "a label is empty",
    ),
    (
        &["name", "put", "api.eu.mesh.internal", "A", "10.0.0.256"],
        2,
        "expected an IPv4 address",
    ),
    (
        &["name", "put", "api.eu.mesh.internal", "NOTYPE", "x"],
        2,
        "NOTYPE",
    ),
    (&["explain", "a..b"], 2, "a label is empty"),
    (&["--config", "missing.toml", "status"], 2, "missing.toml"),
    // 3: refused.
    (
        &["name", "put", "api.eu.mesh.internal", "CNAME", "x.example."],
        3,
        "CNAME",
    ),
    (
        &[
            "name",
            "put",
            "api.eu.mesh.internal",
            "A",
            "10.0.0.1",
            "--if-version",
            "99",
        ],
        3,
        "hint:",
    ),
    (
        &[
            "name",
            "rename",
            "api.eu.mesh.internal",
            "db.eu.mesh.internal",
        ],
        3,
        "hint:",
    ),
    (
        &["name", "put", "mesh.internal", "CNAME", "x.example."],
        3,
        "",
    ),
    (&["scope", "new", "eu.mesh.internal"], 3, "hint:"),
    (
        &["name", "put", "db.eu.mesh.internal", "A", "--remove"],
        0,
        "",
    ),
    (
        &["name", "put", "ns.mesh.internal", "A", "--remove"],
        3,
        "hint:",
    ),
    // 4: not found.
    (&["name", "get", "nope.eu.mesh.internal"], 4, ""),
    (&["name", "get", "www.example.com"], 4, "no apex"),
    (&["name", "retire", "nope.eu.mesh.internal"], 4, "hint:"),
    (&["scope", "show", "nope.example"], 4, ""),
    (&["name", "history", "nope.eu.mesh.internal"], 4, ""),
    // 6: a check found faults.
    (&["zone", "check", "broken.zone"], 6, "broken.zone"),
];

fn demo() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    home.write("broken.zone", "@ A 10.0.0.256\n");
    home
}

#[test]
fn every_exit_code_is_given_for_its_reason() {
    let mut faults = Vec::new();
    for with_node in [false, true] {
        let home = demo();
        let node = with_node.then(|| home.serve());
        for (arguments, code, word) in TABLE {
            for json in [false, true] {
                // A change that goes well is made once.
                if *code == 0 && json && arguments[0] == "name" {
                    continue;
                }
                let mut all = arguments.to_vec();
                all.extend(json.then_some("--json"));
                let ran = home.run(&all);
                let said = ran.err.contains(word);
                let silent = ran.code == 0 || ran.out.is_empty();
                if ran.code != *code || !said || !silent {
                    faults.push(format!(
                        "node {with_node}: {all:?}: {ran:?}, not {code} {word:?}"
                    ));
                }
            }
        }
        drop(node);
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_command_that_cannot_print_fails() {
    let home = demo();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let mut command = program(&home.path(""));
    let command = command.args(["config", "default"]).stdin(Stdio::null());
    let status = command.stdout(full.unwrap()).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(1));
}

#[test]
fn without_a_node_and_a_store_a_command_says_what_to_do() {
    let home = Home::new(QUIET);
    let ran = home.run(&["status"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(
        ran.err.contains("hint: start one with `kedge serve`"),
        "{ran:?}"
    );
    assert!(
        !home.path("data").exists(),
        "a question must not create a store"
    );
}

#[test]
fn an_error_ends_with_its_hint() {
    let home = demo();
    for arguments in [
        &[
            "name",
            "rename",
            "api.eu.mesh.internal",
            "db.eu.mesh.internal",
        ][..],
        &["name", "retire", "nope.eu.mesh.internal"],
        &["name", "put", "api.eu.mesh.internal", "A"],
        &["--config", "missing.toml", "status"],
    ] {
        let ran = home.run(arguments);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert!(lines[0].starts_with("error: "), "{arguments:?}: {ran:?}");
        let last = lines.last().unwrap();
        assert!(last.starts_with("hint: "), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_reader_that_went_away_ends_a_command_quietly() {
    let home = demo();
    let mut command = program(&home.path(""));
    command.args(["config", "default"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_wrong_configuration_is_named_with_file_and_line() {
    for (config, words) in [
        (
            "[legacy]\nupstreams = [\"dns.example\"]\n",
            "legacy.upstreams",
        ),
        ("[listen]\nport = 53\n", "kedge.toml"),
        ("[demo]\nenable = true\n", "line 4"),
        ("[[fallback]]\nsuffix = \"a\"\norder = \"both\"\n", "line 5"),
        ("[access]\nrecurse = [\"10.0.0.0/33\"]\n", "access.recurse"),
        ("version = \n", "line 3"),
    ] {
        let home = Home::new(config);
        for command in ["serve", "check", "init", "status"] {
            let ran = run(program(&home.path("")).args([command, "--config", "kedge.toml"]));
            assert_eq!(ran.code, 2, "{command}: {config}: {ran:?}");
            assert!(
                ran.err.contains("kedge.toml"),
                "{command}: {config}: {ran:?}"
            );
            assert!(ran.err.contains(words), "{command}: {config}: {ran:?}");
            assert!(ran.err.contains("hint: "), "{command}: {config}: {ran:?}");
            assert_eq!(ran.out, "");
            assert!(
                !home.path("data").exists(),
                "nothing is made of a wrong configuration"
            );
        }
    }
}
