//! From a configuration to what the resolver works with. Nothing is half applied: any fault gives
//! an error and leaves everything as it was.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;

use crate::adapters::clock::SystemClock;
use crate::adapters::dns::{GuardParts, HTTPS_PROTOCOLS, QUIC_PROTOCOLS, TsigKeys};
use crate::adapters::keys::files::load_shared_secret;
use crate::adapters::legacy::roots::{
    QUERIES_PER_QUESTION_MAX, RecursionPlan, built_in_roots, read_anchors, read_hints,
};
use crate::adapters::legacy::sources::{BadSources, SourcePlan, Sources};
use crate::adapters::legacy::system::system_resolvers;
use crate::adapters::legacy::upstream::{ForwardPlan, Upstream, UpstreamGroup};
use crate::adapters::randomness;
use crate::adapters::storage::RedbStore;
use crate::adapters::zone_files::{self, LoadedZone};
use crate::config::Config;
use crate::index::place::{Apex, apex_of, held_apexes};
use crate::namespace::name::Name;
use crate::resolution::fallback::{Order, Rule, Rules};
use crate::resolution::zone::Zone;
use crate::service::legacy_cache::{CachedLegacy, LegacyCacheSettings};
use crate::service::ports::Store;
use crate::service::secure_channel::{DnsChannels, DnsProtocols};
use crate::service::setup::{Access, Setup};
use crate::telemetry::Telemetry;

use super::assemble::StartError;
use super::designation::{Listening, designated};
use super::guard;

/// What clients may call what they speak; DNS over TLS has no other name (RFC 7858 section 3.1).
pub(super) const DNS_PROTOCOLS: DnsProtocols = DnsProtocols {
    tls: &[b"dot"],
    https: HTTPS_PROTOCOLS,
    quic: QUIC_PROTOCOLS,
};

/// Memory of a message that recursion keeps: parsed, with its keys and signatures. Recursion gets
/// as many of them as the cache of answers has bytes for.
const MESSAGE_BYTES_TYPICAL: u64 = 2_048;

/// The files to serve, by origin. A zone written down wins over one found in the directory.
pub fn zone_sources(config: &Config) -> Result<BTreeMap<Name, PathBuf>, StartError> {
    let mut sources = BTreeMap::new();
    if let Some(directory) = &config.zone_directory
        && (directory.required || directory.path.is_dir())
    {
        for (path, origin) in zone_files::list(&directory.path)? {
            sources.insert(origin, path);
        }
    }
    sources.extend(
        config
            .zones
            .iter()
            .map(|(origin, path)| (origin.clone(), path.clone())),
    );
    Ok(sources)
}

/// Reads every zone; one that is wrong stops all.
pub fn load_zones(sources: &BTreeMap<Name, PathBuf>) -> Result<Vec<LoadedZone>, StartError> {
    sources
        .iter()
        .map(|(origin, path)| Ok(zone_files::load(path, origin)?))
        .collect()
}

/// Everything that a reload replaces.
pub(super) struct Prepared {
    pub(super) setup: Setup,
    pub(super) plan: SourcePlan,
    pub(super) tsig: TsigKeys,
    pub(super) guard: GuardParts,
    /// TLS of the DNS listeners, if there are any.
    pub(super) encrypted: Option<ServerConfig>,
    pub(super) notices: Vec<String>,
}

impl Prepared {
    /// TLS of the listeners of DNS, if there are any, before a reload first replaces it.
    pub(super) fn channels(&self) -> Option<DnsChannels> {
        let encrypted = self.encrypted.as_ref();
        encrypted.map(|config| DnsChannels::new(config, DNS_PROTOCOLS))
    }
}

pub(super) fn prepare(
    config: &Config,
    store: &RedbStore,
    listening: &Listening,
) -> Result<Prepared, StartError> {
    let mut notices = Vec::new();
    let mut zones: BTreeMap<Name, Arc<Zone>> = BTreeMap::new();
    for loaded in load_zones(&zone_sources(config)?)? {
        notices.extend(
            loaded
                .warnings
                .iter()
                .map(|warning| format!("warning: {warning}")),
        );
        zones.insert(loaded.zone.origin().clone(), Arc::new(loaded.zone));
    }
    let apexes = apexes(config, store)?;
    for origin in zones.keys() {
        if let Some(apex) = apexes.iter().find(|apex| origin.is_within(&apex.name)) {
            let rules = config
                .rules
                .iter()
                .any(|rule| origin.is_within(&rule.suffix));
            if !rules {
                let name = &apex.name;
                notices.push(format!(
                    "warning: zone {origin} lies below apex {name}, which is governed-only: it is \
                     never asked; write a [[fallback]] rule for it"
                ));
            }
        }
    }
    notices.extend(idle_rules(&config.rules, &apexes));
    let plan = source_plan(config, &listening.dns, &mut notices)?;
    let forwards = plan.asks_anybody();
    let setup = Setup {
        apexes,
        zones,
        rules: Rules::new(config.rules.clone()),
        routes: config.legacy.routes.keys().cloned().collect(),
        designated: designated(config, listening, &mut notices)?,
        access: Access {
            query: config.query.clone(),
            recurse: config.recurse.clone(),
        },
        deadline_ms: config.legacy.deadline_ms,
        presence_secs: config.presence_secs,
        forwards,
    };
    Ok(Prepared {
        setup,
        plan,
        tsig: tsig_keys(config)?,
        guard: guard::parts(config)?,
        encrypted: match &config.encrypted {
            Some(encrypted) => Some(encrypted.files.server(&[])?),
            None => None,
        },
        notices,
    })
}

/// The keys that questions may be signed with, from their files.
fn tsig_keys(config: &Config) -> Result<TsigKeys, StartError> {
    let mut keys = TsigKeys::default();
    for (name, file) in &config.tsig {
        let secret = load_shared_secret(&file.path)?;
        keys.add(name.clone(), file.algorithm, &secret)
            .map_err(|source| StartError::Tsig {
                path: file.path.clone(),
                source,
            })?;
    }
    Ok(keys)
}

/// Rules for governed names that hand nothing to legacy DNS because no legacy name is eligible.
fn idle_rules(rules: &[Rule], apexes: &[Apex]) -> Vec<String> {
    let idle = |rule: &&Rule| {
        apex_of(apexes, &rule.suffix).is_some()
            && rule.order != Order::GovernedOnly
            && rule.map_to.is_none()
            && rule.eligible_zones.is_empty()
    };
    let line = |rule: &Rule| {
        format!(
            "warning: the rule for {} is {} but names no eligible-zones and no map-to, so legacy \
             DNS is never asked",
            rule.suffix, rule.order
        )
    };
    rules.iter().filter(idle).map(line).collect()
}

/// The apexes of the store, each with the root that the configuration insists on; and, where other
/// nodes can be asked, those that it names and the store does not hold.
fn apexes(config: &Config, store: &RedbStore) -> Result<Vec<Apex>, StartError> {
    let mut apexes = held_apexes(store.latest().as_ref()).map_err(StartError::Store)?;
    for (name, pinned) in &config.pins {
        match apexes.iter().find(|apex| apex.name == *name) {
            Some(apex) if apex.root == *pinned => {}
            Some(apex) => {
                return Err(StartError::Pin {
                    apex: name.clone(),
                    found: apex.root,
                    pinned: *pinned,
                });
            }
            None if !config.peers.peers.is_empty() => apexes.push(Apex {
                name: name.clone(),
                root: *pinned,
            }),
            None => return Err(StartError::NoApex { apex: name.clone() }),
        }
    }
    Ok(apexes)
}

/// Legacy DNS as configured, its files read. A plan that cannot be carried out is a fault.
pub fn legacy_sources(config: &Config) -> Result<Sources, StartError> {
    let plan = source_plan(config, &config.dns, &mut Vec::new())?;
    Ok(Sources::new(plan, randomness::fill)?)
}

fn source_plan(
    config: &Config,
    listening: &[SocketAddr],
    notices: &mut Vec<String>,
) -> Result<SourcePlan, StartError> {
    let recursion = recursion_plan(config)?;
    let authorities_pem = match &config.legacy.tls_ca {
        Some(path) => Some(
            std::fs::read_to_string(path).map_err(|source| StartError::Io {
                path: path.clone(),
                source,
            })?,
        ),
        None => None,
    };
    let forward = match &recursion {
        Some(plan) => {
            notices.push(recursion_notice(plan));
            ForwardPlan {
                routes: config.legacy.routes.clone(),
                deadline_ms: config.legacy.deadline_ms,
                ..ForwardPlan::default()
            }
        }
        None => forward_plan(config, listening, notices),
    };
    Ok(SourcePlan {
        forward: ForwardPlan {
            authorities_pem,
            cookies: config.legacy.cookies,
            ..forward
        },
        recursion,
    })
}

fn recursion_plan(config: &Config) -> Result<Option<RecursionPlan>, StartError> {
    let Some(written) = &config.legacy.recursion else {
        return Ok(None);
    };
    let hints = written.root_hints.as_deref().map(read_hints).transpose();
    let anchors = written.trust_anchors.as_deref().map(read_anchors);
    Ok(Some(RecursionPlan {
        roots: hints
            .map_err(BadSources::from)?
            .unwrap_or_else(built_in_roots),
        anchors: anchors.transpose().map_err(BadSources::from)?,
        validates: written.validates,
        negative_anchors: written.negative_anchors.clone(),
        denied: written.denied.clone(),
        allowed: written.allowed.clone(),
        port: written.port,
        queries_max: QUERIES_PER_QUESTION_MAX,
        messages_kept_max: (config.legacy.cache_bytes / MESSAGE_BYTES_TYPICAL).max(1_024),
    }))
}

fn recursion_notice(plan: &RecursionPlan) -> String {
    let judged = if !plan.validates {
        "without validation".to_owned()
    } else if plan.negative_anchors.is_empty() {
        "validated".to_owned()
    } else {
        let names = plan.negative_anchors.iter().map(ToString::to_string);
        let names = names.collect::<Vec<_>>().join(", ");
        format!("validated but for {names} (negative trust anchors)")
    };
    let count = plan.roots.len();
    format!("other names are resolved from the root down, {count} root addresses, {judged}")
}

fn forward_plan(
    config: &Config,
    listening: &[SocketAddr],
    notices: &mut Vec<String>,
) -> ForwardPlan {
    let mut default = config.legacy.default.clone();
    let mut from_system = Vec::new();
    if config.legacy.system {
        let system = system_resolvers(listening);
        for address in &system.ourselves {
            notices.push(format!(
                "warning: the system's resolver {address} is this node; it is not asked"
            ));
        }
        from_system = system.usable;
        default
            .upstreams
            .extend(from_system.iter().copied().map(Upstream::plain));
    }
    notices.push(forward_notice(config, &default, !from_system.is_empty()));
    ForwardPlan {
        default,
        routes: config.legacy.routes.clone(),
        deadline_ms: config.legacy.deadline_ms,
        ..ForwardPlan::default()
    }
}

/// The one line that says where other names go.
fn forward_notice(config: &Config, default: &UpstreamGroup, has_system: bool) -> String {
    let addresses: Vec<String> = default.upstreams.iter().map(ToString::to_string).collect();
    match (addresses.is_empty(), config.legacy.system) {
        (false, true) if has_system => {
            format!(
                "other names are forwarded to the system's resolvers: {}",
                addresses.join(", ")
            )
        }
        (false, _) => format!("other names are forwarded to {}", addresses.join(", ")),
        (true, true) => "the system names no resolvers: other names are not resolved".to_owned(),
        (true, false) => "no upstreams are configured: other names are not resolved".to_owned(),
    }
}

/// Legacy DNS as planned.
pub(super) fn legacy(
    config: &Config,
    plan: &SourcePlan,
    telemetry: &Telemetry,
) -> Result<CachedLegacy<Sources, SystemClock>, StartError> {
    let sources = Sources::new(plan.clone(), randomness::fill)?.with_counts(telemetry.legacy());
    let settings = LegacyCacheSettings {
        bytes_max: config.legacy.cache_bytes,
        stale_secs_max: config.legacy.stale_secs,
        rules: config.cache,
        ..LegacyCacheSettings::default()
    };
    Ok(CachedLegacy::new(sources, SystemClock, settings))
}
