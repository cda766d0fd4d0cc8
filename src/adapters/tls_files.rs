//! Certificates and keys of TLS as files, for listeners and for clients.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use crate::namespace::name::Name;

/// A bundle of all public authorities has a quarter of this.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// Where the server side of TLS is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those that lead from it to an authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities that vouch for clients; without any no client is asked for a certificate.
    pub client_ca: Option<PathBuf>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It cannot be read.
    #[error("{path} cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is far longer than any certificate or key.
    #[error("{path} has more than {FILE_BYTES_MAX} bytes")]
    Long {
        /// The file.
        path: PathBuf,
    },
    /// Others can read a key.
    #[error("{path}: mode {mode:04o} lets others read this secret key; chmod 600 it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold what it should.
    #[error("{path} holds no {what} in PEM form")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// It holds something else, or something damaged.
    #[error("{path} is damaged")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// TLS cannot work with it.
    #[error("{path} cannot be used")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities of clients cannot be used.
    #[error("{path} cannot be used")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::server::VerifierBuilderError,
    },
}

impl TlsFiles {
    /// Reads them for a listener whose clients may choose among `protocols` (ALPN). A client's
    /// certificate is asked for where there are authorities of clients; a client without one gets
    /// in, nameless, a client with a wrong one does not.
    pub fn server(&self, protocols: &[&[u8]]) -> Result<ServerConfig, TlsFileError> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| self.unusable(source))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(authorities(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|source| TlsFileError::Authorities {
                        path: path.clone(),
                        source,
                    })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|source| self.unusable(source))?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        if self.client_ca.is_some() {
            // A resumed session would know its client by a certificate that was judged before.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }

    /// The first DNS name of the certificate that is one host's; none if it has none.
    pub fn dns_name(&self) -> Result<Option<Name>, TlsFileError> {
        let chain = certificates(&self.certificate)?;
        let own = chain.first().map(webpki::EndEntityCert::try_from);
        let Some(Ok(own)) = own else {
            return Ok(None);
        };
        let mut names = own.valid_dns_names().filter(|name| !name.starts_with('*'));
        Ok(names.find_map(|name| name.parse().ok()))
    }

    fn unusable(&self, source: rustls::Error) -> TlsFileError {
        TlsFileError::Unusable {
            path: self.certificate.clone(),
            source,
        }
    }
}

/// The client side: the server must be vouched for by an authority of the file, or by a public one
/// of the web. `own` is this client's certificate and key.
pub fn client(
    authorities_file: Option<&Path>,
    own: Option<(&Path, &Path)>,
) -> Result<ClientConfig, TlsFileError> {
    let roots = match authorities_file {
        Some(path) => authorities(path)?,
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
    };
    let unusable = |path: Option<&Path>| {
        let path = path.unwrap_or(Path::new("(TLS)")).to_owned();
        move |source| TlsFileError::Unusable { path, source }
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable(None))?
        .with_root_certificates(roots);
    match own {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            builder
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(unusable(Some(certificate)))
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFileError> {
    let failed = |source| TlsFileError::Io {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        let path = path.to_owned();
        return Err(TlsFileError::Long { path });
    }
    fs::read(path).map(Zeroizing::new).map_err(failed)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|source| TlsFileError::Pem {
        path: path.to_owned(),
        source,
    })?;
    if found.is_empty() {
        return Err(TlsFileError::Missing {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(found)
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| TlsFileError::Unusable {
                path: path.to_owned(),
                source,
            })?;
    }
    Ok(roots)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let metadata = fs::metadata(path).map_err(|source| TlsFileError::Io {
        path: path.to_owned(),
        source,
    })?;
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(TlsFileError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let path = path.to_owned();
    PrivateKeyDer::from_pem_slice(&read(&path)?).map_err(|source| match source {
        rustls::pki_types::pem::Error::NoItemsFound => TlsFileError::Missing {
            path,
            what: "private key",
        },
        source => TlsFileError::Pem { path, source },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use rustls::pki_types::ServerName;
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsConnector;

    use crate::service::secure_channel::{SecureChannel, identity, identity_of};

    use super::*;

    /// An authority `ca`, one `other`, and certificates with alternative names under `ca`.
    struct Pki(TempDir);

    impl Pki {
        fn new(leaves: &[(&str, &str)]) -> Self {
            let pki = Self(TempDir::new().unwrap());
            for name in ["ca", "other"] {
                let made = format!("-x509 -days 2 -subj /CN={name} -out {name}.pem");
                pki.openssl(&format!("req {} {made} -keyout {name}.key", Self::NEW));
            }
            for (name, names) in leaves {
                pki.leaf(name, names);
            }
            pki
        }

        const NEW: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

        fn leaf(&self, name: &str, names: &str) {
            let new = Self::NEW;
            self.openssl(&format!(
                "req {new} -subj /CN={name} -keyout {name}.key -out {name}.csr"
            ));
            fs::write(self.path("names"), format!("subjectAltName={names}\n")).unwrap();
            self.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out {name}.pem"
            ));
        }

        fn openssl(&self, arguments: &str) {
            let mut command = Command::new("openssl");
            let command = command.args(arguments.split(' ').filter(|word| !word.is_empty()));
            let output = command.current_dir(self.0.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {arguments}: {said}");
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        fn files(&self, name: &str) -> TlsFiles {
            TlsFiles {
                certificate: self.path(&format!("{name}.pem")),
                key: self.path(&format!("{name}.key")),
                client_ca: Some(self.path("ca.pem")),
            }
        }

        /// Who the server sees, or why there is no connection.
        fn meet(&self, channel: &SecureChannel, own: Option<&str>) -> Result<String, String> {
            let own = own.map(|own| self.files(own));
            let own = own
                .as_ref()
                .map(|own| (own.certificate.as_path(), own.key.as_path()));
            let mut config = client(Some(&self.path("ca.pem")), own).unwrap();
            config.alpn_protocols = vec![b"dot".to_vec()];
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(async {
                let (near, far) = tokio::io::duplex(1 << 14);
                let acceptor = channel.acceptor();
                let serve = async {
                    let mut stream = acceptor.accept(far).await?;
                    stream.write_all(b"!").await?;
                    let named = identity(stream.get_ref().1);
                    Ok::<_, io::Error>(named.map_or_else(String::new, |named| named.to_string()))
                };
                let name = ServerName::try_from("server.test").unwrap();
                let ask = async {
                    let connector = TlsConnector::from(Arc::new(config));
                    let mut stream = connector.connect(name, near).await?;
                    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"dot"[..]));
                    stream.read_u8().await
                };
                let (served, asked) = tokio::join!(serve, ask);
                asked.map_err(|error| error.to_string())?;
                served.map_err(|error| error.to_string())
            })
        }
    }

    #[test]
    fn a_client_is_known_by_what_its_certificate_names_first() {
        let long = format!("URI:urn:x:{},DNS:ci.test", "a".repeat(300));
        let pki = Pki::new(&[
            ("server", "DNS:server.test"),
            ("uri", "DNS:ci.test,URI:spiffe://mesh/ci"),
            ("dns", "DNS:CI.test"),
            ("wild", "DNS:*.test"),
            ("long", &long),
            ("bare", "IP:127.0.0.1"),
        ]);
        let channel = SecureChannel::new(pki.files("server").server(&[b"dot"]).unwrap());
        assert_eq!(pki.meet(&channel, None), Ok(String::new()));
        let seen = |own| pki.meet(&channel, Some(own)).unwrap();
        assert_eq!(seen("uri"), "uri:spiffe://mesh/ci");
        assert_eq!(seen("dns"), "dns:ci.test");
        // Nothing but the key is left where the first name cannot be one.
        for own in ["wild", "long", "bare"] {
            pki.openssl(&format!(
                "x509 -in {own}.pem -noout -pubkey -out {own}.pub.pem"
            ));
            pki.openssl(&format!(
                "pkey -pubin -in {own}.pub.pem -outform der -out {own}.der"
            ));
            pki.openssl(&format!("dgst -sha256 -r -out {own}.sum {own}.der"));
            let sum = fs::read_to_string(pki.path(&format!("{own}.sum"))).unwrap();
            let digits = sum.split(' ').next().unwrap();
            assert_eq!(seen(own), format!("sha256:{digits}"));
        }
        assert_eq!(identity_of(&CertificateDer::from(vec![0x30, 0])), None);
    }

    #[test]
    fn a_client_of_another_authority_gets_no_connection() {
        let pki = Pki::new(&[("server", "DNS:server.test")]);
        let channel = SecureChannel::new(pki.files("server").server(&[b"dot"]).unwrap());
        let refused = pki.meet(&channel, Some("other")).unwrap_err();
        assert!(refused.contains("alert"), "{refused}");
    }

    #[test]
    fn another_certificate_is_in_force_for_the_next_connection() {
        let pki = Pki::new(&[("old", "DNS:old.test"), ("new", "DNS:server.test")]);
        let channel = SecureChannel::new(pki.files("old").server(&[b"dot"]).unwrap());
        assert!(pki.meet(&channel, None).is_err());
        channel.replace(pki.files("new").server(&[b"dot"]).unwrap());
        assert_eq!(pki.meet(&channel, None), Ok(String::new()));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let pki = Pki::new(&[("server", "DNS:server.test")]);
        let good = pki.files("server");
        let said = |files: &TlsFiles| files.server(&[]).unwrap_err().to_string();
        let mut files = good.clone();
        files.key = pki.path("ca.key");
        assert!(said(&files).contains("server.pem cannot be used"));
        files.key = pki.path("server.pem");
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(said(&files).contains("holds no private key"));
        files = good.clone();
        files.certificate = pki.path("server.key");
        assert!(said(&files).contains("holds no certificate"));
        files.certificate = pki.path("missing.pem");
        assert!(said(&files).contains("missing.pem cannot be read"));
        files = good.clone();
        files.client_ca = Some(pki.path("names"));
        assert!(said(&files).contains("holds no certificate"));
        fs::set_permissions(&good.key, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(said(&good).contains("mode 0640"));
        fs::write(pki.path("long"), vec![b'-'; 1 << 21]).unwrap();
        files.client_ca = Some(pki.path("long"));
        assert!(said(&files).contains("more than"));
    }
}
