//! `TestNode`: the program itself, in a directory of its own, on a port of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;

use super::process::Process;

/// The name of the configuration file in the node's directory.
const CONFIG: &str = "kedge.toml";

/// A running node. It is killed when this is dropped, and its directory goes with it.
#[derive(Debug)]
pub(crate) struct TestNode {
    process: Process,
    address: SocketAddr,
    directory: TempDir,
}

impl TestNode {
    /// Starts a node with a configuration. `[listen]` is added; every other section is the
    /// caller's.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), config)
    }

    /// Starts a node in a directory that already holds zone files or an older node's data.
    pub(crate) fn start_in(directory: TempDir, config: &str) -> Self {
        let listen = "[listen]\ndns = [\"127.0.0.1:0\"]\n";
        let text = format!("{config}\n{listen}");
        std::fs::write(directory.path().join(CONFIG), text).unwrap();
        let mut command = program(directory.path());
        command.args(["serve", "--config", CONFIG]);
        let process = Process::start(&mut command).unwrap();
        let address = process
            .wait_for(listening)
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            process,
            address,
            directory,
        }
    }

    /// Where it answers, over UDP and TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything it said.
    pub(crate) fn log(&self) -> String {
        self.process.said()
    }

    /// Runs a command of the program next to the node.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = program(self.directory());
        command.stdin(Stdio::null()).args(arguments);
        command.output().unwrap()
    }

    /// Ends the node in good order and gives back its directory for the next.
    pub(crate) fn stop(mut self) -> (Option<ExitStatus>, TempDir) {
        let status = self.process.end();
        (status, self.directory)
    }
}

/// The program with nothing of the caller's environment that could change what it does.
pub(crate) fn program(directory: &Path) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_kedge")));
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEDGE_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

/// The address in `listening on 127.0.0.1:41234 (udp, tcp)`.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split_whitespace().next()?.parse().ok()
}
