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
use crate::service::resolver::error_chain;

use super::pem::{self, Kind};

/// Nobody but the owner.
const OWNER_ONLY_FILE: u32 = 0o600;
const OWNER_ONLY_DIRECTORY: u32 = 0o700;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;
/// An encrypted key has some 450 bytes; more is no key file.
const KEY_FILE_BYTES_MAX: u64 = 4_096;
/// A secret as long as the block of the longest hash (128 bytes), in base64; a longer one would only
/// be hashed to a shorter one.
const SHARED_SECRET_FILE_BYTES_MAX: u64 = 256;
/// What a person or a program can type; more is no passphrase.
const PASSPHRASE_BYTES_MAX: u64 = 1_024;
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
    /// It is encrypted, and no passphrase is given.
    #[error("{path} is encrypted, and no passphrase is given")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open it.
    #[error("{path} cannot be decrypted: another passphrase, or the file is damaged")]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// A file that holds no passphrase.
    #[error("{path} holds no passphrase: expected a line of 1 to {PASSPHRASE_BYTES_MAX} bytes")]
    NoPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// Encrypting failed, which only happens without memory.
    #[error("{path} could not be encrypted")]
    NotEncrypted {
        /// The file.
        path: PathBuf,
    },
    /// Others can read it.
    #[error("{path}: mode {mode:04o} lets others read this secret; chmod 600 it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// What encrypts key files.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Reads a passphrase: the first line of a file that only its owner can read.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let missing = || KeyFileError::NoPassphrase {
            path: path.to_owned(),
        };
        let text = read_secret(path, PASSPHRASE_BYTES_MAX + 2)?.ok_or_else(missing)?;
        let line = text.lines().next().filter(|line| !line.is_empty());
        let line = line.ok_or_else(missing)?.to_owned();
        Ok(Self(Zeroizing::new(line)))
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

/// A directory of key files, one a key: 64 hexadecimal digits of the seed and a line end, or a PEM
/// file, plain or encrypted. With a passphrase new keys are encrypted.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    directory: PathBuf,
    passphrase: Option<Passphrase>,
}

impl KeyFiles {
    /// Keys in a directory; created, for its owner only, when the first key is kept.
    pub fn new(directory: PathBuf, passphrase: Option<Passphrase>) -> Self {
        Self {
            directory,
            passphrase,
        }
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
                keys.push(load_key(&path, self.passphrase.as_ref())?);
            }
        }
        Ok(keys)
    }

    fn write(&self, scope: &Name, key: &SecretKey) -> Result<(), KeyFileError> {
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(OWNER_ONLY_DIRECTORY)
            .create(&self.directory)
            .map_err(|source| self.failed(source))?;
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
        write_key(&path, key, self.passphrase.as_ref())?;
        // The name must survive a crash too.
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> KeyFileError {
        KeyFileError::Io {
            path: self.directory.clone(),
            source,
        }
    }
}

/// Writes a key to a new file that only its owner can read, encrypted if there is a passphrase; a
/// file that is there stays.
pub fn write_key(
    path: &Path,
    key: &SecretKey,
    passphrase: Option<&Passphrase>,
) -> Result<(), KeyFileError> {
    let text = text_of(path, key, passphrase)?;
    create(path, &text).map_err(|source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Writes a key over the file it was read from, under another passphrase or none. The file is the
/// old or the new one whatever happens; what the disk keeps of the old one is not erased.
pub fn rewrite_key(
    path: &Path,
    key: &SecretKey,
    passphrase: Option<&Passphrase>,
) -> Result<(), KeyFileError> {
    let failed = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let text = text_of(path, key, passphrase)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // One is left from a crash: the key is still in the old file.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    create(&beside, &text).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

fn text_of(
    path: &Path,
    key: &SecretKey,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<String>, KeyFileError> {
    let Some(Passphrase(passphrase)) = passphrase else {
        let mut text = key.to_seed_text();
        text.push('\n');
        return Ok(text);
    };
    pem::write_encrypted(key, passphrase).ok_or_else(|| KeyFileError::NotEncrypted {
        path: path.to_owned(),
    })
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY_FILE)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Reads a file that only its owner may read; none if it is longer than `bytes_max`.
fn read_secret(path: &Path, bytes_max: u64) -> Result<Option<Zeroizing<String>>, KeyFileError> {
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

/// Reads a key file, with a passphrase if it is encrypted.
pub fn load_key(path: &Path, passphrase: Option<&Passphrase>) -> Result<SecretKey, KeyFileError> {
    let content = |source| KeyFileError::Content {
        path: path.to_owned(),
        source,
    };
    let text = read_secret(path, KEY_FILE_BYTES_MAX)?.ok_or_else(|| content(BadKey::NotHex))?;
    match pem::kind_of(&text) {
        Kind::Hex => SecretKey::from_seed_text(&text).map_err(content),
        Kind::Plain => pem::read(&text).ok_or_else(|| content(BadKey::NotAKey)),
        Kind::Encrypted => {
            let path = path.to_owned();
            let Some(Passphrase(passphrase)) = passphrase else {
                return Err(KeyFileError::Locked { path });
            };
            pem::read_encrypted(&text, passphrase).ok_or(KeyFileError::Passphrase { path })
        }
    }
}

/// Reads a file of secrets as it is.
pub fn load_secret_text(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    read_secret(path, SHARED_SECRET_FILE_BYTES_MAX)?.ok_or_else(|| KeyFileError::Secret {
        path: path.to_owned(),
    })
}

/// Reads a secret that is shared with others: base64 and a line end.
pub fn load_shared_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let bad = || KeyFileError::Secret {
        path: path.to_owned(),
    };
    let text = read_secret(path, SHARED_SECRET_FILE_BYTES_MAX)?.ok_or_else(bad)?;
    let secret = BASE64.decode(text.trim().as_bytes()).map_err(|_| bad())?;
    Ok(Zeroizing::new(secret))
}

impl KeyStore for KeyFiles {
    fn keep(&self, scope: &Name, key: &SecretKey) -> Result<(), String> {
        self.write(scope, key).map_err(|error| error_chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_comes_back_and_is_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let files = KeyFiles::new(directory.path().join("keys"), None);
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
        let error = KeyFiles::new(directory.path().to_owned(), None)
            .load()
            .unwrap_err();
        assert!(error.to_string().contains("x.key"), "{error}");
    }

    fn passphrase(text: &str) -> Passphrase {
        Passphrase(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        let key = SecretKey::from_seed(&[3; 32]);
        let right = passphrase("correct horse");
        write_key(&path, &key, Some(&right)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        let seed = key.to_seed_text();
        assert!(!text.contains(seed.as_str()));
        let loaded = load_key(&path, Some(&right)).unwrap();
        assert_eq!(loaded.public(), key.public());
        let wrong = load_key(&path, Some(&passphrase("wrong"))).unwrap_err();
        assert!(matches!(wrong, KeyFileError::Passphrase { .. }), "{wrong}");
        let none = load_key(&path, None).unwrap_err();
        assert!(matches!(none, KeyFileError::Locked { .. }), "{none}");

        // Over itself: plain, and a left-over of a crash is no obstacle.
        fs::write(directory.path().join("a.key.new"), "rest").unwrap();
        rewrite_key(&path, &key, None).unwrap();
        assert_eq!(load_key(&path, None).unwrap().public(), key.public());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_passphrase_is_a_line_that_only_its_owner_can_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        let write = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Passphrase::read(&path)
        };
        assert_eq!(*write("one\ntwo\n", 0o600).unwrap().0, "one");
        assert!(matches!(
            write("one\n", 0o640),
            Err(KeyFileError::Open { .. })
        ));
        let long = "x".repeat(2_000);
        for text in ["", "\n", &long] {
            let error = write(text, 0o600).unwrap_err();
            assert!(
                matches!(error, KeyFileError::NoPassphrase { .. }),
                "{error}"
            );
        }
    }
}
