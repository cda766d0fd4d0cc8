//! `kedge audit`: reads the log of this machine itself, so that it can be read where the store cannot.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::adapters::audit_file::{newest, read_lines};
use crate::adapters::http::wire::AuditView;
use crate::adapters::http::{Client, Remote};
use crate::base::digest::Digest;
use crate::service::audit::{NoTime, Record, Walk, Wanted};

use super::args::{AuditArgs, AuditCommand};
use super::connect::{Place, runtime};
use super::exit::{Code, Failure};
use super::local::usage;
use super::output::{print_json, show};

pub(super) fn run(place: &Place, args: &AuditArgs) -> Result<(), Failure> {
    match &args.what {
        None => records(place, args),
        Some(AuditCommand::Verify { head }) => verify(place, &path(place)?, head.as_deref()),
    }
}

/// Where the log is; a node that runs writes what waits first.
fn path(place: &Place) -> Result<PathBuf, Failure> {
    let config = place.config()?;
    let Some(audit) = config.audit else {
        let hint = Some("say `enabled = true` under [audit] to keep one");
        return Err(usage("no audit log is kept here", hint));
    };
    if std::os::unix::net::UnixStream::connect(&config.admin_socket).is_ok() {
        let client = Client::Socket(config.admin_socket);
        let flushed = runtime()?.block_on(client.get::<Option<AuditView>>("/audit"));
        drop(flushed?);
    }
    Ok(audit.path)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::Failed,
    };
    let hint = Some("a node writes it from its first start on");
    Failure::new(code, format!("{}: {error}", path.display()), hint)
}

fn records(place: &Place, args: &AuditArgs) -> Result<(), Failure> {
    let since = args.since.as_deref().unwrap_or_default();
    let wanted = Wanted {
        since: since
            .parse()
            .map_err(|error: NoTime| usage(error.to_string(), None))?,
        count: args.limit,
    };
    let newest = if let Some(remote) = &place.remote {
        distant(remote, args)?
    } else {
        let path = path(place)?;
        newest(&path, &wanted).map_err(|error| unreadable(&path, &error))?
    };
    if place.json {
        return print_json(&newest);
    }
    show(false, &newest, |records| {
        records.iter().map(record_line).collect()
    })
}

/// The records of a node that is called over TCP.
fn distant(remote: &Remote, args: &AuditArgs) -> Result<Vec<Record>, Failure> {
    let since = args.since.iter().map(|since| format!("&since={since}"));
    let path = format!(
        "/audit/records?limit={}{}",
        args.limit,
        since.collect::<String>()
    );
    let client = Client::Remote(remote.clone());
    Ok(runtime()?.block_on(client.get(&path))?)
}

fn text(record: &Record, field: &str) -> String {
    match record.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn record_line(record: &Record) -> String {
    let mut line = format!("{} {}", text(record, "time"), text(record, "kind"));
    for field in record.keys() {
        if !matches!(field.as_str(), "seq" | "time" | "kind" | "chain") {
            line.extend([" ", field, "=", &text(record, field)]);
        }
    }
    line
}

/// What a check came to.
#[derive(Debug, Serialize)]
struct Checked {
    records: u64,
    batches: u64,
    /// Batches that were before the first file that is here.
    batches_before: u64,
    /// Records after the last whole batch.
    records_open: u64,
    head: Option<String>,
}

fn verify(place: &Place, path: &Path, noted: Option<&str>) -> Result<(), Failure> {
    let noted: Option<Digest> = match noted {
        None => None,
        Some(text) => Some(text.parse().map_err(|error| {
            let hint = Some("`kedge status` prints the head of the log");
            usage(format!("{text:?}: {error}"), hint)
        })?),
    };
    let mut walk = Walk::default();
    let (mut records, mut is_noted) = (0u64, false);
    let mut broken = None;
    // A batch that is being written, or that a crash cut off, is not a fault until more follows.
    let mut unfinished: Option<String> = None;
    let read = read_lines(path, |file, number, line, is_whole| {
        let at = format!("{}:{number}", file.display());
        if let Some(at) = unfinished.take() {
            broken = Some(format!("{at}: the line is cut off"));
            return false;
        }
        if !is_whole {
            unfinished = Some(at);
            return true;
        }
        if let Err(error) = walk.line(line) {
            broken = Some(format!("{at}: {error}"));
            return false;
        }
        records += 1;
        is_noted |= noted.is_some() && walk.head().map(|head| head.digest) == noted;
        true
    });
    read.map_err(|error| unreadable(path, &error))?;
    if let Some(broken) = broken {
        let good = walk.head().map_or(0, |head| head.batches);
        let hint = format!("everything up to batch {good} holds; compare with a copy");
        return Err(Failure::new(Code::Faults, broken, Some(&hint)));
    }
    if let Some(noted) = noted.filter(|_| !is_noted) {
        let hint = "it was cut off, or written anew: what was noted is not in it";
        let error = format!("the log holds no batch with digest {noted}");
        return Err(Failure::new(Code::Faults, error, Some(hint)));
    }
    let head = walk.head();
    let checked = Checked {
        records,
        batches: head.map_or(0, |head| head.batches),
        batches_before: walk.batches_before(),
        records_open: walk.records_open(),
        head: head.map(|head| head.digest.to_string()),
    };
    show(place.json, &checked, checked_lines)
}

fn checked_lines(checked: &Checked) -> Vec<String> {
    let head = checked.head.as_deref().unwrap_or("none");
    let mut lines = vec![format!(
        "the chain holds: {} record(s), up to batch {}, head {head}",
        checked.records, checked.batches
    )];
    if checked.batches_before > 0 {
        lines.push(format!(
            "  the files here begin after batch {}",
            checked.batches_before
        ));
    }
    if checked.records_open > 0 {
        lines.push(format!(
            "  {} record(s) follow the last whole batch",
            checked.records_open
        ));
    }
    lines
}
