//! `[observe]`: what monitoring sees, and who it is.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::Observe;
use super::file_v1;
use super::valid::{Fault, each};

pub(super) fn observe(written: &file_v1::Observe) -> Result<Observe, Fault> {
    let listen: Vec<SocketAddr> = each("observe.listen", &written.listen)?;
    let clients: Vec<IpNet> = each("observe.clients", &written.clients)?;
    let is_local = |address: IpAddr| address.is_loopback();
    let local_only = clients.iter().all(|net| is_local(net.network()));
    let open = listen.iter().find(|address| !is_local(address.ip()));
    if let Some(open) = open.filter(|_| local_only) {
        let problem = format!(
            "{open} is no loopback address, and nobody from elsewhere may look; list the networks of \
             your monitoring"
        );
        return Err(("observe.clients".to_owned(), problem));
    }
    Ok(Observe { listen, clients })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    #[test]
    fn what_nobody_could_look_at_is_a_fault() {
        for (text, expected) in [
            ("listen = [\"here\"]", "observe.listen"),
            ("listen = [\"0.0.0.0:9530\"]", "observe.clients"),
            ("clients = [\"10.0.0.0/33\"]", "observe.clients"),
        ] {
            let text = format!("[observe]\n{text}");
            let error = Config::parse(&text, Path::new("k.toml"), Path::new("")).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
        let text = "[observe]\nlisten = [\"0.0.0.0:9530\"]\nclients = [\"10.0.0.0/8\"]";
        assert!(Config::parse(text, Path::new("k.toml"), Path::new("")).is_ok());
    }
}
