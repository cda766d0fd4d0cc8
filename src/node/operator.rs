//! What only the node as a whole can do: reload, verify, look for trouble.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::adapters::audit_file::newest;
use crate::adapters::clock::SystemClock;
use crate::adapters::dns::Responder;
use crate::adapters::http::PROTOCOLS;
use crate::adapters::keys::command::SignerCommand;
use crate::adapters::legacy::sources::SourcePlan;
use crate::adapters::peers::Peer;
use crate::adapters::spool::unnamed_file;
use crate::base::keys::PublicKey;
use crate::config::{Config, Encrypted};
use crate::index::memory::MemoryIndex;
use crate::index::place::scope_name;
use crate::index::replica::ReplicaView;
use crate::index::state::ScopeNo;
use crate::index::verify::{Progress, verify};
use crate::index::view::IndexView;
use crate::service::audit::{Event, Record, Wanted, bounded};
use crate::service::callers::Callers;
use crate::service::governor::Health;
use crate::service::keyring::Keyring;
use crate::service::leases::{Leases, SharedCheckRules};
use crate::service::ports::{
    Acquaintance, Clock, Level, Operations, Ourselves, Spool, Store, Symptom, Verified,
};
use crate::service::query_log::QueryLog;
use crate::service::resolver::{Resolver, error_chain};
use crate::service::secure_channel::{DnsChannels, SecureChannel};

use super::Production;
use super::assemble::{StartError, open_query_log};
use super::designation::Listening;
use super::guard;
use super::leases;
use super::observer::{ObserveClients, Watched};
use super::peers::{self, Following, node_key};
use super::setup::{DNS_PROTOCOLS, legacy, prepare};

/// A lineage ahead of the clock by more than this means that a clock jumped.
const CLOCK_SLACK_MS: u64 = 60_000;

/// Commits between two lines about a long verification.
const PROGRESS_COMMITS: u64 = 10_000;

/// The node seen from above.
pub(super) struct Operator {
    source: Option<PathBuf>,
    listening: Listening,
    /// Where the audit log is since the start.
    audit_path: Option<PathBuf>,
    running: Mutex<Running>,
    parts: Observed,
}

/// The parts that it looks at and reloads.
pub(super) struct Observed {
    pub(super) resolver: Arc<Resolver<Production>>,
    pub(super) keyring: Arc<Keyring>,
    /// The program that has more keys, if there is one.
    pub(super) signer: Option<Arc<SignerCommand>>,
    pub(super) health: Health,
    pub(super) callers: Arc<Callers>,
    /// TLS of the admin API, where this process serves it.
    pub(super) channel: Option<SecureChannel>,
    pub(super) responder: Responder<Production>,
    pub(super) leases: Leases,
    pub(super) check_rules: SharedCheckRules,
    /// TLS of the DNS listeners.
    pub(super) channels: Option<DnsChannels>,
    pub(super) following: Following,
    /// Networks whose monitoring may look.
    pub(super) observers: ObserveClients,
    /// What is written down of questions.
    pub(super) query_log: QueryLog,
}

impl Observed {
    /// What monitoring shares with it.
    pub(super) fn watched(&self) -> Watched {
        Watched {
            health: Arc::clone(&self.health),
            clients: Arc::clone(&self.observers),
            query_log: self.query_log.clone(),
        }
    }
}

/// What is in force.
struct Running {
    config: Config,
    plan: SourcePlan,
}

impl Operator {
    pub(super) fn new(
        config: Config,
        source: Option<PathBuf>,
        listening: Listening,
        plan: SourcePlan,
        parts: Observed,
    ) -> Self {
        Self {
            source,
            listening,
            audit_path: config.audit.as_ref().map(|audit| audit.path.clone()),
            running: Mutex::new(Running { config, plan }),
            parts,
        }
    }

    fn reread(&self) -> Result<Vec<String>, StartError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let config = match &self.source {
            Some(path) => Config::read(path)?,
            None => running.config.clone(),
        };
        let prepared = prepare(&config, self.parts.resolver.store(), &self.listening)?;
        let mut lines = prepared.notices;
        lines.extend(needs_restart(&running.config, &config));
        // The cache stays warm unless the upstreams or its own settings changed.
        let same = running.plan == prepared.plan && running.config.legacy == config.legacy;
        let telemetry = self.parts.resolver.telemetry();
        let fresh = (!same).then(|| legacy(&config, &prepared.plan, telemetry));
        let fresh = fresh.transpose()?;
        let secure = match (&self.parts.channel, &config.api.tls) {
            (Some(channel), Some(files)) => Some((channel, files.server(PROTOCOLS)?)),
            _ => None,
        };
        let query_log = open_query_log(&config)?;
        let counts = (prepared.setup.apexes.len(), prepared.setup.zones.len());
        let parts = &self.parts;
        parts
            .leases
            .set_rules(leases::rules(&config))
            .map_err(|error| StartError::Leases(error.to_string()))?;
        leases::place(&config, &parts.leases);
        parts
            .check_rules
            .store(Arc::new(leases::check_rules(&config)));
        // Before the setup: answers that were kept without reasons, or by another guard, end with that.
        parts.query_log.replace(query_log);
        guard::replace(parts.responder.guard(), prepared.guard);
        parts.resolver.replace(prepared.setup, fresh);
        parts.resolver.legacy().set_rules(config.cache);
        parts.responder.keys().store(Arc::new(prepared.tsig));
        if let (Some(channels), Some(secure)) = (&parts.channels, &prepared.encrypted) {
            channels.replace(secure, DNS_PROTOCOLS);
        }
        if let Some(endpoint) = parts.following.peers.get() {
            endpoint.replace(&config.peers.peers);
        } else if running.config.peers.peers != config.peers.peers {
            lines.push("warning: the first peers are reached from the next start on".to_owned());
        }
        parts
            .observers
            .store(Arc::new(config.observe.clients.clone()));
        parts.callers.replace_clients(config.api.clients.clone());
        if let Some((channel, secure)) = secure {
            channel.replace(secure);
        }
        *running = Running {
            config,
            plan: prepared.plan,
        };
        lines.push(format!(
            "serving {} apex(es) and {} zone(s)",
            counts.0, counts.1
        ));
        Ok(lines)
    }

    fn look_at_signer(&self) -> Option<Symptom> {
        let what = "signer";
        Some(match self.parts.signer.as_ref()?.keys() {
            Ok(keys) => {
                let message = format!("it signs with {} key(s)", keys.len());
                symptom(Level::Ok, what, message, None)
            }
            Err(error) => {
                let hint = "changes of scopes whose quorum needs it fail; answers go on";
                symptom(Level::Fail, what, error_chain(&error), Some(hint))
            }
        })
    }

    fn look_at_audit(&self) -> Option<Symptom> {
        let state = self.parts.resolver.audit().state()?;
        let what = "audit log";
        let (batches, lost) = (state.head.map_or(0, |head| head.batches), state.lost);
        Some(match &state.failing {
            Some(error) => {
                let message = format!("it cannot be written: {error}; {lost} event(s) lost");
                let hint = "make room or mend the disk; answers go on, and the log when it can";
                symptom(Level::Fail, what, message, Some(hint))
            }
            None if lost > 0 => {
                let message = format!("{batches} batches; {lost} event(s) lost since the start");
                let hint = "`kedge audit` shows the gap and its cause";
                symptom(Level::Warn, what, message, Some(hint))
            }
            None => symptom(Level::Ok, what, format!("{batches} batches"), None),
        })
    }

    fn look_at_scopes(&self, symptoms: &mut Vec<Symptom>) -> Result<(), String> {
        let snapshot = self.parts.resolver.store().latest();
        let setup = self.parts.resolver.setup();
        let read = |error: &dyn std::error::Error| error_chain(error);
        let now = SystemClock.now();
        for no in 0..snapshot.scope_count().map_err(|error| read(&error))? {
            let no = ScopeNo(no);
            let Some(state) = snapshot.scope(no).map_err(|error| read(&error))? else {
                continue;
            };
            let name = scope_name(snapshot.as_ref(), &setup.apexes, no)
                .map_err(|error| read(&error))?
                .map_or_else(|| state.uid.short(), |name| name.to_string());
            let held: u64 = self
                .parts
                .keyring
                .seats(&state.descriptor)
                .iter()
                .filter_map(|key| state.descriptor.anchors.seat_of(&key.public()))
                .map(|(_, anchor)| u64::from(anchor.weight))
                .sum();
            let needed = state.descriptor.quorum_weight();
            let what = format!("scope {name}");
            symptoms.extend(
                peers::look_at_recovery(snapshot.as_ref(), &state, &what)
                    .map_err(|error| read(&error))?,
            );
            let fork = snapshot.fork(&state.uid).map_err(|error| read(&error))?;
            let mirror = snapshot.mirror(&state.uid).map_err(|error| read(&error))?;
            let council = &self.parts.following.council;
            if let Some(fork) = fork {
                symptoms.push(peers::look_at_fork(what, &fork));
            } else if let Some(quarantine) = council.quarantine(&state.uid) {
                symptoms.push(peers::look_at_quarantine(what, &quarantine));
            } else if let Some(concern) = self.parts.following.replicator.concern(&state) {
                symptoms.push(peers::look_at_concern(what, concern));
            } else if mirror.is_some() {
                let replicator = &self.parts.following.replicator;
                let standing = replicator.standing(&state.uid);
                let report = replicator.report(&state).map_err(|error| read(&error))?;
                let seen = (state.height, state.live);
                let how = (&standing, report.as_ref());
                symptoms.push(peers::look_at_mirror(what, how, seen));
            } else if council.network().is_some() && council.is_joint(&state) {
                let message = format!(
                    "height {}, {} entries; seats here hold {held} of the {needed} that decide",
                    state.height, state.live
                );
                symptoms.push(symptom(Level::Ok, &what, message, None));
            } else if held < needed {
                let message = format!("this node holds weight {held} of the {needed} that decide");
                let hint = "put the scope's key files back into the keys directory; if they are lost, \
                            `kedge scope recovery` has the scope above put others in force";
                symptoms.push(symptom(Level::Fail, &what, message, Some(hint)));
            } else if state.head_time > now.plus_millis(CLOCK_SLACK_MS) {
                let message = format!("its last block is of {}, in the future", state.head_time);
                let hint = "the clock went back; changes go on, with times that follow the lineage";
                symptoms.push(symptom(Level::Warn, &what, message, Some(hint)));
            } else {
                let message = format!("height {}, {} entries", state.height, state.live);
                symptoms.push(symptom(Level::Ok, &what, message, None));
            }
        }
        Ok(())
    }
}

fn symptom(level: Level, what: &str, message: String, hint: Option<&str>) -> Symptom {
    Symptom {
        level,
        what: what.to_owned(),
        message,
        hint: hint.map(ToOwned::to_owned),
    }
}

/// Settings that take force at the next start only.
fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    if old.dns != new.dns {
        changed.push("listen.dns");
    }
    let encrypted = |config: &Config| {
        let encrypted = config.encrypted.as_ref();
        encrypted.map(|encrypted| {
            let Encrypted {
                tls, https, quic, ..
            } = encrypted;
            (tls.clone(), https.clone(), quic.clone())
        })
    };
    if encrypted(old) != encrypted(new) {
        changed.push("listen.tls, listen.https or listen.quic");
    }
    if old.http != new.http {
        changed.push("listen.http or [https]");
    }
    if old.peers.listen != new.peers.listen {
        changed.push("listen.peers");
    }
    if old.peers.region != new.peers.region {
        changed.push("node.region");
    }
    if old.admin_socket != new.admin_socket {
        changed.push("listen.admin");
    }
    if old.api.listen != new.api.listen || old.api.tls.is_some() != new.api.tls.is_some() {
        changed.push("api.listen");
    }
    if old.observe.listen != new.observe.listen {
        changed.push("observe.listen");
    }
    if old.data_directory != new.data_directory {
        changed.push("node.data-dir");
    }
    if old.store_cache_bytes != new.store_cache_bytes {
        changed.push("store.cache-mib");
    }
    if old.keys != new.keys {
        changed.push("[keys]");
    }
    if old.audit != new.audit {
        changed.push("[audit]");
    }
    if old.freshness != new.freshness {
        changed.push("[freshness]");
    }
    if old.log != new.log {
        changed.push("log");
    }
    let line = |key| format!("warning: {key} changed; it takes force at the next start");
    changed.into_iter().map(line).collect()
}

impl Operations for Operator {
    fn reload(&self) -> Result<Vec<String>, String> {
        let read = self.reread().map_err(|error| error_chain(&error));
        let error = read.as_ref().err().cloned().map(bounded);
        self.parts.resolver.audit().note(Event::Reload { error });
        read
    }

    fn verify(&self) -> Result<Verified, String> {
        let snapshot = self.parts.resolver.store().latest();
        let mut fresh = MemoryIndex::new();
        let report = verify(snapshot.as_ref(), &mut fresh, |progress| {
            if let Progress::Replayed { done, total } = progress
                && done.is_multiple_of(PROGRESS_COMMITS)
            {
                tracing::info!(done, total, "verifying");
            }
        })
        .map_err(|error| error_chain(&error))?;
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let quorums = report.scopes.iter().map(|scope| scope.quorum);
        Ok(Verified {
            crash_only: count(quorums.filter(|quorum| quorum.is_crash_only()).count()),
            scopes: count(report.scopes.len()),
            blocks: report.rows.blocks,
            proposals: report.proposals,
            entries: report.scopes.iter().map(|scope| scope.live).sum(),
        })
    }

    fn spool(&self) -> Result<Box<dyn Spool>, String> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = &running.config.data_directory;
        let file = unnamed_file(directory, running.config.import_bytes);
        let file = file.map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(Box::new(file))
    }

    fn ourselves(&self) -> Result<Ourselves, String> {
        if let Some(network) = self.parts.following.replicator.network() {
            return Ok(network.ourselves());
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let key = node_key(&running.config).map_err(|error| error_chain(&error))?;
        Ok(Ourselves {
            id: key.public(),
            addresses: running.config.peers.listen.clone(),
            region: running.config.peers.region.clone(),
        })
    }

    fn meet(&self, other: Acquaintance) -> Result<(), String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = Peer {
            id: other.id,
            name: other.id.short(),
            region: other.region,
            addresses: other.addresses,
        };
        let met = running.config.meet(&peer);
        met.map_err(|error| error_chain(&error))?;
        if let Some(endpoint) = self.parts.following.peers.get() {
            endpoint.replace(&running.config.peers.peers);
        }
        Ok(())
    }

    fn met(&self) -> Vec<PublicKey> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.config.met.iter().map(|peer| peer.id).collect()
    }

    fn audit_records(&self, wanted: &Wanted) -> Result<Option<Vec<Record>>, String> {
        let Some(path) = &self.audit_path else {
            return Ok(None);
        };
        let found = newest(path, wanted);
        let found = found.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Some(found))
    }

    fn doctor(&self) -> Vec<Symptom> {
        let mut symptoms = Vec::new();
        if let Some(error) = self.parts.health.load_full() {
            let message = format!("the last change failed: {error}");
            let hint = "make room or mend the disk, then restart the node; answers go on";
            symptoms.push(symptom(Level::Fail, "store", message, Some(hint)));
        }
        if let Err(error) = self.look_at_scopes(&mut symptoms) {
            symptoms.push(symptom(
                Level::Fail,
                "store",
                error,
                Some("run `kedge verify`"),
            ));
        }
        symptoms.extend(self.look_at_signer());
        symptoms.extend(leases::look_at(&self.parts.leases));
        symptoms.extend(self.look_at_audit());
        symptoms.push(guard::look_at(self.parts.responder.guard()));
        if let Some(network) = self.parts.following.replicator.network() {
            symptoms.extend(network.peers().iter().map(peers::look_at_peer));
        }
        if let Some(moves) = self.parts.following.replicator.moves() {
            symptoms.extend(moves.list().iter().filter_map(peers::look_at_move));
        }
        let frozen = self.parts.resolver.learner().frozen().into_iter();
        symptoms.extend(frozen.map(peers::look_at_frozen));
        let beacons = &self.parts.following.beacons;
        symptoms.extend(beacons.evidence().iter().map(peers::look_at_taken_back));
        symptoms.extend(beacons.ahead().into_iter().map(peers::look_at_ahead));
        let setup = self.parts.resolver.setup();
        for zone in setup.zones.values() {
            let message = format!("{} records, serial {}", zone.record_count(), zone.serial());
            symptoms.push(symptom(
                Level::Ok,
                &format!("zone {}", zone.origin()),
                message,
                None,
            ));
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let upstreams: Vec<String> = running
            .plan
            .forward
            .default
            .upstreams
            .iter()
            .map(ToString::to_string)
            .collect();
        symptoms.push(if let Some(recursion) = &running.plan.recursion {
            let judged = if recursion.validates { "" } else { "out" };
            let count = recursion.roots.len();
            let message = format!("from {count} root addresses, with{judged} validation");
            symptom(Level::Ok, "recursion", message, None)
        } else if upstreams.is_empty() {
            let hint = "list some under [legacy] upstreams";
            symptom(
                Level::Warn,
                "upstreams",
                "there are none".to_owned(),
                Some(hint),
            )
        } else {
            symptom(Level::Ok, "upstreams", upstreams.join(", "), None)
        });
        symptoms
    }
}
