//! Files without a name: on the disk of the data directory, and gone when they are closed.

use std::fs::{File, OpenOptions, remove_file};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the names of files differ for the moment in which they have one.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Makes a file in a directory and takes its name away. A crash in between leaves an empty file
/// that the next one of the same name replaces.
pub fn unnamed_file(directory: &Path) -> io::Result<File> {
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = directory.join(format!("incoming-{process}-{count}"));
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(true);
    let file = options.mode(0o600).open(&path)?;
    remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let (mut one, mut two) = (
            unnamed_file(directory.path()).unwrap(),
            unnamed_file(directory.path()).unwrap(),
        );
        one.write_all(b"one").unwrap();
        two.write_all(b"two").unwrap();
        one.rewind().unwrap();
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
