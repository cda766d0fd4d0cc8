//! Logs on standard error, for people or as JSON lines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// hickory warns of every absence and of everything that a stranger's server does wrong; what
/// matters of it is in the answer and its steps. Malachite tells every vote. A filter that names these
/// targets is obeyed.
const QUIET: &str = "hickory_resolver=off,hickory_net=off,hickory_proto=off,\
                     arc_malachitebft_core_consensus=warn,arc_malachitebft_core_driver=warn,\
                     arc_malachitebft_core_votekeeper=warn,arc_malachitebft_core_state_machine=warn";

/// Starts logging. A second start in one process changes nothing.
pub(super) fn start(log: &Log) {
    let wanted = format!("{QUIET},{}", log.filter);
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = if log.json {
        builder.json().try_init()
    } else {
        builder.with_target(false).try_init()
    };
    drop(started);
}
