//! Commands and options about the cache of legacy answers.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Show what the cache counted and how upstreams do, or what it holds of a name
    Show {
        /// The name
        name: Option<String>,
    },
    /// Forget everything, or a name
    Flush {
        /// The name
        name: Option<String>,
        /// Forget everything below the name too
        #[arg(long, requires = "name")]
        below: bool,
    },
    /// Print every answer that is held, a line of JSON each
    Dump,
    /// Take in what was dumped, as far as nothing newer is held
    Load {
        /// The lines; - reads standard input
        file: PathBuf,
    },
}
