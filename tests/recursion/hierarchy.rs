//! `Hierarchy`: a DNS of its own on loopback, from a signed root down, with zones that are whole
//! and zones that are broken, served by other people's servers.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::common::must_not_skip;
use super::common::peers::{Kind, Peer, ZoneFile, free_port, installed};

/// The servers: the root's, the TLDs', that of all other zones, one that serves no zone, and one
/// that never answers.
pub(crate) const ROOT: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
pub(crate) const ALPHA: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);
pub(crate) const BETA: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 3);
pub(crate) const ZONES: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 4);
pub(crate) const LAME: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 5);
pub(crate) const SILENT: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 6);

/// Ports that are tried until one is free at every address.
const PORTS_MAX: usize = 5;
const TOOLS: [&str; 4] = ["nsd", "knotd", "dnssec-keygen", "dnssec-signzone"];

/// How a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signing {
    No,
    Nsec,
    Nsec3,
    /// Unsigned delegations are left out of the proofs.
    Nsec3OptOut,
    /// Signatures that ended years ago.
    Expired,
    /// A record is changed after it was signed.
    Forged,
}

const ROOT_ZONE: &str = "
@ NS a.root.
a.root. A 127.0.1.1
alpha NS ns.alpha.
ns.alpha. A 127.0.1.2
beta NS ns.beta.
ns.beta. A 127.0.1.3
";

const ALPHA_ZONE: &str = "
@ NS ns
ns A 127.0.1.2
good NS ns.good
ns.good A 127.0.1.4
expired NS ns.expired
ns.expired A 127.0.1.4
forged NS ns.forged
ns.forged A 127.0.1.4
wrongds NS ns.wrongds
ns.wrongds A 127.0.1.4
stripped NS ns.stripped
ns.stripped A 127.0.1.4
plain NS ns.plain
ns.plain A 127.0.1.4
halflame NS ns1.halflame
halflame NS ns2.halflame
ns1.halflame A 127.0.1.5
ns2.halflame A 127.0.1.4
lame NS ns.lame
ns.lame A 127.0.1.5
loop NS ns.loop.beta.
slow NS ns.slow
ns.slow A 127.0.1.6
inward NS ns.inward
ns.inward A 10.53.53.53
";

const BETA_ZONE: &str = "
@ NS ns
ns A 127.0.1.3
secure NS ns.secure
ns.secure A 127.0.1.4
unsigned NS ns.unsigned
ns.unsigned A 127.0.1.4
loop NS ns.loop.alpha.
";

const GOOD_ZONE: &str = "
@ NS ns
ns A 127.0.1.4
www A 192.0.2.1
alias CNAME www.secure.beta.
dangling CNAME none.secure.beta.
half CNAME www.secure.beta.
toplain CNAME www.plain.alpha.
tobogus CNAME www.forged.alpha.
into CNAME api.mesh.internal.
*.wild TXT w
*.wildalias CNAME www
tree DNAME secure.beta.
turn CNAME turn2
turn2 CNAME turn
big TXT BIG
";

const LEAF_ZONE: &str = "
@ NS ns
ns A 127.0.1.4
www A 192.0.2.2
alias CNAME www.secure.beta.
*.wild TXT w
";

/// Every zone: its name, its server, its records, its signing. Children before parents, whose
/// signing takes the children's DS records in.
const ZONE_TABLE: [(&str, Ipv4Addr, &str, Signing); 12] = [
    ("good.alpha.", ZONES, GOOD_ZONE, Signing::Nsec),
    ("expired.alpha.", ZONES, LEAF_ZONE, Signing::Expired),
    ("forged.alpha.", ZONES, LEAF_ZONE, Signing::Forged),
    ("wrongds.alpha.", ZONES, LEAF_ZONE, Signing::Nsec),
    ("stripped.alpha.", ZONES, LEAF_ZONE, Signing::No),
    ("plain.alpha.", ZONES, LEAF_ZONE, Signing::No),
    ("halflame.alpha.", ZONES, LEAF_ZONE, Signing::No),
    ("secure.beta.", ZONES, LEAF_ZONE, Signing::Nsec3),
    ("unsigned.beta.", ZONES, LEAF_ZONE, Signing::No),
    ("alpha.", ALPHA, ALPHA_ZONE, Signing::Nsec),
    ("beta.", BETA, BETA_ZONE, Signing::Nsec3OptOut),
    (".", ROOT, ROOT_ZONE, Signing::Nsec),
];

/// A running hierarchy. Its servers end when this is dropped, and its directory goes with it.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    pub(crate) port: u16,
    _servers: Vec<Peer>,
    /// Takes what comes and answers nothing.
    _silent: UdpSocket,
    directory: TempDir,
}

impl Hierarchy {
    /// Signs every zone and starts every server; none if a tool is not installed.
    pub(crate) fn start() -> Option<Self> {
        if let Some(missing) = TOOLS.iter().find(|tool| installed(tool).is_none()) {
            assert!(!must_not_skip(), "{missing} is not installed");
            return None;
        }
        let directory = TempDir::new().unwrap();
        for zone in ZONE_TABLE {
            make_zone(directory.path(), zone);
        }
        let mut last = String::new();
        for _ in 0..PORTS_MAX {
            let port = free_port();
            match start_servers(directory.path(), port) {
                Ok((servers, silent)) => {
                    return Some(Self {
                        port,
                        _servers: servers,
                        _silent: silent,
                        directory,
                    });
                }
                Err(error) => last = error,
            }
        }
        panic!("the hierarchy does not start: {last}");
    }

    /// A file of root hints.
    pub(crate) fn hints(&self) -> PathBuf {
        let path = self.directory.path().join("root.hints");
        std::fs::write(&path, ". 3600 NS a.root.\na.root. 3600 A 127.0.1.1\n").unwrap();
        path
    }

    /// A file with the root's key.
    pub(crate) fn anchors(&self) -> PathBuf {
        key_file(&self.directory.path().join("keys"), ".")
    }

    /// The key of another zone, as an anchor of the root that is none.
    pub(crate) fn foreign_anchors(&self) -> PathBuf {
        let key = key_file(&self.directory.path().join("keys"), "alpha.");
        let text = std::fs::read_to_string(key).unwrap();
        let path = self.directory.path().join("foreign.key");
        std::fs::write(&path, text.replace("alpha. IN", ". IN")).unwrap();
        path
    }
}

fn directory_of(base: &Path, server: Ipv4Addr) -> PathBuf {
    base.join(format!("at-{server}"))
}

fn file_of(origin: &str) -> String {
    format!("{}zone", if origin == "." { "root." } else { origin })
}

fn start_servers(base: &Path, port: u16) -> Result<(Vec<Peer>, UdpSocket), String> {
    let silent = UdpSocket::bind((SILENT, port)).map_err(|error| error.to_string())?;
    let mut servers = Vec::new();
    // named listens on the addresses of interfaces only, and these are none.
    for (server, kind) in [
        (ROOT, Kind::Nsd),
        (ALPHA, Kind::Knot),
        (BETA, Kind::Nsd),
        (ZONES, Kind::Nsd),
        (LAME, Kind::Nsd),
    ] {
        let directory = directory_of(base, server);
        std::fs::create_dir_all(&directory).unwrap();
        let zones: Vec<ZoneFile> = ZONE_TABLE
            .iter()
            .filter(|(_, at, ..)| *at == server)
            .map(|(origin, ..)| ZoneFile {
                origin: (*origin).to_owned(),
                file: file_of(origin),
            })
            .collect();
        let address = SocketAddr::new(IpAddr::V4(server), port);
        servers.push(Peer::start_at(kind, address, &directory, &zones).unwrap()?);
    }
    Ok((servers, silent))
}

fn make_zone(base: &Path, (origin, server, records, signing): (&str, Ipv4Addr, &str, Signing)) {
    let directory = directory_of(base, server);
    let keys = base.join("keys");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::create_dir_all(&keys).unwrap();
    let mut text = format!("$ORIGIN {origin}\n$TTL 60\n");
    text.push_str("@ SOA ns host 1 3600 600 86400 60\n");
    // More than fits a datagram.
    let big = (0..12).fold(String::new(), |mut big, number| {
        write!(big, " {}{number:02}", "x".repeat(180)).unwrap();
        big
    });
    text.push_str(&records.replace(" BIG", &big));
    let path = directory.join(file_of(origin));
    std::fs::write(&path, text).unwrap();
    let records_of_keys = keys.join(format!("dsset-{origin}"));
    if signing == Signing::No {
        if origin == "stripped.alpha." {
            std::fs::write(&records_of_keys, foreign_key_record(origin)).unwrap();
        }
        return;
    }
    run(Command::new(installed("dnssec-keygen").unwrap())
        .args(["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-K"])
        .arg(&keys)
        .arg(origin));
    let signed = path.with_extension("signed");
    let mut command = Command::new(installed("dnssec-signzone").unwrap());
    // -z: the one key signs all; -S: it is put into the zone; -g: the children's DS records too.
    command
        .args(["-q", "-z", "-S", "-g", "-x", "-K"])
        .arg(&keys);
    command.arg("-d").arg(&keys).arg("-f").arg(&signed);
    command.args(match signing {
        Signing::Nsec3 => &["-3", "-", "-H", "0"][..],
        Signing::Nsec3OptOut => &["-3", "-", "-H", "0", "-A"],
        Signing::Expired => &["-P", "-s", "20200101000000", "-e", "20200201000000"],
        _ => &[],
    });
    run(command.current_dir(&keys).args(["-o", origin]).arg(&path));
    if origin == "wrongds.alpha." {
        std::fs::write(&records_of_keys, foreign_key_record(origin)).unwrap();
    }
    let mut text = std::fs::read_to_string(&signed).unwrap();
    if signing == Signing::Forged {
        text = text.replace("192.0.2.2", "192.0.2.66");
    }
    std::fs::write(&path, text).unwrap();
}

/// A DS record of a key that nobody has.
fn foreign_key_record(origin: &str) -> String {
    format!("{origin} IN DS 4711 13 2 {}\n", "1".repeat(64))
}

fn key_file(keys: &Path, origin: &str) -> PathBuf {
    let files = std::fs::read_dir(keys).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let starts = format!("K{origin}+");
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "key"))
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(&starts)
        })
        .unwrap()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
