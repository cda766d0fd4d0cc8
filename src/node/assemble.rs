//! The parts put together: store, keys, resolver, governor and the admin API's router.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;

use crate::adapters::account::{self, BadAccount};
use crate::adapters::activation::BadHandOver;
use crate::adapters::audit_file::AuditPath;
use crate::adapters::clock::SystemClock;
use crate::adapters::dns::{
    BadCookieSecrets, BadTsigKey, GuardParts, Responder, TsigKeys, TsigKeysInForce,
};
use crate::adapters::http::{Api, PROTOCOLS, router};
use crate::adapters::keys::command::{SignerCommand, SignerError};
use crate::adapters::keys::files::{KeyFileError, KeyFiles, Passphrase};
use crate::adapters::legacy::sources::{BadSources, SourcePlan};
use crate::adapters::peers::PeerEndpointError;
use crate::adapters::query_log_file::QueryLogFile;
use crate::adapters::randomness::SystemRandomness;
use crate::adapters::storage::{JourneyFile, OpenOptions, RedbStore, StoreError};
use crate::adapters::tls_files::TlsFileError;
use crate::adapters::zone_files::ZoneFileError;
use crate::config::{Config, ConfigError};
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;
use crate::service::audit::{Audit, Auditor};
use crate::service::callers::Callers;
use crate::service::changes::{Changes, PlanError};
use crate::service::devices::Devices;
use crate::service::governor::{Governor, Writer};
use crate::service::keyring::Keyring;
use crate::service::leases::{Leases, SharedCheckRules};
use crate::service::moves::Moves;
use crate::service::ports::TokenStore;
use crate::service::query_log::{NewLog, QueryLog, QueryLogWriter};
use crate::service::resolver::Resolver;
use crate::service::secure_channel::{DnsChannels, SecureChannel};
use crate::service::setup::Setup;
use crate::telemetry::Telemetry;

use super::Production;
use super::designation::Listening;
use super::guard;
use super::leases::{self, NodeKeeper};
use super::observer::Watched;
use super::operator::{Observed, Operator};
use super::peers::{Following, NodeChair};
use super::setup::{legacy, prepare};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A directory or file of the node's own.
    #[error("{path} cannot be made or read")]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Leases cannot be taken by other rules now.
    #[error("[leases] cannot be put in force: {0}")]
    Leases(String),
    /// What is on its way cannot be read.
    #[error("moves: {0}")]
    Moves(String),
    /// A key file is wrong.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The program that signs does not.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A certificate or key of TLS is wrong.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// The tokens of the admin API cannot be read.
    #[error("the tokens cannot be read: {0}")]
    Tokens(String),
    /// A zone file is wrong.
    #[error(transparent)]
    Zone(#[from] ZoneFileError),
    /// Legacy DNS cannot be asked as configured.
    #[error("[legacy] cannot be carried out")]
    Legacy(#[from] BadSources),
    /// An apex has another root than the configuration insists on.
    #[error("apex {apex} has root {found}, but the configuration pins {pinned}")]
    Pin {
        /// The apex.
        apex: Name,
        /// The root in the store.
        found: ScopeUid,
        /// The root in the configuration.
        pinned: ScopeUid,
    },
    /// A pinned apex is not in the store.
    #[error("apex {apex} is pinned but not in the store")]
    NoApex {
        /// The apex.
        apex: Name,
    },
    /// A secret that cannot sign.
    #[error("{path} holds no TSIG key")]
    Tsig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadTsigKey,
    },
    /// A file of secrets of cookies.
    #[error("{path} holds no secrets of cookies")]
    Cookies {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadCookieSecrets,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address or socket.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A socket that was handed over is not wanted.
    #[error(transparent)]
    HandedOver(#[from] BadHandOver),
    /// The node cannot go on as the user that it is to be.
    #[error(transparent)]
    Account(#[from] BadAccount),
    /// The query log cannot be written.
    #[error("[query-log] to = {target} cannot be opened")]
    QueryLog {
        /// Where it was to be.
        target: String,
        /// Why.
        source: std::io::Error,
    },
    /// Peers cannot be reached as configured.
    #[error("[listen] peers cannot be carried out: {0}")]
    Peers(#[from] PeerEndpointError),
    /// The demo could not be made.
    #[error("the demo could not be created: {0}")]
    Demo(#[from] PlanError),
}

impl StartError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Config(_) => "`kedge config default` prints every key with its default",
            Self::Store(error) => error.hint(),
            Self::Zone(_) => "`kedge zone check FILE` judges one file; nothing was changed",
            Self::Pin { .. } | Self::NoApex { .. } => {
                "is this the right data directory? `kedge scope show APEX` prints its root"
            }
            Self::Listen { source, .. } => match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "another server listens there; stop it or choose another port under [listen]"
                }
                std::io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need CAP_NET_BIND_SERVICE"
                }
                _ => "is it an address of this machine?",
            },
            Self::HandedOver(_) => {
                "the socket unit and [listen] name the same addresses; docs/OPERATIONS.md, \
                 \"Sockets from systemd\""
            }
            Self::Account(_) => {
                "start the node as root or as that user; `useradd --system NAME` makes one"
            }
            Self::QueryLog { .. } => "does its directory exist, and may this user write there?",
            Self::Io { .. } => "check that the directory exists and is writable",
            Self::Tsig { .. } => "`openssl rand -base64 32` makes a secret",
            Self::Cookies { .. } => "`openssl rand -hex 16` makes a secret",
            Self::Key(KeyFileError::Locked { .. }) => {
                "[keys] passphrase-file names the file that decrypts it"
            }
            Self::Signer(_) => "[keys] signer names the program; docs/OPERATIONS.md its protocol",
            Self::Tls(_) => {
                "[listen] and [api] name the files of TLS; openssl x509 -in FILE -text shows one"
            }
            Self::Tokens(_) => "run `kedge verify`, then restore a backup",
            Self::Peers(_) => "are these addresses of this machine, with ports that are free?",
            Self::Key(_) | Self::Leases(_) | Self::Legacy(_) | Self::Moves(_) | Self::Demo(_) => {
                return None;
            }
        })
    }
}

/// Goes on as the user of the configuration, if it names one, for good. To be called once ports are
/// bound, and before anything is made that is to be that user's.
pub fn go_on_as_user(config: &Config) -> Result<(), StartError> {
    match &config.user {
        Some(user) => Ok(account::go_on_as(user, &config.data_directory)?),
        None => Ok(()),
    }
}

/// A node that is put together but answers nothing yet.
pub struct Node {
    /// Answers questions.
    pub resolver: Arc<Resolver<Production>>,
    /// The same over the wire, with keys and a guard.
    pub responder: Responder<Production>,
    /// TLS of the DNS listeners, if there are any.
    pub channels: Option<DnsChannels>,
    /// The admin API.
    pub api: Arc<Api<Production>>,
    /// The admin API's router.
    pub router: Router,
    /// The writer, to be run on a thread of its own.
    pub writer: Writer<RedbStore, SystemClock>,
    /// The keeper of leases, to be run on another.
    pub keeper: NodeKeeper,
    /// How instances are checked; replaced by a reload.
    pub check_rules: SharedCheckRules,
    /// The writer of the audit log, to be run on another; none if no log is kept.
    pub auditor: Option<Auditor<AuditPath, SystemClock>>,
    /// What follows scopes of other nodes.
    pub following: Following,
    /// What monitoring shares with a reload.
    pub(super) watched: Watched,
    /// The writer of the query log, to be run on another thread.
    pub(super) lines: QueryLogWriter,
    /// What has anchors decide together, to be run on a thread of its own.
    pub chair: NodeChair,
    /// What is worth a line at the start.
    pub notices: Vec<String>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

/// Opens the store and the keys and puts the parts together. `source` is the configuration file,
/// which a reload reads again.
pub fn assemble(
    config: &Config,
    source: Option<PathBuf>,
    listening: Vec<SocketAddr>,
) -> Result<Node, StartError> {
    let listening = Listening::planned(listening, config);
    assemble_with(config, source, listening, None)
}

/// The certificate and key of the admin API; none where it has none.
pub fn secure(config: &Config) -> Result<Option<SecureChannel>, StartError> {
    let tls = config.api.tls.as_ref();
    let loaded = tls.map(|files| files.server(PROTOCOLS)).transpose()?;
    Ok(loaded.map(SecureChannel::new))
}

/// The same, with the channel that a reload gives the certificates read anew.
pub(super) fn assemble_with(
    config: &Config,
    source: Option<PathBuf>,
    listening: Listening,
    channel: Option<SecureChannel>,
) -> Result<Node, StartError> {
    let store = store(config)?;
    let key_files = key_files(config)?;
    let signer = signer(config);
    let keyring = keyring(&key_files, signer.as_ref())?;
    let prepared = prepare(config, &store, &listening)?;
    let channels = prepared.channels();
    // With the store open no other process writes the log.
    let (audit, auditor) = audit_log(config);
    let (leases, keeper, check_rules) = leases::open(config, &store)?;
    let reported = (&audit, &leases);
    let resolver = resolver(config, &store, (prepared.setup, &prepared.plan), reported)?;
    let (governor, writer) = Governor::new(Arc::clone(&store), Arc::clone(&keyring), SystemClock);
    let health = governor.health();
    let devices = devices(&store, &governor, &resolver);
    let writer = writer.with_audit(audit).with_leases(leases.look_again());
    let deciding = (&governor, &keyring);
    let told = (writer, resolver.as_ref(), &leases);
    let (following, writer, chair) = Following::new(config, &store, deciding, told)?;
    let chance = (SystemRandomness, SystemClock);
    let callers = callers(config, &store)?;
    let kept = Arc::clone(&store);
    let changes = Changes::new(store, governor, Arc::clone(&keyring), chance, key_files)
        .with_council(following.council.clone());
    let changes = Arc::new(changes);
    let moves = moves(config, kept, &changes, &following)?;
    let (query_log, lines) = QueryLog::new();
    let on_the_wire = (prepared.tsig, prepared.guard, &query_log);
    let responder = responder(&resolver, on_the_wire);
    let parts = Observed {
        resolver: Arc::clone(&resolver),
        keyring,
        signer,
        health,
        callers: Arc::clone(&callers),
        channel,
        responder: responder.clone(),
        leases: leases.clone(),
        check_rules: Arc::clone(&check_rules),
        channels: channels.clone(),
        following: following.clone(),
        query_log: query_log.clone(),
        observers: Arc::new(ArcSwap::from_pointee(config.observe.clients.clone())),
    };
    let watched = parts.watched();
    let operator = Operator::new(config.clone(), source, listening, prepared.plan, parts);
    let api = Arc::new(Api {
        resolver: Arc::clone(&resolver),
        changes,
        moves,
        devices,
        leases,
        callers,
        replicator: Arc::clone(&following.replicator),
        operations: Arc::new(operator),
    });
    Ok(Node {
        resolver,
        responder,
        channels,
        router: router(Arc::clone(&api)),
        api,
        writer,
        keeper,
        check_rules,
        auditor,
        following,
        watched,
        lines,
        chair,
        notices: prepared.notices,
    })
}

fn store(config: &Config) -> Result<Arc<RedbStore>, StartError> {
    make_directory(&config.data_directory)?;
    let options = OpenOptions {
        cache_bytes: config.store_cache_bytes,
    };
    Ok(Arc::new(RedbStore::open(&config.store_path(), options)?))
}

/// What answers, with where it reports to and what it counts.
fn resolver(
    config: &Config,
    store: &Arc<RedbStore>,
    (setup, plan): (Setup, &SourcePlan),
    (audit, leases): (&Audit, &Leases),
) -> Result<Arc<Resolver<Production>>, StartError> {
    let telemetry = Arc::<Telemetry>::default();
    let legacy = legacy(config, plan, &telemetry)?;
    let resolver = Resolver::new(Arc::clone(store), setup, legacy)
        .with_audit(audit.clone())
        .with_telemetry(telemetry)
        .with_services(leases.table());
    Ok(Arc::new(resolver))
}

/// Entries that are on their way, and who peers bring them to.
fn moves(
    config: &Config,
    store: Arc<RedbStore>,
    changes: &Arc<Changes<Production>>,
    following: &Following,
) -> Result<Arc<Moves<Production>>, StartError> {
    let kept = Arc::new(JourneyFile::open(&config.moves_path())?);
    let council = following.council.clone();
    let moves = Moves::new(store, Arc::clone(changes), (council, SystemClock), kept);
    let moves = Arc::new(moves.map_err(StartError::Moves)?);
    following.replicator.attend(Arc::clone(&moves));
    Ok(moves)
}

/// What makes replies of messages.
fn responder(
    resolver: &Arc<Resolver<Production>>,
    (keys, guard, query_log): (TsigKeys, GuardParts, &QueryLog),
) -> Responder<Production> {
    let keys = TsigKeysInForce::new(ArcSwap::from_pointee(keys));
    Responder::new(Arc::clone(resolver))
        .with_keys(keys)
        .with_log(query_log.clone())
        .with_guard(guard::in_force(guard))
}

fn devices(
    store: &Arc<RedbStore>,
    governor: &Governor,
    resolver: &Resolver<Production>,
) -> Devices<Production> {
    Devices::new(
        Arc::clone(store),
        governor.clone(),
        (SystemRandomness, SystemClock),
        resolver.presences(),
        resolver.audit().clone(),
    )
}

/// The key files as configured.
pub fn key_files(config: &Config) -> Result<KeyFiles, KeyFileError> {
    let passphrase = config.keys.passphrase_file.as_deref();
    let passphrase = passphrase.map(Passphrase::read).transpose()?;
    Ok(KeyFiles::new(config.key_directory(), passphrase))
}

/// The program that signs, if there is one.
pub fn signer(config: &Config) -> Option<Arc<SignerCommand>> {
    let (program, arguments) = config.keys.signer.split_first()?;
    let command = SignerCommand::new(program.clone(), arguments.to_vec());
    Some(Arc::new(command))
}

/// Every key of the files and of the program. Like a bad key file, a program that does not answer
/// stops all.
fn keyring(
    files: &KeyFiles,
    signer: Option<&Arc<SignerCommand>>,
) -> Result<Arc<Keyring>, StartError> {
    let keyring = Keyring::new(files.load()?);
    if let Some(signer) = signer {
        signer.keys()?.into_iter().for_each(|key| keyring.add(key));
    }
    Ok(Arc::new(keyring))
}

fn make_directory(directory: &Path) -> Result<(), StartError> {
    // Who can read the store can read every name, also those that policy hides.
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(directory);
    made.map_err(|source| StartError::Io {
        path: directory.to_owned(),
        source,
    })
}

fn callers(config: &Config, store: &Arc<RedbStore>) -> Result<Arc<Callers>, StartError> {
    let tokens: Arc<dyn TokenStore> = Arc::<RedbStore>::clone(store);
    let clients = config.api.clients.clone();
    let callers = Callers::load(tokens, SystemRandomness, clients).map_err(StartError::Tokens)?;
    Ok(Arc::new(callers))
}

/// The query log as configured, its file open; none if it is off.
pub(super) fn open_query_log(config: &Config) -> Result<Option<NewLog>, StartError> {
    let Some(wanted) = &config.query_log else {
        return Ok(None);
    };
    let sink = QueryLogFile::open(wanted.target.clone());
    let sink = sink.map_err(|source| StartError::QueryLog {
        target: wanted.target.to_string(),
        source,
    })?;
    Ok(Some(NewLog {
        rules: wanted.rules,
        sink: Box::new(sink),
    }))
}

/// The audit log and its writer, if one is kept.
fn audit_log(config: &Config) -> (Audit, Option<Auditor<AuditPath, SystemClock>>) {
    match &config.audit {
        None => (Audit::off(), None),
        Some(wanted) => {
            let file = AuditPath::new(wanted.path.clone());
            let (audit, auditor) = Auditor::new(file, SystemClock, wanted.rotate_bytes);
            (audit, Some(auditor))
        }
    }
}
