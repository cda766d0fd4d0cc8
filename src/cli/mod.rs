//! The command line: one file per group of commands. Data goes to standard output, messages to
//! standard error, and an error ends with a hint where there is one.

mod args;
mod connect;
mod exit;
mod explain;
mod local;
mod logging;
mod name;
mod output;
mod scope;
mod whole;
mod zone;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use exit::Failure;

/// Parses the arguments and runs what they say.
pub fn run() -> ExitCode {
    let args = Args::parse();
    match dispatch(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(args: Args) -> Result<(), Failure> {
    let Args {
        config,
        json,
        command,
    } = args;
    let place = connect::Place::new(config, json);
    match command.unwrap_or(Command::Serve) {
        Command::Serve => local::serve(&place),
        Command::Init => local::init(&place),
        Command::Check => local::check(&place),
        Command::Config { what } => local::config(&what),
        Command::Explain(question) => explain::run(&place, &question),
        Command::Name { what } => name::run(&place, what),
        Command::Scope { what } => scope::run(&place, what),
        Command::Log(what) => scope::log(&place, &what),
        Command::Verify => whole::verify(&place),
        Command::Zone { what } => zone::run(&place, what),
        Command::Doctor => whole::doctor(&place),
        Command::Status => whole::status(&place),
        Command::Reload => whole::reload(&place),
    }
}
