//! The command line: one file per group of commands. Data goes to standard output, messages to
//! standard error, and an error ends with a hint where there is one.

mod args;
mod args_cache;
mod args_device;
mod args_governance;
mod args_lease;
mod args_peer;
mod args_token;
mod audit;
mod cache;
mod connect;
mod device;
mod difference;
mod exit;
mod explain;
mod governance;
mod join;
mod key;
mod lease;
mod lineage;
mod local;
mod logging;
mod moves;
mod name;
mod output;
mod peer;
mod proof;
mod propose;
mod recovery;
mod scope;
mod token;
mod whole;
mod zone;

use std::process::ExitCode;

use clap::Parser as _;

use crate::adapters::http::document;
use crate::node::Production;

use args::{Args, Command};
use exit::{Code, Failure};
use output::print_json;

/// Parses the arguments and runs what they say.
pub fn run() -> ExitCode {
    let args = Args::parse();
    // The store's engine panics on some damaged files; that too ends with a message and a code.
    let guarded = std::panic::catch_unwind(|| dispatch(args));
    let result = guarded.unwrap_or_else(|_| {
        let message = "the program failed on what it read; the lines above say where";
        let hint = "the store may be damaged: restore a backup, or start anew elsewhere";
        Err(Failure::new(Code::Failed, message, Some(hint)))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(args: Args) -> Result<(), Failure> {
    let Args {
        config,
        json,
        server,
        command,
    } = args;
    let place = connect::Place::new(config, json, connect::remote(&server)?);
    let command = command.unwrap_or(Command::Serve);
    if is_local(&command) {
        place.only_here()?;
    }
    match command {
        Command::Serve => local::serve(&place),
        Command::Init => local::init(&place),
        Command::Check => local::check(&place),
        Command::Config { what } => local::config(&place, &what),
        Command::Explain(question) => explain::run(&place, &question),
        Command::Name { what } => name::run(&place, what),
        Command::Scope { what } => scope::run(&place, what),
        Command::Propose(args) => propose::propose(&place, args),
        Command::Pending { id } => propose::pending(&place, id.as_deref()),
        Command::Approve(args) => propose::vote(&place, true, args),
        Command::Reject(args) => propose::vote(&place, false, args),
        Command::Withdraw(args) => propose::withdraw(&place, args),
        Command::Anchor { what } => governance::anchor(&place, what),
        Command::Grant { what } => governance::grant(&place, what),
        Command::Lease { what } => lease::run(&place, what),
        Command::Trust {
            scope,
            propose,
            why,
        } => governance::trust(&place, &scope, propose, why.note),
        Command::Device { what } => device::run(&place, what),
        Command::Join(args) => join::join(&place, args),
        Command::Mirror(args) => peer::mirror(&place, args),
        Command::Move { what } => moves::run(&place, what),
        Command::Node { what } => peer::node(&place, &what),
        Command::Nodes => peer::nodes(&place),
        Command::Key { what } => key::run(&place, what),
        Command::Log(what) => scope::log(&place, &what),
        Command::Prove { name } => proof::prove(&place, &name),
        Command::Verify { proof: None, .. } => whole::verify(&place),
        Command::Verify {
            proof: Some(file),
            apex,
            name,
        } => proof::verify(json, &file, apex.as_deref(), name.as_deref()),
        Command::Zone { what } => zone::run(&place, what),
        Command::Cache { what } => cache::run(&place, what),
        Command::Audit(what) => audit::run(&place, &what),
        Command::Token { what } => token::run(&place, what),
        Command::Api => print_json(&document::<Production>()),
        Command::Doctor => whole::doctor(&place),
        Command::Status => whole::status(&place),
        Command::Reload => whole::reload(&place),
    }
}

/// Whether a command works on files of this machine and calls no node.
fn is_local(command: &Command) -> bool {
    match command {
        Command::Serve
        | Command::Init
        | Command::Check
        | Command::Config { .. }
        | Command::Key { .. }
        | Command::Api
        | Command::Verify { proof: Some(_), .. } => true,
        Command::Zone { what } => matches!(what, args::ZoneCommand::Check { .. }),
        // Who checks a chain holds the files that it is in.
        Command::Audit(args) => args.what.is_some(),
        _ => false,
    }
}
