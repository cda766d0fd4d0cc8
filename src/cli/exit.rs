//! `Failure`: what ends a command, with its exit code and hint.

use std::process::ExitCode;

use crate::adapters::http::ClientError;
use crate::config::ConfigError;
use crate::node::StartError;
use crate::service::resolver::error_chain;

use super::output::complain;

/// The exit codes, one place for all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// Something failed.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// A change was refused.
    Refused = 3,
    /// What was asked for does not exist.
    NotFound = 4,
    /// The node cannot be reached or cannot start.
    Unreachable = 5,
    /// A check found faults.
    Faults = 6,
}

/// What ends a command.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>, hint: Option<&str>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.map(ToOwned::to_owned),
        }
    }

    /// Prints the failure and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        complain(&format!("error: {}", self.message));
        if let Some(hint) = &self.hint {
            complain(&format!("hint: {hint}"));
        }
        ExitCode::from(match self.code {
            Code::Failed => 1,
            Code::Usage => 2,
            Code::Refused => 3,
            Code::NotFound => 4,
            Code::Unreachable => 5,
            Code::Faults => 6,
        })
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let code = match &error {
            StartError::Config(_)
            | StartError::Zone(_)
            | StartError::Legacy(_)
            | StartError::Tls(_)
            | StartError::HandedOver(_)
            | StartError::Account(_)
            | StartError::Pin { .. }
            | StartError::NoApex { .. } => Code::Usage,
            StartError::Io { .. }
            | StartError::QueryLog { .. }
            | StartError::Leases(_)
            | StartError::Moves(_)
            | StartError::Store(_)
            | StartError::Key(_)
            | StartError::Tsig { .. }
            | StartError::Cookies { .. }
            | StartError::Signer(_)
            | StartError::Tokens(_)
            | StartError::Peers(_)
            | StartError::Listen { .. }
            | StartError::Demo(_) => Code::Unreachable,
        };
        Self::new(code, error_chain(&error), error.hint())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        StartError::from(error).into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Node {
                status,
                error,
                hint,
            } => {
                let code = match status {
                    400 => Code::Usage,
                    401 | 403 | 409 | 413 | 422 => Code::Refused,
                    404 => Code::NotFound,
                    429 | 502 | 503 => Code::Unreachable,
                    _ => Code::Failed,
                };
                Self {
                    code,
                    message: error,
                    hint,
                }
            }
            ClientError::Unreachable { .. } => Self::new(
                Code::Unreachable,
                error_chain(&error),
                Some("start a node with `kedge serve`, or name its configuration with --config"),
            ),
            ClientError::Distant { .. } => Self::new(
                Code::Unreachable,
                error_chain(&error),
                Some("does the node list the address under [api]? --ca names who vouches for it"),
            ),
            ClientError::Local(_) | ClientError::Broken(_) => {
                Self::new(Code::Failed, error.to_string(), None)
            }
        }
    }
}
