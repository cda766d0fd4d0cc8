//! `Identity`: who a client is by its certificate.

use std::fmt;
use std::str::FromStr;

/// What a policy or a configuration names, and a line of a log shows; a URI that is longer names
/// nobody.
pub const IDENTITY_BYTES_MAX: usize = 255;

/// The digits of a SHA-256 digest.
const SHA256_DIGITS: usize = 64;

/// A client as a certificate names it: `uri:` and a URI, `dns:` and a name in lower case, or
/// `sha256:` and the digest of the public key. The kind is a part of it, so that no certificate
/// can name by one kind what another has by the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(String);

/// Text that is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected uri:, dns: or sha256: and what the certificate has, at most {IDENTITY_BYTES_MAX} \
     visible characters"
)]
pub struct BadIdentity;

impl Identity {
    /// The identity that a URI gives.
    pub fn from_uri(uri: &str) -> Option<Self> {
        format!("uri:{uri}").parse().ok()
    }

    /// The identity that a DNS name gives; a wildcard is nobody's name.
    pub fn from_dns_name(name: &str) -> Option<Self> {
        format!("dns:{name}").parse().ok()
    }

    /// The identity that the SHA-256 digest of a public key gives.
    pub fn from_key_digest(digest: &[u8; 32]) -> Self {
        Self(format!("sha256:{}", data_encoding::HEXLOWER.encode(digest)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Identity {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Self, BadIdentity> {
        let (kind, what) = text.split_once(':').ok_or(BadIdentity)?;
        let is_visible = what.bytes().all(|byte| byte.is_ascii_graphic());
        if what.is_empty() || text.len() > IDENTITY_BYTES_MAX || !is_visible {
            return Err(BadIdentity);
        }
        match kind {
            "uri" => Ok(Self(text.to_owned())),
            "dns" => {
                let name = what.strip_suffix('.').unwrap_or(what).to_ascii_lowercase();
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                let is_label = |label: &str| !label.is_empty() && label.bytes().all(fits);
                if !name.split('.').all(is_label) {
                    return Err(BadIdentity);
                }
                Ok(Self(format!("dns:{name}")))
            }
            "sha256" => {
                let digits = what.to_ascii_lowercase();
                let is_digest = digits.len() == SHA256_DIGITS
                    && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                is_digest
                    .then(|| Self(format!("sha256:{digits}")))
                    .ok_or(BadIdentity)
            }
            _ => Err(BadIdentity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_spelling() {
        let digest = "AB".repeat(32);
        for (text, same) in [
            ("uri:spiffe://mesh/CI", "uri:spiffe://mesh/CI"),
            ("dns:CI.Example.", "dns:ci.example"),
            (
                &format!("sha256:{digest}"),
                &format!("sha256:{}", digest.to_lowercase()),
            ),
        ] {
            let read: Identity = text.parse().unwrap();
            assert_eq!(read.to_string(), *same);
            assert_eq!(read.as_str().parse::<Identity>(), Ok(read));
        }
        assert_eq!(
            Identity::from_key_digest(&[0xab; 32]).as_str(),
            format!("sha256:{}", digest.to_lowercase())
        );
    }

    #[test]
    fn what_could_be_taken_for_another_is_refused() {
        let long = format!("uri:{}", "a".repeat(IDENTITY_BYTES_MAX));
        for text in [
            "",
            "ci.example",
            "uri:",
            "uri:a b",
            "dns:.",
            "dns:..",
            "dns:a..b",
            "dns:.a",
            "uri:a\nb",
            "uri:\u{e9}",
            "dns:*.example",
            "dns:a b",
            "dns:.",
            "sha256:abcd",
            "mail:a@b",
            &long,
        ] {
            assert_eq!(text.parse::<Identity>(), Err(BadIdentity), "{text:?}");
        }
    }
}
