//! Options of `kedge token`.

use std::path::PathBuf;

use clap::Subcommand;

use super::args::Why;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, this once
    New {
        /// What it is good for: read, propose, vote, govern, announce, prove, operate, admin
        #[arg(long, required = true, value_name = "RIGHT,...", value_delimiter = ',')]
        right: Vec<String>,
        /// Only at and below this name; may be said several times
        #[arg(long, value_name = "NAME")]
        scope: Vec<String>,
        /// How long it lives: 12h, 30d
        #[arg(long, value_name = "TIME")]
        expires: String,
        /// Write it to this new file, for its owner alone, instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        why: Why,
    },
    /// List the tokens, without their secrets
    List,
    /// Revoke a token for ever
    Revoke {
        /// The token, by the first digits of its identifier
        id: String,
    },
    /// Say who calls, and what the caller may do
    Whoami,
}
