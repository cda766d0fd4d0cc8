//! Key files as PEM (RFC 8410, RFC 5958): what other tools write, and the encrypted form.

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use zeroize::Zeroizing;

use crate::base::keys::SecretKey;

/// What every PEM file begins with.
const BEGIN: &str = "-----BEGIN ";
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// What the text of a key file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The seed in hexadecimal digits.
    Hex,
    /// A PEM file that anybody can read.
    Plain,
    /// A PEM file under a passphrase.
    Encrypted,
}

pub(super) fn kind_of(text: &str) -> Kind {
    match text.trim_start() {
        text if text.starts_with(ENCRYPTED) => Kind::Encrypted,
        text if text.starts_with(BEGIN) => Kind::Plain,
        _ => Kind::Hex,
    }
}

/// Reads a plain PEM file.
pub(super) fn read(text: &str) -> Option<SecretKey> {
    KeypairBytes::from_pkcs8_pem(text).ok().as_ref().map(secret)
}

/// Reads an encrypted PEM file; none if the passphrase is another one or the file is damaged, which
/// the form does not tell apart.
pub(super) fn read_encrypted(text: &str, passphrase: &str) -> Option<SecretKey> {
    KeypairBytes::from_pkcs8_encrypted_pem(text, passphrase)
        .ok()
        .as_ref()
        .map(secret)
}

/// Writes a key under a passphrase: scrypt and AES-256-CBC, which OpenSSL reads. The public half is
/// left out, or OpenSSL would not.
pub(super) fn write_encrypted(key: &SecretKey, passphrase: &str) -> Option<Zeroizing<String>> {
    let keypair = KeypairBytes {
        secret_key: *key.to_seed(),
        public_key: None,
    };
    keypair
        .to_pkcs8_encrypted_pem(passphrase, LineEnding::LF)
        .ok()
}

fn secret(keypair: &KeypairBytes) -> SecretKey {
    SecretKey::from_seed(&Zeroizing::new(keypair.secret_key))
}
