//! Files without a name: on the disk of the data directory, and gone when they are closed.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::service::ports::SpoolFull;

/// Makes the names of files differ for the moment in which they have one.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A file that takes so many bytes and no more.
#[derive(Debug)]
pub struct BoundedFile {
    file: File,
    left_bytes: u64,
}

impl Read for BoundedFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl Write for BoundedFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        if count > self.left_bytes {
            return Err(io::Error::other(SpoolFull));
        }
        let written = self.file.write(buf)?;
        self.left_bytes -= u64::try_from(written).unwrap_or(self.left_bytes);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for BoundedFile {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.file.seek(pos)
    }
}

/// Makes a file in a directory, of at most so many bytes, and takes its name away. A crash in between
/// leaves an empty file that the next one of the same name replaces.
pub fn unnamed_file(directory: &Path, bytes_max: u64) -> io::Result<BoundedFile> {
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = directory.join(format!("incoming-{process}-{count}"));
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(true);
    let file = options.mode(0o600).open(&path)?;
    remove_file(&path)?;
    Ok(BoundedFile {
        file,
        left_bytes: bytes_max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let (mut one, mut two) = (
            unnamed_file(directory.path(), 3).unwrap(),
            unnamed_file(directory.path(), 4).unwrap(),
        );
        one.write_all(b"one").unwrap();
        two.write_all(b"two").unwrap();
        assert!(SpoolFull::is_why(&one.write_all(b"!").unwrap_err()));
        one.rewind().unwrap();
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
