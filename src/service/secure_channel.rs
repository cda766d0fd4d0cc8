//! The server side of TLS as listeners see it: what is in force now, and who a client is.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::base::identity::Identity;

/// The certificate, the key and the authorities of clients that are in force; clones see the same.
/// A listener asks for each connection, so that a reload needs no new listener.
#[derive(Clone)]
pub struct SecureChannel(Arc<ArcSwap<ServerConfig>>);

impl fmt::Debug for SecureChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecureChannel")
    }
}

impl SecureChannel {
    /// A channel with this configuration.
    pub fn new(config: ServerConfig) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(config)))
    }

    /// Puts another configuration in force, for connections that begin from now on.
    pub fn replace(&self, config: ServerConfig) {
        self.0.store(Arc::new(config));
    }

    /// What is in force now.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }

    /// Accepts one connection. How long the handshake may take is the listener's to say.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

/// The channels of the listeners of DNS: one certificate, and for each what its clients may call it.
#[derive(Debug, Clone)]
pub struct DnsChannels {
    /// Of DNS over TLS.
    pub tls: SecureChannel,
    /// Of DNS over HTTPS.
    pub https: SecureChannel,
    /// Of DNS over QUIC.
    pub quic: SecureChannel,
}

/// What clients of each may agree on (ALPN).
#[derive(Debug, Clone, Copy)]
pub struct DnsProtocols {
    /// Of DNS over TLS.
    pub tls: &'static [&'static [u8]],
    /// Of DNS over HTTPS.
    pub https: &'static [&'static [u8]],
    /// Of DNS over QUIC.
    pub quic: &'static [&'static [u8]],
}

impl DnsChannels {
    /// Channels with this configuration but for what clients agree on.
    pub fn new(config: &ServerConfig, protocols: DnsProtocols) -> Self {
        Self {
            tls: SecureChannel::new(speaking(config, protocols.tls)),
            https: SecureChannel::new(speaking(config, protocols.https)),
            quic: SecureChannel::new(speaking(config, protocols.quic)),
        }
    }

    /// Puts another configuration in force, for connections that begin from now on.
    pub fn replace(&self, config: &ServerConfig, protocols: DnsProtocols) {
        self.tls.replace(speaking(config, protocols.tls));
        self.https.replace(speaking(config, protocols.https));
        self.quic.replace(speaking(config, protocols.quic));
    }
}

fn speaking(config: &ServerConfig, protocols: &[&[u8]]) -> ServerConfig {
    let mut config = config.clone();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

/// Who is at the other end, after the handshake; none without a certificate. Only a certificate
/// that the authorities of clients vouch for gets through the handshake.
pub fn identity(connection: &ServerConnection) -> Option<Identity> {
    let certificate = connection.peer_certificates()?.first()?;
    identity_of(certificate)
}

/// What a certificate names: the first URI, else the first DNS name of its alternative names, else
/// its public key. None for bytes that are no certificate.
pub fn identity_of(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let by_key = || {
        let key = certificate.subject_public_key_info();
        Identity::from_key_digest(&Sha256::digest(key.as_ref()).into())
    };
    // What is first counts, also where it cannot be named: not what comes after it.
    let named = match certificate.valid_uri_names().next() {
        Some(uri) => Identity::from_uri(uri),
        None => certificate
            .valid_dns_names()
            .next()
            .and_then(Identity::from_dns_name),
    };
    Some(named.unwrap_or_else(by_key))
}
