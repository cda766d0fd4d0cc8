//! Commands and options about who may change what.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::args::Why;

#[derive(Debug, ClapArgs)]
pub(super) struct PolicyArgs {
    /// The scope
    pub(super) name: String,
    /// Put the policy of this TOML file in force
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Set the shortest TTL
    #[arg(long, value_name = "SECONDS")]
    pub(super) ttl_min: Option<u32>,
    /// Set the longest TTL
    #[arg(long, value_name = "SECONDS")]
    pub(super) ttl_max: Option<u32>,
    /// Set how many live entries the scope may hold
    #[arg(long, value_name = "COUNT")]
    pub(super) entries_max: Option<u64>,
    /// Set what routine changes need: author, or approvals with weight=N, delay=S, expiry=S after commas
    #[arg(long, value_name = "RULE")]
    pub(super) routine: Option<String>,
    /// Set what renames need
    #[arg(long, value_name = "RULE")]
    pub(super) alias: Option<String>,
    /// Set what governance needs: approvals with weight=N, delay=S, expiry=S after commas
    #[arg(long, value_name = "RULE")]
    pub(super) governance: Option<String>,
    /// Set the least trust, of 1000, that an anchor needs to propose
    #[arg(long, value_name = "TRUST")]
    pub(super) trust_floor: Option<u16>,
    /// Set the access tests, in order: PREFIX=VERDICT, or TEST=VERDICT such as "type TXT=refuse"
    #[arg(long, value_name = "RULE")]
    pub(super) access: Vec<String>,
    /// Remove all access tests: every caller may ask
    #[arg(long, conflicts_with = "access")]
    pub(super) open: bool,
    #[command(flatten)]
    pub(super) why: Why,
}

#[derive(Debug, Subcommand)]
pub(super) enum RecoveryCommand {
    /// Show what the scope above says of the recovery of a scope
    Show {
        /// The scope
        name: String,
    },
    /// Set for how long a recovery of a scope must be public, while its anchors can be heard
    Delay {
        /// The scope
        name: String,
        /// How long
        #[arg(value_name = "SECONDS")]
        secs: u64,
        #[command(flatten)]
        why: Why,
    },
    /// Offer to take over a scope that is held here, for another node to announce
    Offer {
        /// The scope
        name: String,
        /// Where the new anchor runs
        #[arg(long, default_value = "", value_name = "LABEL")]
        region: String,
        /// In how long it may be confirmed; an eighth more than the scope asks for if not given
        #[arg(long, value_name = "SECONDS")]
        after: Option<u64>,
    },
    /// Have the scope above announce that other anchors will take over
    Announce {
        /// The scope
        name: String,
        /// What another node offered; this node takes over if not given
        #[arg(long, value_name = "TEXT", conflicts_with_all = ["region", "after"])]
        offer: Option<String>,
        /// Where the new anchor of this node runs
        #[arg(long, default_value = "", value_name = "LABEL")]
        region: String,
        /// In how long it may be confirmed; an eighth more than the scope asks for if not given
        #[arg(long, value_name = "SECONDS")]
        after: Option<u64>,
        #[command(flatten)]
        why: Why,
    },
    /// Put an announced recovery in force, once it was public for long enough
    Confirm {
        /// The scope
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Take an announced recovery back
    Abandon {
        /// The scope
        name: String,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct ProposeArgs {
    /// The scope
    pub(super) scope: String,
    /// A TOML file of changes; - reads standard input
    pub(super) file: PathBuf,
    /// Only show what it would change
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) by: KeyArgs,
    #[command(flatten)]
    pub(super) why: Why,
}

#[derive(Debug, ClapArgs)]
pub(super) struct VoteArgs {
    /// The proposal, by the first digits of its identifier
    pub(super) id: String,
    /// Vote with this seat of the node, by the first digits of the anchor; all its seats if none
    #[arg(long, value_name = "ANCHOR", conflicts_with_all = ["key", "signer"])]
    pub(super) anchor: Vec<String>,
    #[command(flatten)]
    pub(super) by: KeyArgs,
    /// Why, for the history
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(super) reason: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct WithdrawArgs {
    /// The proposal, by the first digits of its identifier
    pub(super) id: String,
    #[command(flatten)]
    pub(super) by: KeyArgs,
    /// Why, for the history
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(super) reason: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum AnchorCommand {
    /// List the anchors of a scope
    List {
        /// The scope
        scope: String,
    },
    /// Give a new anchor a seat
    Add {
        /// The scope
        scope: String,
        /// Its public key; a new key of this node if none is given
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Its weight
        #[arg(long, default_value_t = 1, value_name = "WEIGHT")]
        weight: u32,
        /// Where it runs
        #[arg(long, default_value = "", value_name = "LABEL")]
        region: String,
        /// Who runs it
        #[arg(long, default_value = "", value_name = "LABEL")]
        organisation: String,
        #[command(flatten)]
        why: Why,
    },
    /// Take seats from anchors
    Remove {
        /// The scope
        scope: String,
        /// The anchors, by the first digits of their identities
        #[arg(required = true)]
        anchors: Vec<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Give anchors other weights
    Weigh {
        /// The scope
        scope: String,
        /// ANCHOR=WEIGHT, the anchor by the first digits of its identity
        #[arg(required = true, value_name = "ANCHOR=WEIGHT")]
        weights: Vec<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Give an anchor another key; its identity and its record stay
    Rotate {
        /// The scope
        scope: String,
        /// The anchor, by the first digits of its identity
        anchor: String,
        /// The new public key; its holder accepts the seat with `anchor accept`
        #[arg(long, value_name = "KEY")]
        key: String,
        #[command(flatten)]
        why: Why,
    },
    /// Accept the seat that a proposal gives to a key
    Accept {
        /// The proposal, by the first digits of its identifier
        id: String,
        /// The key file
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The file whose first line decrypts the key
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// List the grants of a scope
    List {
        /// The scope
        scope: String,
    },
    /// Let a key propose changes of some names
    Add {
        /// The scope
        scope: String,
        /// The public key
        #[arg(long, value_name = "KEY")]
        key: String,
        /// The names: labels below the scope, * inside a label, ** for any number of labels
        #[arg(long, default_value = "**", value_name = "PATTERN")]
        names: String,
        /// The record types; all if none is given
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// What the key may do: register, update, retire, rename, move, announce
        #[arg(
            long,
            alias = "deed",
            value_delimiter = ',',
            default_value = "register,update",
            value_name = "DEED"
        )]
        deeds: Vec<String>,
        /// Changes in a day; any number if 0
        #[arg(long, default_value_t = 0, value_name = "COUNT")]
        per_day: u32,
        /// Who holds the key
        #[arg(long, default_value = "", value_name = "LABEL")]
        holder: String,
        #[command(flatten)]
        why: Why,
    },
    /// Take every grant from a key
    Revoke {
        /// The scope
        scope: String,
        /// The public key
        #[arg(long, value_name = "KEY")]
        key: String,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a new key and print its public half
    New {
        /// The file, which must not exist
        file: PathBuf,
        /// Encrypt it with the first line of this file
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Print the public half of a key file
    Show {
        /// The file
        file: PathBuf,
        /// The file whose first line decrypts it
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Encrypt key files where they are
    Encrypt {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The file whose first line is the passphrase
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
    /// Decrypt key files where they are
    Decrypt {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The file whose first line is the passphrase
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
    /// Sign with key files for a node whose configuration names this command as its signer
    Serve {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The file whose first line decrypts them
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

/// A key that the node does not hold.
#[derive(Debug, ClapArgs)]
pub(super) struct KeyArgs {
    /// Sign with this key file instead of a key of the node
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// The file whose first line decrypts the key
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Sign with the key that this program holds, as `[keys] signer` does
    #[arg(long, value_name = "PROGRAM", conflicts_with = "key")]
    pub(super) signer: Option<String>,
}
