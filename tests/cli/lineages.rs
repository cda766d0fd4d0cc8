//! Lineages that are exported and taken in again, by real processes.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::node::{Home, QUIET, program};

const NO_UPSTREAMS: &str = "[legacy]\nupstreams = []\n";

/// A node's directory with the demo.
fn demo() -> Home {
    let home = Home::new(NO_UPSTREAMS);
    home.run(&["init"]).good();
    home
}

/// A node's directory without any scope or key.
fn empty() -> Home {
    let home = Home::new(QUIET);
    home.run(&["init"]).good();
    home
}

fn path(home: &Home, file: &str) -> String {
    home.path(file).display().to_string()
}

fn root_of(home: &Home, name: &str) -> Value {
    home.json(&["scope", "show", name])["state_root"].clone()
}

/// Exports a scope; gives the file and its bytes.
fn exported(home: &Home, name: &str, file: &str, more: &[&str]) -> (String, Vec<u8>) {
    let target = path(home, file);
    let mut command = vec!["scope", "export", name, &target];
    command.extend(more);
    home.run(&command).good();
    let bytes = std::fs::read(&target).unwrap();
    (target, bytes)
}

#[test]
fn a_tree_goes_to_another_node_and_back_with_the_same_bytes() {
    let (here, there) = (demo(), empty());
    let node = here.serve();
    here.run(&[
        "name",
        "move",
        "db.eu.mesh.internal",
        "data.us.mesh.internal",
    ])
    .good();
    let (file, bytes) = exported(&here, "mesh.internal", "tree", &["--tree"]);
    let other = there.serve();
    assert_eq!(other.ask("api.eu.mesh.internal")[0], "NXDOMAIN");
    let taken = there.json(&["scope", "import", &file, "--as", "mesh.internal", "--apex"]);
    assert_eq!(
        (&taken["scopes"], &taken["present"]),
        (&4.into(), &0.into())
    );
    // It answers at once, and what it says is what the first one says.
    for question in [
        "api.eu.mesh.internal",
        "data.us.mesh.internal",
        "db.eu.mesh.internal",
        "ledger.payments.eu.mesh.internal HTTPS",
        "x.preview.eu.mesh.internal",
        "nope.eu.mesh.internal",
    ] {
        assert_eq!(other.ask(question), node.ask(question), "{question}");
    }
    there.run(&["verify"]).good();
    for scope in ["mesh.internal", "eu.mesh.internal", "us.mesh.internal"] {
        assert_eq!(root_of(&here, scope), root_of(&there, scope), "{scope}");
        let (_, one) = exported(&here, scope, "one", &[]);
        let (_, two) = exported(&there, scope, "two", &[]);
        assert_eq!(one, two, "{scope}");
    }
    let (_, again) = exported(&there, "mesh.internal", "again", &["--tree"]);
    assert_eq!(again, bytes);
    // Without the keys it is there to be read.
    let refused = there.run(&["name", "put", "new.eu.mesh.internal", "A", "10.0.0.1"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("holds weight 0"), "{refused:?}");
    other.stop();
    // With them it changes again.
    for key in std::fs::read_dir(here.path("data/keys")).unwrap() {
        let key = key.unwrap();
        let to = there.path("data/keys").join(key.file_name());
        std::fs::create_dir_all(there.path("data/keys")).unwrap();
        std::fs::copy(key.path(), to).unwrap();
    }
    there
        .run(&["name", "put", "new.eu.mesh.internal", "A", "10.0.0.1"])
        .good();
    node.stop();
}

#[test]
fn a_scope_alone_goes_below_its_parent_and_a_prefix_is_continued() {
    let (here, there) = (demo(), empty());
    let (apex, _) = exported(&here, "mesh.internal", "apex", &[]);
    let (us, _) = exported(&here, "us.mesh.internal", "us", &[]);
    let take = |file: &str, name: &str| there.run(&["scope", "import", file, "--as", name]);
    let nowhere = take(&us, "us.mesh.internal");
    assert_eq!(nowhere.code, 4, "{nowhere:?}");
    there
        .run(&["scope", "import", &apex, "--as", "mesh.internal", "--apex"])
        .good();
    for (name, code) in [
        ("eu.mesh.internal", 3),
        ("us.mesh.internal", 0),
        ("us.mesh.internal", 0),
        ("mesh.internal", 2),
    ] {
        let ran = take(&us, name);
        assert_eq!(ran.code, code, "{name}: {ran:?}");
        assert!(
            code != 3 || ran.err.contains("hint: nothing was"),
            "{ran:?}"
        );
    }
    here.run(&["name", "put", "later.us.mesh.internal", "A", "10.2.0.77"])
        .good();
    let (us, bytes) = exported(&here, "us.mesh.internal", "us", &[]);
    let taken = there.json(&["scope", "import", &us, "--as", "us.mesh.internal"]);
    assert_eq!(taken["added"], 1);
    assert_eq!(exported(&there, "us.mesh.internal", "us", &[]).1, bytes);
    let node = there.serve();
    let later = ["NOERROR aa", "later.us.mesh.internal. 60 A 10.2.0.77"];
    assert_eq!(node.ask("later.us.mesh.internal"), later);
    // The neighbour is delegated and not held.
    assert_eq!(node.ask("api.eu.mesh.internal")[0], "SERVFAIL");
    node.stop();
    there.run(&["verify"]).good();
}

#[test]
fn a_fork_names_both_blocks_and_changes_nothing() {
    let (here, there) = (demo(), empty());
    let (file, _) = exported(&here, "mesh.internal", "apex", &[]);
    let import = ["scope", "import", &file, "--as", "mesh.internal", "--apex"];
    there.run(&import).good();
    let copy = here.path("data/keys");
    for key in std::fs::read_dir(copy).unwrap() {
        let key = key.unwrap();
        std::fs::create_dir_all(there.path("data/keys")).unwrap();
        let to = there.path("data/keys").join(key.file_name());
        std::fs::copy(key.path(), to).unwrap();
    }
    let put = |home: &Home, name: &str| {
        let view = home.json(&["name", "put", name, "A", "10.0.0.1"]);
        view["block"].as_str().unwrap().to_owned()
    };
    let one = put(&here, "one.mesh.internal");
    let two = put(&there, "two.mesh.internal");
    exported(&here, "mesh.internal", "apex", &[]);
    let before = root_of(&there, "mesh.internal");
    let node = there.serve();
    let refused = there.run(&import);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.err.contains(&one) && refused.err.contains(&two),
        "{refused:?}"
    );
    assert_eq!(root_of(&there, "mesh.internal"), before);
    assert_eq!(node.ask("two.mesh.internal")[0], "NOERROR aa");
    node.stop();
    there.run(&["verify"]).good();
}

#[test]
fn what_is_too_long_or_has_no_place_is_refused_before_it_is_kept() {
    let here = demo();
    let there = Home::new(&format!("{QUIET}[store]\nimport-mib = 0\n"));
    there.run(&["init"]).good();
    let (file, _) = exported(&here, "mesh.internal", "apex", &[]);
    let node = there.serve();
    let take = |name: &str, more: &[&str]| {
        let import = ["scope", "import", &file, "--as", name];
        there.run(&[&import[..], more].concat())
    };
    let long = take("mesh.internal", &["--apex"]);
    assert_eq!(long.code, 3, "{long:?}");
    assert!(long.err.contains("import-mib"), "{long:?}");
    // Without a place for it, nothing is said of its length.
    let nowhere = take("x.mesh.internal", &[]);
    assert_eq!(nowhere.code, 4, "{nowhere:?}");
    let root = take(".", &["--apex"]);
    assert!(root.code == 3 && root.err.contains("root"), "{root:?}");
    assert_eq!(there.json(&["scope", "list"]), Value::Array(Vec::new()));
    node.stop();
    let mib = format!("{QUIET}[store]\nimport-mib = 1\n");
    there.configure(&mib);
    let node = there.serve();
    take("mesh.internal", &["--apex"]).good();
    node.stop();
}

#[test]
fn damaged_cut_and_foreign_files_are_refused_and_nothing_is_left() {
    let (here, there) = (demo(), empty());
    let (file, bytes) = exported(&here, "mesh.internal", "apex", &[]);
    let node = there.serve();
    let take = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        there.run(&["scope", "import", &file, "--as", "mesh.internal", "--apex"])
    };
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let mut newer = bytes.clone();
    newer[13] = 2;
    for (bytes, words) in [
        (flipped.as_slice(), "damaged"),
        (&bytes[..bytes.len() - 40], "cut off after"),
        (&newer, "version 2"),
        (b"$TTL 60\nwww A 192.0.2.1\n", "no export of a scope"),
        (b"", "cut off"),
    ] {
        let refused = take(bytes);
        assert_eq!(refused.code, 2, "{words}: {refused:?}");
        assert!(refused.err.contains(words), "{words}: {refused:?}");
        assert!(refused.err.contains("nothing was changed"), "{refused:?}");
    }
    assert_eq!(there.json(&["scope", "list"]), Value::Array(Vec::new()));
    let left: Vec<_> = std::fs::read_dir(there.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("incoming"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    take(&bytes).good();
    node.stop();
}

#[test]
fn an_apex_is_not_put_over_another_one() {
    let (here, there) = (demo(), demo());
    let (file, _) = exported(&here, "mesh.internal", "apex", &[]);
    for name in ["mesh.internal", "below.mesh.internal", "internal", "."] {
        let refused = there.run(&["scope", "import", &file, "--as", name, "--apex"]);
        assert_eq!(refused.code, 3, "{name}: {refused:?}");
        assert!(refused.err.contains("cannot be an apex"), "{refused:?}");
    }
    there
        .run(&["scope", "import", &file, "--as", "mesh.example", "--apex"])
        .good();
    let twice = there.run(&["scope", "import", &file, "--as", "m.example", "--apex"]);
    assert_eq!(twice.code, 3, "{twice:?}");
    let node = there.serve();
    assert_eq!(node.ask("ns.mesh.example")[0], "NOERROR aa");
    node.stop();
}

#[test]
fn an_export_goes_through_pipes() {
    let (here, there) = (demo(), empty());
    let mut export = program(&here.path(""));
    export.args(["-c", "kedge.toml", "scope", "export", "mesh.internal", "-"]);
    let output = export.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        output.stdout,
        exported(&here, "mesh.internal", "file", &[]).1
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("6 link(s)"), "{said}");
    let mut import: Command = program(&there.path(""));
    import.args(["-c", "kedge.toml", "scope", "import", "-"]);
    import.args(["--as", "mesh.internal", "--apex"]);
    let mut child = import
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&output.stdout)
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    // A device is written to and not replaced.
    let full = here.run(&["scope", "export", "mesh.internal", "/dev/full"]);
    assert_eq!(full.code, 1, "{full:?}");
    let mut device = OpenOptions::new().read(true).open("/dev/full").unwrap();
    let mut byte = [1];
    device.read_exact(&mut byte).unwrap();
    assert_eq!(byte, [0], "still the device");
    let nowhere = here.run(&["scope", "export", "mesh.internal", "no/such/place"]);
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    let unknown = path(&here, "unknown");
    let unknown_scope = here.run(&["scope", "export", "nope.mesh.internal", &unknown]);
    assert_eq!(unknown_scope.code, 4, "{unknown_scope:?}");
    assert!(!here.path("unknown").exists() && !here.path("unknown.part").exists());
}

/// Changes go on while an export is under way, and the export is of one moment. It is larger than
/// all buffers between the node and who reads it, so it is under way until it is read.
#[test]
fn an_export_is_of_one_moment_while_changes_go_on() {
    let (here, there) = (demo(), empty());
    let node = here.serve();
    let text = "x".repeat(250);
    let lines = (0..10_000).map(|number| format!("n{number} TXT \"{text}\"\n"));
    here.write("names", &format!("$TTL 60\n{}", lines.collect::<String>()));
    let import = [
        "name",
        "import",
        "mesh.internal",
        "names",
        "--batch",
        "1000",
    ];
    here.run(&import).good();
    let mut export = program(&here.path(""));
    export.args(["-c", "kedge.toml", "scope", "export", "mesh.internal", "-"]);
    export.arg("--tree");
    let mut child = export
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut bytes = vec![0; 16];
    output.read_exact(&mut bytes).unwrap();
    here.run(&["name", "put", "late.mesh.internal", "A", "10.0.0.1"])
        .good();
    assert_eq!(node.ask("late.mesh.internal")[0], "NOERROR aa");
    output.read_to_end(&mut bytes).unwrap();
    assert!(child.wait().unwrap().success());
    std::fs::write(there.path("tree"), &bytes).unwrap();
    there
        .run(&["scope", "import", "tree", "--as", "mesh.internal", "--apex"])
        .good();
    there.run(&["verify"]).good();
    let missing = there.run(&["name", "get", "late.mesh.internal"]);
    assert_eq!(missing.code, 4, "{missing:?}");
    node.stop();
}

#[test]
fn a_full_disk_takes_nothing_in() {
    let (here, there) = (demo(), empty());
    let (file, _) = exported(&here, "mesh.internal", "tree", &["--tree"]);
    // Files may not grow at all: neither the upload nor the store has room.
    let kedge = program(&there.path(""));
    let kedge = kedge.get_program().to_string_lossy().into_owned();
    let script = format!(
        "trap '' XFSZ; ulimit -f 4; exec '{kedge}' -c kedge.toml scope import '{file}' \
         --as mesh.internal --apex"
    );
    let mut starved = Command::new("bash");
    starved.current_dir(there.path("")).args(["-c", &script]);
    let ran = super::node::run(&mut starved);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(there.json(&["scope", "list"]), Value::Array(Vec::new()));
    there
        .run(&["scope", "import", &file, "--as", "mesh.internal", "--apex"])
        .good();
    there.run(&["verify"]).good();
}
