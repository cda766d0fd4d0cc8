//! Keys under a passphrase, and keys that a program signs with.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::node::Home;

const NAME: &str = "api.eu.mesh.internal";
const QUIET: &str = "[legacy]\nupstreams = []\n";

fn owner_only(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn key_files(home: &Home) -> Vec<PathBuf> {
    let keys = home.path("data/keys");
    let mut files: Vec<PathBuf> = fs::read_dir(keys)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn put(home: &Home, data: &str) -> super::node::Ran {
    home.run(&["name", "put", NAME, "A", data])
}

#[test]
fn keys_under_a_passphrase_govern_as_others_do() {
    let home = Home::new(&format!(
        "[keys]\npassphrase-file = \"passphrase\"\n{QUIET}"
    ));
    let passphrase = home.path("passphrase");
    owner_only(&passphrase, "correct horse\n", 0o600);
    home.run(&["init"]).good();
    let files = key_files(&home);
    assert!(!files.is_empty());
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    }
    put(&home, "10.1.0.1").good();

    // Another passphrase, or none, stops the node before it does anything with half of its keys.
    owner_only(&passphrase, "other\n", 0o600);
    let wrong = put(&home, "10.1.0.2");
    assert_eq!(wrong.code, 5, "{wrong:?}");
    assert!(wrong.err.contains("cannot be decrypted"), "{wrong:?}");
    owner_only(&passphrase, "correct horse\n", 0o644);
    let open = put(&home, "10.1.0.2");
    assert!(
        open.err.contains("lets others read this secret"),
        "{open:?}"
    );
    home.configure(QUIET);
    let locked = put(&home, "10.1.0.2");
    assert_eq!(locked.code, 5, "{locked:?}");
    assert!(locked.err.contains("no passphrase is given"), "{locked:?}");
    assert!(
        locked.err.contains("hint: [keys] passphrase-file"),
        "{locked:?}"
    );

    // Decrypted where they are, they are what they were.
    owner_only(&passphrase, "correct horse\n", 0o600);
    let mut decrypt = vec!["key", "decrypt", "--passphrase-file", "passphrase"];
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    decrypt.extend(files.iter().map(String::as_str));
    home.run(&decrypt).good();
    put(&home, "10.1.0.3").good();
    let mut encrypt = decrypt.clone();
    encrypt[1] = "encrypt";
    home.run(&encrypt).good();
    assert_eq!(put(&home, "10.1.0.4").code, 5);
    home.run(&["key", "show", &files[0], "--passphrase-file", "passphrase"])
        .good();
}

/// The keys of OpenSSL and ours are each other's.
#[test]
fn openssl_reads_and_writes_encrypted_keys() {
    let home = Home::new(QUIET);
    owner_only(&home.path("passphrase"), "correct horse\n", 0o600);
    let openssl = |arguments: &[&str]| {
        let mut program = std::process::Command::new("openssl");
        program.args(arguments).current_dir(home.path("."));
        super::node::run(&mut program)
    };
    let ours = home
        .run(&["key", "new", "ours.pem", "--passphrase-file", "passphrase"])
        .good()
        .trim()
        .to_owned();
    let read = openssl(&[
        "pkey",
        "-in",
        "ours.pem",
        "-passin",
        "file:passphrase",
        "-noout",
        "-text_pub",
    ]);
    let digits: String = read
        .good()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect();
    assert!(digits.contains(&ours), "{read:?} is not {ours}");

    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "plain.pem"]).good();
    openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        "plain.pem",
        "-passout",
        "file:passphrase",
        "-out",
        "theirs.pem",
    ])
    .good();
    for file in ["plain.pem", "theirs.pem"] {
        let path = home.path(file);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let plain = home.run(&["key", "show", "plain.pem"]);
    let theirs = home.run(&[
        "key",
        "show",
        "theirs.pem",
        "--passphrase-file",
        "passphrase",
    ]);
    assert_eq!(plain.good(), theirs.good());
}

/// A node whose scopes' keys are all with a signer.
fn with_signer() -> (Home, PathBuf) {
    let home = Home::new(QUIET);
    home.run(&["init"]).good();
    let vault = home.path("vault");
    fs::rename(home.path("data/keys"), &vault).unwrap();
    let kedge = env!("CARGO_BIN_EXE_kedge");
    let script = home.path("signer.sh");
    owner_only(
        &script,
        &format!(
            "#!/bin/sh\nexec {kedge} key serve {}/*.key\n",
            vault.display()
        ),
        0o700,
    );
    (home, script)
}

#[test]
fn a_program_signs_with_keys_that_the_node_never_sees() {
    let (home, script) = with_signer();
    let refused = put(&home, "10.1.0.1");
    assert_eq!(refused.code, 3, "{refused:?}");

    home.configure(&format!("[keys]\nsigner = [\"./signer.sh\"]\n{QUIET}"));
    put(&home, "10.1.0.1").good();
    assert!(!home.path("data/keys").exists());
    let node = home.serve();
    put(&home, "10.1.0.2").good();
    assert_eq!(
        node.ask(NAME).join(" | "),
        format!("NOERROR aa | {NAME}. 60 A 10.1.0.2")
    );
    let doctor = home.run(&["doctor"]);
    assert!(doctor.out.contains("it signs with"), "{doctor:?}");
    // A new scope's key is made here, beside those of the signer.
    home.run(&["scope", "new", "shop.eu.mesh.internal"]).good();
    home.run(&["name", "put", "a.shop.eu.mesh.internal", "A", "10.1.0.3"])
        .good();
    node.stop();
    home.run(&["verify"]).good();

    // A signer that cannot be started stops the node, as a bad key file does.
    fs::remove_file(script).unwrap();
    let gone = put(&home, "10.1.0.4");
    assert_eq!(gone.code, 5, "{gone:?}");
    assert!(gone.err.contains("cannot be started"), "{gone:?}");
}

#[test]
fn a_signer_that_fails_or_lies_changes_nothing_and_is_named() {
    let (home, script) = with_signer();
    home.configure(&format!("[keys]\nsigner = [\"./signer.sh\"]\n{QUIET}"));
    let good = fs::read_to_string(&script).unwrap();
    let keys = home.json(&["scope", "show", "eu.mesh.internal"]);
    let key = keys["anchors"][0]["key"].as_str().unwrap().to_owned();
    // Each says which keys it has, then fails in its own way.
    for (does, says) in [
        ("exit 3", "it ended"),
        ("echo refused the vault is closed", "the vault is closed"),
        ("echo what", "neither of the expected ones"),
        ("echo keys", "something else than what was asked for"),
        (
            "printf 'signature %0128d\\n' 7",
            "a signature that does not hold",
        ),
    ] {
        let asked = format!("case $line in keys) echo keys {key} ;; *) {does} ;; esac");
        let body = format!("#!/bin/sh\nwhile read line; do {asked}; done\n");
        owner_only(&script, &body, 0o700);
        let node = home.serve();
        let ran = put(&home, "10.1.0.9");
        assert_eq!(ran.code, 5, "{does}: {ran:?}");
        assert!(ran.err.contains(says), "{does}: {ran:?}");
        assert!(node.ask(NAME)[0].starts_with("NOERROR"), "{does}");
        node.stop();
        owner_only(&script, &good, 0o700);
        put(&home, "10.1.0.8").good();
    }
}

/// A signer that ends between two requests is started again, without anybody noticing.
#[test]
fn a_signer_that_ended_is_started_again() {
    let (home, script) = with_signer();
    home.configure(&format!("[keys]\nsigner = [\"./signer.sh\"]\n{QUIET}"));
    let good = fs::read_to_string(&script).unwrap();
    // Says its keys and signs once.
    let once = good.replace("exec ", "(read a; echo $a; read b; echo $b) | ");
    owner_only(&script, &once, 0o700);
    let node = home.serve();
    for last in 1..5 {
        put(&home, &format!("10.1.0.{last}")).good();
    }
    node.stop();
    home.run(&["verify"]).good();
}
