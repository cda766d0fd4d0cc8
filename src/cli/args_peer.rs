//! Options of the commands about other nodes.

use clap::{Args as ClapArgs, Subcommand};

use super::args::Why;

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Print the key of this node and where it listens
    Id,
}

#[derive(Debug, Subcommand)]
pub(super) enum MoveCommand {
    /// List the entries that move from or to scopes of other nodes
    List,
    /// Keep a path for an entry that another node would bring, and take it in
    Admit {
        /// The move, by its first digits
        id: String,
    },
    /// Refuse an entry that another node would bring; a path that was kept is given back
    Refuse {
        /// The move, by its first digits
        id: String,
        /// What the other node is told
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Bring an entry that left and did not arrive, if this node forgot the move
    ///
    /// That is so after `moves.redb` was lost. The redirect at the old name says where the entry goes.
    Bring {
        /// The name that the entry had here
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Take back a move that was begun here, as long as the entry did not leave
    Cancel {
        /// The move, by its first digits
        id: String,
    },
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

#[derive(Debug, ClapArgs)]
pub(super) struct InviteArgs {
    /// The scope
    pub(super) name: String,
    /// The other node, as `kedge join --prepare` prints it there
    #[arg(long, value_name = "KEY/ID@ADDRESS")]
    pub(super) node: String,
    /// The weight of the seat
    #[arg(long, default_value_t = 1, value_name = "WEIGHT")]
    pub(super) weight: u32,
    /// Where the anchor runs
    #[arg(long, default_value = "", value_name = "LABEL")]
    pub(super) region: String,
    /// Who runs it
    #[arg(long, default_value = "", value_name = "LABEL")]
    pub(super) organisation: String,
    /// How long the ticket counts, such as 1h; a day, or as long as the policy allows, unless told
    #[arg(long, value_name = "TIME")]
    pub(super) ttl: Option<String>,
    /// Where the other node dials this one, instead of where it listens
    #[arg(long, value_name = "ADDRESS")]
    pub(super) at: Vec<String>,
    #[command(flatten)]
    pub(super) why: Why,
}

#[derive(Debug, ClapArgs)]
pub(super) struct JoinArgs {
    /// The ticket that `kedge scope invite` printed on the other node; - reads standard input
    #[arg(conflicts_with = "prepare")]
    pub(super) ticket: Option<String>,
    /// Make a key for a seat in this scope, and print what a ticket for it is made from
    #[arg(long, value_name = "SCOPE")]
    pub(super) prepare: Option<String>,
}
