//! Commands and options about the instances of services.

use std::net::IpAddr;

use clap::{Args as ClapArgs, Subcommand};

use super::args_governance::KeyArgs;

#[derive(Debug, Subcommand)]
pub(super) enum LeaseCommand {
    /// Announce an instance of a service, or renew its lease
    Announce(AnnounceArgs),
    /// List the instances of a service
    List {
        /// The service, as DNS name or alias
        name: String,
    },
    /// Take an instance out of the service's answer; its own name stays
    Drain(InstanceArgs),
    /// Put a drained instance back into the service's answer
    Resume(InstanceArgs),
    /// End an instance
    End(InstanceArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct AnnounceArgs {
    /// The service, as DNS name or alias
    pub(super) name: String,
    /// What the instance is called in its service: a-z, 0-9 and hyphens
    #[arg(long, value_name = "LABEL")]
    pub(super) instance: String,
    /// Where it runs
    #[arg(long)]
    pub(super) address: IpAddr,
    /// The port it serves
    #[arg(long)]
    pub(super) port: u16,
    /// Its share among the instances
    #[arg(long, default_value_t = 1, value_name = "WEIGHT")]
    pub(super) weight: u16,
    /// The region it runs in; by default that of the node
    #[arg(long, default_value = "", value_name = "LABEL")]
    pub(super) region: String,
    /// How long it counts without being announced again: seconds, or with s, m or h
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub(super) ttl: String,
    /// How the node checks it: none, tcp or `http:/path`
    #[arg(long, default_value = "none", value_name = "CHECK")]
    pub(super) check: String,
    #[command(flatten)]
    pub(super) by: KeyArgs,
    /// Renew it until told to stop, then end it
    #[arg(long)]
    pub(super) keep: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct InstanceArgs {
    /// The service, as DNS name or alias
    pub(super) name: String,
    /// The instance
    pub(super) instance: String,
    /// The service may be left without a healthy instance
    #[arg(long)]
    pub(super) may_empty: bool,
    #[command(flatten)]
    pub(super) by: KeyArgs,
}
