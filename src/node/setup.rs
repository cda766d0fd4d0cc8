//! From a configuration to what the resolver works with. Nothing is half applied: any fault gives
//! an error and leaves everything as it was.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::adapters::clock::SystemClock;
use crate::adapters::legacy::forwarder::Forwarder;
use crate::adapters::legacy::system::system_resolvers;
use crate::adapters::legacy::upstream::{ForwardPlan, Upstream, UpstreamGroup};
use crate::adapters::storage::RedbStore;
use crate::adapters::zone_files::{self, LoadedZone};
use crate::config::Config;
use crate::index::place::{Apex, apex_of};
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::resolution::fallback::{Order, Rule, Rules};
use crate::resolution::zone::Zone;
use crate::service::legacy_cache::{CachedLegacy, LegacyCacheSettings};
use crate::service::ports::Store;
use crate::service::resolver::{Access, Setup};

use super::assemble::StartError;

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
    pub(super) plan: ForwardPlan,
    pub(super) notices: Vec<String>,
}

pub(super) fn prepare(
    config: &Config,
    store: &RedbStore,
    listening: &[SocketAddr],
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
    let plan = forward_plan(config, listening, &mut notices);
    let forwards = !plan.default.upstreams.is_empty()
        || plan
            .routes
            .values()
            .any(|group| !group.upstreams.is_empty());
    let setup = Setup {
        apexes,
        zones,
        rules: Rules::new(config.rules.clone()),
        routes: config.legacy.routes.keys().cloned().collect(),
        access: Access {
            query: config.query.clone(),
            recurse: config.recurse.clone(),
        },
        deadline_ms: config.legacy.deadline_ms,
        forwards,
    };
    Ok(Prepared {
        setup,
        plan,
        notices,
    })
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

/// The apexes of the store, each with the root that the configuration insists on.
fn apexes(config: &Config, store: &RedbStore) -> Result<Vec<Apex>, StartError> {
    let found = store.latest().apexes().map_err(StartError::Store)?;
    let apexes: Vec<Apex> = found
        .into_iter()
        .map(|(name, root)| Apex { name, root })
        .collect();
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
            None => return Err(StartError::NoApex { apex: name.clone() }),
        }
    }
    Ok(apexes)
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
            .extend(from_system.iter().map(|address| Upstream {
                address: *address,
                tcp_only: false,
            }));
    }
    notices.push(forward_notice(config, &default, !from_system.is_empty()));
    ForwardPlan {
        default,
        routes: config.legacy.routes.clone(),
        deadline_ms: config.legacy.deadline_ms,
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

/// The forwarding side of a plan.
pub(super) fn legacy(
    config: &Config,
    plan: &ForwardPlan,
) -> Result<CachedLegacy<Forwarder, SystemClock>, StartError> {
    let forwarder =
        Forwarder::new(plan.clone()).map_err(|error| StartError::Upstreams(error.to_string()))?;
    let settings = LegacyCacheSettings {
        bytes_max: config.legacy.cache_bytes,
        stale_secs_max: config.legacy.stale_secs,
        ..LegacyCacheSettings::default()
    };
    Ok(CachedLegacy::new(forwarder, SystemClock, settings))
}
