//! Whose certificates are believed when an upstream is spoken to over TLS.

use std::sync::Arc;

use hickory_resolver::TlsConfig;
use hickory_resolver::net::tls::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// The client side of TLS: certificates must lead to one of those in the text, or to a public
/// authority of the web. Errors say what is wrong with the text.
pub(super) fn config(authorities_pem: Option<&str>) -> Result<ClientConfig, String> {
    let Some(text) = authorities_pem else {
        let public = TlsConfig::new().map_err(|error| error.to_string())?;
        return Ok(public.config);
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no CERTIFICATE section in PEM form".to_owned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_certificates_is_refused() {
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        ] {
            assert!(config(Some(text)).is_err(), "{text}");
        }
        assert!(config(None).is_ok());
    }
}
