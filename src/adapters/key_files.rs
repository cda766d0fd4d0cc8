//! Secret keys as files that only their owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::base::keys::{BadKey, SecretKey};
use crate::namespace::name::Name;
use crate::service::ports::KeyStore;

/// Nobody but the owner.
const OWNER_ONLY_FILE: u32 = 0o600;
const OWNER_ONLY_DIRECTORY: u32 = 0o700;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;
/// 64 digits and a line end; more is no key file.
const KEY_FILE_BYTES_MAX: u64 = 128;
/// A secret as long as the block of the longest hash (128 bytes), in base64; a longer one would only
/// be hashed to a shorter one.
const SHARED_SECRET_FILE_BYTES_MAX: u64 = 256;
/// What a key file's name ends with.
const SUFFIX: &str = "key";

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("{path} cannot be read or written")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no key.
    #[error("{path} holds no key")]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadKey,
    },
    /// It holds no secret.
    #[error("{path} holds no secret in base64")]
    Secret {
        /// The file.
        path: PathBuf,
    },
    /// Others can read it.
    #[error("{path}: mode {mode:04o} lets others read this secret key; chmod 600 it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// A directory of key files, one a key: 64 hexadecimal digits of the seed and a line end.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    directory: PathBuf,
}

impl KeyFiles {
    /// Keys in a directory; created, for its owner only, when the first key is kept.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Reads every key. One bad file stops all: a node that votes with half its keys surprises.
    pub fn load(&self) -> Result<Vec<SecretKey>, KeyFileError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(self.failed(source)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| self.failed(source))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == SUFFIX)
            {
                keys.push(load_key(&path)?);
            }
        }
        Ok(keys)
    }

    fn write(&self, scope: &Name, key: &SecretKey) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(OWNER_ONLY_DIRECTORY)
            .create(&self.directory)?;
        let stem: String = scope
            .to_string()
            .trim_end_matches('.')
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' || c == '.' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let path = self
            .directory
            .join(format!("{stem}-{}.{SUFFIX}", key.public().short()));
        create(&path, key)?;
        // The name must survive a crash too.
        File::open(&self.directory)?.sync_all()
    }

    fn failed(&self, source: io::Error) -> KeyFileError {
        KeyFileError::Io {
            path: self.directory.clone(),
            source,
        }
    }
}

/// Writes a key to a new file that only its owner can read; a file that is there stays.
pub fn write_key(path: &Path, key: &SecretKey) -> Result<(), KeyFileError> {
    create(path, key).map_err(|source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    })
}

fn create(path: &Path, key: &SecretKey) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY_FILE)
        .open(path)?;
    file.write_all(key.to_seed_text().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Reads a key file.
pub fn load_key(path: &Path) -> Result<SecretKey, KeyFileError> {
    let content = |source| KeyFileError::Content {
        path: path.to_owned(),
        source,
    };
    let text = private_text(path, KEY_FILE_BYTES_MAX)?.ok_or_else(|| content(BadKey::NotHex))?;
    SecretKey::from_seed_text(&text).map_err(content)
}

/// Reads a secret that is shared with others: base64 and a line end.
pub fn load_shared_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let bad = || KeyFileError::Secret {
        path: path.to_owned(),
    };
    let text = private_text(path, SHARED_SECRET_FILE_BYTES_MAX)?.ok_or_else(bad)?;
    let secret = BASE64.decode(text.trim().as_bytes()).map_err(|_| bad())?;
    Ok(Zeroizing::new(secret))
}

/// The text of a file that nobody but its owner can read; none if it is longer than it may be.
fn private_text(path: &Path, bytes_max: u64) -> Result<Option<Zeroizing<String>>, KeyFileError> {
    let failed = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(KeyFileError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    if metadata.len() > bytes_max {
        return Ok(None);
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

impl KeyStore for KeyFiles {
    fn keep(&self, scope: &Name, key: &SecretKey) -> Result<(), String> {
        self.write(scope, key)
            .map_err(|error| format!("{}: {error}", self.directory.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_comes_back_and_is_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let files = KeyFiles::new(directory.path().join("keys"));
        let key = SecretKey::from_seed(&[3; 32]);
        files
            .keep(&"eu.mesh.internal.".parse().unwrap(), &key)
            .unwrap();
        let loaded = files.load().unwrap();
        assert_eq!(loaded[0].public(), key.public());
        let path = fs::read_dir(&files.directory)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            files.load(),
            Err(KeyFileError::Open { mode: 0o644, .. })
        ));
    }

    #[test]
    fn a_damaged_key_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.key");
        fs::write(&path, "not a key").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = KeyFiles::new(directory.path().to_owned())
            .load()
            .unwrap_err();
        assert!(error.to_string().contains("x.key"), "{error}");
    }
}
