//! To a running node by its socket or over TCP, or to its store when none runs.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::adapters::http::{Client, Remote};
use crate::adapters::tls_files;
use crate::config::Config;
use crate::node::{StartError, assemble};
use crate::service::audit::Auditor;
use crate::service::callers::{BadToken, TokenText};

use super::args::ServerArgs;
use super::exit::{Code, Failure};
use super::local::usage;

/// A file with one token and a line end; more is something else.
const TOKEN_FILE_BYTES_MAX: u64 = 256;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// Which node the command is about, and how it prints.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) file: Option<PathBuf>,
    pub(super) json: bool,
    /// A node that is called over TCP.
    pub(super) remote: Option<Remote>,
}

/// The node that is meant by `--server` and what goes with it.
pub(super) fn remote(args: &ServerArgs) -> Result<Option<Remote>, Failure> {
    let Some(server) = &args.server else {
        if args.ca.is_some() || args.client_certificate.is_some() {
            let hint = Some("--server https://HOST:PORT");
            return Err(usage("certificates are for a node over TCP", hint));
        }
        return Ok(None);
    };
    let own = args
        .client_certificate
        .as_deref()
        .zip(args.client_key.as_deref());
    let tls = tls_files::client(args.ca.as_deref(), own).map_err(StartError::from)?;
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let remote = Remote::new(server, tls, token.as_ref());
    let remote = remote.map_err(|error| usage(format!("{server}: {error}"), None))?;
    Ok(Some(remote))
}

fn read_token(path: &Path) -> Result<TokenText, Failure> {
    let wrong = |error: String| {
        let hint = Some("`kedge token new --out FILE` writes such a file");
        usage(format!("{}: {error}", path.display()), hint)
    };
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| wrong(error.to_string()))?;
    let mode = metadata.mode() & 0o7777;
    if metadata.is_file() && mode & OTHERS != 0 {
        let error = format!("mode {mode:04o} lets others read this token; chmod 600 it");
        return Err(wrong(error));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(TOKEN_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| wrong(error.to_string()))?;
    text.trim()
        .parse()
        .map_err(|error: BadToken| wrong(error.to_string()))
}

impl Place {
    pub(super) fn new(file: Option<PathBuf>, json: bool, remote: Option<Remote>) -> Self {
        Self { file, json, remote }
    }

    /// Ends a command that works on files of this machine where a distant node was meant.
    pub(super) fn only_here(&self) -> Result<(), Failure> {
        match &self.remote {
            None => Ok(()),
            Some(_) => Err(usage(
                "this command works on files of this machine",
                Some("leave --server out, or run it on the machine of the node"),
            )),
        }
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
        if let Some(remote) = &self.remote {
            return runtime()?.block_on(calls(Client::Remote(remote.clone())));
        }
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
        drop((node.api, node.responder, node.resolver, runtime));
        drop((node.following, node.chair));
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
