//! The configuration file as it is written, version 1.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cache::WrittenCache;
use super::encrypted::WrittenHttps;
use super::guard::WrittenGuard;
use super::query_log::WrittenQueryLog;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    #[serde(default = "one")]
    pub(super) version: u64,
    #[serde(default)]
    pub(super) node: Node,
    #[serde(default)]
    pub(super) peer: Vec<Peer>,
    #[serde(default)]
    pub(super) region: Vec<Region>,
    #[serde(default)]
    pub(super) keys: Keys,
    #[serde(default)]
    pub(super) listen: Listen,
    #[serde(default)]
    pub(super) https: WrittenHttps,
    #[serde(default)]
    pub(super) ddr: Ddr,
    #[serde(default)]
    pub(super) api: Api,
    #[serde(default)]
    pub(super) demo: Demo,
    #[serde(default)]
    pub(super) zones: Zones,
    #[serde(default)]
    pub(super) zone: Vec<Zone>,
    #[serde(default)]
    pub(super) apex: Vec<Apex>,
    #[serde(default)]
    pub(super) legacy: Legacy,
    #[serde(default)]
    pub(super) cache: WrittenCache,
    #[serde(default)]
    pub(super) fallback: Vec<Fallback>,
    #[serde(default)]
    pub(super) access: Access,
    #[serde(default)]
    pub(super) guard: WrittenGuard,
    #[serde(default)]
    pub(super) devices: Devices,
    #[serde(default)]
    pub(super) tsig: Vec<Tsig>,
    #[serde(default)]
    pub(super) leases: Leases,
    #[serde(default)]
    pub(super) freshness: Freshness,
    #[serde(default)]
    pub(super) store: Store,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) audit: Audit,
    #[serde(default)]
    pub(super) observe: Observe,
    #[serde(default)]
    pub(super) query_log: WrittenQueryLog,
}

fn one() -> u64 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Node {
    pub(super) data_dir: String,
    pub(super) region: String,
    pub(super) user: Option<String>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            region: String::new(),
            user: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[expect(clippy::struct_field_names, reason = "these are the keys of the file")]
pub(super) struct Freshness {
    pub(super) beacon_secs: u32,
    pub(super) stale_secs: u32,
    pub(super) expire_secs: u32,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            beacon_secs: 30,
            stale_secs: 120,
            expire_secs: 0,
        }
    }
}

/// The file of peers beside the store, version 1.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Met {
    #[serde(default = "one")]
    pub(super) version: u64,
    #[serde(default)]
    pub(super) peer: Vec<Peer>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) id: String,
    #[serde(default)]
    pub(super) addresses: Vec<String>,
    #[serde(default)]
    pub(super) region: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) networks: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Keys {
    pub(super) passphrase_file: Option<String>,
    pub(super) signer: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Listen {
    pub(super) dns: Vec<String>,
    pub(super) tls: Vec<String>,
    pub(super) https: Vec<String>,
    pub(super) quic: Vec<String>,
    pub(super) http: Vec<String>,
    pub(super) tls_certificate: Option<String>,
    pub(super) tls_key: Option<String>,
    pub(super) tls_client_ca: Option<String>,
    pub(super) admin: Option<String>,
    pub(super) peers: Vec<String>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            dns: vec!["127.0.0.1:5300".into()],
            tls: Vec::new(),
            https: Vec::new(),
            quic: Vec::new(),
            http: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            tls_client_ca: None,
            admin: None,
            peers: Vec::new(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Ddr {
    pub(super) name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Api {
    pub(super) listen: Vec<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) clients: Vec<ApiClient>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ApiClient {
    pub(super) identity: String,
    pub(super) rights: Vec<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Demo {
    pub(super) enabled: bool,
}

impl Default for Demo {
    fn default() -> Self {
        Self { enabled: true }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Zones {
    pub(super) directory: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Zone {
    pub(super) origin: String,
    pub(super) file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Apex {
    pub(super) name: String,
    pub(super) genesis: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    Forward,
    Recurse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Dnssec {
    Validate,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Legacy {
    pub(super) mode: Mode,
    pub(super) upstreams: Vec<String>,
    pub(super) cookies: bool,
    pub(super) tls_ca: Option<String>,
    pub(super) root_hints: Option<String>,
    pub(super) trust_anchors: Option<String>,
    pub(super) dnssec: Option<Dnssec>,
    pub(super) negative_trust_anchors: Option<Vec<String>>,
    pub(super) deny_servers: Option<Vec<String>>,
    pub(super) allow_servers: Option<Vec<String>>,
    pub(super) server_port: Option<u16>,
    pub(super) trust_ad: bool,
    pub(super) deadline_ms: u64,
    pub(super) cache_mib: u64,
    pub(super) stale_secs: u32,
    pub(super) route: Vec<Route>,
}

impl Default for Legacy {
    fn default() -> Self {
        Self {
            mode: Mode::Forward,
            upstreams: vec!["system".into()],
            cookies: true,
            tls_ca: None,
            root_hints: None,
            trust_anchors: None,
            dnssec: None,
            negative_trust_anchors: None,
            deny_servers: None,
            allow_servers: None,
            server_port: None,
            trust_ad: false,
            deadline_ms: 4_500,
            cache_mib: 64,
            stale_secs: 86_400,
            route: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Route {
    pub(super) suffix: String,
    pub(super) upstreams: Vec<String>,
    #[serde(default)]
    pub(super) trust_ad: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    GovernedOnly,
    GovernedFirst,
    LegacyFirst,
    LegacyOnly,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Fallback {
    pub(super) suffix: String,
    pub(super) order: Order,
    #[serde(default)]
    pub(super) fall_through_on: Vec<String>,
    #[serde(default)]
    pub(super) map_to: Option<String>,
    #[serde(default)]
    pub(super) eligible_zones: Vec<String>,
    #[serde(default)]
    pub(super) require_dnssec: bool,
    #[serde(default = "one_handover")]
    pub(super) max_depth: u8,
    #[serde(default)]
    pub(super) audit: bool,
}

fn one_handover() -> u8 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Tsig {
    pub(super) name: String,
    #[serde(default = "hmac_sha256")]
    pub(super) algorithm: String,
    pub(super) secret_file: String,
}

fn hmac_sha256() -> String {
    "hmac-sha256".into()
}

/// Loopback, private and link-local networks.
pub(super) const NEAR: [&str; 8] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

pub(super) fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Access {
    pub(super) query: Vec<String>,
    pub(super) recurse: Vec<String>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            query: list(&["0.0.0.0/0", "::/0"]),
            recurse: list(&NEAR),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Devices {
    pub(super) presence_secs: u32,
}

impl Default for Devices {
    fn default() -> Self {
        Self { presence_secs: 900 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Leases {
    pub(super) check: Vec<String>,
    pub(super) check_interval_ms: u64,
    pub(super) check_timeout_ms: u64,
    pub(super) local_addresses: bool,
    pub(super) show: Show,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Show {
    #[default]
    Nearest,
    All,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            check: list(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]),
            check_interval_ms: 5_000,
            check_timeout_ms: 2_000,
            local_addresses: false,
            show: Show::default(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Store {
    pub(super) cache_mib: usize,
    pub(super) import_mib: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            cache_mib: 256,
            import_mib: 4_096,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Log {
    pub(super) format: LogFormat,
    pub(super) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".into(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Audit {
    pub(super) enabled: bool,
    pub(super) file: Option<String>,
    pub(super) rotate_mib: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            enabled: true,
            file: None,
            rotate_mib: 64,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Observe {
    pub(super) listen: Vec<String>,
    pub(super) clients: Vec<String>,
}

impl Default for Observe {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            clients: vec!["127.0.0.0/8".into(), "::1/128".into()],
        }
    }
}

/// Reads the text; an error names line and column.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
}
