//! A node under a service manager: what it is told, and the unit that it starts the node by.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::node::{Home, Node, QUIET, program};

/// How long the manager waits for a word.
const PATIENCE: Duration = Duration::from_secs(30);

/// The next thing that the manager is told.
fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let count = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}

#[test]
fn a_manager_hears_when_a_node_is_ready_goes_on_and_stops() {
    let home = Home::new(QUIET);
    let path = home.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = program(&home.path(""));
    command
        .args(["serve", "--config", "kedge.toml"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let node = Node::start(&mut command);
    let mut said: Vec<String> = (0..8).map(|_| heard(&manager)).collect();
    let count =
        |said: &[String], word: &str| said.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!(count(&said, "READY=1"), 1, "{said:?}");
    assert_eq!(count(&said, "WATCHDOG=1"), 7, "{said:?}");
    node.stop();
    manager.set_nonblocking(true).unwrap();
    let mut bytes = [0; 256];
    while let Ok(count) = manager.recv(&mut bytes) {
        said.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
    }
    assert_eq!(count(&said, "STOPPING=1"), 1, "{said:?}");
}

#[test]
fn the_units_are_such_as_systemd_takes() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd");
    let unit = std::fs::read_to_string(units.join("kedge.service")).unwrap();
    let sockets = std::fs::read_to_string(units.join("kedge.socket")).unwrap();
    let home = Home::new(QUIET);
    let here = unit.replace("/usr/local/bin/kedge", env!("CARGO_BIN_EXE_kedge"));
    assert_ne!(here, unit, "the unit starts the program");
    home.write("kedge.service", &here);
    home.write("kedge.socket", &sockets);
    let all = ["kedge.service", "kedge.socket"].map(|unit| home.path(unit));
    let mut command = Command::new("systemd-analyze");
    let Ok(output) = command.arg("verify").args(all).output() else {
        eprintln!("not tried: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !said.contains("kedge.s"),
        "{said}"
    );
}
