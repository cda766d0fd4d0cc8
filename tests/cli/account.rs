//! A node that binds its ports as root and goes on as somebody else.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;

use super::node::{Home, Node, QUIET, program, run};

/// A user that every Debian has, and that owns nothing.
const NOBODY: u32 = 65_534;
/// Ports below this need a privilege (`ip_unprivileged_port_start`).
const PRIVILEGED: u16 = 1_024;

const NOT_TRIED: &str = "not tried: only root may become another user";

/// Whether this process may become others; only then is there anything to try.
fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A directory that `nobody` may write to, with a node that is to be somebody's.
fn home(user: &str, address: SocketAddr) -> Home {
    let home = Home::new(QUIET);
    let listen = format!("[listen]\ndns = [\"{address}\"]\n");
    home.write(
        "kedge.toml",
        &format!("[node]\nuser = \"{user}\"\n{listen}{QUIET}"),
    );
    chown(home.path(""), Some(NOBODY), Some(NOBODY)).unwrap();
    home
}

fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A port that only root may bind, and that nobody has.
fn privileged_port() -> u16 {
    let is_free = |port: &u16| {
        let at = loopback(*port);
        TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
    };
    (1..PRIVILEGED).rev().find(is_free).unwrap()
}

/// Who each thread of a process is: real, effective, saved and file system's user, then its groups.
fn accounts(pid: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let account = |thread: fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap();
        let is_account = |line: &&str| {
            ["Uid:", "Gid:", "Groups:", "CapEff:"]
                .iter()
                .any(|key| line.starts_with(key))
        };
        status
            .lines()
            .filter(is_account)
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join(" ")
    };
    threads.map(|thread| account(thread.unwrap())).collect()
}

#[test]
fn a_node_binds_as_root_and_answers_as_nobody() {
    if !is_root() {
        eprintln!("{NOT_TRIED}");
        return;
    }
    let home = home("nobody", loopback(privileged_port()));
    let mut node = home.serve();
    assert_eq!(node.ask("x.test")[0], "NXDOMAIN");
    let accounts = accounts(node.id());
    assert!(accounts.len() > 1);
    let all = |key: &str| format!("{key}:{}", format!("\t{NOBODY}").repeat(4));
    for account in &accounts {
        for part in [
            all("Uid"),
            all("Gid"),
            format!("Groups:\t{NOBODY}"),
            "CapEff:\t0000000000000000".to_owned(),
        ] {
            assert!(account.contains(&part), "{account} has not {part}");
        }
    }
    for file in ["data", "data/admin.sock"] {
        assert_eq!(fs::metadata(home.path(file)).unwrap().uid(), NOBODY);
    }
    node.signal("HUP");
    node.wait_for("reloaded");
    assert_eq!(node.ask("x.test")[0], "NXDOMAIN");
    node.stop();
}

#[test]
fn who_is_that_user_already_goes_on_and_others_are_refused() {
    if !is_root() {
        eprintln!("{NOT_TRIED}");
        return;
    }
    let serving = |home: &Home| {
        let mut command = program(&home.path(""));
        command.args(["serve", "--config", "kedge.toml"]);
        command.uid(NOBODY).gid(NOBODY);
        command
    };
    let own = home("nobody", loopback(0));
    Node::start(&mut serving(&own)).stop();
    let others = home("daemon", loopback(0));
    let ran = run(&mut serving(&others));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("started by another user"), "{ran:?}");
    assert!(!others.path("data").exists());
}

#[test]
fn users_that_are_none_or_root_are_refused_and_nothing_is_made() {
    if !is_root() {
        eprintln!("{NOT_TRIED}");
        return;
    }
    for (user, why) in [
        ("no-such-user", "no user of this system"),
        ("root", "may do all that root may"),
        ("", "is no name of a user"),
    ] {
        let home = home(user, loopback(0));
        for command in ["serve", "init"] {
            let ran = home.run(&[command]);
            assert_eq!(ran.code, 2, "{ran:?}");
            assert!(
                ran.err.contains(why) && ran.err.contains("hint: "),
                "{ran:?}"
            );
        }
        assert!(!home.path("data").exists());
    }
}

#[test]
fn a_data_directory_of_somebody_else_is_not_written_to() {
    if !is_root() {
        eprintln!("{NOT_TRIED}");
        return;
    }
    let home = home("nobody", loopback(0));
    fs::create_dir(home.path("data")).unwrap();
    let ran = home.run(&["serve"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("hint: "), "{ran:?}");
    assert_eq!(fs::read_dir(home.path("data")).unwrap().count(), 0);
}
