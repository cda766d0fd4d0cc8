//! What the service manager that started the program is told (`sd_notify(3)`): datagrams to the socket
//! that its environment names. Without one nobody is told anything.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Questions are answered from now on.
    Ready,
    /// No new ones are taken from now on.
    Stopping,
    /// The program goes on: to be said again and again, if the manager asks for it.
    Alive,
}

impl Notice {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1\nSTATUS=answering",
            Self::Stopping => b"STOPPING=1\nSTATUS=ending what is under way",
            Self::Alive => b"WATCHDOG=1",
        }
    }
}

/// The service manager, if there is one that listens.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    alive_every: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` for how often it wants
    /// to hear that the program goes on.
    ///
    /// # Errors
    /// If the socket's name is none.
    pub fn of_environment() -> io::Result<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let Some(name) = variable("NOTIFY_SOCKET") else {
            return Ok(Self::default());
        };
        let micros = variable("WATCHDOG_USEC").and_then(|value| value.to_str()?.parse().ok());
        Self::at(&name, micros.map(Duration::from_micros))
    }

    /// The one at a socket: a path, or an abstract name after `@`.
    fn at(name: &OsStr, patience: Option<Duration>) -> io::Result<Self> {
        let address = match name.as_bytes().split_first() {
            Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold the program up.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Some((socket, address)),
            // Twice as often as it must hear it, as sd_watchdog_enabled(3) recommends.
            alive_every: patience.map(|patience| patience / 2),
        })
    }

    /// How often it wants to hear that the program goes on; none if it does not.
    pub const fn alive_every(&self) -> Option<Duration> {
        self.alive_every
    }

    /// Tells it something; whether it hears it is its own affair.
    pub fn tell(&self, notice: Notice) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(notice.text(), address)
        {
            tracing::debug!(%error, ?notice, "the service manager does not hear");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_at_a_path_hears_everything_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let listening = UnixDatagram::bind(&path).unwrap();
        let patience = Some(Duration::from_secs(10));
        let manager = ServiceManager::at(path.as_os_str(), patience).unwrap();
        assert_eq!(manager.alive_every(), Some(Duration::from_secs(5)));
        for notice in [Notice::Ready, Notice::Alive, Notice::Stopping] {
            manager.tell(notice);
            assert_eq!(heard(&listening).as_bytes(), notice.text());
        }
        drop(listening);
        manager.tell(Notice::Ready);
    }

    #[test]
    fn an_abstract_name_is_one_after_an_at() {
        let name = format!("kedge-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listening = UnixDatagram::bind_addr(&address).unwrap();
        let manager = ServiceManager::at(OsStr::new(&format!("@{name}")), None).unwrap();
        manager.tell(Notice::Ready);
        assert!(heard(&listening).starts_with("READY=1\n"));
        assert_eq!(manager.alive_every(), None);
    }

    #[test]
    fn a_name_that_is_none_is_an_error() {
        let long = "x".repeat(200);
        assert!(ServiceManager::at(OsStr::new(&format!("/{long}")), None).is_err());
    }
}
