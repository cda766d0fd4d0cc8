//! A data directory that is not as it should be: refused with a reason, and left as it is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::node::{Home, QUIET};

fn founded() -> Home {
    let home = Home::new("[legacy]\nupstreams = []\n");
    home.run(&["init"]).good();
    home
}

fn a_key(home: &Home) -> PathBuf {
    let mut keys: Vec<PathBuf> = std::fs::read_dir(home.path("data/keys"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    keys.sort();
    keys.swap_remove(0)
}

#[test]
fn a_key_that_others_can_read_stops_the_start() {
    let home = founded();
    let key = a_key(&home);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in ["serve", "check"] {
        let ran = home.run(&[command]);
        assert_eq!(ran.code, 5, "{command}: {ran:?}");
        assert!(ran.err.contains("0644"), "{command}: {ran:?}");
        let file = key.file_name().unwrap().to_string_lossy().into_owned();
        assert!(ran.err.contains(&file), "{command}: {ran:?}");
    }
}

#[test]
fn a_key_file_that_holds_no_key_stops_the_start_and_is_not_printed() {
    let home = founded();
    let key = a_key(&home);
    let secret = std::fs::read_to_string(&key).unwrap();
    let half = &secret[..40];
    std::fs::write(&key, half).unwrap();
    let ran = home.run(&["serve"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(!ran.err.contains(&half[..16]), "{ran:?}");
}

#[test]
fn a_scope_whose_key_is_gone_is_named_by_the_doctor_and_cannot_be_changed() {
    let home = founded();
    let key = a_key(&home);
    std::fs::remove_file(&key).unwrap();
    let doctor = home.run(&["doctor"]);
    assert_eq!(doctor.code, 6, "{doctor:?}");
    assert!(doctor.out.contains("fail"), "{doctor:?}");
    let json = home.run(&["doctor", "--json"]);
    assert_eq!(json.code, 6);
    assert!(json.json().is_array());
    let scope = key.file_name().unwrap().to_string_lossy().into_owned();
    let name = scope.split("internal").next().unwrap().to_owned() + "internal";
    let put = home.run(&["name", "put", &format!("x.{name}"), "A", "10.0.0.1"]);
    assert_eq!(put.code, 3, "{put:?}");
    assert!(
        put.err.contains("hint: the scope's keys must be"),
        "{put:?}"
    );
}

/// What a store file can be instead of a store.
const GARBAGE: &[(&str, &[u8])] = &[
    ("text", b"this is no store, but a letter to somebody else\n"),
    ("zeros", &[0; 65_536]),
    ("a half header", b"redb\x1a\x0a\xa9\x0d\x0a"),
];

#[test]
fn a_file_that_is_no_store_is_refused_and_not_touched() {
    for (what, bytes) in GARBAGE {
        let home = Home::new(QUIET);
        home.write("data/placeholder", "");
        std::fs::write(home.path("data/index.redb"), bytes).unwrap();
        for command in ["serve", "init", "status", "verify"] {
            let ran = home.run(&[command]);
            assert_eq!(ran.code, 5, "{what}: {command}: {ran:?}");
            assert!(ran.err.contains("index.redb"), "{what}: {command}: {ran:?}");
            assert!(ran.err.contains("hint: "), "{what}: {command}: {ran:?}");
            let left = std::fs::read(home.path("data/index.redb")).unwrap();
            assert!(left == *bytes, "{what}: {command} changed the file");
        }
    }
}

#[test]
fn a_store_cut_short_is_refused_or_whole() {
    let home = founded();
    let path = home.path("data/index.redb");
    let whole = std::fs::read(&path).unwrap();
    for keep in [whole.len() / 2, whole.len() - 4_096, 100] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let ran = home.run(&["status"]);
        assert!(!ran.err.contains("panicked"), "{keep} bytes: {ran:?}");
        assert_eq!(ran.code, 5, "{keep} bytes: {ran:?}");
        assert!(ran.err.contains("hint: "), "{keep} bytes: {ran:?}");
    }
    std::fs::write(&path, &whole).unwrap();
    home.run(&["verify"]).good();
}

#[test]
fn a_pinned_apex_with_another_root_is_not_served() {
    let home = founded();
    let pin = "[[apex]]\nname = \"mesh.internal.\"\ngenesis = \"GENESIS\"\n";
    let wrong = pin.replace("GENESIS", &"ab".repeat(32));
    home.configure(&format!("[legacy]\nupstreams = []\n{wrong}"));
    let ran = home.run(&["serve"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("hint: is this the right data directory?"),
        "{ran:?}"
    );
    home.configure("[legacy]\nupstreams = []\n");
    let shown = home.json(&["scope", "show", "mesh.internal"]);
    let right = pin.replace("GENESIS", shown["uid"].as_str().unwrap());
    home.configure(&format!("[legacy]\nupstreams = []\n{right}"));
    home.serve().stop();
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let home = Home::new(&format!("[node]\ndata-dir = \"file/data\"\n{QUIET}"));
    home.write("file", "");
    let ran = home.run(&["serve"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.err.contains("file/data"), "{ran:?}");
    assert!(ran.err.contains("hint: "), "{ran:?}");
}
