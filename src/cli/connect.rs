//! To a running node by its socket, or to its store when none runs.

use std::path::PathBuf;

use crate::adapters::http::Client;
use crate::config::Config;
use crate::node::assemble;
use crate::service::audit::Auditor;

use super::exit::{Code, Failure};

/// Which node the command is about, and how it prints.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) file: Option<PathBuf>,
    pub(super) json: bool,
}

impl Place {
    pub(super) fn new(file: Option<PathBuf>, json: bool) -> Self {
        Self { file, json }
    }

    pub(super) fn config(&self) -> Result<Config, Failure> {
        Ok(match &self.file {
            Some(path) => Config::read(path)?,
            None => Config::default_here()?,
        })
    }

    /// Runs calls against the node: over its socket if it answers, else in this process over the
    /// store, which is then closed again.
    pub(super) fn with_client<T, F>(&self, calls: impl FnOnce(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let config = self.config()?;
        let runtime = runtime()?;
        if std::os::unix::net::UnixStream::connect(&config.admin_socket).is_ok() {
            return runtime.block_on(calls(Client::Socket(config.admin_socket)));
        }
        if !config.store_path().exists() {
            let path = config.store_path();
            return Err(Failure::new(
                Code::Unreachable,
                format!(
                    "no node runs here and there is no store at {}",
                    path.display()
                ),
                Some("start one with `kedge serve`, or create one with `kedge init`"),
            ));
        }
        let node = runtime.block_on(async { assemble(&config, self.file.clone(), Vec::new()) })?;
        let (writer, keeper, auditor) = (node.writer, node.keeper, node.auditor);
        let writing = std::thread::spawn(move || writer.run());
        let keeping = std::thread::spawn(move || keeper.run());
        let auditing = std::thread::spawn(move || auditor.map(Auditor::run));
        let result = runtime.block_on(calls(Client::InProcess(node.router)));
        drop((node.api, node.resolver, runtime));
        if writing.join().is_err() {
            return Err(Failure::new(Code::Failed, "the writer panicked", None));
        }
        // With the writer gone nobody reports any more; what was reported is written.
        drop(keeping.join());
        drop(auditing.join());
        result
    }
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Failed, format!("no runtime: {error}"), None))
}

/// A name as one segment of a call's path.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    encoded
}
