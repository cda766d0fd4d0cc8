//! Other people's servers, started on loopback with the zones of a directory.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;

/// Attempts to start a server; between choosing a port and its use another program may take it.
const STARTS_MAX: usize = 5;

/// A zone and the file that holds it.
#[derive(Debug, Clone)]
pub(crate) struct ZoneFile {
    /// Ends with a dot.
    pub(crate) origin: String,
    /// Inside the directory of the server.
    pub(crate) file: String,
}

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nsd,
    Knot,
    Named,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Peer {
    kind: Kind,
    process: Process,
    address: SocketAddr,
}

impl Peer {
    /// Starts a server over the zones of a directory; none if it is not installed.
    pub(crate) fn start(kind: Kind, directory: &Path, zones: &[ZoneFile]) -> Option<Self> {
        let mut last = String::new();
        for _ in 0..STARTS_MAX {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            match Self::start_at(kind, address, directory, zones)? {
                Ok(peer) => return Some(peer),
                Err(error) => last = error,
            }
        }
        panic!("{} does not start: {last}", kind.program());
    }

    /// Starts a server at an address; none if it is not installed.
    pub(crate) fn start_at(
        kind: Kind,
        address: SocketAddr,
        directory: &Path,
        zones: &[ZoneFile],
    ) -> Option<Result<Self, String>> {
        let program = installed(kind.program())?;
        let home = directory.join(kind.program());
        std::fs::create_dir_all(&home).unwrap();
        let program = unconfined(&program, &home);
        let config = kind.config(address, directory, &home, zones);
        let file = home.join("server.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(&program);
        command
            .current_dir(&home)
            .args(kind.foreground())
            .arg(&file);
        let process = Process::start(&mut command).unwrap();
        let started = kind.await_zones(&process, zones.len());
        Some(started.map(|()| Self {
            kind,
            process,
            address,
        }))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn name(&self) -> &'static str {
        self.kind.program()
    }

    pub(crate) fn log(&self) -> String {
        self.process.said()
    }
}

impl Drop for Peer {
    /// nsd's children outlive a parent that is killed, so it is asked to end.
    fn drop(&mut self) {
        self.process.end();
    }
}

impl Kind {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Nsd => "nsd",
            Self::Knot => "knotd",
            Self::Named => "named",
        }
    }

    fn foreground(self) -> &'static [&'static str] {
        match self {
            Self::Nsd => &["-d", "-c"],
            Self::Knot => &["-c"],
            Self::Named => &["-g", "-n", "1", "-c"],
        }
    }

    /// Waits for what a server says when it answers for all its zones.
    fn await_zones(self, process: &Process, zones: usize) -> Result<(), String> {
        let (ready, times) = match self {
            Self::Nsd => ("nsd started", 1),
            Self::Knot => ("loaded, serial", zones),
            Self::Named => ("running", 1),
        };
        for _ in 0..times {
            process.wait_for(|line| {
                // The last is how nsd begins what it says about a line of a zone file.
                let bad = [
                    "cannot bind",
                    "can't bind",
                    "failed to parse zone file",
                    "not loaded",
                ];
                if bad.iter().any(|words| line.contains(words)) {
                    return Some(Err(line.to_owned()));
                }
                let is_ready = match self {
                    Self::Named => line.trim_end().ends_with(ready),
                    _ => line.contains(ready),
                };
                is_ready.then_some(Ok(()))
            })??;
        }
        Ok(())
    }

    fn config(
        self,
        address: SocketAddr,
        zones_in: &Path,
        home: &Path,
        zones: &[ZoneFile],
    ) -> String {
        let (ip, port) = (address.ip(), address.port());
        let (zones_in, home) = (zones_in.display(), home.display());
        let mut text = match self {
            Self::Nsd => format!(
                "server:\n ip-address: {ip}@{port}\n username: \"\"\n chroot: \"\"\n \
                 zonesdir: \"{zones_in}\"\n database: \"\"\n zonelistfile: \"{home}/zones\"\n \
                 pidfile: \"{home}/pid\"\n xfrdfile: \"{home}/xfrd\"\n xfrdir: \"{home}\"\n \
                 server-count: 1\n minimal-responses: yes\n refuse-any: no\n \
                 round-robin: no\n answer-cookie: no\n rrl-ratelimit: 0\n \
                 rrl-whitelist-ratelimit: 0\n verbosity: 2\n\
                 remote-control:\n control-enable: no\n"
            ),
            Self::Knot => format!(
                "server:\n  rundir: \"{home}\"\n  listen: {ip}@{port}\n  udp-workers: 1\n  \
                 tcp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    \
                 any: info\ndatabase:\n  storage: \"{home}\"\ntemplate:\n  - id: default\n    \
                 storage: \"{zones_in}\"\n    zonefile-sync: -1\n    journal-content: none\n\
                 zone:\n"
            ),
            Self::Named => format!(
                "options {{\n directory \"{home}\";\n pid-file none;\n \
                 session-keyfile \"{home}/session.key\";\n \
                 managed-keys-directory \"{home}\";\n \
                 listen-on port {port} {{ {ip}; }};\n listen-on-v6 {{ none; }};\n \
                 recursion no;\n dnssec-validation no;\n check-names primary ignore;\n minimal-responses yes;\n \
                 notify no;\n max-udp-size 1232;\n edns-udp-size 1232;\n}};\n\
                 controls {{ }};\n"
            ),
        };
        for ZoneFile { origin, file } in zones {
            match self {
                Self::Nsd => {
                    writeln!(text, "zone:\n name: \"{origin}\"\n zonefile: \"{file}\"")
                }
                Self::Knot => writeln!(text, "  - domain: \"{origin}\"\n    file: \"{file}\""),
                Self::Named => writeln!(
                    text,
                    "zone \"{origin}\" {{ type primary; file \"{zones_in}/{file}\"; }};"
                ),
            }
            .unwrap();
        }
        text
    }
}

/// Where a program is; servers live where ordinary users do not look.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    folders
        .chain(more)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A program that the system's profiles do not bind to its own directories: they go by path, so a
/// copy is free of them.
fn unconfined(program: &Path, home: &Path) -> PathBuf {
    if !Path::new("/sys/kernel/security/apparmor").exists() {
        return program.to_owned();
    }
    let copy = home.join(program.file_name().unwrap());
    std::fs::copy(program, &copy).unwrap();
    copy
}

/// A port that is free for both transports just now.
pub(crate) fn free_port() -> u16 {
    for _ in 0..100 {
        let stream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = stream.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both transports");
}
