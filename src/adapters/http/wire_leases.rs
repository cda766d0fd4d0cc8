//! Bodies of the admin API about instances of services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An instance to be announced by a key of this node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnounceBody {
    /// Where it runs.
    pub address: String,
    /// The port it serves.
    pub port: u16,
    /// Its share.
    #[serde(default = "one")]
    pub weight: u16,
    /// The region it runs in.
    #[serde(default)]
    pub region: String,
    /// How long it counts without being announced again, in seconds.
    #[serde(default = "default_ttl")]
    pub ttl: u32,
    /// `none`, `tcp` or `http:/path`.
    #[serde(default = "none")]
    pub check: String,
    /// `up`, `draining` or `ended`.
    #[serde(default = "up")]
    pub condition: String,
    /// The service may be left without a healthy instance.
    #[serde(default)]
    pub may_empty: bool,
}

fn one() -> u16 {
    1
}

fn default_ttl() -> u32 {
    30
}

fn none() -> String {
    "none".to_owned()
}

fn up() -> String {
    "up".to_owned()
}

/// What an instance shall do.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveBody {
    /// The service may be left without a healthy instance.
    #[serde(default)]
    pub may_empty: bool,
}

/// The instances of a service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServiceView {
    /// The service's name.
    pub name: String,
    /// The entry.
    pub uid: String,
    /// The scope that governs it.
    pub scope: String,
    /// The scope's identity.
    pub scope_uid: String,
    /// The time by the node's clock.
    pub now: String,
    /// The region of the node.
    pub region: String,
    /// Why the instances that are shown are shown.
    pub why: String,
    /// Those that are remembered, ended ones included.
    pub instances: Vec<InstanceView>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceView {
    /// What it is called.
    pub instance: String,
    /// Where it runs.
    pub address: String,
    /// The port it serves.
    pub port: u16,
    /// Its share.
    pub weight: u16,
    /// The region it runs in.
    pub region: String,
    /// `up`, `draining`, `ended`, or `expired` if its lease ended by itself.
    pub condition: String,
    /// How it is checked.
    pub check: String,
    /// `passing`, `as before`, `new` or `failing`.
    pub health: String,
    /// Whether it is part of the service's answer now.
    pub shown: bool,
    /// The number of its lease.
    pub sequence: u64,
    /// When its lease was signed.
    pub issued: String,
    /// Until when it counts.
    pub until: String,
    /// How long a lease lasts, in milliseconds.
    pub lifetime_ms: u64,
    /// Since when it is in its condition.
    pub since: String,
    /// The key that announces it.
    pub key: String,
}

/// What became of a lease.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LeaseView {
    /// What the instance is called.
    pub instance: String,
    /// `up`, `draining` or `ended`.
    pub condition: String,
    /// The number of the lease.
    pub sequence: u64,
    /// Until when it counts.
    pub until: String,
    /// `passing`, `as before`, `new` or `failing`.
    pub health: String,
    /// Whether it only goes on as before.
    pub renewed: bool,
}

/// How many instances of services there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LeaseCounts {
    /// Services with an instance that is remembered.
    pub services: usize,
    /// Instances whose lease lasts.
    pub instances: usize,
    /// Those of them whose check fails, or is still to come.
    pub unhealthy: usize,
    /// Services without a healthy instance that show what they can.
    pub failing: usize,
    /// Services whose last known good instances are shown.
    pub stale: usize,
}
