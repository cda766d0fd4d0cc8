//! The only prints of the program: data to standard output, messages to standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use super::exit::{Code, Failure};

/// Prints a line of data. A reader that went away ends the command quietly.
pub(super) fn print(line: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            Code::Failed,
            format!("standard output: {error}"),
            None,
        )),
        _ => Ok(()),
    }
}

/// Prints data as JSON.
pub(super) fn print_json<T: Serialize>(data: &T) -> Result<(), Failure> {
    match serde_json::to_string_pretty(data) {
        Ok(text) => print(&text),
        Err(error) => Err(Failure::new(Code::Failed, error.to_string(), None)),
    }
}

/// Prints data as JSON or by a function.
pub(super) fn show<T: Serialize>(
    json: bool,
    data: &T,
    human: impl FnOnce(&T) -> Vec<String>,
) -> Result<(), Failure> {
    if json {
        return print_json(data);
    }
    human(data).iter().try_for_each(|line| print(line))
}

/// Prints a message.
pub(super) fn complain(line: &str) {
    // Nobody is left to tell if standard error is gone.
    drop(writeln!(io::stderr(), "{line}"));
}
