//! `[listen] tls`, `https`, `quic` and `http`, and `[https]`, as they can be carried out.

use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use crate::adapters::dns::HttpRules;
use crate::adapters::tls_files::TlsFiles;
use crate::namespace::name::Name;

use super::file_v1;
use super::valid::{Fault, each, value};

/// A path stands in every request; nobody needs a longer one.
const PATH_BYTES_MAX: usize = 256;

/// DNS under TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// Where DNS over TLS is listened.
    pub tls: Vec<SocketAddr>,
    /// Where DNS over HTTPS is.
    pub https: Vec<SocketAddr>,
    /// Where DNS over QUIC is.
    pub quic: Vec<SocketAddr>,
    /// The certificate, its key, and the authorities of clients.
    pub files: TlsFiles,
}

/// `[https]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct WrittenHttps {
    pub(super) path: String,
    pub(super) trusted_proxies: Vec<String>,
}

impl Default for WrittenHttps {
    fn default() -> Self {
        Self {
            path: "/dns-query".into(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// What else there is to DNS over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where it is listened in the clear, for proxies.
    pub addresses: Vec<SocketAddr>,
    /// The path, and the proxies that are trusted.
    pub rules: HttpRules,
}

fn fault(key: &str, problem: &str) -> Fault {
    (key.to_owned(), problem.to_owned())
}

/// DNS under TLS, if it is on; if it is not, none of its files may be there and seem to do something.
pub(super) fn encrypted(
    written: &file_v1::Listen,
    base: &Path,
) -> Result<Option<Encrypted>, Fault> {
    let [certificate, key, client_ca] = [
        &written.tls_certificate,
        &written.tls_key,
        &written.tls_client_ca,
    ]
    .map(|path| path.as_ref().map(|path| base.join(path)));
    if [&written.tls, &written.https, &written.quic]
        .iter()
        .all(|addresses| addresses.is_empty())
    {
        let idle = certificate.or(key).or(client_ca).is_some();
        let problem = "expected addresses, such as \"127.0.0.1:8530\", here, in https or in \
                       quic for the certificate";
        return if idle {
            Err(fault("listen.tls", problem))
        } else {
            Ok(None)
        };
    }
    let (Some(certificate), Some(key)) = (certificate, key) else {
        let problem =
            "expected a certificate and its key, tls-key, for the addresses in tls, https and quic";
        return Err(fault("listen.tls-certificate", problem));
    };
    Ok(Some(Encrypted {
        tls: each("listen.tls", &written.tls)?,
        https: each("listen.https", &written.https)?,
        quic: each("listen.quic", &written.quic)?,
        files: TlsFiles {
            certificate,
            key,
            client_ca,
        },
    }))
}

pub(super) fn http(listen: &file_v1::Listen, written: &WrittenHttps) -> Result<Http, Fault> {
    let rules = HttpRules {
        path: path(&written.path)?,
        proxies: each("https.trusted-proxies", &written.trusted_proxies)?,
    };
    let addresses: Vec<SocketAddr> = each("listen.http", &listen.http)?;
    let open = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(open) = open.filter(|_| rules.proxies.is_empty()) {
        let problem = format!(
            "{open} is no loopback address, and in the clear only proxies may ask; name them in \
             [https] trusted-proxies, or use https"
        );
        return Err(fault("listen.http", &problem));
    }
    Ok(Http { addresses, rules })
}

pub(super) fn designated_name(written: &file_v1::Ddr) -> Result<Option<Name>, Fault> {
    let name = written.name.as_deref();
    name.map(|text| value("ddr.name", text)).transpose()
}

/// A path as it stands in requests: nothing in it is escaped, and nothing needs to be.
fn path(written: &str) -> Result<String, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let is_path = written.starts_with('/') && written.len() <= PATH_BYTES_MAX;
    if !is_path || !written.bytes().all(is_plain) {
        let problem = format!(
            "{written:?}: expected a path such as \"/dns-query\", of letters, digits and /-._~"
        );
        return Err(fault("https.path", &problem));
    }
    Ok(written.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn what_would_be_open_or_could_not_be_asked_is_a_fault() {
        let files = "tls-certificate = \"c\"\ntls-key = \"k\"";
        let secure = format!("[listen]\nhttps = [\"127.0.0.1:0\"]\n{files}");
        for (text, expected) in [
            (
                "[listen]\nhttps = [\"127.0.0.1:0\"]",
                "listen.tls-certificate",
            ),
            (
                "[listen]\nhttps = [\"127.0.0.1\"]\n",
                "listen.tls-certificate",
            ),
            (
                "[listen]\nquic = [\"127.0.0.1:0\"]",
                "listen.tls-certificate",
            ),
            ("[listen]\ntls-certificate = \"c\"", "listen.tls"),
            ("[listen]\nhttp = [\"0.0.0.0:80\"]", "loopback"),
            ("[listen]\nhttp = [\"[::]:80\"]", "trusted-proxies"),
            ("[listen]\nhttp = [\"x\"]", "listen.http"),
            ("[https]\npath = \"dns-query\"", "https.path"),
            ("[https]\npath = \"/dns?x\"", "https.path"),
            ("[https]\npath = \"/a%20b\"", "https.path"),
            (
                "[https]\ntrusted-proxies = [\"10.0.0.1/33\"]",
                "https.trusted-proxies",
            ),
            ("[https]\njson = true", "json"),
            ("[ddr]\nname = \"a..b\"", "ddr.name"),
        ] {
            let error = Config::parse(text, Path::new("k.toml"), Path::new("")).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
        let open = "[listen]\nhttp = [\"0.0.0.0:80\"]\n[https]\ntrusted-proxies = [\"10.0.0.0/8\"]";
        for text in [&secure, open] {
            Config::parse(text, Path::new("k.toml"), Path::new("")).unwrap();
        }
    }
}
