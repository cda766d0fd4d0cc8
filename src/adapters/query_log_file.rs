//! Where the query log is written: a file that others may rename, or one of the program's own outputs.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use nix::libc::O_NONBLOCK;

use crate::service::query_log::QuerySink;

/// It says who asked for what.
const OWNER_ONLY: u32 = 0o600;

/// What lines are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, to which lines are added.
    File(PathBuf),
}

impl fmt::Display for QueryTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Stderr => f.write_str("stderr"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A query log on the disk or on an output.
#[derive(Debug)]
pub struct QueryLogFile {
    target: QueryTarget,
    file: Option<File>,
    /// The last line of what is there may be no whole one.
    is_torn: bool,
}

impl QueryLogFile {
    /// Opens a target. A file is made if there is none.
    pub fn open(target: QueryTarget) -> io::Result<Self> {
        let mut sink = Self {
            target,
            file: None,
            is_torn: false,
        };
        QuerySink::open(&mut sink)?;
        Ok(sink)
    }

    fn append_to_file(&mut self, lines: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let before = file.metadata()?.len();
        if self.is_torn {
            file.write_all(b"\n")?;
            self.is_torn = false;
        }
        let written = file.write_all(lines);
        if written.is_err() {
            // Part of a line is no JSON. What is no file cannot be cut.
            self.is_torn = file.set_len(before).is_err();
        }
        written
    }
}

impl QuerySink for QueryLogFile {
    fn open(&mut self) -> io::Result<()> {
        if let QueryTarget::File(path) = &self.target {
            let mut options = OpenOptions::new();
            let options = options.append(true).create(true).mode(OWNER_ONLY);
            // A pipe that nobody reads must not hold up the start, nor a slow reader the writer.
            self.file = Some(options.custom_flags(O_NONBLOCK).open(path)?);
        }
        Ok(())
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        match &self.target {
            QueryTarget::Stdout => {
                let mut output = io::stdout().lock();
                output.write_all(lines)?;
                output.flush()
            }
            QueryTarget::Stderr => io::stderr().lock().write_all(lines),
            QueryTarget::File(_) => self.append_to_file(lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_added_to_and_opened_anew_under_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("q.jsonl");
        let mut sink = QueryLogFile::open(QueryTarget::File(path.clone())).unwrap();
        sink.append(b"one\n").unwrap();
        let aside = directory.path().join("q.1");
        std::fs::rename(&path, &aside).unwrap();
        sink.append(b"two\n").unwrap();
        QuerySink::open(&mut sink).unwrap();
        sink.append(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let full = QueryTarget::File("/dev/full".into());
        let mut sink = QueryLogFile::open(full).unwrap();
        assert!(sink.append(b"one\n").is_err());
        let directory = tempfile::tempdir().unwrap();
        let is_directory = QueryTarget::File(directory.path().to_owned());
        assert!(QueryLogFile::open(is_directory).is_err());
    }
}
