//! `Home`: a directory with a configuration; `Node`: the program serving from it.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::wire::{self, Ask};

/// How long a line or a reply may take on a busy machine before it counts as missing.
const PATIENCE: Duration = Duration::from_mins(1);
/// A datagram may be lost while the machine is busy; a question is asked so often.
const ATTEMPTS: usize = 3;

/// The configuration of a node that knows no upstream and makes no demo.
pub(crate) const QUIET: &str = "[demo]\nenabled = false\n[legacy]\nupstreams = []\n";

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no JSON on standard output: {error}\n{self:?}"))
    }

    /// Standard output of a command that went well.
    pub(crate) fn good(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }
}

/// A directory with `kedge.toml`.
#[derive(Debug)]
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    /// A directory whose configuration listens on a port that is free.
    pub(crate) fn new(config: &str) -> Self {
        let home = Self {
            directory: TempDir::new().unwrap(),
        };
        home.configure(config);
        home
    }

    pub(crate) fn configure(&self, config: &str) {
        let text = format!("[listen]\ndns = [\"127.0.0.1:0\"]\n{config}");
        self.write("kedge.toml", &text);
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = program(self.directory.path());
        if !arguments.contains(&"--config") {
            command.args(["--config", "kedge.toml"]);
        }
        run(command.args(arguments))
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let ran = self.run(&all);
        ran.good();
        ran.json()
    }

    /// Starts serving and waits until it is ready.
    pub(crate) fn serve(&self) -> Node {
        let mut command = program(self.directory.path());
        command.args(["serve", "--config", "kedge.toml"]);
        Node::start(&mut command)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("data/admin.sock")
    }
}

/// Runs a prepared command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The program, with nothing of the caller's environment that could change what it prints.
pub(crate) fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kedge"));
    command
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .env_remove("KEDGE_TOKEN_FILE")
        .env("COLUMNS", "100");
    command
}

/// A serving process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    lines: Receiver<String>,
    pub(crate) said: Vec<String>,
    pub(crate) address: SocketAddr,
}

impl Node {
    /// Starts a command that serves and waits until it is ready.
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self::of(child)
    }

    /// The same with its standard output.
    pub(crate) fn start_piped(command: &mut Command) -> (Self, ChildStdout) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        (Self::of(child), output)
    }

    /// What was started already, with its standard error piped.
    pub(crate) fn of(mut child: Child) -> Self {
        let lines = listen(child.stderr.take().unwrap());
        let mut node = Self {
            child,
            lines,
            said: Vec::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        node.wait_for("ready");
        let line = node.said.iter().find(|line| line.contains("listening on "));
        let (_, rest) = line.unwrap().split_once("listening on ").unwrap();
        node.address = rest.split(' ').next().unwrap().parse().unwrap();
        node
    }

    /// Waits for a line with these words.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => panic!("no {words:?} ({error}); said:\n{}", self.said.join("\n")),
            }
        }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, to this process only.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        self.child.wait().unwrap()
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert!(self.wait().success(), "{:?}", self.said);
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The reply's lines to `name type`.
    pub(crate) fn ask(&self, question: &str) -> Vec<String> {
        let asked = Asked::send(self.address, question);
        asked.reply()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A question under way.
#[derive(Debug)]
pub(crate) struct Asked {
    socket: UdpSocket,
    bytes: Vec<u8>,
}

impl Asked {
    pub(crate) fn send(server: SocketAddr, question: &str) -> Self {
        let (name, kind) = question.split_once(' ').unwrap_or((question, "A"));
        let ask = Ask {
            name: name.parse().unwrap(),
            kind: kind.parse().unwrap(),
            from: server.ip(),
            recursion_desired: true,
            dnssec_ok: false,
            checking_disabled: false,
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE / 6)).unwrap();
        let bytes = ask.to_bytes();
        socket.send(&bytes).unwrap();
        Self { socket, bytes }
    }

    /// Whether a reply comes soon; it is read and thrown away.
    pub(crate) fn is_answered_within(&self, patience: Duration) -> bool {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        self.socket.recv(&mut [0; 4_096]).is_ok()
    }

    pub(crate) fn reply(&self) -> Vec<String> {
        let mut buffer = [0; 4_096];
        for _ in 0..ATTEMPTS {
            match self.socket.recv(&mut buffer) {
                Ok(length) => return wire::lines(&buffer[..length]),
                Err(_) => drop(self.socket.send(&self.bytes)),
            }
        }
        panic!("no reply");
    }
}

fn listen(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                // Nobody waits any more, but the program must not block on a full pipe.
            }
        }
    });
    lines
}
