//! A device's own file: read and replaced by one process at a time, whole at every moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::base::text_form::{BadText, TextForm};
use crate::governance::device::DeviceFile;

/// Nobody but the owner.
const OWNER_ONLY: u32 = 0o600;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;
/// The text of a device and a line end.
const FILE_BYTES_MAX: u64 = 8_192;

/// What is wrong with a device's file.
#[derive(Debug, thiserror::Error)]
pub enum DeviceFileError {
    /// It cannot be read or written.
    #[error("{path} cannot be read or written")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no device.
    #[error("{path} holds no device")]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadText,
    },
    /// Others can read it.
    #[error("{path}: mode {mode:04o} lets others read these secrets; chmod 600 it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// A device's file that this process has to itself. Two processes that went on from one value
/// would look like two copies of the device.
#[derive(Debug)]
pub struct HeldFile {
    path: PathBuf,
    /// Locked until it is closed.
    lock: File,
}

impl HeldFile {
    /// Makes a new file, still empty; one that is there stays.
    pub fn create(path: &Path) -> Result<Self, DeviceFileError> {
        let lock = new_file(path).map_err(at(path))?;
        lock.lock().map_err(at(path))?;
        let path = path.to_owned();
        Ok(Self { path, lock })
    }

    /// Opens a file, once no other process has it, and reads it.
    pub fn open(path: &Path) -> Result<(Self, DeviceFile), DeviceFileError> {
        loop {
            let lock = File::open(path).map_err(at(path))?;
            lock.lock().map_err(at(path))?;
            let held = lock.metadata().map_err(at(path))?;
            // Whoever had it before may have put another file in its place.
            let named = fs::metadata(path).map_err(at(path))?;
            if (held.dev(), held.ino()) != (named.dev(), named.ino()) {
                continue;
            }
            let mode = held.mode() & 0o7777;
            let path = path.to_owned();
            if mode & OTHERS != 0 {
                return Err(DeviceFileError::Open { path, mode });
            }
            let device = read(&lock, &path)?;
            return Ok((Self { path, lock }, device));
        }
    }

    /// Puts other contents in its place, durably: whenever this ends early, the file is what it
    /// was or what it shall be.
    pub fn replace(&mut self, device: &DeviceFile) -> Result<(), DeviceFileError> {
        let replaced = self.replace_while(device, |_| Ok(()));
        replaced.map_err(at(&self.path))
    }

    /// The same; each step asks first whether it may happen.
    fn replace_while(
        &mut self,
        device: &DeviceFile,
        may: impl Fn(Step) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut unfinished = self.path.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        may(Step::Clear)?;
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        may(Step::Create)?;
        let mut file = new_file(&unfinished)?;
        // Held before it has the name, so that nobody gets in between.
        file.lock()?;
        may(Step::Write)?;
        let text = Zeroizing::new(device.to_text());
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        may(Step::Sync)?;
        file.sync_all()?;
        may(Step::Rename)?;
        fs::rename(&unfinished, &self.path)?;
        self.lock = file;
        may(Step::SyncName)?;
        let parent = self.path.parent();
        let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Removes it.
    pub fn remove(self) -> Result<(), DeviceFileError> {
        fs::remove_file(&self.path).map_err(at(&self.path))
    }
}

/// What reaches the disk, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Clear,
    Create,
    Write,
    Sync,
    Rename,
    SyncName,
}

fn at(path: &Path) -> impl Fn(io::Error) -> DeviceFileError {
    move |source| DeviceFileError::Io {
        path: path.to_owned(),
        source,
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true);
    options.mode(OWNER_ONLY).open(path)
}

fn read(file: &File, path: &Path) -> Result<DeviceFile, DeviceFileError> {
    let mut text = Zeroizing::new(String::new());
    let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(at(path))?;
    DeviceFile::from_text(&text).map_err(|source| DeviceFileError::Content {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::base::digest::Digest;
    use crate::base::secret::Secret;
    use crate::governance::device::Server;
    use crate::namespace::scope::ScopeUid;

    fn device(value: u8) -> DeviceFile {
        DeviceFile {
            scope: ScopeUid::new(Digest::from_bytes([1; 32])),
            mark: Secret::new([2; 32]),
            value: Secret::new([value; 32]),
            servers: vec![Server("unix:/run/kedge/admin.sock".to_owned())],
        }
    }

    fn written(path: &Path, value: u8) -> HeldFile {
        let mut held = HeldFile::create(path).unwrap();
        held.replace(&device(value)).unwrap();
        held
    }

    #[test]
    fn a_device_comes_back_and_is_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("phone.device");
        drop(written(&path, 3));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (mut held, read) = HeldFile::open(&path).unwrap();
        assert_eq!(read, device(3));
        held.replace(&device(4)).unwrap();
        drop(held);
        assert_eq!(HeldFile::open(&path).unwrap().1, device(4));
        assert!(HeldFile::create(&path).is_err(), "a file that is there");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            HeldFile::open(&path),
            Err(DeviceFileError::Open { mode: 0o644, .. })
        ));
    }

    #[test]
    fn whenever_a_replacement_ends_early_the_file_is_the_old_or_the_new_one() {
        let steps = [
            Step::Clear,
            Step::Create,
            Step::Write,
            Step::Sync,
            Step::Rename,
            Step::SyncName,
        ];
        for (number, last) in steps.into_iter().enumerate() {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("phone.device");
            let mut held = written(&path, 3);
            let stop = |step| {
                if step == last {
                    return Err(io::Error::other("stopped"));
                }
                Ok(())
            };
            assert!(held.replace_while(&device(4), stop).is_err());
            drop(held);
            let (mut held, read) = HeldFile::open(&path).unwrap();
            let value = if last == Step::SyncName { 4 } else { 3 };
            assert_eq!(read, device(value), "step {number}");
            // What was left lying about is in nobody's way.
            held.replace(&device(5)).unwrap();
            drop(held);
            assert_eq!(HeldFile::open(&path).unwrap().1, device(5));
        }
    }

    #[test]
    fn a_file_that_is_held_is_waited_for_and_read_as_it_then_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("phone.device");
        let mut held = written(&path, 3);
        let (sender, opened) = std::sync::mpsc::channel();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let (_held, read) = HeldFile::open(&path).unwrap();
                sender.send(read).unwrap();
            });
            held.replace(&device(4)).unwrap();
            held.replace(&device(5)).unwrap();
            assert!(opened.try_recv().is_err(), "two hold the file");
            drop(held);
            assert_eq!(opened.recv().unwrap(), device(5));
        });
    }
}
