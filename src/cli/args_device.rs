//! The commands about devices, with their help.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// Enrol a device in a private scope, and write the file that it keeps
    Enrol {
        /// The private scope
        scope: String,
        /// What people call the device
        #[arg(long, default_value = "", value_name = "TEXT")]
        note: String,
        #[command(flatten)]
        file: NewFile,
    },
    /// List the devices of a scope
    List {
        /// The private scope
        scope: String,
    },
    /// End a device for ever
    Revoke {
        /// The private scope
        scope: String,
        /// The device, by its first digits
        id: String,
    },
    /// Give a device that lost its file, or was copied, another chain
    Renew {
        /// The private scope
        scope: String,
        /// The device, by its first digits
        id: String,
        #[command(flatten)]
        file: NewFile,
    },
    /// On the device: prove that it is the one, so that its address counts for a while
    Prove {
        /// The device's file; it changes with every proof
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Ask this node, not those of the file
        #[arg(long, value_name = "SERVER")]
        server: Vec<String>,
        /// Where the device is; only over a socket, else the connection says it
        #[arg(long, value_name = "ADDRESS")]
        address: Option<IpAddr>,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct NewFile {
    /// The device's file, to be made
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Where the device asks the node: unix:PATH; the admin socket unless told
    #[arg(long, value_name = "SERVER")]
    pub(super) server: Vec<String>,
}
