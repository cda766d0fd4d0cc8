//! `kedge scope export` and `kedge scope import`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::adapters::http::{ClientError, RestoredView};
use crate::index::export::{ExportFault, Framing};

use super::connect::{Place, segment};
use super::exit::{Code, Failure};
use super::local::usage;
use super::output::{complain, show};

/// An export holds every name, also those that policy hides.
const OWNER_ONLY: u32 = 0o600;

/// What was written.
#[derive(Debug, Serialize)]
struct Exported {
    /// The scope's UID.
    uid: String,
    scopes: u32,
    links: u64,
    bytes: u64,
    digest: String,
}

pub(super) fn export(place: &Place, name: &str, file: &Path, tree: bool) -> Result<(), Failure> {
    let path = format!("/scopes/{}/lineage?tree={tree}", segment(name));
    let mut target = Target::open(file).map_err(|error| local(file, &error))?;
    let mut framing = Framing::judging();
    let mut bytes = 0u64;
    let (judge, count, sink) = (&mut framing, &mut bytes, &mut target);
    let downloaded = place.with_client(|client| async move {
        let take = |piece: &[u8]| {
            let judged: Result<(), ExportFault> = judge.push(piece, |_, _| Ok(()));
            judged.map_err(io::Error::other)?;
            *count += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            sink.write(piece)
        };
        client.download(&path, take).await.map_err(|error| {
            if let ClientError::Local(error) = &error {
                return local(file, error);
            }
            error.into()
        })
    });
    let judged = downloaded.and_then(|()| {
        let broken = |fault: ExportFault| Failure::new(Code::Failed, fault.to_string(), None);
        framing.finish().map_err(broken)
    });
    let (header, digest) = match judged {
        Ok(judged) => judged,
        Err(failure) => {
            target.give_up();
            return Err(failure);
        }
    };
    let is_output = target.is_output();
    target.finish().map_err(|error| local(file, &error))?;
    let exported = Exported {
        uid: header.scope.to_string(),
        scopes: header.scopes,
        links: header.links,
        bytes,
        digest: digest.to_string(),
    };
    if is_output {
        // Standard output holds the export itself.
        complain(&line(&exported));
        return Ok(());
    }
    show(place.json, &exported, |exported| vec![line(exported)])
}

fn line(exported: &Exported) -> String {
    let Exported {
        uid,
        scopes,
        links,
        bytes,
        digest,
    } = exported;
    format!(
        "exported scope {uid}: {scopes} scope(s), {links} link(s), {bytes} bytes, digest {digest}"
    )
}

pub(super) fn import(place: &Place, file: &Path, name: &str, apex: bool) -> Result<(), Failure> {
    let path = format!("/scopes/{}/lineage?apex={apex}", segment(name));
    let source: Box<dyn Read + Send> = if file.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        let opened = File::open(file).map_err(|error| {
            usage(
                format!("{}: {error}", file.display()),
                Some("`kedge scope export` writes such a file"),
            )
        })?;
        Box::new(opened)
    };
    let view: RestoredView =
        place.with_client(|client| async move { Ok(client.upload(&path, source).await?) })?;
    show(place.json, &view, |view| {
        let block: String = view.block.chars().take(16).collect();
        vec![
            format!(
                "imported scope {}: {} link(s) of {} scope(s) added, {} were here already",
                view.scope, view.added, view.scopes, view.present
            ),
            format!(
                "{} is at height {}, block {block}, state root {}",
                view.scope, view.height, view.state_root
            ),
        ]
    })
}

/// Where an export is written. A file gets its name when it is whole, so that nobody takes a part
/// for all of it; a pipe or device is written to as it is.
enum Target {
    Output(io::Stdout),
    Direct(File),
    File {
        writer: BufWriter<File>,
        part: PathBuf,
        path: PathBuf,
    },
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Output(io::stdout()));
        }
        if std::fs::metadata(path).is_ok_and(|present| !present.is_file()) {
            return Ok(Self::Direct(OpenOptions::new().write(true).open(path)?));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        Ok(Self::File {
            writer: BufWriter::new(options.mode(OWNER_ONLY).open(&part)?),
            part,
            path: path.to_owned(),
        })
    }

    fn is_output(&self) -> bool {
        matches!(self, Self::Output(_))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Output(output) => output.write_all(bytes),
            Self::Direct(file) => file.write_all(bytes),
            Self::File { writer, .. } => writer.write_all(bytes),
        }
    }

    /// Makes it durable and gives it its name.
    fn finish(self) -> io::Result<()> {
        match self {
            Self::Output(mut output) => output.flush(),
            Self::Direct(mut file) => file.flush(),
            Self::File { writer, part, path } => {
                let file = writer
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)?;
                file.sync_all()?;
                std::fs::rename(&part, &path)?;
                let above = path.parent().filter(|above| !above.as_os_str().is_empty());
                File::open(above.unwrap_or(Path::new(".")))?.sync_all()
            }
        }
    }

    /// Leaves nothing that could be taken for an export.
    fn give_up(self) {
        if let Self::File { part, .. } = self {
            // What cannot be removed has a name that says what it is.
            drop(std::fs::remove_file(part));
        }
    }
}

fn local(file: &Path, error: &io::Error) -> Failure {
    let hint = Some("is there room, and may you write there?");
    Failure::new(Code::Failed, format!("{}: {error}", file.display()), hint)
}
