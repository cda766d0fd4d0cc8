//! The `kedge` command: parse arguments, run a command, turn the result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kedge::cli::run()
}
