//! Handshakes between nodes: TLS 1.3 with raw public keys (RFC 7250). Both ends prove the key by which
//! they are known; nobody vouches for anybody.

use std::sync::Arc;

use noq::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use noq::{ClientConfig, Connection, ServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};
use zeroize::Zeroizing;

use crate::base::keys::{PublicKey, SecretKey};
use crate::replication::wire::PROTOCOL;

/// A name that TLS wants and nobody is told or asked about: the key says who it is.
pub const SERVER_NAME: &str = "peer.invalid";
/// What stands before the bytes of an ed25519 key (RFC 8410): of a public one, and of a seed.
const PUBLIC_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const SECRET_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why there can be no handshakes.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The key, or the settings, are of no use to TLS.
    #[error(transparent)]
    Tls(#[from] Error),
    /// TLS lacks what QUIC begins with.
    #[error(transparent)]
    Quic(#[from] NoInitialCipherSuite),
}

/// How a node with a key dials the node with another one, and no other.
pub fn dialling(key: &SecretKey, expected: PublicKey) -> Result<ClientConfig, HandshakeError> {
    let resolver = AlwaysResolvesClientRawPublicKeys::new(certified(key)?);
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Prover(Some(expected))))
        .with_client_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![PROTOCOL.to_vec()];
    tls.enable_sni = false;
    // Each connection proves both keys anew.
    tls.resumption = Resumption::disabled();
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(
        tls,
    )?)))
}

/// How a node with a key is dialled by whoever has a key; who is let in is decided afterwards.
pub fn dialled(key: &SecretKey) -> Result<ServerConfig, HandshakeError> {
    let resolver = AlwaysResolvesServerRawPublicKeys::new(certified(key)?);
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(Prover(None)))
        .with_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![PROTOCOL.to_vec()];
    tls.send_tls13_tickets = 0;
    Ok(ServerConfig::with_crypto(Arc::new(
        QuicServerConfig::try_from(tls)?,
    )))
}

/// The key that the other end of a connection proved.
pub fn proven(connection: &Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?;
    let proofs = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    proofs.first().and_then(key_in)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certified(key: &SecretKey) -> Result<Arc<CertifiedKey>, Error> {
    let secret = Zeroizing::new([SECRET_PREFIX.as_slice(), key.to_seed().as_slice()].concat());
    let signer = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(secret.as_slice()))?;
    let public = [PUBLIC_PREFIX.as_slice(), key.public().as_bytes()].concat();
    let proof = vec![CertificateDer::from(public)];
    Ok(Arc::new(CertifiedKey::new(proof, signer)))
}

fn key_in(proof: &CertificateDer<'_>) -> Option<PublicKey> {
    let bytes = proof.strip_prefix(PUBLIC_PREFIX.as_slice())?;
    PublicKey::from_bytes(bytes.try_into().ok()?).ok()
}

/// Has the other end prove a key: this one, or any.
#[derive(Debug)]
struct Prover(Option<PublicKey>);

impl Prover {
    fn look(&self, proof: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<(), Error> {
        let key = key_in(proof).filter(|_| more.is_empty());
        let key = key.ok_or(CertificateError::BadEncoding)?;
        match self.0 {
            Some(expected) if expected != key => Err(CertificateError::UnknownIssuer.into()),
            _ => Ok(()),
        }
    }
}

fn holds(
    message: &[u8],
    proof: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = ring::default_provider().signature_verification_algorithms;
    let key = SubjectPublicKeyInfoDer::from(proof.as_ref());
    verify_tls13_signature_with_raw_key(message, &key, signed, &algorithms)
}

fn too_old() -> Error {
    PeerIncompatible::Tls12NotOffered.into()
}

impl ServerCertVerifier for Prover {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.look(end_entity, intermediates)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        holds(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Prover {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.look(end_entity, intermediates)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        holds(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
