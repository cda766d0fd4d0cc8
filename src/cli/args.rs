//! Every command and option, with its help.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::args_cache::CacheCommand;
use super::args_device::DeviceCommand;
use super::args_governance::{
    AnchorCommand, GrantCommand, KeyCommand, PolicyArgs, ProposeArgs, RecoveryCommand, VoteArgs,
    WithdrawArgs,
};
use super::args_lease::LeaseCommand;
use super::args_peer::{InviteArgs, JoinArgs, MirrorArgs, MoveCommand, NodeCommand};
use super::args_token::TokenCommand;

/// A DNS server whose names are governed by the nodes that hold them
///
/// Without a command it serves. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration,
/// 3 refused, 4 not found, 5 not reachable or cannot start, 6 a check found faults.
#[derive(Debug, Parser)]
#[command(name = "kedge", version, max_term_width = 100)]
pub(super) struct Args {
    /// Read this configuration file
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// A node that is called over TCP.
#[derive(Debug, ClapArgs)]
pub(super) struct ServerArgs {
    /// Call the node at https://HOST:PORT, or on this machine at http://ADDRESS:PORT
    #[arg(long, value_name = "URL", help_heading = "Over TCP")]
    pub(super) server: Option<String>,
    /// Read the token from this file
    #[arg(
        long,
        value_name = "FILE",
        env = "KEDGE_TOKEN_FILE",
        hide_env_values = true,
        help_heading = "Over TCP"
    )]
    pub(super) token_file: Option<PathBuf>,
    /// Believe the authorities of this PEM file instead of the public ones
    #[arg(long, value_name = "FILE", help_heading = "Over TCP")]
    pub(super) ca: Option<PathBuf>,
    /// Show this certificate
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_key",
        help_heading = "Over TCP"
    )]
    pub(super) client_certificate: Option<PathBuf>,
    /// Prove the certificate with this key
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_certificate",
        help_heading = "Over TCP"
    )]
    pub(super) client_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Answer DNS questions until told to stop
    Serve,
    /// Create the data directory, the keys and the demo, without serving
    Init,
    /// Judge the configuration and everything it names
    Check,
    /// Manage the configuration
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Say why a question gets its answer
    Explain(Question),
    /// Manage names
    Name {
        #[command(subcommand)]
        what: NameCommand,
    },
    /// Manage scopes
    Scope {
        #[command(subcommand)]
        what: ScopeCommand,
    },
    /// Propose changes of a scope that happen together or not at all
    Propose(ProposeArgs),
    /// Show what waits for approvals
    Pending {
        /// One proposal, by the first digits of its identifier
        id: Option<String>,
    },
    /// Approve a proposal, having looked at its impact
    Approve(VoteArgs),
    /// Object to a proposal
    Reject(VoteArgs),
    /// Take a proposal back
    Withdraw(WithdrawArgs),
    /// Manage who governs a scope
    Anchor {
        #[command(subcommand)]
        what: AnchorCommand,
    },
    /// Manage what other keys may propose
    Grant {
        #[command(subcommand)]
        what: GrantCommand,
    },
    /// Manage the instances of services
    Lease {
        #[command(subcommand)]
        what: LeaseCommand,
    },
    /// Show how the anchors of a scope voted, and the weights that speaks for
    Trust {
        /// The scope
        scope: String,
        /// Propose these weights
        #[arg(long)]
        propose: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Manage the devices of a private scope, or prove to be one
    Device {
        #[command(subcommand)]
        what: DeviceCommand,
    },
    /// Take the seat that a ticket of another node offers
    Join(JoinArgs),
    /// Follow a scope at other nodes, or show what is followed
    Mirror(MirrorArgs),
    /// Entries that move between scopes of several nodes
    Move {
        #[command(subcommand)]
        what: MoveCommand,
    },
    /// Show this node as others see it
    Node {
        #[command(subcommand)]
        what: NodeCommand,
    },
    /// Show the other nodes, and how they do
    Nodes,
    /// Manage keys that no node holds
    Key {
        #[command(subcommand)]
        what: KeyCommand,
    },
    /// Show the history of a name or the lineage of a scope
    Log(LogArgs),
    /// Prove what is there under a name, to whoever knows the apex
    Prove {
        /// The name, as DNS name or alias
        name: String,
    },
    /// Recompute everything from genesis and compare, or check a proof
    Verify {
        /// A proof that `kedge prove` printed; - reads it from standard input
        proof: Option<PathBuf>,
        /// The apex that is trusted, with the UID of its root scope
        #[arg(long, value_name = "NAME=UID", requires = "proof")]
        apex: Option<String>,
        /// The name that the proof must be of
        #[arg(long, value_name = "NAME", requires = "proof")]
        name: Option<String>,
    },
    /// Show what the audit log holds, or check it
    Audit(AuditArgs),
    /// Manage zone files
    Zone {
        #[command(subcommand)]
        what: ZoneCommand,
    },
    /// Look at the cache of legacy answers, empty it, save it
    Cache {
        #[command(subcommand)]
        what: CacheCommand,
    },
    /// Manage tokens of the admin API
    Token {
        #[command(subcommand)]
        what: TokenCommand,
    },
    /// Print the OpenAPI document of the admin API
    Api,
    /// Look for causes of trouble
    Doctor,
    /// Show the node as a whole
    Status,
    /// Read configuration and zones again
    Reload,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the default configuration with comments
    Default,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Question {
    /// The name, as DNS name or alias
    pub(super) name: String,
    /// The record type
    #[arg(default_value = "A")]
    pub(super) kind: String,
    /// Answer as for this caller
    #[arg(long, value_name = "ADDRESS")]
    pub(super) from: Option<IpAddr>,
    /// Answer as if asked this way: udp, tcp or tls
    #[arg(long, value_name = "TRANSPORT")]
    pub(super) transport: Option<String>,
    /// Answer as to a device of this private scope; over tcp unless told
    #[arg(long, value_name = "SCOPE")]
    pub(super) device: Option<String>,
    /// Answer as if signed with the key of this name
    #[arg(long, value_name = "KEY")]
    pub(super) tsig: Option<String>,
    /// Answer as to the client with this certificate: uri:URI, dns:NAME or sha256:DIGITS; over tls
    /// unless told
    #[arg(long, value_name = "IDENTITY")]
    pub(super) certificate: Option<String>,
    /// What the index answered then: a time, or a height of the scope that decides over the name
    #[arg(long, value_name = "TIME|HEIGHT")]
    pub(super) at: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum NameCommand {
    /// Register a name or replace one of its record sets
    Put(PutArgs),
    /// Show what a name holds
    Get {
        /// The name, as DNS name or alias; an alias may end with a version: internal@mesh/api.v3
        name: String,
        /// What it held then: a time, or a height of the scope that decides over it
        #[arg(long, value_name = "TIME|HEIGHT")]
        at: Option<String>,
    },
    /// Give a name another name in its scope
    Rename {
        /// The present name
        from: String,
        /// The new name
        to: String,
        /// Take everything below along
        #[arg(long)]
        subtree: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Give an entry to another scope
    Move {
        /// The present name
        from: String,
        /// The new name, in another scope
        to: String,
        #[command(flatten)]
        why: Why,
    },
    /// End a name; it answers NXDOMAIN from then on
    Retire {
        /// The name
        name: String,
        /// Only if this is the head version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
        #[command(flatten)]
        why: Why,
    },
    /// Give a name the record sets of an older version again
    Undo {
        /// The name
        name: String,
        /// Go back to this version; the one before the head unless told
        #[arg(long, value_name = "VERSION|TAG")]
        to: Option<String>,
        /// Only if this is the head version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
        #[command(flatten)]
        why: Why,
    },
    /// Give a version of a name a word that names it, such as stable
    Tag(TagArgs),
    /// Show every version of an entry
    History {
        /// The name or UID
        name: String,
        /// At most so many versions
        #[arg(long, value_name = "COUNT")]
        limit: Option<usize>,
    },
    /// Show what differs between two versions of an entry
    Diff {
        /// The name or UID
        name: String,
        /// The first version, by number or tag
        #[arg(value_name = "VERSION|TAG")]
        from: String,
        /// The second version; the head unless told
        #[arg(value_name = "VERSION|TAG")]
        to: Option<String>,
    },
    /// Register every name of a zone file in a scope
    Import {
        /// The scope
        scope: String,
        /// The file; its names are relative to the scope
        file: PathBuf,
        /// Names in one proposal
        #[arg(long, default_value_t = 100_000, value_name = "COUNT")]
        batch: usize,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct TagArgs {
    /// The name
    pub(super) name: String,
    /// The tag: letters, digits and hyphens; another version loses it
    pub(super) tag: String,
    /// The version; the head unless told
    #[arg(value_name = "VERSION|TAG")]
    pub(super) version: Option<String>,
    /// Take the tag away
    #[arg(long, conflicts_with = "version")]
    pub(super) remove: bool,
    #[command(flatten)]
    pub(super) why: Why,
}

#[derive(Debug, ClapArgs)]
pub(super) struct PutArgs {
    /// The name, as DNS name or alias
    pub(super) name: String,
    /// The record type
    pub(super) kind: String,
    /// The data of each record, as in a zone file; quote data that has spaces
    pub(super) data: Vec<String>,
    /// The TTL in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(super) ttl: u32,
    /// Keep the records that are there
    #[arg(long, conflicts_with = "remove")]
    pub(super) add: bool,
    /// Remove the record set
    #[arg(long, conflicts_with = "data")]
    pub(super) remove: bool,
    /// Leave the name without any record
    #[arg(long)]
    pub(super) may_empty: bool,
    /// Only if this is the head version
    #[arg(long, value_name = "VERSION")]
    pub(super) if_version: Option<u64>,
    #[command(flatten)]
    pub(super) why: Why,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Why {
    /// Why, for the history
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(super) note: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum ScopeCommand {
    /// Create a scope with an anchor of this node
    New {
        /// Its name, one label below an existing scope
        name: String,
        /// Make it the root of a new apex
        #[arg(long)]
        apex: bool,
        /// Where the anchor runs
        #[arg(long, default_value = "", value_name = "LABEL")]
        region: String,
        /// Delegate to the scope that another node offered; this node will not hold it
        #[arg(long, value_name = "TEXT", conflicts_with_all = ["apex", "region"])]
        offer: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Offer to govern a scope whose parent another node holds
    Offer {
        /// The name the scope will have
        name: String,
        /// The UID of the scope that shall delegate it
        #[arg(long, value_name = "UID")]
        parent: String,
        /// Where the anchor runs
        #[arg(long, default_value = "", value_name = "LABEL")]
        region: String,
    },
    /// Invite another node to a seat, and print the ticket for it
    Invite(InviteArgs),
    /// List the scopes of this node
    List,
    /// Show one scope: anchors, policy, head
    Show {
        /// The scope
        name: String,
    },
    /// Show the policy of a scope, or put another one in force
    Policy(PolicyArgs),
    /// Recover a scope whose anchors are lost, by the word of the scope above
    Recovery {
        #[command(subcommand)]
        what: RecoveryCommand,
    },
    /// Write the whole lineage of a scope to a file
    Export {
        /// The scope
        name: String,
        /// The file; - writes to standard output
        file: PathBuf,
        /// With every scope below it that this node holds
        #[arg(long)]
        tree: bool,
    },
    /// Take in lineages that were exported, here or on another node
    Import {
        /// The file; - reads from standard input
        file: PathBuf,
        /// The name of the scope on this node
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// It is the root of an apex
        #[arg(long)]
        apex: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct LogArgs {
    /// A scope, or a name in one
    pub(super) name: String,
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    pub(super) limit: usize,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AuditArgs {
    /// At most so many records, the newest
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    pub(super) limit: usize,
    /// Only records from this time on, such as 2026-11-23 or 2026-11-23T04:28
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    #[command(subcommand)]
    pub(super) what: Option<AuditCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Check the chain, and name the first record that breaks it
    Verify {
        /// A head that was noted elsewhere; the log must hold it
        #[arg(long, value_name = "DIGEST")]
        head: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ZoneCommand {
    /// List the zones that are served
    List,
    /// Judge a zone file as a primary server would
    Check {
        /// The file
        file: PathBuf,
        /// The zone; by default the file's name without .zone
        #[arg(long, value_name = "ZONE")]
        origin: Option<String>,
    },
}
