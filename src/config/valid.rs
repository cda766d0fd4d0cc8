//! From the file as written to a configuration that can be carried out.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::adapters::legacy::roots::denied_by_default;
use crate::adapters::legacy::upstream::{DNS_PORT, Upstream, UpstreamGroup};
use crate::base::limits::PRESENCE_SECS_MAX;
use crate::namespace::name::Name;
use crate::resolution::fallback::{FallThrough, Order, Rule};

use super::file_v1::{self, File, LogFormat};
use super::{Audit, Config, Keys, Leases, Legacy, Log, Recursion, TsigKeyFile, ZoneDirectory};

/// The key and what is wrong with its value.
pub(super) type Fault = (String, String);

/// Unix socket addresses hold this many bytes on Linux, the last a zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Below this nothing useful can be asked of the network.
const DEADLINE_MS_MIN: u64 = 100;
/// Clients give up long before.
const DEADLINE_MS_MAX: u64 = 60_000;
/// More often a check is a load of its own.
const CHECK_INTERVAL_MS_MIN: u64 = 100;
/// Seldomer it finds out nothing in time.
const CHECK_INTERVAL_MS_MAX: u64 = 3_600_000;
const MIB: usize = 1 << 20;
const BYTES_PER_MIB: u64 = 1 << 20;

/// A name of an account has no more octets (`LOGIN_NAME_MAX` of Linux, without its end).
const USER_BYTES_MAX: usize = 255;

fn user(written: Option<String>) -> Result<Option<String>, Fault> {
    match written {
        Some(user) if user.is_empty() || user.len() > USER_BYTES_MAX || user.contains('\0') => {
            let problem = format!("{user:?} is no name of a user");
            Err(("node.user".into(), problem))
        }
        written => Ok(written),
    }
}

fn check_version(version: u64) -> Result<(), Fault> {
    if version == 1 {
        return Ok(());
    }
    let problem = format!("{version} is not known; this program reads version 1");
    Err(("version".into(), problem))
}

pub(super) fn config(file: File, base: &Path) -> Result<Config, Fault> {
    check_version(file.version)?;
    let data_directory = base.join(&file.node.data_dir);
    let admin_socket = match &file.listen.admin {
        Some(path) => base.join(path),
        None => data_directory.join("admin.sock"),
    };
    if admin_socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let problem = format!("a socket's path has at most {SOCKET_PATH_BYTES_MAX} bytes");
        return Err(("listen.admin".into(), problem));
    }
    Ok(Config {
        user: user(file.node.user)?,
        peers: super::peers::plan(file.node.region, &file.listen.peers, file.peer)?,
        met: Vec::new(),
        dns: each("listen.dns", &file.listen.dns)?,
        encrypted: super::encrypted::encrypted(&file.listen, base)?,
        http: super::encrypted::http(&file.listen, &file.https)?,
        designated_name: super::encrypted::designated_name(&file.ddr)?,
        admin_socket,
        api: super::api::api(file.api, base)?,
        demo: file.demo.enabled,
        zone_directory: Some(match &file.zones.directory {
            Some(path) => ZoneDirectory {
                path: base.join(path),
                required: true,
            },
            None => ZoneDirectory {
                path: base.join("zones"),
                required: false,
            },
        }),
        zones: zones(file.zone, base)?,
        pins: pins(file.apex)?,
        cache: super::cache::rules(&file.cache, file.legacy.stale_secs)?,
        legacy: legacy(file.legacy, base)?,
        rules: file.fallback.iter().map(rule).collect::<Result<_, _>>()?,
        query: each("access.query", &file.access.query)?,
        recurse: each("access.recurse", &file.access.recurse)?,
        guard: super::guard::guard(&file.guard, base)?,
        presence_secs: presence_secs(&file.devices)?,
        tsig: tsig(file.tsig, base)?,
        leases: leases(&file.leases)?,
        freshness: super::freshness::rules(&file.freshness)?,
        regions: super::regions::regions(file.region, file.leases.show)?,
        store_cache_bytes: file.store.cache_mib.max(1).saturating_mul(MIB),
        import_bytes: file.store.import_mib.saturating_mul(BYTES_PER_MIB),
        log: Log {
            json: matches!(file.log.format, LogFormat::Json),
            filter: log_filter(file.log.level)?,
        },
        audit: file.audit.enabled.then(|| Audit {
            path: match &file.audit.file {
                Some(path) => base.join(path),
                None => data_directory.join("audit.log"),
            },
            rotate_bytes: file.audit.rotate_mib.max(1).saturating_mul(BYTES_PER_MIB),
        }),
        keys: Keys {
            passphrase_file: file.keys.passphrase_file.map(|path| base.join(path)),
            signer: signer(file.keys.signer, base),
        },
        observe: super::observe::observe(&file.observe)?,
        query_log: super::query_log::query_log(&file.query_log, base)?,
        data_directory,
    })
}

fn presence_secs(written: &file_v1::Devices) -> Result<u32, Fault> {
    let secs = written.presence_secs;
    if (1..=PRESENCE_SECS_MAX).contains(&secs) {
        return Ok(secs);
    }
    let problem = format!("expected 1 to {PRESENCE_SECS_MAX} seconds");
    Err(("devices.presence-secs".into(), problem))
}

/// A program with a slash in it is a path of this file; any other one is looked up.
fn signer(mut written: Vec<String>, base: &Path) -> Vec<String> {
    if let Some(program) = written.first_mut()
        && program.contains('/')
    {
        *program = base.join(&*program).display().to_string();
    }
    written
}

fn leases(written: &file_v1::Leases) -> Result<Leases, Fault> {
    let bounds = CHECK_INTERVAL_MS_MIN..=CHECK_INTERVAL_MS_MAX;
    let (interval, timeout) = (written.check_interval_ms, written.check_timeout_ms);
    if !bounds.contains(&interval) {
        let problem = format!("expected {CHECK_INTERVAL_MS_MIN} to {CHECK_INTERVAL_MS_MAX}");
        return Err(("leases.check-interval-ms".into(), problem));
    }
    if timeout == 0 || timeout > interval {
        let problem = format!("expected 1 to {interval}, as check-interval-ms is");
        return Err(("leases.check-timeout-ms".into(), problem));
    }
    Ok(Leases {
        check: each("leases.check", &written.check)?,
        check_interval_ms: interval,
        check_timeout_ms: timeout,
        local_addresses: written.local_addresses,
    })
}

pub(super) fn value<T: FromStr>(key: &str, text: &str) -> Result<T, Fault>
where
    T::Err: Display,
{
    text.parse()
        .map_err(|error| (key.to_owned(), format!("{text:?}: {error}")))
}

pub(super) fn each<T: FromStr>(key: &str, texts: &[String]) -> Result<Vec<T>, Fault>
where
    T::Err: Display,
{
    texts.iter().map(|text| value(key, text)).collect()
}

fn once<T>(key: &str, map: &mut BTreeMap<Name, T>, name: Name, what: T) -> Result<(), Fault> {
    if map.contains_key(&name) {
        return Err((key.to_owned(), format!("{name} is written twice")));
    }
    map.insert(name, what);
    Ok(())
}

fn zones(written: Vec<file_v1::Zone>, base: &Path) -> Result<BTreeMap<Name, PathBuf>, Fault> {
    let mut zones = BTreeMap::new();
    for zone in written {
        let origin = value("zone.origin", &zone.origin)?;
        once("zone.origin", &mut zones, origin, base.join(zone.file))?;
    }
    Ok(zones)
}

fn tsig(written: Vec<file_v1::Tsig>, base: &Path) -> Result<BTreeMap<Name, TsigKeyFile>, Fault> {
    let mut keys = BTreeMap::new();
    for key in written {
        let name = value("tsig.name", &key.name)?;
        let file = TsigKeyFile {
            algorithm: value("tsig.algorithm", &key.algorithm)?,
            path: base.join(key.secret_file),
        };
        once("tsig.name", &mut keys, name, file)?;
    }
    Ok(keys)
}

fn pins(
    written: Vec<file_v1::Apex>,
) -> Result<BTreeMap<Name, crate::namespace::scope::ScopeUid>, Fault> {
    let mut pins = BTreeMap::new();
    for apex in written {
        let name = value("apex.name", &apex.name)?;
        once(
            "apex.name",
            &mut pins,
            name,
            value("apex.genesis", &apex.genesis)?,
        )?;
    }
    Ok(pins)
}

fn legacy(written: file_v1::Legacy, base: &Path) -> Result<Legacy, Fault> {
    let recursion = recursion(&written, base)?;
    let system = recursion.is_none() && written.upstreams.iter().any(|text| text == "system");
    let named: Vec<String> = written
        .upstreams
        .into_iter()
        .filter(|text| text != "system")
        .collect();
    let upstreams: Vec<Upstream> = each("legacy.upstreams", &named)?;
    let mut routes = BTreeMap::new();
    for route in written.route {
        let suffix = value("legacy.route.suffix", &route.suffix)?;
        let upstreams = each("legacy.route.upstreams", &route.upstreams)?;
        let group = UpstreamGroup {
            upstreams,
            trust_ad: route.trust_ad,
        };
        once("legacy.route.suffix", &mut routes, suffix, group)?;
    }
    if !(DEADLINE_MS_MIN..=DEADLINE_MS_MAX).contains(&written.deadline_ms) {
        let problem = format!("expected {DEADLINE_MS_MIN} to {DEADLINE_MS_MAX} milliseconds");
        return Err(("legacy.deadline-ms".into(), problem));
    }
    Ok(Legacy {
        system,
        default: UpstreamGroup {
            upstreams,
            trust_ad: written.trust_ad,
        },
        recursion,
        cookies: written.cookies,
        tls_ca: written.tls_ca.map(|path| base.join(path)),
        routes,
        deadline_ms: written.deadline_ms,
        cache_bytes: written.cache_mib.saturating_mul(BYTES_PER_MIB),
        stale_secs: written.stale_secs,
    })
}

/// Recursion, if it is on; if it is not, none of its keys may be there and seem to do something.
fn recursion(written: &file_v1::Legacy, base: &Path) -> Result<Option<Recursion>, Fault> {
    let fault = |key: &str, problem: &str| (format!("legacy.{key}"), problem.to_owned());
    if written.mode == file_v1::Mode::Forward {
        let keys = [
            ("root-hints", written.root_hints.is_some()),
            ("trust-anchors", written.trust_anchors.is_some()),
            ("dnssec", written.dnssec.is_some()),
            (
                "negative-trust-anchors",
                written.negative_trust_anchors.is_some(),
            ),
            ("deny-servers", written.deny_servers.is_some()),
            ("allow-servers", written.allow_servers.is_some()),
            ("server-port", written.server_port.is_some()),
        ];
        let idle = keys.into_iter().find(|(_, is_written)| *is_written);
        return match idle {
            Some((key, _)) => Err(fault(key, "only mode = \"recurse\" has a use for it")),
            None => Ok(None),
        };
    }
    if written.upstreams.iter().any(|text| text != "system") {
        let problem = "mode = \"recurse\" asks the authorities themselves; remove the upstreams, or \
                       give them the names they are for with [[legacy.route]]";
        return Err(fault("upstreams", problem));
    }
    if written.trust_ad {
        let problem = "mode = \"recurse\" validates itself; trust-ad is for a [[legacy.route]]";
        return Err(fault("trust-ad", problem));
    }
    if written.server_port == Some(0) {
        return Err(fault("server-port", "expected 1 to 65535"));
    }
    let networks = |key: &str, written: Option<&Vec<String>>| {
        written
            .map(|nets| each(&format!("legacy.{key}"), nets))
            .transpose()
    };
    let file = |written: Option<&String>| written.map(|path| base.join(path));
    let denied = networks("deny-servers", written.deny_servers.as_ref())?;
    let allowed = networks("allow-servers", written.allow_servers.as_ref())?;
    let negative = written.negative_trust_anchors.as_deref();
    Ok(Some(Recursion {
        root_hints: file(written.root_hints.as_ref()),
        trust_anchors: file(written.trust_anchors.as_ref()),
        validates: written.dnssec != Some(file_v1::Dnssec::Off),
        negative_anchors: each(
            "legacy.negative-trust-anchors",
            negative.unwrap_or_default(),
        )?,
        denied: denied.unwrap_or_else(denied_by_default),
        allowed: allowed.unwrap_or_default(),
        port: written.server_port.unwrap_or(DNS_PORT),
    }))
}

fn rule(written: &file_v1::Fallback) -> Result<Rule, Fault> {
    let mut fall_through = FallThrough::default();
    for outcome in &written.fall_through_on {
        match outcome.as_str() {
            "absent" => fall_through.absent = true,
            "unreachable" => fall_through.unreachable = true,
            other => {
                let problem =
                    format!("{other:?}: expected absent or unreachable; a refusal never moves on");
                return Err(("fallback.fall-through-on".into(), problem));
            }
        }
    }
    let order = match written.order {
        file_v1::Order::GovernedOnly => Order::GovernedOnly,
        file_v1::Order::GovernedFirst => Order::GovernedFirst,
        file_v1::Order::LegacyFirst => Order::LegacyFirst,
        file_v1::Order::LegacyOnly => Order::LegacyOnly,
    };
    let map_to = written
        .map_to
        .as_deref()
        .map(|text| value("fallback.map-to", text));
    Ok(Rule {
        suffix: value("fallback.suffix", &written.suffix)?,
        order,
        fall_through,
        map_to: map_to.transpose()?,
        eligible_zones: each("fallback.eligible-zones", &written.eligible_zones)?,
        require_dnssec: written.require_dnssec,
        handovers_max: written.max_depth,
        audit: written.audit,
    })
}

fn log_filter(level: String) -> Result<String, Fault> {
    match tracing_subscriber::EnvFilter::try_new(&level) {
        Ok(_) => Ok(level),
        Err(error) => Err(("log.level".into(), format!("{level:?}: {error}"))),
    }
}
