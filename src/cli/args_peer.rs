//! Options of the commands about other nodes.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Print the key of this node and where it listens
    Id,
}

#[derive(Debug, ClapArgs)]
pub(super) struct MirrorArgs {
    /// The scope; without it, everything that is followed is shown
    pub(super) scope: Option<String>,
    /// Follow it at this peer, by name or key; several are asked one after the other
    #[arg(long, value_name = "PEER", requires = "scope")]
    pub(super) from: Vec<String>,
    /// The UID of the root scope of an apex that is not here yet
    #[arg(long, value_name = "UID", requires = "from")]
    pub(super) genesis: Option<String>,
    /// Follow it no longer; what is held of it stays
    #[arg(long, requires = "scope", conflicts_with_all = ["from", "genesis"])]
    pub(super) stop: bool,
}
