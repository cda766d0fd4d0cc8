//! The admin API on its unix socket.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::caller::Via;

/// Whoever can write to the socket governs this node's scopes.
const OWNER_ONLY: u32 = 0o600;

/// A bound admin socket; its file goes with it.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// Binds the socket. A file that nobody answers on is left from a crash and replaced.
pub fn bind_admin(path: &Path) -> io::Result<AdminSocket> {
    if path.exists() {
        if StdUnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another node answers on this socket",
            ));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY))?;
    Ok(AdminSocket {
        listener,
        path: path.to_owned(),
    })
}

/// Serves calls until told to stop; calls under way are finished.
pub async fn serve_admin(socket: AdminSocket, router: Router, stop: CancellationToken) {
    let AdminSocket { listener, path } = socket;
    let router = router.into_make_service_with_connect_info::<Via>();
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the admin API ended");
    }
    if let Err(error) = fs::remove_file(&path) {
        tracing::debug!(%error, "the admin socket was gone already");
    }
}
