//! The configuration: a versioned file parsed into a valid `Config`. The default starts.

mod api;
mod cache;
mod encrypted;
mod file_v1;
mod freshness;
mod guard;
mod met;
mod observe;
mod peers;
mod query_log;
mod regions;
mod valid;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::adapters::dns::TsigAlgorithm;
use crate::adapters::legacy::upstream::UpstreamGroup;
use crate::adapters::peers::{Peer, PeerPlan};
use crate::adapters::query_log_file::QueryTarget;
use crate::adapters::tls_files::TlsFiles;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::resolution::fallback::Rule;
use crate::service::beacons::BeaconRules;
use crate::service::callers::Clients;
use crate::service::legacy_cache::LegacyCacheRules;
use crate::service::query_log::QueryLogRules;

pub use self::encrypted::{Encrypted, Http};
pub use self::guard::Guard;
pub use self::regions::Regions;

/// The commented default configuration, as `kedge config default` prints it.
pub const DEFAULT_TEXT: &str = include_str!("default.toml");

/// A configuration that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the store, the keys and the socket are.
    pub data_directory: PathBuf,
    /// Who the node goes on as once its ports are bound; whoever started it if none.
    pub user: Option<String>,
    /// What opens and what replaces key files.
    pub keys: Keys,
    /// How other nodes are reached.
    pub peers: PeerPlan,
    /// Those of the peers that are known by tickets only.
    pub met: Vec<Peer>,
    /// Where DNS is answered, over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Where DNS is answered over TLS and HTTPS; none if it is not.
    pub encrypted: Option<Encrypted>,
    /// What else there is to DNS over HTTPS.
    pub http: Http,
    /// The name by which clients are told of the encrypted listeners; that of the certificate if none.
    pub designated_name: Option<Name>,
    /// The admin API's unix socket.
    pub admin_socket: PathBuf,
    /// The admin API over TCP.
    pub api: Api,
    /// Whether a new data directory gets the demo apex.
    pub demo: bool,
    /// A directory whose `*.zone` files are all served; none if it does not have to exist.
    pub zone_directory: Option<ZoneDirectory>,
    /// Zones by origin with a file each.
    pub zones: BTreeMap<Name, PathBuf>,
    /// Root scopes that the configuration insists on, by apex.
    pub pins: BTreeMap<Name, ScopeUid>,
    /// Where other names are asked.
    pub legacy: Legacy,
    /// How long what they are told is kept.
    pub cache: LegacyCacheRules,
    /// The fall-back rules.
    pub rules: Vec<Rule>,
    /// Who gets any answer.
    pub query: Vec<IpNet>,
    /// Who may have names resolved that are not served here.
    pub recurse: Vec<IpNet>,
    /// How the node guards itself.
    pub guard: Guard,
    /// How long a device counts after a proof, in seconds.
    pub presence_secs: u32,
    /// Keys that questions may be signed with, by name.
    pub tsig: BTreeMap<Name, TsigKeyFile>,
    /// What leases are taken, and how instances are checked.
    pub leases: Leases,
    /// How often anchors say where scopes stand, and what follows from their silence.
    pub freshness: BeaconRules,
    /// Where clients are.
    pub regions: Regions,
    /// Memory of the store, in bytes.
    pub store_cache_bytes: usize,
    /// The longest export that is taken in, in bytes.
    pub import_bytes: u64,
    /// How logs look.
    pub log: Log,
    /// Where the audit log is; none if none is kept.
    pub audit: Option<Audit>,
    /// What monitoring sees.
    pub observe: Observe,
    /// What is written down of questions; none if nothing is.
    pub query_log: Option<QueryLog>,
}

/// What is written down of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryLog {
    /// Where.
    pub target: QueryTarget,
    /// Of which, and of whom.
    pub rules: QueryLogRules,
}

/// What monitoring sees, and who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observe {
    /// Where metrics are given; nowhere unless told.
    pub listen: Vec<SocketAddr>,
    /// Who may look.
    pub clients: Vec<IpNet>,
}

/// A key that is shared with clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsigKeyFile {
    /// How it signs.
    pub algorithm: TsigAlgorithm,
    /// The file with the secret in base64.
    pub path: PathBuf,
}

/// Secret keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// A file whose first line encrypts and decrypts key files; none if they are plain.
    pub passphrase_file: Option<PathBuf>,
    /// A program, with its arguments, that signs with keys of its own; empty for none.
    pub signer: Vec<String>,
}

/// What leases are taken, and how instances are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leases {
    /// Networks in which instances are checked.
    pub check: Vec<IpNet>,
    /// Between two checks of an instance, in milliseconds.
    pub check_interval_ms: u64,
    /// How long one may take, in milliseconds.
    pub check_timeout_ms: u64,
    /// Whether loopback and link-local addresses are taken.
    pub local_addresses: bool,
}

/// The admin API over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Where it listens; nowhere unless told.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key; without them it listens on loopback alone.
    pub tls: Option<TlsFiles>,
    /// What clients with certificates may do.
    pub clients: Clients,
}

/// An audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The present file; older ones are beside it.
    pub path: PathBuf,
    /// A file is begun anew beyond so many bytes.
    pub rotate_bytes: u64,
}

/// A directory of zone files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneDirectory {
    /// Where.
    pub path: PathBuf,
    /// Whether somebody wrote it down; the default may be missing.
    pub required: bool,
}

/// Where names are asked that are not served here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legacy {
    /// Use the system's resolvers for the default group.
    pub system: bool,
    /// The default group; none of it is used with recursion.
    pub default: UpstreamGroup,
    /// Recursion in place of the default group.
    pub recursion: Option<Recursion>,
    /// Whether upstreams over UDP are shown cookies.
    pub cookies: bool,
    /// A file of certificates that encrypted upstreams must be vouched for by.
    pub tls_ca: Option<PathBuf>,
    /// Groups by suffix.
    pub routes: BTreeMap<Name, UpstreamGroup>,
    /// How long one question may take in all, in milliseconds.
    pub deadline_ms: u64,
    /// Memory for answers, in bytes.
    pub cache_bytes: u64,
    /// How long a stale answer may be served when upstreams fail, in seconds.
    pub stale_secs: u32,
}

/// How names are asked from the root down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recursion {
    /// The addresses of the root servers; built in if none.
    pub root_hints: Option<PathBuf>,
    /// The keys of the root; built in if none.
    pub trust_anchors: Option<PathBuf>,
    /// Whether answers are validated.
    pub validates: bool,
    /// Suffixes below which nothing is validated.
    pub negative_anchors: Vec<Name>,
    /// Networks that are never asked.
    pub denied: Vec<IpNet>,
    /// Networks that are asked although they are denied.
    pub allowed: Vec<IpNet>,
    /// The port of every authority.
    pub port: u16,
}

/// How logs look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// JSON lines instead of text.
    pub json: bool,
    /// The filter, such as `info` or `kedge=debug`.
    pub filter: String,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("{path} cannot be written")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, or has a wrong key or value; the text names line and column.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
    /// A value that cannot be carried out.
    #[error("{path}: {key}: {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

impl Config {
    /// The configuration without a file; relative paths are below the present directory.
    pub fn default_here() -> Result<Self, ConfigError> {
        Self::parse("", Path::new("(default)"), Path::new(""))?.with_met()
    }

    /// Reads a file; relative paths in it are relative to its directory.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&text, path, base)?.with_met()
    }

    fn with_met(mut self) -> Result<Self, ConfigError> {
        met::read(&mut self)?;
        Ok(self)
    }

    /// Knows a peer from now on, also after a restart. One that the file of the configuration names
    /// stays as it is there.
    pub fn meet(&mut self, peer: &Peer) -> Result<(), ConfigError> {
        met::add(self, peer)
    }

    /// Reads text that stands for the file `path`, in the directory `base`.
    pub fn parse(text: &str, path: &Path, base: &Path) -> Result<Self, ConfigError> {
        let file = file_v1::parse(text).map_err(|message| ConfigError::Syntax {
            path: path.to_owned(),
            message,
        })?;
        valid::config(file, base).map_err(|(key, problem)| ConfigError::Value {
            path: path.to_owned(),
            key,
            problem,
        })
    }

    /// The store's file.
    pub fn store_path(&self) -> PathBuf {
        self.data_directory.join("index.redb")
    }

    /// The file of what is remembered of scopes of other nodes.
    pub fn learned_path(&self) -> PathBuf {
        self.data_directory.join("learned.redb")
    }

    /// The file of what other nodes proved.
    pub fn proofs_path(&self) -> PathBuf {
        self.data_directory.join("proofs.redb")
    }

    /// The file of what anchors of other nodes said.
    pub fn beacons_path(&self) -> PathBuf {
        self.data_directory.join("beacons.redb")
    }

    /// The file of entries that move from or to scopes of other nodes.
    pub fn moves_path(&self) -> PathBuf {
        self.data_directory.join("moves.redb")
    }

    /// The file of leases.
    pub fn leases_path(&self) -> PathBuf {
        self.data_directory.join("leases.redb")
    }

    /// The file of what anchors of this node sign while they decide.
    pub fn ordering_path(&self) -> PathBuf {
        self.data_directory.join("ordering.redb")
    }

    /// The file with the key by which other nodes know this one.
    pub fn node_key_path(&self) -> PathBuf {
        self.data_directory.join("node.key")
    }

    /// The directory of secret keys.
    pub fn key_directory(&self) -> PathBuf {
        self.data_directory.join("keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_default_is_the_default() {
        let printed = Config::parse(DEFAULT_TEXT, Path::new("(default)"), Path::new("")).unwrap();
        let default = Config::default_here().unwrap();
        let as_if_unwritten = Config {
            zone_directory: default.zone_directory.clone(),
            ..printed
        };
        assert_eq!(as_if_unwritten, default);
    }

    #[test]
    fn faults_name_their_key_or_line() {
        for (text, expected) in [
            ("[listen]\ndns = [\"nowhere\"]", "listen.dns"),
            ("[listen]\nport = 53", "unknown field"),
            (
                "[[fallback]]\nsuffix = \"a..b\"\norder = \"legacy-only\"",
                "fallback.suffix",
            ),
            ("[[fallback]]\nsuffix = \"a\"\norder = \"both\"", "line 3"),
            (
                "[legacy]\nupstreams = [\"dns.example\"]",
                "legacy.upstreams",
            ),
            ("[access]\nrecurse = [\"10.0.0.0/33\"]", "access.recurse"),
            ("[legacy]\nmode = \"both\"", "line 2"),
            ("[legacy]\ndnssec = \"validate\"", "legacy.dnssec"),
            ("[legacy]\nroot-hints = \"x\"", "legacy.root-hints"),
            (
                "[legacy]\nmode = \"recurse\"\nupstreams = [\"192.0.2.1\"]",
                "legacy.upstreams",
            ),
            (
                "[legacy]\nmode = \"recurse\"\ntrust-ad = true",
                "legacy.trust-ad",
            ),
            (
                "[legacy]\nmode = \"recurse\"\nnegative-trust-anchors = [\"a..b\"]",
                "legacy.negative-trust-anchors",
            ),
            (
                "[legacy]\nmode = \"recurse\"\nserver-port = 0",
                "legacy.server-port",
            ),
            ("[devices]\npresence-secs = 0", "devices.presence-secs"),
            ("[devices]\npresence-secs = 86401", "devices.presence-secs"),
            ("[leases]\ncheck = [\"10.0.0.0/33\"]", "leases.check"),
            (
                "[leases]\ncheck-interval-ms = 10",
                "leases.check-interval-ms",
            ),
            (
                "[leases]\ncheck-timeout-ms = 6000",
                "leases.check-timeout-ms",
            ),
            ("[freshness]\nbeacon-secs = 0", "freshness.beacon-secs"),
            ("[freshness]\nstale-secs = 59", "freshness.stale-secs"),
            ("[freshness]\nexpire-secs = 60", "freshness.expire-secs"),
            ("version = 2", "version"),
            (
                "[listen]\ntls = [\"127.0.0.1:0\"]",
                "listen.tls-certificate",
            ),
            ("[listen]\ntls-key = \"k.pem\"", "listen.tls"),
            (
                "[[tsig]]\nname = \"a\"\nalgorithm = \"hmac-md5\"\nsecret-file = \"x\"",
                "tsig.algorithm",
            ),
            ("[[tsig]]\nname = \"a\"", "secret-file"),
            (
                "[[zone]]\norigin = \"a.\"\nfile = \"x\"\n[[zone]]\norigin = \"a\"\nfile = \"y\"",
                "zone.origin",
            ),
            (
                "[[fallback]]\nsuffix = \"a\"\norder = \"governed-first\"\nfall-through-on = [\"denied\"]",
                "fall-through-on",
            ),
        ] {
            let error = Config::parse(text, Path::new("k.toml"), Path::new("")).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert!(error.to_string().starts_with("k.toml"), "{error}");
        }
    }

    #[test]
    fn relative_paths_are_beside_the_file() {
        let text = "[node]\ndata-dir = \"d\"\n[[zone]]\norigin = \"a\"\nfile = \"a.zone\"";
        let config = Config::parse(text, Path::new("/etc/k.toml"), Path::new("/etc")).unwrap();
        assert_eq!(config.store_path(), Path::new("/etc/d/index.redb"));
        assert_eq!(config.admin_socket, Path::new("/etc/d/admin.sock"));
        assert_eq!(
            config.zones.values().next().unwrap(),
            Path::new("/etc/a.zone")
        );
    }

    #[test]
    fn an_api_that_would_be_open_or_could_not_be_used_is_a_fault() {
        for (text, expected) in [
            ("[api]\nlisten = [\"192.0.2.1:8053\"]", "api.listen"),
            ("[api]\nlisten = [\"[::]:8053\"]", "loopback"),
            ("[api]\ncertificate = \"x\"", "api.key"),
            ("[api]\nkey = \"x\"", "api.certificate"),
            ("[api]\nclient-ca = \"x\"", "api.client-ca"),
            (
                "[[api.clients]]\nidentity=\"dns:a\"\nrights=[\"read\"]",
                "client-ca",
            ),
            (
                "[api]\ncertificate = \"x\"\nkey = \"x\"\nclient-ca = \"x\"\n[[api.clients]]\n\
                 identity = \"a\"\nrights = [\"read\"]",
                "api.clients.identity",
            ),
            (
                "[api]\ncertificate = \"x\"\nkey = \"x\"\nclient-ca = \"x\"\n[[api.clients]]\n\
                 identity = \"dns:a\"\nrights = [\"all\"]",
                "api.clients.rights",
            ),
            (
                "[api]\ncertificate = \"x\"\nkey = \"x\"\nclient-ca = \"x\"\n[[api.clients]]\n\
                 identity = \"dns:a\"\nrights = []",
                "api.clients.rights",
            ),
        ] {
            let error = Config::parse(text, Path::new("k.toml"), Path::new("")).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
