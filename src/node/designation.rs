//! What a node tells clients of its encrypted listeners, from the configuration and the certificate.

use std::net::SocketAddr;

use crate::adapters::dns::QuicSocket;
use crate::config::Config;
use crate::namespace::record::Record;
use crate::resolution::designation::{Spoken, designations};

use super::assemble::StartError;
use super::sockets::StreamDoors;

/// Where a node answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Listening {
    /// Over UDP and TCP.
    pub(super) dns: Vec<SocketAddr>,
    /// Over TLS.
    pub(super) tls: Vec<SocketAddr>,
    /// Over HTTPS.
    pub(super) https: Vec<SocketAddr>,
    /// Over QUIC.
    pub(super) quic: Vec<SocketAddr>,
}

impl Listening {
    /// Where sockets are bound: with port 0 the configuration does not say it.
    pub(super) fn bound(dns: Vec<SocketAddr>, doors: &StreamDoors) -> Self {
        Self {
            dns,
            tls: doors.tls.iter().map(|(address, _)| *address).collect(),
            https: doors.https.iter().map(|(address, _)| *address).collect(),
            quic: doors.quic.iter().map(QuicSocket::address).collect(),
        }
    }

    /// Where a configuration wants it, for who looks at it without listening.
    pub(super) fn planned(dns: Vec<SocketAddr>, config: &Config) -> Self {
        let encrypted = config.encrypted.as_ref();
        Self {
            dns,
            tls: encrypted.map_or_else(Vec::new, |all| all.tls.clone()),
            https: encrypted.map_or_else(Vec::new, |all| all.https.clone()),
            quic: encrypted.map_or_else(Vec::new, |all| all.quic.clone()),
        }
    }
}

/// The records; none without encrypted listeners, or without a name that their certificate proves.
pub(super) fn designated(
    config: &Config,
    listening: &Listening,
    notices: &mut Vec<String>,
) -> Result<Vec<Record>, StartError> {
    let Some(encrypted) = &config.encrypted else {
        return Ok(Vec::new());
    };
    let name = match &config.designated_name {
        Some(name) => Some(name.clone()),
        None => encrypted.files.dns_name()?,
    };
    let Some(name) = name else {
        let notice = "the certificate names no host and [ddr] none either: clients are not told of \
                      the encrypted listeners";
        notices.push(notice.to_owned());
        return Ok(Vec::new());
    };
    let listeners = [
        (Spoken::Tls, listening.tls.clone()),
        (
            Spoken::Https(config.http.rules.path.clone()),
            listening.https.clone(),
        ),
        (Spoken::Quic, listening.quic.clone()),
    ];
    Ok(designations(&name, &listeners))
}
