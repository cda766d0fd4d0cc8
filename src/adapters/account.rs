//! The account that the program runs as: what binds ports below 1024 need not be what answers.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Uid, User, initgroups, setgid, setuid};

/// Why the program cannot go on as another user.
#[derive(Debug, thiserror::Error)]
pub enum BadAccount {
    /// Nobody has the name.
    #[error("node.user is {0:?}, which is no user of this system")]
    Unknown(String),
    /// The list of users cannot be read.
    #[error("the user {user:?} of node.user cannot be looked up")]
    Unread {
        /// The name.
        user: String,
        /// Why.
        source: io::Error,
    },
    /// Only root may become somebody else.
    #[error("node.user is {user:?}, and the node was started by another user than that and root")]
    NotRoot {
        /// The name.
        user: String,
    },
    /// The kernel refused.
    #[error("the node cannot go on as {user:?}")]
    Refused {
        /// The name.
        user: String,
        /// Why.
        source: io::Error,
    },
    /// It would be no gain.
    #[error("node.user is {0:?}, who may do all that root may")]
    Root(String),
    /// The data directory cannot be given to it.
    #[error("{path} cannot be made for {user:?}")]
    Directory {
        /// The name.
        user: String,
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Goes on as a user, with its groups and no others, for good. A data directory that is not there
/// yet is made and given to it. Nothing is done if the program runs as that user already.
///
/// # Errors
/// If the user is unknown or is root, or if this user is neither it nor root.
pub fn go_on_as(user: &str, data_directory: &Path) -> Result<(), BadAccount> {
    let name = || user.to_owned();
    let unread = |error: Errno| BadAccount::Unread {
        user: name(),
        source: error.into(),
    };
    let account = User::from_name(user).map_err(unread)?;
    let account = account.ok_or_else(|| BadAccount::Unknown(name()))?;
    if account.uid.is_root() {
        return Err(BadAccount::Root(name()));
    }
    if Uid::effective() == account.uid && Uid::current() == account.uid {
        return Ok(());
    }
    if !Uid::effective().is_root() {
        return Err(BadAccount::NotRoot { user: name() });
    }
    make_for(&account, data_directory).map_err(|source| BadAccount::Directory {
        user: name(),
        path: data_directory.to_owned(),
        source,
    })?;
    let refused = |source: io::Error| BadAccount::Refused {
        user: name(),
        source,
    };
    change_to(&account).map_err(refused)?;
    // What comes back was not given away.
    if setuid(Uid::from_raw(0)).is_ok() {
        return Err(refused(io::Error::other("root can be had back")));
    }
    Ok(())
}

/// Groups first: who is not root any more may not change them. The C library changes all threads.
fn change_to(account: &User) -> io::Result<()> {
    initgroups(&CString::new(account.name.as_str())?, account.gid)?;
    setgid(account.gid)?;
    setuid(account.uid)?;
    Ok(())
}

/// One that is there keeps its owner: whoever made it decides who may write there.
fn make_for(account: &User, directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => chown(
            directory,
            Some(account.uid.as_raw()),
            Some(account.gid.as_raw()),
        ),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
